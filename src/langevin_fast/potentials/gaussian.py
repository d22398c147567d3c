"""Gaussian: a correlated Gaussian."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from .compiled import CompiledPotential, inverse_covariance


def _gradient(x: Any, g: Any, p: Any) -> None:
    n = len(x)
    for i in range(n):
        total = p[n + i * n] * (x[0] - p[0])
        for j in range(1, n):
            total = total + p[n + i * n + j] * (x[j] - p[j])
        g[i] = total


def _energy(x: Any, p: Any) -> Any:
    n = len(x)
    energy = 0.0
    for i in range(n):
        total = p[n + i * n] * (x[0] - p[0])
        for j in range(1, n):
            total = total + p[n + i * n + j] * (x[j] - p[j])
        energy = energy + total * (x[i] - p[i])
    return 0.5 * energy


class Gaussian(CompiledPotential):
    r"""A correlated Gaussian: at kT = 1 its Boltzmann law is N(mean, covariance).

    .. math:: U(x) = \tfrac12 (x - \mu)^\mathsf{T} \Sigma^{-1} (x - \mu)

    At another temperature the law is N(mean, kT · covariance).

    Parameters
    ----------
    mean : (dim,) array
        μ. A scalar means one component.
    covariance : (dim, dim) array
        Σ, symmetric and positive definite. For one component a scalar (the variance) will do.

    Notes
    -----
    Default start: the mode, `mean`.

    Raises
    ------
    TypeError, ValueError
        An entry is not a finite number, the shapes do not fit, or the covariance is not symmetric (to 1e-10
        of its largest entry) or not positive definite.

    Examples
    --------
    >>> Gaussian(mean=[0.0, 1.0], covariance=[[2.0, 0.5], [0.5, 1.0]])
    Gaussian(mean=[0.0, 1.0], covariance=[[2.0, 0.5], [0.5, 1.0]])
    """

    kind = "Gaussian"
    functions = Functions(_gradient, _energy)
    mean: FloatArray
    covariance: FloatArray

    def __init__(self, mean: npt.ArrayLike, covariance: npt.ArrayLike) -> None:
        mu = checks.finite_array("mean", mean, ndim=(0, 1)).reshape(-1)
        dim = len(mu)
        if dim == 1 and np.ndim(covariance) == 0:
            sigma = checks.positive_array("covariance", covariance).reshape(1, 1)
        else:
            sigma = checks.symmetric_matrix("covariance", covariance, dim)
        precision, _ = inverse_covariance("covariance", sigma)
        super().__init__(
            dim=dim,
            parameters=np.concatenate([mu, precision.reshape(-1)]),
            default_start=mu,
            arguments={"mean": mu, "covariance": sigma},
        )

    @property
    def largest_curvature(self) -> float:
        """The inverse of the smallest eigenvalue of the covariance."""
        return float(1.0 / np.linalg.eigvalsh(self.covariance)[0])
