"""A frozen description of a simulation, the state that moves through it, and what a backend makes of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from ..boundaries import Walls
from ..functions import Functions
from ..potentials.base import Potential
from ..schemes import Program


class Table(NamedTuple):
    """The numbers of some steps.

    Attributes
    ----------
    parameters : (1 or rows, p) array
    program : Program
        Its coefficients have one row, or as many.
    rows : (n,) array of int32 or None
        Which row each of the steps uses; None: the first.
    """

    parameters: np.ndarray
    program: Program
    rows: np.ndarray | None

    def has_numbers_of(self, other: Table | None) -> bool:
        """Whether the numbers are the same objects."""
        return other is not None and self.parameters is other.parameters and self.program is other.program


class Rows(Protocol):
    """What changes while steps are made."""

    @property
    def most_steps(self) -> int:
        """For how many steps at a time a table may be asked."""

    def table(self, problem: Problem, first_step: int, n: int) -> Table:
        """The numbers of steps `first_step` to ``first_step + n - 1``."""

    def potential_after(self, problem: Problem, step: int) -> Potential:
        """U of the state after so many steps."""


@dataclass(frozen=True)
class Stages:
    """Which row of a schedule each step uses: one row after the other, `n_steps` steps each, then the last one."""

    n_steps: int
    n_rows: int
    most_steps: ClassVar[int] = 2**60

    def table(self, problem: Problem, first_step: int, n: int) -> Table:
        """See :class:`Rows`."""
        return Table(problem.parameters, problem.program, self.rows(first_step, n))

    def potential_after(self, problem: Problem, step: int) -> Potential:
        """See :class:`Rows`."""
        return problem.potentials[int(self.rows(max(step - 1, 0), 1)[0])]

    def rows(self, first_step: int, n: int) -> np.ndarray:
        """The rows of steps `first_step` to ``first_step + n - 1``, int32."""
        stages = np.arange(first_step, first_step + n) // self.n_steps  # before the first step, the first
        return np.clip(stages, 0, self.n_rows - 1).astype(np.int32)

    def steps_of(self, steps: np.ndarray) -> np.ndarray:
        """How many of the first `steps` steps use each row, (..., rows)."""
        begins = np.arange(self.n_rows) * self.n_steps
        ends = np.append(begins[1:], np.iinfo(np.int64).max)
        return np.clip(np.minimum(np.asarray(steps)[..., np.newaxis], ends) - begins, 0, None)


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that does not change while steps are made; arrays are in the run's precision.

    Attributes
    ----------
    potentials : tuple of Potential
        One, or one for each of several stages; then all of the same kind.
    parameters : (rows, p) array
        Those of the potentials.
    program : Program
        Its coefficients have one row, or as many.
    changes : Rows or None
        What changes from step to step; None: nothing, there is one row.
    dtype : type
    seed : int
    streams : (n,) array of uint64
    walls : Walls or None
        The boundary. States know nothing of it: they are those of U continued beyond the walls.
    """

    potentials: tuple[Potential, ...]
    parameters: np.ndarray
    program: Program
    changes: Rows | None
    dtype: Any
    seed: int
    streams: np.ndarray
    walls: Walls | None = None

    def __post_init__(self) -> None:
        self.streams.flags.writeable = self.parameters.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()  # unpickled and copied arrays could be written to

    @property
    def potential(self) -> Potential:
        """The first, which stands for all."""
        return self.potentials[0]

    def table(self, first_step: int, n: int) -> Table:
        """The numbers of steps `first_step` to ``first_step + n - 1``."""
        return self._only if self.changes is None else self.changes.table(self, first_step, n)

    def table_and_row_before(self, first_step: int, n: int, *, accounts: bool) -> tuple[Table, int]:
        """Likewise, and where somebody accounts for energies, the row of the state before these steps."""
        if self.changes is None or not accounts:
            return self.table(first_step, n), 0
        table = self.table(first_step - 1, n + 1)
        assert table.rows is not None
        return table._replace(rows=table.rows[1:]), int(table.rows[0])

    def potential_after(self, step: int) -> Potential:
        """U of the state after so many steps."""
        return self.potential if self.changes is None else self.changes.potential_after(self, step)

    @cached_property
    def _only(self) -> Table:
        return Table(self.parameters, self.program, None)

    @property
    def dim(self) -> int:
        """Number of components."""
        return self.potential.dim

    @cached_property
    def last_step(self) -> int:
        """The last step up to which all numbers of the noise are 64-bit integers."""
        parsed = self.program.parsed
        return 2**63 // max(parsed.normals_per_step * self.dim, parsed.uniforms_per_step, 8) - 2


