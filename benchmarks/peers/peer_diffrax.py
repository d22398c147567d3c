# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""diffrax: Euler on the overdamped equation. Time is counted in steps, so that their number is exact."""

from __future__ import annotations

import diffrax
import jax
import jax.numpy as jnp
import lineax
import numpy as np
from common import Sampler, Task, choose, package_versions, serve
from jax_potentials import GRADIENTS

SCHEMES = {
    "ULA": True,
    "BAOAB": "its underdamped solvers (ALIGN, ShARK, QUICSORT) are other ones",
    "MALA": "no Metropolis test",
    "normals": "those of JAX",
}


def prepare(task: Task) -> Sampler:
    choose(SCHEMES, task.scheme, "scheme")
    gradient = choose(GRADIENTS, task.potential, "potential")(task)
    shape, size = (task.dim, task.n), task.dim * task.n
    noise = jnp.full(size, task.noise, task.dtype)

    @jax.jit
    def compiled(x, key, n_steps):
        key, used = jax.random.split(key)
        brownian = diffrax.UnsafeBrownianPath(jax.ShapeDtypeStruct((size,), x.dtype), used)
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda t, y, args: -task.step_size * gradient(y.reshape(shape)).reshape(-1)),
            diffrax.ControlTerm(lambda t, y, args: lineax.DiagonalLinearOperator(noise), brownian),
        )
        solution = diffrax.diffeqsolve(
            terms,
            diffrax.Euler(),
            t0=0.0,
            t1=n_steps,
            dt0=1.0,
            y0=x,
            adjoint=diffrax.ForwardMode(),
            max_steps=None,
            throw=False,
        )
        return solution.ys[-1], key

    start = jnp.asarray(task.starts.reshape(-1))
    x, key = start, jax.random.key(1)

    def reset() -> None:
        nonlocal x
        x = start

    def run(n_steps: int) -> None:
        nonlocal x, key
        x, key = compiled(x, key, float(n_steps))
        jax.block_until_ready(x)

    return Sampler(reset, run, lambda: np.asarray(x).reshape(shape).T)


if __name__ == "__main__":
    serve(prepare, package_versions("diffrax", "jax"))
