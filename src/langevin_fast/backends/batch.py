"""The coupled loop: compiled updates around one Python call for all particles per step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ..potentials.batch import Batch
from ..schemes.operations import OPERATIONS, properties_of
from .observing import Watch, kinetic
from .problem import Observed, Problem, Recording, State, StoppedError, Table, accounts

# Noise is made for as many steps as fit into about this many bytes, and at least for a whole Philox block.
_NOISE_BYTES = 2**20


def prepare(problem: Problem, threads: int) -> BatchRunner:
    """A runner for a potential that computes all particles at once."""
    return BatchRunner(problem)


class _Pass(NamedTuple):
    """Operations between which no new gradient is needed: positions begin .. end - 1 of the program."""

    begin: int
    end: int
    draw: int
    draws_normals: bool
    looks_ahead: bool
    reads_gradient: bool
    reads_energy: bool
    moves: bool
    proposes: bool
    tests: bool

    @classmethod
    def of(cls, parsed: _core.Pass) -> _Pass:
        return cls.made_of(parsed.begin, parsed.end, parsed.draw, properties_of(parsed.properties))

    @classmethod
    def made_of(cls, begin: int, end: int, draw: int, properties: frozenset[str]) -> _Pass:
        return cls(begin, end, draw, *(name in properties for name in cls._fields[3:]))


class _Committed(NamedTuple):
    """The last complete step; replaced by one assignment."""

    step: int
    x: np.ndarray
    v: np.ndarray | None
    accepted: np.ndarray
    diverged: np.ndarray


class BatchRunner:
    """The coupled loop, on one thread; it stops between any two steps.

    Parameters
    ----------
    problem : Problem
        Its potentials are :class:`Batch`.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.parsed = parsed = problem.program.parsed
        self.sets = parsed.normals_per_step
        self.passes = [_Pass.of(p) for p in parsed.passes]
        self.operations = [
            _Pass.made_of(i, i + 1, parsed.draws[i], OPERATIONS[letter].properties)
            for i, letter in enumerate(problem.program.letters)
        ]
        self.noise = _Noise(problem)
        assert isinstance(problem.potential, Batch)
        self.potential = problem.potential
        self.stopped_at: State | None = None
        self.gradient: np.ndarray | None = None  # at the current positions
        self.energy: np.ndarray | None = None
        self.table: Table | None = None
        self.row = -1
        self.busy = False

    def advance(self, state: State, n_steps: int, recordings: Sequence[Recording] = ()) -> State:
        """See :class:`langevin_fast.backends.problem.Runner`; StoppedError also for what a user's function raises."""
        if self.busy:
            raise RuntimeError("this simulation is running already, in another thread or around this call")
        if state is not self.stopped_at:
            self.gradient = self.energy = None
        self.stopped_at = None  # an interrupt may come just before it is set again
        self.end = state.step + n_steps
        self.done = _Committed(state.step, state.positions, state.velocities, state.accepted, state.diverged)
        # Steps read the arrays of the last complete one and write these; then they change places.
        self.spare_x = np.empty_like(state.positions)
        self.spare_v = None if state.velocities is None else np.empty_like(state.velocities)
        self.noise.reach(self.end)
        self.began, self.watch = state, Watch(self.problem, state.observed, state.step)
        self.frozen = np.flatnonzero((state.diverged >= 0) | self.watch.stopped)
        try:
            self.busy = True
            self._steps(recordings)
        except BaseException as error:
            # perhaps between the steps, and then nothing is known of the state there
            self.gradient = self.energy = None
            raise StoppedError(self._state(), error) from None
        finally:
            self.busy = False
        self._own()
        result = self._state()
        self.stopped_at = result
        return result

    def _state(self) -> State:
        if self.watch.taking:  # stopped within a look, of which a part may have been taken: back to where it is whole
            return self.began
        step, x, v, accepted, diverged = self.done
        # The arrays go out for good: those that are still to be written belong to this runner alone.
        return State(step, x.copy(), None if v is None else v.copy(), accepted, diverged, self.watch.observed)

    def _steps(self, recordings: Sequence[Recording]) -> None:
        first_x, first_v = self.done.x, self.done.v
        ledger = accounts(self.watch.observed)
        n = self.end - self.done.step
        table, row_before = self.problem.table_and_row_before(self.done.step, n, accounts=ledger)
        if not table.has_numbers_of(self.table):
            self.table, self.row = table, -1
        rows = None if table.rows is None else table.rows.tolist()
        if rows is None or ledger:
            self._use_row(row_before)
        self.ledger = _Ledger(self.problem, self.watch.observed) if ledger else None
        while self.done.step < self.end:
            x, v = self.done.x, self.done.v
            step = self.done.step + 1
            row = 0 if rows is None else rows[step - 1 - (self.end - len(rows))]
            if self.ledger is not None:
                self.ledger.begin(self._energy_at, x, v)
            if rows is not None:
                self._use_row(row)
                if self.ledger is not None:
                    self.ledger.change(self._energy_at(x))
            new_x, new_v, accepted = self._step(self.done)
            if len(self.frozen) and accepted is not self.done.accepted:
                accepted[self.frozen] = self.done.accepted[self.frozen]
            diverged = self._keep_finite(step, new_x, new_v)
            for recording in recordings:
                looks = recording.until(step)
                if looks > recording.until(step - 1):
                    recording.positions[looks - 1] = new_x
                    if recording.velocities is not None:
                        recording.velocities[looks - 1] = new_v
            if self.ledger is not None:
                self.ledger.end(self._energy_at(new_x))
                self.watch.account(self.ledger.sums, diverged)
            if step == self.watch.next:
                self._look(step, new_x, new_v, diverged)
            self.done = _Committed(step, new_x, new_v, accepted, diverged)
            self.watch.taking = False
            # What the caller's state holds is never written to.
            self.spare_x = np.empty_like(x) if x is first_x else x if new_x is not x else self.spare_x
            if v is not None:
                self.spare_v = np.empty_like(v) if v is first_v else v if new_v is not v else self.spare_v

    def _look(self, step: int, x: np.ndarray, v: np.ndarray | None, diverged: np.ndarray) -> None:
        def energy() -> np.ndarray:
            return self._energy_at(x) if self.energy is None else self.energy

        def gradient() -> np.ndarray:
            if self.gradient is None:
                self.gradient = self._gradient_at(x)
            return self.gradient

        self.watch.look(step, x, v, diverged, energy, gradient)
        self.frozen = np.flatnonzero((diverged >= 0) | self.watch.stopped)
        if self.watch.move(step, x, v).any():
            self.gradient = self.energy = None
            if self.ledger is not None:
                self.ledger.known = False

    def _use_row(self, row: int) -> None:
        if self.row == row:
            return
        assert self.table is not None
        self.row = -1  # until everything below is that of the new one
        shape = len(self.problem.streams), self.problem.dim

        def of_row(coefficient: np.ndarray) -> np.ndarray:
            values = coefficient[row if len(coefficient) > 1 else 0]
            return values if values.size == 1 else np.ascontiguousarray(np.broadcast_to(values, shape))

        self.coefficients = self.table.program.map(of_row).coefficients
        potential = self.problem.potentials[row if len(self.problem.potentials) > 1 else 0]
        assert isinstance(potential, Batch)
        if potential is not self.potential:
            self.gradient = self.energy = None
        self.potential = potential
        self.row = row

    def _step(self, now: _Committed) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Positions, velocities and counts of accepted proposals after one more step."""
        x, v, accepted = now.x, now.v, now.accepted
        old: Any = None  # positions, gradient and energy before a proposal
        for p in self.passes if self.ledger is None else self.operations:
            self._need(x, p)
            if p.tests:
                accepted = accepted.copy()
                self._test(p, now.step, x, accepted, *old)
                continue
            row = now.step * self.sets + p.draw
            xi = ahead = None
            if p.draws_normals:
                xi, ahead = self.noise.rows(row, ahead=p.looks_ahead)
            gradient = self.gradient if p.reads_gradient else None
            x_out = self.spare_x if p.moves else None
            _core.update(self.parsed, p.begin, p.end, self.coefficients, x, v, gradient, xi, ahead, x_out, self.spare_v)
            if p.proposes:
                old = x, self.gradient, self.energy
            if p.moves:
                x, self.gradient, self.energy = self.spare_x, None, None
            if v is not None:
                v = self.spare_v
            if self.ledger is not None and v is not None and not p.moves:
                self.ledger.kick(v, heat=p.draws_normals)
        return x, v, accepted

    def _need(self, x: np.ndarray, p: _Pass) -> None:
        """Gradient and energy at x, as far as they are read and not known."""
        if p.reads_energy:
            if self.gradient is None or self.energy is None:
                y, sign = self._folded(x)
                self.energy, self.gradient = self.potential.batch_energy_gradient(y)
                if sign is not None:
                    self.gradient = self.gradient * sign
                if p.proposes:
                    self._own()  # the test writes to them
        elif p.reads_gradient and self.gradient is None:
            self.gradient = self._gradient_at(x)

    def _folded(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Where U is evaluated, and the sign that its gradient has there."""
        return (x, None) if self.problem.walls is None else self.problem.walls.fold(x)

    def _energy_at(self, x: np.ndarray) -> np.ndarray:
        return self.potential.batch_energy(self._folded(x)[0])

    def _gradient_at(self, x: np.ndarray) -> np.ndarray:
        y, sign = self._folded(x)
        g = self.potential.batch_gradient(y)
        return g if sign is None else g * sign

    def _own(self) -> None:
        """Copy what is known: the callable may use its own arrays again."""
        self.gradient = None if self.gradient is None else self.gradient.copy()
        self.energy = None if self.energy is None else self.energy.copy()

    def _test(
        self,
        p: _Pass,
        step: int,
        x: np.ndarray,
        accepted: np.ndarray,
        old_x: np.ndarray,
        old_g: np.ndarray,
        old_energy: np.ndarray,
    ) -> None:
        """Decide between the old state and the proposal x of each particle; x becomes the one that stays."""
        assert self.gradient is not None and self.energy is not None
        _core.metropolis(
            coefficients=self.coefficients[p.begin],
            old_x=old_x,
            new_g=self.gradient,
            new_energy=self.energy,
            uniforms=self.noise.uniforms(step * self.problem.program.parsed.uniforms_per_step + p.draw),
            x=x,
            g=old_g,
            energy=old_energy,
            accepted=accepted,
        )
        self.gradient, self.energy = old_g, old_energy

    def _keep_finite(self, step: int, x: np.ndarray, v: np.ndarray | None) -> np.ndarray:
        """Particles that are not finite stay where they were before; since which step each one does."""
        diverged = self.done.diverged
        if len(self.frozen):
            self._restore(self.frozen, x, v)
        if _core.all_finite(x) and (v is None or _core.all_finite(v)):
            return diverged
        bad = ~np.isfinite(x).all(axis=1)
        if v is not None:
            bad |= ~np.isfinite(v).all(axis=1)
        diverged = np.where(bad, step, diverged)
        self._restore(np.flatnonzero(bad), x, v)
        self.frozen = np.flatnonzero((diverged >= 0) | self.watch.stopped)
        return diverged

    def _restore(self, frozen: np.ndarray, x: np.ndarray, v: np.ndarray | None) -> None:
        # the gradient of a frozen particle does not matter: what it leads to is undone
        if x is not self.done.x:
            x[frozen] = self.done.x[frozen]
        if v is not None and v is not self.done.v:
            v[frozen] = self.done.v[frozen]  # type: ignore[index]


