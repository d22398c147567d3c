# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""JAX MD: ``simulate.brownian`` and ``simulate.nvt_langevin`` (BAOAB) in free space, with forces written by hand."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import Sampler, Task, choose, package_versions, serve
from jax_md import simulate, space
from jax_potentials import GRADIENTS

SCHEMES = {"ULA": simulate.brownian, "BAOAB": partial(simulate.nvt_langevin, center_velocity=False)}
WITHOUT = {"MALA": "no Metropolis test", "normals": "those of JAX"}


def prepare(task: Task) -> Sampler:
    make = choose(SCHEMES | WITHOUT, task.scheme, "scheme")
    gradient = choose(GRADIENTS, task.potential, "potential")(task)
    _, shift = space.free()

    def force(x, **_):
        return -gradient(x)

    constants: list[np.ndarray] = [np.asarray(value, task.dtype) for value in (task.step_size, task.kT, task.friction)]
    init, apply = make(force, shift, *constants)
    start = jnp.asarray(task.starts)
    # rows are components: the steps are elementwise, and long rows are what XLA likes
    begin = jax.jit(lambda key: init(key, start, mass=np.asarray(1.0, task.dtype)))

    @partial(jax.jit, static_argnums=1)
    def compiled(state, n_steps):
        return jax.lax.scan(lambda s, _: (apply(s), None), state, length=n_steps)[0]

    key = jax.random.key(1)
    state = begin(key)

    def reset() -> None:
        nonlocal state, key
        key, used = jax.random.split(key)
        state = begin(used)

    def run(n_steps: int) -> None:
        nonlocal state
        state = jax.block_until_ready(compiled(state, n_steps))

    return Sampler(reset, run, lambda: np.asarray(state.position).T)


if __name__ == "__main__":
    serve(prepare, package_versions("jax-md", "jax"))
