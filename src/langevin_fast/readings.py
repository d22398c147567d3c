"""What a simulation shows of itself."""

from __future__ import annotations

import numpy as np

from . import checks
from .backends.problem import State
from .observers import Frames, Observer, Watching
from .potentials.base import Potential
from .schemes import Scheme
from .stepping import Stepper


class Readings:
    """The attributes of a simulation."""

    _stepper: Stepper
    _watching: Watching

    @property
    def stepper(self) -> Stepper:
        """Where the run stands, and how it goes on."""
        return self._stepper

    @property
    def observers(self) -> tuple[Observer | Frames, ...]:
        """Those that look at every run, in the order in which they were given."""
        return self._watching.all

    def show_observers(self) -> None:
        """Let the observers of every run show what they have seen so far."""
        self._watching.see(self._stepper.run, self.state, self.times_at, 0)

    @property
    def potential(self) -> Potential:
        """U; a function of time too where a number of it follows a schedule."""
        return self._stepper.potential

    @property
    def scheme(self) -> Scheme:
        """What makes the steps."""
        return self._stepper.scheme

    @property
    def seed(self) -> int:
        """Of the noise."""
        return self._stepper.beginning.problem.seed

    @property
    def backend(self) -> str:
        """Who makes the steps."""
        return self._stepper.beginning.backend

    @property
    def precision(self) -> str:
        """Of all arithmetic."""
        return "double" if self._stepper.beginning.problem.dtype is np.float64 else "single"

    @property
    def state(self) -> State:
        """The state after the last complete step."""
        return self._stepper.state

    @property
    def n_particles(self) -> int:
        """Number of particles."""
        return len(self.state.positions)

    @property
    def positions(self) -> np.ndarray:
        """Positions, (n_particles, dim), in length units; a read-only snapshot."""
        return self._shown.positions

    @property
    def unwrapped_positions(self) -> np.ndarray:
        """Positions, (n_particles, dim), whose periodic components count the crossings of the boundary."""
        walls, x = self._stepper.beginning.problem.walls, self.state.positions
        return x if walls is None else walls.unwrapped(x)

    @property
    def velocities(self) -> np.ndarray | None:
        """On-step velocities, (n_particles, dim), in length/time; None for overdamped schemes."""
        return self._shown.velocities

    @property
    def _shown(self) -> State:
        return self.state.shown(self._stepper.beginning.problem.walls)

    @property
    def step(self) -> int:
        """Number of steps made."""
        return self.state.step

    @property
    def last_step(self) -> int:
        """The last step that the noise reaches."""
        return self._stepper.beginning.problem.last_step

    @property
    def time(self) -> float | np.ndarray:
        """The time, one per particle where the step sizes are."""
        return checks.plain(np.asarray(self.times_at(self.step)))

    def times_at(self, steps: int | np.ndarray) -> float | np.ndarray:
        """The times after so many steps, counted from step 0; with a last axis of particles where these differ."""
        return self._stepper.times_at(steps)

    @property
    def mass(self) -> np.ndarray:
        """Masses, (1 or n_particles, 1 or dim)."""
        return self._stepper.beginning.mass

    @property
    def streams(self) -> np.ndarray:
        """The noise stream of each particle, (n_particles,)."""
        return self._stepper.beginning.problem.streams

    @property
    def acceptance_rate(self) -> np.ndarray | None:
        """Fraction of accepted proposals of each particle since the first step; None for schemes without tests."""
        if not self.scheme.metropolised:
            return None
        with np.errstate(invalid="ignore"):
            return self.state.accepted / self.state.steps_since(self._stepper.history.first.step)

    @property
    def diverged(self) -> np.ndarray:
        """For each particle the step after which it was first not finite, or -1; (n_particles,)."""
        return self.state.diverged
