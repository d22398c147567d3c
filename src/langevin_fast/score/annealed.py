"""Annealed Langevin dynamics: plain Langevin steps through densities of decreasing noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..errors import DivergenceError, carrying
from ..potentials.base import Potential
from ..schemes import ULA
from ..stages import StagedSimulation
from ..trajectory import Trajectory
from .functions import Score, ScoreFunction, explain
from .network import ScoreNetwork, build, warn_outside


@dataclass(frozen=True, eq=False)
class Annealed:
    """What :func:`annealed_langevin` returns.

    Attributes
    ----------
    positions : ndarray of shape (n_particles, dim)
        At the end, denoised if that was asked for.
    sigmas, step_sizes : ndarray of shape (L,)
        The noise levels and the step size h_i of each.
    seed : int
        Of the run.
    diverged : ndarray of shape (n_particles,)
        The step after which a particle was first not finite, or -1 (only with ``on_divergence="freeze"``).
    """

    positions: np.ndarray
    sigmas: np.ndarray
    step_sizes: np.ndarray
    seed: int
    diverged: np.ndarray

    def __repr__(self) -> str:
        n, dim = self.positions.shape
        return f"<Annealed: {n} particles in {dim} dimensions, {len(self.sigmas)} levels, seed={self.seed}>"


def geometric_levels(first: float, last: float, n: int) -> np.ndarray:
    """`n` noise levels from `first` down to `last`, each the same fraction of the one before.

    Parameters
    ----------
    first, last : float
        first > last > 0, in length units.
    n : int
        >= 2.

    Returns
    -------
    (n,) array
    """
    first, last = checks.positive("first", first), checks.positive("last", last)
    if not first > last:
        raise ValueError(f"first={first!r} must be larger than last={last!r}")
    return np.geomspace(first, last, checks.integer("n", n, 2))


def annealed_langevin(
    score: ScoreFunction | ScoreNetwork | Sequence[Potential],
    sigmas: ArrayLike,
    *,
    step_size: float,
    n_steps: int,
    initial: ArrayLike,
    denoise: bool = False,
    seed: int | None = None,
    precision: str = "double",
    backend: str = "auto",
    threads: int | None = None,
    on_divergence: str = "raise",
) -> Annealed:
    r"""Sample by Langevin steps through a sequence of smoothed densities, from the widest to the narrowest.

    At level i, `n_steps` steps :math:`x' = x + h_i\, s(x, \sigma_i) + \sqrt{2 h_i}\,\xi` with
    :math:`h_i = h\,\sigma_i^2/\sigma_L^2`. NCSN's step sizes alpha_i are 2 h_i (its update is x + (alpha/2) s +
    sqrt(alpha) xi). Stability needs h_i times the largest curvature of level i below 2: about h/sigma_L^2 < 2.

    Parameters
    ----------
    score : callable, ScoreNetwork or sequence of Potential
        ``score(x, sigma)`` maps (n, dim) positions to (n, dim); or a potential for each level, whose score at kT = 1 is
        minus its gradient. Networks and potentials run in the compiled loop.
    sigmas : (L,) array
        Noise levels, > 0, in length units, descending; see :func:`geometric_levels`.
    step_size : float
        h > 0, that of the last level, in time units.
    n_steps : int
        Of each level, >= 1.
    initial : (n_particles, dim) array
        Where the particles start.
    denoise : bool
        End with the mean of x given the last noisy position, x + sigma_L^2 s(x, sigma_L) (Tweedie's formula).
    seed, precision, backend, threads
        As for :func:`langevin_fast.sample`. The steps of all levels are numbered through, so that no noise is used
        twice.
    on_divergence : {"raise", "freeze"}
        "freeze" keeps a particle that is no longer finite at its last finite position until the next level begins.

    Returns
    -------
    Annealed

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed.
    DivergenceError
        A particle is no longer finite: the step size is too large for some level, or the score is not finite there,
        which the message says.
    Interrupted
        Ctrl-C. Whatever stops a run has the state at the last complete step, as ``.trajectory.final``.

    References
    ----------
    Y. Song, S. Ermon, NeurIPS 2019, algorithm 1.
    """
    levels = checks.positive_array("sigmas", sigmas, shape=(None,))
    if not len(levels) or (np.diff(levels) > 0).any():
        raise ValueError(f"sigmas={checks.shorten(sigmas)} is not allowed: they must descend")
    h = checks.positive("step_size", step_size)
    n_steps = checks.integer("n_steps", n_steps, 1)
    x = checks.finite_array("initial", initial)
    if x.ndim != 2 or not x.size:
        raise ValueError(f"initial must have the shape (n_particles, dim); got {x.shape}")
    potentials = _potentials(score, levels, x.shape[1])
    step_sizes = h * (levels / levels[-1]) ** 2
    simulation = StagedSimulation(
        potentials,
        [ULA(size) for size in step_sizes.tolist()],
        n_steps,
        initial=x,
        velocities=None,
        n_particles=None,
        mass=1.0,
        seed=seed,
        backend=backend,
        precision=precision,
        threads=threads,
        streams=None,
        first_step=0,
        on_divergence=on_divergence,
    )
    diverged = simulation.diverged
    for sigma in levels.tolist():
        try:
            simulation.run(n_steps)
        except DivergenceError as error:
            if callable(score):
                explain(error, score, simulation.positions, "use a smaller step_size", sigma=sigma)
            raise
        diverged = np.where(diverged < 0, simulation.diverged, diverged)
        simulation.thaw()
    x = simulation.positions
    if denoise:
        with carrying(lambda: (Trajectory.of(simulation.stepper, None, simulation.state), (), simulation.step)):
            x = x - float(levels[-1]) ** 2 * potentials[-1].gradient(x)
    return Annealed(np.array(x), levels, step_sizes, simulation.seed, diverged)


def _potentials(score: Any, levels: np.ndarray, dim: int) -> list[Potential]:
    if isinstance(score, ScoreNetwork):
        warn_outside(score, *levels.tolist())
        score = [build(score, sigma) for sigma in levels.tolist()]
    if callable(score):
        return [Score(score, dim, sigma=sigma) for sigma in levels.tolist()]
    if not isinstance(score, Sequence):
        raise TypeError(f"score must be callable or hold a potential for each sigma; got {checks.shorten(score)}")
    given = list(score)
    if len(given) != len(levels):
        raise ValueError(f"score has {len(given)} potentials for {len(levels)} sigmas")
    for potential in given:
        if not isinstance(potential, Potential):
            raise TypeError(
                f"score must be callable or hold a potential for each sigma; got {checks.shorten(potential)}"
            )
        if potential.dim != dim:
            raise ValueError(f"{potential!r} has {potential.dim} dimensions, initial has {dim}")
    return given
