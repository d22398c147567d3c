"""What a particle does between two looks: displacements and correlations, at many lags."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import checks
from ..backends.problem import Look, Observed, Reduction, Source
from .base import MANY_PARTICLES, Contents, Observer, Run
from .batches import Batched, more_particles
from .values import sources

__all__ = ["Autocorrelation", "Diffusion", "MeanSquaredDisplacement"]

_LONGEST = 10**5  # looks
_BATCHES = 32
_FEWEST_BATCHES = 8  # of which an error is made
_LAGS_IN_BATCH = 2


class Lags(Batched):
    """Sums over pairs of looks; see cpp/observers/lags.hpp."""

    name: ClassVar[str] = "lags"

    @property
    def products(self) -> bool:
        """Whether products are summed, and not squared displacements."""
        return bool(self.sizes[3])

    @property
    def lags(self) -> np.ndarray:
        """In looks, in the order of the rows."""
        return self.levels_and_lags[1]

    @property
    def levels_and_lags(self) -> tuple[np.ndarray, np.ndarray]:
        """The level of each lag, and the lag in looks."""
        p, levels = self.sizes[1:3].tolist()
        level = np.repeat(np.arange(levels), [p] + [p // 2] * (levels - 1))
        within = np.concatenate([np.arange(p), *[np.arange(p // 2, p)] * (levels - 1)])
        return level, within << level

    @property
    def start(self) -> int:
        """See :class:`Batched`: after the first values and the last ones of each level."""
        k, p, levels = self.sizes[:3].tolist()
        return int(k + levels * p * k)

    @property
    def rows_of_lag(self) -> int:
        """How many rows belong to one lag."""
        return 1 + int(self.sizes[0]) if self.products else 1

    @property
    def rows(self) -> int:
        """See :class:`Batched`."""
        return self.rows_of_lag * len(self.lags)

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        k, p, levels, products = self.sizes[:4].tolist()
        moving, reals = look.moving, observed.reals
        if look.index == 0:
            reals[:k, moving] = look.values[:, moving]
        now = look.values[:, moving] - reals[:k, moving] if products else look.values[:, moving]
        row, starts = 0, self.starts_at(look.index)
        for level in range(levels):
            if look.index % (1 << level):
                return
            index = look.index >> level
            ring = k + (level * p + index % p) * k
            reals[ring : ring + k, moving] = now
            for lag in range(p // 2 if level else 0, p):
                if lag <= index:
                    from_ring = k + (level * p + (index - lag) % p) * k
                    past = reals[from_ring : from_ring + k, moving]
                    total = np.zeros(now.shape[1])
                    for c in range(k):
                        total += now[c] * past[c] if products else (now[c] - past[c]) * (now[c] - past[c])
                    for start in starts:
                        reals[start + row, moving] += total
                        if products:
                            reals[start + row + 1 : start + row + 1 + k, moving] += now + past
                row += self.rows_of_lag

    def pairs(self, n_samples: np.ndarray) -> np.ndarray:
        """How many pairs there were at each lag, of particles with so many looks (..., n); (..., lags, n)."""
        level, lag = (array[:, np.newaxis] for array in self.levels_and_lags)
        looks = -(-n_samples[..., np.newaxis, :] // (1 << level))
        return np.maximum(looks - (lag >> level), 0)


class _Parts(NamedTuple):
    """Parts of what was seen.

    Attributes
    ----------
    totals : (lags, m) array
        Of what is averaged over pairs.
    pairs : (lags, m) array
    """

    totals: np.ndarray
    pairs: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """The averages over all parts, (lags,)."""
        result: np.ndarray = self.totals.sum(axis=1) / self.pairs.sum(axis=1)
        return result

    @property
    def deviations(self) -> np.ndarray:
        """What each part makes of the error of an average, (lags, m)."""
        result: np.ndarray = (self.totals - self.pairs * self.values[:, np.newaxis]) / self.pairs.sum(
            axis=1, keepdims=True
        )
        return result

    @property
    def shares(self) -> np.ndarray:
        """Of the pairs at the last of the lags, (m,)."""
        result: np.ndarray = self.pairs[-1] / self.pairs[-1].sum()
        return result


class _Correlating(Observer):
    """Observers of pairs of looks.

    Parameters
    ----------
    every, start : int
    longest : int, optional
        The longest lag that is wanted, in steps. Default: 100,000 looks.
    points : int
        How many lags a level has; even.
    """

    _products: ClassVar[bool]

    def __init__(self, every: int, start: int, longest: int | None, points: int) -> None:
        super().__init__(every, start)
        self._points = checks.integer("points", points, 4, 1024)
        if points % 2:
            raise ValueError(f"points={points} must be even")
        looks = _LONGEST if longest is None else -(-checks.integer("longest", longest, 1, 2**60) // self.every)
        self._levels = 1 + max(int(np.ceil(np.log2(max(looks, 1) / (points - 1)))), 0)

    def _reduction_of(self, run: Run, step: int, which: tuple[Source, ...]) -> Reduction:
        batches = _BATCHES if len(run.problem.streams) < MANY_PARTICLES else 0
        sizes = np.array([len(which), self._points, self._levels, int(self._products), batches, 1])
        return Lags(self.first_look(step), self.every, which, sizes, np.zeros(0))

    _merged_pairs: np.ndarray | None = None  # of consecutive runs, (lags, n)

    @property
    def _reduction(self) -> Lags:
        reduction = self._seen().observed.reduction
        assert isinstance(reduction, Lags)
        return reduction

    @property
    def _pairs(self) -> np.ndarray:
        """At each lag, of each particle, (lags, n)."""
        return self._reduction.pairs(self.n_samples) if self._merged_pairs is None else self._merged_pairs

    @property
    def _lags(self) -> np.ndarray:
        """The numbers of the lags at which there are pairs."""
        return np.flatnonzero(self._pairs.sum(axis=1))

    @property
    def lags(self) -> np.ndarray:
        """The lags at which there are pairs of looks, in steps, (n_lags,)."""
        return self._reduction.lags[self._lags] * self.every

    @property
    def lag_times(self) -> np.ndarray:
        """The same in time units, (n_lags,); (n_lags, n_particles) where step sizes differ."""
        return np.multiply.outer(self.lags, self._seen().run.scheme.step_size)

    @property
    def _common_lag_times(self) -> np.ndarray:
        times = self.lag_times
        if times.ndim > 1:
            raise ValueError("the step size differs between particles, which have no lag times in common")
        return times

    def _particles(self, lags: np.ndarray) -> _Parts:
        """What each particle has at some lags."""
        reduction, reals = self._reduction, self._seen().observed.reals
        n = reals.shape[1]
        sums = reduction.of_whole(reals).reshape(-1, reduction.rows_of_lag, n)[lags]
        return _Parts(self._totals(sums, self._pairs[lags], np.arange(n)), self._pairs[lags])

    def _independent(self, lags: np.ndarray) -> _Parts:
        """What parts have that are taken as independent: particles, or batches in time where those are few.

        Pairs of neighbouring batches overlap, by a lag. So as many batches go together as twice the longest of these
        lags takes; where too few are left, particles are all that there is.
        """
        reduction, reals = self._reduction, self._seen().observed.reals
        n, length = reals.shape[1], reduction.length
        if not reduction.batches or n >= MANY_PARTICLES:
            return self._particles(lags)
        together = max(1, -(-_LAGS_IN_BATCH * int(reduction.lags[lags].max()) // length))
        begun = -(-int(self.n_samples.max()) // length)  # batches
        first = np.arange(0, begun, together)
        ends = np.append(first, begun)[:, np.newaxis] * length
        pairs = np.diff(reduction.pairs(np.minimum(ends, self.n_samples))[:, lags], axis=0)
        if np.count_nonzero(pairs[:, -1]) < _FEWEST_BATCHES:
            return self._particles(lags)
        sums = reduction.of_batches(reals)[:begun].reshape(begun, -1, reduction.rows_of_lag, n)[:, lags]
        sums = np.moveaxis(np.add.reduceat(sums, first, axis=0), 0, -2).reshape(len(lags), reduction.rows_of_lag, -1)
        pairs = np.moveaxis(pairs, 0, -2).reshape(len(lags), -1)
        return _Parts(self._totals(sums, pairs, np.tile(np.arange(n), len(first))), pairs)

    @abstractmethod
    def _totals(self, sums: np.ndarray, pairs: np.ndarray, particles: np.ndarray) -> np.ndarray:
        """Of what is averaged over pairs, (lags, m), from sums (lags, rows, m) of parts of these particles."""

    @abstractmethod
    def _deviations(self, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What each of m independent parts makes of the error of the values at some lags, (lags, m); their shares."""

    def _error(self, lags: np.ndarray, weights: np.ndarray) -> float:
        """The standard error of a sum of the values at some lags, with weights."""
        deviations, shares = self._deviations(lags)
        if np.count_nonzero(shares) < 2:
            return float("nan")
        # of m equal parts the last factor is m / (m - 1)
        return float(np.sqrt(np.square(weights @ deviations).sum() / (1.0 - np.square(shares).sum())))

    @property
    def error(self) -> np.ndarray:
        """The standard error of each value, (n_lags,).

        From what differs between particles; of fewer than 32, between batches in time of at least twice the lag, if
        there are eight or more of them in all. NaN for one particle at longer lags.
        """
        return np.array([self._error(lag, np.ones(1)) for lag in self._lags[:, np.newaxis]])

    def _key(self) -> Any:
        return tuple(self._reduction.sizes[:4])

    def __add__(self, other: Any) -> Any:
        result = super().__add__(other)
        if result is not NotImplemented:
            a, b = self._pairs, other._pairs
            more = a.shape[1] + b.shape[1] == len(result.streams)
            result._merged_pairs = np.concatenate([a, b], axis=1) if more else a + b
        return result

    def _of_more_particles(self, a: Observed, b: Observed) -> Observed:
        return more_particles(a, b)

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        reduction = a.observed.reduction
        assert isinstance(reduction, Lags)
        if self._products:
            raise ValueError("correlations of consecutive runs cannot be added; those of other particles can")
        sums = reduction.of_whole(a.observed.reals) + reduction.of_whole(b.observed.reals)
        reals = np.concatenate([a.observed.reals[: reduction.start], sums])
        return a.observed._replace(reduction=reduction.without_batches(), reals=reals)


