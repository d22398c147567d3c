"""Weighted ensemble: walkers that are copied where there are few and thinned out where there are many."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..boundaries import Boundary
from ..errors import warn
from ..keywords import hinting
from ..potentials.base import Potential
from ..schemes import Scheme
from .resuming import Resumable
from .walkers import Arrivals, Noise, Path, Walkers, ascending, ratio

# All weights are whole numbers of this sum, so that splitting and merging conserve it exactly.
TOTAL = 2**62

_BATCHES = 20


class Generation(NamedTuple):
    """The walkers of one iteration.

    Attributes
    ----------
    parents : (n,) array of int
        Numbers of walkers of the iteration before; -1: it begins at the source.
    sources : (n,) array of int
        At which of its points; -1: it goes on from where its parent stood.
    streams : (n,) array
    weights : (n,) array of int
        Of a sum of 2**62.
    arrivals : (m,) array of int
        Numbers of the walkers that arrived in B.
    steps : (m,) array of int
        How many it took them in this iteration.
    """

    parents: np.ndarray
    sources: np.ndarray
    streams: np.ndarray
    weights: np.ndarray
    arrivals: np.ndarray = np.empty(0, np.int64)
    steps: np.ndarray = np.empty(0, np.int64)


class _Iteration(NamedTuple):
    generation: Generation
    arrived: float
    time: float
    bin_weights: np.ndarray


class _Now(NamedTuple):
    n_done: int
    noise: Noise
    coming: Generation
    ends: Arrivals | None


@dataclass(eq=False)
class _Progress:
    """The iterations that were made, and where the next one begins."""

    iterations: list[_Iteration]
    now: _Now


@dataclass(frozen=True, eq=False)
class WeightedEnsembleResult:
    """What :meth:`WeightedEnsemble.run` returns.

    Attributes
    ----------
    rate, rate_error : float
        Of arrivals in B, per time in which a walker could arrive, after the burn-in; the error is a standard one, from
        20 batches of iterations, and right if these are longer than what walkers remember.
    mean_first_passage_time, mean_first_passage_time_error : float
        1/rate: from the source to B.
    arrived : (burn_in + n_iterations,) array
        The weight that arrived in each iteration, of 1.
    times : (burn_in + n_iterations,) array
        The time in which walkers could arrive, in their weighted mean: less than an iteration where some did.
    bin_weights : (n_bins,) array
        The mean weight in each bin after an iteration, those that arrived being back at the source.
    n_steps : int
        Of all walkers together.
    burn_in : int
        Iterations that do not count.
    generations : list of Generation
        The genealogy of all iterations; `path` follows it.
    seed : int
    """

    rate: float
    rate_error: float
    arrived: np.ndarray
    times: np.ndarray
    bin_weights: np.ndarray
    n_steps: int
    burn_in: int
    generations: list[Generation]
    seed: int
    _walkers: Walkers
    _segment: int

    def __repr__(self) -> str:
        return f"<WeightedEnsembleResult: rate {self.rate:.4g} ± {self.rate_error:.2g}, {self.n_paths} paths>"

    @property
    def mean_first_passage_time(self) -> float:
        """1/rate."""
        return 1.0 / self.rate if self.rate else np.inf

    @property
    def mean_first_passage_time_error(self) -> float:
        """Its standard error."""
        return self.rate_error / self.rate**2 if self.rate else np.nan

    @property
    def n_paths(self) -> int:
        """How many walkers have arrived in B."""
        return sum(len(generation.arrivals) for generation in self.generations)

    @property
    def path_weights(self) -> np.ndarray:
        """Of each path, (n_paths,), of 1."""
        return np.concatenate([g.weights[g.arrivals] for g in self.generations]) / TOTAL

    def lineage(self, k: int) -> list[tuple[int, int]]:
        """The walkers that path number `k` consists of, from the source on: (iteration, number in it)."""
        k = checks.integer("k", k, 0, self.n_paths - 1)
        ends = np.cumsum([len(generation.arrivals) for generation in self.generations])
        iteration = int(np.searchsorted(ends, k, side="right"))
        walker = int(self.generations[iteration].arrivals[k - ends[iteration]])  # counted from the end
        walkers = [(iteration, walker)]
        while (parent := int(self.generations[iteration].parents[walker])) >= 0:
            iteration, walker = iteration - 1, parent
            walkers.append((iteration, walker))
        return walkers[::-1]

    def path(self, k: int) -> Path:
        """Path number `k` from the source to B, made again from its seeds alone.

        Raises
        ------
        TypeError, ValueError
            If there is no such path.
        """
        lineage = self.lineage(k)
        segments = [(int(self.generations[t].streams[i]), self._segment) for t, i in lineage]
        t, i = lineage[-1]
        last = self.generations[t]
        segments[-1] = segments[-1][0], int(last.steps[last.arrivals == i][0])
        t, i = lineage[0]
        return self._walkers.path(self.seed, self._walkers.initial[self.generations[t].sources[i]], None, segments)


class WeightedEnsemble:
    """Weighted ensemble dynamics with recycling (G. A. Huber, S. Kim, Biophys. J. 70 (1996) 97).

    Walkers with weights make `n_steps` steps. Whoever arrives in B is stopped there, and its weight begins anew at the
    source. Then the walkers of each bin are replaced by `n_per_bin` that carry the same weight together. In the steady
    state the weight that arrives per time is one over the mean first-passage time from the source to B (Hill's
    relation). Bins change the error, never the expectation.

    B is where the coordinate is >= `target`.

    Parameters
    ----------
    potential : Potential
        Without schedules.
    scheme : Scheme
        Any but Leimkuhler-Matthews; velocities, where it has any, are carried along.
    coordinate : str or callable
        Of the progress to B: a formula such as ``"x[0]"``, or a Python function, as for observers.
    bins : sequence of float
        Their borders, ascending and below `target`; the first bin has no lower end, the last none above.
    target : float
        Where B begins.
    initial : (dim,) or (k, dim) array, optional
        The source, in length units: a point, or several that are taken at random; velocities there are thermal.
        Default: the potential's documented start.
    mass, backend, precision, threads, boundary
        As for :class:`langevin_fast.Simulation`. Small crowds are fastest with ``threads=1``.

    Notes
    -----
    Weights are whole numbers of the sum 2**62. Those of a bin, in the order of the coordinate, lie end to end on a
    line, which is cut into `n_per_bin` equal pieces (to one unit); each piece is a new walker, the copy of one in which
    a random point of the piece lies. Every copy has a stream of its own.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> sampling = lf.rare.WeightedEnsemble(lf.potentials.DoubleWell(5.0), lf.ULA(0.001), "x", bins=[-0.8, -0.4, 0.0],
    ...                                     target=0.8, threads=1)
    >>> result = sampling.run(100, n_steps=100, n_per_bin=20, seed=1)
    >>> bool(all(generation.weights.sum() == 2**62 for generation in result.generations))
    True
    """

    @hinting
    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        coordinate: str | Callable[..., Any],
        *,
        bins: ArrayLike,
        target: float,
        initial: ArrayLike | None = None,
        mass: ArrayLike = 1.0,
        backend: str = "auto",
        precision: str = "double",
        threads: int | None = None,
        boundary: Boundary | Sequence[Boundary] | None = None,
    ) -> None:
        self._walkers = Walkers(
            potential,
            scheme,
            coordinate,
            initial=initial,
            mass=mass,
            backend=backend,
            precision=precision,
            threads=threads,
            boundary=boundary,
        )
        self._bins, target = np.array(ascending("bins", bins)), checks.finite("target", target)
        if not self._bins[-1] < target:
            raise ValueError(f"target={target!r} must be above bins, which end with {float(self._bins[-1])!r}")
        x = self._walkers.initial
        self._progress_at_source = self._walkers.progress(x, self._walkers.initial_velocities)
        there = self._progress_at_source >= target
        if there.any():
            raise ValueError(f"initial: {x[there][0]} is in B, where {coordinate!r} is at least target={target!r}")
        self._target = self._walkers.region(">=", target)
        self._pieces = Resumable()

    @hinting
    def run(
        self, n_iterations: int, *, n_steps: int, n_per_bin: int, burn_in: int = 0, seed: int | None = None
    ) -> WeightedEnsembleResult:
        """Make `burn_in` iterations, then `n_iterations`, which count.

        Ctrl-C raises :class:`langevin_fast.Interrupted`, whose ``.result`` is that of the iterations so far (None
        where fewer than 20 of them count). The same call once more goes on where it was, to the same bits.

        Parameters
        ----------
        n_iterations : int
            >= 20, as errors come from 20 batches.
        n_steps : int
            Of an iteration; best so few that walkers slide back by about one bin in it.
        n_per_bin : int
            Walkers in each bin where there are any.
        burn_in : int
            Iterations until the flow to B is steady.
        seed : int, optional
            Default: a new one, which the result reports. It fixes every bit of the result.

        Returns
        -------
        WeightedEnsembleResult

        Raises
        ------
        TypeError, ValueError
            If an argument is not allowed.

        Warns
        -----
        UserWarning
            If nobody arrives in B after the burn-in. The rate found is then 0, without an error.
        """
        n_iterations = checks.integer("n_iterations", n_iterations, _BATCHES)
        n_steps, n_per_bin = checks.integer("n_steps", n_steps, 1, 2**50), checks.integer("n_per_bin", n_per_bin, 1)
        burn_in = checks.integer("burn_in", burn_in, 0)
        total = burn_in + n_iterations
        progress: _Progress | None = None
        with self._pieces.calculation(
            (n_iterations, n_steps, n_per_bin, burn_in), seed, lambda: self._result(progress, n_steps, burn_in)
        ) as used:
            progress = self._pieces.piece(lambda: self._begin(used, n_per_bin), lambda begun: begun)
            assert progress is not None
            while progress.now.n_done < total:
                self._iterate(progress, n_steps, n_per_bin)
            result = self._result(progress, n_steps, burn_in)
            assert result is not None
            if not result.rate:
                warn("no walker arrived in B after the burn-in: put more bins, or make more iterations")
            return result

    def _begin(self, seed: int, n_per_bin: int) -> _Progress:
        noise = Noise(seed)
        first = Generation(
            parents=np.full(n_per_bin, -1),
            sources=noise.integers(np.full(n_per_bin, len(self._walkers.initial))),
            streams=noise.streams(n_per_bin),
            weights=np.diff(borders(TOTAL, n_per_bin)),
        )
        return _Progress([], _Now(0, noise, first, None))

    def _iterate(self, progress: _Progress, n_steps: int, n_per_bin: int) -> None:
        """One more iteration; all of it, or after Ctrl-C nothing."""
        n_done, noise, now, ends = progress.now
        noise = copy.copy(noise)
        x, v = self._starts(noise.seed, now, ends)
        ends = self._walkers.run(noise.seed, now.streams, x, v, [self._target], n_steps)
        there = ends.reached >= 0
        now = now._replace(arrivals=np.flatnonzero(there), steps=ends.steps[there])
        arrived = int(now.weights[there].sum()) / TOTAL
        steps = sum(map(operator.mul, now.weights.tolist(), ends.steps.tolist()))
        # those that arrived are at the source from here on
        sources = np.where(there, noise.integers(np.full(len(there), len(self._walkers.initial))), -1)
        where = np.where(there, self._progress_at_source[sources], self._walkers.progress(*ends[:2]))
        bins = np.searchsorted(self._bins, where, side="right")
        bin_weights = np.bincount(bins, now.weights, len(self._bins) + 1) / TOTAL
        copied, weights = resampled(bins, where, now.weights, n_per_bin, noise)
        parents = np.where(there[copied], -1, copied)
        coming = Generation(parents, sources[copied], noise.streams(len(copied)), weights)
        del progress.iterations[n_done:]
        progress.iterations.append(_Iteration(now, arrived, steps / TOTAL * self._walkers.step_size, bin_weights))
        progress.now = _Now(n_done + 1, noise, coming, ends)

    def _result(self, progress: _Progress | None, n_steps: int, burn_in: int) -> WeightedEnsembleResult | None:
        if progress is None or progress.now.n_done < burn_in + _BATCHES:
            return None
        columns = zip(*progress.iterations[: progress.now.n_done], strict=True)
        generations, arrived, times, bin_weights = map(list, columns)
        batches = (np.array_split(column[burn_in:], _BATCHES) for column in (arrived, times))
        return WeightedEnsembleResult(
            *ratio(*(np.array([part.sum() for part in parts]) for parts in batches)),
            arrived=np.array(arrived),
            times=np.array(times),
            bin_weights=np.mean(bin_weights[burn_in:], axis=0),
            n_steps=sum(n_steps * len(g.streams) - int((n_steps - g.steps).sum()) for g in generations),
            burn_in=burn_in,
            generations=generations,
            seed=progress.now.noise.seed,
            _walkers=self._walkers,
            _segment=n_steps,
        )

    def _starts(self, seed: int, now: Generation, ends: Arrivals | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Where walkers begin: at the source with thermal velocities, or where their parents stood."""
        x = self._walkers.initial[now.sources]
        if ends is None:
            return x, None
        new = (now.sources >= 0)[:, np.newaxis]
        x = np.where(new, x, ends.positions[now.parents])
        if ends.velocities is None:
            return x, None
        v = ends.velocities[now.parents]
        if new.any():
            v = np.where(new, self._walkers.simulation(seed, now.streams, x, None).velocities, v)
        return x, v


def borders(total: int, n: int) -> np.ndarray:
    """The ends of `n` equal pieces of a line of `total` units, to one unit, (n + 1,)."""
    return np.array([total * k // n for k in range(n + 1)])


def resampled(
    bins: np.ndarray, progress: np.ndarray, weights: np.ndarray, n_per_bin: int, noise: Noise
) -> tuple[np.ndarray, np.ndarray]:
    """New walkers: the numbers of those that they are copies of, and their weights, which are whole numbers."""
    order = np.lexsort((progress, bins))
    copied, pieces = [], []
    for members in np.split(order, np.flatnonzero(np.diff(bins[order])) + 1):
        ends = np.cumsum(weights[members])
        total = int(ends[-1])
        cuts = borders(total, min(n_per_bin, total))
        pieces.append(np.diff(cuts))
        points = cuts[:-1] + noise.integers(pieces[-1])
        copied.append(members[np.searchsorted(ends, points, side="right")])
    return np.concatenate(copied), np.concatenate(pieces)
