"""The package's own errors. Wrong arguments are ``ValueError`` or ``TypeError``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .trajectory import Trajectory

__all__ = ["BackendUnavailableError", "DivergenceError", "Interrupted"]


class BackendUnavailableError(RuntimeError):
    """A backend was asked for that cannot run here; the message says what is missing and how to install it."""


class DivergenceError(ArithmeticError):
    """A position or velocity became infinite or NaN.

    The simulation stays usable: it stands at the step before, at which every particle was finite.

    Attributes
    ----------
    step : int
        Number of the first step after which a particle was not finite.
    particle : int
        The lowest-numbered particle of those that diverged at that step.
    stream : int
        Its noise stream: ``streams=[stream]`` reruns it alone.
    last_position : ndarray of shape (dim,)
        Where it was one step before, in length units.
    step_size : float
        Its step size, in time units.
    trajectory : Trajectory or None
        The frames stored before that step (set by :func:`langevin_fast.sample`).
    positions : ndarray of shape (n_particles, dim) or None
        All positions at the step before (set by the samplers of :mod:`langevin_fast.score`).
    """

    def __init__(
        self,
        step: int,
        particle: int,
        stream: int,
        last_position: np.ndarray,
        step_size: float,
        advice: str = 'Use a smaller step_size, or on_divergence="freeze" to let the other particles go on.',
    ) -> None:
        self.step = step
        self.particle = particle
        self.stream = stream
        self.last_position = last_position
        self.step_size = step_size
        self.advice = advice
        self.trajectory: Trajectory | None = None
        self.positions: np.ndarray | None = None
        super().__init__(step, particle, stream, last_position, step_size, advice)

    def __str__(self) -> str:
        where = np.array2string(np.asarray(self.last_position), threshold=6, precision=6)
        return (
            f"particle {self.particle} (stream {self.stream}) is not finite after step {self.step}; its last finite "
            f"position was {where} with step_size={self.step_size:g}. {self.advice}"
        )


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during :func:`langevin_fast.sample`; nothing computed is lost.

    Attributes
    ----------
    trajectory : Trajectory
        The frames stored so far; ``trajectory.final`` is the state at the last complete step.
    """

    def __init__(self, trajectory: Trajectory) -> None:
        self.trajectory = trajectory
        super().__init__(trajectory)

    def __str__(self) -> str:
        return f"interrupted at step {self.trajectory.final.step}; .trajectory holds the frames so far"
