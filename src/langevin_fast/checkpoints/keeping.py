"""Checkpoints that are written while a run goes on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import checks
from ..backends.problem import Recording
from ..errors import CheckpointError, add_note_once
from ..observers import Observer
from ..stepping import Stepper
from . import container
from .contents import Contents, differences_of_histories, packed
from .locks import Lock
from .recipes import Packer
from .signals import Termination, uninterrupted

_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_INTERVAL = re.compile(r"\s*((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([a-z]+)\s*")
FAR = 2**62  # beyond every step

More = Callable[[Packer], dict[str, Any]]


def save(path: Path, stepper: Stepper, observers: Sequence[Observer], more: More | None = None) -> None:
    """Write the checkpoint of a run; `more` adds to the header, and is given the packer.

    Raises
    ------
    CheckpointError
        If it cannot be written.
    """
    header, pack = packed(stepper, observers)
    try:
        if more is not None:
            header |= more(pack)
        container.write(path, header, pack.arrays)
    except OSError as error:
        raise CheckpointError(
            f"{str(path)!r} cannot be written: {error}. What was there before is whole, and the run can go on "
            "with another path"
        ) from error


class Interval:
    """How often something is done: after so many steps, or so much time.

    Parameters
    ----------
    name : str
        The argument that it came as.
    value : int or str
        Steps, or a time such as "10 min", "30 s" or "2 h".

    Raises
    ------
    TypeError, ValueError
        If it is something else.
    """

    def __init__(self, name: str, value: int | str) -> None:
        self.steps: int | None = None
        self.seconds = float("inf")
        if not isinstance(value, str):
            self.steps = checks.integer(name, value, 1, 2**60)
            return
        match = _INTERVAL.fullmatch(value)
        if match is None or match[2] not in _UNITS:
            raise ValueError(f'{name}={value!r} must be steps, or a time such as "30 s", "10 min" or "2 h"')
        self.seconds = checks.positive(name, float(match[1])) * _UNITS[match[2]]

    def next_step(self, step: int) -> int:
        """The first step later than this at which it is due; multiples of the interval."""
        return FAR if self.steps is None else (step // self.steps + 1) * self.steps

    def due(self, step: int, since: float) -> bool:
        """Whether it is due after so many steps; the last time was at ``time.monotonic() == since``."""
        return step % self.steps == 0 if self.steps else time.monotonic() - since >= self.seconds


class Keeper:
    """Writes the checkpoint of a run: now and then, at its end, when it is stopped by an error, and at SIGTERM.

    Parameters
    ----------
    path, every
        As for :meth:`Simulation.run`.
    stepper : Stepper
    observers : sequence of Observer
    call : dict, optional
        The arguments of the call of lf.sample that it belongs to.
    more : callable, optional
        Adds to the header, and is given the packer.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    CheckpointError
        On entering: the file is in use, damaged, or holds another run, or a later state of this one.
    """

    recordings: Sequence[Recording] = ()

    def __init__(
        self,
        path: Any,
        every: int | str,
        stepper: Stepper,
        observers: Sequence[Observer],
        call: dict[str, Any] | None = None,
        more: More | None = None,
    ) -> None:
        self.path = container.path_of("checkpoint", path)
        self._interval = Interval("checkpoint_every", every)
        self._stepper, self._observers, self._call, self._more = stepper, observers, call, more
        self._lock = Lock(self.path)
        self._written: Any = None  # the state and the history that are in the file
        self._since = 0.0  # when it was written last, or the run began
        self._termination = Termination()

    def __enter__(self) -> Keeper:
        try:
            with uninterrupted():
                self._lock.__enter__()
                self._check_file()
                self._since = time.monotonic()
                self._termination.listen()
            return self
        except BaseException:
            self._leave()
            raise

    def _check_file(self) -> None:
        """See that nothing is lost where this run is written, and that it can be."""
        mine, pack = packed(self._stepper, self._observers)
        if not self.path.exists():
            return
        stored = Contents.of(self.path)
        found = differences_of_histories(stored, mine, pack.arrays)
        if stored.header.get("call") != self._call:
            found.append("it is that of a call of lf.sample, or of another one")
        if found:
            raise CheckpointError(
                f"{str(self.path)!r} holds another run ({'; '.join(found)}): choose another path, or remove it"
            )
        if stored.header["step"] > mine["step"]:
            raise CheckpointError(
                f"{str(self.path)!r} holds this run at step {stored.header['step']}, which is later than the present "
                f"step {mine['step']}: load it, or remove it"
            )

    def next_step(self, step: int) -> int:
        """No chunk goes beyond this step."""
        return self._interval.next_step(step)

    def reached(self) -> None:
        """The run stands at a complete step."""
        if self._interval.due(self._stepper.state.step, self._since) or self._termination.heard:
            self.write()
        if self._termination.heard:
            self._termination.stop()
            self._termination.pass_on()
            self._termination.listen()

    def write(self) -> None:
        """Write it now."""
        with uninterrupted():
            now = self._stepper.state, self._stepper.history
            save(self.path, self._stepper, self._observers, self._add)
            self._written = now
            self._since = time.monotonic()

    def _add(self, pack: Packer) -> dict[str, Any]:
        call = {} if self._call is None else {"call": self._call}
        return call | (self._more(pack) if self._more is not None else {})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with uninterrupted():
                try:
                    self._write_the_end(error)
                finally:
                    self._leave()
        finally:
            self._leave()  # Ctrl-C may come before it can be put off
            self._termination.pass_on()

    def _write_the_end(self, error: BaseException | None) -> None:
        state, history = self._written or (None, None)
        if isinstance(error, CheckpointError) or (state is self._stepper.state and history is self._stepper.history):
            return
        try:
            self.write()
        except Exception as failed:
            if error is None:
                raise
            add_note_once(error, failed)

    def _leave(self) -> None:
        self._termination.stop()
        self._lock.__exit__(None, None, None)
