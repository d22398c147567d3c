# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""JAX: one compiled ``lax.scan`` over the steps, threefry, structure of arrays."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from common import Sampler, Task, choose, package_versions, serve
from jax_potentials import ENERGIES, GRADIENTS

# step(task, gradient, energy) -> (first carry from x and key, step of the carry); x is (dim, n)


def ula(task: Task, gradient, energy):
    h, noise = task.step_size, task.noise

    def step(x, key):
        return x - h * gradient(x) + noise * jax.random.normal(key, x.shape, x.dtype), None

    return step


def baoab(task: Task, gradient, energy):
    half, decay, kick = 0.5 * task.step_size, task.decay, task.kick

    def step(state, key):
        x, v, g = state
        v = v - half * g
        x = x + half * v
        v = decay * v + kick * jax.random.normal(key, x.shape, x.dtype)
        x = x + half * v
        g = gradient(x)
        return (x, v - half * g, g), None

    return step


def mala(task: Task, gradient, energy):
    h, noise, kT = task.step_size, task.noise, task.kT

    def step(state, key):
        x, g, u = state
        first, second = jax.random.split(key)
        xi = noise * jax.random.normal(first, x.shape, x.dtype)
        y = x - h * g + xi
        gy, uy = gradient(y), energy(y)
        squares = (xi**2 - (x - y + h * gy) ** 2).sum(axis=0)
        accept = jnp.log1p(-jax.random.uniform(second, u.shape, u.dtype)) < (u - uy + squares / (4.0 * h)) / kT
        return (jnp.where(accept, y, x), jnp.where(accept, gy, g), jnp.where(accept, uy, u)), None

    return step


def normals(task: Task, gradient, energy):
    def step(x, key):
        return jax.random.normal(key, x.shape, x.dtype), None

    return step


SCHEMES = {"ULA": ula, "BAOAB": baoab, "MALA": mala, "normals": normals}


def prepare(task: Task) -> Sampler:
    gradient, energy = (lambda x: x), None
    if task.scheme != "normals":
        gradient = choose(GRADIENTS, task.potential, "potential")(task)
    if task.scheme == "MALA":
        energy = choose(ENERGIES, task.potential, "energy")(task)
    step = SCHEMES[task.scheme](task, gradient, energy)

    @partial(jax.jit, static_argnums=2)
    def compiled(state, key, n_steps):
        key, used = jax.random.split(key)
        return jax.lax.scan(step, state, jax.random.split(used, n_steps))[0], key

    @jax.jit
    def begin(key):
        x = jnp.asarray(task.starts)
        if task.scheme == "MALA":
            return x, gradient(x), energy(x)
        if task.scheme == "BAOAB":
            v = task.kT**0.5 * jax.random.normal(key, x.shape, x.dtype)
            return x, v, gradient(x)
        return x

    key = jax.random.key(1)
    state = begin(key)

    def reset() -> None:
        nonlocal state, key
        key, used = jax.random.split(key)
        state = begin(used)

    def run(n_steps: int) -> None:
        nonlocal state, key
        state, key = compiled(state, key, n_steps)
        jax.block_until_ready(state)

    return Sampler(reset, run, lambda: np.asarray(state[0] if isinstance(state, tuple) else state).T)


if __name__ == "__main__":
    serve(prepare, package_versions("jax"))
