"""NealFunnel: a scale that varies by orders of magnitude."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..functions import Functions
from ..math import exp
from .base import dimension
from .compiled import CompiledPotential, inverse_square


def _gradient(x: Any, g: Any, p: Any) -> None:
    scale = exp(-x[0])
    squares = 0.0
    for c in range(1, len(x)):
        squares = squares + x[c] * x[c]
        g[c] = x[c] * scale
    g[0] = (p[0] * x[0] - 0.5 * (squares * scale)) + p[1]


def _energy(x: Any, p: Any) -> Any:
    scale = exp(-x[0])
    squares = 0.0
    for c in range(1, len(x)):
        squares = squares + x[c] * x[c]
    return (0.5 * ((p[0] * x[0]) * x[0]) + 0.5 * (squares * scale)) + p[1] * x[0]


class NealFunnel(CompiledPotential):
    r"""Neal's funnel: the first component sets the width of all the others.

    .. math::
        U(v, x) = \frac{v^2}{2 \sigma^2} + \sum_{i=2}^{d} \left( \tfrac12 x_i^2 e^{-v} + \tfrac{v}{2} \right)

    At kT = 1, v (the first component) is normal with mean 0 and variance σ², and every x_i given v is normal
    with mean 0 and variance e^v.

    Parameters
    ----------
    dim : int
        Number of components d, v included, >= 2.
    sigma : float, default 3
        Standard deviation σ of v, > 0.

    Notes
    -----
    Default start: the origin, the mean of the law. (Its mode, v = -σ² (dim - 1)/2, lies deep in the neck: a
    bad start.)

    Raises
    ------
    TypeError, ValueError
        An argument is not a finite number or out of the range given above.

    References
    ----------
    Neal: Slice sampling. Ann. Stat. 31, 705-767 (2003).

    Examples
    --------
    >>> NealFunnel(10)
    NealFunnel(dim=10, sigma=3.0)
    """

    kind = "NealFunnel"
    functions = Functions(_gradient, _energy)
    sigma: float

    def __init__(self, dim: int, sigma: float = 3.0) -> None:
        dim = dimension("dim", dim, minimum=2)
        sigma = checks.positive("sigma", sigma)
        super().__init__(
            dim=dim,
            parameters=[inverse_square("sigma", sigma), 0.5 * (dim - 1)],
            default_start=np.zeros(dim),
            arguments={"dim": dim, "sigma": sigma},
        )
