"""What all reporters have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backends.problem import Recording
from ..errors import CheckpointError
from ..readings import Readings
from .place import Place
from .triggers import Trigger


class Reporter:
    """Is told of a run at some of its steps: every so many, after so much time, at given ones, or on a condition.

    Parameters
    ----------
    every, steps, when
        See :class:`Zarr`.
    place : Place, optional
        Where it writes; what is due must not be missing there.
    """

    def __init__(
        self,
        every: int | str | None,
        steps: Sequence[int] | None,
        when: Callable[[Any], object] | None,
        place: Place | None = None,
    ) -> None:
        self._trigger = Trigger(every, steps, when)
        self._place = place
        self._simulation: Any = None
        self._asked = -1  # the last step at which it was seen whether something is due
        self._failed: Exception | None = None

    @property
    def recordings(self) -> Sequence[Recording]:
        """What takes states among the steps up to the next at which it has to be told."""
        return ()

    def begin(self, simulation: Readings, first: int, end: int) -> None:
        """A run goes on, of which the states after steps later than `first` and up to `end` are reported.

        Raises
        ------
        TypeError, ValueError, CheckpointError
            If this run cannot be reported here.
        """
        self._simulation, self._asked, self._failed = simulation, max(simulation.step, first), None
        self._trigger.begin()

    def next_step(self, step: int) -> int:
        """The first step later than this at which it has to be told."""
        return self._trigger.next_step(max(step, self._asked))

    def reached(self) -> None:
        """The run stands at a complete step. After Ctrl-C in here, it is told once more."""
        step = self._simulation.step
        if step <= self._asked:
            return
        try:
            if self._trigger.due(self._simulation):
                self.report()
            self._asked = step
        except Exception as error:
            self._asked, self._failed = step, error  # it would not be different the second time
            raise

    def report(self) -> None:
        """Report the present state; what would be there twice is done in one with ``self._asked = step``."""
        raise NotImplementedError

    def on_disk(self) -> None:
        """See that everything that was due so far is on the disk.

        Raises
        ------
        CheckpointError
            If it is not.
        """
        self.reached()
        if isinstance(self._failed, CheckpointError):
            raise self._failed
        if self._failed is not None and self._place is not None:
            raise CheckpointError(
                f"{str(self._place.path)!r} lacks what was due at step {self._asked} "
                f"({type(self._failed).__name__}: {self._failed}): no checkpoint is written that counts on it"
            )

    def end(self) -> None:
        """The run is over."""
