"""One call from a potential to samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .arguments import MOST_STEPS
from .boundaries import Boundary
from .errors import Interrupted, carrying, warn
from .keywords import hinting
from .observers import Frames, Observer, Watching
from .potentials.base import Potential
from .progress import Progress
from .rows import delayed
from .schemes import Scheme
from .simulation import Simulation
from .trajectory import Trajectory

__all__ = ["sample"]


@hinting
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
    boundary: Boundary | Sequence[Boundary] | None = None,
    observers: Sequence[Observer | Frames] = (),
) -> Trajectory:
    """Run `burn_in` steps, then `n_steps`, and store every `stride`-th of these.

    Frames are the states after steps burn_in + stride, burn_in + 2 stride, ...: ``n_steps // stride`` of them. The
    initial state is none.

    Parameters
    ----------
    potential, scheme, n_particles, initial, velocities, mass, seed, backend, precision, threads, streams
        As for :class:`Simulation`.
    on_divergence, boundary
        As for :class:`Simulation`.
    n_steps : int
        Steps after the burn-in, >= 0.
    burn_in : int, default 0
        Steps that are made first and not stored; acceptance rates do not count them.
    stride : int or None, default 1
        None stores no frames; ``.final`` is there all the same.
    progress : bool, optional
        A progress bar (tqdm). Default: when tqdm is installed, the run is long and stderr is a terminal.
    observers : sequence of observers
        From :mod:`langevin_fast.observers`; they look at the `n_steps` steps inside the compiled loop.

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
    try:
        simulation = Simulation(
            *delayed(potential, scheme, burn_in),
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
            boundary=boundary,
        )
    except KeyboardInterrupt:
        raise Interrupted(None) from None
    if burn_in + n_steps > simulation.last_step:
        raise ValueError(
            f"burn_in={burn_in} and n_steps={n_steps} lead to step {burn_in + n_steps}; the noise of this scheme in "
            f"{potential.dim} dimensions ends at {simulation.last_step}"
        )
    before = simulation.state
    frames = Frames(stride) if stride is not None and stride <= n_steps else None
    record = [] if frames is None else [frames]
    if stride is not None and stride > n_steps > 0:
        warn(
            f"stride={stride} is larger than n_steps={n_steps}: no frame is stored. Use stride={n_steps} or less, or "
            "stride=None if none is wanted"
        )
    watching = Watching("observers", [*record, *observers] if isinstance(observers, (tuple, list)) else observers)
    watching.check(simulation.stepper.run, before, n_steps)

    def trajectory() -> Trajectory:
        begun = frames is not None and frames.begun
        return Trajectory.of(simulation.stepper, frames if begun else None, before, observers)

    bar = Progress.of(progress, burn_in + n_steps)
    with carrying(lambda: (trajectory(), watching.all, simulation.step)):
        with bar as shown:
            if burn_in:
                simulation.run(burn_in, progress=shown)
            before = simulation.state
            simulation.run(n_steps, record=watching, progress=shown)
        result = trajectory()
        result.warn_of_acceptance(n_steps)
    return result
