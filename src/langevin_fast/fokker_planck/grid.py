"""What the solvers share: SciPy, the cells, and energies on them."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..potentials.base import Potential


def scipy(module: str) -> Any:
    """A module of SciPy, imported when it is needed."""
    try:
        return importlib.import_module(f"scipy.{module}")
    except ImportError:
        raise ImportError(
            "lf.fokker_planck needs SciPy, which is not installed: pip install 'langevin-fast[fokker-planck]'"
        ) from None


class Grid:
    """Equal cells over an interval or a rectangle.

    Parameters
    ----------
    bounds : (low, high) or sequence of them
        One pair for each dimension.
    n_cells : int or sequence of int
        Per dimension, >= 3.
    """

    def __init__(self, bounds: ArrayLike, n_cells: int | ArrayLike, dim: int) -> None:
        borders = checks.finite_array("bounds", bounds)
        if dim == 1 and borders.shape == (2,):
            borders = borders[np.newaxis]
        if borders.shape != (dim, 2):
            raise ValueError(f"bounds must be a pair (low, high) for each of {dim} dimensions; got {bounds!r}")
        if not (borders[:, 0] < borders[:, 1]).all():
            raise ValueError(f"bounds={bounds!r} is not allowed: each low must be below its high")
        counts = np.broadcast_to(np.asarray(n_cells, dtype=object), (dim,)) if np.ndim(n_cells) == 0 else n_cells
        self.shape = tuple(checks.integer("n_cells", n, 3) for n in counts)  # type: ignore[union-attr]
        if len(self.shape) != dim:
            raise ValueError(f"n_cells must be an integer or {dim} of them; got {n_cells!r}")
        self.edges = tuple(np.linspace(low, high, n + 1) for (low, high), n in zip(borders, self.shape, strict=True))
        self.centers = tuple(0.5 * (e[1:] + e[:-1]) for e in self.edges)
        self.spacing = tuple(float((e[-1] - e[0]) / n) for e, n in zip(self.edges, self.shape, strict=True))
        self.volume = float(np.prod(self.spacing))
        self.points = np.stack(np.meshgrid(*self.centers, indexing="ij"), axis=-1)


def energies(potential: Potential, points: np.ndarray, kT: float) -> np.ndarray:
    """U/kT at points, the smallest value being zero."""
    u = np.asarray(potential.energy(points)) / kT
    if not np.isfinite(u).all():
        where = points.reshape(-1, points.shape[-1])[np.flatnonzero(~np.isfinite(u).reshape(-1))[0]]
        raise ValueError(f"the energy of {potential!r} is not finite at x={where.tolist()}: choose other bounds")
    return u - u.min()


def check_potential(potential: Potential, dims: tuple[int, ...]) -> None:
    """See that it is one, of an allowed dimension, with an energy."""
    if not isinstance(potential, Potential):
        raise TypeError(f"potential must be a langevin_fast potential; got {checks.shorten(potential)}")
    if potential.dim not in dims:
        allowed = " or ".join(map(str, dims))
        raise ValueError(f"{potential!r} has {potential.dim} dimensions; allowed: {allowed}")
    if not potential.has_energy:
        raise ValueError(f"{potential!r} has no energy, which the Fokker-Planck equation needs")
