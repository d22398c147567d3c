# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""BlackJAX: SGLD with the whole gradient (which is ULA) and MALA, in ``lax.scan``."""

from __future__ import annotations

from functools import partial

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from common import Sampler, Task, choose, package_versions, serve
from jax_potentials import ENERGIES, GRADIENTS


def sgld(task: Task):
    """All particles at once: its steps are elementwise."""
    gradient = choose(GRADIENTS, task.potential, "potential")(task)
    kernel = blackjax.sgld(lambda x, _: -gradient(x))
    return (
        lambda x: x,
        lambda key, x: kernel.step(key, x, (), task.step_size, task.kT),
        lambda x: x.T,
    )


def mala(task: Task):
    """A chain is a row."""
    energy = choose(ENERGIES, task.potential, "energy")(task)
    kernel = blackjax.mala(lambda x: -energy(x[:, jnp.newaxis])[0], task.step_size)
    return (
        lambda x: jax.vmap(kernel.init)(x.T),
        lambda key, state: jax.vmap(kernel.step)(jax.random.split(key, task.n), state)[0],
        lambda state: state.position,
    )


SCHEMES = {
    "ULA": sgld,
    "MALA": mala,
    "BAOAB": "no underdamped splitting without a test",
    "normals": "those of JAX",
}


def prepare(task: Task) -> Sampler:
    init, step, positions = choose(SCHEMES, task.scheme, "scheme")(task)

    @partial(jax.jit, static_argnums=2)
    def compiled(state, key, n_steps):
        key, used = jax.random.split(key)
        return jax.lax.scan(lambda s, k: (step(k, s), None), state, jax.random.split(used, n_steps))[0], key

    start = jax.jit(init)(jnp.asarray(task.starts))
    key, state = jax.random.key(1), start

    def reset() -> None:
        nonlocal state
        state = start

    def run(n_steps: int) -> None:
        nonlocal state, key
        state, key = compiled(state, key, n_steps)
        jax.block_until_ready(state)

    return Sampler(reset, run, lambda: np.asarray(positions(state)))


if __name__ == "__main__":
    serve(prepare, package_versions("blackjax", "jax"))
