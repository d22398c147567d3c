"""A checkpoint as a file: a zip archive of a JSON header and NumPy arrays, never half-written."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from .. import checks
from ..errors import CheckpointError

_HEADER = "header.json"
FORMAT = "langevin_fast checkpoint"
# Of the layout of header and arrays; a file of another one is refused.
LAYOUT = 1
# Of files; those beside it have longer ones, and 255 bytes are usual.
_LONGEST_NAME = 240


def path_of(name: str, value: Any, *, folder: bool = False) -> Path:
    """The path of a file, or of a directory, that is to be written."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a path; got {checks.shorten(value)}")
    path = Path(os.fsdecode(value)).resolve()  # whatever becomes of links and of the working directory
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise ValueError(f"{name}={str(path)!r}: its name must have {_LONGEST_NAME} bytes at most")
    if folder and path.exists() and not path.is_dir():
        raise ValueError(f"{name}={str(path)!r} is a file; it must be a directory, or nothing so far")
    if not folder and path.is_dir():
        raise ValueError(f"{name}={str(path)!r} is a directory; it must be a file")
    if not path.parent.is_dir():
        raise ValueError(f"{name}={str(path)!r}: there is no directory {str(path.parent)!r}")
    return path


def previous(path: Path) -> Path:
    """Where the generation before is kept."""
    return path.with_name(path.name + ".previous")


def write(path: Path, header: dict[str, Any], arrays: Sequence[np.ndarray], *, keep: bool = True) -> None:
    """Write a file in the place of an older one, which becomes the previous generation where it is to be kept.

    At every moment there is a whole file at `path`, the old one or the new one, whenever the process or the machine
    stops.

    Raises
    ------
    OSError
        If it cannot be written; the old file is then as it was.
    """
    with replacing(path, keep=keep) as file:
        _write_archive(file, {"format": FORMAT, "layout": LAYOUT, "n_arrays": len(arrays), **header}, arrays)
    flush_directory(path.parent)


@contextmanager
def replacing(path: Path, *, keep: bool = False) -> Iterator[IO[bytes]]:
    """A file that is to be at `path` when all of it is on the disk; `keep`: what is there is the previous one then."""
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if keep:
            _keep(path)
        os.replace(partial, path)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise


def _write_archive(file: Any, header: dict[str, Any], arrays: Sequence[np.ndarray]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_HEADER, json.dumps(header, indent=1))
        for i, array in enumerate(arrays):
            with archive.open(f"{i}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def _keep(path: Path) -> None:
    """Let the present file be the previous generation as well."""
    if not path.exists():
        return
    link = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        os.link(path, link)
    except OSError:  # a file system without links
        with replacing(previous(path)) as copy, open(path, "rb") as file:
            shutil.copyfileobj(file, copy)
        return
    try:
        os.replace(link, previous(path))
    except OSError:
        link.unlink()
        raise


def flush_directory(folder: Path) -> None:
    """See that names in a directory are on the disk."""
    with suppress(OSError):  # not there on Windows
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    """The header and the arrays of a file.

    Raises
    ------
    FileNotFoundError, PermissionError, IsADirectoryError
        If it cannot be read.
    CheckpointError
        If it is damaged, or something else. It names the previous generation where that is whole.
    """
    try:
        return _read(path)
    except CheckpointError as error:
        kept = previous(path)
        try:
            header, _ = _read(kept)
        except (OSError, CheckpointError):
            raise error from None
        how = f"move {str(kept)!r} there and call lf.sample again" if "call" in header else f"load {str(kept)!r}"
        raise CheckpointError(f"{error}. The generation before is whole, at step {header.get('step')}: {how}") from None
    except FileNotFoundError as error:
        if (kept := previous(path)).exists():
            error.add_note(f"the generation before is there: {str(kept)!r}")
        raise


def _read(path: Path) -> tuple[dict[str, Any], list[np.ndarray]]:
    content = path.read_bytes()
    try:
        # the checksums of all members are verified as they are read
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            header = json.loads(archive.read(_HEADER))
            if header["format"] != FORMAT:
                raise ValueError(header["format"])
            if header["layout"] != LAYOUT:
                raise CheckpointError(
                    f"{str(path)!r} has layout {header['layout']}; version {header['version']} wrote it, and this one "
                    f"reads layout {LAYOUT}"
                )
            arrays = []
            for i in range(header["n_arrays"]):
                arrays.append(np.lib.format.read_array(io.BytesIO(archive.read(f"{i}.npy")), allow_pickle=False))
    except CheckpointError:
        raise
    except Exception as error:  # whatever a damaged archive makes of the library
        raise CheckpointError(
            f"{str(path)!r} is damaged or no checkpoint ({type(error).__name__}: {str(error) or 'cut short'})"
        ) from None
    return header, arrays
