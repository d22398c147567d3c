"""LennardJonesCluster: a droplet of Lennard-Jones atoms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from ..math import sqrt, where
from .compiled import CompiledPotential


def _gradient(x: Any, g: Any, p: Any) -> None:
    for i in range(0, len(x), 3):
        length = sqrt((x[i] * x[i] + x[i + 1] * x[i + 1]) + x[i + 2] * x[i + 2])
        excess = length - p[2]
        over_length = where(excess > 0.0, (p[3] * excess) / length, 0.0)
        for c in range(3):
            g[i + c] = over_length * x[i + c]
    for i in range(0, len(x), 3):
        for j in range(i + 3, len(x), 3):
            dx, dy, dz = x[i] - x[j], x[i + 1] - x[j + 1], x[i + 2] - x[j + 2]
            inverse = 1.0 / ((dx * dx + dy * dy) + dz * dz)
            s2 = p[1] * inverse
            s6 = (s2 * s2) * s2
            f = ((-6.0 * p[0]) * ((s6 + s6) * s6 - s6)) * inverse
            fx, fy, fz = f * dx, f * dy, f * dz
            g[i] = g[i] + fx
            g[i + 1] = g[i + 1] + fy
            g[i + 2] = g[i + 2] + fz
            g[j] = g[j] - fx
            g[j + 1] = g[j + 1] - fy
            g[j + 2] = g[j + 2] - fz


def _energy(x: Any, p: Any) -> Any:
    pairs, wall = 0.0, 0.0
    for i in range(0, len(x), 3):
        excess = sqrt((x[i] * x[i] + x[i + 1] * x[i + 1]) + x[i + 2] * x[i + 2]) - p[2]
        wall = wall + where(excess > 0.0, (p[3] * excess) * excess, 0.0)
    for i in range(0, len(x), 3):
        for j in range(i + 3, len(x), 3):
            dx, dy, dz = x[i] - x[j], x[i + 1] - x[j + 1], x[i + 2] - x[j + 2]
            s2 = p[1] * (1.0 / ((dx * dx + dy * dy) + dz * dz))
            s6 = (s2 * s2) * s2
            pairs = pairs + (s6 * s6 - s6)
    return p[0] * pairs + 0.5 * wall


# A gradient of so many takes some ten seconds.
_MOST_ATOMS = 100_000


class LennardJonesCluster(CompiledPotential):
    r"""Atoms that attract each other, without a box, held together by a soft spherical wall.

    .. math::
        U = \sum_{i<j} 4 \varepsilon \left( (\sigma/r_{ij})^{12} - (\sigma/r_{ij})^6 \right)
            + \tfrac12 k \sum_i \max(|r_i| - R, 0)^2

    The components are (x_1, y_1, z_1, x_2, ...): dim = 3 n_atoms. The wall is centred on the origin.

    Parameters
    ----------
    n_atoms : int
        Number of atoms, from 1 to 100,000: all pairs are computed, without a cut-off.
    epsilon : float, default 1
        Depth ε of the pair potential, energy, > 0.
    sigma : float, default 1
        Distance σ at which the pair potential is 0, length, > 0.
    wall : float, optional
        Radius R beyond which an atom is pulled back, length, > 0. It must leave room for the default start.

        .. warning::
            Without a wall (None, the default) the cluster evaporates sooner or later and there is no
            Boltzmann law: its normalisation diverges. That is fine for short runs and for minimisation, not
            for averages.
    wall_stiffness : float, default 10
        k, energy / length², > 0. Not scaled with `epsilon` or `sigma`. Without a wall it has no effect.

    Notes
    -----
    Default start: a compact piece of the face-centred cubic lattice with nearest distances 2^(1/6) σ, centred
    on the origin: the `n_atoms` lattice points nearest to a lattice point or to the centre of an interstice,
    whichever choice needs the smaller sphere. For 2, 3 and 4 atoms it is the minimum, for 6 and 38 its
    arrangement.

    Raises
    ------
    TypeError, ValueError
        An argument is not a finite number or out of the range given above, or the wall is smaller than the
        default start.

    References
    ----------
    Jones: On the determination of molecular fields. II. From the equation of state of a gas. Proc. R. Soc.
    Lond. A 106, 463-477 (1924). Wales, Doye: Global optimization by basin-hopping and the lowest energy
    structures of Lennard-Jones clusters containing up to 110 atoms. J. Phys. Chem. A 101, 5111-5116 (1997).

    Examples
    --------
    >>> LennardJonesCluster(13, wall=3.0)
    LennardJonesCluster(n_atoms=13, epsilon=1.0, sigma=1.0, wall=3.0, wall_stiffness=10.0)
    """

    kind = "LennardJonesCluster"
    functions = Functions(_gradient, _energy)
    n_atoms: int
    epsilon: float
    sigma: float
    wall: float | None
    wall_stiffness: float

    def __init__(
        self,
        n_atoms: int,
        epsilon: float = 1.0,
        sigma: float = 1.0,
        wall: float | None = None,
        wall_stiffness: float = 10.0,
    ) -> None:
        n_atoms = checks.integer("n_atoms", n_atoms, minimum=1, maximum=_MOST_ATOMS)
        epsilon = checks.positive("epsilon", epsilon)
        sigma = checks.positive("sigma", sigma)
        wall = None if wall is None else checks.positive("wall", wall)
        k = checks.positive("wall_stiffness", wall_stiffness)
        lattice, squared_radius = _compact_fcc(n_atoms)
        start = (1.122462048309373 * sigma) * lattice
        radius = 1.122462048309373 * sigma * math.sqrt(squared_radius)
        if wall is not None and wall < radius:
            raise ValueError(
                f"wall must be None or at least the radius of the default start, "
                f"{radius:.6g} for n_atoms={n_atoms} and sigma={sigma!r}, got {wall!r}"
            )
        super().__init__(
            dim=3 * n_atoms,
            parameters=[4.0 * epsilon, sigma * sigma, *((math.inf, 0.0) if wall is None else (wall, k))],
            default_start=start.reshape(-1),
            arguments={
                "n_atoms": n_atoms,
                "epsilon": epsilon,
                "sigma": sigma,
                "wall": wall,
                "wall_stiffness": k,
            },
            infinite_parameters=wall is None,
        )


def _compact_fcc(n: int) -> tuple[FloatArray, float]:
    """Return `n` centred fcc points with nearest distance 1, and the square of the radius of the sphere around them.

    In integers, so that ties are ties: the lattice is {2 (i, j, k), i + j + k even}, its nearest distance
    sqrt(8). The candidates for the centre are a lattice point, an octahedral and a tetrahedral interstice.
    """
    best: npt.NDArray[np.int64] | None = None
    best_radius = 0
    for center in ((0, 0, 0), (2, 0, 0), (1, 1, 1)):
        points = _nearest(n, np.array(center, dtype=np.int64))
        shifted = n * points - points.sum(axis=0)  # n times the centred points
        radius = int((shifted * shifted).sum(axis=1).max())
        if best is None or radius < best_radius:
            best, best_radius = shifted, radius
    assert best is not None
    scale = n * math.sqrt(8.0)
    return best / scale, best_radius / (scale * scale)


def _nearest(n: int, center: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the `n` points nearest to `center` (ties in lexicographic order), relative to it."""
    # a point takes a volume of 16, and the cube has to contain the sphere; larger cubes give the same points
    reach = max(1, int(0.5 * (12.0 * n / math.pi) ** (1.0 / 3.0)))
    while True:
        axis = np.arange(-reach, reach + 1, dtype=np.int64)
        cube = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
        points = 2 * cube[cube.sum(axis=1) % 2 == 0] - center
        squared = (points * points).sum(axis=1)
        complete = squared <= (2 * reach - 2) ** 2  # beyond that, points outside the cube may be nearer
        if complete.sum() >= n:
            x, y, z = points.T
            nearest: npt.NDArray[np.int64] = points[np.lexsort((z, y, x, squared))[:n]]
            return nearest
        reach += 1
