"""One GPU thread per particle, many steps per launch, the state in registers."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import BackendUnavailableError
from ..potentials.compiled import CompiledPotential
from .observing import Watch
from .problem import Problem, Recording, State, Table

_THREADS_PER_BLOCK = 128
# States are collected on the GPU up to about this many bytes, then fetched.
_RECORDING_BYTES = 2**28


def check_available() -> None:
    """See that numba-cuda and a GPU (or its simulator) are there.

    Raises
    ------
    BackendUnavailableError
        If one of them is not.
    """
    if importlib.util.find_spec("numba_cuda") is None:
        raise BackendUnavailableError('backend="cuda" needs numba-cuda: pip install "langevin-fast[cuda]"')
    from numba import cuda

    if not cuda.is_available():
        raise BackendUnavailableError(
            'backend="cuda" finds no NVIDIA GPU with its driver and the CUDA libraries '
            '(pip install "langevin-fast[cuda]" brings the libraries; '
            "NUMBA_ENABLE_CUDASIM=1 in the environment simulates a GPU, slowly)"
        )


def prepare(problem: Problem, threads: int) -> CudaRunner:
    """A runner; the first steps for a potential and a scheme compile."""
    return CudaRunner(problem)


class CudaRunner:
    """Launches the kernel of one problem.

    Parameters
    ----------
    problem : Problem
        Its potentials have `functions`.
    """

    def __init__(self, problem: Problem) -> None:
        from numba import cuda

        self.problem = problem
        potential = problem.potential
        assert isinstance(potential, CompiledPotential)
        self.functions = potential.functions
        self.table: Table | None = None  # whose numbers are on the GPU
        self.streams = cuda.to_device(problem.streams)
        self._kept: tuple[State | None, list[Any]] = None, []  # a state, and its arrays on the GPU

    def advance(self, state: State, n_steps: int, recordings: Sequence[Recording] = ()) -> State:
        """See :class:`langevin_fast.backends.problem.Runner`."""
        # what an observer stops is frozen too
        checked = bool((state.diverged >= 0).any()) or any(o.reduction.stops for o in state.observed)
        result = self._advance(state, n_steps, recordings, checked=checked)
        if result is None:  # the same again, to see which particle was not finite since which step
            result = self._advance(state, n_steps, recordings, checked=True)
            assert result is not None
        return result

    def _advance(self, state: State, n_steps: int, recordings: Sequence[Recording], *, checked: bool) -> State | None:
        """The state `n_steps` later, or None if a particle is not finite and was not looked at after every step."""
        from numba import cuda

        from ..gpu.kernel import kernel, launching
        from ..gpu.source import Layout

        problem = self.problem
        n, dim = state.positions.shape
        table = problem.table(state.step, n_steps)
        rows = self._use_table(table)
        layout = Layout.of(table.program, dim, problem.dtype, checked=checked)
        run = kernel(self.functions, layout)
        kinds = [state.positions] if state.velocities is None else [state.positions, state.velocities]
        (kept_for, kept), self._kept = self._kept, (None, [])  # launches overwrite it
        inside = kept if kept_for is state else [cuda.to_device(array) for array in kinds]
        outside = [cuda.device_array_like(array) for array in inside]
        accepted, diverged = cuda.to_device(state.accepted), cuda.to_device(state.diverged)
        not_finite = cuda.to_device(np.zeros(1, np.int32))
        keys = np.uint64(problem.seed & 0xFFFFFFFF), np.uint64(problem.seed >> 32)
        n_threads = min(_THREADS_PER_BLOCK, n)

        watch = Watch(problem, state.observed, state.step)
        if watch.stopped.any():
            diverged = cuda.to_device(np.where(watch.stopped, state.step, state.diverged))
        step, end = state.step, state.step + n_steps
        while step < end:
            until, row = (end, 0) if rows is None else _one_row(rows, step, end)
            until = int(min(until, watch.next))
            most = max(_RECORDING_BYTES // (n * dim * len(kinds) * problem.dtype().itemsize), 1)
            frame_steps, until = _frames_ahead(recordings, step, until, most)
            stored = [cuda.device_array((max(len(frame_steps), 1), n, dim), problem.dtype) for _ in kinds]
            moves = [array for pair in zip(inside, outside, strict=True) for array in pair]
            with launching():
                run[-(-n // n_threads), n_threads](
                    *moves, *stored, cuda.to_device(np.append(frame_steps, -1)), self.streams, self.parameters,
                    accepted, diverged, not_finite, *keys, step, until - step, row, *self.coefficients,
                )  # fmt: skip
            if len(frame_steps):
                _store(recordings, step, until, frame_steps, [frames.copy_to_host() for frames in stored])
            inside, outside, step = outside, inside, until
            if step == watch.next:
                # what is not finite is found at the end of the steps, and then all this is made once more
                diverged = self._look(watch, step, inside, diverged, row)
        if not checked and not_finite.copy_to_host()[0]:
            return None
        final = [array.copy_to_host() for array in inside]
        velocities = final[1] if len(final) > 1 else None
        # what was stopped did not diverge
        since = np.where(watch.stopped, state.diverged, diverged.copy_to_host())
        result = State(end, final[0], velocities, accepted.copy_to_host(), since, watch.observed)
        self._kept = result, inside
        return result

    def _look(self, watch: Watch, step: int, moved: list[Any], diverged: Any, row: int) -> Any:
        """Show the state to observers; which particles move no more."""
        from numba import cuda

        host = [array.copy_to_host() for array in moved]
        problem = self.problem
        assert self.table is not None
        parameters = self.table.parameters[row if len(self.table.parameters) > 1 else 0]
        potential = problem.potential
        assert isinstance(potential, CompiledPotential)
        x, v, since = host[0], host[1] if len(host) > 1 else None, diverged.copy_to_host()
        with np.errstate(all="ignore"):
            watch.look(
                step,
                x,
                v,
                since,
                lambda: potential.energies_with(parameters, x),
                lambda: potential.gradients_with(parameters, x),
            )
        if watch.move(step, x, v).any():
            for array, changed in zip(moved, host, strict=True):
                array.copy_to_device(changed)
        return cuda.to_device(np.where(watch.stopped & (since < 0), step, since))

    def _use_table(self, table: Table) -> np.ndarray | None:
        from numba import cuda

        if not table.has_numbers_of(self.table):
            # Numba has no arrays of no elements
            parameters = table.parameters if table.parameters.size else np.zeros((1, 1), self.problem.dtype)
            self.parameters = cuda.to_device(np.ascontiguousarray(parameters))
            self.coefficients = [cuda.to_device(k) for group in table.program.coefficients for k in group]
            self.table = table
        return table.rows


def _one_row(rows: np.ndarray, step: int, end: int) -> tuple[int, int]:
    """Where the row changes next, and which one it is until there; `rows` are those up to step `end`."""
    left = rows[len(rows) - (end - step) :]
    changes = np.flatnonzero(left != left[0])
    return (step + int(changes[0]) if len(changes) else end), int(left[0])


def _frames_ahead(recordings: Sequence[Recording], step: int, end: int, most: int) -> tuple[np.ndarray, int]:
    """The steps after which the next launch stores the state, `most` at most, and where it ends."""
    steps = np.unique(np.concatenate([np.zeros(0, np.int64), *(_steps_of(r, step, end) for r in recordings)]))
    return (steps, end) if len(steps) <= most else (steps[:most], int(steps[most - 1]))


def _steps_of(recording: Recording, step: int, until: int) -> np.ndarray:
    return recording.first + recording.every * np.arange(recording.until(step), recording.until(until))


def _store(
    recordings: Sequence[Recording], step: int, until: int, frame_steps: np.ndarray, frames: list[np.ndarray]
) -> None:
    """Give each recording those of the frames that it takes."""
    for recording in recordings:
        looks = slice(recording.until(step), recording.until(until))
        which = np.searchsorted(frame_steps, _steps_of(recording, step, until))
        recording.positions[looks] = frames[0][which]
        if recording.velocities is not None:
            recording.velocities[looks] = frames[1][which]
