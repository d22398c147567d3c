# mypy: disable-error-code="import-untyped, import-not-found, misc, no-untyped-def, untyped-decorator"
"""Numba: a particle at a time with ``np.random`` or a Generator inside, or blocks of normals made outside (variant)."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numba
import numpy as np
from common import MissingWorkError, Sampler, Task, choose, package_versions, serve

# --- potentials: gradient(x, out, p) and energy(x, p) of one particle -------------------------------------------------


@numba.njit(fastmath=True)
def well(x, g, p):
    g[0] = 4.0 * x[0] * (x[0] * x[0] - 1.0)


@numba.njit(fastmath=True)
def gaussian(x, g, p):
    for c in range(len(x)):
        g[c] = x[c]


@numba.njit(fastmath=True)
def muller_brown(x, g, p):
    g[0] = g[1] = 0.0
    for k in range(4):
        dx, dy = x[0] - p[k, 4], x[1] - p[k, 5]
        a, b, c = p[k, 1], p[k, 2], p[k, 3]
        e = p[k, 0] * math.exp(a * dx * dx + b * dx * dy + c * dy * dy)
        g[0] += e * (2.0 * a * dx + b * dy)
        g[1] += e * (b * dx + 2.0 * c * dy)


@numba.njit(fastmath=True)
def mixture(x, g, p):
    precision = p[-1, 0]
    nearest = np.inf
    for k in range(len(p) - 1):
        dx, dy = x[0] - p[k, 0], x[1] - p[k, 1]
        nearest = min(nearest, dx * dx + dy * dy)
    total = gx = gy = x[0] * 0.0
    for k in range(len(p) - 1):
        dx, dy = x[0] - p[k, 0], x[1] - p[k, 1]
        e = math.exp(-0.5 * precision * (dx * dx + dy * dy - nearest))
        total += e
        gx += e * dx
        gy += e * dy
    g[0] = precision * gx / total
    g[1] = precision * gy / total


@numba.njit(fastmath=True)
def logistic(x, g, p):
    """A row of p is an observation and its label; the last row begins with the precision of the prior."""
    dim = len(x)
    for c in range(dim):
        g[c] = p[-1, 0] * x[c]
    for i in range(len(p) - 1):
        z = x[0] * 0.0
        for c in range(dim):
            z += p[i, c] * x[c]
        r = 1.0 / (1.0 + math.exp(-z)) - p[i, dim]
        for c in range(dim):
            g[c] += r * p[i, c]


@numba.njit(fastmath=True)
def lennard_jones(x, g, p):
    dim = len(x)
    for i in range(0, dim, 3):
        r = math.sqrt(x[i] * x[i] + x[i + 1] * x[i + 1] + x[i + 2] * x[i + 2])
        pull = p[0, 1] * (r - p[0, 0]) / r if r > p[0, 0] else 0.0
        for c in range(i, i + 3):
            g[c] = pull * x[c]
    for i in range(0, dim, 3):
        for j in range(i + 3, dim, 3):
            dx, dy, dz = x[i] - x[j], x[i + 1] - x[j + 1], x[i + 2] - x[j + 2]
            inverse = 1.0 / (dx * dx + dy * dy + dz * dz)
            s6 = inverse * inverse * inverse
            f = 24.0 * (s6 - 2.0 * s6 * s6) * inverse
            g[i] += f * dx
            g[i + 1] += f * dy
            g[i + 2] += f * dz
            g[j] -= f * dx
            g[j + 1] -= f * dy
            g[j + 2] -= f * dz


@numba.njit(fastmath=True)
def gaussian_energy(x, p):
    total = x[0] * 0.0
    for c in range(len(x)):
        total += x[c] * x[c]
    return 0.5 * total


@numba.njit(fastmath=True)
def logistic_energy(x, p):
    dim = len(x)
    total = x[0] * 0.0
    for c in range(dim):
        total += 0.5 * p[-1, 0] * x[c] * x[c]
    for i in range(len(p) - 1):
        z = x[0] * 0.0
        for c in range(dim):
            z += p[i, c] * x[c]
        total += max(z, 0.0) + math.log1p(math.exp(-abs(z))) - p[i, dim] * z
    return total


@numba.njit
def no_energy(x, p):
    return 0.0


GRADIENTS = {
    "well": well,
    "gaussian": gaussian,
    "muller_brown": muller_brown,
    "mixture": mixture,
    "logistic": logistic,
    "lennard_jones": lennard_jones,
    "none": well,
    "network": "layers of a network are matrix products: BLAS, which the NumPy loop has",
}
ENERGIES = {"gaussian": gaussian_energy, "logistic": logistic_energy}


def parameters(task: Task) -> np.ndarray:
    """One array with two axes."""
    given = task.parameters
    table = [[0.0]]
    if task.potential == "muller_brown":
        table = given["terms"]
    elif task.potential == "mixture":
        table = [*given["means"], [1.0 / given["variance"], 0.0]]
    elif task.potential == "logistic":
        rows = [[*row, label] for row, label in zip(given["X"], given["y"], strict=True)]
        table = [*rows, [given["prior_scale"] ** -2.0] + [0.0] * task.dim]
    elif task.potential == "lennard_jones":
        table = [[given["wall"], given["wall_stiffness"]]]
    return np.array(table, task.dtype)


# --- where the normals come from: draw(source, number) ----------------------------------------------------------------


@numba.njit
def draw_np_random(source, number):
    return np.random.standard_normal()  # noqa: NPY002  what is measured


@numba.njit
def draw_generator(source, number):
    return source.standard_normal()


@numba.njit
def draw_block(source, number):
    return source[number]


@numba.njit
def uniform_np_random(source, number):
    return np.random.random()  # noqa: NPY002


@numba.njit
def uniform_generator(source, number):
    return source.random()


DRAWS = {
    "np.random": (draw_np_random, uniform_np_random),
    "Generator": (draw_generator, uniform_generator),
    "blocks": (draw_block, draw_block),
}


def kernels(gradient, energy, draw, uniform, parallel: bool) -> SimpleNamespace:
    """The loops over particles (rows of x) and steps for one potential and one source of normals."""
    compiled = numba.njit(fastmath=True, parallel=parallel)

    @compiled
    def ula(x, v, n_steps, h, noise, decay, kick, kT, p, normals, uniforms):
        n, dim = x.shape
        for i in numba.prange(n):
            y, g = x[i].copy(), np.empty(dim, x.dtype)
            for step in range(n_steps):
                gradient(y, g, p)
                for c in range(dim):
                    y[c] += noise * x.dtype.type(draw(normals, (i * n_steps + step) * dim + c)) - h * g[c]
            x[i] = y

    @compiled
    def ula_well(x, v, n_steps, h, noise, decay, kick, kT, p, normals, uniforms):
        n = len(x)
        for i in numba.prange(n):
            y = x[i, 0]
            for step in range(n_steps):
                y += noise * x.dtype.type(draw(normals, i * n_steps + step)) - h * (4 * y * (y * y - 1))
            x[i, 0] = y

    @compiled
    def baoab(x, v, n_steps, h, noise, decay, kick, kT, p, normals, uniforms):
        n = len(x)
        half = x.dtype.type(0.5) * h
        for i in numba.prange(n):
            y, w = x[i, 0], v[i, 0]
            g = 4 * y * (y * y - 1)
            for step in range(n_steps):
                w -= half * g
                y += half * w
                w = decay * w + kick * x.dtype.type(draw(normals, i * n_steps + step))
                y += half * w
                g = 4 * y * (y * y - 1)
                w -= half * g
            x[i, 0], v[i, 0] = y, w

    @compiled
    def mala(x, v, n_steps, h, noise, decay, kick, kT, p, normals, uniforms):
        n, dim = x.shape
        for i in numba.prange(n):
            here, g = x[i].copy(), np.empty(dim, x.dtype)
            y, gy = np.empty(dim, x.dtype), np.empty(dim, x.dtype)
            gradient(here, g, p)
            u = energy(here, p)
            for step in range(n_steps):
                squares = u * 0
                for c in range(dim):
                    xi = noise * x.dtype.type(draw(normals, (i * n_steps + step) * dim + c))
                    y[c] = here[c] - h * g[c] + xi
                    squares += xi * xi
                gradient(y, gy, p)
                uy = energy(y, p)
                for c in range(dim):
                    d = here[c] - y[c] + h * gy[c]
                    squares -= d * d
                ratio = (u - uy + squares / (4 * h)) / kT
                if math.log(1.0 - uniform(uniforms, i * n_steps + step)) < ratio:
                    here, y = y, here
                    g, gy = gy, g
                    u = uy
            x[i] = here

    @compiled
    def normals_only(x, v, n_steps, h, noise, decay, kick, kT, p, normals, uniforms):
        for _ in range(n_steps):
            for i in range(len(x)):
                x[i, 0] = draw(normals, i)

    return SimpleNamespace(ULA=ula, ula_well=ula_well, BAOAB=baoab, MALA=mala, normals=normals_only)


# Blocks of normals, rows of particles: the loop over the particles is the inner one, and LLVM vectorises it.


def rows(parallel: bool) -> SimpleNamespace:
    compiled = numba.njit(fastmath=True, parallel=parallel)

    @compiled
    def ula_well(x, v, n_steps, h, noise, decay, kick, kT, p, normals, uniforms):
        n, chunk = len(x), 256
        for block in numba.prange((n + chunk - 1) // chunk):
            for step in range(n_steps):
                for i in range(block * chunk, min(n, (block + 1) * chunk)):
                    y = x[i, 0]
                    x[i, 0] = y + noise * normals[step * n + i] - h * (4 * y * (y * y - 1))

    @compiled
    def baoab(x, v, n_steps, h, noise, decay, kick, kT, p, normals, uniforms):
        n, chunk, half = len(x), 256, x.dtype.type(0.5) * h
        for block in numba.prange((n + chunk - 1) // chunk):
            for step in range(n_steps):
                for i in range(block * chunk, min(n, (block + 1) * chunk)):
                    y = x[i, 0]
                    w = v[i, 0] - half * (4 * y * (y * y - 1))
                    after = decay * w + kick * normals[step * n + i]
                    y += half * (w + after)
                    x[i, 0] = y
                    v[i, 0] = after - half * (4 * y * (y * y - 1))

    return SimpleNamespace(ula_well=ula_well, BAOAB=baoab)


BLOCK = 32768  # normals at a time: they stay in the second-level cache


def prepare(task: Task) -> Sampler:
    gradient = choose(GRADIENTS, task.potential, "potential")
    if task.scheme == "BAOAB" and task.potential != "well":
        raise MissingWorkError("BAOAB is written for the double well")
    if task.threads > 1 and task.variant == "Generator":
        raise MissingWorkError("a Generator cannot be shared by threads")
    if task.scheme == "normals" and task.variant == "blocks":
        raise MissingWorkError("these are NumPy's")
    energy = ENERGIES.get(task.potential, no_energy)
    loops = kernels(gradient, energy, *DRAWS[task.variant], parallel=task.threads > 1)
    name = "ula_well" if (task.scheme, task.potential) == ("ULA", "well") else task.scheme
    loop = getattr(loops, name)
    if task.variant == "blocks" and task.potential == "well" and task.n > 1:
        loop = getattr(rows(task.threads > 1), name)
    real = task.dtype
    start = np.ascontiguousarray(task.starts.T)
    x, v, p = start.copy(), np.zeros_like(start), parameters(task)
    rng = np.random.Generator(np.random.SFC64(1))
    constants = [real(value) for value in (task.step_size, task.noise, task.decay, task.kick, task.kT)]
    chunk = max(1, BLOCK // x.size)
    normals: np.ndarray = np.empty(chunk * x.size, real)
    uniforms: np.ndarray = np.empty(chunk * task.n, real)

    def reset() -> None:
        np.copyto(x, start)
        if task.scheme == "BAOAB":
            np.copyto(v, np.sqrt(task.kT) * rng.standard_normal(v.shape))

    def run(n_steps: int) -> None:
        if task.variant != "blocks":
            source = rng if task.variant == "Generator" else 0
            loop(x, v, n_steps, *constants, p, source, source)
            return
        for done in range(0, n_steps, chunk):
            steps = min(chunk, n_steps - done)
            rng.standard_normal(out=normals[: steps * x.size], dtype=real)
            if task.scheme == "MALA":
                rng.random(out=uniforms[: steps * task.n], dtype=real)
            loop(x, v, steps, *constants, p, normals, uniforms)

    return Sampler(reset, run, lambda: x)


if __name__ == "__main__":
    serve(prepare, package_versions("numba"))
