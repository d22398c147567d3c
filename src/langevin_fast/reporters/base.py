"""What all reporters have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backends.problem import Recording
from ..readings import Readings
from .triggers import Trigger


class Reporter:
    """Is told of a run at some of its steps: every so many, after so much time, at given ones, or on a condition.

    Parameters
    ----------
    every, steps, when
        See :class:`Zarr`.
    """

    def __init__(
        self,
        every: int | str | None,
        steps: Sequence[int] | None,
        when: Callable[[Any], object] | None,
    ) -> None:
        self._trigger = Trigger(every, steps, when)
        self._simulation: Any = None
        self._asked = -1  # the last step at which it was seen whether something is due

    @property
    def recordings(self) -> Sequence[Recording]:
        """What takes states among the steps up to the next at which it has to be told."""
        return ()

    def begin(self, simulation: Readings, end: int) -> None:
        """A run begins that is to end after step `end`; its first state is not reported.

        Raises
        ------
        TypeError, ValueError, CheckpointError
            If this run cannot be reported here.
        """
        self._simulation, self._asked = simulation, simulation.step
        self._trigger.begin()

    def next_step(self, step: int) -> int:
        """The first step later than this at which it has to be told."""
        return self._trigger.next_step(step)

    def reached(self) -> None:
        """The run stands at a complete step. After Ctrl-C in here, it is told once more."""
        step = self._simulation.step
        if step == self._asked:
            return
        try:
            if self._trigger.due(self._simulation):
                self.report()
        except Exception:
            self._asked = step  # it would not be different the second time
            raise
        self._asked = step

    def report(self) -> None:
        """Report the present state."""
        raise NotImplementedError

    def on_disk(self) -> None:
        """See that everything reported so far is on the disk."""

    def end(self) -> None:
        """The run is over."""
