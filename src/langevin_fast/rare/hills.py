"""The hills of metadynamics: how they are made, and what is learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from .. import _core, checks
from .bias import Bias, Coordinates
from .grid import Grid, Spline
from .profile import Profile, bins_of

# Errors come from what differs between so many batches or more.
_BATCHES = 32


class Deposit(NamedTuple):
    """What all walkers deposit after one step.

    Attributes
    ----------
    positions : (n, dim) array
    coordinates : (m, n) array
    bias : (n,) array
        V where each is, before.
    heights : (n,) array
        0 beyond the grid.
    """

    positions: np.ndarray
    coordinates: np.ndarray
    bias: np.ndarray
    heights: np.ndarray


@dataclass(frozen=True, eq=False)
class Hills:
    """How hills are made; see :class:`langevin_fast.rare.Metadynamics`."""

    coordinates: Coordinates
    grid: Grid
    widths: tuple[float, ...]
    height: float
    bias_factor: float
    stride: int
    kT: float  # noqa: N815

    def deposit(self, x: np.ndarray, coefficients: np.ndarray) -> Deposit:
        """What walkers at positions (n, dim) deposit on a bias."""
        q = self.coordinates.values(x)
        inside = self.grid.holds(q)
        bias = self.grid.values(coefficients, q if inside.all() else self._on_grid(q))
        # NumPy's exponential has other bits on other processors.
        heights = self.height * _core.exp(-bias / (self.kT * (self.bias_factor - 1.0)))
        return Deposit(x, q, bias, heights if inside.all() else np.where(inside, heights, 0.0))

    def coefficients(self, deposit: Deposit) -> np.ndarray:
        """By how much a deposit changes those of the bias."""
        q = deposit.coordinates
        return self.grid.hills(q if (deposit.heights > 0.0).all() else self._on_grid(q), deposit.heights, self.widths)

    def _on_grid(self, q: np.ndarray) -> np.ndarray:
        """Values within the grid, those beyond at its ends."""
        ends = np.array([(axis.nodes[0], axis.nodes[-1]) for axis in self.grid.axes])
        beyond = ~np.isfinite(q)
        clipped = np.clip(q, *ends.T[:, :, np.newaxis])
        periodic = np.array([axis.periodic for axis in self.grid.axes])[:, np.newaxis]
        found: np.ndarray = np.where(beyond, ends[:, :1], np.where(periodic, q, clipped))
        return found

    def within_period(self, q: np.ndarray) -> list[np.ndarray]:
        """Values as they are, or of periodic coordinates those on the grid."""
        return [
            axis.nodes[0] + axis.spacing * axis.cells(values) if axis.periodic else values
            for axis, values in zip(self.grid.axes, q, strict=True)
        ]


@dataclass(frozen=True, eq=False)
class MetadynamicsResult:
    """What :meth:`Metadynamics.run` returns: n deposits of all walkers, on a grid of m coordinates.

    Attributes
    ----------
    steps : (n,) array of int
        After which they were made.
    positions : (n, n_walkers, dim) array
        In length units.
    coordinates : (m, n, n_walkers) array
    bias_before : (n, n_walkers) array
        The bias where each walker was, before it deposited; energy.
    heights : (n, n_walkers) array
        Of the hills; 0 where a walker was beyond the grid.
    bias : Bias
        V now, a potential: ``potential + result.bias``.
    nodes : tuple of m arrays
        Of the grid.
    bias_on_nodes : array with m axes
        V there.
    offsets : (n,) array
        c(t) before each deposit, energy (P. Tiwary, M. Parrinello, J. Phys. Chem. B 119 (2015) 736).
    weights : (n, n_walkers) array
        exp((V - c)/kT), by which averages over the deposits become those without a bias; their sum is 1.
    seed : int
    """

    steps: np.ndarray
    positions: np.ndarray
    coordinates: np.ndarray
    bias_before: np.ndarray
    heights: np.ndarray
    seed: int
    _hills: Hills
    _coefficients: np.ndarray

    @classmethod
    def of(
        cls, hills: Hills, deposits: Sequence[Deposit], nothing: Deposit, seed: int, coefficients: np.ndarray
    ) -> MetadynamicsResult:
        """From deposits, and the bias that they are; `nothing` has the shapes of one."""
        columns = zip(*deposits, strict=True) if deposits else [[]] * 4
        x, q, bias, heights = (
            np.array(list(column)).reshape(len(deposits), *like.shape)
            for column, like in zip(columns, nothing, strict=True)
        )
        steps = hills.stride * np.arange(1, len(deposits) + 1)
        return cls(steps, x, np.moveaxis(q, 1, 0), bias, heights, seed, hills, coefficients)

    def __repr__(self) -> str:
        n, walkers = self.heights.shape
        return f"<MetadynamicsResult: {n} deposits of {walkers} walker{'s' if walkers > 1 else ''}>"

    @property
    def bias(self) -> Bias:
        """V now, a potential."""
        return Bias(Spline(self._hills.grid, self._coefficients), self._hills.coordinates)

    @property
    def nodes(self) -> tuple[np.ndarray, ...]:
        """Those of the grid."""
        return tuple(axis.nodes for axis in self._hills.grid.axes)

    @property
    def bias_on_nodes(self) -> np.ndarray:
        """V at the nodes of the grid."""
        return self._hills.grid.at_nodes(self._coefficients)

    def sum_hills(self) -> np.ndarray:
        """The free energy at the nodes of the grid from the bias alone, -(1 + kT/kΔT) V; lowest value 0, energy units.

        It has no error bar, and swings with the heights of the last hills: :meth:`free_energy` has less noise.
        """
        F = -_excess(self._hills.bias_factor) * self.bias_on_nodes
        return F - F.min()

    @cached_property
    def offsets(self) -> np.ndarray:
        """c(t) before each deposit, (n,)."""
        hills = self._hills
        a, b = (_excess(hills.bias_factor) / hills.kT, (_excess(hills.bias_factor) - 1.0) / hills.kT)
        coefficients = np.zeros(hills.grid.shape)
        found = np.empty(len(self.steps))
        once = tuple(slice(None, -1) if axis.periodic else slice(None) for axis in hills.grid.axes)
        for i in range(len(found)):
            V = hills.grid.at_nodes(coefficients)[once]
            found[i] = hills.kT * (_log_sum(a * V) - _log_sum(b * V))
            q, bias, heights = self.coordinates[:, i], self.bias_before[i], self.heights[i]
            coefficients = coefficients + hills.coefficients(Deposit(self.positions[i], q, bias, heights))
        return found

    @cached_property
    def weights(self) -> np.ndarray:
        """Of each walker at each deposit, (n, n_walkers)."""
        exponent = (self.bias_before - self.offsets[:, np.newaxis]) / self._hills.kT
        w = np.exp(exponent - exponent.max(initial=-np.inf))
        return w / w.sum()

    def free_energy(self, bins: int | Sequence[int] = 50, range: Any = None, *, burn_in: int | None = None) -> Profile:
        """The free energy -kT log(density) along the coordinates, from the walkers at the deposits, reweighted.

        Errors come from what differs between batches: walkers, where there are 32 or more, else parts of their time,
        which are to be longer than a walker takes to cross the grid.

        Parameters
        ----------
        bins : int, or one for each coordinate
        range : pair of float, or one for each coordinate
            Default: that of the grid.
        burn_in : int, optional
            Steps that do not count. Default: a fifth of them.

        Returns
        -------
        Profile
            Relative to its lowest bin, in energy units.

        Raises
        ------
        TypeError, ValueError
            If an argument is not allowed, or fewer deposits than batches count.
        """
        m = len(self.coordinates)
        each = [bins] * m if np.ndim(bins) == 0 else list(bins)  # type: ignore[arg-type]
        if len(each) != m:
            raise ValueError(f"bins must be one number, or one for each of {m} coordinates; got {checks.shorten(bins)}")
        ends = [(nodes[0], nodes[-1]) for nodes in self.nodes] if range is None else [range] if m == 1 else range
        if not isinstance(ends, (list, tuple)) or len(ends) != m:
            raise ValueError(f"range must have a pair for each of {m} coordinates; got {checks.shorten(range)}")
        edges = [bins_of("bins", n, "range", pair) for n, pair in zip(each, ends, strict=True)]
        last = int(self.steps[-1]) if len(self.steps) else 0
        burn_in = last // 5 if burn_in is None else checks.integer("burn_in", burn_in, 0)
        used = self.steps > burn_in
        n, n_walkers = int(used.sum()), self.heights.shape[1]
        parts = -(-_BATCHES // n_walkers)
        if n < parts:
            raise ValueError(f"burn_in={burn_in}: {n} deposits follow; errors need {parts} or more")

        shape = tuple(len(one) - 1 for one in edges)
        q = self.coordinates[:, used]
        inside, number = np.ones(q.shape[1:], bool), np.zeros(q.shape[1:], np.int64)
        for values, one in zip(self._hills.within_period(q), edges, strict=True):
            i = np.searchsorted(one, values, side="right") - 1
            inside &= (i >= 0) & (i < len(one) - 1)
            number = number * (len(one) - 1) + np.clip(i, 0, len(one) - 2)
        batch = (np.arange(n) * parts // n)[:, np.newaxis] * n_walkers + np.arange(n_walkers)
        n_bins = int(np.prod(shape))
        w = np.where(inside, self.weights[used], 0.0)
        sums = np.bincount((batch * n_bins + number).reshape(-1), w.reshape(-1), parts * n_walkers * n_bins)
        value, error = _relative(sums.reshape(-1, n_bins))
        kT = self._hills.kT
        centers = tuple(0.5 * (one[1:] + one[:-1]) for one in edges)
        return Profile(centers[0] if m == 1 else centers, kT * value.reshape(shape), kT * error.reshape(shape))


def _excess(bias_factor: float) -> float:
    """γ/(γ - 1) = 1 + T/ΔT."""
    return 1.0 if bias_factor == np.inf else bias_factor / (bias_factor - 1.0)


def _log_sum(a: np.ndarray) -> float:
    largest = a.max()
    return float(largest + np.log(np.exp(a - largest).sum()))


def _relative(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-log of the weight of each bin over that of the largest, from (batches, bins), with standard errors."""
    total = sums.sum(axis=0)
    largest = int(total.argmax())
    with np.errstate(divide="ignore", invalid="ignore"):
        fraction = total / total[largest]
        residual = sums - fraction * sums[:, largest : largest + 1]
        n = len(sums)
        error = np.sqrt(n / (n - 1) * np.square(residual).sum(axis=0)) / total
        return -np.log(fraction), np.where(total > 0.0, error, np.nan)
