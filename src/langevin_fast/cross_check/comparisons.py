"""The comparisons, one function each: noise, gradient, bits, steps, law. Each returns what it found.

What runs in plain Python stops after `SECONDS`: of a large potential fewer components, steps or particles are compared,
and the report says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..noise import PRECISIONS, noise
from ..potentials.base import Potential
from ..reference import Reference, normal
from ..schemes import MALA
from ..trajectory import Trajectory

SECONDS = 1.0
# A step may differ from the textbook's by this many units in the last place of its terms.
TOLERANCE = 64.0
_LEAST_PARTICLES = 2
_EVALUATIONS_PER_STEP = 10  # of a particle's gradient, by `_plain_step` and `_metropolis_step`

Tick = Callable[[int], None]


class PlainFunctions(NamedTuple):
    """Gradient and energy (None where there is none) of (n, dim) arrays in double precision."""

    gradient: Callable[[np.ndarray], np.ndarray]
    energy: Callable[[np.ndarray], np.ndarray] | None
    pointwise: bool
    """Whether they are loops over points in Python, so that fewer points cost less."""


class StepFindings(NamedTuple):
    """The largest error of a step in units of rounding, the first disagreement, and what was left out."""

    error: float
    problem: str | None
    left_out: str | None


class Moments(NamedTuple):
    """The mean of x . x, its standard error, and by how many of theirs the means of x and x^2 differ."""

    mean_square: float
    error: float
    z: float


def plain_functions(potential: Potential, precision: str) -> PlainFunctions:
    """In plain Python where the potential has it, with the parameters rounded as those of the run."""
    functions = getattr(potential, "functions", None)
    if functions is None:
        return PlainFunctions(potential.gradient, potential.energy if potential.has_energy else None, False)
    p = potential.parameters.astype(PRECISIONS[precision]).astype(float)

    def gradient(x: np.ndarray) -> np.ndarray:
        g = np.empty(x.shape)
        with np.errstate(all="ignore"):
            for point, out in zip(x, g, strict=True):
                functions.gradient(point, out, p)
        return g

    def energy(x: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.array([float(functions.energy(point, p)) for point in x])

    return PlainFunctions(gradient, energy if functions.energy is not None else None, True)


# --- noise ------------------------------------------------------------------------------------------------------------


def noise_problem(seed: int, precision: str) -> str | None:
    """Some numbers of some streams against a Philox and a Box-Muller transform of the reference's own."""
    eps = _eps(precision)
    for stream in (0, 3, 2**32 + 5, 2**56 - 1):
        for start in (0, 7, 2**33 + 1):
            got = noise(seed, stream, start, 8, precision)
            want = [normal(seed, stream, start + i, precision) for i in range(8)]
            error = np.abs(got - want) / (eps * np.maximum(np.abs(want), 1.0))
            if not (error < 16).all():
                i = int(np.flatnonzero(~(error < 16))[0])
                return (
                    f"noise: number {start + i} of stream {stream} is {float(got[i])!r}, the reference has {want[i]!r}"
                )
    return None


# --- gradient ---------------------------------------------------------------------------------------------------------


def gradient_problem(plain: PlainFunctions, x: np.ndarray, seed: int, tick: Tick) -> tuple[str | None, str | None]:
    """The gradient at (n, dim) points against finite differences of the energy; the problem, and what was left out.

    Components are taken in random order. Those that there is no time for are compared together, along one random
    direction.
    """
    assert plain.energy is not None
    started = time.monotonic()
    u, dim = plain.energy(x), x.shape[1]
    if plain.pointwise:
        n = _affordable((time.monotonic() - started) / len(x), 8, len(x))
        x, u = x[:n], u[:n]
    g = plain.gradient(x)
    rng = np.random.default_rng(seed)
    length = 1e-4 * np.maximum(np.abs(x), 1.0)
    order = rng.permutation(dim)
    for done, c in enumerate(order):
        if done and time.monotonic() - started > SECONDS:
            break
        tick(1)
        found = _differ(plain.energy, x, u, g, np.where(np.arange(dim) == c, length, 0.0))
        if found is not None:
            i, slope, difference = found
            return (
                f"gradient: component {c} is {slope / length[i, c]:.12g}, but finite differences of the energy give "
                f"{difference / length[i, c]:.12g}, at x={_shown(x[i])}"
            ), None
    else:
        return None, None
    rest = order[done:]
    direction = np.zeros(x.shape)
    direction[:, rest] = length[:, rest] * rng.choice([-1.0, 1.0], len(rest)) / np.sqrt(len(rest))
    found = _differ(plain.energy, x, u, g, direction)
    if found is not None:
        i, slope, difference = found
        return (
            f"gradient: along a random direction of {len(rest)} components the energy should change by {slope:.12g}, "
            f"but by finite differences it changes by {difference:.12g}, at x={_shown(x[i])}"
        ), None
    return None, f"gradient: {done} of {dim} components one by one, the others along one direction"