class Evaluated(Protocol):
    """A function of a particle, compiled for groups of particles."""

    @property
    def functions(self) -> Functions:
        """In plain Python, as an energy of what it takes."""

    @property
    def of_positions(self) -> bool:
        """Whether x is all that it takes; else it takes x, v and U, as 2 dim + 1 numbers."""

    @property
    def reads_energy(self) -> bool:
        """Whether it makes use of U."""

    def addresses(self, dtype: Any) -> tuple[int, int]:
        """Of the machine code for vectors, and for one lane; the code lives as long as the process."""


class Source(NamedTuple):
    """What an observer reads of a particle (Quantity in cpp/kernels/problem.hpp).

    Attributes
    ----------
    quantity : str
        "position", "velocity", "energy", "kinetic", "half_step_kinetic", "unwrapped", "virial", "interval" or
        "function".
    component : int
    weight : (1 or n, 1 or dim) array or None
        The mass of kinetic energies, the center of virials, the numbers between which an interval lies.
    function : Evaluated or None
    """

    quantity: str
    component: int = 0
    weight: np.ndarray | None = None
    function: Evaluated | None = None

    @property
    def reads_energy(self) -> bool:
        """Whether U is wanted."""
        return self.quantity == "energy" or (self.function is not None and self.function.reads_energy)


@dataclass(frozen=True, eq=False)
class Look:
    """One look of an observer at all particles.

    Attributes
    ----------
    index : int
        How many looks came before.
    step : int
    values : (k, n) array of float64
    moving : (m,) array of int or slice
        The particles that are not frozen.
    """

    index: int
    step: int
    values: np.ndarray
    moving: Any


