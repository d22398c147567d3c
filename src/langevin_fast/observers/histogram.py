"""Histograms, and the free energies that they show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from .. import checks
from ..backends.problem import Look, Observed, Reduction
from .base import MANY_PARTICLES, Contents, Observer, Run
from .values import sources

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FreeEnergy", "Histogram"]

_BATCHES = 32


class Counts(Reduction):
    """How many values fall into which bin; see cpp/observers/histogram.hpp."""

    name: ClassVar[str] = "histogram"

    @property
    def particle_batches(self) -> tuple[int, int] | None:
        """See :class:`Reduction`."""
        return None if self.sizes[4] else (int(self.sizes[3]), int(self.sizes[5]))

    def empty(self, n: int) -> Observed:
        """See :class:`Reduction`."""
        _, first, second, batches, *_ = self.sizes.tolist()
        counts = np.zeros(batches * (first * second + 1), np.int64)
        return Observed(self, np.zeros((0, n)), np.zeros((0, n), np.int64), counts)

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        axes, first, second, _, length, per_batch = self.sizes.tolist()
        moving = np.arange(look.values.shape[1])[look.moving]
        outside = first * second
        bins = np.zeros(len(moving), np.int64)
        inside = np.ones(len(moving), bool)
        for axis, n in enumerate((first, second)[:axes]):
            place = (look.values[axis, moving] - self.numbers[2 * axis]) * self.numbers[2 * axis + 1]
            within = (place >= 0.0) & (place < n)
            inside &= within
            bins = bins * n + np.where(within, place, 0.0).astype(np.int64)
        bins = np.where(inside, bins, outside)
        batch = look.index // length if length else moving // per_batch
        np.add.at(observed.counts, batch * (outside + 1) + bins, 1)

    def full_after(self) -> int | None:
        """See :class:`Reduction`."""
        return int(self.sizes[3] * self.sizes[4]) or None

    def coarser(self, observed: Observed) -> Observed:
        """See :class:`Reduction`: batches in time twice as long."""
        sizes = self.sizes.copy()
        sizes[4] *= 2
        batches = observed.counts.reshape(int(sizes[3]) // 2, 2, -1).sum(axis=1)
        counts = np.concatenate([batches, np.zeros_like(batches)]).ravel()
        return observed._replace(reduction=replace(self, sizes=sizes), counts=counts)


class FreeEnergy(NamedTuple):
    """A free-energy profile.

    Attributes
    ----------
    value : array of the shape of the bins
        -kT log(density), its smallest value being 0; infinite where nothing was counted.
    error : array
        The standard error of each value; the constant that is subtracted is taken as known.
    """

    value: np.ndarray
    error: np.ndarray


def more_counts(a: Contents, b: Contents) -> np.ndarray:
    """The counts of consecutive runs: batches of particles go on, those in time follow one another."""
    counts = a.observed.counts, b.observed.counts
    if len(a.streams) >= MANY_PARTICLES and len(counts[0]) == len(counts[1]):
        return counts[0] + counts[1]
    return np.concatenate(counts)


class Histogram(Observer):
    """Counts how often a value falls into each of some bins of one width; of two values, a table.

    Bins are half-open. All particles are counted together; errors come from 32 batches of particles, or in time where
    there are fewer than 32.

    Parameters
    ----------
    f : str, callable, or two of these
        What :class:`Expectation` takes, one number each. Two make a histogram in two dimensions.
    bins : int or (int, int), default 100
    range : (lo, hi) or two of these
        The ends of the first and the last bin.
    every, start : int
        As for every observer.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> profile = lf.observers.Histogram("x[0]", bins=40, range=(-2, 2), every=10)
    >>> run = lf.sample(lf.potentials.DoubleWell(), lf.ULA(0.01), n_steps=1000, n_particles=100, stride=None, seed=1,
    ...                 observers=[profile])
    >>> int(profile.counts.sum() + profile.outside)
    10000
    """

    def __init__(
        self,
        f: Any = "x[0]",
        bins: int | Sequence[int] = 100,
        range: Sequence[Any] | None = None,
        every: int = 1,
        start: int = 0,
    ) -> None:
        super().__init__(every, start)
        self._f = list(f) if isinstance(f, (list, tuple)) else [f]
        axes = len(self._f)
        if axes not in (1, 2):
            raise ValueError(f"f={checks.shorten(f)} must be one value, or two")
        both = list(bins) if isinstance(bins, (list, tuple)) else [bins] * axes
        if len(both) != axes:
            raise ValueError(f"bins={checks.shorten(bins)} must be one number, or one for each of the {axes} values")
        self._bins = tuple(checks.integer("bins", n, 1, 2**24) for n in both)
        if range is None:
            raise ValueError("range is missing: (lo, hi), the ends of the first and the last bin")
        try:
            ends = np.array(range, np.float64).reshape(-1, 2)
        except (TypeError, ValueError):
            raise ValueError(f"range={checks.shorten(range)} must be (lo, hi), or two of these") from None
        if len(ends) == 1:
            ends = np.repeat(ends, axes, axis=0)
        if len(ends) != axes or not np.isfinite(ends).all() or not (ends[:, 0] < ends[:, 1]).all():
            raise ValueError(f"range={checks.shorten(range)} must be (lo, hi) with lo below hi, or two of these")
        self._ends = ends

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        which = sources("f", self._f, run.problem)
        if len(which) != len(self._bins):
            raise ValueError(f"f={checks.shorten(self._f)} must give one number for each of {len(self._bins)} axes")
        n = len(run.problem.streams)
        in_time = n < MANY_PARTICLES
        bins = [*self._bins, 1][:2]
        sizes = [len(self._bins), *bins, _BATCHES, int(in_time), -(-n // _BATCHES)]
        scales = np.array(self._bins) / (self._ends[:, 1] - self._ends[:, 0])
        numbers = np.column_stack([self._ends[:, 0], scales]).ravel()
        return Counts(self.first_look(step), self.every, which, np.array(sizes), numbers)

    @property
    def _batches(self) -> np.ndarray:
        """Counts of each batch, (batches, bins and one for what fell outside)."""
        counts = self._seen().observed.counts
        return counts.reshape(-1, int(np.prod(self._bins)) + 1)

    @property
    def counts(self) -> np.ndarray:
        """How many values fell into each bin, (bins,) or (bins, bins)."""
        return self._batches.sum(axis=0)[:-1].reshape(self._bins)

    @property
    def outside(self) -> int:
        """How many values fell into none."""
        return int(self._batches[:, -1].sum())

    @property
    def edges(self) -> Any:
        """The ends of the bins, (bins + 1,); two of these in two dimensions."""
        return self._per_axis(lambda lo, hi, n: np.linspace(lo, hi, n + 1))

    @property
    def centers(self) -> Any:
        """The middles of the bins, (bins,); two of these in two dimensions."""
        return self._per_axis(lambda lo, hi, n: lo + (np.arange(n) + 0.5) * ((hi - lo) / n))

    def _per_axis(self, make: Any) -> Any:
        arrays = tuple(make(lo, hi, n) for (lo, hi), n in zip(self._ends.tolist(), self._bins, strict=True))
        return arrays if len(arrays) > 1 else arrays[0]

    @property
    def density(self) -> np.ndarray:
        """The probability density in each bin, (bins,) or (bins, bins); what fell outside is part of the whole."""
        return self._density_and_error()[0]

    @property
    def error(self) -> np.ndarray:
        """The standard error of the density."""
        return self._density_and_error()[1]

    def _density_and_error(self) -> tuple[np.ndarray, np.ndarray]:
        batches = self._batches.astype(np.float64)
        of_batch = batches.sum(axis=1, keepdims=True)
        used = of_batch[:, 0] > 0
        batches, of_batch = batches[used], of_batch[used]
        total, m = of_batch.sum(), len(batches)
        volume = float(np.prod((self._ends[:, 1] - self._ends[:, 0]) / self._bins))
        with np.errstate(invalid="ignore", divide="ignore"):
            fraction = batches.sum(axis=0) / total
            spread = np.square(batches - fraction * of_batch).sum(axis=0) * np.divide(m, m - 1.0) / total**2
        return (fraction[:-1] / volume).reshape(self._bins), (np.sqrt(spread)[:-1] / volume).reshape(self._bins)

    def free_energy(self, kT: float | None = None) -> FreeEnergy:
        """The free energy -kT log(density) of each bin, with error bars.

        Parameters
        ----------
        kT : float, optional
            In energy units. Default: that of the scheme.
        """
        if kT is None:
            contents = self._seen()
            scheme = contents.run.scheme
            of_scheme = np.unique(scheme.kT_at(np.zeros(1)))
            if len(of_scheme) > 1 or scheme.schedule is not None or contents.changed:
                raise ValueError("kT is missing: it is not one number in this run")
            kT = float(of_scheme[0])
        density, error = self._density_and_error()
        with np.errstate(divide="ignore", invalid="ignore"):
            value = -kT * np.log(density)
            return FreeEnergy(value - value.min(initial=np.inf), kT * error / density)

    def plot(self, ax: Axes | None = None, *, kT: float | None = None, free_energy: bool = False) -> Axes:
        """Draw the density, or the free energy, with error bands (extra ``plot``).

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Default: a new one.
        kT : float, optional
            As for :meth:`free_energy`.
        free_energy : bool, default False

        Returns
        -------
        matplotlib.axes.Axes
        """
        try:
            from matplotlib import pyplot as plt
        except ImportError:
            raise ImportError("plot needs matplotlib: pip install 'langevin-fast[plot]'") from None
        value, error = self.free_energy(kT) if free_energy else self._density_and_error()
        label = "free energy" if free_energy else "density"
        if ax is None:
            ax = plt.subplots()[1]
        if len(self._bins) == 2:
            mesh = ax.pcolormesh(*self.edges, np.where(np.isfinite(value), value, np.nan).T)
            ax.figure.colorbar(mesh, ax=ax, label=label)
            return ax
        (line,) = ax.plot(self.centers, value)
        ax.fill_between(self.centers, value - error, value + error, color=line.get_color(), alpha=0.3, linewidth=0)
        ax.set_xlabel(self._f[0] if isinstance(self._f[0], str) else "f")
        ax.set_ylabel(label)
        return ax

    def _key(self) -> Any:
        return self._bins, self._ends.tobytes()

    def _of_more_particles(self, a: Observed, b: Observed) -> Observed:
        # every batch stays one: their sums are the counts
        return self._joined(a, b, np.concatenate([a.counts, b.counts]))

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        return a.observed._replace(counts=more_counts(a, b))