def _differ(
    energy: Callable[[np.ndarray], np.ndarray], x: np.ndarray, u: np.ndarray, g: np.ndarray, step: np.ndarray
) -> tuple[int, float, float] | None:
    """The first point at which g . step is not what differences of the energy say, with both numbers."""

    def change(scale: float) -> tuple[np.ndarray, np.ndarray]:
        up, down = x + scale * step, x - scale * step
        return (energy(up) - energy(down)) / (2.0 * scale), (g * (up - down)).sum(axis=1) / (2.0 * scale)

    (coarse, _), (fine, slope) = change(1.0), change(0.5)
    best = (4.0 * fine - coarse) / 3.0
    size = np.abs(step).max(axis=1)
    rounding = 2e-16 * 64 * (np.abs(u) + np.abs(slope) / size)
    allowed = 10.0 * np.abs(best - fine) + rounding + 1e-9 * np.abs(g).max(axis=1) * np.abs(step).sum(axis=1)
    bad = np.flatnonzero(np.abs(best - slope) > allowed)
    return (int(bad[0]), float(slope[bad[0]]), float(best[bad[0]])) if len(bad) else None


# --- bits -------------------------------------------------------------------------------------------------------------


def difference(run: Trajectory, other: Trajectory) -> tuple[int | None, float]:
    """The first step after which two runs differ, and their largest difference in units in the last place."""
    a, b = (
        r.positions if r.velocities is None else np.concatenate([r.positions, r.velocities], axis=2)
        for r in (run, other)
    )
    differs = np.flatnonzero((a != b).any(axis=(1, 2)))
    with np.errstate(invalid="ignore"):
        ulp = np.abs(a.astype(float) - b) / np.spacing(np.maximum(np.abs(a), np.abs(b))).astype(float)
    return int(differs[0]) + 1 if len(differs) else None, float(np.nanmax(ulp))


# --- steps ------------------------------------------------------------------------------------------------------------


def compare_steps(
    run: Trajectory, start: Any, plain: PlainFunctions, mass: np.ndarray, seed: int, precision: str, tick: Tick
) -> StepFindings:
    """Every step of a run from streams 0, 1, ..., from the run's own state before it, against the textbook's step.

    `start` is the state before the first step: its `positions` and `velocities` are read.
    """
    started = time.monotonic()
    n_steps, n = run.positions.shape[:2]
    particles = np.arange(n)
    if plain.pointwise:
        plain.gradient(start.positions[:1].astype(float))
        kept = _affordable(time.monotonic() - started, _EVALUATIONS_PER_STEP, n)
        particles = np.linspace(0, n - 1, kept).astype(int)
    mass = mass[particles] if len(mass) > 1 else mass
    reference = Reference(run.scheme, plain.gradient, plain.energy, mass, seed, particles, precision)
    compare = _metropolis_step if isinstance(run.scheme, MALA) else _plain_step
    x = start.positions[particles].astype(float)
    v = None if start.velocities is None else start.velocities[particles].astype(float)
    worst, problem, done = 0.0, None, 0
    while done < n_steps and not (done and time.monotonic() - started > SECONDS):
        after = run.positions[done][particles], None if run.velocities is None else run.velocities[done][particles]
        error, found = compare(reference, done, x, v, _join(*after))
        worst = max(worst, error)
        if found is not None and problem is None:
            particle, text = found
            problem = f"step {done + 1}, particle {particles[particle]}: {text}"
        x, v = after[0].astype(float), None if after[1] is None else after[1].astype(float)
        done += 1
        tick(1)
    if done == n_steps and len(particles) == n:
        return StepFindings(worst, problem, None)
    return StepFindings(worst, problem, f"steps: {done} of {n_steps}, {len(particles)} of {n} particles")


def _plain_step(
    reference: Reference, i: int, x: np.ndarray, v: np.ndarray | None, after: np.ndarray
) -> tuple[float, tuple[int, str] | None]:
    eps = _eps(reference.precision)
    want = _join(*reference.step(i, x, v)[:2])
    still = _join(*reference.step(i, x, v, noise=0.0)[:2])
    free = _join(*reference.step(i, x, v, force=0.0)[:2])
    noise_term, force_term = want - still, want - free
    # What rounding does to a step: to each of its terms, and to the argument of the gradient.
    scale = np.abs(_join(x, v)) + np.abs(want) + np.abs(force_term)
    for row in reference.rows(i):  # vectors of normals may cancel
        scale = scale + np.abs(_join(*reference.step(i, x, v, only=row)[:2]) - still)
    if v is not None:  # x and v feed each other
        scale = scale + np.abs(_join(v, x)) * np.broadcast_to(reference.h, (len(x), 1))
    for nudge in _nudges(x, eps):
        scale = scale + np.abs(_join(*reference.step(i, nudge, v)[:2]) - want) / eps
    error = np.abs(after - want) / (eps * scale + np.finfo(PRECISIONS[reference.precision]).tiny)
    worst = float(error.max())
    if worst <= TOLERANCE:
        return worst, None
    particle, component = np.unravel_index(int(np.argmax(error)), error.shape)
    got, expected = float(after[particle, component]), float(want[particle, component])
    return worst, (
        int(particle),
        f"component {component} of the state is {got!r}, a textbook step gives {expected!r} ({worst:.3g} units of "
        f"rounding, {TOLERANCE:g} allowed). {_explain(after - want, noise_term, force_term)}",
    )


