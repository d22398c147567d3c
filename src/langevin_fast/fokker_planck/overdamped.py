"""The Fokker-Planck equation of overdamped dynamics, by finite volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..potentials.base import Potential
from .comparison import Comparison, compare
from .grid import Grid, check_potential, energies, scipy

# Rounding leaves negative densities of this order, relative to the largest; they become zero.
_ROUNDING = 1e-12
Region = Callable[..., Any] | np.ndarray


class Relaxation(NamedTuple):
    """How a density relaxes: p(t) = sum_k c_k exp(-rates[k] t) densities[k], c_k = integral of p(0) functions[k].

    Attributes
    ----------
    rates : ndarray of shape (k,)
        In ascending order, in 1/time; the first is 0.
    functions : ndarray of shape (k, *grid)
        Eigenfunctions of the backward operator; the first is 1.
    densities : ndarray of shape (k, *grid)
        Eigenfunctions of the forward operator, the functions times the stationary density; integral of
        functions[i] densities[j] is 1 for i = j and 0 else.
    """

    rates: np.ndarray
    functions: np.ndarray
    densities: np.ndarray


class Overdamped:
    r"""The Fokker-Planck equation of overdamped Langevin dynamics in one or two dimensions.

    .. math:: \partial_t p = \nabla \cdot \frac{1}{\lambda} \left( p \nabla U + kT\, \nabla p \right)

    Finite volumes on equal cells with exponentially fitted fluxes: between neighbours i and j a distance d apart
    probability flows from i to j at the rate :math:`(kT/\lambda d^2)\, B((U_j - U_i)/kT)`, :math:`B(z) = z/(e^z - 1)`.
    So densities stay positive, mass is conserved, exp(-U/kT) is exactly stationary, and errors are of second order in
    d (D. L. Scharfetter, H. K. Gummel, IEEE Trans. Electron Devices 16 (1969) 64; J. S. Chang, G. Cooper, J. Comput.
    Phys. 6 (1970) 1).

    Parameters
    ----------
    potential : Potential
        Of one or two dimensions, with an energy.
    bounds : (low, high) or ((low, high), (low, high))
        The interval or rectangle. Where U is many kT above its minimum there is no need to go further.
    n_cells : int or (int, int)
        Per dimension, >= 3.
    kT : float, default 1
        Temperature in energy units, > 0.
    drag : float, default 1
        lambda > 0, in mass/time.
    border : {"reflecting", "periodic"}
        Of all dimensions.

    Attributes
    ----------
    centers, edges : tuple of ndarray
        The grid along each dimension. Densities are arrays of shape `shape`, one value per cell.
    shape : tuple of int
        Cells per dimension.
    volume : float
        Of one cell.

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed.
    ImportError
        SciPy is not installed.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> fp = lf.fokker_planck.Overdamped(lf.potentials.DoubleWell(), (-3, 3), 600)
    >>> round(float(fp.relaxation_rates(2).rates[1]), 3)
    0.749
    """

    def __init__(
        self,
        potential: Potential,
        bounds: ArrayLike,
        n_cells: int | ArrayLike,
        *,
        kT: float = 1.0,
        drag: float = 1.0,
        border: str = "reflecting",
    ) -> None:
        check_potential(potential, (1, 2))
        self.potential = potential
        self.kT = checks.positive("kT", kT)
        self.drag = checks.positive("drag", drag)
        checks.one_of("border", border, ("reflecting", "periodic"))
        self.border = border
        self.grid = Grid(bounds, n_cells, potential.dim)
        self.centers, self.edges, self.shape = self.grid.centers, self.grid.edges, self.grid.shape
        self.volume = self.grid.volume
        self._u = energies(potential, self.grid.points, self.kT)
        weights = np.exp(-self._u)
        self._stationary = weights / (weights.sum() * self.volume)
        self._forward = self._generator()

    def __repr__(self) -> str:
        return (
            f"Overdamped({self.potential!r}, {[(float(e[0]), float(e[-1])) for e in self.edges]}, {self.shape}, "
            f"kT={self.kT!r}, drag={self.drag!r}, border={self.border!r})"
        )

    # --- operators

    def _pairs(self) -> list[tuple[np.ndarray, np.ndarray, float]]:
        """Neighbours along each dimension: indices of both, and kT/(drag d^2)."""
        index = np.arange(self._u.size).reshape(self.shape)
        pairs = []
        for axis, spacing in enumerate(self.grid.spacing):
            a, b = index, np.roll(index, -1, axis)
            if self.border == "reflecting":
                a, b = (np.delete(i, -1, axis) for i in (a, b))
            pairs.append((a.reshape(-1), b.reshape(-1), self.kT / (self.drag * spacing**2)))
        return pairs

    def _generator(self) -> Any:
        """The sparse matrix L of dp/dt = L p."""
        u, rows, columns, values = self._u.reshape(-1), [], [], []
        for a, b, diffusion in self._pairs():
            z = u[b] - u[a]
            for to, source, difference in ((b, a, z), (a, b, -z)):
                rate = diffusion * _bernoulli(difference)
                rows += [to, source]
                columns += [source, source]
                values += [rate, -rate]
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return scipy("sparse").csc_matrix(entries, shape=(u.size, u.size))

    def _symmetric(self) -> Any:
        """The generator between square roots of the stationary density: symmetric, with the same eigenvalues."""
        u, n = self._u.reshape(-1), self._u.size
        rows, columns, values = [np.arange(n)], [np.arange(n)], [self._forward.diagonal()]
        for a, b, diffusion in self._pairs():
            half = 0.5 * np.abs(u[b] - u[a])
            # sqrt(B(z) B(-z)) = (z/2) / sinh(z/2)
            safe = np.maximum(half, 1e-8)
            coupling = diffusion * 2.0 * safe * np.exp(-safe) / -np.expm1(-2.0 * safe)
            rows += [a, b]
            columns += [b, a]
            values += [coupling, coupling]
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        return scipy("sparse").csc_matrix(entries, shape=(n, n))

    # --- densities

    def stationary(self) -> np.ndarray:
        """The Boltzmann density on the grid, which the discrete equation leaves exactly as it is."""
        return self._stationary.copy()

    def point(self, x: ArrayLike) -> np.ndarray:
        """All probability at a point, shared among the cells around it so that its mean is exact.

        Parameters
        ----------
        x : (dim,) array
            Inside the bounds.
        """
        position = checks.finite_array("x", x, shape=(len(self.shape),))
        density = np.ones(())
        for c, (value, edges, spacing) in enumerate(zip(position, self.edges, self.grid.spacing, strict=True)):
            if not edges[0] <= value <= edges[-1]:
                raise ValueError(f"x[{c}]={float(value)!r} lies outside the grid, [{edges[0]}, {edges[-1]}]")
            n = len(edges) - 1
            place = (value - edges[0]) / spacing - 0.5
            weights = np.zeros(n)
            low = int(np.floor(place))
            for i, weight in ((low, 1.0 - (place - low)), (low + 1, place - low)):
                weights[i % n if self.border == "periodic" else min(max(i, 0), n - 1)] += weight
            density = np.multiply.outer(density, weights / spacing)
        return density

    def propagate(self, initial: ArrayLike, t: ArrayLike) -> np.ndarray:
        """The density at later times.

        Parameters
        ----------
        initial : (dim,) array or array of the grid's shape
            A point (see :meth:`point`) or a density (>= 0; it is normalised).
        t : float or (n,) array
            Times >= 0, ascending.

        Returns
        -------
        ndarray of the grid's shape, or (n, *grid) for several times
        """
        p = self._density("initial", initial).reshape(-1)
        times = checks.finite_array("t", t)
        flat = times.reshape(-1)
        if times.ndim > 1 or (flat < 0).any() or (np.diff(flat) < 0).any():
            raise ValueError(f"t={checks.shorten(t)} is not allowed: times must be >= 0 and ascending")
        result, now = np.empty((len(flat), *self.shape)), 0.0
        for i, time in enumerate(flat):
            if time > now:
                p = scipy("sparse.linalg").expm_multiply(self._forward * (time - now), p)
                if p.min() < -_ROUNDING * p.max():
                    raise ArithmeticError(f"the density became negative ({p.min():g}): use more cells or other bounds")
                p = np.maximum(p, 0.0)
                p /= p.sum() * self.volume
                now = time
            result[i] = p.reshape(self.shape)
        return result if times.ndim else result[0]

    def mean(self, density: ArrayLike, f: Callable[..., Any]) -> float:
        """The mean of ``f(x)`` (in 2-D ``f(x, y)``) over a density."""
        values = f(*np.moveaxis(self.grid.points, -1, 0))
        return float((self._density("density", density) * values).sum() * self.volume)

    def free_energy(self, density: ArrayLike) -> float:
        r"""Of a density, :math:`\int p\,(U + kT \log p)`, in energy units; it never increases in time.

        The Fokker-Planck equation is its steepest descent in the Wasserstein metric (R. Jordan, D. Kinderlehrer,
        F. Otto, SIAM J. Math. Anal. 29 (1998) 1); see :meth:`kl_divergence`.
        """
        smallest = float(np.min(self.potential.energy(self.grid.points)))
        log_z = float(np.log(np.exp(-self._u).sum() * self.volume))
        return self.kT * (self.kl_divergence(density) - log_z) + smallest

    def kl_divergence(self, density: ArrayLike) -> float:
        """Of a density from the stationary one: its free energy above the minimum, in units of kT."""
        p = self._density("density", density)
        there = p > 0
        log_ratio = np.log(p[there]) + self._u[there] + np.log(np.exp(-self._u).sum() * self.volume)
        return float((p[there] * log_ratio).sum() * self.volume)

    # --- spectrum, passage times

    def relaxation_rates(self, k: int) -> Relaxation:
        """The `k` smallest relaxation rates, with eigenfunctions.

        Parameters
        ----------
        k : int
            1 <= k <= number of cells - 2.
        """
        k = checks.integer("k", k, 1, self._u.size - 2)
        linalg = scipy("sparse.linalg")
        operator = -self._symmetric()
        # below the spectrum, so that the shifted matrix is positive definite
        shift = -1e-6 * abs(operator).sum() / self._u.size
        start = np.sqrt(self._stationary.reshape(-1)) + 1e-3 * np.cos(np.arange(self._u.size))  # the same every time
        rates, vectors = linalg.eigsh(operator, k, sigma=shift, v0=start)
        order = np.argsort(rates)
        rates, vectors = rates[order], vectors.T[order].reshape(k, *self.shape) / np.sqrt(self.volume)
        root = np.exp(-0.5 * self._u)
        root /= np.sqrt((root**2).sum() * self.volume)
        functions = vectors / root
        # the sign is free: the first is 1, the others are positive where their largest value over the density is
        largest = np.argmax(np.abs(vectors.reshape(k, -1)), axis=1)
        signs = np.sign(vectors.reshape(k, -1)[np.arange(k), largest]).reshape(-1, *[1] * len(self.shape))
        functions, densities = functions * signs, vectors * root * signs
        rates[0], functions[0], densities[0] = 0.0, 1.0, self._stationary
        return Relaxation(rates, functions, densities)

    def mean_first_passage_time(self, target: Region) -> np.ndarray:
        """The mean time to reach a region, for every start.

        Parameters
        ----------
        target : callable or array of bool of the grid's shape
            Which cells belong to it; a callable gets the coordinates, ``target(x)`` or ``target(x, y)``. Its border is
            at the centres of its outermost cells.

        Returns
        -------
        ndarray of the grid's shape
            In time units; 0 in the target.
        """
        inside = self._region("target", target)
        return self._solve_outside(inside, np.zeros(self._u.size), -np.ones(self._u.size)).reshape(self.shape)

    def committor(self, a: Region, b: Region) -> np.ndarray:
        """The probability to reach region `b` before region `a`, for every start.

        Parameters
        ----------
        a, b : callable or array of bool of the grid's shape
            As for :meth:`mean_first_passage_time`; they must not overlap.

        Returns
        -------
        ndarray of the grid's shape
            0 in `a`, 1 in `b`.
        """
        in_a, in_b = self._region("a", a), self._region("b", b)
        if (in_a & in_b).any():
            raise ValueError("a and b overlap")
        known = in_b.reshape(-1).astype(float)
        return self._solve_outside(in_a | in_b, known, np.zeros(self._u.size)).reshape(self.shape)

    def at(self, values: np.ndarray, x: ArrayLike) -> float:
        """A function on the grid (a passage time, a committor) at a point between the centres, linearly."""
        position = checks.finite_array("x", x, shape=(len(self.shape),))
        interpolate = scipy("interpolate").RegularGridInterpolator(self.centers, values)
        return float(interpolate(position[np.newaxis])[0])

    def _solve_outside(self, inside: np.ndarray, known: np.ndarray, right: np.ndarray) -> np.ndarray:
        """f with L^T f = right outside a region and f = known in it."""
        free = np.flatnonzero(~inside.reshape(-1))
        result = known.copy()
        if len(free):
            backward = self._forward.T.tocsr()[free]
            fixed = np.flatnonzero(inside.reshape(-1))
            rest = right[free] - backward[:, fixed] @ known[fixed]
            result[free] = scipy("sparse.linalg").spsolve(backward[:, free].tocsc(), rest)
        return result

    # --- samples

    def compare(self, samples: ArrayLike, density: ArrayLike, *, n_bins: int | None = None) -> Comparison:
        """How far independent samples are from a density; see :class:`Comparison`.

        Parameters
        ----------
        samples : (n, dim) array
            Positions of independent particles at one time.
        density : array of the grid's shape
            From :meth:`propagate` or :meth:`stationary`.
        n_bins : int, optional
            Per dimension, at most the number of cells. Default: about the cube root of the number of samples.
        """
        return compare(self.grid, samples, self._density("density", density), n_bins)

    # --- arguments

    def _density(self, name: str, value: ArrayLike) -> np.ndarray:
        array = checks.finite_array(name, value)
        if array.shape == (len(self.shape),):
            return self.point(array)
        if array.shape != self.shape:
            raise ValueError(f"{name} must have the shape {self.shape} of the grid; got {array.shape}")
        if (array < 0).any() or not array.any():
            raise ValueError(f"{name} is not a density: it must be >= 0 and not zero everywhere")
        return array / (array.sum() * self.volume)

    def _region(self, name: str, region: Region) -> np.ndarray:
        found = region(*np.moveaxis(self.grid.points, -1, 0)) if callable(region) else region
        mask = np.asarray(found)
        if mask.shape != self.shape or mask.dtype != bool:
            raise ValueError(f"{name} must give truth values of shape {self.shape}; got {mask.dtype} of {mask.shape}")
        if not mask.any():
            raise ValueError(f"{name} contains no cell of the grid")
        return mask


def _bernoulli(z: np.ndarray) -> np.ndarray:
    """z / (e^z - 1)."""
    small = np.abs(z) < 1e-8
    safe = np.where(small, 1.0, z)
    with np.errstate(over="ignore"):
        return np.where(small, 1.0 - 0.5 * z, safe / np.expm1(safe))
