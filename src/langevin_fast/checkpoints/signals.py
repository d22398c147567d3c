"""Signals while files are written: they take effect when that is done."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def _are_heard(number: signal.Signals) -> bool:
    """Whether Python's handlers can be exchanged: in the main thread, where no other program has its own."""
    return threading.current_thread() is threading.main_thread() and signal.getsignal(number) is not None


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C in here takes effect at its end."""
    if not _are_heard(signal.SIGINT):
        yield
        return
    heard: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if heard:
            signal.raise_signal(signal.SIGINT)


class Termination:
    """Hears SIGTERM while it listens, and passes it on when it is told to.

    Attributes
    ----------
    heard : bool
    """

    def __init__(self) -> None:
        self.heard = False
        self._before: Any = None

    def listen(self) -> None:
        """From now on; where that cannot be, the system's handler stays."""
        if _are_heard(signal.SIGTERM):
            self._before = signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, number: int, frame: Any) -> None:
        self.heard = True

    def stop(self) -> None:
        """The handler that was there is there again."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def pass_on(self) -> None:
        """Let what was heard have the effect that it would have had, if there was something."""
        if self.heard:
            self.heard = False
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0)  # a handler in Python runs here
