r"""Score models that are linear in their parameters: score matching is then a linear least-squares problem.

The model is :math:`s(x) = s_0(x) + \sum_k \theta_k \nabla T_k(x)`, the score of an exponential family with statistics
T. All objectives are quadratic in theta, :math:`\tfrac12 \theta^T A \theta + b^T \theta`, with A the mean of
:math:`\nabla T_j \cdot \nabla T_k`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..noise import draw
from .functions import Score, ScoreFunction, evaluate
from .objectives import Estimate, implicit

OBJECTIVES = ("implicit", "denoising", "explicit")

# Rows that are looked at together: features of that many samples are in memory at once.
_ROWS = 4096


class ExponentialFamily:
    r"""The score of :math:`q(x) \propto q_0(x) \exp \sum_k \theta_k T_k(x)`, fitted in closed form.

    Parameters
    ----------
    gradients : callable
        Maps (n, dim) positions to the gradients of the statistics, (n, k, dim).
    laplacians : callable, optional
        Maps (n, dim) positions to the Laplacians of the statistics, (n, k); for the implicit objective.
    base : callable, optional
        The score of q_0, (n, dim) to (n, dim). Default: 0.
    ridge : float, default 0
        >= 0; added to the diagonal of A, relative to the mean of its diagonal.

    Attributes
    ----------
    theta : ndarray of shape (k,)
        After :meth:`fit`.

    Examples
    --------
    >>> import numpy as np
    >>> model = ExponentialFamily(lambda x: -x[:, np.newaxis, :], lambda x: np.full((len(x), 1), -1.0))
    >>> model.fit(np.array([[-2.0], [0.0], [2.0]])).theta  # 1 / mean square
    array([0.375])
    """

    theta: np.ndarray

    def __init__(
        self,
        gradients: Callable[[np.ndarray], Any],
        laplacians: Callable[[np.ndarray], Any] | None = None,
        *,
        base: ScoreFunction | None = None,
        ridge: float = 0.0,
    ) -> None:
        for name, function in (("gradients", gradients), ("laplacians", laplacians), ("base", base)):
            if not callable(function) and not (function is None and name != "gradients"):
                raise TypeError(f"{name} must be callable; got {checks.shorten(function)}")
        self._gradients, self._laplacians, self._base = gradients, laplacians, base
        self.ridge = checks.non_negative("ridge", ridge)

    def fit(
        self,
        x: ArrayLike,
        *,
        objective: str = "implicit",
        sigma: float | None = None,
        n_noise: int = 1,
        target: ScoreFunction | None = None,
        seed: int = 0,
    ) -> ExponentialFamily:
        """Minimise an objective of score matching.

        Parameters
        ----------
        x : (n, dim) array
            Samples.
        objective : {"implicit", "denoising", "explicit"}
            See :mod:`langevin_fast.score.objectives`.
        sigma : float, optional
            Standard deviation of the noise, for "denoising": the score of the smoothed density is fitted.
        n_noise : int
            Noise vectors per sample, for "denoising".
        target : callable, optional
            The score to fit, for "explicit".
        seed : int
            Of the noise.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            An argument is not allowed or missing.
        numpy.linalg.LinAlgError
            The statistics are linearly dependent on these samples: use a ridge.
        """
        points = _matrix("x", x)
        checks.one_of("objective", objective, OBJECTIVES)
        for name, value, wanted in (("sigma", sigma, "denoising"), ("target", target, "explicit")):
            if (value is None) == (objective == wanted):
                raise TypeError(f'{name} goes with objective="{wanted}", and that with {name}; got {objective!r}')
        if objective == "implicit" and self._laplacians is None:
            raise TypeError('objective="implicit" needs laplacians')
        level = 0.0 if sigma is None else checks.positive("sigma", sigma)
        repeats = checks.integer("n_noise", n_noise, 1) if objective == "denoising" else 1
        a: Any = 0.0
        b: Any = 0.0
        for first in range(0, len(points), _ROWS):
            part = points[first : first + _ROWS]
            for k in range(repeats):
                y, wanted_score = part, None
                if objective == "denoising":
                    xi = _noise(seed, first, part.shape, k)
                    y, wanted_score = part + level * xi, -xi / level
                elif objective == "explicit":
                    assert target is not None
                    wanted_score = evaluate(target, y, name="target")
                phi = self._features(y)
                rest = np.zeros(y.shape) if self._base is None else evaluate(self._base, y, name="base")
                a = a + np.einsum("njd,nkd->jk", phi, phi)
                if wanted_score is not None:
                    b = b - np.einsum("nkd,nd->k", phi, wanted_score - rest)
                else:
                    assert self._laplacians is not None
                    laplacians = _shaped("laplacians", self._laplacians(y), phi.shape[:2])
                    b = b + laplacians.sum(axis=0) + np.einsum("nkd,nd->k", phi, rest)
        count = len(points) * repeats
        a, b = a / count, b / count
        a = a + self.ridge * np.trace(a) / len(a) * np.eye(len(a))
        self.theta = -np.linalg.solve(a, b)
        return self

    def score(self, x: ArrayLike) -> np.ndarray:
        """The fitted score at (n, dim) positions, (n, dim)."""
        points = _matrix("x", x)
        if not hasattr(self, "theta"):
            raise ValueError("the model is not fitted yet: call fit first")
        result = np.empty(points.shape)
        for first in range(0, len(points), _ROWS):
            part = points[first : first + _ROWS]
            base = 0.0 if self._base is None else evaluate(self._base, part, name="base")
            result[first : first + _ROWS] = base + np.einsum("nkd,k->nd", self._features(part), self.theta)
        return result

    def loss(self, x: ArrayLike) -> Estimate:
        """The implicit objective at (n, dim) samples: smaller is better, for held-out data."""
        return implicit(self.score, x)

    def potential(self, dim: int) -> Score:
        """A potential whose gradient is minus the score: sample it at kT = 1."""
        return Score(self.score, dim)

    def _features(self, x: np.ndarray) -> np.ndarray:
        phi = np.asarray(self._gradients(x), dtype=float)
        if phi.ndim != 3 or phi.shape[::2] != x.shape:
            raise ValueError(f"gradients must return (n, k, dim) with n, dim = {x.shape}; got {phi.shape}")
        return phi


class GaussianModel:
    """The score of a Gaussian: score matching gives the sample mean and the inverse of the sample covariance (1/n).

    Attributes
    ----------
    mean : ndarray of shape (dim,)
    precision : ndarray of shape (dim, dim)
        After :meth:`fit`.
    """

    mean: np.ndarray
    precision: np.ndarray

    def fit(self, x: ArrayLike, *, sigma: float = 0.0) -> GaussianModel:
        """Fit to samples, or (with `sigma`) to their density smoothed by that noise, which denoising would find.

        Parameters
        ----------
        x : (n, dim) array
            Samples. Without noise more than dim of them, that do not lie in a hyperplane.
        sigma : float
            >= 0.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            An argument is not allowed, or the covariance has no inverse.
        """
        points = _matrix("x", x)
        n, dim = points.shape
        noise = checks.non_negative("sigma", sigma) ** 2
        mean = points.mean(axis=0)
        covariance = (points - mean).T @ (points - mean) / n
        rank = _rank(points - mean, np.abs(points).max(axis=0))
        # with less noise than this the inverse would be made of rounding errors
        if rank < dim and not noise > dim * np.finfo(float).eps * np.trace(covariance):
            raise ValueError(
                f"x has {n} samples in dim={dim} dimensions, which span only {rank}: their covariance has no inverse. "
                "Give more samples than dimensions, or sigma > 0"
            )
        self.mean, self.precision = mean, np.linalg.inv(covariance + noise * np.eye(dim))
        return self

    def score(self, x: ArrayLike) -> np.ndarray:
        """The fitted score at (n, dim) positions, (n, dim)."""
        if not hasattr(self, "mean"):
            raise ValueError("the model is not fitted yet: call fit first")
        return -(_matrix("x", x) - self.mean) @ self.precision

    def loss(self, x: ArrayLike) -> Estimate:
        """The implicit objective at (n, dim) samples."""
        points = _matrix("x", x)
        return implicit(self.score, points, divergence=lambda x: np.full(len(x), -np.trace(self.precision)))


def rbf_model(
    centers: ArrayLike, width: float, *, base: ScoreFunction | None = None, ridge: float = 1e-3
) -> ExponentialFamily:
    """An exponential family whose statistics are Gaussian bumps.

    Parameters
    ----------
    centers : (k, dim) array
        For example some of the data.
    width : float
        Standard deviation of the bumps, > 0.
    base : callable, optional
        A score that is right far away, where the bumps vanish: ``GaussianModel().fit(x).score``.
    ridge : float
        As for :class:`ExponentialFamily`.
    """
    c, w = _matrix("centers", centers), checks.positive("width", width)

    def parts(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        difference = (x[:, np.newaxis] - c) / w
        squares = np.square(difference).sum(axis=2)
        return difference, squares, np.exp(-0.5 * squares)

    def gradients(x: np.ndarray) -> np.ndarray:
        difference, _, bumps = parts(x)
        return -difference * bumps[..., np.newaxis] / w

    def laplacians(x: np.ndarray) -> np.ndarray:
        _, squares, bumps = parts(x)
        return (squares - c.shape[1]) * bumps / w**2

    return ExponentialFamily(gradients, laplacians, base=base, ridge=ridge)


def fourier_model(
    dim: int, n_features: int, width: float, *, base: ScoreFunction | None = None, ridge: float = 1e-3, seed: int = 0
) -> ExponentialFamily:
    """An exponential family whose statistics are random Fourier features, cos(w x + b).

    Parameters
    ----------
    dim : int
        Of x.
    n_features : int
        >= 1.
    width : float
        Of the Gaussian kernel that the features stand for, > 0: w is normal with standard deviation 1/width.
    base, ridge
        As for :func:`rbf_model`.
    seed : int
        Of the frequencies.

    References
    ----------
    A. Rahimi, B. Recht, NeurIPS 2007.
    """
    dim, n = checks.integer("dim", dim, 1), checks.integer("n_features", n_features, 1)
    seed = checks.integer("seed", seed, 0, 2**64 - 1)
    streams = np.arange(n, dtype=np.uint64)
    frequencies = draw("other", seed, streams, 0, dim, np.float64) / checks.positive("width", width)
    phases = 2.0 * np.pi * draw("other", seed, streams, 4 * dim, 1, np.float64, uniform=True)[:, 0]
    squares = np.square(frequencies).sum(axis=1)

    def gradients(x: np.ndarray) -> np.ndarray:
        return -np.sin(x @ frequencies.T + phases)[..., np.newaxis] * frequencies

    def laplacians(x: np.ndarray) -> np.ndarray:
        return -np.cos(x @ frequencies.T + phases) * squares

    return ExponentialFamily(gradients, laplacians, base=base, ridge=ridge)


def _rank(centered: np.ndarray, size: np.ndarray) -> int:
    """How many dimensions centered samples span, whatever the units of the components; `size`: before centering."""
    spread = np.sqrt(np.square(centered).mean(axis=0))
    moves = spread > 4 * np.finfo(float).eps * size
    if not moves.any():
        return 0
    # n centered samples span n - 1 dimensions at most, which rounding could hide
    return min(int(np.linalg.matrix_rank(centered[:, moves] / spread[moves])), len(centered) - 1)


def _matrix(name: str, x: ArrayLike) -> np.ndarray:
    return checks.finite_array(name, x, shape=(None, None))


def _shaped(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(value, dtype=float)
    if array.shape != shape:
        raise ValueError(f"{name} must return an array of shape {shape}; it returned {array.shape}")
    return array


def _noise(seed: int, first: int, shape: tuple[int, ...], k: int) -> np.ndarray:
    """The k-th vector of noise of samples `first`, `first` + 1, ..."""
    seed = checks.integer("seed", seed, 0, 2**64 - 1)
    n, dim = shape
    return draw("other", seed, np.arange(first, first + n, dtype=np.uint64), k * dim, dim, np.float64)
