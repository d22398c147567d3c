"""Frames of a run on the disk: appended while it runs, cut back to the checkpoint where it goes on."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.problem import Recording
from ..errors import CheckpointError

_BYTES_AT_A_TIME = 2**24


class FramesFile:
    """The file of the frames of one recording: positions, and velocities where there are some, frame after frame.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._n = 0
        self._sum = 0

    @property
    def told(self) -> dict[str, Any]:
        """What a checkpoint says of it."""
        return {"n": self._n, "crc32": self._sum}

    def append(self, recording: Recording, step: int) -> None:
        """Add the frames up to a step, and see that they are on the disk."""
        n, total = recording.until(step), self._sum
        with open(self._path, "r+b" if self._n else "wb") as file:
            file.truncate(self._n * _size(recording))
            file.seek(0, os.SEEK_END)
            for piece in _pieces(recording, self._n, n):
                total = zlib.crc32(piece, total)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        self._n, self._sum = n, total

    def read(self, recording: Recording, told: dict[str, Any]) -> None:
        """Fill a recording with the frames of which a checkpoint tells.

        Raises
        ------
        CheckpointError
            If they are not there, or damaged.
        """
        x, v = recording.positions, recording.velocities
        n, size, total = told["n"], _size(recording), 0
        if not self._path.exists():
            raise CheckpointError(f"{str(self._path)!r} is missing: it holds the frames up to the checkpoint")
        with open(self._path, "rb") as file:
            for i in range(n):
                content = file.read(size)
                total = zlib.crc32(content, total)
                if len(content) < size:
                    break
                both = np.frombuffer(content, x.dtype).reshape(-1, *x.shape[1:])
                x[i] = both[0]
                if v is not None:
                    v[i] = both[1]
        if total != told["crc32"]:
            raise CheckpointError(f"{str(self._path)!r} is damaged: it does not hold the {n} frames of the checkpoint")
        self._n, self._sum = n, total


def _size(recording: Recording) -> int:
    """Of a frame, in bytes."""
    one = recording.positions.shape[1] * recording.positions.shape[2] * recording.positions.itemsize
    return one * (1 if recording.velocities is None else 2)


def _pieces(recording: Recording, first: int, end: int) -> Any:
    at_a_time = max(_BYTES_AT_A_TIME // _size(recording), 1)
    for i in range(first, end, at_a_time):
        x = recording.positions[i : min(i + at_a_time, end)]
        v = recording.velocities
        yield (x if v is None else np.stack([x, v[i : i + len(x)]], axis=1)).tobytes()
