"""KernelDensity: Parzen's estimate of a density from data, and its score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..functions import Functions
from ..math import log, where
from ..potentials.base import Potential
from ..potentials.compiled import FunctionPotential
from ..potentials.gaussian_mixture import GaussianMixture

KERNELS = ("gaussian", "epanechnikov", "uniform")
RULES = ("scott", "silverman", "likelihood")


class KernelDensity:
    r"""Parzen's kernel density estimate, with its score in closed form.

    .. math:: p(x) = \frac{1}{n h^d} \sum_i K\!\left(\frac{x - x_i}{h}\right)

    Parameters
    ----------
    data : (n, dim) array
        The samples. Shape (n,) means one dimension.
    bandwidth : float or {"scott", "silverman", "likelihood"}
        h, in length units. "scott": n^(-1/(dim + 4)) times the root of the mean variance of the components (in one
        dimension SciPy's rule); "silverman": the same with (n (dim + 2)/4)^(-1/(dim + 4)); "likelihood": the h that
        maximises the mean log density of each sample under the estimate from all others (needs SciPy). Copies of a
        sample are left out with it: they would make h = 0 the best.
    kernel : {"gaussian", "epanechnikov", "uniform"}
        The standard normal density; c (1 - u^2) in the unit ball; constant in the unit ball (normalised in dim
        dimensions, as in scikit-learn).

    Attributes
    ----------
    data : ndarray of shape (n, dim)
    bandwidth : float
    kernel : str

    Notes
    -----
    The Gaussian estimate is smooth and positive everywhere. The other two vanish outside the balls around the data, and
    have no score there: it is NaN. Epanechnikov's score diverges at the border of the support. The uniform estimate is
    constant between jumps: its score is 0 inside the support, which is of no use to score matching.

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed.

    References
    ----------
    E. Parzen, Ann. Math. Stat. 33 (1962) 1065. B. W. Silverman, Density Estimation, 1986, sections 3.4 and 4.3.

    Examples
    --------
    >>> kde = KernelDensity([-1.2, 0.3, 0.7, 2.5], bandwidth=0.5)
    >>> kde.density([[0.0]]).round(4)
    array([0.2527])
    """

    def __init__(self, data: ArrayLike, bandwidth: float | str = "scott", kernel: str = "gaussian") -> None:
        checks.one_of("kernel", kernel, KERNELS)
        points = checks.finite_array("data", data)
        if points.ndim == 1:
            points = points[:, np.newaxis]
        if points.ndim != 2 or not points.size:
            raise ValueError(f"data must have the shape (n, dim); got {np.shape(data)}")
        self.data, self.kernel = points.copy(), kernel
        self.data.flags.writeable = False
        if isinstance(bandwidth, str):
            checks.one_of("bandwidth", bandwidth, RULES)
            if len(points) < 2 or not points.var(axis=0).sum() > 0:
                raise ValueError(f'bandwidth="{bandwidth}" needs at least two different samples; give a number')
            self.bandwidth = _rule(bandwidth, points, kernel)
        else:
            self.bandwidth = checks.positive("bandwidth", bandwidth)
        if kernel == "gaussian":
            n = len(points)
            self._potential: Potential = GaussianMixture(np.ones(n), points, self.bandwidth**2)
        else:
            self._potential = _Compact(points, self.bandwidth, kernel)

    def __repr__(self) -> str:
        n, dim = self.data.shape
        return (
            f"<KernelDensity of {n} points in {dim} dimensions, bandwidth={self.bandwidth:.6g}, kernel={self.kernel!r}>"
        )

    @property
    def potential(self) -> Potential:
        """U = -log p, a potential for every scheme: at kT = 1 they sample the estimate. Gaussian kernel only."""
        if self.kernel != "gaussian":
            raise ValueError(
                f'kernel="{self.kernel}" vanishes outside its support and gives no potential; use "gaussian"'
            )
        return self._potential

    def log_density(self, x: ArrayLike) -> np.ndarray:
        """log p at (..., dim) points; -inf where the density is 0."""
        return -self._potential.energy(x)

    def density(self, x: ArrayLike) -> np.ndarray:
        """p at (..., dim) points, in length^-dim."""
        return np.exp(self.log_density(x))

    def score(self, x: ArrayLike) -> np.ndarray:
        """The gradient of log p at (..., dim) points, in 1/length; NaN where the density is 0."""
        return -self._potential.gradient(x)


# --- kernels of compact support ---------------------------------------------------------------------------------------


def _distance(x: Any, p: Any, i: int) -> Any:
    """Of x from sample i, squared, in bandwidths."""
    total = 0.0
    for c in range(len(x)):
        d = x[c] - p[3 + i * len(x) + c]
        total = total + d * d
    return total * p[1]


def _epanechnikov_sum(x: Any, p: Any) -> Any:
    total = 0.0
    for i in range(int(p[0])):
        u = _distance(x, p, i)
        total = total + where(u < 1.0, 1.0 - u, 0.0)
    return total


def _epanechnikov_energy(x: Any, p: Any) -> Any:
    return p[2] - log(_epanechnikov_sum(x, p))


def _epanechnikov_gradient(x: Any, g: Any, p: Any) -> None:
    total = _epanechnikov_sum(x, p)
    for c in range(len(x)):
        slope = 0.0
        for i in range(int(p[0])):
            inside = _distance(x, p, i) < 1.0
            slope = slope + where(inside, x[c] - p[3 + i * len(x) + c], 0.0)
        g[c] = (2.0 * p[1]) * slope / total  # 0/0 outside the support


def _count(x: Any, p: Any) -> Any:
    total = 0.0
    for i in range(int(p[0])):
        total = total + where(_distance(x, p, i) <= 1.0, 1.0, 0.0)
    return total


def _uniform_energy(x: Any, p: Any) -> Any:
    return p[2] - log(_count(x, p))


def _uniform_gradient(x: Any, g: Any, p: Any) -> None:
    total = _count(x, p)
    for c in range(len(x)):
        g[c] = (total - total) / total  # 0, and 0/0 outside the support


class _Compact(FunctionPotential):
    """-log p for the kernels that vanish outside a ball."""

    def __init__(self, points: np.ndarray, bandwidth: float, kernel: str) -> None:
        n, dim = points.shape
        ball = math.pi ** (dim / 2) / math.gamma(dim / 2 + 1)
        constant = 1.0 / ball if kernel == "uniform" else (dim + 2) / (2.0 * ball)
        log_normalisation = math.log(n) + dim * math.log(bandwidth) - math.log(constant)
        super().__init__(
            dim=dim,
            parameters=np.concatenate([[n, bandwidth**-2, log_normalisation], points.reshape(-1)]),
            default_start=points[0],
            arguments={},
        )
        pair = (
            Functions(_uniform_gradient, _uniform_energy)
            if kernel == "uniform"
            else Functions(_epanechnikov_gradient, _epanechnikov_energy)
        )
        self.__dict__["functions"] = pair

    def made_by(self) -> None:
        """See :meth:`Potential.made_by`."""
        return None


# --- bandwidths -------------------------------------------------------------------------------------------------------


def _rule(rule: str, points: np.ndarray, kernel: str) -> float:
    n, dim = points.shape
    spread = math.sqrt(points.var(axis=0, ddof=1).mean())
    scott = spread * n ** (-1.0 / (dim + 4))
    if rule == "scott":
        return scott
    if rule == "silverman":
        return spread * (n * (dim + 2) / 4.0) ** (-1.0 / (dim + 4))
    if kernel != "gaussian":
        raise ValueError(f'bandwidth="likelihood" needs kernel="gaussian": with "{kernel}" outliers have density 0')
    try:
        from scipy.optimize import minimize_scalar
        from scipy.spatial.distance import cdist
        from scipy.special import logsumexp
    except ImportError:
        raise ImportError(
            'bandwidth="likelihood" needs SciPy, which is not installed: pip install "langevin-fast[score]"'
        ) from None
    rows = max(1, 2**24 // n)

    def squares(first: int) -> np.ndarray:
        """Squared distances of some samples from all others; infinite to themselves and their copies."""
        result = cdist(points[first : first + rows], points, "sqeuclidean")
        result[result == 0.0] = np.inf
        return result

    def loss(log_h: float) -> float:
        total, h = 0.0, math.exp(log_h)
        for first in range(0, n, rows):
            total += logsumexp(squares(first) / (-2.0 * h * h), axis=1).sum()
        return -(total / n - dim * log_h)

    # Where the slope vanishes, dim h^2 is the mean over the samples of a weighted mean of the squared distances, with
    # weights that fall with distance: between the smallest one and the plain mean.
    smallest = largest = 0.0
    for first in range(0, n, rows):
        d2 = squares(first)
        smallest += d2.min(axis=1).sum()
        largest += np.mean(d2, axis=1, where=np.isfinite(d2)).sum()
    low, high = (0.5 * math.log(total / n / dim) for total in (smallest, largest))
    # both are equal where all distances are
    bounds = (low - 0.01, high + 0.01)
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x)
