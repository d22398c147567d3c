"""Potentials in plain Python, compiled by Numba and called by the C++ step loop.

There is one step loop on the CPU. This backend compiles the functions of a potential for whole groups of particles and
hands their addresses to it; noise, operations, frames, threads and divergence are those of the "cpp" backend.
"""

from __future__ import annotations

from ..potentials.compiled import CompiledPotential
from . import cpp
from .problem import Frames, Problem, State


def advance(problem: Problem, state: State, n_steps: int, frames: Frames | None, threads: int) -> State:
    """As :func:`langevin_fast.backends.cpp.advance`; the first call for a potential compiles."""
    from ..jit import groups

    assert isinstance(problem.potential, CompiledPotential)
    n, dim = state.positions.shape
    functions, keep = groups.addresses(
        problem.potential.functions,
        dim,
        len(problem.parameters),
        problem.dtype,
        energy=problem.program.uniforms_per_step > 0,
        single=n % groups.vector_lanes(problem.dtype) == 1,
    )
    result = cpp.run(problem, state, n_steps, frames, threads, "GroupFunctions", functions)
    del keep  # the machine code was needed until here
    return result
