"""Ring: a ring or shell around the origin."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..functions import Functions
from ..math import sqrt, where
from .base import dimension
from .compiled import CompiledPotential, inverse_square


def _length(x: Any) -> Any:
    squares = x[0] * x[0]
    for c in range(1, len(x)):
        squares = squares + x[c] * x[c]
    return sqrt(squares)


def _gradient(x: Any, g: Any, p: Any) -> None:
    length = _length(x)
    over_length = where(length == 0.0, 0.0, (p[1] * (length - p[0])) / length)
    for c in range(len(x)):
        g[c] = over_length * x[c]


def _energy(x: Any, p: Any) -> Any:
    excess = _length(x) - p[0]
    return 0.5 * ((p[1] * excess) * excess)


class Ring(CompiledPotential):
    r"""A ring (in more dimensions a shell) around the origin.

    .. math:: U(x) = \frac{(|x| - r)^2}{2 w^2}

    The potential has a cusp at the origin, where its gradient is not defined: there it is set to 0.

    Parameters
    ----------
    radius : float, default 1
        r, length, > 0.
    width : float, default 0.25
        w, the standard deviation of the distance from the ring at kT = 1 (but for the growth of the area with
        |x|), > 0.
    dim : int, default 2
        Number of components, >= 1.

    Notes
    -----
    Default start: (radius, 0, ...), one of the minima.

    Raises
    ------
    TypeError, ValueError
        An argument is not a finite number or out of the range given above.

    Examples
    --------
    >>> Ring(radius=2.0)
    Ring(radius=2.0, width=0.25, dim=2)
    """

    kind = "Ring"
    functions = Functions(_gradient, _energy)
    radius: float
    width: float

    def __init__(self, radius: float = 1.0, width: float = 0.25, dim: int = 2) -> None:
        radius = checks.positive("radius", radius)
        width = checks.positive("width", width)
        dim = dimension("dim", dim)
        start = np.zeros(dim)
        start[0] = radius
        super().__init__(
            dim=dim,
            parameters=[radius, inverse_square("width", width)],
            default_start=start,
            arguments={"radius": radius, "width": width, "dim": dim},
        )
