# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""deeptime: Euler-Maruyama in C++ around a Python function, ``custom_sde``; its built-in systems are other ones."""

from __future__ import annotations

from math import exp

import numpy as np
from common import MissingWorkError, Sampler, Task, choose, package_versions, serve
from deeptime.data import custom_sde

SCHEMES = {
    "ULA": True,
    "BAOAB": "no underdamped dynamics",
    "MALA": "no Metropolis test",
    "normals": "none",
}


def well(task: Task):
    return lambda x: [-4.0 * x[0] * (x[0] * x[0] - 1.0)]


def muller_brown(task: Task):
    terms = task.parameters["terms"]

    def force(x):
        gx = gy = 0.0
        at_x, at_y = x[0], x[1]
        for A, a, b, c, X, Y in terms:
            dx, dy = at_x - X, at_y - Y
            e = A * exp((a * dx + b * dy) * dx + c * dy * dy)
            gx += e * (2.0 * a * dx + b * dy)
            gy += e * (b * dx + 2.0 * c * dy)
        return [-gx, -gy]

    return force


def mixture(task: Task):
    means, precision = np.array(task.parameters["means"]), 1.0 / task.parameters["variance"]

    def force(x):
        d = np.asarray(x) - means
        t = (-0.5 * precision) * np.einsum("kd,kd->k", d, d)
        e = np.exp(t - t.max())
        return (-precision / e.sum()) * (e @ d)

    return force


FORCES = {
    "well": well,
    "muller_brown": muller_brown,
    "mixture": mixture,
    "gaussian": "at most 5 dimensions",
    "lennard_jones": "at most 5 dimensions",
    "network": "a network for one particle at a time is no sensible use",
}


def prepare(task: Task) -> Sampler:
    choose(SCHEMES, task.scheme, "scheme")
    force = choose(FORCES, task.potential, "potential")(task)
    if task.precision == "single":
        raise MissingWorkError("double precision only")
    if task.threads > 1:
        raise MissingWorkError("a Python function is called by one thread")
    sigma = np.sqrt(2.0 * task.kT) * np.eye(task.dim)
    start = np.ascontiguousarray(task.starts.T)
    x, systems = start, {}

    def reset() -> None:
        nonlocal x
        x = start

    def run(n_steps: int) -> None:
        nonlocal x
        if n_steps not in systems:
            systems[n_steps] = custom_sde(task.dim, force, sigma, task.step_size, n_steps)
        x = systems[n_steps](x)

    return Sampler(reset, run, lambda: x.reshape(start.shape))


if __name__ == "__main__":
    serve(prepare, package_versions("deeptime"))
