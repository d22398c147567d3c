"""A progress bar for long runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

_LONG_SECONDS = 2.0
_BETWEEN_NOTES = 0.5  # seconds
_SHORTEST_SECONDS = 0.5


class Progress:
    """Counts steps; shows a tqdm bar when asked to, or by itself when the run turns out to be long.

    Parameters
    ----------
    total : int
        Number of steps.
    wanted : bool or None
        True: always (an ImportError names the extra where tqdm is missing). False: never. None: when tqdm is installed,
        stderr is a terminal and more than two seconds remain after the first half second.

    Attributes
    ----------
    note : callable or None
        What is shown beside the bar; asked now and then.
    """

    note: Callable[[], str] | None = None

    def __init__(self, total: int, wanted: bool | None) -> None:
        if not (wanted is None or isinstance(wanted, bool)):
            raise TypeError(f"progress must be True, False or None; got {wanted!r}")
        self._total = total
        self._done = 0
        self._bar: Any = None
        self._automatic = wanted is None
        self._started = time.perf_counter()
        self._noted = -_BETWEEN_NOTES
        if wanted:
            self._open(required=True)

    @classmethod
    def of(cls, wanted: bool | Progress | None, total: int) -> Progress | _Shared:
        """A bar for `total` steps, or a part of one that somebody else closes."""
        return _Shared(wanted) if isinstance(wanted, Progress) else cls(total, wanted)

    def update(self, steps: int) -> None:
        """Count `steps` more."""
        self._done += steps
        if self._bar is not None:
            self._show_note()
            self._bar.update(steps)
        elif self._automatic and self._done < self._total:
            elapsed = time.perf_counter() - self._started
            # an estimate from the first few milliseconds would be far too long
            if elapsed > _SHORTEST_SECONDS and elapsed * (self._total - self._done) > _LONG_SECONDS * self._done:
                self._open(required=False)

    def _show_note(self) -> None:
        now = time.perf_counter()
        if self.note is not None and (now - self._noted > _BETWEEN_NOTES or self._done >= self._total):
            self._noted = now
            self._bar.set_postfix_str(self.note(), refresh=False)

    def _open(self, *, required: bool) -> None:
        self._automatic = False
        if not required and (sys.stderr is None or not sys.stderr.isatty()):
            return
        try:
            from tqdm.auto import tqdm
        except ImportError:
            if required:
                raise ImportError("progress=True needs tqdm: pip install 'langevin-fast[progress]'") from None
            return
        self._bar = tqdm(total=self._total, initial=self._done, unit="step", unit_scale=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()


class _Shared:
    """A bar that goes on after this run."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar

    def __enter__(self) -> Progress:
        return self._bar

    def __exit__(self, *error: object) -> None:
        pass
