"""What is timed: potentials at sensible parameters, schemes, and both sides as functions of n_steps."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy_loops
from timing import Work

import langevin_fast as lf
from langevin_fast import _core
from langevin_fast.noise import draw
from langevin_fast.potentials import Potential

DTYPES = {"double": np.float64, "single": np.float32}
CROWD = 10_000
SCHEMES = ("ULA", "LeimkuhlerMatthews", "MALA", "BAOAB", "OBABO", "ABOBA", "BAOA")


class Case(NamedTuple):
    potential: Potential
    step_size: float
    kT: float = 1.0  # noqa: N815
    n_particles: int = CROWD


def mixture() -> lf.potentials.GaussianMixture:
    """25 components on a grid."""
    grid = np.arange(-4.0, 5.0, 2.0)
    means = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    return lf.potentials.GaussianMixture(np.ones(25), means, 0.25)


def logistic_regression() -> lf.potentials.LogisticRegression:
    """1000 observations, 25 coefficients."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((1000, 25))
    y = rng.random(1000) < 1.0 / (1.0 + np.exp(-X @ rng.standard_normal(25) * 0.3))
    return lf.potentials.LogisticRegression(X, y, prior_scale=1.0)


def potential_cases() -> dict[str, Case]:
    """What is compared with a NumPy loop under ULA, beside the double well and harmonic springs."""
    return {
        "MullerBrown": Case(lf.potentials.MullerBrown(), 1e-5, kT=15.0),
        "GaussianMixture": Case(mixture(), 0.01),
        "LogisticRegression": Case(logistic_regression(), 1e-3, n_particles=256),
    }


def scheme(name: str, step_size: float, kT: float = 1.0) -> lf.Scheme:
    if name in ("ULA", "LeimkuhlerMatthews", "MALA"):
        return getattr(lf, name)(step_size, kT=kT)
    return lf.Splitting(name, step_size, friction=1.0, kT=kT)


def ours(case: Case, scheme_name: str = "ULA", precision: str = "double", threads: int = 1) -> Work:
    return lf.Simulation(
        case.potential,
        scheme(scheme_name, case.step_size, case.kT),
        n_particles=case.n_particles,
        seed=1,
        precision=precision,
        threads=threads,
    ).run


def theirs(case: Case, scheme_name: str = "ULA", precision: str = "double") -> Work:
    """The NumPy loop for the same."""
    dtype = DTYPES[precision]
    potential, h, kT = case.potential, case.step_size, case.kT
    energy, gradient = numpy_loops.functions_of(potential, dtype)
    rng = numpy_loops.generator()
    x = np.tile(potential.default_start.astype(dtype)[:, np.newaxis], case.n_particles)
    if scheme_name == "ULA":
        return lambda n: numpy_loops.ula(x, gradient, rng, n, h, kT)
    if scheme_name == "LeimkuhlerMatthews":
        return lambda n: numpy_loops.leimkuhler_matthews(x, gradient, rng, n, h, kT)
    if scheme_name == "MALA":
        return lambda n: numpy_loops.mala(x, energy, gradient, rng, n, h, kT)
    v = float(np.sqrt(kT)) * rng.standard_normal(x.shape, dtype=dtype)
    return lambda n: numpy_loops.splitting(scheme_name, x, v, gradient, rng, n, h, kT=kT)


def mixture_by_differences(case: Case, precision: str) -> Work:
    """`theirs` of an isotropic mixture under ULA as most people write it, without BLAS."""
    dtype = DTYPES[precision]
    gradient = numpy_loops.mixture_by_differences(case.potential, dtype)
    rng = numpy_loops.generator()
    x = np.tile(case.potential.default_start.astype(dtype)[:, np.newaxis], case.n_particles)
    return lambda n: numpy_loops.ula(x, gradient, rng, n, case.step_size, case.kT)


# --- raw normals: a "step" is one normal for each of CROWD ------------------------------------------------------------


def normals_crowd(precision: str) -> Work:
    """The normals of the steps of CROWD particles, as the kernels make them, for one of their groups at a time."""
    dtype = DTYPES[precision]
    group = 512 // np.dtype(dtype).itemsize  # the widest group of particles that the kernels have
    rows = 512
    particles, out = np.arange(group, dtype=np.uint64), np.empty((rows, group), dtype)

    def work(n_steps: int) -> None:
        for call in range(max(1, round(n_steps * CROWD / out.size))):
            _core.draw_rows(out=out, seed=1, particles=particles, start=call * rows)

    return work


ALONG_TIME = 100_000


def normals_along_time(precision: str) -> Work:
    """The other variant: CROWD successive normals of one stream per step, written to an array."""
    particle, dtype = np.zeros(1, np.uint64), DTYPES[precision]

    def work(n_steps: int) -> None:
        for start in range(0, n_steps * CROWD, ALONG_TIME):
            draw("thermal", 1, particle, start, min(ALONG_TIME, n_steps * CROWD - start), dtype)

    return work


def normals_numpy(precision: str) -> Work:
    """CROWD normals of ``Generator(SFC64)`` per step, into an array that stays in the cache."""
    rng, dtype = numpy_loops.generator(), DTYPES[precision]
    out = np.empty(CROWD, dtype)

    def work(n_steps: int) -> None:
        for _ in range(n_steps):
            rng.standard_normal(out=out, dtype=dtype)

    return work


# --- instruction-set levels -------------------------------------------------------------------------------------------


def at_level(level: str, work: Work) -> Work:
    """The same at another level; afterwards the one before is back."""

    def run(n_steps: int) -> None:
        before = _core.isa()
        _core.use_isa(level)
        try:
            work(n_steps)
        finally:
            _core.use_isa(before)

    return run


def levels() -> list[str]:
    """Those that this processor has, the widest last."""
    return [level["name"] for level in _core.isa_levels() if level["supported"]]


# --- networks ---------------------------------------------------------------------------------------------------------


def network_layers(dim: int, width: int, depth: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights of the size that they have before training."""
    rng = np.random.default_rng(4)
    widths = [dim, *[width] * depth, dim]
    return [
        (rng.standard_normal((n_out, n_in)).astype(np.float32) / np.sqrt(np.float32(n_in)), np.zeros(n_out, np.float32))
        for n_in, n_out in pairwise(widths)
    ]


def network_ours(potential: Potential, n: int, precision: str, threads: int) -> Work:
    sim = lf.Simulation(potential, lf.ULA(1e-3), n_particles=n, seed=1, precision=precision, threads=threads)
    return sim.run


def network_jax(layers: list[tuple[np.ndarray, np.ndarray]], n: int, precision: str) -> Work:
    """The same step as a scan, with JAX's normals; each number of steps is compiled when it is first asked for."""
    import jax

    dtype, h = DTYPES[precision], 1e-3
    weights = [(jax.numpy.asarray(w, dtype), jax.numpy.asarray(b, dtype)) for w, b in layers]

    def step(x: Any, key: Any) -> tuple[Any, None]:
        score = x
        for i, (w, b) in enumerate(weights):
            score = score @ w.T + b
            score = jax.nn.silu(score) if i + 1 < len(weights) else score
        return x + h * (score - x) + np.sqrt(2.0 * h).astype(dtype) * jax.random.normal(key, x.shape, dtype), None

    run = jax.jit(lambda x, keys: jax.lax.scan(step, x, keys)[0])
    state = {"x": jax.numpy.zeros((n, layers[0][0].shape[1]), dtype)}

    def work(n_steps: int) -> None:
        keys = jax.random.split(jax.random.key(n_steps), n_steps)
        state["x"] = run(state["x"], keys).block_until_ready()

    return work
