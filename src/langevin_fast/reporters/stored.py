"""Frames that a Zarr reporter stored, and what lies between them."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..backends.problem import State
from ..checkpoints import Contents, path_of, unpacked
from ..errors import CheckpointError
from ..history import History
from ..memory import check_memory
from ..potentials.base import Potential
from ..trajectory import Trajectory, replay
from .store import UNFOLDED, Store, recipe_of

__all__ = ["StoredRun", "open_run"]


def open_run(
    path: str | os.PathLike[str],
    *,
    potential: Potential | None = None,
    backend: str | None = None,
    threads: int | None = None,
) -> StoredRun:
    """The run of which :class:`langevin_fast.reporters.Zarr` stored frames, up to the last that is there now.

    Parameters
    ----------
    path : path
        The store.
    potential : Potential, optional
        To replay: the one of the run, where it consists of Python functions that are not in this process under their
        names, or of what no file can hold. It must be the same: functions are compared by their code, constants and
        closures.
    backend : str, optional
        To replay; default: that of the run. The bits are the same.
    threads : int, optional
        As for :class:`Simulation`.

    Returns
    -------
    StoredRun

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    CheckpointError
        If `path` is no such store, or damaged; if `potential` is another one, or nothing can be replayed with it.

    Examples
    --------
    >>> import tempfile, langevin_fast as lf
    >>> path = tempfile.mkdtemp() + "/run.zarr"
    >>> simulation = lf.Simulation(lf.potentials.DoubleWell(), lf.BAOAB(0.1, friction=1.0), n_particles=9, seed=1)
    >>> simulation.run(1000, reporters=[lf.reporters.Zarr(path, every=100, replay=True)])
    >>> run = lf.open(path)
    >>> run.positions.shape
    (10, 9, 1)
    >>> part = run.replay(particles=[7], steps=slice(350, 360))
    >>> part.positions.shape
    (10, 1, 1)
    """
    run = StoredRun(path_of("path", path, folder=True), potential, backend, threads)
    if potential is not None or backend is not None or threads is not None:
        run.history  # noqa: B018  what is wrong is said now
    return run


class StoredRun:
    """Frames on the disk, which are read when they are first asked for; made by :func:`langevin_fast.open`.

    Attributes
    ----------
    attributes : dict
        What was run: ``["seed"]``, ``["potential"]``, ``["scheme"]``, ... as texts.
    """

    def __init__(self, path: Path, potential: Potential | None, backend: str | None, threads: int | None) -> None:
        self._path, self._given = path, (potential, backend, threads)
        self._store = Store.open(path)
        self._n = self._store.n
        self.attributes = dict(self._store.attributes)

    def __repr__(self) -> str:
        n, dim = self._store.arrays["x"].shape
        return (
            f"<StoredRun: {self._n} frames of {n} particles in {dim} dimensions, {self.attributes['potential']}, "
            f"{self.attributes['scheme']}, seed={self.attributes['seed']}>"
        )

    def _read(self, name: str) -> np.ndarray:
        array = self._store.arrays[name]
        check_memory(self._n * array.n_bytes, f"the {self._n} entries of {name}", "read parts with xarray.open_zarr")
        return self._store.read(name, 0, self._n)

    @cached_property
    def steps(self) -> np.ndarray:
        """The step number of each frame, (n_frames,)."""
        return self._read("step")

    @cached_property
    def times(self) -> np.ndarray:
        """The time of each frame, (n_frames,); (n_frames, n_particles) where each particle has a step size."""
        return self._read("time")

    @cached_property
    def streams(self) -> np.ndarray:
        """The noise stream of each particle, (n_particles,)."""
        return self._store.read("stream", 0, self._store.arrays["x"].shape[0]).astype(np.uint64)

    @cached_property
    def positions(self) -> np.ndarray:
        """Positions, (n_frames, n_particles, dim), in length units; within the boundary."""
        return self._read("x")

    @cached_property
    def velocities(self) -> np.ndarray | None:
        """On-step velocities, (n_frames, n_particles, dim), in length/time; None for overdamped schemes."""
        return self._read("v") if "v" in self._store.arrays else None

    @property
    def unwrapped_positions(self) -> np.ndarray:
        """Positions, (n_frames, n_particles, dim), whose periodic components count the crossings of the boundary.

        Raises
        ------
        CheckpointError
            If there is a boundary, and they were not stored (``Zarr(..., replay=True)``).
        """
        if self.attributes["boundary"] is None:
            return self.positions
        if UNFOLDED not in self._store.arrays:
            raise CheckpointError(self._without("unwrapped positions"))
        walls = self.history.walls
        assert walls is not None
        return walls.unwrapped(self._read(UNFOLDED))

    def _without(self, what: str) -> str:
        return f"{str(self._path)!r} has no {what}: it was written without replay=True"

    @cached_property
    def _made(self) -> tuple[History, State]:
        recipe = recipe_of(self._path)
        if not recipe.exists():
            raise CheckpointError(self._without("states to replay from"))
        stepper, _ = unpacked(Contents.of(recipe), self._given[0], None, *self._given[1:])
        return stepper.history.until_now(stepper.state), stepper.state

    @property
    def history(self) -> History:
        """How the run was made: its first state, potential, scheme, and every change."""
        return self._made[0]

    @property
    def last(self) -> State:
        """The state up to which it can be replayed, as the kernels have it."""
        return self._made[1]

    def replay(
        self, particles: ArrayLike | None = None, steps: slice | None = None, *, progress: bool | None = None
    ) -> Trajectory:
        """Any stretch of the run once more, with a frame after every step; the bits are those of the run.

        It is made again from the nearest frame before it.

        Parameters
        ----------
        particles, steps, progress
            As for :meth:`Trajectory.replay`.

        Returns
        -------
        Trajectory

        Raises
        ------
        TypeError, ValueError
            There is no such particle, or no such step.
        CheckpointError
            If the store was written without ``replay=True``, is damaged, of a version whose runs have other bits, or
            its potential is not there (give it to :func:`langevin_fast.open`).
        MemoryError
            If the frames would not fit into memory.
        """
        history, last = self._made
        return replay(history, last, self._state_until, particles, steps, progress)

    def _state_until(self, step: int) -> State:
        """The latest state that is stored, up to a step; acceptances are not known."""
        history, last = self._made
        if last.step <= step:
            return last
        i = int(np.searchsorted(self.steps, step, "right")) - 1
        if i < 0:
            return history.first
        x, v = (self._frame(name, i) for name in (UNFOLDED if history.walls else "x", "v"))
        assert x is not None
        if v is not None and history.walls is not None:
            v = v * history.walls.fold(x)[1]  # as it was before it was turned with the position
        return State(int(self.steps[i]), x, v, last.accepted, last.diverged)

    def _frame(self, name: str, i: int) -> Any:
        return self._store.read(name, i, i + 1)[0] if name in self._store.arrays else None
