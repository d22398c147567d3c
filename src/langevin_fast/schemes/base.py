"""What every scheme has."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _core, checks, keywords
from ..schedules import Schedule
from .operations import Program, parse

# name -> array of shape (1 or n, 1 or dim), for each letter
Coefficients = dict[str, dict[str, np.ndarray]]


def column(values: np.ndarray) -> np.ndarray:
    """A scalar or one value per particle as (1 or n, 1); (rows, 1, 1) stay as they are."""
    return values if values.ndim == 3 else values.reshape(-1, 1)


class Scheme:
    """Base of all schemes; use one of the named ones.

    Attributes
    ----------
    letters : str
        The operations of one step.
    step_size : float or ndarray of shape (n_particles,)
        h, in time units.
    kT : float, ndarray of shape (n_particles,) or Schedule
        Temperature, in energy units.
    """

    letters: str

    def __init__(self, step_size: ArrayLike, kT: ArrayLike | Schedule) -> None:
        self._step_size = checks.per_particle("step_size", step_size, positive=True)
        self._schedule = kT if isinstance(kT, Schedule) else None
        if isinstance(kT, Schedule):
            if kT.values.ndim > 1:
                raise ValueError(f"kT={kT!r} must have one number for each time: it is that of all particles")
            kT = checks.non_negative_array("kT", kT.values).min()  # for what is checked; at() has the others
        self._kT = checks.per_particle("kT", kT, positive=False)
        sizes = {a.size for a in (self._step_size, self._kT) if a.ndim == 1}
        if len(sizes) > 1:
            raise ValueError(
                f"step_size has {self._step_size.size} values and kT has {self._kT.size}; "
                "both must have one per particle"
            )
        self._n_particles = sizes.pop() if sizes else None

    def __setattr__(self, name: str, value: object) -> None:
        if name in self.__dict__ or hasattr(type(self), name) or name in keywords.OF_SCHEMES:
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
    def kT(self) -> float | np.ndarray | Schedule:
        """Temperature in energy units: a number, one per particle, or how it changes in time."""
        return checks.plain(self._kT) if self._schedule is None else self._schedule

    @property
    def schedule(self) -> Schedule | None:
        """How kT changes in time, where it does."""
        return self._schedule

    def kT_at(self, times: np.ndarray) -> np.ndarray:
        """Temperatures at (k,) times: (k, 1), or () or (n,) where they do not change."""
        return self._kT if self._schedule is None else self._schedule(times)[:, np.newaxis]

    def at(self, time: float) -> Scheme:
        """The scheme with the kT of a time."""
        return self if self._schedule is None else self._with(_kT=np.asarray(self._schedule(time)), _schedule=None)

    def delayed(self, time: float) -> Scheme:
        """The same, with a kT that changes so much later."""
        return self if self._schedule is None else self._with(_schedule=self._schedule.delayed(time))

    def replace(self, *, step_size: ArrayLike | None = None, kT: ArrayLike | Schedule | None = None) -> Scheme:
        """The same with another step size or temperature.

        Raises
        ------
        TypeError, ValueError
            If a value is not allowed.
        """
        twin: Scheme = object.__new__(type(self))
        own = ("_step_size", "_schedule", "_kT", "_n_particles")
        twin.__dict__.update({name: value for name, value in self.__dict__.items() if name not in own})
        Scheme.__init__(twin, self.step_size if step_size is None else step_size, self.kT if kT is None else kT)
        return twin

    def of_particles(self, particles: np.ndarray) -> Scheme:
        """The scheme of some of the particles."""
        each = {name: getattr(self, name) for name in ("_step_size", "_kT")}
        each = {name: values[particles] if values.ndim else values for name, values in each.items()}
        return self._with(**each, _n_particles=None if self._n_particles is None else len(particles))

    def _with(self, **changed: Any) -> Scheme:
        twin = copy.copy(self)
        twin.__dict__.update(changed)
        return twin

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

    def program_of(self, kT: np.ndarray, mass: np.ndarray) -> Program:
        """The same with a row for each of (rows,) temperatures."""
        return self._with(_kT=kT.reshape(-1, 1, 1), _schedule=None).program(mass)

    def unstable(self, curvature: float, mass: np.ndarray) -> bool:
        """Whether the step is known to be unstable on U = curvature x^2/2."""
        return False

    def thermal_displacement(self, mass: np.ndarray) -> np.ndarray:
        """About how far temperature moves a particle in a step, in length units, (1 or n, 1 or dim)."""
        raise NotImplementedError

    def _describe(self, *extra: str) -> str:
        parts = [f"step_size={checks.shorten(self.step_size)}", *extra, f"kT={checks.shorten(self.kT)}"]
        return f"{type(self).__name__}({', '.join(parts)})"
