"""Schemes of overdamped Langevin dynamics: the state is positions alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..keywords import hinting
from ..schedules import Schedule
from .base import Coefficients, Scheme, column


class Overdamped(Scheme):
    """Base of overdamped schemes."""

    @hinting
    def __init__(self, step_size: ArrayLike, kT: ArrayLike | Schedule = 1.0, drag: float = 1.0) -> None:
        super().__init__(step_size, kT)
        self._drag = checks.positive("drag", drag)

    @property
    def drag(self) -> float:
        """lambda, in mass/time."""
        return self._drag

    def thermal_displacement(self, mass: np.ndarray) -> np.ndarray:
        """See :meth:`Scheme.thermal_displacement`."""
        return np.sqrt(2.0 * column(self._kT) * column(self._step_size) / self.drag)

    def __repr__(self) -> str:
        return self._describe(f"drag={self.drag!r}")

    def _mobility(self) -> np.ndarray:
        return column(self._step_size) / self.drag

    def unstable(self, curvature: float, mass: np.ndarray) -> bool:
        """See :meth:`Scheme.unstable`."""
        return bool(curvature * np.max(self._step_size) / self.drag > 2.0)

    def _euler_maruyama(self) -> dict[str, np.ndarray]:
        h, kT = column(self._step_size), column(self._kT)
        return {"mobility": self._mobility(), "noise": np.sqrt(2.0 * kT * h / self.drag)}


class ULA(Overdamped):
    r"""Euler-Maruyama for overdamped Langevin dynamics (the unadjusted Langevin algorithm).

    .. math:: x' = x - \frac{h}{\lambda}\nabla U(x) + \sqrt{2 kT h/\lambda}\,\xi

    Weak order 1; on U = k x^2/2 the variance is (kT/k) / (1 - hk/(2 lambda)).

    Parameters
    ----------
    step_size : float or array_like of shape (n_particles,)
        h > 0, in time units.
    kT : float, array_like of shape (n_particles,) or Schedule, default 1
        Temperature in energy units, >= 0.
    drag : float, default 1
        lambda > 0, in mass/time.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    References
    ----------
    G. O. Roberts, R. L. Tweedie, Bernoulli 2 (1996) 341.
    """

    letters = "E"

    def coefficients(self, mass: np.ndarray) -> Coefficients:
        """See :meth:`Scheme.coefficients`."""
        return {"E": self._euler_maruyama()}

    @classmethod
    def from_sde(cls, *, drift: float, noise: float, step_size: ArrayLike) -> ULA:
        r"""The scheme for the general form :math:`dx = -a \nabla U\,dt + b\,dW`.

        It samples at the temperature :math:`kT = b^2/(2a)`, with drag 1/a. In particular the update
        ``x + (eps/2) score + sqrt(eps) xi`` is a = 1/2, b = 1 (kT = 1), while the often-copied
        ``x + (eps/2) score + sqrt(2 eps) xi`` is a = 1/2, b = sqrt(2): it samples at kT = 2.

        Parameters
        ----------
        drift : float
            a > 0, in time/mass.
        noise : float
            b >= 0, in length/sqrt(time).
        step_size : float or array_like of shape (n_particles,)
            dt > 0.
        """
        a = checks.positive("drift", drift)
        b = checks.non_negative("noise", noise)
        return cls(step_size, kT=b * b / (2.0 * a), drag=1.0 / a)


class TamedULA(Overdamped):
    r"""Euler-Maruyama with a drift that no gradient makes larger than 1 in any component.

    .. math::
       x_c' = x_c - \frac{d_c}{1 + |d_c|} + \sqrt{2 kT h/\lambda}\,\xi_c, \qquad d = \frac{h}{\lambda}\nabla U(x)

    For potentials that grow faster than x^2, where plain Euler-Maruyama explodes from far out. Averages err by O(h), as
    those of :class:`ULA`, with a larger constant. Parameters as for :class:`ULA`.

    References
    ----------
    N. Brosse, A. Durmus, E. Moulines, S. Sabanis, Stoch. Process. Appl. 129 (2019) 3638 (TULAc).
    """

    letters = "T"

    def coefficients(self, mass: np.ndarray) -> Coefficients:
        """See :meth:`Scheme.coefficients`."""
        return {"T": self._euler_maruyama()}

    def unstable(self, curvature: float, mass: np.ndarray) -> bool:
        """See :meth:`Scheme.unstable`."""
        return False


class LeimkuhlerMatthews(Overdamped):
    r"""The overdamped limit of BAOAB: one gradient per step, second-order accurate averages.

    .. math:: x_{n+1} = x_n - \frac{h}{\lambda}\nabla U(x_n) + \sqrt{\frac{kT h}{2\lambda}}\,(\xi_n + \xi_{n+1})

    Exact for the variance of a harmonic oscillator. Only stationary averages are so accurate: rates, passage times and
    correlations in time err by O(h). Parameters as for :class:`ULA`.

    References
    ----------
    B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34, eq. (6).
    """

    letters = "L"

    def coefficients(self, mass: np.ndarray) -> Coefficients:
        """See :meth:`Scheme.coefficients`."""
        h, kT = column(self._step_size), column(self._kT)
        return {"L": {"mobility": self._mobility(), "noise": np.sqrt(kT * h / (2.0 * self.drag))}}
