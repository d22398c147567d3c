"""What the moments have to be: exact laws where there are some, and otherwise a textbook loop of its own."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import common, peer_numpy
from .common import Array, Task

Moments = dict[str, tuple[float, float]]  # observable: value, its standard error


class Reference(NamedTuple):
    """The moments after so many steps, and where they come from."""

    moments: Moments
    source: str


# --- exact: ULA in one dimension, as a product of transition matrices -------------------------------------------------


def _law(task: Task, slope: Array, grid: Array, start: float, n_steps: int) -> Array:
    """The probabilities of x on the grid after so many steps; the sums over the grid converge faster than any power."""
    spacing = grid[1] - grid[0]
    sigma = task.noise

    def normal(mean: Array) -> Array:
        return spacing / (sigma * np.sqrt(2.0 * np.pi)) * np.exp(-0.5 * ((grid[:, np.newaxis] - mean) / sigma) ** 2)

    step = normal(grid - task.step_size * slope)
    at = np.interp(start, grid, slope)
    law = normal(np.array([start - task.step_size * at]))[:, 0]
    law = np.linalg.matrix_power(step, n_steps - 1) @ law
    assert abs(law.sum() - 1.0) < 1e-9, "the grid is too small or too coarse"
    return law


def _well(task: Task, n_steps: int) -> Moments:
    grid = np.linspace(-3.6, 3.6, 241)
    law = _law(task, 4.0 * grid * (grid**2 - 1.0), grid, task.start[0], n_steps)
    return {name: (float(law @ grid**power), 0.0) for name, power in (("x", 1), ("x²", 2), ("x⁴", 4))}


def _mixture(task: Task, n_steps: int) -> Moments:
    """A grid of equal components is a product of two mixtures in one dimension, and so is the law of ULA."""
    centers, variance = np.unique(task.array("means")[:, 0]), task.parameters["variance"]
    grid = np.linspace(-8.0, 8.0, 401)
    table = np.exp(-0.5 * (grid[:, np.newaxis] - centers) ** 2 / variance)
    slope = (table * (grid[:, np.newaxis] - centers)).sum(axis=1) / table.sum(axis=1) / variance
    first, second = (_law(task, slope, grid, start, n_steps) for start in task.start)
    return {
        "x₁": (float(first @ grid), 0.0),
        "x₂": (float(second @ grid), 0.0),
        "x₁²": (float(first @ grid**2), 0.0),
        "x₂²": (float(second @ grid**2), 0.0),
        "x₁x₂": (float(first @ grid) * float(second @ grid), 0.0),
    }


def _gaussian(task: Task, n_steps: int) -> Moments:
    """ULA from the mode: normal, with a variance that is a geometric sum. MALA: the standard normal, in the end."""
    if task.scheme == "MALA":
        variance = 1.0
    else:
        factor = (1.0 - task.step_size) ** 2
        variance = task.noise**2 * (1.0 - factor**n_steps) / (1.0 - factor)
    return {"x": (0.0, 0.0), "x²": (variance, 0.0), "x⁴": (3.0 * variance**2, 0.0)}


def _boltzmann_well(task: Task) -> Moments:
    grid = np.linspace(-4.0, 4.0, 2001)
    law = np.exp(-((grid**2 - 1.0) ** 2) / task.kT)
    law /= law.sum()
    return {name: (float(law @ grid**power), 0.0) for name, power in (("x", 1), ("x²", 2), ("x⁴", 4))}


NORMAL: Moments = {"x": (0.0, 0.0), "x²": (1.0, 0.0), "x⁴": (3.0, 0.0), "|x|>2": (0.04550026389635842, 0.0)}


# --- a textbook loop --------------------------------------------------------------------------------------------------


def _simulated(task: Task, checkpoints: list[int], observables: list[str], samples: int) -> dict[int, Moments]:
    """Positions (particles, dim) moved one textbook line at a time, in double precision."""
    task = task._replace(n=samples, precision="double")
    rng = np.random.Generator(np.random.PCG64(20240229))
    gradient_to = peer_numpy.GRADIENTS[task.potential](task)
    h, kT = task.step_size, task.kT

    def gradient(x: Array) -> Array:
        out = np.empty_like(x)
        gradient_to(x, out)
        return out

    x = task.starts
    v = np.sqrt(kT) * rng.standard_normal(x.shape)
    if task.scheme == "MALA":
        energy = peer_numpy.ENERGIES[task.potential](task)
        u, g = energy(x), gradient(x)
    result = {}
    for step in range(1, max(checkpoints) + 1):
        if task.scheme == "ULA":
            x = x - h * gradient(x) + task.noise * rng.standard_normal(x.shape)
        elif task.scheme == "BAOAB":
            v = v - 0.5 * h * gradient(x)
            x = x + 0.5 * h * v
            v = task.decay * v + task.kick * rng.standard_normal(x.shape)
            x = x + 0.5 * h * v
            v = v - 0.5 * h * gradient(x)
        else:
            mean = x - h * g
            y = mean + task.noise * rng.standard_normal(x.shape)
            uy, gy = energy(y), gradient(y)
            forward_square, backward_square = ((y - mean) ** 2).sum(axis=0), ((x - y + h * gy) ** 2).sum(axis=0)
            ratio = (u - uy) / kT + (forward_square - backward_square) / (4.0 * h * kT)
            accept = np.log(rng.random(samples)) < ratio
            x, g, u = np.where(accept, y, x), np.where(accept, gy, g), np.where(accept, uy, u)
        if step in checkpoints:
            values = common.values_of(x.T, observables)
            errors = values.std(axis=1, ddof=1) / np.sqrt(samples)
            result[step] = dict(
                zip(observables, zip(values.mean(axis=1).tolist(), errors.tolist(), strict=True), strict=True)
            )
    return result


EXACT = {("ULA", "well"): _well, ("ULA", "mixture"): _mixture, ("ULA", "gaussian"): _gaussian}


def exact(task: Task, n_steps: int) -> Reference | None:
    """The law after so many steps, or that of Boltzmann when it is reached; None where neither is known."""
    if task.scheme == "normals":
        return Reference(NORMAL, "the normal law")
    if (law := EXACT.get((task.scheme, task.potential))) is not None:
        return Reference(law(task, n_steps), "the exact law of the steps")
    time = n_steps * task.step_size
    if task.scheme == "BAOAB" and task.potential == "well" and time >= 30.0:  # the step size adds less than 1e-4
        return Reference(_boltzmann_well(task), "the Boltzmann law")
    if task.scheme == "MALA" and task.potential == "gaussian" and time >= 20.0:
        return Reference(_gaussian(task, 0), "the Boltzmann law")
    return None


def references(task: Task, checkpoints: list[int], observables: list[str], samples: int) -> list[Reference]:
    """One for each checkpoint."""
    known = {n: law for n in checkpoints if (law := exact(task, n)) is not None}
    rest = [n for n in checkpoints if n not in known]
    simulated = _simulated(task, rest, observables, samples) if rest else {}
    known |= {n: Reference(moments, f"a textbook loop, {samples} particles") for n, moments in simulated.items()}
    return [known[n] for n in checkpoints]
