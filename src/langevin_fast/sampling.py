"""One call from a potential to samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .backends.problem import Frames
from .errors import DivergenceError, Interrupted
from .memory import check_memory
from .potentials.base import Potential
from .progress import Progress
from .schemes import Scheme
from .simulation import MOST_STEPS, Simulation
from .trajectory import Trajectory

__all__ = ["sample"]


def sample(
    potential: Potential,
    scheme: Scheme,
    *,
    n_steps: int,
    n_particles: int | None = None,
    initial: ArrayLike | None = None,
    velocities: ArrayLike | None = None,
    mass: ArrayLike = 1.0,
    burn_in: int = 0,
    stride: int | None = 1,
    seed: int | None = None,
    backend: str = "auto",
    precision: str = "double",
    threads: int | None = None,
    progress: bool | None = None,
    streams: Sequence[int] | np.ndarray | None = None,
    on_divergence: str = "raise",
) -> Trajectory:
    """Run `burn_in` steps, then `n_steps`, and store every `stride`-th of these.

    Frames are the states after steps burn_in + stride, burn_in + 2 stride, ...: ``n_steps // stride`` of them. The
    initial state is none.

    Parameters
    ----------
    potential, scheme, n_particles, initial, velocities, mass, seed, backend, precision, threads, streams, on_divergence
        As for :class:`Simulation`.
    n_steps : int
        Steps after the burn-in, >= 0.
    burn_in : int, default 0
        Steps that are made first and not stored; acceptance rates do not count them.
    stride : int or None, default 1
        None stores no frames; ``.final`` is there all the same.
    progress : bool, optional
        A progress bar (tqdm). Default: when tqdm is installed, the run is long and stderr is a terminal.

    Returns
    -------
    Trajectory

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed; the message names it.
    MemoryError
        If the frames would not fit into memory; said before anything runs.
    DivergenceError
        If a particle is no longer finite; its ``.trajectory`` holds the frames before that step.
    Interrupted
        On Ctrl-C; its ``.trajectory`` holds the frames so far.
    """
    n_steps = checks.integer("n_steps", n_steps, 0, MOST_STEPS)
    burn_in = checks.integer("burn_in", burn_in, 0, MOST_STEPS)
    if stride is not None:
        stride = checks.integer("stride", stride, 1, MOST_STEPS)
    simulation = Simulation(
        potential,
        scheme,
        initial=initial,
        velocities=velocities,
        n_particles=n_particles,
        mass=mass,
        seed=seed,
        backend=backend,
        precision=precision,
        threads=threads,
        streams=streams,
        on_divergence=on_divergence,
    )
    frames = _make_frames(simulation, 0 if stride is None else n_steps // stride, burn_in, stride or 1)
    with Progress(burn_in + n_steps, progress) as bar:
        try:
            simulation._advance(burn_in, None, bar)
            simulation._forget_acceptances()
            simulation._advance(n_steps, frames, bar)
        except DivergenceError as error:
            error.trajectory = _trajectory(simulation, frames, burn_in)
            raise
        except KeyboardInterrupt:
            raise Interrupted(_trajectory(simulation, frames, burn_in)) from None
        except Exception as error:
            # From a function of the user's: it reaches them as it is, with the frames so far.
            error.trajectory = _trajectory(simulation, frames, burn_in)  # type: ignore[attr-defined]
            error.add_note(f"lf.sample stopped after step {simulation.step}; .trajectory of this error has the frames")
            raise
    return _trajectory(simulation, frames, burn_in)


def _make_frames(simulation: Simulation, n_frames: int, burn_in: int, stride: int) -> Frames:
    positions, velocities = simulation.positions, simulation.velocities
    arrays = 1 if velocities is None else 2
    check_memory(n_frames * positions.nbytes * arrays, f"the {n_frames} frames of {len(positions)} particles")
    shape = (n_frames, *positions.shape)
    return Frames(
        burn_in + stride,
        stride,
        np.empty(shape, positions.dtype),
        None if velocities is None else np.empty(shape, velocities.dtype),
    )


def _trajectory(simulation: Simulation, frames: Frames, burn_in: int) -> Trajectory:
    state = simulation.state
    n = frames.until(state.step)
    acceptance_rate = None
    if simulation.scheme.metropolised:
        counted = max(state.step - burn_in, 0)
        acceptance_rate = state.accepted / counted if counted else np.full(simulation.n_particles, np.nan)
    return Trajectory(
        positions=frames.positions[:n],
        velocities=None if frames.velocities is None else frames.velocities[:n],
        steps=frames.first + frames.stride * np.arange(n),
        acceptance_rate=acceptance_rate,
        diverged=state.diverged,
        final=state,
        seed=simulation.seed,
        streams=simulation.streams,
        backend=simulation.backend,
        potential=simulation.potential,
        scheme=simulation.scheme,
    )
