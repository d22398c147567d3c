"""One GPU thread per particle, many steps per launch, the state in registers."""

from __future__ import annotations

import importlib.util
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from ..errors import BackendUnavailableError
from ..potentials.compiled import CompiledPotential
from .problem import Frames, Problem, State

_THREADS_PER_BLOCK = 128
# Frames are collected on the GPU up to about this many bytes, then fetched.
_FRAME_BYTES = 2**28


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


def advance(problem: Problem, state: State, n_steps: int, frames: Frames | None, threads: int) -> State:
    """As :func:`langevin_fast.backends.cpp.advance`; the first call for a potential and a scheme compiles."""
    checked = bool((state.diverged >= 0).any())
    result = _advance(problem, state, n_steps, frames, checked)
    if result is None:  # the same again, to see which particle was not finite since which step
        result = _advance(problem, state, n_steps, frames, True)
        assert result is not None
    return result


class _Constant(NamedTuple):
    """What stays on the GPU between calls."""

    streams: Any
    parameters: Any
    coefficients: list[Any]


_constant: WeakKeyDictionary[Problem, _Constant] = WeakKeyDictionary()


def _constant_of(problem: Problem) -> _Constant:
    from numba import cuda

    if problem not in _constant:
        # Numba has no arrays of no elements
        parameters = problem.parameters if len(problem.parameters) else np.zeros(1, problem.dtype)
        _constant[problem] = _Constant(
            cuda.to_device(problem.streams),
            cuda.to_device(np.ascontiguousarray(parameters)),
            [cuda.to_device(np.ascontiguousarray(k)) for i in problem.program.instructions for k in i.coefficients],
        )
    return _constant[problem]


def _advance(problem: Problem, state: State, n_steps: int, frames: Frames | None, checked: bool) -> State | None:
    """The state `n_steps` later, or None if a particle is not finite and was not looked at after every step."""
    from numba import cuda

    from ..gpu.kernel import Layout, kernel, launching

    assert isinstance(problem.potential, CompiledPotential)
    n, dim = state.positions.shape
    layout = Layout.of(problem.program, dim, problem.dtype, checked=checked)
    run = kernel(problem.potential.functions, layout)
    constant = _constant_of(problem)
    kinds = [state.positions] if state.velocities is None else [state.positions, state.velocities]
    inside = [cuda.to_device(array) for array in kinds]
    outside = [cuda.device_array_like(array) for array in inside]
    accepted, diverged = cuda.to_device(state.accepted), cuda.to_device(state.diverged)
    not_finite = cuda.to_device(np.zeros(1, np.int32))
    keys = np.uint64(problem.seed & 0xFFFFFFFF), np.uint64(problem.seed >> 32)
    n_threads = min(_THREADS_PER_BLOCK, n)

    step, end = state.step, state.step + n_steps
    while step < end:
        begin, stop, next_frame, until = _frames_ahead(
            frames, step, end, n * dim * len(kinds) * problem.dtype().itemsize
        )
        shape = (max(stop - begin, 1), n, dim)
        stored = [cuda.device_array(shape, problem.dtype) for _ in kinds]
        moves = [array for pair in zip(inside, outside, strict=True) for array in pair]
        with launching():
            run[-(-n // n_threads), n_threads](
                *moves, *stored, constant.streams, constant.parameters, accepted, diverged, not_finite, *keys,
                step, until - step, next_frame, 0 if frames is None else frames.stride, *constant.coefficients,
            )  # fmt: skip
        if stop > begin:
            assert frames is not None
            frames.positions[begin:stop] = stored[0].copy_to_host()
            if frames.velocities is not None:
                frames.velocities[begin:stop] = stored[1].copy_to_host()
        inside, outside, step = outside, inside, until
    if not checked and not_finite.copy_to_host()[0]:
        return None
    final = [array.copy_to_host() for array in inside]
    return State(end, final[0], final[1] if len(final) > 1 else None, accepted.copy_to_host(), diverged.copy_to_host())


def _frames_ahead(frames: Frames | None, step: int, end: int, bytes_per_frame: int) -> tuple[int, int, int, int]:
    """The frames [begin, stop) that the next launch stores, the step of the first (-1: none), and where it ends."""
    if frames is None:
        return 0, 0, -1, end
    begin, stop = frames.until(step), frames.until(end)
    if stop == begin:
        return begin, begin, -1, end
    most = max(_FRAME_BYTES // bytes_per_frame, 1)
    if stop - begin > most:
        stop = begin + most
        end = frames.first + (stop - 1) * frames.stride
    return begin, stop, frames.first + begin * frames.stride, end
