"""A simulation that can be run on and looked at: the object behind :func:`langevin_fast.sample`."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import arguments, checks
from .backends.problem import Recording, State
from .boundaries import Boundary
from .checkpoints import Contents, Keeper, Lock, path_of, save, unpacked
from .errors import CheckpointError, carrying
from .keywords import hinting
from .observers import Frames, Observer, Watching
from .potentials.base import Potential
from .progress import Progress
from .readings import Readings
from .reporters import Reporter, Reporting
from .schedules import Schedule
from .schemes import Scheme
from .stepping import Seam, Stepper
from .trajectory import Trajectory, replay

__all__ = ["Simulation"]


class Simulation(Readings):
    """Particles that move by a scheme in a potential.

    Parameters
    ----------
    potential : Potential
        U, from :mod:`langevin_fast.potentials`.
    scheme : Scheme
        For example ``lf.BAOAB(step_size=0.05, friction=1.0)``.
    initial : array_like of shape (dim,) or (n_particles, dim), optional
        Positions, in length units; one point starts all particles. Default: the potential's documented start.
    velocities : array_like of shape (dim,) or (n_particles, dim), optional
        Underdamped schemes only, in length/time. Default: drawn from the Maxwell-Boltzmann distribution at kT, from
        noise of their own.
    n_particles : int, optional
        Default: what the shapes of the other arguments say, else 1.
    mass : float or array_like of shape (dim,), (1, dim), (n_particles, 1) or (n_particles, dim), default 1
        Underdamped schemes only.
    seed : int, optional
        0 <= seed < 2**64. Default: a new one, which ``.seed`` reports.
    backend : {"auto", "cpp", "numba", "cuda", "batch"}
        Who makes the steps; :func:`langevin_fast.explain_backend` says who can.
    precision : {"double", "single"}
        Of the state, the noise and all arithmetic.
    threads : int, optional
        Default: as many as OpenMP offers; fewer are used where the system has no more. The results do not depend on it.
    streams : sequence of int, optional
        The noise stream of each particle, 0 <= stream < 2**56. Default: 0, 1, 2, ...; ``streams=[17]`` reruns particle
        17 alone.
    first_step : int, default 0
        Steps already made. With the positions (and velocities) of an earlier run this continues it.
    on_divergence : {"raise", "freeze"}
        When a particle is no longer finite: a :class:`DivergenceError`, or it stays where it last was (``.diverged``).
    boundary : lf.Periodic, lf.Reflecting or several, optional
        A box or walls; several, where different components have different ones.
    observers : sequence of observers
        From :mod:`langevin_fast.observers`; they look from the first step on, at every run. :meth:`run` takes `Frames`,
        and observers that are to look at one run alone.

    Notes
    -----
    Attributes cannot be set: what it does is fixed when it is made. Pickles and copies go on to the same bits.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed; the message names it.
    MemoryError
        If the state would not fit into memory.
    """

    @hinting
    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        *,
        initial: ArrayLike | None = None,
        velocities: ArrayLike | None = None,
        n_particles: int | None = None,
        mass: ArrayLike = 1.0,
        seed: int | None = None,
        backend: str = "auto",
        precision: str = "double",
        threads: int | None = None,
        streams: Sequence[int] | np.ndarray | None = None,
        first_step: int = 0,
        on_divergence: str = "raise",
        boundary: Boundary | Sequence[Boundary] | None = None,
        observers: Sequence[Observer] = (),
    ) -> None:
        watching = Watching("observers", observers)
        if watching.frames:
            raise TypeError("observers: Frames store a run of known length; give them to run(n_steps, record=[...])")
        self._stepper = Stepper.of(
            arguments.begin(
                [potential],
                [scheme],
                initial=initial,
                velocities=velocities,
                n_particles=n_particles,
                mass=mass,
                seed=seed,
                backend=backend,
                precision=precision,
                threads=threads,
                streams=streams,
                first_step=first_step,
                on_divergence=on_divergence,
                boundary=boundary,
            )
        )
        watching.check(self._stepper.run, self.state, 0)
        self._stepper.observe(watching, 0)
        self._watching = watching

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_"):
            how = "make a new one, with initial=, velocities= and first_step= from this one to continue it"
            raise AttributeError(f"{name}: attributes of a simulation cannot be set; {how}")
        super().__setattr__(name, value)

    def __getstate__(self) -> dict[str, Any]:
        # a copy goes its own way, and so do its observers
        return {**self.__dict__, "_stepper": copy.copy(self._stepper), "_watching": copy.copy(self._watching)}

    def __repr__(self) -> str:
        return (
            f"<Simulation of {self.n_particles} particles at step {self.step}: {self.potential!r}, {self.scheme!r}, "
            f"seed={self.seed}, backend={self.backend!r}, precision={self.precision!r}>"
        )

    @hinting
    def run(
        self,
        n_steps: int,
        *,
        record: Sequence[Observer | Frames] = (),
        progress: bool | Progress | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | str = "10 min",
        reporters: Sequence[Reporter] = (),
    ) -> None:
        """Make `n_steps` steps. ``run(a); run(b)`` gives the same bits as ``run(a + b)``.

        Ctrl-C raises :class:`Interrupted`, a ``KeyboardInterrupt``, within half a second and leaves the simulation at a
        complete step.

        Parameters
        ----------
        n_steps : int
            >= 0.
        record : sequence of observers
            Those that look at this run alone, `Frames` among them (seven at most). Not with `checkpoint`, which holds
            those of the simulation.
        progress : bool or Progress, optional
            A progress bar (tqdm). Default: when tqdm is installed, the run is long and stderr is a terminal. An open
            bar goes on.
        checkpoint : path, optional
            A file that holds this simulation, for :meth:`load`: written now and then, at the end, and when the run is
            stopped by an error, Ctrl-C or SIGTERM (which then has the effect that it would have had). The one before is
            kept too, as ``<checkpoint>.previous``. While it runs, no other process can write there.
        checkpoint_every : int or str, default "10 min"
            How often it is written: a number of steps (at its multiples), or a time such as "30 s", "10 min" or "2 h".
        reporters : sequence of reporters
            From :mod:`langevin_fast.reporters`: files of frames, logs, functions that are called. What they have
            written is on the disk before a checkpoint is.

        Raises
        ------
        DivergenceError
            If a particle is no longer finite; the simulation then stands at the step before.
        CheckpointError
            If the checkpoint, or what a reporter writes, cannot be written, is in use, or holds another run or a later
            state of this one. The simulation stays usable.
        Interrupted
            On Ctrl-C. This and every other error (an exception of the user's too) carries what was computed, as
            ``.trajectory`` (with the frames of the first of `record`) and ``.observers``.
        """
        n_steps = checks.integer("n_steps", n_steps, 0, arguments.MOST_STEPS)
        watching = Watching("record", record)
        reporting = Reporting.of(reporters, self, self.step, self.step + n_steps, len(watching.frames))
        keeper = None
        if checkpoint is not None:
            if watching.all:
                raise ValueError("record: checkpoints do not hold it; give observers to Simulation(observers=[...])")
            observers = self._watching.observers
            more = None if reporting is None else reporting.on_disk
            keeper = Keeper(checkpoint, checkpoint_every, self._stepper, observers, more=more)
        self._make_steps(n_steps, progress, watching, keeper=keeper, reporting=reporting)

    def make_steps(
        self,
        n_steps: int,
        progress: Progress,
        seams: Sequence[Seam],
        recordings: Sequence[Recording] = (),
    ) -> None:
        """What :meth:`run` does, for frames that are there already, with seams."""
        self._make_steps(n_steps, progress, Watching("record", ()), seams, recordings)

    def observe(self, watching: Watching, n_steps: int) -> list[Recording]:
        """Let others look from here on, in every run; the arrays for the frames among them."""
        recordings = self._stepper.observe(watching, n_steps)
        self._watching = watching
        return recordings

    def resume(self, stepper: Stepper, watching: Watching | None = None) -> None:
        """Stand where a run was stored, observed by those whom it holds."""
        self._stepper = stepper
        if watching is not None:
            self._watching = watching
        self.show_observers()

    def _make_steps(
        self,
        n_steps: int,
        progress: bool | Progress | None,
        watching: Watching,
        seams: Sequence[Seam] = (),
        recordings: Sequence[Recording] = (),
        keeper: Keeper | None = None,
        reporting: Reporting | None = None,
    ) -> None:
        self._stepper.check_steps("n_steps", n_steps)
        first = len(self._watching.observers)
        self._stepper.dismiss(first)  # whom an interrupt in a bad moment left there
        before = self.state
        bar = Progress.of(progress, n_steps)
        watching.check(self._stepper.run, before, n_steps)

        def see() -> None:
            self.show_observers()
            watching.see(self._stepper.run, self.state, self.times_at, first)

        def show() -> None:
            see()
            self._stepper.dismiss(first)

        def note() -> str:
            see()
            return ", ".join(filter(None, (one.in_brief for one in (*self._watching.observers, *watching.observers))))

        def computed() -> tuple[Trajectory, Sequence[Observer | Frames], int]:
            show()
            frames = next((f for f in (*self._watching.frames, *watching.frames) if f.begun), None)
            everyone = (*self._watching.all, *watching.all)
            return Trajectory.of(self.stepper, frames, before, everyone), everyone, self.step

        with carrying(computed):
            # the checkpoint's file is looked at before those of reporters are cut back to it
            with bar as shown, keeper or nullcontext(), reporting or nullcontext():
                shown.note = note
                recordings = [*recordings, *self._stepper.observe(watching, n_steps)]
                self._stepper.advance(
                    n_steps, recordings, shown, [*seams, *(s for s in (reporting, keeper) if s is not None)]
                )
            show()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything that :meth:`load` needs to go on to the same bits.

        The file takes its place in one moment: whatever happens, there is a whole one. The one before is kept, as
        ``<path>.previous``. It is a zip archive of a JSON header and NumPy arrays, with checksums.

        Parameters
        ----------
        path : path

        Raises
        ------
        CheckpointError
            If it cannot be written, or another process is writing there.

        Examples
        --------
        >>> import tempfile, pathlib, langevin_fast as lf
        >>> simulation = lf.Simulation(lf.potentials.DoubleWell(), lf.BAOAB(0.1, friction=1.0), n_particles=9, seed=1)
        >>> simulation.run(100)
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.ckpt"
        >>> simulation.save(path)
        >>> simulation.run(100)
        >>> again = lf.Simulation.load(path)
        >>> again.run(100)
        >>> bool((again.positions == simulation.positions).all())
        True
        """
        path = path_of("path", path)
        with Lock(path):
            save(path, self._stepper, self._watching.observers)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        potential: Potential | None = None,
        observers: Sequence[Observer] | None = None,
        backend: str | None = None,
        threads: int | None = None,
    ) -> Simulation:
        """The simulation of a checkpoint, which goes on to the bits of one that was never interrupted.

        Parameters
        ----------
        path : path
            What :meth:`save` or ``run(checkpoint=...)`` wrote.
        potential : Potential, optional
            The potential it was made with, or its present one: wanted where it consists of Python functions that are
            not in this process under their names, or of what no file can hold (machine code, a network). It must be the
            same: functions are compared by their code, constants and closures.
        observers : sequence of observers, optional
            New ones, made with the arguments of those of the file: they are filled. Default: they are made anew.
        backend : str, optional
            Default: that of the file. The bits are the same.
        threads : int, optional
            As for :class:`Simulation`.

        Raises
        ------
        CheckpointError
            If the file is damaged (the message names the generation before, where that is whole), what is given is not
            what it was written with, or this version's runs have other bits.
        FileNotFoundError
            If there is none.
        """
        stored = Contents.of(path_of("path", path))
        if "call" in stored.header:
            raise CheckpointError(f"{str(path)!r} belongs to lf.sample: call that again, with the same checkpoint=")
        simulation = cls.__new__(cls)
        watching = None if observers is None else Watching("observers", observers)
        stepper, filled = unpacked(stored, potential, observers, backend, threads)
        simulation.resume(stepper, watching or Watching("observers", filled))
        return simulation

    def replay(
        self, particles: ArrayLike | None = None, steps: slice | None = None, *, progress: bool | None = None
    ) -> Trajectory:
        """Any stretch of the run so far once more, with a frame after every step; see :meth:`Trajectory.replay`.

        It is made again from the first state of the simulation, which is the only one that it stores, or is the
        present one.
        """
        history, last = self.stepper.history.until_now(self.state), self.state
        stored = functools.partial(_nearest, (history.first, last))
        return replay(history, last, stored, particles, steps, progress)

    @hinting
    def update(
        self,
        *,
        kT: ArrayLike | Schedule | None = None,
        step_size: ArrayLike | None = None,
        potential: dict[str, Any] | None = None,
    ) -> None:
        """Go on with other numbers from this step on.

        What is changed is remembered: :meth:`replay` and copies repeat it, and times count on from the present one.
        Observers go on; to :class:`langevin_fast.observers.Work` a jump of the potential is work.

        Parameters
        ----------
        kT : float, (n_particles,) array or Schedule, optional
        step_size : float or (n_particles,) array, optional
            Not while observers look, which count steps and show times.
        potential : dict, optional
            New values of arguments of the potential, by name: ``{"k": 2.0}``; in a sum with the index of the term:
            ``{"1.k": 2.0, "1.weight": 0.5}``. A schedule counts from time 0.

        Raises
        ------
        TypeError, ValueError
            If a value is not allowed, or the potential has no argument of a name.

        Examples
        --------
        >>> import langevin_fast as lf
        >>> simulation = lf.Simulation(lf.potentials.Harmonic(1.0), lf.ULA(0.01), n_particles=10, seed=1)
        >>> simulation.run(100)
        >>> simulation.update(kT=2.0, potential={"stiffness": 4.0})
        >>> simulation.run(100)
        """
        if step_size is not None and self.state.observed:
            raise ValueError(
                f"step_size={checks.shorten(step_size)}: observers look, which count steps; give them to run(record=)"
            )
        present, scheme = self.potential, self.scheme.replace(step_size=step_size, kT=kT)
        if potential is not None and not isinstance(potential, dict):
            raise TypeError(f'potential must be a dict such as {{"k": 2.0}}; got {checks.shorten(potential)}')
        unknown = [name for name in potential or {} if name not in present._arguments]
        if unknown:
            raise ValueError(
                f"potential: {unknown[0]!r} is no argument of {present!r}; it has {list(present._arguments)}"
            )
        try:
            new = present.with_values(potential) if potential else present
        except TypeError as error:
            raise TypeError(f"potential: {present!r} cannot be made with {potential!r}: {error}") from None
        time = self._stepper.times_at(self.step)
        self._stepper.turn(arguments.changed(self._stepper.beginning, new, scheme, self.step, time, self.state))
        # the state alone changed, and not what is shown of it
        self.show_observers()


def _nearest(states: Sequence[State], step: int) -> State:
    """The last of some states up to a step."""
    return [state for state in states if state.step <= step][-1]
