"""The file of a ScoreNetwork: an .npz archive that is read with suspicion."""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from .. import checks

FORMAT = 2
_SETTINGS = {"format", "activation", "scale", "n_layers"}
_MAX_CHARACTERS = 1_000  # of the settings

# what zipfile, NumPy and json raise when they meet damaged files
_DAMAGE = (zipfile.BadZipFile, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError, struct.error)


def write(path: str | os.PathLike[str], settings: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write settings and arrays; `path` holds all of them or is what it was before."""
    target = Path(path)
    with open(target.with_name(target.name + ".part"), "wb") as file:
        text = np.array(json.dumps({"format": FORMAT, **settings}))
        np.savez(file, settings=text, **arrays)  # type: ignore[arg-type]
    # at once, so that a full disk or a killed process leaves no half file in place of an old one
    os.replace(file.name, target)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `write` wrote; the arrays have the right names, and nothing is known of their shapes.

    Entries must be stored without compression, as `write` does, so that no file needs more memory than its own size.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        It is something else, or damaged; the message says what is wrong.
    """
    with open(path, "rb") as file:
        try:
            return _read(file)
        except (*_DAMAGE, ValueError) as error:
            raise ValueError(f"{os.fspath(path)} is not a file of a ScoreNetwork, or damaged: {error}") from error


def _read(file: IO[bytes]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with zipfile.ZipFile(file) as archive:
        entries = {info.filename: info for info in archive.infolist()}
        if len(entries) < len(archive.infolist()):
            raise ValueError("two entries have the same name")
        for name, info in entries.items():
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
                raise ValueError(f"{name} is compressed")
        if sum(info.file_size for info in entries.values()) > file.seek(0, os.SEEK_END):
            raise ValueError("the entries are larger than the file")
        settings = _settings(archive, entries)
        arrays = ["mean", *(f"{kind}{i}" for i in range(settings["n_layers"]) for kind in ("weight", "bias"))]
        if "sigmas.npy" in entries:
            arrays.append("sigmas")
        wanted = {"settings.npy", *(f"{name}.npy" for name in arrays)}
        if missing := sorted(wanted - set(entries)):
            raise ValueError(f"{', '.join(missing)} is missing")
        if extra := sorted(set(entries) - wanted):
            raise ValueError(f"{checks.shorten(', '.join(extra))} does not belong there")
        return settings, {name: _array(archive, entries[f"{name}.npy"], "f") for name in arrays}


def _settings(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> dict[str, Any]:
    if "settings.npy" not in entries:
        raise ValueError("settings.npy is missing")
    text = _array(archive, entries["settings.npy"], "U")
    if text.ndim or text.itemsize > 4 * _MAX_CHARACTERS:
        raise ValueError(f"settings.npy must hold one text of up to {_MAX_CHARACTERS} characters")
    settings = json.loads(str(text))
    if not isinstance(settings, dict):
        raise ValueError(f"the settings must be a dict, got {checks.shorten(settings)}")
    if settings.get("format") != FORMAT:
        raise ValueError(f"it has format {settings.get('format')!r}; this version reads format {FORMAT}")
    if set(settings) != _SETTINGS:
        raise ValueError(f"the settings must be {sorted(_SETTINGS)}, got {checks.shorten(sorted(settings))}")
    checks.integer("n_layers", settings["n_layers"], 1, len(entries))
    return settings


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, kind: str) -> np.ndarray:
    """An array of single or double precision ("f"), or of characters ("U"), no larger than its entry."""
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        if version != (1, 0):  # the others are for headers that do not occur here
            raise ValueError(f"{info.filename} has version {version} of the .npy format; allowed is (1, 0)")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype.kind != kind or (kind == "f" and dtype.itemsize not in (4, 8)):
            raise ValueError(f"{info.filename} holds numbers of dtype {dtype}")
        if file.tell() + math.prod(shape) * dtype.itemsize != info.file_size:
            raise ValueError(f"{info.filename} does not have the size of an array of shape {shape} and dtype {dtype}")
        file.seek(0)
        return np.lib.format.read_array(file, allow_pickle=False)
