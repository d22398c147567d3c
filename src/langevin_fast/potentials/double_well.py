"""DoubleWell: two wells along the first component."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import checks
from ..functions import Functions
from .base import dimension
from .compiled import CompiledPotential, inverse_square


def _gradient(x: Any, g: Any, p: Any) -> None:
    g[0] = (x[0] * x[0]) * (p[4] * x[0]) - (p[5] * x[0] - p[2])
    for c in range(1, len(x)):
        g[c] = p[3] * x[c]


def _energy(x: Any, p: Any) -> Any:
    q = (x[0] * x[0]) * p[1] - 1.0
    total = 0.0
    for c in range(1, len(x)):
        total = total + x[c] * x[c]
    return (p[0] * (q * q) + p[2] * x[0]) + (0.5 * p[3]) * total


class DoubleWell(CompiledPotential):
    r"""Two wells along the first component, springs along the others.

    .. math:: U(x) = b \left((x_1/w)^2 - 1\right)^2 + t\,x_1 + \tfrac12 k \sum_{i \ge 2} x_i^2

    Parameters
    ----------
    barrier : float, default 1
        Height b of the barrier over the wells (of the untilted potential), energy, > 0.
    width : float, default 1
        Distance w from the barrier to either well, length, > 0.
    tilt : float, default 0
        Slope t, energy / length. A positive tilt makes the left well the deeper one.
    dim : int, default 1
        Number of components, >= 1.
    stiffness : float, default 1
        Spring constant k of the components after the first, energy / length², >= 0.

    Notes
    -----
    Default start: the left well, (-width, 0, ...). It is the minimum without a tilt and near it with a small
    one.

    Raises
    ------
    TypeError, ValueError
        An argument is not a finite number or out of the range given above.

    Examples
    --------
    >>> DoubleWell(barrier=3.0, tilt=0.5)
    DoubleWell(barrier=3.0, width=1.0, tilt=0.5, dim=1, stiffness=1.0)
    """

    kind = "DoubleWell"
    functions = Functions(_gradient, _energy)
    barrier: float
    width: float
    tilt: float
    stiffness: float

    def __init__(
        self,
        barrier: float = 1.0,
        width: float = 1.0,
        tilt: float = 0.0,
        dim: int = 1,
        stiffness: float = 1.0,
    ) -> None:
        b = checks.positive("barrier", barrier)
        w = checks.positive("width", width)
        t = checks.finite("tilt", tilt)
        dim = dimension("dim", dim)
        k = checks.non_negative("stiffness", stiffness)
        over_w2 = inverse_square("width", w)
        start = np.zeros(dim)
        start[0] = -w
        super().__init__(
            dim=dim,
            parameters=[b, over_w2, t, k, 4.0 * b * over_w2 * over_w2, 4.0 * b * over_w2],
            default_start=start,
            arguments={"barrier": b, "width": w, "tilt": t, "dim": dim, "stiffness": k},
        )

    def parameters_of(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """See :meth:`Potential.parameters_of`."""
        rows = self.rows_of(values)
        b, w, t, k = (rows[name] for name in ("barrier", "width", "tilt", "stiffness"))
        over_w2 = 1.0 / (w * w)
        return np.stack([b, over_w2, t, k, 4.0 * b * over_w2 * over_w2, 4.0 * b * over_w2], axis=1)
