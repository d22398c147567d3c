"""What a simulation did from which step on: all that makes any stretch of it once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .arguments import Beginning, part_of
from .backends.problem import Observed, Stages, State
from .boundaries import Walls

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
        return max((i for i, segment in enumerate(self) if segment.step <= step), default=0)

    def times_at(self, steps: int | np.ndarray) -> float | np.ndarray:
        """The time after so many steps from step 0 on; one more axis, of particles, where each has a step size."""
        steps = np.asarray(steps)
        times = np.asarray(self[0].times_at(steps))
        for segment in self[1:]:
            later = np.asarray(segment.times_at(steps))
            after = (steps > segment.step).reshape(steps.shape + (1,) * (later.ndim - steps.ndim))
            times = np.where(after, later, times if times.ndim == later.ndim else times[..., np.newaxis])
        return times

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
