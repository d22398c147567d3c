"""Where a reporter writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..checkpoints import Lock, identities_of
from ..errors import CheckpointError
from ..readings import Readings
from ..stepping import Stepper
from .triggers import Trigger


class Place:
    """A file or folder that belongs to one run; while it is held, nobody else writes there.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock(path)
        self._known: tuple[Any, list[tuple[int, str]]] = (None, [])

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it from here on; let go after an error."""
        self._lock.__enter__()
        try:
            with self.writing():
                yield
        except BaseException:
            self.let_go()
            raise

    def let_go(self) -> None:
        """Others may write there."""
        self._lock.__exit__(None, None, None)

    def identities(self, stepper: Stepper, step: int) -> list[tuple[int, str]]:
        """What made the states up to this step, of which the last says all: see :func:`checkpoints.identities_of`."""
        history, found = self._known
        if history is not stepper.history:
            self._known = stepper.history, identities_of(stepper)
            _, found = self._known
        return found[:1] + [one for one in found[1:] if one[0] < step]

    def check(self, simulation: Readings, trigger: Trigger, identity: object, begins: int, last: int) -> None:
        """See that what is there, from step `begins` to `last`, is of this run, and that nothing is missing after that.

        Raises
        ------
        CheckpointError
            If it is not.
        """
        end = max(begins, last)
        if identity != self.identities(simulation.stepper, end)[-1][1]:
            raise CheckpointError(f"{str(self.path)!r} belongs to another run: choose another path, or remove it")
        due = trigger.last_step(simulation.step)
        if due > end:
            raise CheckpointError(
                f"{str(self.path)!r} ends at step {end}; the simulation stands at step {simulation.step}, and what was "
                f"due up to step {due} is missing: load the checkpoint that goes with it, or choose another path"
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """An error of the system says what it means here."""
        try:
            yield
        except OSError as error:
            raise CheckpointError(
                f"{str(self.path)!r} cannot be written: {error}. What was written is readable, and the run can go on "
                "with another path"
            ) from error
