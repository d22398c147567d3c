"""Schemes with a Metropolis test."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..keywords import hinting
from ..schedules import Schedule
from .base import Coefficients, column
from .overdamped import Overdamped


class MALA(Overdamped):
    r"""The Metropolis-adjusted Langevin algorithm: ULA proposals, accepted or rejected, so that no bias is left.

    .. math::
       y = x - \frac{h}{\lambda}\nabla U(x) + \sqrt{2 kT h/\lambda}\,\xi, \qquad
       \log r = -\frac{U(y)-U(x)}{kT} - \frac{\lambda}{4 kT h}\Big(
       \big|x - y + \tfrac{h}{\lambda}\nabla U(y)\big|^2 - \big|y - x + \tfrac{h}{\lambda}\nabla U(x)\big|^2\Big)

    A proposal with an energy or gradient that is not finite is rejected. Averages are exact; motion is not: every
    rejected step is time in which nothing moves, so rates and passage times come out slow. Parameters as for
    :class:`ULA`, but kT > 0.

    References
    ----------
    G. O. Roberts, J. S. Rosenthal, J. R. Stat. Soc. B 60 (1998) 255.
    """

    letters = "PM"

    @hinting
    def __init__(self, step_size: ArrayLike, kT: ArrayLike | Schedule = 1.0, drag: float = 1.0) -> None:
        super().__init__(step_size, kT, drag)
        if not (self._kT > 0).all():
            raise ValueError(f"kT={checks.shorten(kT)} is not allowed: MALA needs kT > 0")

    def coefficients(self, mass: np.ndarray) -> Coefficients:
        """See :meth:`Scheme.coefficients`."""
        h, kT = column(self._step_size), column(self._kT)
        test = {
            "inverse_kT": 1.0 / kT,
            "quarter_drag_over_kTh": self.drag / (4.0 * kT * h),
            "mobility": self._mobility(),
        }
        return {"P": self._euler_maruyama(), "M": test}

    def unstable(self, curvature: float, mass: np.ndarray) -> bool:
        """See :meth:`Scheme.unstable`."""
        return False
