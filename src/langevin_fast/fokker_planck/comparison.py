"""Samples against a density, with error bars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from .grid import Grid, scipy

_DRAWS = 400


@dataclass(frozen=True)
class Comparison:
    """How far a histogram of independent samples is from a density.

    Attributes
    ----------
    total_variation : float
        Half the sum of |frequency - probability| over the bins.
    expected, error : float
        Its mean and standard deviation for that many samples of the density itself.
    chi_square, dof, p_value : float
        Pearson's test on the bins with at least five expected samples; p is the probability of a larger value by
        chance.
    outside : float
        Fraction of the samples outside the grid; they are in no bin.
    """

    total_variation: float
    expected: float
    error: float
    chi_square: float
    dof: int
    p_value: float
    outside: float

    @property
    def sigma(self) -> float:
        """By how many standard deviations the distance is larger than chance has it."""
        return (self.total_variation - self.expected) / self.error


def compare(grid: Grid, samples: ArrayLike, density: np.ndarray, n_bins: int | None) -> Comparison:
    """See :meth:`Overdamped.compare`."""
    dim = len(grid.shape)
    x = checks.finite_array("samples", samples)
    if x.ndim != 2 or x.shape[1] != dim or not len(x):
        raise ValueError(f"samples must have the shape (n, {dim}) with n >= 1; got {x.shape}")
    n = len(x)
    wanted = max(3, round(n ** (1.0 / 3.0))) if n_bins is None else checks.integer("n_bins", n_bins, 2)
    # bins are whole cells, so that their probabilities are sums
    borders = [np.unique(np.linspace(0, cells, min(wanted, cells) + 1).round().astype(int)) for cells in grid.shape]
    probability = density * grid.volume
    for axis, border in enumerate(borders):
        probability = np.add.reduceat(probability, border[:-1], axis=axis)
    edges = [e[border] for e, border in zip(grid.edges, borders, strict=True)]
    counts, _ = np.histogramdd(x, bins=edges)
    p, counts = probability.reshape(-1), counts.reshape(-1)
    outside = 1.0 - counts.sum() / n

    def distance(frequency: np.ndarray) -> np.ndarray:
        return 0.5 * np.abs(frequency - p).sum(axis=-1)

    by_chance = distance(np.random.default_rng(0).multinomial(n, p / p.sum(), size=_DRAWS) / n)
    enough = n * p >= 5
    chi_square = float((np.square(counts - n * p)[enough] / (n * p[enough])).sum())
    dof = max(int(enough.sum()) - (1 if enough.all() else 0), 1)
    return Comparison(
        total_variation=float(distance(counts / n) + 0.5 * outside),
        expected=float(by_chance.mean()),
        error=float(by_chance.std()),
        chi_square=chi_square,
        dof=dof,
        p_value=float(scipy("special").chdtrc(dof, chi_square)),
        outside=float(outside),
    )
