"""The coupled loop: compiled updates around one Python call for all particles per step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .. import _core
from ..potentials.batch import Batch
from ..schemes import Instruction
from .problem import Frames, Problem, State, StoppedError

# Noise is made for as many steps as fit into about this many bytes, and at least for a whole Philox block.
_NOISE_BYTES = 2**20


class _Pass(NamedTuple):
    """Operations between which no new gradient is needed, as in the block loop."""

    program: list[tuple[str, tuple[np.ndarray, ...]]]
    draw: int
    draws: bool
    moves: bool
    kicks: bool


class _Committed(NamedTuple):
    """The last complete step; replaced by one assignment."""

    step: int
    x: np.ndarray
    v: np.ndarray | None


def advance(problem: Problem, state: State, n_steps: int, frames: Frames | None, threads: int) -> State:
    """As :func:`langevin_fast.backends.cpp.advance`, on one thread; stops between any two steps.

    Raises
    ------
    StoppedError
        With the state of the last complete step, when anything is raised meanwhile.
    """
    run = _Run(problem, state, n_steps)
    try:
        run.steps(frames)
    except BaseException as error:
        raise StoppedError(run.state(), error) from None
    return run.state()


class _Run:
    def __init__(self, problem: Problem, state: State, n_steps: int) -> None:
        n, dim = state.positions.shape
        assert isinstance(problem.potential, Batch)
        self.problem, self.potential = problem, problem.potential
        self.end = state.step + n_steps
        self.done = _Committed(state.step, state.positions, state.velocities)
        self.accepted, self.diverged = state.accepted.copy(), state.diverged.copy()
        self.frozen = np.flatnonzero(self.diverged >= 0)
        # Steps read the arrays of the last complete one and write these; then they change places.
        self.spare_x = np.empty_like(state.positions)
        self.spare_v = None if state.velocities is None else np.empty_like(state.velocities)
        self.passes = _passes(problem, n, dim)
        self.noise = _Noise(problem, n, dim, self.end)
        self.gradient: np.ndarray | None = None  # at the current positions
        self.energy: np.ndarray | None = None

    def state(self) -> State:
        step, x, v = self.done
        # The arrays go out for good: those that are still to be written belong to this run alone.
        return State(step, x.copy(), None if v is None else v.copy(), self.accepted.copy(), self.diverged.copy())

    def steps(self, frames: Frames | None) -> None:
        first_x, first_v = self.done.x, self.done.v
        one_step = self.metropolis_step if self.problem.program.uniforms_per_step else self.plain_step
        while self.done.step < self.end:
            _, x, v = self.done
            step = self.done.step + 1
            new_x, new_v = one_step(self.done)
            self.keep_finite(step, new_x, new_v)
            if frames is not None and frames.until(step) > frames.until(step - 1):
                i = frames.until(step) - 1
                frames.positions[i] = new_x
                if frames.velocities is not None:
                    frames.velocities[i] = new_v
            self.done = _Committed(step, new_x, new_v)
            # What the caller's state holds is never written to.
            self.spare_x = np.empty_like(x) if x is first_x else x if new_x is not x else self.spare_x
            if v is not None:
                self.spare_v = np.empty_like(v) if v is first_v else v if new_v is not v else self.spare_v

    def plain_step(self, now: _Committed) -> tuple[np.ndarray, np.ndarray | None]:
        x, v = now.x, now.v
        for p in self.passes:
            if p.kicks and self.gradient is None:
                self.gradient = self.potential.batch_gradient(x)
            row = now.step * self.problem.program.normals_per_step + p.draw
            xi = self.noise.row(row) if p.draws else None
            ahead = self.noise.row(row + 1) if self.problem.program.looks_ahead else None
            x_out = self.spare_x if p.moves else None
            v_out = self.spare_v
            _core.update(p.program, x, v, self.gradient if p.kicks else None, xi, ahead, x_out, v_out)
            if p.moves:
                x = self.spare_x
                self.gradient = None
            if v_out is not None:
                v = v_out
        return x, v

    def metropolis_step(self, now: _Committed) -> tuple[np.ndarray, None]:
        if self.gradient is None or self.energy is None:
            energy, gradient = self.potential.batch_energy_gradient(now.x)
            # Written to below; and the callable may use its own arrays again.
            self.energy, self.gradient = energy.copy(), gradient.copy()
        propose, test = self.passes
        y = self.spare_x
        _core.update(propose.program, now.x, None, self.gradient, self.noise.row(now.step), None, y, None)
        energy, gradient = self.potential.batch_energy_gradient(y)
        _core.metropolis(
            coefficients=test.program[0][1],
            old_x=now.x,
            new_g=gradient,
            new_energy=energy,
            uniforms=self.noise.uniforms(now.step),
            x=y,
            g=self.gradient,
            energy=self.energy,
            accepted=self.accepted,
        )
        return y, None

    def keep_finite(self, step: int, x: np.ndarray, v: np.ndarray | None) -> None:
        """Particles that are not finite stay where they were before; the others go on."""
        if len(self.frozen):
            self.restore(x, v)
        if _core.all_finite(x) and (v is None or _core.all_finite(v)):
            return
        bad = ~np.isfinite(x).all(axis=1)
        if v is not None:
            bad |= ~np.isfinite(v).all(axis=1)
        self.diverged[bad] = step
        self.frozen = np.flatnonzero(self.diverged >= 0)
        self.restore(x, v)

    def restore(self, x: np.ndarray, v: np.ndarray | None) -> None:
        if x is not self.done.x:
            x[self.frozen] = self.done.x[self.frozen]
            self.gradient = None
        if v is not None and v is not self.done.v:
            v[self.frozen] = self.done.v[self.frozen]  # type: ignore[index]


class _Noise:
    """Rows of thermal noise, (n, dim) each, made for many steps at once."""

    def __init__(self, problem: Problem, n: int, dim: int, end: int) -> None:
        self.problem = problem
        most = max(_NOISE_BYTES // (n * dim * np.dtype(problem.dtype).itemsize), 4)
        # beginning at a multiple of 4 rows, so that no Philox block is made twice
        self.chunk = most - most % 4
        self.limit = end * problem.program.normals_per_step + problem.program.looks_ahead
        self.memory = np.empty((self.chunk + 4, n, dim), problem.dtype)
        self.first, self.last = 0, 0
        self.uniform_memory = np.empty((4, n, 1), problem.dtype)
        self.uniform_first = -4

    def row(self, number: int) -> np.ndarray:
        if not self.first <= number < self.last:
            self.first = number - number % 4
            self.last = min(self.first + self.chunk, self.limit)
            if self.problem.program.looks_ahead and self.last < self.limit:
                self.last += 1  # the row that the last step of these looks at
            self._draw(self.memory[: self.last - self.first], self.first * self.memory.shape[2])
        row: np.ndarray = self.memory[number - self.first]
        return row

    def uniforms(self, number: int) -> np.ndarray:
        if not self.uniform_first <= number < self.uniform_first + 4:
            self.uniform_first = number - number % 4
            self._draw(self.uniform_memory, self.uniform_first, uniform=True)
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


def _passes(problem: Problem, n: int, dim: int) -> list[_Pass]:
    """The program, gathered as Block::gather_passes (cpp/kernels/block.hpp) does."""

    def whole(coefficient: np.ndarray) -> np.ndarray:
        return coefficient if coefficient.size == 1 else np.ascontiguousarray(np.broadcast_to(coefficient, (n, dim)))

    passes: list[_Pass] = []
    for instruction in problem.program.instructions:
        one = _one(instruction, tuple(map(whole, instruction.coefficients)))
        last = passes[-1] if passes else None
        joins = (
            last is not None
            and instruction.letter in "ABO"
            and last.program[0][0] in "ABO"
            and not (one.draws and last.draws)
            and not (one.kicks and last.moves)
        )
        if joins:
            assert last is not None
            passes[-1] = _Pass(
                last.program + one.program,
                one.draw if one.draws else last.draw,
                last.draws or one.draws,
                last.moves or one.moves,
                last.kicks or one.kicks,
            )
        else:
            passes.append(one)
    return passes


def _one(instruction: Instruction, coefficients: tuple[np.ndarray, ...]) -> _Pass:
    letter = instruction.letter
    return _Pass(
        [(letter, coefficients)],
        instruction.draw,
        draws=letter in "OELP",
        moves=letter in "AELP",
        kicks=letter in "BELP",
    )
