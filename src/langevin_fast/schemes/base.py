"""What every scheme has."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core, checks
from .operations import Program, parse

# What other packages call the arguments of a scheme.
_HINTS = {
    **dict.fromkeys(("dt", "h", "eps", "epsilon", "eta", "lr", "timestep", "time_step", "stepsize"), "step_size"),
    **dict.fromkeys(("temperature", "T", "temp", "kt", "kbT", "kBT", "kB_T"), "kT, the temperature in energy units"),
    **dict.fromkeys(("beta", "inverse_temperature"), "kT = 1/beta"),
    **dict.fromkeys(("gamma", "zeta", "friction_coefficient", "collision_rate"), "friction (gamma, a rate)"),
}
_HINTS |= dict.fromkeys(("tau", "damp", "tau_t"), "friction = 1/tau, a rate")
_DRAG = "drag (lambda = m gamma, in mass/time)"


# name -> array of shape (1 or n, 1 or dim), for each letter
Coefficients = dict[str, dict[str, np.ndarray]]


def column(values: np.ndarray) -> np.ndarray:
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
    """

    letters: str

    def __new__(cls, *args: Any, **kwargs: Any) -> Scheme:
        """See that arguments have the names that this package uses."""
        if not kwargs:
            return super().__new__(cls)
        known = [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
        if any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls.__init__).parameters.values()):
            return super().__new__(cls)
        for name in sorted(set(kwargs) - set(known)):
            hint = _HINTS.get(name)
            if (name == "friction" or (hint or "").startswith("friction")) and "friction" not in known:
                hint = _DRAG
            meant = f"did you mean {hint}?" if hint else f"it takes {', '.join(known)}"
            raise TypeError(f"{cls.__name__} has no argument {name!r}; {meant}")
        return super().__new__(cls)

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

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__ or hasattr(type(self), name) or name in _HINTS:
            raise AttributeError(f"{type(self).__name__} cannot be changed (setting {name!r}): make a new one")
        super().__setattr__(name, value)

    def __setstate__(self, state: dict[str, Any]) -> None:
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        self.__dict__.update(state)

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

    @property
    def overdamped(self) -> bool:
        """Whether the state is positions alone."""
        return not self._has("uses_velocities")

    @property
    def metropolised(self) -> bool:
        """Whether steps can be rejected (needs the energy)."""
        return self._has("tests")

    def _has(self, name: str) -> bool:
        return bool(parse(self.letters).properties & _core.PROPERTIES[name])

    def coefficients(self, mass: np.ndarray) -> Coefficients:
        """The coefficients of each letter by name, in double precision.

        ``mass`` is (1 or n, 1 or dim). Everything that is not + - * / or a square root uses the package's own
        functions: the bits of NumPy's depend on the processor.
        """
        raise NotImplementedError

    def program(self, mass: np.ndarray) -> Program:
        """The operations of a step with their coefficients, in double precision."""
        return Program.of(self.letters, self.coefficients(mass))

    def unstable(self, curvature: float, mass: np.ndarray) -> bool:
        """Whether the step is known to be unstable on U = curvature x^2/2."""
        return False

    def thermal_displacement(self, mass: np.ndarray) -> np.ndarray:
        """About how far temperature moves a particle in a step, in length units, (1 or n, 1 or dim)."""
        raise NotImplementedError

    def _describe(self, *extra: str) -> str:
        parts = [f"step_size={checks.shorten(self.step_size)}", *extra, f"kT={checks.shorten(self.kT)}"]
        return f"{type(self).__name__}({', '.join(parts)})"
