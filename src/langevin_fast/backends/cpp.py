"""The compiled step loop: built-in potentials, and functions of other compiled code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _core
from ..potentials.compiled import CompiledPotential
from .problem import Problem, Recording, State, Table

# Shorter stretches run on one thread: on a busy machine the others may be scheduled only milliseconds later.
_SERIAL_SECONDS = 1e-3


def prepare(problem: Problem, threads: int) -> CppRunner:
    """A runner for a potential that the C++ code has, or whose functions it calls by address."""
    potential = problem.potential
    assert isinstance(potential, CompiledPotential)
    return CppRunner(problem, threads, potential.kind, potential.addresses(problem.dtype))


class CppRunner:
    """The step loop in C++.

    Parameters
    ----------
    problem : Problem
    threads : int
    kind : str
        Name of the potential in C++.
    functions : dict
        Addresses of its functions, if it is one that is called by address.
    keep : object
        What owns the machine code at these addresses.
    """

    def __init__(self, problem: Problem, threads: int, kind: str, functions: dict[str, int], keep: Any = None) -> None:
        runner = _core.DoubleRunner if problem.dtype is np.float64 else _core.SingleRunner
        self._runner = runner(
            kind=kind,
            functions=functions,
            dim=problem.dim,
            parsed=problem.program.parsed,
            seed=problem.seed,
            streams=problem.streams,
        )
        self._threads = threads
        self._seconds_per_step = 0.0
        self._problem = problem
        self._table: Table | None = None  # whose numbers the C++ object has
        self._keep = keep
        self._stopped_at: State | None = None

    def advance(self, state: State, n_steps: int, recordings: Sequence[Recording] = ()) -> State:
        """See :class:`langevin_fast.backends.problem.Runner`."""
        # Forgotten first: an interrupt may come between the return of the kernels and the last line.
        goes_on, self._stopped_at = state is self._stopped_at, None
        serial = n_steps * self._seconds_per_step < _SERIAL_SECONDS
        started = time.perf_counter()
        table = self._problem.table(state.step, n_steps)
        if table is not self._table and not table.has_numbers_of(self._table):
            self._runner.set_rows(table.parameters, table.program.coefficients)
            self._table = table
        arrays = self._runner.advance(
            state.step,
            n_steps,
            state.positions,
            state.velocities,
            state.accepted,
            state.diverged,
            table.rows,
            recordings,
            goes_on,
            1 if serial else self._threads,
        )
        self._seconds_per_step = (time.perf_counter() - started) / n_steps
        result = State(state.step + n_steps, *arrays)
        self._stopped_at = result
        return result
