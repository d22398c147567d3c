"""Integration schemes: what one step does, as a program of operations with its coefficients.

A scheme is a string of letters. Underdamped splitting schemes use A (drift), B (kick) and O (exact Ornstein-Uhlenbeck);
overdamped ones E (Euler-Maruyama), L (Leimkuhler-Matthews), P (an Euler-Maruyama proposal) and M (its Metropolis test).
Letters act from left to right and each kind shares the step equally: in ``BAOAB`` every A and B lasts h/2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import checks

__all__ = ["BAOAB", "MALA", "ULA", "LeimkuhlerMatthews", "Scheme", "Splitting"]


class Instruction(NamedTuple):
    """One operation: its letter, which of the step's draws it uses, and its coefficients, each (1 or n, 1 or dim)."""

    letter: str
    draw: int
    coefficients: tuple[np.ndarray, ...]


class Program(NamedTuple):
    """What a step does, and how much noise it takes."""

    instructions: tuple[Instruction, ...]
    normals_per_step: int
    uniforms_per_step: int
    looks_ahead: bool  # uses the normals of the next step too


def _column(values: np.ndarray) -> np.ndarray:
    """A scalar or one value per particle as (1 or n, 1)."""
    return values.reshape(-1, 1)


class Scheme:
    """Base of all schemes; use one of the named ones.

    Attributes
    ----------
    letters : str
        The operations of one step.
    step_size : float or ndarray of shape (n_particles,)
        h, in time units.
    kT : float or ndarray of shape (n_particles,)
        Temperature, in energy units.
    overdamped : bool
        Whether the state is positions alone.
    metropolised : bool
        Whether steps can be rejected (needs the energy).
    """

    letters: str
    overdamped: bool
    metropolised = False

    def __init__(self, step_size: ArrayLike, kT: ArrayLike) -> None:
        self._step_size = checks.per_particle("step_size", step_size, positive=True)
        self._kT = checks.per_particle("kT", kT, positive=False)
        sizes = {a.size for a in (self._step_size, self._kT) if a.ndim == 1}
        if len(sizes) > 1:
            raise ValueError(
                f"step_size has {self._step_size.size} values and kT has {self._kT.size}; "
                "both must have one per particle"
            )
        self._n_particles = sizes.pop() if sizes else None

    @property
    def step_size(self) -> float | np.ndarray:
        """h, in time units: a number, or one per particle."""
        return checks.plain(self._step_size)

    @property
    def kT(self) -> float | np.ndarray:
        """Temperature in energy units: a number, or one per particle."""
        return checks.plain(self._kT)

    @property
    def n_particles(self) -> int | None:
        """Number of particles that per-particle parameters imply, or None."""
        return self._n_particles

    def program(self, mass: np.ndarray) -> Program:
        """The operations of a step with their coefficients, in double precision.

        ``mass`` is (1 or n, 1 or dim). Everything that is not + - * / or a square root uses the package's own
        functions: the bits of NumPy's depend on the processor.
        """
        raise NotImplementedError

    def thermal_displacement(self, mass: np.ndarray) -> np.ndarray:
        """About how far temperature moves a particle in a step, in length units, (1 or n, 1 or dim)."""
        raise NotImplementedError

    def _describe(self, *extra: str) -> str:
        parts = [f"step_size={checks.shorten(self.step_size)}", *extra, f"kT={checks.shorten(self.kT)}"]
        return f"{type(self).__name__}({', '.join(parts)})"


class _Overdamped(Scheme):
    overdamped = True

    def __init__(self, step_size: ArrayLike, kT: ArrayLike = 1.0, drag: float = 1.0) -> None:
        super().__init__(step_size, kT)
        self._drag = checks.positive("drag", drag)

    @property
    def drag(self) -> float:
        """lambda, in mass/time."""
        return self._drag

    def thermal_displacement(self, mass: np.ndarray) -> np.ndarray:
        """See :meth:`Scheme.thermal_displacement`."""
        return np.sqrt(2.0 * _column(self._kT) * _column(self._step_size) / self.drag)

    def __repr__(self) -> str:
        return self._describe(f"drag={self.drag!r}")

    def _mobility(self) -> np.ndarray:
        return _column(self._step_size) / self.drag

    def program(self, mass: np.ndarray) -> Program:
        h, kT = _column(self._step_size), _column(self._kT)
        noise = np.sqrt(2.0 * kT * h / self.drag)
        return Program((Instruction("E", 0, (self._mobility(), noise)),), 1, 0, False)


