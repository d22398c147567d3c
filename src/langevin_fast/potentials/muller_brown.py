"""MullerBrown: three minima in two dimensions."""

from __future__ import annotations

from typing import Any

from .. import checks
from ..functions import Functions
from ..math import exp
from .compiled import CompiledPotential

# one column per term: A, a, b, c, X, Y
_HEIGHT = (-200.0, -100.0, -170.0, 15.0)
_XX = (-1.0, -1.0, -6.5, 0.7)
_XY = (0.0, 0.0, 11.0, 0.6)
_YY = (-10.0, -10.0, -6.5, 0.7)
_X = (1.0, 0.0, -0.5, -1.0)
_Y = (0.0, 0.5, 1.5, 1.0)


def _gradient(x: Any, g: Any, p: Any) -> None:
    gx, gy = 0.0, 0.0
    for k in range(4):
        a, b, c = p[4 + k], p[8 + k], p[12 + k]
        dx, dy = x[0] - p[16 + k], x[1] - p[20 + k]
        ax, bx, cy = a * dx, b * dx, c * dy
        term = p[k] * exp(ax * dx + (bx + cy) * dy)
        gx = gx + term * ((ax + ax) + b * dy)
        gy = gy + term * (bx + (cy + cy))
    g[0] = gx
    g[1] = gy


def _energy(x: Any, p: Any) -> Any:
    total = 0.0
    for k in range(4):
        a, b, c = p[4 + k], p[8 + k], p[12 + k]
        dx, dy = x[0] - p[16 + k], x[1] - p[20 + k]
        total = total + p[k] * exp((a * dx) * dx + (b * dx + c * dy) * dy)
    return total


def _energy_gradient(x: Any, g: Any, p: Any) -> Any:
    total, gx, gy = 0.0, 0.0, 0.0
    for k in range(4):
        a, b, c = p[4 + k], p[8 + k], p[12 + k]
        dx, dy = x[0] - p[16 + k], x[1] - p[20 + k]
        ax, bx, cy = a * dx, b * dx, c * dy
        term = p[k] * exp(ax * dx + (bx + cy) * dy)
        total = total + term
        gx = gx + term * ((ax + ax) + b * dy)
        gy = gy + term * (bx + (cy + cy))
    g[0] = gx
    g[1] = gy
    return total


class MullerBrown(CompiledPotential):
    r"""The two-dimensional Müller-Brown surface: three minima joined by a bent valley.

    .. math::
        U(x, y) = s \sum_{k=1}^4 A_k
            \exp\left( a_k (x - X_k)^2 + b_k (x - X_k)(y - Y_k) + c_k (y - Y_k)^2 \right)

    with A = (-200, -100, -170, 15), a = (-1, -1, -6.5, 0.7), b = (0, 0, 11, 0.6), c = (-10, -10, -6.5, 0.7),
    X = (1, 0, -0.5, -1), Y = (0, 0.5, 1.5, 1). The minima lie at (-0.558, 1.442), (0.623, 0.028) and (-0.050,
    0.467), with energies -146.70, -108.17 and -80.77 for scale 1; the saddles between them at -40.66 and
    -72.25. At kT = 1 with scale 1 nothing ever crosses: use kT of 10 to 20, or a small scale.

    Parameters
    ----------
    scale : float, default 1
        Factor s on the energies, energy, > 0.

    Notes
    -----
    Default start: the deepest minimum, (-0.5582236346330243, 1.4417258418046686).

    Raises
    ------
    TypeError, ValueError
        `scale` is not a finite number > 0.

    References
    ----------
    Müller, Brown: Location of saddle points and minimum energy paths by a constrained simplex optimization
    procedure. Theor. Chim. Acta 53, 75-93 (1979).

    Examples
    --------
    >>> MullerBrown(scale=0.1)
    MullerBrown(scale=0.1)
    """

    kind = "MullerBrown"
    functions = Functions(_gradient, _energy, _energy_gradient)
    scale: float

    def __init__(self, scale: float = 1.0) -> None:
        s = checks.positive("scale", scale)
        super().__init__(
            dim=2,
            parameters=[*(s * height for height in _HEIGHT), *_XX, *_XY, *_YY, *_X, *_Y],
            default_start=[-0.5582236346330243, 1.4417258418046686],
            arguments={"scale": s},
        )
