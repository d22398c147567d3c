"""One call from a potential to samples."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .arguments import MOST_STEPS
from .boundaries import Boundary
from .calls import Call
from .checkpoints import Contents
from .errors import Interrupted, warn
from .keywords import hinting
from .observers import Frames, Observer, Watching
from .potentials.base import Potential
from .reporters import Reporter
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
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int | str = "10 min",
    reporters: Sequence[Reporter] = (),
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
    checkpoint : path, optional
        A file that holds the run so far, as for :meth:`Simulation.run`, with its frames in ``<checkpoint>.frames0``
        beside it. Called again with the same arguments, the run goes on from there, to the bits of one that was never
        interrupted; when it is complete, it is only read, and with a larger `n_steps` it goes on. ``seed=None`` takes
        the seed of the file. One that diverged goes on with ``on_divergence="freeze"``.
    checkpoint_every : int or str, default "10 min"
        How often it is written: a number of steps (at its multiples), or a time such as "30 s", "10 min" or "2 h".
    reporters : sequence of reporters
        From :mod:`langevin_fast.reporters`, as for :meth:`Simulation.run`: they report states after the burn-in (its
        steps count, so that ``every=100`` means steps 100, 200, ... of both). With `checkpoint` they go on from it too;
        one that is new then begins there.

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
    CheckpointError
        If the checkpoint, or what a reporter writes, cannot be written, is in use, damaged, or that of a call with
        other arguments.
    Interrupted
        On Ctrl-C; its ``.trajectory`` holds the frames so far.
    """
    n_steps = checks.integer("n_steps", n_steps, 0, MOST_STEPS)
    burn_in = checks.integer("burn_in", burn_in, 0, MOST_STEPS)
    if stride is not None:
        stride = checks.integer("stride", stride, 1, MOST_STEPS)
    try:  # Ctrl-C before the first step is no other than one after it
        stored = Contents.of_call(checkpoint) if checkpoint is not None else None
        if stored is not None and seed is None:
            seed = stored.header["run"]["seed"]
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
        if burn_in + n_steps > simulation.last_step:
            raise ValueError(
                f"burn_in={burn_in} and n_steps={n_steps} lead to step {burn_in + n_steps}; the noise of this scheme "
                f"in {potential.dim} dimensions ends at {simulation.last_step}"
            )
        frames = [] if stride is None else [Frames(stride)]
        if stride is not None and stride > n_steps > 0:
            warn(
                f"stride={stride} is larger than n_steps={n_steps}: no frame is stored. Use stride={n_steps} or less, "
                "or stride=None if none is wanted"
            )
        watching = Watching("observers", [*frames, *observers] if isinstance(observers, (tuple, list)) else observers)
        call = Call(simulation, watching, burn_in, n_steps, observers, reporters)
        keeper = call.keep(checkpoint, checkpoint_every, stored) if checkpoint is not None else None
    except KeyboardInterrupt:
        raise Interrupted(None) from None
    return call.complete(progress, keeper)