class Diffusion(NamedTuple):
    """A diffusion coefficient and its standard error, in length²/time."""

    value: float
    error: float


class MeanSquaredDisplacement(_Correlating):
    """The mean squared displacement, summed over components, at lags from one look to the longest.

    Lags are dense where they are short and coarser the longer they are; every pair is one of true positions, unwrapped
    where a boundary is periodic.

    Parameters
    ----------
    every, start : int
        As for every observer.
    longest : int, optional
        The longest lag that is wanted, in steps. Default: 100,000 looks.
    points : int, default 16
        How many lags lie between one spacing and the next but one: more are slower and finer.
    """

    _products = False

    def __init__(self, every: int = 1, start: int = 0, *, longest: int | None = None, points: int = 16) -> None:
        super().__init__(every, start, longest, points)

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        return self._reduction_of(run, step, tuple(Source("unwrapped", c) for c in range(run.problem.dim)))

    def _totals(self, sums: np.ndarray, pairs: np.ndarray, particles: np.ndarray) -> np.ndarray:
        return sums[:, 0]

    def _deviations(self, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = self._independent(lags)
        return parts.deviations, parts.shares

    @property
    def values(self) -> np.ndarray:
        """Of all particles, (n_lags,), in length²."""
        return self._particles(self._lags).values

    def diffusion_coefficient(self, first: float | None = None, last: float | None = None) -> Diffusion:
        """From the slope of a straight line through the values, D = slope / (2 dim).

        Parameters
        ----------
        first, last : float, optional
            The shortest and longest lag time that is fitted. Default: from a tenth of the longest to half of it.

        Returns
        -------
        Diffusion
            Of one particle the error is NaN where `last` is more than about 1/16 of the run; see ``error``.

        Raises
        ------
        ValueError
            If fewer than two lags lie between them, or step sizes differ.
        """
        times = self._common_lag_times
        longest = times[-1] if len(times) else 0.0
        first = longest / 10 if first is None else first
        last = longest / 2 if last is None else last
        chosen = (times >= first) & (times <= last)
        if chosen.sum() < 2:
            raise ValueError(f"first={first:g} and last={last:g}: fewer than two lags lie between them")
        t = times[chosen] - times[chosen].mean()
        weights = t / (t @ t) / (2 * self._seen().run.problem.dim)
        return Diffusion(float(weights @ self.values[chosen]), self._error(self._lags[chosen], weights))


class Autocorrelation(_Correlating):
    """The autocorrelation of a function, normalised to 1 at lag 0, with the mean of all particles subtracted.

    Parameters
    ----------
    f : str, callable, or a sequence of these
        What :class:`Expectation` takes. Of several numbers, the products are summed: ``["v[0]", "v[1]"]`` gives the
        velocity autocorrelation function.
    every, start, longest, points
        As for :class:`MeanSquaredDisplacement`.
    """

    _products = True

    def __init__(
        self, f: Any = "x[0]", every: int = 1, start: int = 0, *, longest: int | None = None, points: int = 16
    ) -> None:
        super().__init__(every, start, longest, points)
        self._f = f

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        return self._reduction_of(run, step, sources("f", self._f, run.problem))

    def _totals(self, sums: np.ndarray, pairs: np.ndarray, particles: np.ndarray) -> np.ndarray:
        """About the mean of all."""
        reduction, reals = self._reduction, self._seen().observed.reals
        k, looks = int(reduction.sizes[0]), self._pairs[0]
        # at lag 0 a pair is one look, and both factors are it
        mean = ((reduction.of_whole(reals)[1 : 1 + k] / 2 + looks * reals[:k]).sum(axis=1) / looks.sum())[:, np.newaxis]
        apart = (mean - reals[:k])[:, particles]  # what is to be subtracted from values relative to the first
        result: np.ndarray = sums[:, 0] - (apart * sums[:, 1:]).sum(axis=1) + pairs * np.square(apart).sum(axis=0)
        return result

    def _deviations(self, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of ratios, to first order."""
        parts = self._independent(np.concatenate([[0], lags]))
        values, deviations = parts.values, parts.deviations
        with np.errstate(invalid="ignore", divide="ignore"):  # of what does not vary
            ratios = values[1:, np.newaxis] / values[0]
            return (deviations[1:] - ratios * deviations[0]) / values[0], parts.shares

    @property
    def _covariances(self) -> np.ndarray:
        """Of all particles, (n_lags,)."""
        lags = self._lags
        return self._particles(lags).values if len(lags) else np.zeros(0)

    @property
    def variance(self) -> float:
        """What the values are divided by: the covariance at lag 0."""
        covariances = self._covariances
        return float(covariances[0]) if len(covariances) else float("nan")

    @property
    def values(self) -> np.ndarray:
        """Of all particles, (n_lags,)."""
        covariances = self._covariances
        with np.errstate(invalid="ignore"):  # of what does not vary
            return covariances / covariances[:1]

    @property
    def integrated_time(self) -> float:
        """The integral of the values over time from lag 0, in time units.

        It ends at the first lag that is more than five times the integral so far (Sokal's window); infinite where the
        run was too short for that, NaN where the values do not vary.
        """
        return self._integrated()[0]

    @property
    def integrated_time_error(self) -> float:
        """The standard error of the integral up to there, in time units; NaN where it has no end.

        It is made as ``error`` is, of the batches or particles for the last lag.
        """
        integral, last = self._integrated()
        if not np.isfinite(integral):
            return float("nan")
        half = np.diff(self.lag_times[: last + 1]) / 2
        return self._error(self._lags[: last + 1], np.append(half, 0.0) + np.append(0.0, half))

    def _integrated(self) -> tuple[float, int]:
        """The integral, and at which of the lags it ends."""
        times, values = self._common_lag_times, self.values
        if not np.isfinite(values).all():
            return float("nan"), 0
        integral = np.concatenate([[0.0], np.cumsum(np.diff(times) * (values[1:] + values[:-1]) / 2)])
        # half a look at least: what is uncorrelated is so after one
        integral = np.maximum(integral, times[1] / 2 if len(times) > 1 else np.inf)
        enough = np.flatnonzero(times > 5.0 * integral)
        return (float(integral[enough[0]]), int(enough[0])) if len(enough) else (float("inf"), 0)

    @property
    def effective_samples(self) -> float:
        """How many independent draws give the same error of the mean: the time observed / (2 ``integrated_time``)."""
        integrated, contents = self.integrated_time, self._seen()
        observed = contents.n_samples.sum() * self.every * np.asarray(contents.run.scheme.step_size)
        return float(observed) / (2.0 * integrated)
