"""A small instance of every built-in potential, with step sizes that suit it: for tests, cross-checks and benchmarks.

Everything is made of integers, fractions and square roots, so that it has the same bits on every machine: the stored
digests of the tests depend on it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import (
    CompiledPotential,
    DoubleWell,
    Free,
    Gaussian,
    GaussianMixture,
    Harmonic,
    HybridRosenbrock,
    LennardJonesCluster,
    LogisticRegression,
    MullerBrown,
    NealFunnel,
    Prinz,
    Ring,
    Rosenbrock,
    Tabulated,
)


class Example(NamedTuple):
    """A potential, and step sizes (in time units) and a temperature (in energy units) at which schemes are stable."""

    potential: CompiledPotential
    overdamped: float
    """For ULA and Leimkuhler-Matthews."""
    metropolis: float
    """For MALA: larger, so that about one proposal in five is rejected."""
    underdamped: float
    """For the splitting schemes."""
    kT: float = 1.0  # noqa: N815


MEANS = [[0.0, 1.0], [-2.0, 0.5], [1.5, -1.0]]
COVARIANCE = [[2.0, 0.5, -0.25], [0.5, 1.0, 0.25], [-0.25, 0.25, 0.5]]
# nine observations of three features (no multiple of four: the kernels take four rows at a time)
_i, _j = np.indices((9, 3))
FEATURES, LABELS = ((7 * _i + 3 * _j) % 11 - 5) / 4, np.arange(9) * 5 % 3 == 1
LINKS = [[1.0, 2.0, 3.0], [0.5, 0.25, 4.0]]


def table(n: int, m: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Energies, half-integers, and the axes of their grid; periodic along the second."""
    i, j = np.indices((n, m))
    return (3 * i + 5 * (j % (m - 1))) % 7 / 2, (np.arange(n) / 4 - 1, np.arange(m) / 8)


ENERGIES, (GRID, _) = table(9, 5)

# one line for each of BUILTIN, in its order
EXAMPLES: tuple[Example, ...] = (
    Example(Free(2), 0.1, 0.1, 0.2, kT=0.5),
    Example(Harmonic([1.0, 4.0, 0.0], center=[0.25, -1.0, 9.0]), 0.1, 0.25, 0.3),
    Example(Gaussian([0.5, -1.0, 2.0], COVARIANCE), 0.05, 0.3, 0.2),
    Example(DoubleWell(), 0.02, 0.15, 0.1),
    Example(Prinz(), 0.001, 0.015, 0.01),
    Example(MullerBrown(scale=0.125), 0.0005, 0.003, 0.02),
    Example(Rosenbrock(a=1.5, b=20.0, scale=0.0625), 0.005, 0.06, 0.05),
    Example(HybridRosenbrock(4, 2, a=0.5, b=LINKS, mu=0.75), 0.002, 0.03, 0.02),
    Example(NealFunnel(5, sigma=1.5), 0.005, 0.15, 0.05),
    Example(GaussianMixture([0.5, 1.5, 2.0], MEANS, [0.5, 1.0, 2.0]), 0.05, 1.0, 0.2),
    Example(Ring(radius=1.5, width=0.5, dim=3), 0.02, 0.3, 0.1),
    Example(LennardJonesCluster(7, wall=2.0), 0.00005, 0.0015, 0.005, kT=0.25),
    Example(LogisticRegression(FEATURES, LABELS, prior_scale=2.5), 0.05, 0.8, 0.2),
    Example(Tabulated(ENERGIES[:, 1], GRID, outside="harmonic", stiffness=4.0), 0.002, 0.02, 0.02),
)