@dataclass(frozen=True, eq=False)
class Reduction:
    """What is made of what an observer reads after steps first, first + every, ...

    Each kind is a subclass, and a function of its name in cpp/observers, where `sizes` and `numbers` are explained.
    """

    first: int
    every: int
    sources: tuple[Source, ...]
    sizes: np.ndarray
    numbers: np.ndarray
    name: ClassVar[str]

    @property
    def reads_energy(self) -> bool:
        """Whether U is wanted."""
        return any(source.reads_energy for source in self.sources)

    @property
    def stops(self) -> bool:
        """Whether a particle moves no more from the step on that stands in its first mark."""
        return False

    @property
    def restart(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Positions and velocities at which particles go on after the step that stands in their second mark."""
        return None

    @property
    def particle_batches(self) -> tuple[int, int] | None:
        """How many batches of particles the counts are of, and how many particles are in each; None: of all."""
        return None

    def of_particles(self, particles: np.ndarray) -> Reduction:
        """The one of some of the particles."""
        weights = [source.weight for source in self.sources]
        parts = [w if w is None or len(w) == 1 else np.ascontiguousarray(w[particles]) for w in weights]
        sources = [source._replace(weight=part) for source, part in zip(self.sources, parts, strict=True)]
        return replace(self, sources=tuple(sources))

    def empty(self, n: int) -> Observed:
        """The accumulators of n particles before the first look."""
        raise NotImplementedError

    def take(self, look: Look, observed: Observed) -> None:
        """Add a look to the accumulators, in place: what the C++ function of this name does, in NumPy."""
        raise NotImplementedError

    def looks_until(self, step: int) -> int:
        """How many looks there were after so many steps."""
        return max((step - self.first) // self.every + 1, 0)

    def full_after(self) -> int | None:
        """After how many looks :meth:`coarser` is due; None: never."""
        return None

    def coarser(self, observed: Observed) -> Observed:
        """The same contents, with room for more looks."""
        raise NotImplementedError


class Observed(NamedTuple):
    """A reduction and its accumulators, which are never changed in place.

    Attributes
    ----------
    reduction : Reduction
    reals : (rows, n) array of float64
    marks : (rows, n) array of int64
    counts : (m,) array of int64
    """

    reduction: Reduction
    reals: np.ndarray
    marks: np.ndarray
    counts: np.ndarray

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The accumulators."""
        return self.reals, self.marks, self.counts

    def copied(self) -> Observed:
        """With accumulators that may be added to."""
        return Observed(self.reduction, *(array.copy() for array in self.arrays))


def accounts(observed: Sequence[Observed]) -> bool:
    """Whether one of them sums what becomes of the energy in every step."""
    return any(o.reduction.name == "work" for o in observed)


@dataclass(frozen=True, eq=False, init=False)
class State:
    """Where a simulation stands. Never changed in place: an interrupted chunk leaves the old one as it was.

    Attributes
    ----------
    step : int
        Number of steps made.
    positions : ndarray of shape (n_particles, dim)
        In length units. The kernels' own are not folded where there is a boundary; those that users see are.
    velocities : ndarray of shape (n_particles, dim) or None
        On-step, in length/time; None for overdamped schemes.
    accepted : ndarray of shape (n_particles,)
        Accepted proposals so far.
    diverged : ndarray of shape (n_particles,)
        The step after which the particle was first not finite, or -1.
    observed : tuple of Observed
        What observers have seen.
    """

    step: int
    positions: np.ndarray
    velocities: np.ndarray | None
    accepted: np.ndarray
    diverged: np.ndarray
    observed: tuple[Observed, ...]

    def shown(self, walls: Walls | None) -> State:
        """The state as it is shown, within a boundary."""
        return self if walls is None else replace_positions(self, *walls.shown(self.positions, self.velocities))

    @property
    def stopped(self) -> np.ndarray | None:
        """For each particle the step after which an observer stopped it, or -1; None where no observer does."""
        marks = [o.marks[0] for o in self.observed if o.reduction.stops]
        if len(marks) < 2:
            return marks[0] if marks else None
        # the first of several
        steps = np.where(np.array(marks) < 0, np.iinfo(np.int64).max, marks).min(axis=0)
        return np.where(steps == np.iinfo(np.int64).max, -1, steps)

    def steps_since(self, step: int) -> np.ndarray:
        """How many steps each particle has made since a step, (n,)."""
        last = np.where(self.diverged < 0, self.step, self.diverged - 1)
        if (stopped := self.stopped) is not None:
            last = np.where(stopped < 0, last, np.minimum(stopped, last))
        return np.maximum(last - step, 0)

    # written out, because the one that dataclass makes for a frozen class takes a third of the time of a short run
    def __init__(
        self,
        step: int,
        positions: np.ndarray,
        velocities: np.ndarray | None,
        accepted: np.ndarray,
        diverged: np.ndarray,
        observed: tuple[Observed, ...] = (),
    ) -> None:
        positions.setflags(write=False)
        if velocities is not None:
            velocities.setflags(write=False)
        accepted.setflags(write=False)
        diverged.setflags(write=False)
        self.__dict__.update(
            step=step,
            positions=positions,
            velocities=velocities,
            accepted=accepted,
            diverged=diverged,
            observed=observed,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # unpickled and copied arrays could be written to

    def __repr__(self) -> str:
        n, dim = self.positions.shape
        return f"<State after step {self.step}: {n} particles in {dim} dimensions>"


def replace_positions(state: State, x: np.ndarray, v: np.ndarray | None) -> State:
    """The state with other positions and velocities."""
    return State(state.step, x, v, state.accepted, state.diverged, state.observed)


class Recording(NamedTuple):
    """Arrays that take the states after steps first, first + every, ... (and Looks in cpp/kernels decides so too).

    Attributes
    ----------
    first, every : int
    positions : (looks, n, dim) array
    velocities : (looks, n, dim) array or None
    """

    first: int
    every: int
    positions: np.ndarray
    velocities: np.ndarray | None

    def until(self, step: int) -> int:
        """How many of these states there are once `step` steps are made."""
        return min(max((step - self.first) // self.every + 1, 0), len(self.positions))


class StoppedError(Exception):
    """A backend was stopped by an error of the user's, between the steps.

    Attributes
    ----------
    state : State
        After the last complete step.
    error : BaseException
        What was raised.
    """

    def __init__(self, state: State, error: BaseException) -> None:
        self.state = state
        self.error = error
        super().__init__(state, error)


class Runner(Protocol):
    """Makes the steps of one problem.

    It keeps what is prepared once (compiled functions, device arrays, noise) and what is known at the state where it
    stopped (the gradient); its results never depend on what it keeps.
    """

    def advance(self, state: State, n_steps: int, recordings: Sequence[Recording] = ()) -> State:
        """The state `n_steps` later, >= 1; states that are to be recorded among these steps are, observers look.

        Raises KeyboardInterrupt (or what a signal handler raises), and then has changed nothing but recordings of steps
        after ``state.step``; or StoppedError, with the state at which it stopped.
        """