class ULA(_Overdamped):
    r"""Euler-Maruyama for overdamped Langevin dynamics (the unadjusted Langevin algorithm).

    .. math:: x' = x - \frac{h}{\lambda}\nabla U(x) + \sqrt{2 kT h/\lambda}\,\xi

    Weak order 1; on U = k x^2/2 the variance is (kT/k) / (1 - hk/(2 lambda)).

    Parameters
    ----------
    step_size : float or array_like of shape (n_particles,)
        h > 0, in time units.
    kT : float or array_like of shape (n_particles,), default 1
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


class LeimkuhlerMatthews(_Overdamped):
    r"""The overdamped limit of BAOAB: one gradient per step, second-order accurate averages.

    .. math:: x_{n+1} = x_n - \frac{h}{\lambda}\nabla U(x_n) + \sqrt{\frac{kT h}{2\lambda}}\,(\xi_n + \xi_{n+1})

    Exact for the variance of a harmonic oscillator. Parameters as for :class:`ULA`.

    References
    ----------
    B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34, eq. (6).
    """

    letters = "L"

    def program(self, mass: np.ndarray) -> Program:
        """See :meth:`Scheme.program`."""
        h, kT = _column(self._step_size), _column(self._kT)
        noise = np.sqrt(kT * h / (2.0 * self.drag))
        return Program((Instruction("L", 0, (self._mobility(), noise)),), 1, 0, True)


class MALA(_Overdamped):
    r"""The Metropolis-adjusted Langevin algorithm: ULA proposals, accepted or rejected, so that no bias is left.

    .. math::
       y = x - \frac{h}{\lambda}\nabla U(x) + \sqrt{2 kT h/\lambda}\,\xi, \qquad
       \log r = -\frac{U(y)-U(x)}{kT} - \frac{\lambda}{4 kT h}\Big(
       \big|x - y + \tfrac{h}{\lambda}\nabla U(y)\big|^2 - \big|y - x + \tfrac{h}{\lambda}\nabla U(x)\big|^2\Big)

    A proposal with an energy or gradient that is not finite is rejected. Parameters as for :class:`ULA`, but kT > 0.

    References
    ----------
    G. O. Roberts, J. S. Rosenthal, J. R. Stat. Soc. B 60 (1998) 255.
    """

    letters = "PM"
    metropolised = True

    def __init__(self, step_size: ArrayLike, kT: ArrayLike = 1.0, drag: float = 1.0) -> None:
        super().__init__(step_size, kT, drag)
        if not (self._kT > 0).all():
            raise ValueError(f"kT={checks.shorten(kT)} is not allowed: MALA needs kT > 0")

    def program(self, mass: np.ndarray) -> Program:
        """See :meth:`Scheme.program`."""
        h, kT = _column(self._step_size), _column(self._kT)
        propose = super().program(mass).instructions[0]._replace(letter="P")
        metropolis = Instruction("M", 0, (1.0 / kT, self.drag / (4.0 * kT * h), self._mobility()))
        return Program((propose, metropolis), 1, 1, False)


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
    kT : float or array_like of shape (n_particles,), default 1
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

    overdamped = False

    def __init__(
        self,
        letters: str,
        step_size: ArrayLike,
        *,
        friction: float | None = None,
        drag: float | None = None,
        kT: ArrayLike = 1.0,
    ) -> None:
        super().__init__(step_size, kT)
        self.letters = _parse_letters(letters)
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
        return _column(self._step_size) * np.sqrt(_column(self._kT) / mass)

    def program(self, mass: np.ndarray) -> Program:
        """See :meth:`Scheme.program`."""
        from . import _core

        h, kT = _column(self._step_size), _column(self._kT)
        share = {letter: h / self.letters.count(letter) for letter in "ABO"}
        gamma = np.full((1, 1), self.friction) if self.friction is not None else self.drag / mass
        exponent = np.ascontiguousarray(gamma * share["O"])
        decay = _core.exp(-exponent)
        noise = np.sqrt(-_core.expm1(-2.0 * exponent) * kT / mass)
        coefficients = {"A": (share["A"],), "B": (share["B"] / mass,), "O": (decay, noise)}
        instructions, draws = [], 0
        for letter in self.letters:
            instructions.append(Instruction(letter, draws if letter == "O" else 0, coefficients[letter]))
            draws += letter == "O"
        return Program(tuple(instructions), draws, 0, False)


class BAOAB(Splitting):
    r"""The splitting B A O A B: one gradient per step and very small errors in averages over positions.

    On U = k x^2/2 the variance of x is exact at any stable step size; the on-step velocities are cold by the factor
    1 - (omega h)^2/4, omega^2 = k/m. Parameters as for :class:`Splitting`.

    References
    ----------
    B. Leimkuhler, C. Matthews, Appl. Math. Res. Express 2013, 34; J. Chem. Phys. 138 (2013) 174102.
    """

    def __init__(
        self, step_size: ArrayLike, *, friction: float | None = None, drag: float | None = None, kT: ArrayLike = 1.0
    ) -> None:
        super().__init__("BAOAB", step_size, friction=friction, drag=drag, kT=kT)


def _parse_letters(letters: str) -> str:
    """The string in the letters A, B, O; an error where it is not a scheme."""
    if not isinstance(letters, str):
        raise TypeError(f"letters must be a string such as 'BAOAB'; got {letters!r}")
    from . import _core

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
