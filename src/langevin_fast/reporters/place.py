"""Where a reporter writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..checkpoints import Lock, identity_of
from ..errors import CheckpointError
from ..readings import Readings
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

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it from here on; let go after an error."""
        with self.writing():
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

    def check(self, simulation: Readings, trigger: Trigger, identity: object, begins: int, last: int) -> None:
        """See that what is there, from step `begins` on, is of this run, and that nothing is missing after `last`.

        Raises
        ------
        CheckpointError
            If it is not.
        """
        if identity != identity_of(simulation.stepper):
            raise CheckpointError(f"{str(self.path)!r} belongs to another run: choose another path, or remove it")
        due = trigger.last_step(simulation.step)
        if due > max(begins, last):
            raise CheckpointError(
                f"{str(self.path)!r} ends at step {max(begins, last)}; the simulation stands at step "
                f"{simulation.step}, and what was due up to step {due} is missing: load the checkpoint that goes with "
                "it, or choose another path"
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
