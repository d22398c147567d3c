"""One process at a time writes a checkpoint."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

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
        On entering: another process, or another run of this one, holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.with_name(path.name + ".lock")
        self._descriptor = -1

    def __enter__(self) -> Lock:
        while fcntl is not None:
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                holder = os.read(descriptor, 64).decode(errors="replace").strip()
                os.close(descriptor)
                raise CheckpointError(
                    f"{str(self._path)!r} is in use: process {holder or '?'} writes it; two runs cannot go on in one "
                    "place"
                ) from None
            if self._is_there(descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, str(os.getpid()).encode())
                self._descriptor = descriptor
                break
            os.close(descriptor)  # its last owner removed it in between
        return self

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self._file))
        except FileNotFoundError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                os.unlink(self._file)  # while it is held, so that nobody else can hold this very file
            os.close(self._descriptor)
            self._descriptor = -1
