"""Built-in potentials as a user would write them, and the Numba loops that people write today."""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
from timing import Work

import langevin_fast as lf
from langevin_fast.potentials import Custom, Expression, Potential


def custom_double_well() -> Custom:
    def energy(x, a):
        return a * (x[0] ** 2 - 1.0) ** 2

    def gradient(x, out, a):
        out[0] = 4.0 * a * x[0] * (x[0] ** 2 - 1.0)

    return Custom(energy=energy, gradient=gradient, dim=1, start=[-1.0], a=1.0)


def expression_double_well() -> Expression:
    return Expression("a*(x**2 - 1)**2", variables="x", start=[-1.0], a=1.0)


# all numbers in the formula, as in a script
MULLER_BROWN = (
    "-200*exp(-(x - 1)**2 - 10*y**2) - 100*exp(-x**2 - 10*(y - 0.5)**2)"
    " - 170*exp(-6.5*(x + 0.5)**2 + 11*(x + 0.5)*(y - 1.5) - 6.5*(y - 1.5)**2)"
    " + 15*exp(0.7*(x + 1)**2 + 0.6*(x + 1)*(y - 1) + 0.7*(y - 1)**2)"
)


def expression_muller_brown() -> Expression:
    return Expression(MULLER_BROWN, variables="x y", start=lf.potentials.MullerBrown().default_start)


def biased_muller_brown() -> dict[str, Potential]:
    """With a spring along x: added to the built-in potential, and in one formula."""
    surface, spring, values = lf.potentials.MullerBrown(), "0.5*k*(x - x0)**2", {"k": 100.0, "x0": -0.5}
    return {
        "sum": surface + Expression(spring, variables="x y", **values),
        "formula": Expression(f"{MULLER_BROWN} + {spring}", variables="x y", start=surface.default_start, **values),
    }


def custom_rosenbrock(dim: int) -> Custom:
    """The chain (x0 - 1)^2 + 100 sum (x[i+1] - x[i]^2)^2: Rosenbrock in 2-D, HybridRosenbrock(dim, 1) beyond."""

    def energy(x, a):
        total = (x[0] - 1.0) ** 2
        for i in range(dim - 1):
            total += a * (x[i + 1] - x[i] ** 2) ** 2
        return total

    def gradient(x, out, a):
        out[0] = 2.0 * (x[0] - 1.0)
        for i in range(dim - 1):
            d = 2.0 * a * (x[i + 1] - x[i] ** 2)
            out[i] -= 2.0 * x[i] * d
            out[i + 1] = d

    return Custom(energy=energy, gradient=gradient, dim=dim, start=np.ones(dim), a=100.0)


# --- plain Numba loops over the double well under ULA -----------------------------------------------------------------


@numba.njit
def _ula_np_random(x, n_steps, h):  # type: ignore[no-untyped-def]
    noise = np.sqrt(2.0 * h)
    for i in range(len(x)):
        y = x[i]
        for _ in range(n_steps):
            y = y - h * (4.0 * y * (y * y - 1.0)) + noise * np.random.randn()  # noqa: NPY002  what is measured
        x[i] = y


@numba.njit
def _ula_generator(x, n_steps, h, rng):  # type: ignore[no-untyped-def]
    noise = np.sqrt(2.0 * h)
    for i in range(len(x)):
        y = x[i]
        for _ in range(n_steps):
            y = y - h * (4.0 * y * (y * y - 1.0)) + noise * rng.standard_normal()
        x[i] = y


def numba_loops(n_particles: int, h: float) -> dict[str, Work]:
    x, y = np.full(n_particles, -1.0), np.full(n_particles, -1.0)
    rng = np.random.Generator(np.random.SFC64(1))
    loops: dict[str, Callable[[int], object]] = {
        "np.random": lambda n: _ula_np_random(x, n, h),
        "Generator": lambda n: _ula_generator(y, n, h, rng),
    }
    return loops


# --- compilation, in a fresh interpreter ------------------------------------------------------------------------------

COMPILE = """
import json, time
import langevin_fast as lf

def seconds(work):
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result

def first_step(u):
    return lf.sample(u, lf.BAOAB(0.01, friction=1.0), n_steps=1, n_particles=64, seed=1, stride=None)

text = "a*(x**2 - 1)**2 + b*cos(3*x*y) + y**2*exp(-x**2)"
first, u = seconds(lambda: lf.potentials.Expression(text, variables="x y", a=1.0, b=0.5))
first += seconds(lambda: first_step(u))[0]
second, w = seconds(lambda: lf.potentials.Expression("(1 - x)**2 + a*(y - x**2)**2", variables="x y", a=100.0))
second += seconds(lambda: first_step(w))[0]
changed = seconds(lambda: first_step(u.replace(a=2.0)))[0]
print(json.dumps([first, second, changed]))
"""
