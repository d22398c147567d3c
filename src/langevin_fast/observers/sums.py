"""Sums over looks, of each particle: what moments and averages are made of."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..backends.problem import Look, Observed, Source
from .base import MANY_PARTICLES, Contents, error_of_mean
from .batches import Batched

_BATCHES = 64
NO_PRODUCTS, SQUARES, ALL_PRODUCTS = range(3)


class Sums(Batched):
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
    def start(self) -> int:
        """See :class:`Batched`: after the first values."""
        return self.k

    @property
    def rows(self) -> int:
        """See :class:`Batched`."""
        return self.k + len(self.pairs[0])

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        k, moving = self.k, look.moving
        if look.index == 0:
            observed.reals[:k, moving] = look.values[:, moving]
        relative = look.values[:, moving] - observed.reals[:k, moving]
        i, j = self.pairs
        terms = np.concatenate([relative, relative[i] * relative[j]])
        for start in self.starts_at(look.index):
            observed.reals[start : start + self.rows, moving] += terms


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
        reals, k = contents.observed.reals, reduction.k
        self.n = contents.n_samples
        self.first, (self.sums, self.products) = reals[:k], np.split(reduction.of_whole(reals), [k])
        self._batches = reduction.of_batches(reals)

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
        length, k = self.reduction.length, self.reduction.k
        complete = self.n[particles] // length
        index = np.arange(len(self._batches))
        means = self.first[:, particles] + self._batches[:, :k, particles] / length
        there = index[:, np.newaxis] < complete
        return np.moveaxis(means, 1, 2)[there], np.ones(int(there.sum()))


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
    return a.observed._replace(reduction=reduction.without_batches(), reals=np.concatenate([first, totals]))


def key_of(observed: Observed) -> Any:
    """What must be equal where sums are added."""
    return tuple(observed.reduction.sizes[:2])