class _Ledger:
    """What becomes of the energy of each particle in a step, summed over its operations."""

    def __init__(self, problem: Problem, observed: Sequence[Observed]) -> None:
        self.sources = next(o.reduction.sources for o in observed if o.reduction.name == "work")
        self.problem = problem
        self.known = False  # whether U is that of the present positions

    def begin(self, energy_at: Callable[[np.ndarray], np.ndarray], x: np.ndarray, v: np.ndarray | None) -> None:
        """Before anything changes."""
        self.overdamped = v is None
        self.sums = np.zeros((3, len(x)), self.problem.dtype)
        if not self.known:
            self.potential_energy = energy_at(x).copy()
        self.kinetic_energy = 0.0 if v is None else self._kinetic(v)

    def change(self, energy: np.ndarray) -> None:
        """U is another one now."""
        with _quiet():
            self.sums[0] = energy - self.potential_energy
        self.potential_energy = energy.copy()

    def kick(self, v: np.ndarray, *, heat: bool) -> None:
        """An operation changed velocities."""
        now = self._kinetic(v)
        with _quiet():
            self.sums[1 if heat else 2] += now - self.kinetic_energy
        self.kinetic_energy = now

    def end(self, energy: np.ndarray) -> None:
        """The positions are those of the next state."""
        with _quiet():
            self.sums[1 if self.overdamped else 2] += energy - self.potential_energy
        self.potential_energy = energy.copy()
        self.known = True

    def _kinetic(self, v: np.ndarray) -> Any:
        with _quiet():
            return 0.5 * kinetic(self.problem, self.sources[0], v)


