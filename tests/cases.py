"""Small instances of every built-in potential, and schemes with step sizes that are stable on them.

Everything is made of integers, fractions and square roots, so that it has the same bits on every machine: the digests
in tests/data/digests.json depend on it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import langevin_fast as lf
from langevin_fast import potentials as lfp

PRECISIONS = {"double": np.float64, "single": np.float32}


@dataclass(frozen=True)
class Case:
    make: Callable[[], lfp.Potential]
    overdamped: float  # step size of ULA and LM
    metropolis: float  # step size of MALA: larger, so that about one proposal in five is rejected
    underdamped: float  # step size of the splitting schemes
    kT: float = 1.0  # noqa: N815


def _features() -> tuple[np.ndarray, np.ndarray]:
    """Nine observations of three features (no multiple of four: the kernels take four rows at a time)."""
    i, j = np.indices((9, 3))
    return ((7 * i + 3 * j) % 11 - 5) / 4, np.arange(9) * 5 % 3 == 1


def _table(n: int, m: int) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Integers on a grid, periodic along the second axis."""
    i, j = np.indices((n, m))
    return (3 * i + 5 * (j % (m - 1))) % 7 / 2, (np.arange(n) / 4 - 1, np.arange(m) / 8)


MEANS = [[0.0, 1.0], [-2.0, 0.5], [1.5, -1.0]]
COVARIANCES = [[[1.0, 0.25], [0.25, 0.5]], [[2.0, -0.75], [-0.75, 1.0]], [[0.5, 0.0], [0.0, 0.5]]]

POTENTIALS = {
    "Free": Case(lambda: lfp.Free(2), 0.1, 0.1, 0.2, kT=0.5),
    "Harmonic": Case(lambda: lfp.Harmonic([1.0, 4.0, 0.0], center=[0.25, -1.0, 9.0]), 0.1, 0.25, 0.3),
    "Harmonic 1-D": Case(lambda: lfp.Harmonic(2.0), 0.2, 0.5, 0.5, kT=1.5),
    "Harmonic 70-D": Case(
        lambda: lfp.Harmonic(np.arange(70) % 7 + 1.0), 0.02, 0.05, 0.2
    ),  # more than a window of noise
    "Gaussian": Case(
        lambda: lfp.Gaussian([0.5, -1.0, 2.0], [[2.0, 0.5, -0.25], [0.5, 1.0, 0.25], [-0.25, 0.25, 0.5]]),
        0.05,
        0.3,
        0.2,
    ),
    "DoubleWell": Case(lfp.DoubleWell, 0.02, 0.15, 0.1),
    "DoubleWell 3-D": Case(lambda: lfp.DoubleWell(3.0, width=1.25, tilt=0.5, dim=3, stiffness=2.5), 0.01, 0.08, 0.05),
    "Prinz": Case(lfp.Prinz, 0.001, 0.015, 0.01),
    "MullerBrown": Case(lambda: lfp.MullerBrown(scale=0.125), 0.0005, 0.003, 0.02),
    "Rosenbrock": Case(lambda: lfp.Rosenbrock(a=1.5, b=20.0, scale=0.0625), 0.005, 0.06, 0.05),
    "HybridRosenbrock": Case(
        lambda: lfp.HybridRosenbrock(4, 2, a=0.5, b=[[1.0, 2.0, 3.0], [0.5, 0.25, 4.0]], mu=0.75), 0.002, 0.03, 0.02
    ),
    "NealFunnel": Case(lambda: lfp.NealFunnel(5, sigma=1.5), 0.005, 0.15, 0.05),
    "GaussianMixture isotropic": Case(
        lambda: lfp.GaussianMixture([0.5, 1.5, 2.0], MEANS, [0.5, 1.0, 2.0]), 0.05, 1.0, 0.2
    ),
    "GaussianMixture full": Case(lambda: lfp.GaussianMixture([0.5, 1.5, 2.0], MEANS, COVARIANCES), 0.05, 0.3, 0.2),
    "GaussianMixture 1-D": Case(lambda: lfp.GaussianMixture([1, 3], [-1.0, 2.0], 0.25), 0.02, 0.3, 0.1),
    "Ring": Case(lambda: lfp.Ring(radius=1.5, width=0.5, dim=3), 0.02, 0.3, 0.1),
    "LennardJonesCluster": Case(lambda: lfp.LennardJonesCluster(7, wall=2.0), 0.00005, 0.0015, 0.005, kT=0.25),
    "LogisticRegression": Case(lambda: lfp.LogisticRegression(*_features(), prior_scale=2.5), 0.05, 0.8, 0.2),
    "Tabulated 1-D": Case(
        lambda: lfp.Tabulated(_table(9, 5)[0][:, 1], _table(9, 5)[1][0], outside="harmonic", stiffness=4.0),
        0.002,
        0.02,
        0.02,
    ),
    "Tabulated 2-D": Case(
        lambda: lfp.Tabulated(*_table(9, 12), outside=("clamp", "periodic")),
        0.0005,
        0.005,
        0.01,
    ),
}

# name -> what makes the scheme from a step size, kT
OVERDAMPED = {
    "ULA": lambda h, kT: lf.ULA(h, kT=kT, drag=1.25),
    "LeimkuhlerMatthews": lambda h, kT: lf.LeimkuhlerMatthews(h, kT=kT, drag=1.25),
    "MALA": lambda h, kT: lf.MALA(h, kT=kT, drag=1.25),
}
UNDERDAMPED = {
    "BAOAB": lambda h, kT: lf.BAOAB(h, friction=0.75, kT=kT),
    "OBABO": lambda h, kT: lf.Splitting("OBABO", h, drag=1.5, kT=kT),
    "AOBOA": lambda h, kT: lf.Splitting("AOBOA", h, friction=0.75, kT=kT),
    "BAO": lambda h, kT: lf.Splitting("BAO", h, friction=3.0, kT=kT),
}
SCHEMES = {**OVERDAMPED, **UNDERDAMPED}

# what the tests of bits run through
GRID = [(potential, scheme) for potential in POTENTIALS for scheme in SCHEMES]


def problem(potential: str, scheme: str) -> tuple[lfp.Potential, lf.Scheme]:
    """The potential, and the scheme at a step size that suits it."""
    case = POTENTIALS[potential]
    h = case.metropolis if scheme == "MALA" else case.overdamped if scheme in OVERDAMPED else case.underdamped
    return case.make(), SCHEMES[scheme](h, case.kT)


def varied(scheme: str, n: int, dim: int) -> tuple[lf.Scheme, dict]:
    """The scheme on springs with step sizes, temperatures and masses of each particle's own."""
    i = np.arange(n)
    made = SCHEMES[scheme](0.125 + i % 7 / 64, 0.5 + i % 5 / 8)
    if scheme in OVERDAMPED:
        return made, {}
    return made, {"mass": 1.0 + (i[:, np.newaxis] % 3 + np.arange(dim)) / 4}


def run_python(
    *arguments: str, environment: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with this package and these tests on its path."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=python_environment(environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python_environment(changes: dict[str, str] | None = None) -> dict[str, str]:
    import os

    paths = [str(Path(lf.__file__).parents[1]), str(Path(__file__).parent)]
    kept = {k: v for k, v in os.environ.items() if k not in ("LANGEVIN_FAST_ISA", "PYTHONWARNINGS")}
    return {**kept, "PYTHONPATH": ":".join(paths), **(changes or {})}
