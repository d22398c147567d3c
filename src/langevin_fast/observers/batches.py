"""Batches in time: sums of few particles, kept for stretches of a run besides."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import numpy as np

from ..backends.problem import Observed, Reduction


class Batched(Reduction):
    """Sums for the whole, and for each batch in time where there are any.

    The last two sizes are how many batches there are (0: none), and the looks in one. The rows of the batches come
    last, after those for the whole, and are as many for each.
    """

    @property
    @abstractmethod
    def start(self) -> int:
        """The row at which the sums for the whole begin."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many sums."""

    @property
    def batches(self) -> int:
        """How many there may be."""
        return int(self.sizes[-2])

    @property
    def length(self) -> int:
        """The looks in a batch."""
        return int(self.sizes[-1])

    def empty(self, n: int) -> Observed:
        """See :class:`Reduction`."""
        reals = np.zeros((self.start + self.rows * (1 + self.batches), n))
        return Observed(self, reals, np.zeros((0, n), np.int64), np.zeros(0, np.int64))

    def starts_at(self, look: int) -> list[int]:
        """The rows at which the sums begin to which a look is added."""
        if not self.batches:
            return [self.start]
        return [self.start, self.start + self.rows * (1 + look // self.length)]

    def of_whole(self, reals: np.ndarray) -> np.ndarray:
        """The sums for the whole, (rows, n)."""
        return reals[self.start : self.start + self.rows]

    def of_batches(self, reals: np.ndarray) -> np.ndarray:
        """The sums of each batch, (batches, rows, n)."""
        return reals[self.start + self.rows :].reshape(self.batches, self.rows, reals.shape[1])

    def full_after(self) -> int | None:
        """See :class:`Reduction`."""
        return self.batches * self.length or None

    def coarser(self, observed: Observed) -> Observed:
        """See :class:`Reduction`: batches twice as long."""
        pairs = self.of_batches(observed.reals).reshape(-1, 2, self.rows, observed.reals.shape[1])
        reals = observed.reals.copy()
        merged = self.of_batches(reals)
        merged[: len(pairs)] = pairs[:, 0] + pairs[:, 1]
        merged[len(pairs) :] = 0.0
        sizes = np.array([*self.sizes[:-1], 2 * self.length])
        return observed._replace(reduction=replace(self, sizes=sizes), reals=reals)

    def without_batches(self) -> Batched:
        """The reduction that keeps none."""
        return replace(self, sizes=np.array([*self.sizes[:-2], 0, 1]))


def more_particles(a: Observed, b: Observed) -> Observed:
    """The accumulators of other particles beside; batches in time are kept where they are equally long."""
    ra, rb = a.reduction, b.reduction
    assert isinstance(ra, Batched) and isinstance(rb, Batched)
    while ra.batches and rb.batches and ra.length != rb.length:
        a, b = (ra.coarser(a), b) if ra.length < rb.length else (a, rb.coarser(b))
        ra, rb = a.reduction, b.reduction
        assert isinstance(ra, Batched) and isinstance(rb, Batched)
    rows = min(len(a.reals), len(b.reals))
    reals = np.concatenate([a.reals[:rows], b.reals[:rows]], axis=1)
    reduction = ra if len(a.reals) == rows else rb
    return Observed(reduction, reals, np.concatenate([a.marks, b.marks], axis=1), a.counts)
