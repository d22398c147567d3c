"""Sums over looks, of each particle: what moments and averages are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ..backends.problem import Look, Observed, Reduction, Source
from .base import MANY_PARTICLES, Contents, error_of_mean

_BATCHES = 64
NO_PRODUCTS, SQUARES, ALL_PRODUCTS = range(3)


class Sums(Reduction):
    """Sums of k values, and of their products; see cpp/observers/sums.hpp."""

    name: ClassVar[str] = "sums"

    @classmethod
    def of(cls, first: int, every: int, sources: tuple[Source, ...], products: int, n_particles: int) -> Sums:
        """Of these values; with batches in time where particles are few."""
        batches = _BATCHES if n_particles < MANY_PARTICLES else 0
        return cls(first, every, sources, np.array([len(sources), products, batches, 1]), np.zeros(0))

    @property
    def k(self) -> int:
        """How many values."""
        return int(self.sizes[0])

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Of which values products are summed."""
        if self.sizes[1] == ALL_PRODUCTS:
            return np.tril_indices(self.k)
        one = np.arange(self.k if self.sizes[1] == SQUARES else 0)
        return one, one

    @property
    def rows(self) -> int:
        """How many sums."""
        return self.k + len(self.pairs[0])

    def empty(self, n: int) -> Observed:
        """See :class:`Reduction`."""
        reals = np.zeros((self.k + self.rows * (1 + int(self.sizes[2])), n))
        return Observed(self, reals, np.zeros((0, n), np.int64), np.zeros(0, np.int64))

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        k, rows, moving = self.k, self.rows, look.moving
        if look.index == 0:
            observed.reals[:k, moving] = look.values[:, moving]
        relative = look.values[:, moving] - observed.reals[:k, moving]
        i, j = self.pairs
        terms = np.concatenate([relative, relative[i] * relative[j]])
        starts = [k]
        if self.sizes[2]:
            starts.append(k + rows * (1 + look.index // int(self.sizes[3])))
        for start in starts:
            observed.reals[start : start + rows, moving] += terms

    def full_after(self) -> int | None:
        """See :class:`Reduction`."""
        return int(self.sizes[2] * self.sizes[3]) or None

    def coarser(self, observed: Observed) -> Observed:
        """See :class:`Reduction`: batches twice as long."""
        sizes = self.sizes.copy()
        sizes[3] *= 2
        head = self.k + self.rows
        reals = np.zeros_like(observed.reals)
        reals[:head] = observed.reals[:head]
        batches = observed.reals[head:].reshape(-1, 2, self.rows, reals.shape[1])
        merged = (batches[:, 0] + batches[:, 1]).reshape(-1, reals.shape[1])
        reals[head : head + len(merged)] = merged
        return Observed(replace(self, sizes=sizes), reals, observed.marks, observed.counts)


class Sampled:
    """The statistics of what sums hold.

    Parameters
    ----------
    contents : Contents
        Of an observer with the reduction :class:`Sums`.
    """

    def __init__(self, contents: Contents) -> None:
        reduction = contents.observed.reduction
        assert isinstance(reduction, Sums)
        self.reduction = reduction
        reals, k, rows = contents.observed.reals, reduction.k, reduction.rows
        self.n = contents.n_samples
        self.first, self.sums, self.products = reals[:k], reals[k : 2 * k], reals[2 * k : k + rows]
        self._batches = reals[k + rows :].reshape(-1, rows, reals.shape[1])

    @property
    def means(self) -> np.ndarray:
        """Of each particle, (n, k); NaN where there was no look."""
        with np.errstate(invalid="ignore", divide="ignore"):
            result: np.ndarray = (self.first + self.sums / self.n).T
        result[self.n == 0] = np.nan
        return result

    @property
    def covariances(self) -> np.ndarray:
        """Of each particle, (n, pairs), with 1/n."""
        i, j = self.reduction.pairs
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self.sums / self.n
            result: np.ndarray = (self.products / self.n - mean[i] * mean[j]).T
        return result

    @property
    def pooled_mean(self) -> np.ndarray:
        """Of all looks at all particles, (k,)."""
        return self._weighted(self.means)

    @property
    def pooled_covariance(self) -> np.ndarray:
        """Of all looks at all particles, (pairs,)."""
        i, j = self.reduction.pairs
        apart = self.means - self.pooled_mean
        return self._weighted(self.covariances + apart[:, i] * apart[:, j])

    def _weighted(self, values: np.ndarray) -> np.ndarray:
        used = self.n > 0
        if not used.any():
            return np.full(values.shape[1], np.nan)
        result: np.ndarray = self.n[used] @ values[used] / self.n.sum()
        return result

    @property
    def error(self) -> np.ndarray:
        """The standard error of the pooled mean, (k,)."""
        if len(self.n) >= MANY_PARTICLES or not len(self._batches):
            return error_of_mean(self.means, self.n.astype(float))
        return error_of_mean(*self._of_batches(slice(None)))

    @property
    def errors(self) -> np.ndarray:
        """The standard error of the mean of each particle, (n, k); NaN where there are no batches in time."""
        if not len(self._batches):
            return np.full((len(self.n), self.reduction.k), np.nan)
        return np.array([error_of_mean(*self._of_batches(slice(p, p + 1))) for p in range(len(self.n))])

    def _of_batches(self, particles: slice) -> tuple[np.ndarray, np.ndarray]:
        """The mean of each complete batch of some particles, (m, k), and its weight."""
        length, k = int(self.reduction.sizes[3]), self.reduction.k
        complete = self.n[particles] // length
        index = np.arange(len(self._batches))
        means = self.first[:, particles] + self._batches[:, :k, particles] / length
        there = index[:, np.newaxis] < complete
        return np.moveaxis(means, 1, 2)[there], np.ones(int(there.sum()))


def more_particles(a: Observed, b: Observed) -> Observed:
    """The accumulators of other particles beside; batches in time are kept where they are equally long."""
    ra, rb = a.reduction, b.reduction
    assert isinstance(ra, Sums) and isinstance(rb, Sums)
    while ra.sizes[2] and rb.sizes[2] and ra.sizes[3] != rb.sizes[3]:
        a, b = (_coarser(a), b) if ra.sizes[3] < rb.sizes[3] else (a, _coarser(b))
        ra, rb = a.reduction, b.reduction
    rows = min(len(a.reals), len(b.reals))
    reals = np.concatenate([a.reals[:rows], b.reals[:rows]], axis=1)
    reduction = a.reduction if len(a.reals) == rows else b.reduction
    return Observed(reduction, reals, np.concatenate([a.marks, b.marks], axis=1), a.counts)


def _coarser(observed: Observed) -> Observed:
    return observed.reduction.coarser(observed)


def more_steps(a: Contents, b: Contents) -> Observed:
    """The sums of consecutive runs, relative to the first values of the earlier one; without batches in time."""
    reduction = a.observed.reduction
    assert isinstance(reduction, Sums)
    k, rows = reduction.k, reduction.rows
    ra, rb = a.observed.reals, b.observed.reals
    first = np.where(a.n_samples > 0, ra[:k], rb[:k])
    totals = np.zeros((rows, ra.shape[1]))
    for contents, reals in ((a, ra), (b, rb)):
        shift = np.where(contents.n_samples > 0, reals[:k] - first, 0.0)
        sums, products, n = reals[k : 2 * k], reals[2 * k : k + rows], contents.n_samples
        i, j = reduction.pairs
        totals[:k] += sums + n * shift
        totals[k:] += products + shift[i] * sums[j] + shift[j] * sums[i] + n * shift[i] * shift[j]
    sizes = reduction.sizes.copy()
    sizes[2:] = 0, 1
    return Observed(
        replace(reduction, sizes=sizes), np.concatenate([first, totals]), a.observed.marks, a.observed.counts
    )


def key_of(observed: Observed) -> Any:
    """What must be equal where sums are added."""
    return tuple(observed.reduction.sizes[:2])
