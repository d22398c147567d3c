"""What a simulation did from which step on: all that makes any stretch of it once more."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .arguments import Beginning, part_of
from .backends.problem import Observed, Stages, State
from .boundaries import Walls
from .potentials.base import Potential
from .rows import Drive

__all__ = ["History", "Segment"]


class Segment(NamedTuple):
    """Steps between two changes.

    Attributes
    ----------
    step : int
        After so many steps it begins, ...
    time : float or (n,) array
        ... at this time.
    beginning : Beginning
        What the steps are made with. The state in it is that of the first segment.
    movers : tuple of Observed
        What observers that stop particles, or let them start anew, had seen when it ended.
    """

    step: int
    time: float | np.ndarray
    beginning: Beginning
    movers: tuple[Observed, ...]

    def times_at(self, steps: int | np.ndarray) -> float | np.ndarray:
        """The time after so many steps; one more axis, of particles, where each has a step size."""
        b = self.beginning
        if isinstance(b.problem.changes, Stages):
            counts = b.problem.changes.steps_of(np.asarray(steps))
            return sum(np.multiply.outer(counts[..., i], scheme.step_size) for i, scheme in enumerate(b.schemes))
        elapsed = np.multiply.outer(np.asarray(steps) - self.step, b.schemes[0].step_size)
        each = np.ndim(self.time) > 0 and np.ndim(b.schemes[0].step_size) == 0
        return self.time + (elapsed[..., np.newaxis] if each else elapsed)

    def movers_at(self, step: int) -> tuple[Observed, ...]:
        """What these observers had seen after a step of this segment, as far as it matters to the motion."""
        seen = []
        for mover in self.movers:
            marks = mover.marks.copy()
            marks[:1][marks[:1] > step] = -1
            seen.append(mover._replace(marks=marks))
        return tuple(seen)


class History(tuple[Segment, ...]):
    """Segments, one after the other."""

    __slots__ = ()

    @classmethod
    def of(cls, beginning: Beginning) -> History:
        """Nothing has changed yet."""
        return cls((Segment(0, 0.0, beginning, ()),))

    @property
    def walls(self) -> Walls | None:
        """The boundary."""
        return self[0].beginning.problem.walls

    @property
    def restarts(self) -> bool:
        """Whether observers have put particles back: then a frame may show one that went on elsewhere."""
        return any(mover.reduction.restart is not None for segment in self for mover in segment.movers)

    @property
    def first(self) -> State:
        """The state at which everything began."""
        return self[0].beginning.state

    def turned(self, step: int, beginning: Beginning, movers: Sequence[Observed]) -> History:
        """With other numbers, or other observers, from a step on; `movers`: what those so far have seen."""
        last = self[-1]
        if last.step == step and len(self) > 1:
            return History((*self[:-1], last._replace(beginning=beginning)))
        segment = Segment(step, last.times_at(step), beginning, ())
        return History((*self[:-1], last._replace(movers=tuple(movers)), segment))

    def until_now(self, state: State) -> History:
        """With what observers have seen up to a state."""
        return History((*self[:-1], self[-1]._replace(movers=movers_of(state))))

    def number_at(self, step: int) -> int:
        """Which segment makes the step after so many."""
        return max(bisect.bisect_right(self, step, key=lambda segment: segment.step) - 1, 0)

    def potential_after(self, step: int) -> Potential:
        """U of the state after so many steps."""
        return self[self.number_at(step - 1)].beginning.problem.potential_after(step)

    def kT_at(self, steps: np.ndarray) -> np.ndarray:
        """Temperatures after (k,) steps, (k, 1 or n)."""
        rows = []
        for step in steps.tolist():
            b = self[self.number_at(step - 1)].beginning
            scheme = b.problem.changes.scheme if isinstance(b.problem.changes, Drive) else b.schemes[0]
            rows.append(np.ravel(scheme.kT_at(np.reshape(self.times_at(step), -1)[:1])))
        return np.array(rows)

    def times_at(self, steps: int | np.ndarray) -> float | np.ndarray:
        """The time after so many steps from step 0 on; one more axis, of particles, where each has a step size."""
        if len(self) == 1:
            return self[0].times_at(steps)
        if np.ndim(steps) == 0:
            return self[self.number_at(int(steps) - 1)].times_at(steps)
        times = [np.asarray(self[self.number_at(step - 1)].times_at(step)) for step in np.ravel(steps).tolist()]
        each = max((time.ndim for time in times), default=0)
        n = max((time.size for time in times), default=1)
        table = np.array([np.broadcast_to(time, (n,) if each else ()) for time in times])
        return table.reshape(np.shape(steps) + (n,) * each)

    def part(self, particles: np.ndarray) -> History:
        """That of some of the particles."""

        def of(segment: Segment) -> Segment:
            return segment._replace(
                time=segment.time if np.ndim(segment.time) == 0 else np.asarray(segment.time)[particles],
                beginning=part_of(segment.beginning, particles),
                movers=tuple(
                    mover._replace(
                        reduction=mover.reduction.of_particles(particles),
                        reals=mover.reals[:, particles],
                        marks=mover.marks[:, particles],
                    )
                    for mover in segment.movers
                ),
            )

        return History(of(segment) for segment in self)


def movers_of(state: State) -> tuple[Observed, ...]:
    """The observers of a state that stop particles or let them start anew."""
    return tuple(o for o in state.observed if o.reduction.stops or o.reduction.restart is not None)
