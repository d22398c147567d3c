"""A function on a grid that Gaussians are added to, as a cubic spline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _core, checks
from ..potentials.compiled import CompiledPotential
from ..potentials.tabulated import Tabulated

# Gaussians end here, in standard deviations; their height is 1.5e-8 there.
_REACH = 6.0


class Axis(NamedTuple):
    """One axis of a grid.

    Attributes
    ----------
    nodes : (n,) array
    spacing : float
    periodic : bool
        Whether the last node is the first one.
    """

    nodes: np.ndarray
    spacing: float
    periodic: bool

    @property
    def n_cells(self) -> int:
        """How many there are."""
        return len(self.nodes) - 1

    @property
    def n_coefficients(self) -> int:
        """Of the spline: one for each node, and for a period, or for the nodes and one more at each end."""
        return self.n_cells if self.periodic else self.n_cells + 3

    @property
    def places(self) -> np.ndarray:
        """The numbers of the coefficients of node -1 up to one beyond the last, (n_cells + 3,)."""
        i = np.arange(self.n_cells + 3)
        return (i - 1) % self.n_cells if self.periodic else i

    def cells(self, q: np.ndarray) -> np.ndarray:
        """Values of the coordinate in cells from the first node; within a period."""
        t = (q - self.nodes[0]) * (1.0 / self.spacing)
        return t - self.n_cells * np.floor(t * (1.0 / self.n_cells)) if self.periodic else t


class Grid:
    """The nodes of one or two coordinates.

    Parameters
    ----------
    grid : (n,) array or pair of arrays
        As of :class:`langevin_fast.potentials.Tabulated`.
    periodic : bool or pair of bool

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """

    def __init__(self, grid: ArrayLike | Sequence[ArrayLike], periodic: bool | Sequence[bool], m: int) -> None:
        if m == 2 and (not isinstance(grid, (Sequence, np.ndarray)) or len(grid) != 2):
            raise ValueError(f"grid must be a pair of arrays, one for each coordinate; got {checks.shorten(grid)}")
        arrays: list[Any] = [grid] if m == 1 else list(grid)  # type: ignore[arg-type]
        each = [periodic] * m if isinstance(periodic, (bool, np.bool_)) else periodic
        if (
            not isinstance(each, (list, tuple))
            or len(each) != m
            or not all(isinstance(p, (bool, np.bool_)) for p in each)
        ):
            raise ValueError(f"periodic must be True or False, or one for each of {m} coordinates; got {periodic!r}")
        kinds = ["periodic" if one else "clamp" for one in each]
        shape = tuple(len(checks.finite_array("grid", nodes, ndim=1)) for nodes in arrays)
        table = Tabulated(
            np.zeros(shape), arrays[0] if m == 1 else tuple(arrays), outside=kinds[0] if m == 1 else tuple(kinds)
        )
        all_nodes = (table.grid,) if isinstance(table.grid, np.ndarray) else table.grid
        self.axes = tuple(
            Axis(nodes, float((nodes[-1] - nodes[0]) / (len(nodes) - 1)), bool(one))
            for nodes, one in zip(all_nodes, each, strict=True)
        )
        self.shape = tuple(axis.n_coefficients for axis in self.axes)
        self.functions = table.functions
        self.numbers = table.parameters[: 6 * m]  # which come before the table

    def parameters(self, coefficients: np.ndarray) -> np.ndarray:
        """Those of :class:`langevin_fast.potentials.Tabulated` with these coefficients, (shape) of the grid."""
        table = coefficients[np.ix_(*(axis.places for axis in self.axes))]
        return np.concatenate([self.numbers, table.reshape(-1)])

    def holds(self, q: np.ndarray) -> np.ndarray:
        """Whether values (m, n) lie on the grid, (n,)."""
        inside = np.ones(q.shape[1:], bool)
        for axis, values in zip(self.axes, q, strict=True):
            inside &= np.isfinite(values) if axis.periodic else (values >= axis.nodes[0]) & (values <= axis.nodes[-1])
        return inside

    def _weighted(self, axis: Axis, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the four coefficients that values (n,) use, and their weights, both (n, 4)."""
        t = axis.cells(q)
        t = np.minimum(np.maximum(t, 0.0), axis.n_cells)
        cell = np.minimum(np.floor(t), axis.n_cells - 1.0)
        f = t - cell
        r = 1.0 - f
        w = r * r * r, 4.0 - 3.0 * f * f * (1.0 + r), 4.0 - 3.0 * r * r * (1.0 + f), f * f * f
        return axis.places[cell.astype(np.int64)[:, np.newaxis] + np.arange(4)], np.stack(w, axis=1)

    def values(self, coefficients: np.ndarray, q: np.ndarray) -> np.ndarray:
        """The function at values (m, n), (n,)."""
        first, w = self._weighted(self.axes[0], q[0])
        if len(self.axes) == 1:
            b = coefficients[first]
        else:
            second, w2 = self._weighted(self.axes[1], q[1])
            rows = coefficients[first[:, :, np.newaxis], second[:, np.newaxis]]
            b = _sum4(rows, w2[:, np.newaxis])
        return _sum4(b, w)

    def at_nodes(self, coefficients: np.ndarray) -> np.ndarray:
        """The function at all nodes."""
        table = coefficients[np.ix_(*(axis.places for axis in self.axes))]
        for i in range(len(self.axes)):
            b = np.moveaxis(table, i, 0)
            table = np.moveaxis(b[:-2] + 4.0 * b[1:-1] + b[2:], 0, i)
        return table

    def hills(self, q: np.ndarray, heights: np.ndarray, widths: Sequence[float]) -> np.ndarray:
        """The coefficients of Gaussians at values (m, n), of heights (n,) and widths (m,), added up in their order.

        Coefficients that are a Gaussian make one that is wider, by the variance h²/3 of the spline's basis; they are
        made so much narrower.
        """
        numbers = np.zeros((len(heights), 1), np.int64)
        bumps = heights[:, np.newaxis]
        for axis, values, width in zip(self.axes, q, widths, strict=True):
            s = width / axis.spacing
            narrow = s * s - 1.0 / 3.0
            t = axis.cells(values)
            nearest = np.floor(t + 0.5)
            reach = int(np.ceil(_REACH * s))
            offsets = np.arange(-reach, reach + 1)
            d = offsets - (t - nearest)[:, np.newaxis]
            part = _core.exp(np.ascontiguousarray((-0.5 / narrow) * (d * d)).reshape(-1)).reshape(d.shape)
            part *= s / (6.0 * np.sqrt(narrow))
            place = nearest.astype(np.int64)[:, np.newaxis] + offsets
            if axis.periodic:
                place %= axis.n_cells
            else:
                place += 1
                beyond = (place < 0) | (place >= axis.n_coefficients)
                if beyond.any():
                    part[beyond] = 0.0
                    place[beyond] = 0
            numbers = (numbers[:, :, np.newaxis] * axis.n_coefficients + place[:, np.newaxis]).reshape(len(t), -1)
            bumps = (bumps[:, :, np.newaxis] * part[:, np.newaxis]).reshape(len(t), -1)
        total = np.bincount(numbers.reshape(-1), bumps.reshape(-1), int(np.prod(self.shape)))
        return total.reshape(self.shape)


def _sum4(b: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Four products along the last axis, added in their order."""
    return ((w[..., 0] * b[..., 0] + w[..., 1] * b[..., 1]) + w[..., 2] * b[..., 2]) + w[..., 3] * b[..., 3]


class Spline(CompiledPotential):
    """A cubic spline on a grid by its coefficients; computed as :class:`langevin_fast.potentials.Tabulated` is.

    Parameters
    ----------
    grid : Grid
    coefficients : array of the shape of the grid
    """

    kind = "Tabulated"
    grid: Grid
    coefficients: np.ndarray

    def __init__(self, grid: Grid, coefficients: np.ndarray) -> None:
        super().__init__(
            dim=len(grid.axes),
            parameters=grid.parameters(coefficients),
            default_start=[axis.nodes[0] for axis in grid.axes],
            arguments={"coefficients": coefficients.copy()},
            functions=grid.functions,
            grid=grid,
        )

    def with_values(self, values: dict[str, Any]) -> Spline:
        """See :meth:`Potential.with_values`."""
        return Spline(self.grid, **{"coefficients": self.coefficients, **values})
