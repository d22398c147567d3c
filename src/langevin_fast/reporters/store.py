"""Arrays that grow, as a Zarr store: what is there is never touched again, and becomes longer in one moment.

The format is Zarr 3 without compression. Entries are written in place behind the others, in files of fixed size (chunks
along the first axis), where no reader looks yet; then the lengths of all arrays are replaced at once, in the metadata
of the group ("consolidated"). So a store can be opened whenever its writer is killed, and cutting it back is another
length. zarr-python could not see that what it writes is on the disk, nor let several arrays grow in one moment.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import flush_directory, replacing
from ..errors import CheckpointError

_METADATA = "zarr.json"
_CHUNK_BYTES, _LONGEST_CHUNK = 2**22, 2**16
GROWS = "draw"  # the name of the axis along which arrays grow
UNFOLDED = "unfolded_x"  # positions as the kernels have them, where there are walls and it can be replayed


def recipe_of(path: Path) -> Path:
    """Where a store says how its run was made: in the folder of an array, where no reader of Zarr wonders at it."""
    return path / "stream" / "run.ckpt"


class GrowingArray:
    """An array, as files of so many entries each along its first axis.

    Parameters
    ----------
    folder : Path
    dtype : dtype
    shape : tuple of int
        Of an entry.
    dimensions : sequence of str
        The names of its other axes; with that along which it grows if that is its first axis.
    chunk : int
        How many entries there are in a file.

    Attributes
    ----------
    n_bytes : int
        Of an entry.
    """

    def __init__(
        self, folder: Path, dtype: np.dtype, shape: tuple[int, ...], dimensions: Sequence[str], chunk: int | None = None
    ) -> None:
        self._folder, self.dtype, self.shape, self.dimensions = folder, dtype, shape, tuple(dimensions)
        self.n_bytes = dtype.itemsize * math.prod(shape)
        self._chunk = min(max(_CHUNK_BYTES // self.n_bytes, 1), _LONGEST_CHUNK) if chunk is None else chunk

    @classmethod
    def of(cls, folder: Path, told: Mapping[str, Any]) -> GrowingArray:
        """The one that metadata tell of."""
        chunk, *shape = told["chunk_grid"]["configuration"]["chunk_shape"]
        array = cls(folder, np.dtype(told["data_type"]), tuple(shape), told["dimension_names"], chunk)
        if array.metadata(told["shape"][0]) != told:
            raise ValueError(f"{folder.name} has another layout")
        return array

    def metadata(self, n: int) -> dict[str, Any]:
        """What says in the store that there are n entries."""
        return {
            "shape": [n, *self.shape],
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [self._chunk, *self.shape]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": 0 if self.dtype.kind in "iu" else 0.0,
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "attributes": {},
            "dimension_names": list(self.dimensions),
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }

    def _file(self, number: int) -> Path:
        return self._folder / ".".join(["c", str(number), *("0" for _ in self.shape)])

    def write(self, first: int, entries: np.ndarray) -> None:
        """Put entries in place and on the disk, from number `first` on."""
        entries = np.ascontiguousarray(entries, self.dtype.newbyteorder("<"))
        done = 0
        while done < len(entries):
            number, place = divmod(first + done, self._chunk)
            part = entries[done : done + self._chunk - place]
            # what is there already must not have vanished
            flags = os.O_RDWR | (0 if place else os.O_CREAT)
            with open(os.open(self._file(number), flags, 0o666), "r+b") as file:
                # readers want whole chunks; what is not written yet takes no room
                file.truncate(self._chunk * self.n_bytes)
                file.seek(place * self.n_bytes)
                file.write(part.data)
                file.flush()
                os.fsync(file.fileno())
            done += len(part)
        flush_directory(self._folder)

    def read(self, first: int, end: int) -> np.ndarray:
        """Entries `first` to ``end - 1``.

        Raises
        ------
        CheckpointError
            If they are not there.
        """
        parts = [np.empty((0, *self.shape), self.dtype)]
        while first < end:
            number, place = divmod(first, self._chunk)
            n = min(end - first, self._chunk - place)
            count, offset = n * math.prod(self.shape), place * self.n_bytes
            try:
                flat = np.fromfile(self._file(number), self.dtype.newbyteorder("<"), count, offset=offset)
            except FileNotFoundError:
                flat = np.empty(0)
            if flat.size < count:
                raise CheckpointError(f"{str(self._file(number))!r} is missing or cut short: the store is damaged")
            parts.append(flat.astype(self.dtype, copy=False).reshape(n, *self.shape))
            first += n
        return np.concatenate(parts)

    def tell(self, n: int) -> None:
        """Let the array itself say that there are n entries, for those who do not ask the group."""
        _replace(self._folder / _METADATA, self.metadata(n))


class Store:
    """A group of such arrays, those along the growing axis of one length.

    Parameters
    ----------
    path : Path
    arrays : mapping of str to GrowingArray
    lengths : mapping of str to int
    attributes : dict

    Attributes
    ----------
    n : int
        Up to which number of entries readers look.
    """

    def __init__(
        self, path: Path, arrays: Mapping[str, GrowingArray], lengths: Mapping[str, int], attributes: dict[str, Any]
    ) -> None:
        self._path, self.arrays, self._lengths, self.attributes = path, arrays, dict(lengths), attributes

    @property
    def n(self) -> int:
        """The length."""
        return next(self._lengths[name] for name, array in self.arrays.items() if array.dimensions[0] == GROWS)

    @classmethod
    def create(
        cls,
        path: Path,
        growing: Mapping[str, tuple[np.dtype, tuple[int, ...], Sequence[str]]],
        fixed: Mapping[str, tuple[np.ndarray, str]],
        attributes: dict[str, Any],
    ) -> Store:
        """A new one, which is there as a whole or not at all.

        Parameters
        ----------
        path : Path
            An empty folder may be there.
        growing : mapping
            Of each array the dtype, and of an entry the shape and the names of the axes.
        fixed : mapping
            Arrays of one axis, and its name.
        attributes : dict
        """
        folder = path.with_name(f".{secrets.token_hex(8)}.partial")
        try:
            folder.mkdir()
            made = {
                **{name: GrowingArray(folder / name, t, shape, (GROWS, *d)) for name, (t, shape, d) in growing.items()},
                **{
                    name: GrowingArray(folder / name, values.dtype, (), (axis,), len(values))
                    for name, (values, axis) in fixed.items()
                },
            }
            lengths = {name: len(fixed[name][0]) if name in fixed else 0 for name in made}
            for name, array in made.items():
                (folder / name).mkdir()
                array.tell(lengths[name])
            for name, (values, _) in fixed.items():
                made[name].write(0, values)
            cls(folder, made, lengths, attributes)._tell()
            os.rename(folder, path)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        flush_directory(path.parent)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Store:
        """The one that is there.

        Raises
        ------
        CheckpointError
            If it is none of these, or damaged.
        """
        try:
            told = json.loads((path / _METADATA).read_text())
            metadata = told["consolidated_metadata"]["metadata"]
            arrays = {name: GrowingArray.of(path / name, one) for name, one in metadata.items()}
            lengths = {name: one["shape"][0] for name, one in metadata.items()}
            store = cls(path, arrays, lengths, told["attributes"])
            store.n  # noqa: B018  there is one
        except (LookupError, TypeError, ValueError, FileNotFoundError, StopIteration) as error:
            raise CheckpointError(
                f"{str(path)!r} is no store of lf.reporters.Zarr, or damaged ({type(error).__name__}: {error}): "
                "choose another path, or remove it"
            ) from None
        return store

    def read(self, name: str, first: int, end: int) -> np.ndarray:
        """Entries of an array."""
        return self.arrays[name].read(first, end)

    def write(self, first: int, entries: Mapping[str, np.ndarray]) -> None:
        """Put entries of all growing arrays in place, where nobody looks yet, and on the disk."""
        for name, values in entries.items():
            self.arrays[name].write(first, values)

    def grow(self, n: int, attributes: dict[str, Any]) -> None:
        """There are n entries from now on, and these attributes."""
        growing = {name: array for name, array in self.arrays.items() if array.dimensions[0] == GROWS}
        for array in growing.values():
            array.tell(n)
        self._lengths.update(dict.fromkeys(growing, n))
        self.attributes = attributes
        self._tell()
        flush_directory(self._path)

    def _tell(self) -> None:
        arrays = {name: array.metadata(self._lengths[name]) for name, array in self.arrays.items()}
        consolidated = {"kind": "inline", "must_understand": False, "metadata": arrays}
        _replace(
            self._path / _METADATA,
            {
                "attributes": self.attributes,
                "zarr_format": 3,
                "node_type": "group",
                "consolidated_metadata": consolidated,
            },
        )


def _replace(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as file:
        file.write(json.dumps(content, indent=1).encode())
