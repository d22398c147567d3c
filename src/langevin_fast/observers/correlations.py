"""What a particle does between two looks: displacements and correlations, at many lags."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import checks
from ..backends.problem import Look, Observed, Reduction, Source
from .base import Contents, Observer, Run, error_of_mean
from .values import sources

__all__ = ["Autocorrelation", "Diffusion", "MeanSquaredDisplacement"]

_LONGEST = 10**5  # looks


class Lags(Reduction):
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
        """The level of each row, and its lag in looks."""
        _, p, levels, _ = self.sizes.tolist()
        level = np.repeat(np.arange(levels), [p] + [p // 2] * (levels - 1))
        within = np.concatenate([np.arange(p), *[np.arange(p // 2, p)] * (levels - 1)])
        return level, within << level

    @property
    def start(self) -> int:
        """The row at which the sums begin."""
        k, p, levels, _ = self.sizes.tolist()
        return int(k + levels * p * k)

    @property
    def rows(self) -> int:
        """How many rows belong to one lag."""
        return 1 + int(self.sizes[0]) if self.products else 1

    def empty(self, n: int) -> Observed:
        """See :class:`Reduction`."""
        reals = np.zeros((self.start + self.rows * len(self.lags), n))
        return Observed(self, reals, np.zeros((0, n), np.int64), np.zeros(0, np.int64))

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        k, p, levels, products = self.sizes.tolist()
        moving, reals = look.moving, observed.reals
        if look.index == 0:
            reals[:k, moving] = look.values[:, moving]
        now = look.values[:, moving] - reals[:k, moving] if products else look.values[:, moving]
        row = self.start
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
                    reals[row, moving] += total
                    if products:
                        reals[row + 1 : row + 1 + k, moving] += now + past
                row += self.rows

    def pairs(self, n_samples: np.ndarray) -> np.ndarray:
        """How many pairs there were at each lag, of particles with so many looks, (lags, n)."""
        level, lag = self.levels_and_lags
        looks = -(-n_samples // (1 << level)[:, np.newaxis])
        return np.maximum(looks - (lag >> level)[:, np.newaxis], 0)


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
        sizes = np.array([len(which), self._points, self._levels, int(self._products)])
        return Lags(self.first_look(step), self.every, which, sizes, np.zeros(0))

    @property
    def _lags(self) -> tuple[Lags, Contents, np.ndarray, np.ndarray]:
        """The reduction, the contents, which rows have pairs, and how many, (lags, n)."""
        contents = self._seen()
        reduction = contents.observed.reduction
        assert isinstance(reduction, Lags)
        pairs = self._pairs if self._pairs is not None else reduction.pairs(contents.n_samples)
        return reduction, contents, pairs.sum(axis=1) > 0, pairs

    _pairs: np.ndarray | None = None  # of merged observers

    @property
    def lags(self) -> np.ndarray:
        """The lags at which there are pairs of looks, in steps, (n_lags,)."""
        reduction, _, there, _ = self._lags
        return reduction.lags[there] * self.every

    @property
    def lag_times(self) -> np.ndarray:
        """The same in time units, (n_lags,); (n_lags, n_particles) where step sizes differ."""
        return np.multiply.outer(self.lags, self._seen().run.scheme.step_size)

    def _key(self) -> Any:
        return tuple(self._seen().observed.reduction.sizes)

    def __add__(self, other: Any) -> Any:
        result = super().__add__(other)
        if result is not NotImplemented:
            a, b = self._lags[3], other._lags[3]
            more = a.shape[1] + b.shape[1] == len(result.streams)
            result._pairs = np.concatenate([a, b], axis=1) if more else a + b
        return result

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        reduction = a.observed.reduction
        assert isinstance(reduction, Lags)
        if self._products:
            raise ValueError("correlations of consecutive runs cannot be added; those of other particles can")
        reals = a.observed.reals.copy()
        reals[reduction.start :] += b.observed.reals[reduction.start :]
        return a.observed._replace(reals=reals)


class Diffusion(NamedTuple):
    """A diffusion coefficient and its standard error, in length²/time."""

    value: float
    error: float


class MeanSquaredDisplacement(_Correlating):
    """The mean squared displacement, summed over components, at lags from one look to the longest.

    Lags are dense where they are short and coarser the longer they are; every pair is one of true positions, unwrapped
    where a boundary is periodic. Errors come from what differs between particles.

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

    def _per_particle(self) -> tuple[np.ndarray, np.ndarray]:
        """(lags, n) means, and the pairs they are made of."""
        reduction, contents, there, pairs = self._lags
        sums = contents.observed.reals[reduction.start :][there]
        pairs = pairs[there]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(pairs > 0, sums / pairs, 0.0), pairs

    @property
    def values(self) -> np.ndarray:
        """Of all particles, (n_lags,), in length²."""
        means, pairs = self._per_particle()
        return (means * pairs).sum(axis=1) / pairs.sum(axis=1)

    @property
    def error(self) -> np.ndarray:
        """The standard error of each value, (n_lags,); NaN for one particle."""
        means, pairs = self._per_particle()
        return np.array(
            [error_of_mean(m[:, np.newaxis], p.astype(float))[0] for m, p in zip(means, pairs, strict=True)]
        )

    def diffusion_coefficient(self, first: float | None = None, last: float | None = None) -> Diffusion:
        """From the slope of a straight line through the values, D = slope / (2 dim).

        Parameters
        ----------
        first, last : float, optional
            The shortest and longest lag time that is fitted. Default: from a tenth of the longest to half of it.

        Raises
        ------
        ValueError
            If fewer than two lags lie between them, or step sizes differ.
        """
        times = self.lag_times
        if times.ndim > 1:
            raise ValueError("the step size differs between particles, which have no lag times in common")
        longest = times[-1] if len(times) else 0.0
        first = longest / 10 if first is None else first
        last = longest / 2 if last is None else last
        chosen = (times >= first) & (times <= last)
        if chosen.sum() < 2:
            raise ValueError(f"first={first:g} and last={last:g}: fewer than two lags lie between them")
        t = times[chosen] - times[chosen].mean()
        means, pairs = self._per_particle()
        slopes = t @ means[chosen] / (t @ t)
        dim = self._seen().run.problem.dim
        error = error_of_mean(slopes[:, np.newaxis], pairs[chosen].min(axis=0).astype(float))[0]
        return Diffusion(float(t @ self.values[chosen] / (t @ t)) / (2 * dim), float(error) / (2 * dim))


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

    def _covariances(self) -> tuple[np.ndarray, np.ndarray]:
        """Of each particle about the mean of all, (lags, n), and the pairs they are made of."""
        reduction, contents, there, pairs = self._lags
        reals, k = contents.observed.reals, int(reduction.sizes[0])
        table = reals[reduction.start :].reshape(-1, 1 + k, reals.shape[1])[there]
        pairs = pairs[there]
        first = reals[:k]
        if not len(pairs):
            return np.zeros((0, reals.shape[1])), pairs
        looks = pairs[0]  # at lag 0 a pair is one look, and both factors are it
        mean = ((table[0, 1:] / 2 + looks * first).sum(axis=1) / looks.sum())[:, np.newaxis]
        apart = mean - first  # what is to be subtracted from values relative to the first
        with np.errstate(invalid="ignore", divide="ignore"):
            total = table[:, 0] - (apart * table[:, 1:]).sum(axis=1) + pairs * np.square(apart).sum(axis=0)
            return np.where(pairs > 0, total / pairs, 0.0), pairs

    @property
    def variance(self) -> float:
        """What the values are divided by: the covariance at lag 0."""
        covariances, pairs = self._covariances()
        return float(covariances[0] @ pairs[0] / pairs[0].sum()) if len(pairs) else float("nan")

    @property
    def values(self) -> np.ndarray:
        """Of all particles, (n_lags,)."""
        covariances, pairs = self._covariances()
        result = (covariances * pairs).sum(axis=1) / pairs.sum(axis=1)
        with np.errstate(invalid="ignore"):  # of what does not vary
            return result / result[:1]

    @property
    def error(self) -> np.ndarray:
        """The standard error of each value, (n_lags,), from what differs between particles; NaN for one."""
        covariances, pairs = self._covariances()
        values = self.values
        # of a ratio, to first order
        with np.errstate(invalid="ignore", divide="ignore"):
            apart = (covariances - values[:, np.newaxis] * covariances[:1]) / self.variance
        return np.array(
            [error_of_mean(a[:, np.newaxis], p.astype(float))[0] for a, p in zip(apart, pairs, strict=True)]
        )

    @property
    def integrated_time(self) -> float:
        """The integral of the values over time from lag 0, in time units.

        It ends at the first lag that is more than five times the integral so far (Sokal's window); infinite where the
        run was too short for that, NaN where the values do not vary.
        """
        times = self.lag_times
        if times.ndim > 1:
            raise ValueError("the step size differs between particles, which have no lag times in common")
        values = self.values
        if not np.isfinite(values).all():
            return float("nan")
        integral = np.concatenate([[0.0], np.cumsum(np.diff(times) * (values[1:] + values[:-1]) / 2)])
        # half a look at least: what is uncorrelated is so after one
        integral = np.maximum(integral, times[1] / 2 if len(times) > 1 else np.inf)
        enough = np.flatnonzero(times > 5.0 * integral)
        return float(integral[enough[0]]) if len(enough) else float("inf")

    @property
    def effective_samples(self) -> float:
        """How many independent draws give the same error of the mean: the time observed / (2 ``integrated_time``)."""
        integrated, contents = self.integrated_time, self._seen()
        observed = contents.n_samples.sum() * self.every * np.asarray(contents.run.scheme.step_size)
        return float(observed) / (2.0 * integrated)
