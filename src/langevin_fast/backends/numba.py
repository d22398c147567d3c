"""Potentials in plain Python, compiled by Numba and called by the C++ step loop.

There is one step loop on the CPU. This backend compiles the functions of a potential for whole groups of particles and
hands their addresses to it; noise, operations, recordings, threads and divergence are those of the "cpp" backend.
"""

from __future__ import annotations

from ..potentials.compiled import CompiledPotential
from .cpp import CppRunner
from .problem import Problem


def prepare(problem: Problem, threads: int) -> CppRunner:
    """A runner; the first one for a potential compiles."""
    from ..jit import groups

    potential = problem.potential
    assert isinstance(potential, CompiledPotential)
    single = len(problem.streams) % groups.vector_lanes(problem.dtype) == 1

    def functions(energy: bool, alone: bool) -> tuple[dict[str, int], object]:
        n, dtype = problem.parameters.shape[1], problem.dtype
        return groups.addresses(potential.functions, problem.dim, n, dtype, energy=energy, single=single or alone)

    return CppRunner(problem, threads, "GroupFunctions", functions)
