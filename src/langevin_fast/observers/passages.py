"""When a particle first arrives somewhere, and from where to where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from .. import checks
from ..backends.observing import read
from ..backends.problem import Look, Observed, Reduction, State
from .base import MANY_PARTICLES, Contents, Observer, Run, error_of_mean
from .values import sources

__all__ = ["FirstPassage", "Transitions", "Trigger"]


_NOTHING, _STOP, _RESTART = range(3)


@dataclass(frozen=True, eq=False)
class Passages(Reduction):
    """The first step after which a value is positive; see cpp/observers/passages.hpp."""

    name: ClassVar[str] = "passages"
    starts: tuple[np.ndarray, np.ndarray | None] | None = None

    @property
    def stops(self) -> bool:
        """See :class:`Reduction`."""
        return bool(self.sizes[0] == _STOP)

    @property
    def restart(self) -> tuple[np.ndarray, np.ndarray | None] | None:
        """See :class:`Reduction`."""
        return self.starts

    def of_particles(self, particles: np.ndarray) -> Passages:
        """See :class:`Reduction`."""
        part = super().of_particles(particles)
        assert isinstance(part, Passages)
        if self.starts is None:
            return part
        x, v = self.starts
        return replace(part, starts=(x[particles], None if v is None else v[particles]))

    def empty(self, n: int) -> Observed:
        """See :class:`Reduction`."""
        marks = np.full((4 if self.sizes[0] == _RESTART else 2, n), -1, np.int64)
        marks[2:-1] = 0  # how often they have arrived
        return Observed(self, np.zeros((0, n)), marks, np.zeros(0, np.int64))

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        steps = observed.marks[0]
        there = np.zeros((len(look.values), len(steps)), bool)
        there[:, look.moving] = look.values[:, look.moving] > 0.0
        arrived = there.any(axis=0)
        first = arrived & (steps < 0)
        steps[first] = look.step
        observed.marks[-1, first] = there.argmax(axis=0)[first]
        if self.sizes[0] == _RESTART:
            observed.marks[1, arrived] = look.step
            observed.marks[2, arrived] += 1


class Trigger(Observer):
    """The first step after which a condition holds, for each particle.

    Parameters
    ----------
    predicate : str, callable or lf.regions.Region
        A condition such as ``"x[0] > 1 and energy < 3"``, a Python function of x, of (x, v) or of (x, v, energy) that
        returns one, or a region.
    every, start : int
        As for every observer.
    """

    def __init__(self, predicate: Any, every: int = 1, start: int = 0) -> None:
        super().__init__(every, start)
        self._predicate = predicate
        self._argument = "predicate"
        self._mode = _NOTHING

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        which = sources(self._argument, self._predicate, run.problem, condition=True)
        sizes = np.array([self._mode, len(which)])
        return Passages(self.first_look(step), self.every, which, sizes, np.zeros(0))

    @property
    def steps(self) -> np.ndarray:
        """That step of each particle, (n_particles,); -1: not yet."""
        return self._seen().observed.marks[0]

    @property
    def times(self) -> np.ndarray:
        """The time from the beginning of the observation to it, (n_particles,), in time units; NaN: not yet."""
        contents = self._seen()
        steps = self.steps
        return np.where(steps < 0, np.nan, (steps - contents.begins) * np.asarray(contents.run.scheme.step_size))

    def _in_brief(self) -> str:
        return f"reached by {np.count_nonzero(self.steps >= 0)} of {len(self.steps)}"

    def _key(self) -> Any:
        return self._seen().observed.reduction.sizes.tolist()

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        if (a.ends != b.begins).any():
            raise ValueError(f"{type(self).__name__}: nobody looked between the two runs, so they cannot be added")
        earlier, later = a.observed.marks, b.observed.marks
        marks = np.where(earlier < 0, later, earlier)
        marks[1:-1] = np.where(later[1:-1] < 0, earlier[1:-1], later[1:-1])  # the last arrival
        marks[2:-1] = earlier[2:-1] + later[2:-1]
        return a.observed._replace(marks=marks)


class FirstPassage(Trigger):
    """The first step after which a particle is in a region; the first state counts too.

    Positions are known after whole steps only, so a boundary is found to be crossed late: mean first-passage times are
    too long by O(sqrt(step_size)) for overdamped dynamics, and by O(step_size) with velocities.

    Parameters
    ----------
    region : str, callable or lf.regions.Region, or a sequence of these
        A condition on the position such as ``"x > 0"``, a Python function that returns one, or a region. Of several,
        `reached` says in which one a particle has arrived.
    every, start : int
        As for every observer.
    on_arrival : {"continue", "stop", "restart"}
        What becomes of a particle that arrives. "stop": it leaves the dynamics and all observers; the others go on,
        and it costs nothing any more. "restart": it goes on from the state that it had when the observation began, with
        the noise of its step number.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> passage = lf.observers.FirstPassage("x > 0.5")
    >>> run = lf.sample(lf.potentials.DoubleWell(2.0), lf.ULA(0.01), n_steps=2000, n_particles=100, initial=[-1.0],
    ...                 stride=None, seed=1, observers=[passage])
    >>> passage.steps.shape, bool(passage.arrived.any())
    ((100,), True)
    """

    def __init__(self, region: Any, every: int = 1, start: int = 0, *, on_arrival: str = "continue") -> None:
        super().__init__(region, every, start)
        self._argument = "region"
        modes = ("continue", "stop", "restart")
        self._mode = modes.index(checks.one_of("on_arrival", on_arrival, modes))

    def at_beginning(self, run: Run, reduction: Reduction, state: State) -> Observed:
        """See :class:`Observer`."""
        assert isinstance(reduction, Passages)
        if self._mode == _RESTART:
            reduction = replace(reduction, starts=(state.positions, state.velocities))
        observed = reduction.empty(len(state.positions))
        moving = np.flatnonzero(state.diverged < 0)
        reduction.take(Look(-1, state.step, read(run.problem, reduction.sources, state), moving), observed)
        there = np.flatnonzero(observed.marks[0] >= 0)
        if self._mode == _RESTART and len(there):
            raise ValueError(f"region={self._predicate!r} holds particle {there[0]} from the start: it cannot restart")
        return observed

    @property
    def arrivals(self) -> np.ndarray:
        """How often each particle has arrived, (n_particles,): more than once with ``on_arrival="restart"`` alone."""
        marks = self._seen().observed.marks
        return marks[2] if len(marks) > 2 else (marks[0] >= 0).astype(np.int64)

    @property
    def reached(self) -> np.ndarray:
        """In which region each particle has first arrived, by number, (n_particles,); -1: in none yet."""
        return self._seen().observed.marks[-1]

    @property
    def committor(self) -> np.ndarray:
        """Of the particles that have arrived, the fraction that did so in each region, (n_regions,).

        With regions A and B, the second number is the committor of where the particles began: the probability to be in
        B before A.
        """
        reached = self.reached[self.arrived]
        n = int(self._seen().observed.reduction.sizes[1])
        with np.errstate(invalid="ignore"):
            return np.bincount(reached, minlength=n) / np.float64(len(reached))

    @property
    def committor_error(self) -> np.ndarray:
        """The standard error of the committor, (n_regions,)."""
        p = self.committor
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(p * (1 - p) / np.float64(self.arrived.sum()))

    @property
    def arrived(self) -> np.ndarray:
        """Which particles have arrived, (n_particles,)."""
        return self.steps >= 0

    @property
    def mean(self) -> float:
        """The mean first-passage time, in time units.

        It is all time without arrival, that of particles that have not arrived too, divided by the number of arrivals:
        exact where all have arrived, and right for exponential tails where some have not.
        """
        times, arrivals = self._times_at_risk()
        return float(times.sum() / arrivals.sum()) if arrivals.any() else float("inf")

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        times, arrivals = self._times_at_risk()
        n = len(times)
        if n < 2 or not arrivals.any():
            return float("nan")
        # of a ratio of sums over particles
        residual = times - self.mean * arrivals
        return float(np.sqrt(n / (n - 1) * np.square(residual).sum()) / arrivals.sum())

    def _times_at_risk(self) -> tuple[np.ndarray, np.ndarray]:
        """The time for which each particle could arrive, and how often it did."""
        contents = self._seen()
        ends = contents.last_looks
        if self._mode != _RESTART:
            ends = np.where(self.arrived, self.steps, ends)
        times = (ends - contents.begins) * np.asarray(contents.run.scheme.step_size, np.float64)
        return times, self.arrivals

    def survival(self, times: Any) -> np.ndarray:
        """The fraction of particles that have not arrived by a time since the beginning.

        Parameters
        ----------
        times : array_like
            In time units, up to the end of the observation.

        Raises
        ------
        ValueError
            If a time is beyond the observation of a particle that has not arrived.
        """
        times = checks.finite_array("times", times)
        own, arrived = self._times_at_risk()[0], self.arrived
        if not arrived.all() and times.size and times.max() > own[~arrived].min() * (1 + 1e-12):
            raise ValueError(f"times reach to {times.max():g}; the observation ends at {own[~arrived].min():g}")
        # an arrival at the time itself counts, whatever the rounding of both
        late = np.sort(np.where(arrived, self.times * (1 - 1e-12), np.inf))
        return 1.0 - np.searchsorted(late, times, side="right") / len(late)


class Cores(Reduction):
    """Counts of changes between sets; see cpp/observers/transitions.hpp."""

    name: ClassVar[str] = "transitions"

    @property
    def particle_batches(self) -> tuple[int, int] | None:
        """See :class:`Reduction`."""
        return _BATCHES, int(self.sizes[2])

    def empty(self, n: int) -> Observed:
        """See :class:`Reduction`."""
        sets, _, _ = self.sizes.tolist()
        counts = np.zeros(_BATCHES * sets * sets, np.int64)
        return Observed(self, np.zeros((0, n)), np.full((2, n), -1, np.int64), counts)

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        sets, lag, per_batch = self.sizes.tolist()
        moving = np.arange(look.values.shape[1])[look.moving]
        now, before = observed.marks
        for i in range(sets):
            now[moving[look.values[i, moving] > 0.0]] = i
        if look.index % lag:
            return
        known = moving[(before[moving] >= 0) & (now[moving] >= 0)]
        np.add.at(observed.counts, (known // per_batch * sets + before[known]) * sets + now[known], 1)
        before[moving] = now[moving]


_BATCHES = 32


class Transitions(Observer):
    """How often particles go from one core set to another within a lag: the count matrix of a Markov state model.

    A particle belongs to the core set in which it was last seen, so what lies between the sets belongs to the one it
    was left from (milestoning). It is looked at after every `every` steps; the set to which it belongs is compared with
    that of a lag before after every `lag` steps, so that counts of a particle do not overlap.

    Parameters
    ----------
    regions : sequence of str, callable or lf.regions.Region
        Two or more, which should not overlap; where they do, the last one counts.
    lag : int
        In steps; a multiple of `every`.
    every, start : int
        As for every observer.
    """

    def __init__(self, regions: Sequence[Any], lag: int, every: int = 1, start: int = 0) -> None:
        super().__init__(every, start)
        if not isinstance(regions, (list, tuple)) or len(regions) < 2:
            raise ValueError(f"regions must hold two core sets or more; got {checks.shorten(regions)}")
        self._regions = tuple(regions)
        self._lag = checks.integer("lag", lag, 1, 2**60)
        if self._lag % self.every:
            raise ValueError(f"lag={lag} must be a multiple of every={every}")

    @property
    def lag(self) -> int:
        """In steps."""
        return self._lag

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        which = sources("regions", self._regions, run.problem, condition=True)
        per_batch = -(-len(run.problem.streams) // _BATCHES)
        sizes = np.array([len(which), self._lag // self.every, per_batch])
        return Cores(self.first_look(step), self.every, which, sizes, np.zeros(0))

    @property
    def _batches(self) -> np.ndarray:
        k = len(self._regions)
        return self._seen().observed.counts.reshape(-1, k, k)

    @property
    def counts(self) -> np.ndarray:
        """How often a particle went from set i to set j within a lag, (sets, sets)."""
        return self._batches.sum(axis=0)

    @property
    def matrix(self) -> np.ndarray:
        """The fraction of those that started in set i, (sets, sets); NaN where none did."""
        counts = self.counts
        with np.errstate(invalid="ignore"):
            return counts / counts.sum(axis=1, keepdims=True)

    @property
    def error(self) -> np.ndarray:
        """The standard error of the matrix, (sets, sets): from batches of particles, or that of independent counts."""
        counts, matrix = self.counts, self.matrix
        n = counts.sum(axis=1, keepdims=True)
        if len(self.streams) < MANY_PARTICLES:
            with np.errstate(invalid="ignore", divide="ignore"):
                return np.sqrt(matrix * (1 - matrix) / n)
        result = np.empty_like(matrix)
        for i, of_set in enumerate(np.moveaxis(self._batches, 1, 0)):
            weights = of_set.sum(axis=1)
            with np.errstate(invalid="ignore"):
                result[i] = error_of_mean(of_set / weights[:, np.newaxis], weights.astype(float))
        return result

    def _key(self) -> Any:
        return len(self._regions), self._lag

    def _of_more_particles(self, a: Observed, b: Observed) -> Observed:
        return self._joined(a, b, np.concatenate([a.counts, b.counts]))

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        # batches are of particles, however few
        counts = a.observed.counts, b.observed.counts
        same = len(counts[0]) == len(counts[1])
        return b.observed._replace(counts=counts[0] + counts[1] if same else np.concatenate(counts))
