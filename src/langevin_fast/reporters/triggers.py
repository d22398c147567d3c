"""When a reporter is due."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..checkpoints import FAR, Interval
from ..readings import Readings


class Trigger:
    """Every so many steps or so much time, or at given steps; and there only if a condition holds.

    Parameters
    ----------
    every : int or str or None
        Due at multiples of it, as numbers of steps; or after a time such as "30 s".
    steps : sequence of int or None
        Due at these steps. Either this or `every`.
    when : callable or None
        ``when(simulation)`` is asked there.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """

    def __init__(
        self, every: int | str | None, steps: Sequence[int] | None, when: Callable[[Any], object] | None
    ) -> None:
        if (every is None) == (steps is None):
            raise TypeError(f"give either every= or steps=; got every={every!r}, steps={checks.shorten(steps)}")
        if when is not None and not callable(when):
            raise TypeError(f"when must be a function of the simulation; got {checks.shorten(when)}")
        self._interval = None if every is None else Interval("every", every)
        self._steps = [] if steps is None else sorted(checks.integer("steps", step, 0) for step in steps)
        self._when = when
        self._since = time.monotonic()

    @property
    def every(self) -> int | None:
        """How many steps lie between two at which it is due, where nothing else decides."""
        return self._interval.steps if self._interval is not None and self._when is None else None

    def begin(self) -> None:
        """Time counts from here."""
        self._since = time.monotonic()

    def next_step(self, step: int) -> int:
        """The first step later than this at which it has to be asked."""
        if self._interval is not None:
            return self._interval.next_step(step)
        return next(iter(self._steps[bisect.bisect_right(self._steps, step) :][:1]), FAR)

    def last_step(self, step: int) -> int:
        """The last step up to this one at which it was due for certain, or -1."""
        if self._interval is None and self._when is None:
            return [-1, *self._steps][bisect.bisect_right(self._steps, step)]
        return -1 if self.every is None else step // self.every * self.every

    def due(self, simulation: Readings) -> bool:
        """Whether it is due at the present step."""
        step = simulation.step
        here = step in self._steps if self._interval is None else self._interval.due(step, self._since)
        if not here:
            return False
        answer = self._when is None or bool(self._when(simulation))
        self._since = time.monotonic()
        return answer
