"""This package, as one more worker."""

from __future__ import annotations

import numpy as np
from common import Array, Sampler, Task, choose, package_versions, serve

import langevin_fast as lf
from langevin_fast import _core

POTENTIALS = {
    "well": lambda task: lf.potentials.DoubleWell(),
    "muller_brown": lambda task: lf.potentials.MullerBrown(),
    "gaussian": lambda task: lf.potentials.Harmonic(np.ones(task.dim)),
    "mixture": lambda task: lf.potentials.GaussianMixture(
        np.ones(len(task.parameters["means"])), task.parameters["means"], task.parameters["variance"]
    ),
    "logistic": lambda task: lf.potentials.LogisticRegression(
        task.parameters["X"], task.parameters["y"], prior_scale=task.parameters["prior_scale"]
    ),
    "lennard_jones": lambda task: lf.potentials.LennardJonesCluster(
        task.dim // 3, wall=task.parameters["wall"], wall_stiffness=task.parameters["wall_stiffness"]
    ),
    "network": lambda task: lf.score.NetworkPotential(
        [(w.astype(np.float32), b.astype(np.float32)) for w, b in task.layers], "silu", slope=1.0
    ),
}
SCHEMES = {
    "ULA": lambda task: lf.ULA(task.step_size, kT=task.kT),
    "MALA": lambda task: lf.MALA(task.step_size, kT=task.kT),
    "BAOAB": lambda task: lf.BAOAB(task.step_size, friction=task.friction, kT=task.kT),
}


def normals(task: Task) -> Sampler:
    """As the kernels make them: for one of their groups at a time, into an array that stays in the cache."""
    group = 512 // np.dtype(task.dtype).itemsize
    out: Array = np.empty((task.n // group, group), task.dtype)
    particles, done = np.arange(group, dtype=np.uint64), 0

    def run(n_steps: int) -> None:
        nonlocal done
        for _ in range(n_steps):
            _core.draw_rows(out=out, seed=1, particles=particles, start=done)
            done += len(out)

    return Sampler(lambda: None, run, lambda: out.reshape(-1, 1))


def prepare(task: Task) -> Sampler:
    if task.scheme == "normals":
        return normals(task)
    potential = choose(POTENTIALS, task.potential, "potential")(task)
    scheme = choose(SCHEMES, task.scheme, "scheme")(task)
    elsewhere = task.start != potential.default_start.tolist()
    initial = task.start if elsewhere else None
    made, seed = None, 0

    def reset() -> None:
        nonlocal made, seed
        seed += 1
        made = lf.Simulation(
            potential,
            scheme,
            n_particles=task.n,
            initial=initial,
            seed=seed,
            precision=task.precision,
            threads=task.threads,
        )

    def simulation() -> lf.Simulation:
        assert made is not None
        return made

    reset()
    return Sampler(reset, lambda n: simulation().run(n), lambda: simulation().positions)


def versions() -> dict[str, str]:
    return {"langevin_fast": lf.__version__, "instruction set": _core.isa(), **package_versions()()}


if __name__ == "__main__":
    serve(prepare, versions)
