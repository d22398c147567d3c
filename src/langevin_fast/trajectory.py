"""What a run gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .arguments import part_of_state
from .backends.problem import State
from .errors import carrying, warn
from .history import History
from .observers import Frames, Observer
from .potentials.base import Potential
from .potentials.driven import Driven
from .progress import Progress
from .schemes import Scheme
from .stepping import Stepper

if TYPE_CHECKING:
    import arviz
    import xarray

__all__ = ["Trajectory"]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Frames of a run, and how to make them again.

    Attributes
    ----------
    positions : ndarray of shape (n_frames, n_particles, dim)
        In length units; within the boundary.
    velocities : ndarray of shape (n_frames, n_particles, dim) or None
        On-step velocities, in length/time; None for overdamped schemes.
    steps : ndarray of shape (n_frames,)
        The step number of each frame.
    times : ndarray of shape (n_frames,) or (n_frames, n_particles)
        The time of each frame; one per particle where the step sizes are.
    acceptance_rate : ndarray of shape (n_particles,) or None
        Of the steps after the burn-in; None for schemes without Metropolis tests.
    diverged : ndarray of shape (n_particles,)
        For each particle the step after which it was first not finite, or -1; from then on its frames repeat its last
        finite state (only with ``on_divergence="freeze"``).
    final : State
        The state after the last complete step: ``.step``, ``.positions``, ``.velocities``.
    seed : int
        The same seed and arguments give the same bits.
    streams : ndarray of shape (n_particles,)
        The noise stream of each particle.
    backend : str
        Who made the steps.
    potential, scheme
        As given.
    mass : ndarray of shape (1 or n_particles, 1 or dim)
    history : History
        How the run was made: all that :meth:`replay` needs.
    last : State
        What `final` shows, as the kernels have it.
    frames : Frames or None
        What the frames are in.
    observers : tuple
        Those that looked at the run, filled; the same objects.
    """

    positions: np.ndarray
    velocities: np.ndarray | None
    steps: np.ndarray
    times: np.ndarray
    acceptance_rate: np.ndarray | None
    diverged: np.ndarray
    final: State
    seed: int
    streams: np.ndarray
    backend: str
    potential: Potential
    scheme: Scheme
    mass: np.ndarray
    history: History
    last: State = field(repr=False)
    frames: Frames | None = field(repr=False)
    observers: tuple[Observer | Frames, ...] = ()

    @classmethod
    def of(
        cls, run: Stepper, frames: Frames | None, before: State, observers: Sequence[Observer | Frames] = ()
    ) -> Trajectory:
        """What a run and its frames show; acceptances count from the state `before`."""
        beginning = run.beginning
        state = run.state
        none = (0, *state.positions.shape)
        rate = None
        if run.scheme.metropolised:
            with np.errstate(invalid="ignore"):
                rate = (state.accepted - before.accepted) / state.steps_since(before.step)
        steps = np.arange(0) if frames is None else frames.steps
        velocities = None
        if state.velocities is not None:
            velocities = np.empty(none, state.velocities.dtype) if frames is None else frames.velocities
        return cls(
            positions=np.empty(none, state.positions.dtype) if frames is None else frames.positions,
            velocities=velocities,
            steps=steps,
            times=np.asarray(run.times_at(steps)) if frames is None else frames.times,
            acceptance_rate=rate,
            diverged=state.diverged,
            final=state.shown(beginning.problem.walls),
            seed=beginning.problem.seed,
            streams=beginning.problem.streams,
            backend=beginning.backend,
            potential=run.potential,
            scheme=run.scheme,
            mass=beginning.mass,
            history=run.history.until_now(state),
            last=state,
            frames=frames,
            observers=tuple(observers),
        )

    def replay(
        self, particles: ArrayLike | None = None, steps: slice | None = None, *, progress: bool | None = None
    ) -> Trajectory:
        """Any stretch of the run once more, with a frame after every step; the bits are those of the run.

        Noise is a function of seed, stream and step number, so that nothing has to be stored: the stretch is made again
        from the nearest stored state before it.

        Parameters
        ----------
        particles : int or sequence of int, optional
            Default: all.
        steps : slice, optional
            ``slice(a, b)``: the states after steps a <= step < b. Default: from the first state of the run (before the
            burn-in) to the last.
        progress : bool, optional
            As for :func:`langevin_fast.sample`.

        Returns
        -------
        Trajectory
            Of these particles. One that diverged stays where it last was finite.

        Raises
        ------
        TypeError, ValueError
            There is no such particle, or no such step.
        MemoryError
            If the frames would not fit into memory.
        """
        return replay(self.history, self.last, self._state_until, particles, steps, progress)

    def _state_until(self, step: int) -> State:
        """The latest state that is stored, up to a step; acceptances are not known."""
        if self.last.step <= step:
            return self.last
        i = int(np.searchsorted(self.steps, step, "right")) - 1
        if i < 0:
            return self.history.first
        assert self.frames is not None
        return self.frames.state(i, self.last)

    @property
    def unwrapped_positions(self) -> np.ndarray:
        """Positions, (n_frames, n_particles, dim), whose periodic components count the crossings of the boundary."""
        return self.positions if self.frames is None else self.frames.unwrapped_positions

    def warn_of_acceptance(self, n_steps: int) -> None:
        """Warn where no proposal of `n_steps` steps was accepted, or every one."""
        if self.acceptance_rate is None:
            return
        n_tests = n_steps * len(self.acceptance_rate)
        if n_tests >= 100 and not self.acceptance_rate.any():
            warn(f"none of {n_tests} proposals was accepted: nothing has moved. Use a smaller step_size")
        elif n_tests >= 10_000 and (self.acceptance_rate == 1.0).all() and self.potential.largest_curvature != 0.0:
            warn(f"all of {n_tests} proposals were accepted: a larger step_size would move faster")

    def __repr__(self) -> str:
        n_frames, n_particles, dim = self.positions.shape
        return (
            f"<Trajectory: {n_frames} frames of {n_particles} particles in {dim} dimensions, "
            f"{self.potential!r}, {self.scheme!r}, seed={self.seed}>"
        )

    @cached_property
    def energies(self) -> np.ndarray:
        """U of every frame and particle, (n_frames, n_particles), in energy units; computed when first asked for."""
        if len(self.history) > 1:  # each with the numbers of its time
            after = zip(self.steps.tolist(), self.positions, strict=True)
            energies = [self.history.potential_after(step).energy(x) for step, x in after]
            return np.array(energies).reshape(self.positions.shape[:2])
        if isinstance(self.potential, Driven):
            return self.potential.energy(self.positions, self.times)
        return self.potential.energy(self.positions)

    @property
    def kinetic_energies(self) -> np.ndarray | None:
        """Of each frame and particle, from the on-step velocities, (n_frames, n_particles); None without these."""
        if self.velocities is None:
            return None
        return 0.5 * (self.mass * np.square(self.velocities, dtype=np.float64)).sum(axis=2)

    def to_xarray(self) -> xarray.Dataset:
        """The frames as an ``xarray.Dataset`` with dimensions (chain, draw, component), as ArviZ wants them.

        Variables ``x`` and, with velocities, ``v``; coordinates ``step``, ``time`` (where one step size serves all),
        ``stream`` and ``acceptance_rate``.

        Raises
        ------
        ImportError
            If xarray is not installed (extra ``xarray``).
        """
        try:
            import xarray
        except ImportError:
            raise ImportError("to_xarray needs xarray: pip install 'langevin-fast[xarray]'") from None
        dims = ("chain", "draw", "component")
        variables: dict[str, Any] = {"x": (dims, np.swapaxes(self.positions, 0, 1))}
        if self.velocities is not None:
            variables["v"] = (dims, np.swapaxes(self.velocities, 0, 1))
        coordinates: dict[str, Any] = {
            "chain": np.arange(self.positions.shape[1]),
            "draw": np.arange(len(self.steps)),
            "component": np.arange(self.positions.shape[2]),
            "step": ("draw", self.steps),
            "stream": ("chain", self.streams.astype(np.int64)),
        }
        if self.times.ndim == 1:
            coordinates["time"] = ("draw", self.times)
        if self.acceptance_rate is not None:
            coordinates["acceptance_rate"] = ("chain", self.acceptance_rate)
        attributes = {
            # xarray's file formats know no unsigned 64-bit attributes
            "seed": str(self.seed),
            "backend": self.backend,
            "potential": repr(self.potential),
            "scheme": repr(self.scheme),
        }
        return xarray.Dataset(variables, coordinates, attributes)

    def to_inference_data(self) -> arviz.InferenceData:
        """The frames as ``arviz.InferenceData``: posterior ``x`` (chain, draw, component), sample_stats ``lp``.

        ``lp`` is -U/kT; it is left out where kT = 0.

        Raises
        ------
        ImportError
            If ArviZ is not installed (extra ``arviz``).
        """
        try:
            import arviz
        except ImportError:
            raise ImportError("to_inference_data needs ArviZ: pip install 'langevin-fast[arviz]'") from None
        stats = {}
        kT = self.history.kT_at(self.steps) if len(self.history) > 1 else self.scheme.kT_at(self.times)
        if self.potential.has_energy and np.all(kT > 0):
            stats["lp"] = np.swapaxes(-self.energies / kT, 0, 1)
        return arviz.from_dict(
            posterior={"x": np.swapaxes(self.positions, 0, 1)},
            sample_stats=stats or None,
            coords={"component": np.arange(self.positions.shape[2])},
            dims={"x": ["component"]},
        )


