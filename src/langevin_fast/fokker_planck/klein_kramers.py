"""The Klein-Kramers equation: underdamped dynamics in one dimension, with Hermite functions of the velocity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..potentials.base import Potential
from .grid import Grid, check_potential, energies, scipy


class KleinKramers:
    r"""Relaxation of underdamped Langevin dynamics in one dimension.

    .. math::
        \partial_t p = -v\,\partial_x p + \frac{U'}{m} \partial_v p
            + \gamma\,\partial_v \Big( v p + \frac{kT}{m} \partial_v p \Big)

    The density is a sum over Hermite functions of v (H. Risken, The Fokker-Planck Equation, 1989, section 10.1): a
    chain in which friction damps coefficient n at the rate n gamma and the motion couples neighbours by
    :math:`\sqrt{n\,kT/m}\,(\partial_x \pm U'/2kT)`. Even coefficients live at the centres of cells and odd ones at the
    borders between them, so that the Boltzmann density is exactly stationary, the coupling exactly antisymmetric, and
    errors are of second order in the cell.

    Parameters
    ----------
    potential : Potential
        Of one dimension, with an energy.
    bounds : (low, high)
        The interval; its borders reflect.
    n_cells : int
        >= 3.
    friction : float
        gamma > 0, a rate (1/time).
    mass : float, default 1
        > 0.
    kT : float, default 1
        Temperature in energy units, > 0.
    n_hermite : int, optional
        Number of Hermite functions, >= 2. Low friction needs more. Default: 40 + 20 / friction, at most 400.

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed.
    ImportError
        SciPy is not installed.
    """

    def __init__(
        self,
        potential: Potential,
        bounds: ArrayLike,
        n_cells: int,
        *,
        friction: float,
        mass: float = 1.0,
        kT: float = 1.0,
        n_hermite: int | None = None,
    ) -> None:
        check_potential(potential, (1,))
        self.potential = potential
        self.friction = checks.positive("friction", friction)
        self.mass = checks.positive("mass", mass)
        self.kT = checks.positive("kT", kT)
        self.grid = Grid(bounds, n_cells, 1)
        default = int(min(40 + 20 / self.friction, 400))
        self.n_hermite = default if n_hermite is None else checks.integer("n_hermite", n_hermite, 2)

    def __repr__(self) -> str:
        edges = self.grid.edges[0]
        return (
            f"KleinKramers({self.potential!r}, ({float(edges[0])}, {float(edges[-1])}), {self.grid.shape[0]}, "
            f"friction={self.friction!r}, mass={self.mass!r}, kT={self.kT!r}, n_hermite={self.n_hermite})"
        )

    def relaxation_rates(self, k: int) -> np.ndarray:
        """The `k` eigenvalues with the smallest real parts found near 0, as complex numbers in 1/time; the first is 0.

        Real parts are decay rates, imaginary parts angular frequencies.

        Parameters
        ----------
        k : int
            >= 1.
        """
        k = checks.integer("k", k, 1, self.grid.shape[0])
        operator = self._operator()
        start = np.cos(np.arange(operator.shape[0]))  # the same every time
        # off the spectrum, and nearer to its slow end than to anything else
        shift = -1e-3 * self.friction / (1.0 + self.friction**2)
        values = scipy("sparse.linalg").eigs(operator, k, sigma=shift, v0=start, return_eigenvectors=False)
        values = values[np.lexsort((values.imag, values.real.round(12)))]
        values[0] = 0.0
        return values

    def _operator(self) -> Any:
        """The matrix whose eigenvalues are the rates, between square roots of the stationary density."""
        sparse = scipy("sparse")
        edges, centers, spacing = self.grid.edges[0], self.grid.centers[0], self.grid.spacing[0]
        # centres and inner borders together in order: u at distances of half a cell
        places = np.sort(np.concatenate([centers, edges[1:-1]]))
        u = energies(self.potential, places[:, np.newaxis], self.kT)
        n_even, n_odd = len(centers), len(centers) - 1
        speed = np.sqrt(self.kT / self.mass) / spacing

        def difference(at: np.ndarray, source: np.ndarray) -> Any:
            """From values at `source` to values at `at`, half a cell away on both sides: zero for exp(-u/2)."""
            rows, columns, values = [], [], []
            for sign in (1, -1):
                neighbour = at + sign
                there = np.isin(neighbour, source)
                rows.append(np.flatnonzero(there))
                columns.append(np.searchsorted(source, neighbour[there]))
                values.append(sign * speed * np.exp(0.5 * (u[neighbour[there]] - u[at[there]])))
            entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
            return sparse.csr_matrix(entries, shape=(len(at), len(source)))

        even, odd = np.arange(0, 2 * n_even - 1, 2), np.arange(1, 2 * n_even - 2, 2)
        raise_even, raise_odd = difference(odd, even), difference(even, odd)
        blocks: list[list[Any]] = [[None] * self.n_hermite for _ in range(self.n_hermite)]
        for n in range(self.n_hermite):
            size = n_odd if n % 2 else n_even
            blocks[n][n] = sparse.identity(size) * (n * self.friction)
            if n + 1 < self.n_hermite:
                coupling = np.sqrt(n + 1.0) * (raise_odd if n % 2 else raise_even)
                blocks[n + 1][n] = coupling
                blocks[n][n + 1] = -coupling.T
        return sparse.bmat(blocks, format="csc")
