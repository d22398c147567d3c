"""Ring: a ring or shell around the origin."""

from __future__ import annotations

import numpy as np

from .. import checks
from .base import Potential, inverse_square


class Ring(Potential):
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
    radius: float
    width: float

    def __init__(self, radius: float = 1.0, width: float = 0.25, dim: int = 2) -> None:
        radius = checks.positive("radius", radius)
        width = checks.positive("width", width)
        dim = checks.integer("dim", dim, minimum=1)
        start = np.zeros(dim)
        start[0] = radius
        super().__init__(
            dim=dim,
            parameters=[radius, inverse_square("width", width)],
            default_start=start,
            arguments={"radius": radius, "width": width, "dim": dim},
        )
