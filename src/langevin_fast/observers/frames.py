"""Frames: states of a run, stored."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..backends.problem import Recording, State
from ..boundaries import Walls
from ..memory import check_memory
from .base import Looking

__all__ = ["Frames"]


class Frames(Looking):
    """Stores every so-manieth state of one run.

    Frames are the states after steps s0 + start + every, s0 + start + 2 every, ..., where s0 is the step at which the
    run begins. The first state of the run is none of them.

    Parameters
    ----------
    every : int, default 1
        >= 1.
    start : int, default 0
        >= 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> simulation = lf.Simulation(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=5, seed=1)
    >>> frames = lf.observers.Frames(every=100)
    >>> simulation.run(1000, record=[frames])
    >>> frames.positions.shape
    (10, 5, 1)
    """

    def __init__(self, every: int = 1, start: int = 0) -> None:
        super().__init__(every, start)
        self._recording: Recording | None = None
        self._n = 0
        self._times = np.empty(0)
        self._walls: Walls | None = None

    def __repr__(self) -> str:
        return f"<Frames: {self._n} so far, every={self._every}, start={self._start}>"

    @property
    def begun(self) -> bool:
        """Whether a run has begun that is recorded here."""
        return self._recording is not None

    @property
    def steps(self) -> np.ndarray:
        """The step number of each frame, (n_frames,)."""
        recording = self._of_a_run()
        return recording.first + recording.every * np.arange(self._n)

    @property
    def times(self) -> np.ndarray:
        """The time of each frame, counted from step 0, (n_frames,); (n_frames, n_particles) where step sizes differ."""
        self._of_a_run()
        return self._times

    @property
    def positions(self) -> np.ndarray:
        """Positions, (n_frames, n_particles, dim), in length units."""
        return self._shown()[0]

    @property
    def unwrapped_positions(self) -> np.ndarray:
        """Positions, (n_frames, n_particles, dim), whose periodic components count the crossings of the boundary."""
        x = self._of_a_run().positions[: self._n]
        return x if self._walls is None else self._walls.unwrapped(x)

    @property
    def velocities(self) -> np.ndarray | None:
        """On-step velocities, (n_frames, n_particles, dim), in length/time; None for overdamped schemes."""
        return self._shown()[1]

    def _shown(self) -> tuple[np.ndarray, np.ndarray | None]:
        recording = self._of_a_run()
        x = recording.positions[: self._n]
        v = None if recording.velocities is None else recording.velocities[: self._n]
        return (x, v) if self._walls is None else self._walls.shown(x, v)

    def state(self, index: int, like: State) -> State:
        """A frame as the kernels have it; acceptances are not known."""
        recording = self._of_a_run()
        v = None if recording.velocities is None else recording.velocities[index]
        step = recording.first + index * recording.every
        return State(step, recording.positions[index], v, like.accepted, like.diverged)

    def check_unused(self) -> None:
        """Raise ValueError if there are frames already."""
        if self._recording is not None:
            raise ValueError(
                f"observers or record: {self!r} holds the frames of a run already; make a new one for this run"
            )

    def n_bytes(self, state: State, n_steps: int) -> int:
        """How much memory the frames of a run of `n_steps` steps from a state take."""
        return self.n_frames(n_steps) * state.positions.nbytes * (1 if state.velocities is None else 2)

    def n_frames(self, n_steps: int) -> int:
        """How many frames there are of a run of `n_steps` steps."""
        return max(n_steps - self._start, 0) // self._every

    def begin(self, state: State, n_steps: int, walls: Walls | None) -> Recording:
        """The arrays for a run of `n_steps` steps from a state, within a boundary."""
        self._walls = walls
        shape = (self.n_frames(n_steps), *state.positions.shape)
        self._recording = Recording(
            state.step + self._start + self._every,
            self._every,
            np.empty(shape, state.positions.dtype),
            None if state.velocities is None else np.empty(shape, state.positions.dtype),
        )
        return self._recording

    @classmethod
    def between(cls, state: State, first: int, end: int, walls: Walls | None) -> Frames:
        """Those of the states after steps `first` to ``end - 1`` of a run that goes on from a state, up to `first`.

        Raises
        ------
        MemoryError
            If they would not fit into memory.
        """
        frames = cls()
        frames._walls = walls
        n = end - first
        check_memory(n * frames.n_bytes(state, 1), f"the {n} frames of {len(state.positions)} particles")
        shape = (n, *state.positions.shape)
        x = np.empty(shape, state.positions.dtype)
        v = None if state.velocities is None else np.empty(shape, state.positions.dtype)
        if state.step == first:
            x[0] = state.positions
            if v is not None:
                v[0] = state.velocities
        frames._recording = Recording(first, 1, x, v)
        return frames

    @property
    def recordings(self) -> list[Recording]:
        """What the steps of the run are to be made with."""
        return [self._of_a_run()]

    def end(self, step: int, times_at: Callable[[np.ndarray], float | np.ndarray]) -> None:
        """The run stands at this step: later frames do not count. `times_at` gives the times after so many steps."""
        self._n = self._of_a_run().until(step)
        self._times = np.asarray(times_at(self.steps))

    def _of_a_run(self) -> Recording:
        if self._recording is None:
            raise ValueError(f"{self!r} has seen no run: pass it to Simulation.run(..., record=[...])")
        return self._recording
