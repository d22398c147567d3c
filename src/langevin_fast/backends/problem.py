"""A frozen description of a simulation, and the state that moves through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..potentials.base import Potential
from ..schemes import Program


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that does not change while steps are made; arrays are in the run's precision."""

    potential: Potential
    parameters: np.ndarray
    program: Program
    dtype: Any
    seed: int
    streams: np.ndarray  # (n,), uint64


@dataclass(frozen=True, eq=False)
class State:
    """Where a simulation stands. Never changed in place: an interrupted chunk leaves the old one as it was.

    Attributes
    ----------
    step : int
        Number of steps made.
    positions : ndarray of shape (n_particles, dim)
        In length units.
    velocities : ndarray of shape (n_particles, dim) or None
        On-step, in length/time; None for overdamped schemes.
    accepted : ndarray of shape (n_particles,)
        Accepted proposals so far.
    diverged : ndarray of shape (n_particles,)
        The step after which the particle was first not finite, or -1.
    """

    step: int
    positions: np.ndarray
    velocities: np.ndarray | None
    accepted: np.ndarray
    diverged: np.ndarray

    def __post_init__(self) -> None:
        for array in (self.positions, self.velocities, self.accepted, self.diverged):
            if array is not None:
                array.flags.writeable = False


class StoppedError(Exception):
    """A backend was stopped by an error of the user's, between the steps.

    Attributes
    ----------
    state : State
        After the last complete step.
    error : BaseException
        What was raised.
    """

    def __init__(self, state: State, error: BaseException) -> None:
        self.state = state
        self.error = error
        super().__init__(state, error)


@dataclass(frozen=True, eq=False)
class Frames:
    """Arrays that take the frames of a run, and which steps they are.

    Frame i is the state after step ``first + i * stride``.
    """

    first: int
    stride: int
    positions: np.ndarray  # (n_frames, n, dim)
    velocities: np.ndarray | None

    def until(self, step: int) -> int:
        """How many frames are complete once `step` steps are made."""
        return int(np.clip((step - self.first) // self.stride + 1, 0, len(self.positions)))
