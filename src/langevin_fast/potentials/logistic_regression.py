"""LogisticRegression: a Bayesian posterior."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from ..math import exp, log, maximum, where
from .compiled import CompiledPotential, inverse_square

_LOG_2 = 0.6931471805599453


def _product(x: Any, p: Any, row: int) -> Any:
    """One row of X times beta."""
    total = p[row] * x[0]
    for c in range(1, len(x)):
        total = total + p[row + c] * x[c]
    return total


def _residual(z: Any, label: Any) -> Any:
    positive = z > 0.0
    e = exp(where(positive, -z, z))
    return where(positive, 1.0, e) / (1.0 + e) - label


def _surprise(z: Any, label: Any) -> Any:
    """Minus the log likelihood of an observation."""
    return (maximum(z, 0.0) + log(1.0 + exp(where(z > 0.0, -z, z)))) - label * z


def _gradient(x: Any, g: Any, p: Any) -> None:
    n, dim = int(p[1]), len(x)
    labels = 2 + n * dim
    for c in range(dim):
        g[c] = p[0] * x[c]
    for i in range(0, n, 4):
        r0 = 2 + i * dim
        r1, r2, r3 = r0 + dim, r0 + 2 * dim, r0 + 3 * dim
        z0 = _residual(_product(x, p, r0), p[labels + i])
        z1 = _residual(_product(x, p, r1), p[labels + i + 1])
        z2 = _residual(_product(x, p, r2), p[labels + i + 2])
        z3 = _residual(_product(x, p, r3), p[labels + i + 3])
        for c in range(dim):
            g[c] = g[c] + ((z0 * p[r0 + c] + z1 * p[r1 + c]) + (z2 * p[r2 + c] + z3 * p[r3 + c]))


def _energy(x: Any, p: Any) -> Any:
    n, dim = int(p[1]), len(x)
    labels = 2 + n * dim
    squares, total = 0.0, 0.0
    for c in range(dim):
        squares = squares + (p[0] * x[c]) * x[c]
    for i in range(n):
        total = total + _surprise(_product(x, p, 2 + i * dim), p[labels + i])
    return (total - p[labels + n]) + 0.5 * squares


class LogisticRegression(CompiledPotential):
    r"""Minus the log posterior of Bayesian logistic regression with a normal prior.

    .. math::
        U(\beta) = \sum_n \left( \log(1 + e^{z_n}) - y_n z_n \right) + \frac{|\beta|^2}{2 s^2},
        \qquad z = X \beta

    At kT = 1 the Boltzmann law of β is the posterior. Large |z| neither overflow nor lose precision.

    Parameters
    ----------
    X : (n, dim) array
        Features, one row per observation. There is no hidden intercept: append a column of ones if you want
        one.
    y : (n,) array
        Labels, 0 or 1 (or booleans).
    prior_scale : float
        Standard deviation s of the prior of every coefficient, > 0. Keyword only.

    Notes
    -----
    Default start: zeros, the mode of the prior.

    Raises
    ------
    TypeError, ValueError
        An entry is not a finite number, a label is neither 0 nor 1, `prior_scale` is not > 0, or the shapes
        do not fit.

    Examples
    --------
    >>> LogisticRegression([[1.0, 0.5], [1.0, -2.0]], [1, 0], prior_scale=1.0)
    LogisticRegression(X=[[1.0, 0.5], [1.0, -2.0]], y=[1.0, 0.0], prior_scale=1.0)
    """

    kind = "LogisticRegression"
    functions = Functions(_gradient, _energy)
    X: FloatArray
    y: FloatArray
    prior_scale: float

    def __init__(self, X: npt.ArrayLike, y: npt.ArrayLike, *, prior_scale: float) -> None:
        features = checks.finite_array("X", X, shape=(None, None))
        n, dim = features.shape
        labels = np.asanyarray(y)
        labels = checks.finite_array("y", labels.astype(np.int8) if labels.dtype == bool else labels, shape=(n,))
        wrong = (labels != 0) & (labels != 1)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise ValueError(f"every entry of y must be 0 or 1, got y[{i}] = {float(labels[i])!r}")
        prior_scale = checks.positive("prior_scale", prior_scale)
        # the compiled code takes four rows at a time; a row of zeros adds log 2, which it takes off again
        padding = -n % 4
        super().__init__(
            dim=dim,
            parameters=np.concatenate(
                [
                    [inverse_square("prior_scale", prior_scale), n + padding],
                    features.reshape(-1),
                    np.zeros(padding * dim),
                    labels,
                    np.zeros(padding),
                    [padding * _LOG_2],
                ]
            ),
            default_start=np.zeros(dim),
            arguments={"X": features, "y": labels, "prior_scale": prior_scale},
        )
