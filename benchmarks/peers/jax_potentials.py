# mypy: disable-error-code="import-untyped, import-not-found, no-untyped-def"
"""Potentials for the peers on JAX: energies and gradients of x, (dim, n)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from common import Task


def muller_brown_energy(task: Task):
    terms = task.parameters["terms"]

    def energy(x):
        total = 0.0
        for A, a, b, c, X, Y in terms:
            dx, dy = x[0] - X, x[1] - Y
            total += A * jnp.exp(a * dx * dx + b * dx * dy + c * dy * dy)
        return total

    return energy


def muller_brown(task: Task):
    columns: list[np.ndarray] = list(np.array(task.parameters["terms"], task.dtype).T[:, :, np.newaxis])
    A, a, b, c, X, Y = columns

    def gradient(x):
        dx, dy = x[0] - X, x[1] - Y
        e = A * jnp.exp((a * dx + b * dy) * dx + c * dy * dy)
        e = jax.lax.optimization_barrier(e)  # XLA would compute it anew for each component
        return jnp.stack([(e * (2.0 * a * dx + b * dy)).sum(axis=0), (e * (b * dx + 2.0 * c * dy)).sum(axis=0)])

    return gradient


def mixture_energy(task: Task):
    means, precision = jnp.asarray(task.array("means")), 1.0 / task.parameters["variance"]

    def energy(x):
        squares = ((x - means[:, :, np.newaxis]) ** 2).sum(axis=1)
        return -jax.scipy.special.logsumexp(-0.5 * precision * squares, axis=0)

    return energy


def mixture(task: Task):
    means, precision = jnp.asarray(task.array("means")), 1.0 / task.parameters["variance"]

    def gradient(x):
        t = precision * (means @ x) - 0.5 * precision * (means**2).sum(axis=1)[:, np.newaxis]
        e = jnp.exp(t - t.max(axis=0))
        return precision * (x - means.T @ e / e.sum(axis=0))

    return gradient


def logistic(task: Task):
    X, y, over_s2 = jnp.asarray(task.array("X")), jnp.asarray(task.array("y")), task.parameters["prior_scale"] ** -2.0
    return lambda x: X.T @ (jax.nn.sigmoid(X @ x) - y[:, np.newaxis]) + over_s2 * x


def logistic_energy(task: Task):
    X, y, over_s2 = jnp.asarray(task.array("X")), jnp.asarray(task.array("y")), task.parameters["prior_scale"] ** -2.0

    def energy(x):
        z = X @ x
        return jax.nn.softplus(z).sum(axis=0) - y @ z + 0.5 * over_s2 * (x**2).sum(axis=0)

    return energy


def lennard_jones(task: Task):
    n_atoms, wall, stiffness = task.dim // 3, task.parameters["wall"], task.parameters["wall_stiffness"]

    def gradient(x):
        axes = x[0::3], x[1::3], x[2::3]
        differences = [at[:, np.newaxis] - at for at in axes]  # (i, j, n)
        square = sum(d * d for d in differences) + jnp.eye(n_atoms, dtype=x.dtype)[:, :, np.newaxis]
        inverse = 1.0 / square
        s6 = inverse * inverse * inverse
        f = 24.0 * (s6 - 2.0 * s6 * s6) * inverse
        f = jax.lax.optimization_barrier(f)  # XLA would compute it anew for each axis
        # an atom at the origin has no direction
        pull = stiffness * jnp.maximum(1.0 - wall / jnp.sqrt(sum(at * at for at in axes)), 0.0)
        rows = [(f * d).sum(axis=1) + pull * at for d, at in zip(differences, axes, strict=True)]
        return jnp.stack(rows, axis=1).reshape(x.shape)

    return gradient


def lennard_jones_energy(task: Task):
    n_atoms, wall, stiffness = task.dim // 3, task.parameters["wall"], task.parameters["wall_stiffness"]
    i, j = np.triu_indices(n_atoms, 1)

    def energy(x):
        atoms = x.reshape(n_atoms, 3, -1)
        s6 = ((atoms[i] - atoms[j]) ** 2).sum(axis=1) ** -3
        r = jnp.sqrt((atoms * atoms).sum(axis=1))
        return 4.0 * (s6 * s6 - s6).sum(axis=0) + 0.5 * stiffness * (jnp.maximum(r - wall, 0.0) ** 2).sum(axis=0)

    return energy


def network(task: Task):
    layers = [(jnp.asarray(w), jnp.asarray(b)[:, np.newaxis]) for w, b in task.layers]

    def gradient(x):
        y = x
        for k, (w, b) in enumerate(layers):
            y = w @ y + b
            y = jax.nn.silu(y) if k + 1 < len(layers) else y
        return x - y

    return gradient


GRADIENTS = {
    "well": lambda task: lambda x: 4.0 * x * (x * x - 1.0),
    "gaussian": lambda task: lambda x: x,
    "muller_brown": muller_brown,
    "mixture": mixture,
    "logistic": logistic,
    "lennard_jones": lennard_jones,
    "network": network,
}
ENERGIES = {
    "well": lambda task: lambda x: ((x * x - 1.0) ** 2).sum(axis=0),
    "gaussian": lambda task: lambda x: 0.5 * (x * x).sum(axis=0),
    "muller_brown": muller_brown_energy,
    "mixture": mixture_energy,
    "logistic": logistic_energy,
    "lennard_jones": lennard_jones_energy,
    "network": "a score network is not the gradient of an energy",
}
