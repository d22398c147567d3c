"""Splitting schemes of underdamped Langevin dynamics."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..keywords import hinting
from ..schedules import Schedule
from .base import Coefficients, Scheme, column


class Splitting(Scheme):
    r"""Any splitting scheme of underdamped Langevin dynamics, as a string of letters.

    The dynamics are :math:`m\,dv = -\nabla U\,dt - m\gamma v\,dt + \sqrt{2 m\gamma kT}\,dW`, split into

    - A (or R), drift: :math:`x \mathrel{+}= t v`
    - B (or V), kick: :math:`v \mathrel{-}= t \nabla U/m`
    - O: :math:`v = e^{-\gamma t} v + \sqrt{(1 - e^{-2\gamma t})\,kT/m}\;\xi`

    Letters act from left to right; each kind shares the step equally. ``Splitting("VRORV", ...)`` is BAOAB in the
    letters of openmmtools. Velocities are those at the end of the step (on-step).

    Parameters
    ----------
    letters : str
        For example "OBABO", "ABOBA", "BAOA"; at least one each of A, B and O.
    step_size : float or array_like of shape (n_particles,)
        h > 0, in time units.
    friction : float
        gamma >= 0, a rate (1/time). Exactly one of `friction` and `drag` is to be given.
    drag : float
        lambda = m gamma >= 0, in mass/time.
    kT : float, array_like of shape (n_particles,) or Schedule, default 1
        Temperature in energy units, >= 0.

    Raises
    ------
    ValueError
        If the string is not a scheme or a parameter is out of range.
    TypeError
        If not exactly one of `friction` and `drag` is given.

    References
    ----------
    B. Leimkuhler, C. Matthews, J. Chem. Phys. 138 (2013) 174102.
    """

    @hinting
    def __init__(
        self,
        letters: str,
        step_size: ArrayLike,
        *,
        friction: float | None = None,
        drag: float | None = None,
        kT: ArrayLike | Schedule = 1.0,
    ) -> None:
        super().__init__(step_size, kT)
        self.letters = _scheme_letters(letters)
        if (friction is None) == (drag is None):
            given = "neither" if friction is None else f"friction={friction!r} and drag={drag!r}"
            raise TypeError(f"give exactly one of friction (1/time) and drag (mass/time); got {given}")
        self._friction = None if friction is None else checks.non_negative("friction", friction)
        self._drag = None if drag is None else checks.non_negative("drag", drag)

    @property
    def friction(self) -> float | None:
        """gamma, a rate (1/time); None where the drag was given."""
        return self._friction

    @property
    def drag(self) -> float | None:
        """lambda = m gamma, in mass/time; None where the friction was given."""
        return self._drag

    def __repr__(self) -> str:
        rate = f"friction={self.friction!r}" if self.friction is not None else f"drag={self.drag!r}"
        text = self._describe(rate)
        return text if type(self) is not Splitting else text.replace("(", f"({self.letters!r}, ", 1)

    def thermal_displacement(self, mass: np.ndarray) -> np.ndarray:
        """See :meth:`Scheme.thermal_displacement`."""
        return column(self._step_size) * np.sqrt(column(self._kT) / mass)

    def coefficients(self, mass: np.ndarray) -> Coefficients:
        """See :meth:`Scheme.coefficients`."""
        from .. import _core

        h, kT = column(self._step_size), column(self._kT)
        share = {letter: h / self.letters.count(letter) for letter in "ABO"}
        gamma = np.full((1, 1), self.friction) if self.friction is not None else self.drag / mass
        exponent = np.ascontiguousarray(gamma * share["O"])
        noise = np.sqrt(-_core.expm1(-2.0 * exponent) * kT / mass)
        return {
            "A": {"time": share["A"]},
            "B": {"time_over_mass": share["B"] / mass},
            "O": {"decay": _core.exp(-exponent), "noise": noise},
        }

    def unstable(self, curvature: float, mass: np.ndarray) -> bool:
        """See :meth:`Scheme.unstable`."""
        h, m = float(np.max(self._step_size)), float(np.min(mass))
        gamma = self._drag / m if self._drag is not None else self._friction
        assert gamma is not None
        step = np.eye(2)  # of (x, v), without noise
        for letter in self.letters:
            t = h / self.letters.count(letter)
            matrices = {
                "A": [[1.0, t], [0.0, 1.0]],
                "B": [[1.0, 0.0], [-t * curvature / m, 1.0]],
                "O": [[1.0, 0.0], [0.0, np.exp(-gamma * t)]],
            }
            step = np.array(matrices[letter]) @ step
        # both eigenvalues lie in the unit circle
        return bool(abs(np.trace(step)) > 1.0 + np.linalg.det(step) + 1e-12)


class BAOAB(Splitting):
    r"""The splitting B A O A B: one gradient per step and very small errors in averages over positions.

    On U = k x^2/2 the variance of x is exact at any stable step size; the on-step velocities are cold by the factor
    1 - (omega h)^2/4, omega^2 = k/m. Parameters as for :class:`Splitting`.

    References
    ----------
    B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34; J. Chem. Phys. 138 (2013) 174102.
    """

    @hinting
    def __init__(
        self,
        step_size: ArrayLike,
        *,
        friction: float | None = None,
        drag: float | None = None,
        kT: ArrayLike | Schedule = 1.0,
    ) -> None:
        super().__init__("BAOAB", step_size, friction=friction, drag=drag, kT=kT)


def _scheme_letters(letters: str) -> str:
    """The string in the letters A, B, O; an error where it is not a scheme."""
    if not isinstance(letters, str):
        raise TypeError(f"letters must be a string such as 'BAOAB'; got {letters!r}")
    from .. import _core

    used = set(letters)
    wrong = sorted(used - set("ABORV"))
    if wrong:
        raise ValueError(
            f"letters={letters!r} is not a scheme: unknown {', '.join(map(repr, wrong))}; "
            "use the capitals A (drift), B (kick), O (noise), or R, V, O for the same"
        )
    if used & set("AB") and used & set("RV"):
        raise ValueError(f"letters={letters!r} is not a scheme: it mixes A, B with R, V, which mean the same")
    allowed = "VRO" if used & set("VR") else "ABO"
    missing = [letter for letter in allowed if letter not in letters]
    if missing:
        raise ValueError(f"letters={letters!r} is not a scheme: it has no {' and no '.join(missing)}")
    if len(letters) > _core.MAX_INSTRUCTIONS:
        raise ValueError(f"letters has {len(letters)} letters; at most {_core.MAX_INSTRUCTIONS} are allowed")
    return letters.translate(str.maketrans("VR", "BA"))