def _metropolis_step(
    reference: Reference, i: int, x: np.ndarray, v: None, after: np.ndarray
) -> tuple[float, tuple[int, str] | None]:
    eps = _eps(reference.precision)
    proposal, _, margin = reference.step(i, x, None)
    assert margin is not None
    accepted = np.any(after != x, axis=1)
    # decisions within rounding may go either way
    size = np.abs(reference.energy(x)) + np.abs(reference.energy(proposal))
    doubt = 1e3 * eps * (1.0 + size / reference.kT[:, 0] + np.abs(margin))
    moved = np.abs(proposal - x).max(axis=1) > 64 * eps * np.abs(x).max(axis=1)
    wrong = np.flatnonzero((accepted != (margin > 0)) & (np.abs(margin) > doubt) & moved)
    if len(wrong):
        p = int(wrong[0])
        did, should = ("accepted", "rejected") if accepted[p] else ("rejected", "accepted")
        return 0.0, (
            p,
            f"the proposal was {did}, the textbook's acceptance test has it {should} "
            f"(log ratio - log u = {margin[p]:.6g})",
        )
    force, mobility = reference.gradient(x), reference.h / reference.scheme.drag  # type: ignore[attr-defined]
    scale = np.abs(x) + np.abs(proposal) + np.abs(x - proposal)
    for nudge in _nudges(x, eps):
        scale = scale + np.abs(reference.gradient(nudge) - force) * mobility / eps
    error = np.where(accepted[:, np.newaxis], np.abs(after - proposal), 0.0) / (eps * scale)
    worst = float(error.max())
    if worst <= TOLERANCE:
        return worst, None
    particle = int(np.unravel_index(int(np.argmax(error)), error.shape)[0])
    taken = accepted[:, np.newaxis]
    what = _explain((after - proposal) * taken, reference.normals(i, x.shape[1]) * taken, force * taken)
    return worst, (particle, f"the accepted proposal is not the textbook's ({worst:.3g} units). {what}")


def _nudges(x: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions that differ by a rounding error, components alternating in sign."""
    relative = eps * np.where(np.arange(x.shape[1]) % 2, 1.0, -1.0)
    return x * (1.0 + relative), x * (1.0 - relative)


def _explain(deviation: np.ndarray, noise_term: np.ndarray, force_term: np.ndarray) -> str:
    """Which term of a step a deviation looks like."""
    terms = np.stack([noise_term.reshape(-1), force_term.reshape(-1)], axis=1).astype(float)
    deviation = deviation.reshape(-1).astype(float)
    (noise_share, force_share), *_ = np.linalg.lstsq(terms, deviation, rcond=None)
    left = deviation - terms @ np.array([noise_share, force_share])
    if np.square(left).sum() > 0.1 * np.square(deviation).sum():
        return "The deviation follows neither term: are the numbers of the noise the right ones?"
    parts = np.abs([noise_share * terms[:, 0], force_share * terms[:, 1]]).sum(axis=1)
    if parts[0] > parts[1]:
        return f"It looks like the coefficient of the noise: too large by a factor of 1 + {noise_share:.3g}."
    return f"It looks like the gradient or its coefficient: too large by a factor of 1 + {force_share:.3g}."


# --- law --------------------------------------------------------------------------------------------------------------


def compare_moments(mine: np.ndarray, other: np.ndarray, precision: str) -> Moments:
    """The means of x and x^2 over two crowds, each (n, dim)."""
    mine, other, n, worst = mine.astype(float), other.astype(float), len(mine), 0.0
    for power in (1, 2):
        a, b = mine**power, other**power
        spread = np.sqrt((a.var(axis=0) + b.var(axis=0)) / n)
        off = np.abs(a.mean(axis=0) - b.mean(axis=0))
        z = off / np.maximum(spread, 64 * _eps(precision) * (np.abs(a).mean(axis=0) + 1e-300))
        worst = max(worst, float(z.max()))
    squares = np.square(mine).sum(axis=1)
    return Moments(float(squares.mean()), float(squares.std() / np.sqrt(n)), worst)


# --- shared -----------------------------------------------------------------------------------------------------------


def _eps(precision: str) -> float:
    return float(np.finfo(PRECISIONS[precision]).eps)


def _affordable(seconds: float, evaluations: int, n: int) -> int:
    """How many of n points leave time for several rounds of so many evaluations, of `seconds` each, per point."""
    return min(n, max(_LEAST_PARTICLES, int(SECONDS / (4 * evaluations * max(seconds, 1e-9)))))


def _shown(x: np.ndarray) -> str:
    return str(x.tolist()) if len(x) <= 20 else f"[{', '.join(map(str, x[:20].tolist()))}, ...]"


def _join(x: np.ndarray, v: np.ndarray | None) -> np.ndarray:
    return x if v is None else np.concatenate([x, v], axis=1)
