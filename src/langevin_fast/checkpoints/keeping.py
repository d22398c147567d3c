"""Checkpoints that are written while a run goes on."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .. import checks
from ..backends.problem import Recording
from ..errors import CheckpointError
from ..observers import Observer
from ..stepping import Stepper
from . import container
from .contents import identity_of, packed
from .locks import Lock

_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_INTERVAL = re.compile(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([a-z]+)\s*")
FAR = 2**62  # beyond every step

More = Callable[[Any], dict[str, Any]]


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
        more: More | None = None,
    ) -> None:
        self.path = container.path_of("checkpoint", path)
        self._interval = Interval("checkpoint_every", every)
        self._stepper, self._observers, self._more = stepper, observers, more
        self._lock = Lock(self.path)
        self._written: tuple[int, float] = (-1, 0.0)  # the last step, and when
        self._terminated = False
        self._before: Any = None

    def __enter__(self) -> Keeper:
        self._lock.__enter__()
        try:
            step = self._step_of_file()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        self._written = step, time.monotonic()
        self._listen()
        return self

    def _step_of_file(self) -> int:
        """At which step the file stands that is there, or -1; an error where something would be lost."""
        if not self.path.exists():
            return -1
        header, _ = container.read(self.path)
        if header["identity"] != identity_of(self._stepper):
            raise CheckpointError(f"{str(self.path)!r} holds another run: choose another path, or remove it")
        if header["step"] > self._stepper.state.step:
            raise CheckpointError(
                f"{str(self.path)!r} holds this run at step {header['step']}, which is later than the present step "
                f"{self._stepper.state.step}: load it, or remove it"
            )
        return int(header["step"])

    def next_step(self, step: int) -> int:
        """No chunk goes beyond this step."""
        return self._interval.next_step(step)

    def reached(self) -> None:
        """The run stands at a complete step."""
        if self._interval.due(self._stepper.state.step, self._written[1]) or self._terminated:
            self.write()
        if self._terminated:
            self._pass_on()

    def write(self) -> None:
        """Write it now."""
        save(self.path, self._stepper, self._observers, self._more)
        self._written = self._stepper.state.step, time.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not isinstance(error, CheckpointError) and self._written[0] != self._stepper.state.step:
                self.write()
        except CheckpointError as failed:
            if error is None:
                raise
            error.add_note(str(failed))
        finally:
            self._deafen()
            self._lock.__exit__(None, None, None)
        if self._terminated:
            os.kill(os.getpid(), signal.SIGTERM)

    # --- SIGTERM

    def _listen(self) -> None:
        """Hear that the process is to end; where another thread runs, the system's handler stays."""
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGTERM)
            if self._before is not None:
                signal.signal(signal.SIGTERM, self._hear)

    def _hear(self, number: int, frame: Any) -> None:
        self._terminated = True

    def _deafen(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _pass_on(self) -> None:
        """Everything is written: what would have happened without this one; where that returns, the run goes on."""
        self._terminated = False
        self._deafen()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)  # a handler in Python runs here
        self._listen()
