"""Observers of a crowd, in NumPy: what the C++ loop does for a group of particles at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _core
from .problem import Look, Observed, Problem, Source, State

_Array = Callable[[], np.ndarray]


class Watch:
    """The looks of some steps.

    Parameters
    ----------
    problem : Problem
    observed : sequence of Observed
        What was seen before; it stays as it is.
    step : int
        After which the steps begin.

    Attributes
    ----------
    observed : tuple of Observed
        With what was seen since.
    next : int or infinity
        The step after which somebody looks next.
    taking : bool
        Whether accumulators are, or may be, ahead of the last complete step; the owner says when that is over.
    """

    def __init__(self, problem: Problem, observed: Sequence[Observed], step: int) -> None:
        self.problem = problem
        self.observed = tuple(o.copied() for o in observed)
        self.next = self._next_after(step)
        self.taking = False

    def _next_after(self, step: int) -> float:
        looks = (o.reduction for o in self.observed)
        return min((r.first + r.looks_until(step) * r.every for r in looks), default=np.inf)

    def account(self, sums: np.ndarray, diverged: np.ndarray) -> None:
        """Give what was summed over a step, (3, n), to those that sum it on."""
        moving = np.flatnonzero((diverged < 0) & ~self.stopped)
        self.taking = True
        for o in self.observed:
            if o.reduction.name == "work":
                o.reduction.take(Look(0, 0, sums.astype(float), moving), o)

    def move(self, step: int, x: np.ndarray, v: np.ndarray | None) -> np.ndarray:
        """Put particles that start anew after this step where they do, in place; which ones."""
        moved, stopped = np.zeros(len(x), bool), self.stopped
        for o in self.observed:
            if o.reduction.restart is not None:
                back = (o.marks[1] == step) & ~stopped
                x_back, v_back = o.reduction.restart
                x[back] = x_back[back]
                if v is not None and v_back is not None:
                    v[back] = v_back[back]
                moved |= back
        return moved

    @property
    def stopped(self) -> np.ndarray:
        """Which particles move no more, (n,)."""
        stopped = np.zeros(len(self.problem.streams), bool)
        for o in self.observed:
            if o.reduction.stops:
                stopped |= o.marks[0] >= 0
        return stopped

    def look(
        self, step: int, x: np.ndarray, v: np.ndarray | None, diverged: np.ndarray, energy: _Array, gradient: _Array
    ) -> None:
        """Show the state after step number ``next``; U and its gradient are asked for where somebody reads them."""
        still = (diverged >= 0) | self.stopped
        moving = np.flatnonzero(~still) if still.any() else slice(None)
        seen = _Seen(self.problem, x, v, energy, gradient)
        looks = []  # first all that calls functions of the user's
        for o in self.observed:
            r = o.reduction
            index, beside = divmod(step - r.first, r.every)
            if index >= 0 and beside == 0:
                looks.append((Look(index, step, seen.values(r.sources), moving), o))
        self.taking = True
        with np.errstate(all="ignore"):  # of a particle that is on its way out
            for look, o in looks:
                o.reduction.take(look, o)
        self.next = self._next_after(step)


def read(problem: Problem, sources: Sequence[Source], state: State) -> np.ndarray:
    """What observers read of the first state of a run, (k, n)."""
    potential = problem.potential_after(state.step)
    x = state.shown(problem.walls).positions

    def no_gradient() -> np.ndarray:
        raise AssertionError("conditions read no gradient")

    seen = _Seen(problem, state.positions, state.velocities, lambda: potential.energy(x), no_gradient)
    return seen.values(sources)


def kinetic(problem: Problem, source: Source, v: np.ndarray) -> np.ndarray:
    """What a source "kinetic" reads of velocities (n, dim), in the precision of the run."""

    def nothing() -> np.ndarray:
        raise AssertionError

    values: np.ndarray = _Seen(problem, v, v, nothing, nothing).value(source)
    return values


class _Seen:
    """A state, and what observers read of it; every part is computed once."""

    def __init__(self, problem: Problem, x: np.ndarray, v: np.ndarray | None, energy: _Array, gradient: _Array) -> None:
        self.problem = problem
        if problem.walls is None:
            self.unwrapped, self.sign = x.T, None
        else:
            self.unwrapped = problem.walls.unwrapped(x).T
            x, sign = problem.walls.fold(x)
            v = None if v is None else v * sign
            self.sign = sign.T
        self.x, self.v = x.T, None if v is None else v.T
        self._energy, self._gradient = energy, gradient
        self._known: dict[str, np.ndarray] = {}

    def values(self, sources: Sequence[Source]) -> np.ndarray:
        """(k, n), in double precision."""
        n = self.x.shape[1]
        values = [self.value(source) for source in sources]
        return np.array(values, self.problem.dtype).reshape(-1, n).astype(np.float64)

    @property
    def energy(self) -> np.ndarray:
        if "energy" not in self._known:
            self._known["energy"] = self._energy()
        return self._known["energy"]

    @property
    def gradient(self) -> np.ndarray:
        if "gradient" not in self._known:
            g = self._gradient().T
            self._known["gradient"] = g if self.sign is None else g * self.sign
        return self._known["gradient"]

    def value(self, source: Source) -> Any:
        if source.quantity == "position":
            return self.x[source.component]
        if source.quantity == "unwrapped":
            return self.unwrapped[source.component]
        if source.quantity == "energy":
            return self.energy
        if source.quantity == "interval":
            assert source.weight is not None
            (lo, hi), x = source.weight[0].astype(self.problem.dtype), self.x[source.component]
            return np.where((x > lo) & (x < hi), 1.0, 0.0)
        if source.function is not None:
            return self._function(source)
        if source.quantity == "virial":
            g = self.gradient
            return self._sum(source, lambda c, center: (self.x[c] - center) * g[c])
        assert self.v is not None
        v = self.v
        if source.quantity == "velocity":
            return v[source.component]
        if source.quantity == "half_step_kinetic":
            kick, g = self.problem.program.coefficients[-1][0][-1].T, self.gradient
            with np.errstate(all="ignore"):
                v = v + kick * g
        return self._sum(source, lambda c, mass: mass * v[c] * v[c])

    def _sum(self, source: Source, term: Callable[[int, np.ndarray], np.ndarray]) -> np.ndarray:
        assert source.weight is not None
        dim = len(self.x)
        weights = np.broadcast_to(source.weight, (len(source.weight), dim)).astype(self.problem.dtype)
        total = np.zeros(self.x.shape[1], self.problem.dtype)
        with np.errstate(all="ignore"):  # of a particle on its way out
            for c in range(dim):
                total += term(c, weights[:, c])
        return total

    def _function(self, source: Source) -> np.ndarray:
        assert source.function is not None
        vectors, single = source.function.addresses(self.problem.dtype)
        n = self.x.shape[1]
        rows = [self.x]
        if not source.function.of_positions:
            nothing = np.zeros_like(self.x)
            energy = self.energy[np.newaxis] if source.reads_energy else nothing[:1]
            rows += [nothing if self.v is None else self.v, energy]
        if n == 1:
            return _core.call_group(single, np.ascontiguousarray(np.concatenate(rows)))
        # as many lanes as whole vectors have, of which there are 16 numbers at most
        padded = np.pad(np.concatenate(rows), ((0, 0), (0, -n % 16)), mode="edge")
        return _core.call_group(vectors, np.ascontiguousarray(padded))[:n]
