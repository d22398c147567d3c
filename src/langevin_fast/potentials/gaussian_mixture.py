"""GaussianMixture: a normalised mixture of Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from ..math import exp, log, maximum
from .compiled import CompiledPotential, inverse_covariance

_LOG_2PI = 1.8378770664093453


def _row(x: Any, p: Any, mean: int, matrix: int, i: int) -> Any:
    """Row i of a matrix times x - mean."""
    total = p[matrix + i * len(x)] * (x[0] - p[mean])
    for j in range(1, len(x)):
        total = total + p[matrix + i * len(x) + j] * (x[j] - p[mean + j])
    return total


def _term(x: Any, p: Any, k: int) -> Any:
    """The logarithm of Gaussian k with its weight."""
    n, dim = int(p[0]), len(x)
    mean, precision = 2 + n + k * dim, 2 + n + n * dim
    q = 0.0 * x[0]
    if p[1] != 0.0:
        q = 0.0
        for c in range(dim):
            d = x[c] - p[mean + c]
            q = q + d * d
        q = q * p[precision + k]
    else:
        q = 0.0
        for i in range(dim):
            q = q + _row(x, p, mean, precision + k * dim * dim, i) * (x[i] - p[mean + i])
    return p[2 + k] - 0.5 * q


def _largest(x: Any, p: Any) -> Any:
    largest = _term(x, p, 0)
    for k in range(1, int(p[0])):
        largest = maximum(largest, _term(x, p, k))
    return largest


def _gradient(x: Any, g: Any, p: Any) -> None:
    n, dim = int(p[0]), len(x)
    largest = _largest(x, p)
    total = 0.0
    for c in range(dim):
        g[c] = 0.0 * largest
    for k in range(n):
        e = exp(_term(x, p, k) - largest)
        total = total + e
        mean, precision = 2 + n + k * dim, 2 + n + n * dim
        if p[1] != 0.0:
            ep = e * p[precision + k]
            for c in range(dim):
                g[c] = g[c] + ep * (x[c] - p[mean + c])
        else:
            for c in range(dim):
                g[c] = g[c] + e * _row(x, p, mean, precision + k * dim * dim, c)
    inverse = 1.0 / total
    for c in range(dim):
        g[c] = g[c] * inverse


def _energy(x: Any, p: Any) -> Any:
    largest = _largest(x, p)
    total = 0.0
    for k in range(int(p[0])):
        total = total + exp(_term(x, p, k) - largest)
    return -(largest + log(total))


class GaussianMixture(CompiledPotential):
    r"""Minus the logarithm of a normalised mixture of Gaussians: at kT = 1 its Boltzmann law is the mixture.

    .. math:: U(x) = -\log \sum_{k=1}^K w_k\, N(x; \mu_k, \Sigma_k)

    Parameters
    ----------
    weights : (K,) array
        w, > 0. They are divided by their sum: the attribute `weights` holds the normalised ones.
    means : (K, dim) array
        μ. Shape (K,) means one component.
    covariances : (K, dim, dim) array, (K,) array or float
        Σ: full symmetric positive definite matrices, or variances (> 0) of isotropic Gaussians, one per
        Gaussian or one for all. Isotropic ones are evaluated faster.

    Notes
    -----
    Default start: the mean of the Gaussian with the largest weight (the first of them).

    Raises
    ------
    TypeError, ValueError
        An entry is not a finite number or out of the range given above, the shapes do not fit, or a
        covariance is not symmetric (to 1e-10 of its largest entry) or not positive definite.

    Examples
    --------
    >>> GaussianMixture(weights=[1, 3], means=[[-5, -5], [5, 5]], covariances=1.0)
    GaussianMixture(weights=[0.25, 0.75], means=[[-5.0, -5.0], [5.0, 5.0]], covariances=[1.0, 1.0])
    """

    kind = "GaussianMixture"
    functions = Functions(_gradient, _energy)
    weights: FloatArray
    means: FloatArray
    covariances: FloatArray

    def __init__(self, weights: npt.ArrayLike, means: npt.ArrayLike, covariances: npt.ArrayLike) -> None:
        from .. import _core

        w = checks.positive_array("weights", weights, shape=(None,))
        n = len(w)
        # one after the other: np.sum's order depends on the processor, and Python's sum() on the version
        total = 0.0
        for weight in w.tolist():
            total += weight
        w = w / total
        mu = checks.finite_array("means", means, shape=(n,) if np.ndim(means) == 1 else (n, None))
        mu = mu.reshape(n, -1)
        dim = mu.shape[1]

        axes = np.ndim(covariances)
        if axes <= 1:
            sigma = checks.positive_array("covariances", covariances, shape=(n,) if axes else ())
            sigma = np.zeros(n) + sigma
            precision = 1.0 / sigma
            log_determinant = dim * _core.log(sigma)
        else:
            sigma = checks.finite_array("covariances", covariances, shape=(n, dim, dim))
            precision = np.empty_like(sigma)
            log_determinant = np.empty(n)
            for k in range(n):
                name = f"covariances[{k}]"
                sigma[k] = checks.symmetric_matrix(name, sigma[k], dim)
                precision[k], log_determinant[k] = inverse_covariance(name, sigma[k])
        log_weight = (_core.log(w) - 0.5 * dim * _LOG_2PI) - 0.5 * log_determinant

        super().__init__(
            dim=dim,
            parameters=np.concatenate(
                [[n, 1.0 if axes <= 1 else 0.0], log_weight, mu.reshape(-1), precision.reshape(-1)]
            ),
            default_start=mu[int(np.argmax(w))],
            arguments={"weights": w, "means": mu, "covariances": sigma},
        )
