"""Rosenbrock: a banana-shaped valley."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..functions import Functions
from .compiled import CompiledPotential


def _gradient(x: Any, g: Any, p: Any) -> None:
    d = x[0] - p[1]
    t = x[1] - x[0] * x[0]
    sd, bt = p[0] * d, p[2] * t
    g[0] = (sd + sd) - 4.0 * (x[0] * bt)
    g[1] = bt + bt


def _energy(x: Any, p: Any) -> Any:
    d = x[0] - p[1]
    t = x[1] - x[0] * x[0]
    return (p[0] * d) * d + (p[2] * t) * t


class Rosenbrock(CompiledPotential):
    r"""Rosenbrock's banana-shaped valley in two dimensions.

    .. math:: U(x, y) = s \left( (a - x)^2 + b\,(y - x^2)^2 \right)

    At temperature kT, x is normal with mean a and variance kT / (2 s), and y given x is normal with mean x²
    and variance kT / (2 s b).

    Parameters
    ----------
    a : float, default 1
        Position of the minimum along x, length.
    b : float, default 100
        Steepness of the valley's walls, > 0.
    scale : float, default 1
        Factor s on the energies, > 0.

    Notes
    -----
    Default start: the minimum, (a, a²).

    Raises
    ------
    TypeError, ValueError
        An argument is not a finite number or out of the range given above.

    References
    ----------
    Rosenbrock: An automatic method for finding the greatest or least value of a function. Comput. J. 3,
    175-184 (1960).

    Examples
    --------
    >>> Rosenbrock(scale=0.05)
    Rosenbrock(a=1.0, b=100.0, scale=0.05)
    """

    kind = "Rosenbrock"
    functions = Functions(_gradient, _energy)
    a: float
    b: float
    scale: float

    def __init__(self, a: float = 1.0, b: float = 100.0, scale: float = 1.0) -> None:
        a = checks.finite("a", a)
        b = checks.positive("b", b)
        s = checks.positive("scale", scale)
        super().__init__(
            dim=2, parameters=[s, a, s * b], default_start=[a, a * a], arguments={"a": a, "b": b, "scale": s}
        )
