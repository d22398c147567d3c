"""One process at a time writes a checkpoint."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from ..errors import CheckpointError

try:
    import fcntl
except ImportError:  # Windows: there nothing is locked
    fcntl = None  # type: ignore[assignment]


class Lock:
    """Holds a lock beside a file while it is entered; the system lets it go when the process ends, however it does.

    Parameters
    ----------
    path : Path

    Raises
    ------
    CheckpointError
        On entering: another process, or another run of this one, holds it, or it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.with_name(path.name + ".lock")
        self._held: IO[bytes] | None = None  # closed, and so let go, at the latest with this object

    def __enter__(self) -> Lock:
        while fcntl is not None and self._held is None:
            try:
                self._try()
            except OSError as error:
                raise CheckpointError(f"{str(self._path)!r} cannot be written: {error}") from error
        return self

    def _try(self) -> None:
        """Hold the lock, unless its last owner removed the file in between."""
        file = os.fdopen(os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                holder = file.read(64).decode(errors="replace").strip()
            raise CheckpointError(
                f"{str(self._path)!r} is in use: process {holder or '?'} writes it; two runs cannot go on in one place"
            ) from None
        except OSError:
            file.close()
            raise
        if self._is_there(file):
            file.truncate(0)
            file.write(str(os.getpid()).encode())
            self._held = file
        else:
            file.close()

    def _is_there(self, file: IO[bytes]) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), os.stat(self._file))
        except FileNotFoundError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held is not None:
            with suppress(OSError):
                os.unlink(self._file)  # while it is held, so that nobody else can hold this very file
            self._held.close()
            self._held = None
