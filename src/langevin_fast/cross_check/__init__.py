"""Run every backend from the same seed and compare them, with each other and with a textbook implementation."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import backends, checks
from ..errors import DivergenceError
from ..noise import PRECISIONS
from ..potentials.base import Potential
from ..potentials.batch import Batch
from ..potentials.driven import Driven
from ..progress import Progress
from ..sampling import sample
from ..schemes import Scheme
from ..simulation import Simulation
from ..trajectory import Trajectory
from . import comparisons
from .report import BackendReport, CrossCheck

__all__ = ["BackendReport", "CrossCheck", "cross_check"]

Run = Callable[..., Trajectory]

# These promise the same bits.
_EXACT = ("cpp", "numba", "batch")
_SIGMAS = 5.0
_LAW_PARTICLES = 40  # times as many as are compared step by step


def cross_check(
    potential: Potential,
    scheme: Scheme,
    *,
    n_particles: int = 16,
    n_steps: int = 24,
    moment_steps: int = 500,
    initial: ArrayLike | None = None,
    mass: ArrayLike = 1.0,
    seed: int = 0,
    precision: str = "double",
    progress: bool | None = None,
) -> CrossCheck:
    """Check the backends against each other and against a textbook implementation.

    Four comparisons, each independent of how chaotic the dynamics are:

    - the noise: against a Philox generator and a Box-Muller transform of its own;
    - the gradient: against finite differences of the energy, where there is one;
    - every step: started from the backend's own state before it, the textbook's step must arrive where the backend
      did, to rounding (64 units in the last place of the terms, the rounding errors of the gradient included);
      for MALA every decision must be the textbook's, ties aside;
    - the law: means of x and x^2 of 40 times as many particles after `moment_steps` steps, from another seed for
      each backend, within 5 standard errors.

    The backends "cpp", "numba" and "batch" must agree with each other to the bit.

    Where a comparison takes longer than a second, as the plain Python side may in many dimensions, fewer components,
    steps or particles are compared; the report says how many.

    Parameters
    ----------
    potential : Potential
        Any. A built-in potential also runs on the "batch" backend, around its own gradient.
    scheme : Scheme
        Without values per particle.
    n_particles, n_steps : int
        How much is compared step by step.
    moment_steps : int
        Length of the runs whose means are compared; 0 leaves that out.
    initial : array_like, optional
        As for :func:`langevin_fast.sample`.
    mass : float or array_like
        As for :func:`langevin_fast.sample`.
    seed : int
        Of the runs.
    precision : {"double", "single"}
        Of the runs; the reference computes in double.
    progress : bool, optional
        As for :func:`langevin_fast.sample`.

    Returns
    -------
    CrossCheck
        ``.ok`` says whether all agree, ``.problems`` what does not, ``.left_out`` what there was no time for.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """
    checks.one_of("precision", precision, tuple(PRECISIONS))
    n_particles = checks.integer("n_particles", n_particles, 2)
    n_steps = checks.integer("n_steps", n_steps, 1)
    moment_steps = checks.integer("moment_steps", moment_steps, 0)
    seed = checks.integer("seed", seed, 0, 2**64 - 10)
    if isinstance(potential, Driven) or (isinstance(scheme, Scheme) and scheme.schedule is not None):
        raise ValueError("what is compared must not change in time: give potential.at(time) and scheme.at(time)")
    if isinstance(scheme, Scheme) and (np.ndim(scheme.step_size) or np.size(scheme.kT_at(np.zeros(1))) > 1):
        raise ValueError(f"scheme must have one step_size and one kT for all particles; got {scheme!r}")
    arguments: dict[str, Any] = {"scheme": scheme, "initial": initial, "precision": precision}
    if not getattr(scheme, "overdamped", False):
        arguments["mass"] = mass
    run: Run = partial(_quiet_sample, **arguments, n_particles=n_particles, seed=seed, progress=False)
    start = run(potential, n_steps=0).final

    problems = [comparisons.noise_problem(seed, precision)]
    left_out: list[str | None] = []
    candidates = _candidates(potential)
    reports = {name: BackendReport(name, unavailable=reason) for name, (_, reason) in candidates.items()}
    runs: dict[str, Trajectory] = {}
    for name, (candidate, reason) in candidates.items():
        if reason is None:
            try:
                runs[name] = run(candidate, n_steps=n_steps, stride=1, backend=name)
            except DivergenceError as error:
                problems.append(f"{name}: {error}")
                reports[name] = BackendReport(name, unavailable="it diverged")

    plain = comparisons.plain_functions(potential, precision)
    masses = np.ones((1, 1)) if scheme.overdamped else np.atleast_2d(np.asarray(mass, float))
    with Progress(len(runs) * (n_steps + moment_steps) + moment_steps + potential.dim, progress) as bar:
        for name, trajectory in runs.items():
            first_name, first = next(iter(runs.items()))
            differs, ulp = comparisons.difference(trajectory, first)
            if differs is not None and name in _EXACT and first_name in _EXACT:
                problems.append(f"{name} and {first_name} differ after step {differs}; they promise equal bits")
            steps = comparisons.compare_steps(trajectory, start, plain, masses, seed, precision, bar.update)
            problems.append(steps.problem and f"{name}: {steps.problem}")
            left_out.append(steps.left_out and f"{name}: {steps.left_out}")
            reports[name] = BackendReport(name, None, differs, ulp, steps.error)
        if runs and plain.energy is not None:
            x = next(iter(runs.values())).final.positions[:8].astype(float)
            problem, rest = comparisons.gradient_problem(plain, x, seed, bar.update)
            problems.append(problem)
            left_out.append(rest)
        if runs and moment_steps:
            n_law = _LAW_PARTICLES * n_particles
            try:
                other = Simulation(potential, **arguments, n_particles=n_law, seed=seed + 9)
                done = _advance_for_a_while(other, moment_steps, bar)
                left_out.append(f"law: {done} of {moment_steps} steps" if done < moment_steps else None)
                long: Run = partial(run, n_particles=n_law, n_steps=done, stride=None)
                for i, name in enumerate(runs, start=1):
                    positions = long(candidates[name][0], backend=name, seed=seed + i).final.positions
                    bar.update(done)
                    law = comparisons.compare_moments(positions, other.positions, precision)
                    if law.z > _SIGMAS:
                        problems.append(f"{name}: means of x or x^2 after {done} steps are off by {law.z:.1f} sigma")
                    reports[name] = replace(
                        reports[name], mean_square=law.mean_square, mean_square_error=law.error, moments_z=law.z
                    )
            except DivergenceError as error:
                problems.append(f"law: {error}")
    return CrossCheck(
        f"{potential!r}, {scheme!r}, {precision}",
        tuple(reports.values()),
        tuple(text for text in problems if text),
        tuple(text for text in left_out if text),
    )


def _candidates(potential: Potential) -> dict[str, tuple[Potential, str | None]]:
    """What each backend runs, and why it cannot."""
    found: dict[str, tuple[Potential, str | None]] = {
        name: (potential, reason) for name, reason in backends.available(potential).items()
    }
    if "batch" not in found:
        energy = potential.energy if potential.has_energy else None
        around = Batch(gradient=potential.gradient, energy=energy, dim=potential.dim, start=potential.default_start)
        found["batch"] = around, None
    return found


def _advance_for_a_while(simulation: Simulation, n_steps: int, bar: Progress) -> int:
    """Make so many steps, or as many as there is time for; how many."""
    started, done = time.monotonic(), 0
    while done < n_steps and not (done and time.monotonic() - started > comparisons.SECONDS):
        chunk = min(max(1, n_steps // 50), n_steps - done)
        simulation.run(chunk)
        bar.update(chunk)
        done += chunk
    return done


def _quiet_sample(*arguments: Any, **named: Any) -> Trajectory:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # advice for users
        return sample(*arguments, **named)