def replay(
    history: History,
    last: State,
    stored: Callable[[int], State],
    particles: ArrayLike | None,
    steps: slice | None,
    progress: bool | None,
) -> Trajectory:
    """Some particles and steps of a run that stands at `last`; ``stored(step)`` is the latest state up to a step."""
    chosen = _particles(particles, len(last.positions))
    if not (steps is None or (isinstance(steps, slice) and steps.step in (None, 1))):
        raise TypeError(f"steps must be slice(first, end), without a stride; got {checks.shorten(steps)}")
    first, end = history.first.step, last.step + 1
    if steps is not None and steps.stop is not None:
        end = checks.integer("the end of steps", steps.stop, first + 1, end)
    if steps is not None and steps.start is not None:
        first = checks.integer("the first of steps", steps.start, first, end - 1)
    bad = last.diverged[chosen]
    # one that diverged has to do so again
    state = history.first if history.restarts else stored(int(min([first, *(bad[bad >= 0] - 1)])))
    part, number = history.part(chosen), history.number_at(state.step)
    start = part_of_state(state, chosen)
    stepper = Stepper(History(part[: number + 1]), start)
    frames = Frames.between(start, first, end, history.walls)

    def made() -> Trajectory:
        frames.end(stepper.state.step, stepper.times_at)
        return Trajectory.of(stepper, frames, start)

    bar = Progress.of(progress, end - 1 - start.step)
    with carrying(lambda: (made(), [frames], stepper.state.step)), bar as shown:
        for i in range(number, len(part)):
            # as the whole went on from here
            here = stepper.state
            stepper = Stepper(History(part[: i + 1]), replace(here, observed=part[i].movers_at(here.step)))
            until = end - 1 if i + 1 == len(part) else min(part[i + 1].step, end - 1)
            stepper.advance(until - here.step, frames.recordings, shown)
    return made()


def _particles(given: ArrayLike | None, n: int) -> np.ndarray:
    """Their numbers."""
    numbers = np.arange(n) if given is None else np.atleast_1d(np.asarray(given))
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or not len(numbers):
        raise TypeError(f"particles must be one or more integers; got {checks.shorten(given)}")
    if numbers.min() < 0 or numbers.max() >= n:
        raise ValueError(f"particles must be from 0 to {n - 1}; got {checks.shorten(given)}")
    return numbers.astype(np.int64)
