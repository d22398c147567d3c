"""NumPy as its experts write it: long rows, work in place, ``Generator(SFC64)`` straight into its array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from common import Array, MissingWorkError, Sampler, Task, choose, package_versions, serve

Gradient = Callable[[Array, Array], None]  # (dim, n), written to the second argument
Run = Callable[[int], None]
Energy = Callable[[Array], Array]  # (dim, n) -> (n,)


def _exp(t: Array) -> None:
    """In place. Results that underflow are slow in single precision; a good user keeps them off."""
    if t.dtype == np.float32:
        np.maximum(t, -80.0, out=t)
    np.exp(t, out=t)


def well(task: Task) -> Gradient:
    def gradient(x: Array, out: Array) -> None:
        np.multiply(x, x, out=out)
        out -= 1.0
        out *= x
        out *= 4.0

    return gradient


def gaussian(task: Task) -> Gradient:
    return lambda x, out: np.copyto(out, x)


def muller_brown(task: Task) -> Gradient:
    terms = task.parameters["terms"]

    def gradient(x: Array, out: Array) -> None:
        out.fill(0.0)
        for A, a, b, c, X, Y in terms:
            dx, dy = x[0] - X, x[1] - Y
            fx, fy = a * dx, c * dy
            if b:
                fx += (0.5 * b) * dy
                fy += (0.5 * b) * dx
            dx *= fx  # the exponent is half of x dot its gradient
            dy *= fy
            dx += dy
            _exp(dx)
            dx *= 2.0 * A
            fx *= dx
            fy *= dx
            out[0] += fx
            out[1] += fy

    return gradient


def mixture(task: Task) -> Gradient:
    """The square opened, so that BLAS makes the table of components and particles."""
    precision = 1.0 / task.parameters["variance"]
    means = task.array("means")
    shift = (-0.5 * precision * (means * means).sum(axis=1))[:, np.newaxis].astype(task.dtype)
    linear = (precision * means).astype(task.dtype)

    def gradient(x: Array, out: Array) -> None:
        t = linear @ x
        t += shift
        t -= t.max(axis=0)
        _exp(t)
        np.matmul(linear.T, t, out=out)
        np.negative(out, out=out)
        out /= t.sum(axis=0)
        out += precision * x

    return gradient


def logistic(task: Task) -> Gradient:
    X, y, over_s2 = task.array("X"), task.array("y"), task.parameters["prior_scale"] ** -2.0
    transposed = np.ascontiguousarray(X.T)

    def gradient(x: Array, out: Array) -> None:
        z = X @ x
        np.negative(z, out=z)
        np.exp(z, out=z)
        z += 1.0
        np.reciprocal(z, out=z)
        z -= y[:, np.newaxis]
        np.matmul(transposed, z, out=out)
        out += over_s2 * x

    return gradient


def logistic_energy(task: Task) -> Energy:
    X, y, over_s2 = task.array("X"), task.array("y"), task.parameters["prior_scale"] ** -2.0

    def energy(x: Array) -> Array:
        z = X @ x
        u = 0.5 * over_s2 * np.einsum("dn,dn->n", x, x)
        u -= y @ z
        u += np.maximum(z, 0.0).sum(axis=0)
        np.abs(z, out=z)
        np.negative(z, out=z)
        np.exp(z, out=z)
        np.log1p(z, out=z)
        u += z.sum(axis=0)
        return u

    return energy


def lennard_jones(task: Task) -> Gradient:
    n_atoms, wall, stiffness = task.dim // 3, task.parameters["wall"], task.parameters["wall_stiffness"]
    first, second = np.triu_indices(n_atoms, 1)
    incidence: Array = np.zeros((n_atoms, len(first)), task.dtype)  # forces of pairs to forces on atoms, by BLAS
    incidence[first, np.arange(len(first))] = 1.0
    incidence[second, np.arange(len(first))] = -1.0

    def gradient(x: Array, out: Array) -> None:
        atoms = x.reshape(n_atoms, 3, -1)
        d = atoms[first] - atoms[second]  # (pairs, 3, n)
        inverse = np.einsum("pcn,pcn->pn", d, d)
        np.reciprocal(inverse, out=inverse)
        s6 = inverse * inverse * inverse
        s6 *= 1.0 - 2.0 * s6
        s6 *= inverse
        s6 *= 24.0
        d *= s6[:, np.newaxis]
        np.matmul(incidence, d.reshape(len(first), -1), out=out.reshape(n_atoms, -1))
        r = np.sqrt(np.einsum("acn,acn->an", atoms, atoms))
        if (r > wall).any():
            pull = stiffness * np.maximum(r - wall, 0.0) / r
            out.reshape(atoms.shape)[...] += pull[:, np.newaxis] * atoms

    return gradient


def network(task: Task) -> Gradient:
    layers = [(w, b[:, np.newaxis]) for w, b in task.layers]

    def gradient(x: Array, out: Array) -> None:
        y = x
        for k, (w, b) in enumerate(layers):
            y = w @ y
            y += b
            if k + 1 < len(layers):  # silu, by the hyperbolic tangent: one transcendental function
                t = 0.5 * y
                np.tanh(t, out=t)
                t += 1.0
                t *= 0.5
                y *= t
        np.subtract(x, y, out=out)

    return gradient


GRADIENTS = {
    "well": well,
    "gaussian": gaussian,
    "muller_brown": muller_brown,
    "mixture": mixture,
    "logistic": logistic,
    "lennard_jones": lennard_jones,
    "network": network,
}
ENERGIES = {
    "gaussian": lambda task: lambda x: 0.5 * np.einsum("dn,dn->n", x, x),
    "logistic": logistic_energy,
}


# --- schemes: x (and v) are changed -----------------------------------------------------------------------------------


def ula(task: Task, x: Array, v: Array, rng: np.random.Generator) -> Run:
    gradient = choose(GRADIENTS, task.potential, "potential")(task)
    g, xi = np.empty_like(x), np.empty_like(x)

    def run(n_steps: int) -> None:
        for _ in range(n_steps):
            gradient(x, g)
            np.multiply(g, task.step_size, out=g)
            np.subtract(x, g, out=x)
            rng.standard_normal(out=xi, dtype=x.dtype.type)
            np.multiply(xi, task.noise, out=xi)
            np.add(x, xi, out=x)

    return run


def baoab(task: Task, x: Array, v: Array, rng: np.random.Generator) -> Run:
    gradient = choose(GRADIENTS, task.potential, "potential")(task)
    g, work = np.empty_like(x), np.empty_like(x)
    half = 0.5 * task.step_size

    def run(n_steps: int) -> None:
        gradient(x, g)
        np.multiply(g, half, out=g)
        for _ in range(n_steps):
            np.subtract(v, g, out=v)
            np.multiply(v, half, out=work)
            np.add(x, work, out=x)
            np.multiply(v, task.decay, out=v)
            rng.standard_normal(out=work, dtype=x.dtype.type)
            np.multiply(work, task.kick, out=work)
            np.add(v, work, out=v)
            np.multiply(v, half, out=work)
            np.add(x, work, out=x)
            gradient(x, g)
            np.multiply(g, half, out=g)
            np.subtract(v, g, out=v)

    return run


def mala(task: Task, x: Array, v: Array, rng: np.random.Generator) -> Run:
    gradient = choose(GRADIENTS, task.potential, "potential")(task)
    energy = choose(ENERGIES, task.potential, "energy")(task)
    g, y, gy, xi, work = (np.empty_like(x) for _ in range(5))
    uniform = np.empty_like(x[0])
    h = task.step_size

    def run(n_steps: int) -> None:
        u = energy(x)
        gradient(x, g)
        for _ in range(n_steps):
            rng.standard_normal(out=xi, dtype=x.dtype.type)
            np.multiply(xi, task.noise, out=xi)
            np.multiply(g, h, out=y)
            np.subtract(x, y, out=y)
            np.add(y, xi, out=y)
            uy = energy(y)
            gradient(y, gy)
            # |x - y + h gy|^2 - |y - x + h g|^2; the second is the noise
            np.multiply(gy, h, out=work)
            np.add(work, x, out=work)
            np.subtract(work, y, out=work)
            ratio = np.einsum("dn,dn->n", xi, xi)
            ratio -= np.einsum("dn,dn->n", work, work)
            ratio *= 0.25 / h
            ratio += u
            ratio -= uy
            ratio *= 1.0 / task.kT
            rng.standard_exponential(out=uniform, dtype=x.dtype.type)
            accept = -uniform < ratio
            np.copyto(x, y, where=accept)
            np.copyto(g, gy, where=accept)
            np.copyto(u, uy, where=accept)

    return run


def normals(task: Task, x: Array, v: Array, rng: np.random.Generator) -> Run:
    def run(n_steps: int) -> None:
        for _ in range(n_steps):
            rng.standard_normal(out=x, dtype=x.dtype.type)

    return run


SCHEMES = {"ULA": ula, "BAOAB": baoab, "MALA": mala, "normals": normals}


def prepare(task: Task) -> Sampler:
    matrices = task.potential in ("mixture", "logistic", "network")
    if task.threads > 1 and not matrices:
        raise MissingWorkError("one thread: NumPy has threads in BLAS only")
    x, v, start = task.starts, task.starts, task.starts
    rng = np.random.Generator(np.random.SFC64(1))

    def reset() -> None:
        np.copyto(x, start)
        if task.scheme == "BAOAB":
            np.copyto(v, np.sqrt(task.kT) * rng.standard_normal(v.shape))

    reset()
    return Sampler(reset, choose(SCHEMES, task.scheme, "scheme")(task, x, v, rng), lambda: x.T)


if __name__ == "__main__":
    serve(prepare, package_versions())
