"""Prinz: four wells in one dimension."""

from __future__ import annotations

from .base import Potential


class Prinz(Potential):
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

    def __init__(self) -> None:
        super().__init__(dim=1, parameters=[], default_start=[0.269149351319], arguments={})
