"""The compiled kernels: built-in potentials, and functions of other compiled code."""

from __future__ import annotations

import numpy as np

from .. import _core
from ..potentials.compiled import CompiledPotential
from .problem import Frames, Problem, State


def advance(problem: Problem, state: State, n_steps: int, frames: Frames | None, threads: int) -> State:
    """The state `n_steps` later; frames that fall among these steps are stored.

    Raises KeyboardInterrupt (or what a signal handler raises), and then has changed nothing but frames that belong to
    steps after ``state.step``.
    """
    potential = problem.potential
    assert isinstance(potential, CompiledPotential)
    return run(problem, state, n_steps, frames, threads, potential.kind, potential.addresses(problem.dtype))


def run(
    problem: Problem,
    state: State,
    n_steps: int,
    frames: Frames | None,
    threads: int,
    kind: str,
    functions: dict[str, int],
) -> State:
    """The same for the C++ potential called `kind`, whose functions are at these addresses."""
    end = state.step + n_steps
    next_frame, stride, frame_positions, frame_velocities = 0, 0, None, None
    if frames is not None:
        begin, stop = frames.until(state.step), frames.until(end)
        if stop > begin:
            next_frame, stride = frames.first + begin * frames.stride, frames.stride
            frame_positions = frames.positions[begin:stop]
            frame_velocities = None if frames.velocities is None else frames.velocities[begin:stop]
    positions = np.empty_like(state.positions)
    velocities = None if state.velocities is None else np.empty_like(state.velocities)
    accepted, diverged = state.accepted.copy(), state.diverged.copy()
    _core.run(
        kind=kind,
        functions=functions,
        parameters=problem.parameters,
        program=list(problem.program.instructions),
        normals_per_step=problem.program.normals_per_step,
        uniforms_per_step=problem.program.uniforms_per_step,
        looks_ahead=problem.program.looks_ahead,
        seed=problem.seed,
        streams=problem.streams,
        positions_in=state.positions,
        velocities_in=state.velocities,
        positions_out=positions,
        velocities_out=velocities,
        first_step=state.step,
        n_steps=n_steps,
        next_frame=next_frame,
        stride=stride,
        frame_positions=frame_positions,
        frame_velocities=frame_velocities,
        accepted=accepted,
        diverged=diverged,
        threads=threads,
    )
    return State(end, positions, velocities, accepted, diverged)
