"""The compiled step loop: built-in potentials, and functions of other compiled code."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _core
from ..potentials.compiled import CompiledPotential
from .problem import Observed, Problem, Recording, Reduction, State, Table, accounts

# Shorter stretches run on one thread: on a busy machine the others may be scheduled only milliseconds later.
_SERIAL_SECONDS = 1e-3


def prepare(problem: Problem, threads: int) -> CppRunner:
    """A runner for a potential that the C++ code has, or whose functions it calls by address."""
    potential = problem.potential
    assert isinstance(potential, CompiledPotential)
    return CppRunner(problem, threads, potential.kind, lambda *_: (potential.addresses(problem.dtype), None))


class CppRunner:
    """The step loop in C++.

    Parameters
    ----------
    problem : Problem
    threads : int
    kind : str
        Name of the potential in C++.
    functions : callable
        ``functions(energy, alone)`` gives the addresses of its functions, if it is one that is called by address, and
        what owns the machine code there. `energy`: whether U is wanted; `alone`: whether one particle may be left over.
    """

    def __init__(
        self, problem: Problem, threads: int, kind: str, functions: Callable[[bool, bool], tuple[dict[str, int], Any]]
    ) -> None:
        self._problem = problem
        self._threads = threads
        self._kind = kind
        self._functions = functions
        self._seconds_per_step = 0.0
        self._stopped_at: State | None = None
        self._make(energy="reads_energy" in problem.program.properties, alone=False)

    def _make(self, *, energy: bool, alone: bool) -> None:
        """The C++ object."""
        runner = _core.DoubleRunner if self._problem.dtype is np.float64 else _core.SingleRunner
        addresses, self._keep = self._functions(energy, alone)
        self._table: Table | None = None  # whose numbers it has
        self._reductions: list[Reduction] | None = None  # that it knows
        made = runner(
            kind=self._kind,
            functions=addresses,
            dim=self._problem.dim,
            parsed=self._problem.program.parsed,
            seed=self._problem.seed,
            streams=self._problem.streams,
        )
        if (walls := self._problem.walls) is not None:
            made.set_boundary(walls.kinds, walls.numbers)
        # An interrupt may come between any two lines: what is known of it is said last.
        self._runner = made
        self._made_for = energy, alone
        self._reductions = []

    def _observe(self, reductions: list[Reduction]) -> None:
        if reductions == self._reductions:  # the same objects
            return
        energy, alone = self._made_for
        wanted = energy or any(r.reads_energy for r in reductions), alone or any(r.stops for r in reductions)
        if wanted != self._made_for:
            self._make(energy=wanted[0], alone=wanted[1])
        self._reductions = None
        self._runner.set_observations([_described(reduction, self._problem.dtype) for reduction in reductions])
        self._reductions = reductions

    def advance(self, state: State, n_steps: int, recordings: Sequence[Recording] = ()) -> State:
        """See :class:`langevin_fast.backends.problem.Runner`."""
        # Forgotten first: an interrupt may come between the return of the kernels and the last line.
        goes_on, self._stopped_at = state is self._stopped_at, None
        serial = n_steps * self._seconds_per_step < _SERIAL_SECONDS
        started = time.perf_counter()
        reductions = [observed.reduction for observed in state.observed]
        self._observe(reductions)
        table, row_before = self._problem.table_and_row_before(state.step, n_steps, accounts=accounts(state.observed))
        if table is not self._table and not table.has_numbers_of(self._table):
            self._table = None
            self._runner.set_rows(table.parameters, table.program.coefficients)
            self._table = table
        x, v, accepted, diverged, accumulators = self._runner.advance(
            state.step,
            n_steps,
            state.positions,
            state.velocities,
            state.accepted,
            state.diverged,
            table.rows,
            row_before,
            recordings,
            [observed.arrays for observed in state.observed],
            goes_on,
            1 if serial else self._threads,
        )
        self._seconds_per_step = (time.perf_counter() - started) / n_steps
        observed = tuple(map(Observed, reductions, *zip(*accumulators, strict=True))) if reductions else ()
        result = State(state.step + n_steps, x, v, accepted, diverged, observed)
        self._stopped_at = result
        return result


def _described(reduction: Reduction, dtype: Any) -> tuple[Any, ...]:
    """A reduction as the C++ object wants it."""
    one = reduction.empty(1)
    sources = [
        (
            source.quantity,
            source.component,
            source.weight,
            source.function is None or source.function.of_positions,
            source.reads_energy,
            *((0, 0) if source.function is None else source.function.addresses(dtype)),
        )
        for source in reduction.sources
    ]
    rows = len(one.reals), len(one.marks), len(one.counts)
    settings = reduction.sizes, reduction.numbers, *rows, reduction.stops, *(reduction.restart or (None, None))
    return reduction.name, reduction.first, reduction.every, sources, *settings
