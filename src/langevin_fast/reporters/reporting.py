"""The reporters of one run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from .. import _core, checks
from ..backends.problem import Recording
from ..errors import CheckpointError
from ..readings import Readings
from .base import Reporter


class Reporting:
    """All reporters of a run, as a seam between chunks of steps.

    Parameters
    ----------
    reporters : sequence of Reporter
    simulation : Readings
    n_steps : int
        Of the run.
    n_frames : int
        How many other recordings there are.

    Raises
    ------
    TypeError, ValueError
        If one of them is something else, or given twice.
    """

    def __init__(self, reporters: Sequence[Reporter], simulation: Readings, n_steps: int, n_frames: int) -> None:
        if not isinstance(reporters, (list, tuple)) or not all(isinstance(r, Reporter) for r in reporters):
            raise TypeError(f"reporters must be a sequence of lf.reporters; got {checks.shorten(reporters)}")
        if len(set(map(id, reporters))) < len(reporters):
            raise ValueError("reporters holds the same reporter twice")
        self._reporters = tuple(reporters)
        self._simulation, self._n_steps, self._n_frames = simulation, n_steps, n_frames
        self._stack = ExitStack()

    @property
    def recordings(self) -> list[Recording]:
        """What takes states among the steps up to the next at which one of them has to be told."""
        return [recording for reporter in self._reporters for recording in reporter.recordings]

    def __enter__(self) -> Reporting:
        with ExitStack() as stack:
            for reporter in self._reporters:
                reporter.begin(self._simulation, self._simulation.step + self._n_steps)
                stack.callback(reporter.end)
            most = _core.MAX_RECORDINGS - 1  # one is kept free for the path to a divergence
            if (n := self._n_frames + len(self.recordings)) > most:
                raise ValueError(f"reporters and record: {n} of them store states; at most {most} are allowed")
            self._stack = stack.pop_all()
        return self

    def next_step(self, step: int) -> int:
        """No chunk goes beyond this step."""
        return min(reporter.next_step(step) for reporter in self._reporters)

    def reached(self) -> None:
        """The run stands at a complete step."""
        for reporter in self._reporters:
            reporter.reached()

    def on_disk(self, pack: Any) -> dict[str, Any]:
        """See that all is on the disk that a checkpoint counts on; it holds nothing of it."""
        for reporter in self._reporters:
            reporter.on_disk()
        return {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            for reporter in self._reporters:
                try:
                    reporter.reached()  # at the step where something else stopped the run
                    reporter.on_disk()
                except CheckpointError as failed:
                    if error is None:
                        error = failed
                    elif str(error) != str(failed):
                        error.add_note(str(failed))
            if error is not None and kind is None:
                raise error
