"""GaussianMixture: a normalised mixture of Gaussians."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from .base import Potential, inverse_covariance

_LOG_2PI = 1.8378770664093453


class GaussianMixture(Potential):
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
