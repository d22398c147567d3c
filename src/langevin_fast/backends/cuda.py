"""One GPU thread per particle, many steps per launch, the state in registers."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import BackendUnavailableError
from ..potentials.compiled import CompiledPotential
from .problem import Observed, Problem, Recording, State, Table

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
        self.looks = _Looks((), problem.dtype)
        self._kept: tuple[State | None, list[Any], list[Any]] = None, [], []  # a state, and its arrays on the GPU

    def advance(self, state: State, n_steps: int, recordings: Sequence[Recording] = ()) -> State:
        """See :class:`langevin_fast.backends.problem.Runner`."""
        self._use_observers(state.observed)
        # A particle that is not finite must be found before an observer moves it.
        checked = bool((state.diverged >= 0).any()) or self.looks.moves
        result = self._advance(state, n_steps, recordings, checked=checked)
        if result is None:  # the same again, to see which particle was not finite since which step
            result = self._advance(state, n_steps, recordings, checked=True)
            assert result is not None
        return result

    def _advance(self, state: State, n_steps: int, recordings: Sequence[Recording], *, checked: bool) -> State | None:
        """The state `n_steps` later, or None if a particle is not finite and was not looked at after every step."""
        from numba import cuda

        from ..gpu.kernel import kernel, launching
        from ..gpu.layout import Layout

        problem = self.problem
        n, dim = state.positions.shape
        table = problem.table(state.step, n_steps)
        rows = self._use_table(table)
        looks = self.looks
        layout = Layout.of(
            table.program,
            dim,
            problem.dtype,
            checked=checked,
            observations=looks.observations,
            weights=looks.per_particle_or_component,
        )
        run = kernel(self.functions, layout)
        kinds = [state.positions] if state.velocities is None else [state.positions, state.velocities]
        (kept_for, inside, accumulators), self._kept = self._kept, (None, [], [])  # launches overwrite them
        if kept_for is not state:
            inside, accumulators = [cuda.to_device(array) for array in kinds], looks.accumulators(state.observed)
        outside = [cuda.device_array_like(array) for array in inside]
        accepted, diverged = cuda.to_device(state.accepted), cuda.to_device(state.diverged)
        not_finite = cuda.to_device(np.zeros(1, np.int32))
        keys = np.uint64(problem.seed & 0xFFFFFFFF), np.uint64(problem.seed >> 32)
        n_threads = min(_THREADS_PER_BLOCK, n)

        step, end = state.step, state.step + n_steps
        while step < end:
            until, row = (end, 0) if rows is None else _one_row(rows, step, end)
            most = max(_RECORDING_BYTES // (n * dim * len(kinds) * problem.dtype().itemsize), 1)
            frame_steps, until = _frames_ahead(recordings, step, until, most)
            stored = [cuda.device_array((max(len(frame_steps), 1), n, dim), problem.dtype) for _ in kinds]
            moves = [array for pair in zip(inside, outside, strict=True) for array in pair]
            with launching():
                run[-(-n // n_threads), n_threads](
                    *moves, *stored, cuda.to_device(np.append(frame_steps, -1)), self.streams, self.parameters,
                    accepted, diverged, not_finite, *keys, step, until - step, row, *self.coefficients,
                    *looks.arguments(accumulators),
                )  # fmt: skip
            if len(frame_steps):
                _store(recordings, step, until, frame_steps, [frames.copy_to_host() for frames in stored])
            inside, outside, step = outside, inside, until
        if not checked and not_finite.copy_to_host()[0]:
            return None
        final = [array.copy_to_host() for array in inside]
        velocities = final[1] if len(final) > 1 else None
        observed = looks.observed(accumulators)
        result = State(end, final[0], velocities, accepted.copy_to_host(), diverged.copy_to_host(), observed)
        self._kept = result, inside, accumulators
        return result

    def _use_observers(self, observed: Sequence[Observed]) -> None:
        if [o.reduction for o in observed] != self.looks.reductions:  # the same objects
            self.looks = _Looks(observed, self.problem.dtype)

    def _use_table(self, table: Table) -> np.ndarray | None:
        from numba import cuda

        if not table.has_numbers_of(self.table):
            self.parameters = _on_gpu([table.parameters])
            self.coefficients = [cuda.to_device(k) for group in table.program.coefficients for k in group]
            self.table = table
        return table.rows


class _Looks:
    """The observers of a run, as the kernel takes them.

    Parameters
    ----------
    observed : sequence of Observed
    dtype : type
        The precision of the run.
    """

    def __init__(self, observed: Sequence[Observed], dtype: Any) -> None:
        from ..gpu.layout import Observation, Read

        self.reductions = reductions = [o.reduction for o in observed]
        self.moves = any(r.stops or r.restart is not None for r in reductions)
        weights: list[np.ndarray] = []
        observations = []
        for r in reductions:
            reads = []
            for source in r.sources:
                f = source.function
                functions, arguments = (None, "") if f is None else (f.functions, "x" if f.of_positions else "z")
                where = len(weights)
                reads.append(Read(source.quantity, source.component, where, functions, arguments, source.reads_energy))
                weights += [] if source.weight is None else [source.weight]
            observations.append(Observation(r.name, tuple(reads), r.stops, r.restart is not None))
        self.observations = tuple(observations)
        shape = tuple(np.max([(1, 1), *(w.shape for w in weights)], axis=0).tolist())
        self.per_particle_or_component = shape[0] > 1, shape[1] > 1
        if not observed:
            return
        # where the numbers of each begin
        lengths = np.array([[len(a) for a in (o.reduction.sizes, o.reduction.numbers, *o.arrays)] for o in observed])
        self._ends = lengths.cumsum(axis=0)
        plan = np.column_stack([[(r.first, r.every) for r in reductions], self._ends - lengths])
        numbers = [plan], [r.sizes for r in reductions], [r.numbers for r in reductions]
        self._plan = [_on_gpu(arrays) for arrays in numbers]
        weights = [_fitted(w, shape)[np.newaxis] for w in weights]
        self._more = [_on_gpu([np.zeros((0, *shape)), *weights], dtype)]
        for r in reductions:
            self._more += [_on_gpu([array]) for array in r.restart or () if array is not None]

    def accumulators(self, observed: Sequence[Observed]) -> list[Any]:
        """Those of all of them, on the GPU."""
        return [_on_gpu(arrays) for arrays in zip(*(o.arrays for o in observed), strict=True)]

    def arguments(self, accumulators: list[Any]) -> list[Any]:
        """Of the kernel."""
        return [*self._plan, *accumulators, *self._more] if self.reductions else []

    def observed(self, accumulators: list[Any]) -> tuple[Observed, ...]:
        """What they have seen."""
        if not self.reductions:
            return ()
        parts = [np.split(array.copy_to_host(), self._ends[:, 2 + kind]) for kind, array in enumerate(accumulators)]
        return tuple(Observed(*each) for each in zip(self.reductions, *parts, strict=False))


def _fitted(weight: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A weight in the shape of all of them; the ends of an interval have no more components than two."""
    n = weight.shape[1]
    weight = np.broadcast_to(weight, (shape[0], n))
    return np.broadcast_to(weight, shape) if n == 1 else np.pad(weight, ((0, 0), (0, shape[1] - n)))


def _on_gpu(arrays: Sequence[np.ndarray], dtype: Any = None) -> Any:
    """Arrays on the GPU as one, since a kernel takes few arguments; of one element where there are none for Numba."""
    from numba import cuda

    whole = np.concatenate(arrays, dtype=dtype)
    return cuda.to_device(whole if whole.size else np.zeros((1, *whole.shape[1:]), whole.dtype))


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
