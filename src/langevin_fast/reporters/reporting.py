"""The reporters of one run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from .. import _core, checks
from ..backends.problem import Recording
from ..checkpoints import uninterrupted
from ..errors import add_note_once
from ..readings import Readings
from .base import Reporter


class Reporting:
    """All reporters of a run, as a seam between chunks of steps.

    Parameters
    ----------
    reporters : sequence of Reporter
    simulation : Readings
    first, end : int
        States after steps later than `first` are reported, up to `end`.
    n_frames : int
        How many other recordings there are.

    Raises
    ------
    TypeError, ValueError
        If one of them is something else, or given twice.
    """

    def __init__(
        self, reporters: Sequence[Reporter], simulation: Readings, first: int, end: int, n_frames: int
    ) -> None:
        if not isinstance(reporters, (list, tuple)) or not all(isinstance(r, Reporter) for r in reporters):
            raise TypeError(f"reporters must be a sequence of lf.reporters; got {checks.shorten(reporters)}")
        if len(set(map(id, reporters))) < len(reporters):
            raise ValueError("reporters holds the same reporter twice")
        self._given = tuple(reporters)
        self._simulation, self._first, self._end, self._n_frames = simulation, first, end, n_frames
        self._reporters: tuple[Reporter, ...] = ()  # those that have begun
        self._stack = ExitStack()

    @classmethod
    def of(
        cls, reporters: Sequence[Reporter], simulation: Readings, first: int, end: int, n_frames: int
    ) -> Reporting | None:
        """Those, or None where there are none, so that a short run does not pay for it."""
        if isinstance(reporters, tuple) and not reporters:
            return None
        return cls(reporters, simulation, first, end, n_frames)

    @property
    def recordings(self) -> list[Recording]:
        """What takes states among the steps up to the next at which one of them has to be told."""
        return [recording for reporter in self._reporters for recording in reporter.recordings]

    def __enter__(self) -> Reporting:
        try:
            with uninterrupted():
                for reporter in self._given:
                    reporter.begin(self._simulation, self._first, self._end)
                    self._stack.callback(reporter.end)
                n = self._n_frames + sum(len(reporter.recordings) for reporter in self._given)
                if n > (most := _core.MAX_RECORDINGS - 1):  # one is kept free for the path to a divergence
                    raise ValueError(f"reporters and record: {n} of them store states; at most {most} are allowed")
                self._reporters = self._given
            return self
        except BaseException:
            self._reporters = ()
            self._stack.close()
            raise

    def next_step(self, step: int) -> int:
        """No chunk goes beyond this step."""
        return min((reporter.next_step(step) for reporter in self._reporters), default=self._end)

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
        try:
            self._finish(error)
        except KeyboardInterrupt as stopped:  # before Ctrl-C could be put off
            self._finish(stopped)
            raise

    def _finish(self, error: BaseException | None) -> None:
        """See that all is on the disk, and let go; once more that changes nothing."""
        failures: list[Exception] = []
        with uninterrupted(), self._stack:
            for reporter in self._reporters:
                try:
                    reporter.on_disk()
                except Exception as failed:
                    failures.append(failed)
        if not failures:
            return
        first = failures[0] if error is None else error
        for other in failures:
            add_note_once(first, other)
        if error is None:
            raise first