def _quiet() -> np.errstate:
    """For what is computed of a particle on its way out."""
    return np.errstate(all="ignore")


class _Noise:
    """Rows of thermal noise, (n, dim) each, made for many steps at once and kept between runs."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        n, dim = len(problem.streams), problem.dim
        most = max(_NOISE_BYTES // (n * dim * np.dtype(problem.dtype).itemsize), 4)
        # beginning at a multiple of 4 rows, so that no Philox block is made twice
        self.chunk = most - most % 4
        self.memory = np.empty((self.chunk + 4, n, dim), problem.dtype)
        self.first, self.last, self.limit = 0, 0, 0
        self.uniform_memory = np.empty((4, n, 1), problem.dtype)
        self.uniform_first = -4

    def reach(self, end: int) -> None:
        """Rows are wanted up to step number `end`."""
        wanted = end * self.problem.program.parsed.normals_per_step
        self.limit = wanted + -wanted % 4

    def rows(self, number: int, *, ahead: bool) -> tuple[np.ndarray, np.ndarray | None]:
        """Row `number`, and the next one where that is wanted too; valid until the next call."""
        if not (self.first <= number and number + ahead < self.last):
            first = number - number % 4
            last = min(first + self.chunk, self.limit) + ahead
            self.last = 0  # an interrupt may come before the numbers do
            self._draw(self.memory[: last - first], first * self.memory.shape[2])
            self.first = first
            self.last = last
        i = number - self.first
        return self.memory[i], self.memory[i + 1] if ahead else None

    def uniforms(self, number: int) -> np.ndarray:
        if not self.uniform_first <= number < self.uniform_first + 4:
            first, self.uniform_first = number - number % 4, -4
            self._draw(self.uniform_memory, first, uniform=True)
            self.uniform_first = first
        row: np.ndarray = self.uniform_memory[number - self.uniform_first, :, 0]
        return row

    def _draw(self, out: np.ndarray, start: int, *, uniform: bool = False) -> None:
        _core.draw_crowd(
            out=out,
            uniform=uniform,
            seed=self.problem.seed,
            particles=self.problem.streams,
            tag=_core.TAGS["metropolis" if uniform else "thermal"],
            start=start,
        )
