"""``python -m langevin_fast demo``: the Müller-Brown surface, sampled and compared with exact values."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import checks
from .potentials import MullerBrown
from .potentials.base import Potential
from .sampling import sample
from .schemes import BAOAB, MALA, Scheme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KT = 20.0  # barriers of 2 to 5 kT
BASIN_BORDERS = (0.08, 1.45)  # of y - x
QUANTITIES = ("<x>", "<y>", "<x^2>", "<y^2>", "<U>", "P(y - x < 0.08)", "P(0.08 < y - x < 1.45)", "P(y - x > 1.45)")

N_PARTICLES = 2048
N_FRAMES = 200
LARGEST_Z = 5.0


@dataclass(frozen=True)
class _Run:
    """A scheme and how long to run it.

    All particles start in the deepest minimum. The populations of the minima relax like exp(-step / tau); burn_in is 14
    tau or more, so that what is left of the start is a millionth.
    """

    scheme: Scheme
    burn_in: int
    n_steps: int


RUNS = (
    _Run(MALA(step_size=5e-4, kT=KT), burn_in=10_000, n_steps=40_000),  # tau = 650 steps
    # tau = 1350 steps. The error of this step size, of order h^2, is a few parts in a thousand: below the error bars.
    _Run(BAOAB(step_size=0.004, friction=5.0, kT=KT), burn_in=20_000, n_steps=40_000),
)


def run_demo(output: str, seed: int) -> int:
    """Sample, print a table, write a figure.

    Parameters
    ----------
    output : str
        Where the figure (PNG) goes.
    seed : int
        0 <= seed < 2**64.

    Returns
    -------
    int
        The exit status: 0; 1 if a measured value is more than five standard errors off; 2 for a wrong argument.
    """
    try:
        seed = checks.integer("seed", seed, 0, 2**64 - 1)
        _check_output(Path(output))
    except (ValueError, OSError) as error:
        print(f"langevin_fast demo: error: {error}", file=sys.stderr)
        return 2

    potential = MullerBrown()
    exact, borders, density = exact_values(potential, KT)
    print(f"Müller-Brown surface at kT = {KT:g}, {N_PARTICLES} particles, seed {seed}")
    print("exact: quadrature; error: standard error over the particles' time averages; z: deviation / error")
    frames, worst = [], 0.0
    for run in RUNS:
        started = time.perf_counter()
        trajectory = sample(
            potential,
            run.scheme,
            n_particles=N_PARTICLES,
            burn_in=run.burn_in,
            n_steps=run.n_steps,
            stride=run.n_steps // N_FRAMES,
            seed=seed,
        )
        seconds = time.perf_counter() - started
        frames.append(trajectory.positions)
        steps = N_PARTICLES * (run.burn_in + run.n_steps)
        accepted = "" if trajectory.acceptance_rate is None else f", accepted {trajectory.acceptance_rate.mean():.3f}"
        print(f"\n{run.scheme!r}{accepted}")
        print(f"{steps:.3g} particle-steps in {seconds:.2f} s: {steps / seconds:.3g} per second")
        averages = _time_averages(trajectory.positions, trajectory.energies)
        worst = max(worst, _print_table(exact, averages))
    if worst > LARGEST_Z:
        print(f"\nThe samples do not agree with the exact values: |z| reaches {worst:.2f}, more than {LARGEST_Z:g}.")
    else:
        print(f"\nThe samples agree with the exact values: |z| is at most {worst:.2f}.")

    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("No figure: matplotlib is missing. Install the extra `plot`: pip install 'langevin-fast[plot]'")
    else:
        figure = Figure(figsize=(11.0, 4.7), layout="constrained")
        _draw(figure, potential, seed, frames, borders, density)
        figure.savefig(output, format="png", dpi=100)  # a bare Figure draws with Agg
        print(f"Figure: {output}")
    return 1 if worst > LARGEST_Z else 0


def _check_output(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        raise FileNotFoundError(f"--output {path}: there is no folder {folder}")
    if path.is_dir():
        raise IsADirectoryError(f"--output {path}: this is a folder")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise PermissionError(f"--output {path}: no permission to write it")


def exact_values(potential: Potential, kT: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boltzmann averages by quadrature, in the order of QUANTITIES, and the density of y - x.

    In u = y - x and w = y + x: Gauss-Legendre nodes in u, with panels that end at the borders of the basins, and the
    trapezoidal rule in w, which converges exponentially because the integrand vanishes at both ends. Both are
    converged to 1e-12.

    Returns
    -------
    exact : ndarray of shape (8,)
    u, density : ndarrays
        Nodes, and the probability density of y - x at them.
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    borders = np.array([-5.0, -1.2, *BASIN_BORDERS, 3.0, 7.0])
    half = np.diff(borders)[:, np.newaxis] / 2.0
    u = (borders[:-1, np.newaxis] + half * (1.0 + nodes)).ravel()
    weights = (half * weights).ravel()
    w = np.linspace(-4.0, 5.0, 601)
    x, y = (w - u[:, np.newaxis]) / 2.0, (w + u[:, np.newaxis]) / 2.0
    energy = potential.energy(np.stack([x, y], axis=-1))
    boltzmann = np.exp((energy.min() - energy) / kT)
    density = boltzmann.sum(axis=1)
    z = (weights * density).sum()
    moments = [(weights * (f * boltzmann).sum(axis=1)).sum() / z for f in (x, y, x**2, y**2, energy)]
    low, high = BASIN_BORDERS
    populations = [(weights * density)[basin].sum() / z for basin in (u < low, (u > low) & (u < high), u > high)]
    return np.array(moments + populations), u, density / z


def _time_averages(positions: np.ndarray, energies: np.ndarray) -> np.ndarray:
    """Average over the frames of each particle, (8, n_particles)."""
    x, y = positions[..., 0], positions[..., 1]
    u = y - x
    low, high = BASIN_BORDERS
    values = (x, y, x**2, y**2, energies, u < low, (u >= low) & (u <= high), u > high)
    return np.array([value.mean(axis=0) for value in values])


def _print_table(exact: np.ndarray, averages: np.ndarray) -> float:
    """Print one line per quantity; the largest |z|."""
    mean = averages.mean(axis=1)
    error = averages.std(axis=1, ddof=1) / np.sqrt(averages.shape[1])
    z = (mean - exact) / error
    print(f"  {'quantity':<23} {'exact':>12} {'measured':>12}   {'error':<8} {'z':>6}")
    for i, name in enumerate(QUANTITIES):
        print(f"  {name:<23} {exact[i]:12.5f} {mean[i]:12.5f} ± {error[i]:<8.5f} {z[i]:6.2f}")
    return float(np.abs(z).max())


# --- the figure ------------------------------------------------------------------------------------------------------


def _draw(
    figure: Figure, potential: Potential, seed: int, frames: list[np.ndarray], u: np.ndarray, density: np.ndarray
) -> None:
    left, right = figure.subplots(1, 2, width_ratios=[1.25, 1.0])
    _draw_surface(left, potential, frames[0], _crossings(potential, seed, wanted=3))
    _draw_marginal(right, frames, u, density)


def _crossings(potential: Potential, seed: int, wanted: int) -> list[np.ndarray]:
    """Paths of a few particles from the start to the other side, every few steps.

    These are the first steps of the BAOAB run once more, for some of its particles alone: the noise is a function of
    seed, particle and step, so they are the same paths.
    """
    streams = np.arange(128)
    run = sample(potential, RUNS[1].scheme, n_steps=6_000, stride=2, seed=seed, streams=streams)
    u = run.positions[..., 1] - run.positions[..., 0]
    paths: list[np.ndarray] = []
    for particle in np.argsort(np.where((u < -0.5).any(axis=0), (u < -0.5).argmax(axis=0), len(u)), kind="stable"):
        arrived = (u[:, particle] < -0.5).nonzero()[0]
        if len(arrived) and len(paths) < wanted:
            path = run.positions[: arrived[0] + 1, particle]
            at_home = (np.abs(path - potential.default_start).max(axis=1) < 0.15).nonzero()[0]
            paths.append(path[at_home[-1] :])
    return paths


def _draw_surface(axes: Axes, potential: Potential, samples: np.ndarray, paths: list[np.ndarray]) -> None:
    box = (-1.6, 1.25, -0.55, 2.05)
    x, y = np.meshgrid(np.linspace(*box[:2], 240), np.linspace(*box[2:], 220))
    energy = potential.energy(np.stack([x, y], axis=-1))
    bins = axes.hexbin(
        *samples.reshape(-1, 2).T, gridsize=80, extent=box, bins="log", mincnt=2, cmap="YlGnBu", linewidths=0.1
    )
    axes.contour(x, y, energy, levels=np.arange(-140.0, 61.0, 20.0), colors="0.35", linewidths=0.6, linestyles="solid")
    for path, color in zip(paths, ("#d62728", "#ff7f0e", "#9467bd"), strict=False):
        axes.plot(*path.T, color=color, linewidth=1.1)
        axes.plot(*path[-1], color=color, marker="o", markersize=4)
    corner = np.array(box[:2])
    for border in BASIN_BORDERS:
        axes.plot(corner, corner + border, color="0.5", linewidth=1.0, linestyle="--")
    axes.set(xlim=box[:2], ylim=box[2:], xlabel="x", ylabel="y")
    axes.set_title(f"Müller-Brown surface, kT = {KT:g}: MALA samples, BAOAB crossings", fontsize=10)
    axes.figure.colorbar(bins, ax=axes, label="samples per cell", pad=0.01)


def _draw_marginal(axes: Axes, frames: list[np.ndarray], u: np.ndarray, density: np.ndarray) -> None:
    edges = np.linspace(-1.5, 2.8, 87)
    centers = (edges[1:] + edges[:-1]) / 2.0
    axes.plot(u, density, color="black", linewidth=1.2, label="exact", zorder=3)
    for positions, name, style in zip(frames, ("MALA", "BAOAB"), ("bar", "point"), strict=True):
        values = positions[..., 1] - positions[..., 0]
        # one histogram per particle: their spread gives the error bars
        cells = np.clip(np.searchsorted(edges, values), 0, len(edges))
        counts = np.zeros((values.shape[1], len(edges) + 1))
        np.add.at(counts, (np.arange(values.shape[1]), cells), 1.0)
        counts = counts[:, 1:-1] / (len(values) * np.diff(edges))
        mean, error = counts.mean(axis=0), counts.std(axis=0, ddof=1) / np.sqrt(len(counts))
        if style == "bar":
            axes.stairs(mean, edges, baseline=1e-4, fill=True, color="#7fcdbb", label=name)
        else:
            axes.errorbar(centers, mean, error, fmt=".", markersize=3.5, linewidth=0.8, color="#d62728", label=name)
    for border in BASIN_BORDERS:
        axes.axvline(border, color="0.5", linewidth=1.0, linestyle="--")
    axes.set(xlim=(edges[0], edges[-1]), ylim=(1e-4, 8.0), yscale="log", xlabel="y - x", ylabel="probability density")
    axes.set_title("Along the valley: samples and exact density", fontsize=10)
    axes.legend(frameon=False, loc="upper left")
