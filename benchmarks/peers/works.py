"""The rows: what every peer is asked to do, with the parameters of benchmarks/workloads.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import workloads

import langevin_fast as lf

from .common import Task

CROWD = 4096


class Work(NamedTuple):
    """One row. It is checked after each of `checkpoints` steps from the start."""

    words: str
    scheme: str
    potential: str
    n: int
    step_size: float
    checkpoints: tuple[int, ...]
    observables: tuple[str, ...]
    kT: float = 1.0  # noqa: N815
    per: str = "ns per particle-step and dimension"
    fresh: bool = False  # whole short runs are timed, with everything that a call costs
    samples: int = CROWD  # of the check, at least
    reference: int = 100_000  # particles of the reference, where no law is known


LINE = ("x", "x²", "x⁴")
PLANE = ("x₁", "x₂", "x₁²", "x₂²", "x₁x₂")
BASIN = ("x₁", "x₂", "x₁²", "x₁x₂")

WORKS = {
    "ula_well": Work("ULA, 1-D double well", "ULA", "well", CROWD, 0.01, (20, 500), LINE, samples=4 * CROWD),
    "ula_muller_brown": Work("ULA, Müller-Brown", "ULA", "muller_brown", CROWD, 1e-5, (20, 200), BASIN, kT=15.0),
    "ula_gaussian": Work("ULA, 100-D Gaussian", "ULA", "gaussian", 1024, 0.1, (10, 100), LINE),
    "mala_gaussian": Work("MALA, 100-D Gaussian", "MALA", "gaussian", 1024, 0.1, (10, 200), LINE, reference=10_000),
    "baoab_well": Work("BAOAB, 1-D double well", "BAOAB", "well", CROWD, 0.01, (100, 3000), LINE),
    "ula_mixture": Work("ULA, 25 Gaussians in 2-D", "ULA", "mixture", CROWD, 0.01, (20, 300), PLANE),
    "mala_logistic_4": Work(
        "MALA, logistic posterior 1000 × 25, 4 chains", "MALA", "logistic", 4, 1e-3, (10,), PLANE, reference=10_000
    ),
    "mala_logistic_64": Work(
        "MALA, logistic posterior 1000 × 25, 64 chains", "MALA", "logistic", 64, 1e-3, (10,), PLANE, reference=10_000
    ),
    "mala_logistic_4096": Work(
        "MALA, logistic posterior 1000 × 25, 4096 chains", "MALA", "logistic", CROWD, 1e-3, (10,), PLANE,
        reference=10_000,
    ),
    "ula_lj13": Work(
        "ULA, 256 Lennard-Jones clusters of 13", "ULA", "lennard_jones", 256, 1e-4, (10, 100), ("x²", "r⁻⁶"), kT=0.3,
        reference=10_000,
    ),
    "one_trajectory": Work(
        "ULA, one trajectory of the double well", "ULA", "well", 1, 0.01, (100,), LINE, samples=1000
    ),
    "ula_network": Work(
        "ULA, network score 2-64-64-64-2", "ULA", "network", CROWD, 1e-3, (20, 100), PLANE, reference=10_000
    ),
    "small_run": Work(
        "100 particles, 100 steps of ULA, 1-D double well, whole run", "ULA", "well", 100, 0.01, (100,), LINE,
        per="µs per run", fresh=True,
    ),
    "normals": Work(
        "raw standard normals", "normals", "none", CROWD, 0.0, (1,), (*LINE, "|x|>2"), per="ns per normal",
        samples=20 * CROWD,
    ),
}  # fmt: skip

_POTENTIALS: dict[str, Callable[[], Any]] = {
    "well": lf.potentials.DoubleWell,
    "muller_brown": lf.potentials.MullerBrown,
    "gaussian": lambda: lf.potentials.Harmonic([1.0] * 100),
    "mixture": workloads.mixture,
    "logistic": workloads.logistic_regression,
    "lennard_jones": lambda: lf.potentials.LennardJonesCluster(13, wall=3.0),
}
NETWORK = (2, 64, 3)  # components, units of a layer, layers


def _start_and_parameters(kind: str) -> tuple[list[float], dict[str, Any]]:
    if kind == "none":
        return [0.0], {}
    if kind == "network":
        layers = [(w.tolist(), b.tolist()) for w, b in workloads.network_layers(*NETWORK)]
        return [1.0, -1.0], {"layers": layers}
    potential: Any = _POTENTIALS[kind]()
    parameters: dict[str, Any] = {}
    if kind == "muller_brown":
        parameters = {"terms": potential.parameters.reshape(6, 4).T.tolist()}  # A, a, b, c, X, Y
    elif kind == "mixture":
        parameters = {"means": potential.means.tolist(), "variance": float(potential.covariances[0])}
    elif kind == "logistic":
        parameters = {"X": potential.X.tolist(), "y": potential.y.tolist(), "prior_scale": potential.prior_scale}
    elif kind == "lennard_jones":
        parameters = {"wall": potential.wall, "wall_stiffness": potential.wall_stiffness}
    return potential.default_start.tolist(), parameters


def task(name: str, precision: str, threads: int, variant: str = "", cache: str = "") -> Task:
    """A row in numbers."""
    work = WORKS[name]
    start, parameters = _start_and_parameters(work.potential)
    return Task(
        name, work.scheme, work.potential, work.n, len(start), work.step_size, work.kT, 1.0, start, parameters,
        precision, threads, variant, cache,
    )  # fmt: skip
