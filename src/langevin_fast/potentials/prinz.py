"""Prinz: four wells in one dimension."""

from __future__ import annotations

from typing import Any

from ..functions import Functions
from ..math import exp
from .compiled import CompiledPotential


def _gradient(x: Any, g: Any, p: Any) -> None:
    u = x[0]
    left, right = u - 0.5, u + 0.5
    e1 = exp(-80.0 * (u * u))
    e2 = exp(-80.0 * (left * left))
    e3 = exp(-40.0 * (right * right))
    u2 = u * u
    u4 = u2 * u2
    wells = (128.0 * (u * e1) + 32.0 * (left * e2)) + 40.0 * (right * e3)
    g[0] = 4.0 * (8.0 * ((u4 * u2) * u) - wells)


def _energy(x: Any, p: Any) -> Any:
    u = x[0]
    left, right = u - 0.5, u + 0.5
    e1 = exp(-80.0 * (u * u))
    e2 = exp(-80.0 * (left * left))
    e3 = exp(-40.0 * (right * right))
    u2 = u * u
    u4 = u2 * u2
    return 4.0 * (u4 * u4 + ((0.8 * e1 + 0.2 * e2) + 0.5 * e3))


class Prinz(CompiledPotential):
    r"""The one-dimensional four-well potential of Prinz et al.

    .. math::
        U(x) = 4 \left( x^8 + 0.8\,e^{-80 x^2} + 0.2\,e^{-80 (x - 1/2)^2} + 0.5\,e^{-40 (x + 1/2)^2} \right)

    Energies are meant in units of kT (kT = 1), lengths are dimensionless. Wells near -0.739, -0.224, 0.269
    and 0.673, barriers of 2.02, 3.20 and 0.82 between them.

    Notes
    -----
    Default start: the deepest minimum, x = 0.269149351319.

    References
    ----------
    Prinz, Wu, Sarich, Keller, Senne, Held, Chodera, Schütte, Noé: Markov models of molecular kinetics:
    generation and validation. J. Chem. Phys. 134, 174105 (2011).

    Examples
    --------
    >>> Prinz()
    Prinz()
    """

    kind = "Prinz"
    functions = Functions(_gradient, _energy)

    def __init__(self) -> None:
        super().__init__(dim=1, parameters=[], default_start=[0.269149351319], arguments={})
