"""The numbers that steps use, rounded to the precision of the run: a row for each time at which they change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import checks
from .backends.problem import Problem, Table
from .potentials.base import Potential
from .potentials.driven import Driven
from .schemes import Program, Scheme

# So much memory, at most, for the rows of a table.
_TABLE_BYTES = 2**24


def parameters_of(potentials: Sequence[Potential], dtype: Any) -> np.ndarray:
    """Those of each potential, as a row."""

    def row(potential: Potential) -> np.ndarray:
        return checks.cast(lambda: f"the parameters of {potential!r}", potential.parameters, dtype)[np.newaxis]

    return row(potentials[0]) if len(potentials) == 1 else np.concatenate([row(potential) for potential in potentials])


def program_of(schemes: Sequence[Scheme], mass: np.ndarray, dtype: Any) -> Program:
    """The program of the schemes, a row for each."""
    return Program.stacked([_rounded(scheme, lambda scheme=scheme: scheme.program(mass), dtype) for scheme in schemes])  # type: ignore[misc]


def _rounded(scheme: Scheme, program: Callable[[], Program], dtype: Any) -> Program:
    def what() -> str:
        return f"step_size, kT, friction, drag or mass: the coefficients of {scheme!r}"

    def cast(coefficient: np.ndarray) -> np.ndarray:
        if not np.isfinite(coefficient).all():
            raise ValueError(f"{what()} are not finite")
        return checks.cast(what, coefficient, dtype)

    with np.errstate(all="ignore"):  # looked at above
        return program().map(cast)


class Drive:
    """What follows schedules: each step uses the numbers of the time at its end.

    Parameters
    ----------
    potential : Potential
        Driven, or not.
    scheme : Scheme
        With one step size; its kT changes, or not.
    mass : (1 or n, 1 or dim) array
    step, time : int, float
        After so many steps it is this time.
    """

    def __init__(
        self, potential: Potential, scheme: Scheme, mass: np.ndarray, step: int = 0, time: float = 0.0
    ) -> None:
        self.step, self.time = step, time
        self.potential = potential
        self.scheme = scheme
        self.mass = mass
        if np.ndim(scheme.step_size):
            raise ValueError(
                f"step_size={checks.shorten(scheme.step_size)} must be one number where something changes in time"
            )
        self.step_size = float(scheme.step_size)
        numbers = len(self.potential_at(0).parameters) + 4 * mass.size * len(scheme.letters)
        self.most_steps = max(_TABLE_BYTES // (8 * numbers), 1)

    def potential_at(self, step: int) -> Potential:
        """U of the state after so many steps."""
        return self.potential.at(float(self._times(step))) if isinstance(self.potential, Driven) else self.potential

    def potential_after(self, problem: Problem, step: int) -> Potential:
        """See :class:`langevin_fast.backends.problem.Rows`."""
        return self.potential_at(step)

    def scheme_at(self, step: int) -> Scheme:
        """Likewise."""
        return self.scheme.at(float(self._times(step)))

    def of_mass(self, mass: np.ndarray) -> Drive:
        """The same with other masses."""
        return Drive(self.potential, self.scheme, mass, self.step, self.time)

    def _times(self, steps: int | np.ndarray) -> float | np.ndarray:
        return self.time + (steps - self.step) * self.step_size

    def table(self, problem: Problem, first_step: int, n: int) -> Table:
        """See :class:`langevin_fast.backends.problem.Rows`."""
        times = np.asarray(self._times(first_step + 1 + np.arange(n)))
        changing = {name: schedule(times) for name, schedule in self.schedules.items()}
        new = np.zeros(n, bool)
        for values in changing.values():
            differs = values[1:] != values[:-1]
            new[1:] |= differs.any(axis=tuple(range(1, differs.ndim)))
        rows = np.cumsum(new, dtype=np.int32)
        new[0] = True
        changing = {name: values[new] for name, values in changing.items()}
        kT = changing.pop("kT of the scheme", None)
        parameters, program = problem.parameters, problem.program
        if changing:
            assert isinstance(self.potential, Driven)
            numbers = self.potential.parameters_of(changing)
            parameters = checks.cast(lambda: f"the parameters of {self.potential!r}", numbers, problem.dtype)
        if kT is not None:
            program = _rounded(self.scheme, lambda: self.scheme.program_of(kT, self.mass), problem.dtype)
        return Table(parameters, program, rows)

    @property
    def schedules(self) -> dict[str, Any]:
        """What changes, by name."""
        found = dict(self.potential.schedules) if isinstance(self.potential, Driven) else {}
        if self.scheme.schedule is not None:
            found["kT of the scheme"] = self.scheme.schedule
        return found


def delayed(potential: Potential, scheme: Scheme, n_steps: int) -> tuple[Potential, Scheme]:
    """The same with a clock that starts after so many steps; until then everything has its first value."""
    if isinstance(scheme, Scheme) and n_steps and np.ndim(scheme.step_size) == 0:
        time = n_steps * float(scheme.step_size)
        scheme = scheme.delayed(time)
        potential = potential.delayed(time) if isinstance(potential, Driven) else potential
    return potential, scheme
