"""H5MD files of stored frames."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import Any

import numpy as np

from .._version import __version__
from ..checkpoints import path_of
from ..errors import CheckpointError
from .store import Store

__all__ = ["export_h5md"]

_BYTES_AT_A_TIME = 2**24


def export_h5md(zarr_path: str | os.PathLike[str], h5_path: str | os.PathLike[str]) -> None:
    """Make an H5MD file (version 1.1) of the frames that :class:`langevin_fast.reporters.Zarr` stored.

    H5MD knows points in space, three components each. With one or two components the others are 0; with a multiple of
    three, as a cluster of atoms has, each particle gives several points, one after the other.

    Parameters
    ----------
    zarr_path : path
    h5_path : path
        The file takes its place when it is complete; what was there is replaced.

    Raises
    ------
    ImportError
        If h5py is not installed (extra ``h5md``).
    CheckpointError
        If `zarr_path` is no such store, or `h5_path` cannot be written.
    ValueError
        If the number of components is neither 1, 2 nor a multiple of 3.

    Notes
    -----
    Numbers are the user's: there are no units. Of MDAnalysis, which knows the format by the name ``.h5md``, this wants
    ``MDAnalysis.Universe.empty(n, trajectory=True).load_new(h5_path, convert_units=False)``.
    """
    try:
        import h5py
    except ImportError:
        raise ImportError("export_h5md needs h5py: pip install 'langevin-fast[h5md]'") from None
    target = path_of("h5_path", h5_path)
    store = Store.open(path_of("zarr_path", zarr_path, folder=True))
    n, dim = store.arrays["x"].shape
    if dim > 3 and dim % 3:
        raise ValueError(f"zarr_path={str(zarr_path)!r} has {dim} components; H5MD takes 1, 2 or a multiple of 3")
    partial = target.with_name(f".{target.name}.partial")
    try:
        with h5py.File(partial, "w") as file:
            _write(file, store, n, dim)
        os.replace(partial, target)
    except OSError as error:
        raise CheckpointError(f"{str(target)!r} cannot be written: {error}; what was there is as it was") from error
    finally:
        Path(partial).unlink(missing_ok=True)


def _write(file: Any, store: Store, n: int, dim: int) -> None:
    file.create_group("h5md").attrs["version"] = np.array([1, 1])
    file["h5md"].create_group("author").attrs["name"] = _author()
    creator = file["h5md"].create_group("creator")
    creator.attrs["name"], creator.attrs["version"] = "langevin_fast", __version__
    told = file.create_group("parameters/langevin_fast")
    for name, value in store.attributes.items():
        if isinstance(value, (str, int)):
            told.attrs[name] = value

    group = file.create_group("particles/all")
    periods = (store.attributes["periods"] + [None] * 3)[: max(dim, 3)]
    edges = _write_box(group.create_group("box"), periods, store.n)
    for name, title in (("x", "position"), ("v", "velocity")):
        if name not in store.arrays:
            continue
        element = group.create_group(title)
        shape = (store.n, n * max(dim // 3, 1), 3)
        values = element.create_dataset("value", shape, store.arrays[name].dtype)
        at_a_time = max(_BYTES_AT_A_TIME // (n * dim * values.dtype.itemsize), 1)
        for first in range(0, store.n, at_a_time):
            frames = store.read(name, first, min(first + at_a_time, store.n))
            if dim < 3:
                frames = np.pad(frames, [(0, 0), (0, 0), (0, 3 - dim)])
            values[first : first + len(frames)] = frames.reshape(-1, *shape[1:])
        if title == "position":
            element["step"] = store.read("step", 0, store.n)
            if not store.arrays["time"].shape:  # otherwise each particle has a time of its own
                element["time"] = store.read("time", 0, store.n)
        else:
            _link(group["position"], element)
    if edges is not None:
        _link(group["position"], edges)


def _link(position: Any, element: Any) -> None:
    """The steps and times of another element are those of the positions."""
    for name in ("step", "time"):
        if name in position:
            element[name] = position[name]


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a process without a user
        return "unknown"


def _write_box(box: Any, periods: list[float | None], n_frames: int) -> Any:
    """The box of a point, where all points that a particle consists of have the same; its edges, if there are some."""
    several = {tuple(periods[i : i + 3]) for i in range(0, len(periods), 3)}
    mine = several.pop() if len(several) == 1 else (None, None, None)
    box.attrs["dimension"] = 3
    box.attrs["boundary"] = np.array([b"none" if period is None else b"periodic" for period in mine])
    if all(period is None for period in mine):
        return None
    edges = box.create_group("edges")  # of each frame: MDAnalysis knows no others
    edges["value"] = np.broadcast_to([0.0 if period is None else period for period in mine], (n_frames, 3))
    return edges
