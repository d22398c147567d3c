"""Frames in a Zarr store, while a run goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from .. import checks
from .._version import __version__
from ..backends.problem import Recording
from ..checkpoints import packed, path_of, uninterrupted, write
from ..errors import CheckpointError
from ..history import movers_of
from ..memory import check_memory
from ..readings import Readings
from ..stepping import Stepper
from .base import Reporter
from .place import Place
from .store import UNFOLDED, Store, recipe_of

__all__ = ["Zarr"]

# So much is held in memory twice, or so many frames: one half is written while the run fills the other.
_HELD_BYTES, _MOST_HELD = 2**23, 2**16
# Readers see frames that are so old, whatever happens.
_SECONDS = 10.0


class Zarr(Reporter):
    """Stores frames in a Zarr store (format 3), in little memory, for runs of any length.

    The store has arrays ``x`` (draw, chain, component) and, with velocities, ``v``, in the precision of the run;
    coordinates ``step``, ``time`` and ``stream``; and attributes that say what was run. It can be opened at any time,
    also while the run goes on or after it was killed: ``xarray.open_zarr(path)`` (extras ``zarr`` and ``xarray``).

    Frames are the states after steps that are multiples of `every`, or at which it is due otherwise, but not the state
    at which a run begins. In a place where frames of this run are already, those up to the present step are kept and
    later ones cut off. What is up to 10 s old, and everything that a checkpoint counts on, is on the disk.

    Parameters
    ----------
    path : path
        A folder, which is made.
    every : int or str, optional
        At steps that are multiples of it; or a time such as "30 s".
    steps : sequence of int, optional
        At these steps, instead of `every`.
    when : callable, optional
        ``when(simulation)`` is asked at each of them, and must be true.
    replay : bool, default False
        Store also how the run is made, so that :func:`langevin_fast.open` makes any stretch between frames once more;
        with a boundary ``unfolded_x`` too, the positions that it did not fold.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Notes
    -----
    :meth:`Simulation.run` raises a :class:`CheckpointError` where the place belongs to another run, is in use, frames
    would be missing, or it cannot be written. Where :class:`~langevin_fast.observers.FirstPassage` lets particles start
    anew, frames at multiples of `every` show them where they arrived, others where they go on.

    Examples
    --------
    >>> import tempfile, langevin_fast as lf
    >>> simulation = lf.Simulation(lf.potentials.DoubleWell(), lf.BAOAB(0.1, friction=1.0), n_particles=9, seed=1)
    >>> path = tempfile.mkdtemp() + "/run.zarr"
    >>> simulation.run(1000, reporters=[lf.reporters.Zarr(path, every=10)])
    >>> import xarray
    >>> xarray.open_zarr(path)["x"].shape
    (100, 9, 1)
    """

    _place: Place

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | str | None = None,
        *,
        steps: Sequence[int] | None = None,
        when: Callable[[Any], object] | None = None,
        replay: bool = False,
    ) -> None:
        super().__init__(every, steps, when, Place(path_of("path", path, folder=True)))
        if not isinstance(replay, bool):
            raise TypeError(f"replay must be True or False; got {checks.shorten(replay)}")
        self._replay = replay
        self._told: Any = None, None  # the state and history up to which it can be replayed
        self._store: Any = None
        self._written = 0  # frames
        self._last = -1  # the step of the last of them
        self._put_so_far = 0, -1  # of these what is in the store, and the last step
        self._seen = 0.0  # when readers last saw all of them
        self._held: Any = None  # a recording
        self._spare: Any = None  # arrays, for the next
        self._copied: list[int] = []  # the steps of the frames in it, where they are copied there
        self._worker: Any = None
        self._doing: Any = None  # what it was given last

    def begin(self, simulation: Readings, first: int, end: int) -> None:
        """Make the store, or cut it back to the present step."""
        super().begin(simulation, first, end)
        state = simulation.state
        n = min(max(_HELD_BYTES // state.positions.nbytes, 1), _MOST_HELD)
        n_bytes = 2 * n * state.positions.nbytes * (1 if state.velocities is None else 2)
        check_memory(n_bytes, f"the {2 * n} frames that a reporter holds", "use fewer particles")
        self._held = self._spare = None  # those of an earlier run
        x = [np.empty((n, *state.positions.shape), state.positions.dtype) for _ in range(2)]
        v = [None if state.velocities is None else np.empty_like(one) for one in x]
        self._held = Recording(self._trigger.next_step(self._asked), self._trigger.every or 1, x[0], v[0])
        self._spare = x[1], v[1]
        self._copied = []
        with self._place.held():
            path = self._place.path
            self._store = Store.open(path) if path.exists() and any(path.iterdir()) else self._create(simulation, first)
            self._cut(simulation)
            if self._replay:
                self._write_recipe(*self._recipe())
        self._put_so_far = self._written, self._last
        from concurrent.futures import ThreadPoolExecutor  # not with the package

        self._worker, self._doing = ThreadPoolExecutor(1, "langevin_fast.reporters.Zarr"), None
        self._seen = time.monotonic()

    def _create(self, simulation: Readings, first: int) -> Store:
        state = simulation.state
        n, dim = state.positions.shape
        frame = (state.positions.dtype, (n, dim), ("chain", "component"))
        begins, each = max(simulation.step, first), np.ndim(simulation.time) > 0
        walls = simulation.stepper.history.walls
        growing = {
            "x": frame,
            **({} if state.velocities is None else {"v": frame}),
            **({UNFOLDED: frame} if self._replay and walls is not None else {}),
            "step": (np.dtype(np.int64), (), ()),
            "time": (np.dtype(np.float64), (n,) if each else (), ("chain",) if each else ()),
        }
        attributes = {
            "coordinates": "step time stream",  # as xarray marks them
            "seed": str(simulation.seed),  # there are readers without unsigned integers of 64 bits
            "backend": simulation.backend,
            "potential": repr(simulation.potential),
            "scheme": repr(simulation.scheme),
            "precision": simulation.precision,
            "boundary": None if walls is None else repr(walls.boundary),
            "periods": [None] * dim if walls is None else walls.periods,
            "langevin_fast": __version__,
            "replay": self._replay,
            "begins": begins,
            "run": self._place.identities(simulation.stepper, begins),
        }
        return Store.create(
            self._place.path, growing, {"stream": (simulation.streams.astype(np.int64), "chain")}, attributes
        )

    def _cut(self, simulation: Readings) -> None:
        """Keep the frames up to the present step."""
        store, attributes = self._store, self._store.attributes
        for partial in self._place.path.rglob(".*.partial"):  # of a process that was killed
            partial.unlink()
        steps = store.read("step", 0, store.n)
        self._written = int(np.searchsorted(steps, simulation.step, "right"))
        self._last = int(steps[self._written - 1]) if self._written else -1
        try:
            begins = int(attributes["begins"])
            made = [one for i, one in enumerate(attributes["run"]) if i == 0 or one[0] < max(begins, self._last)]
            identity = made[-1][1]
        except (LookupError, TypeError, ValueError):
            raise CheckpointError(f"{str(self._place.path)!r} is damaged: choose another path, or remove it") from None
        self._place.check(simulation, self._trigger, identity, begins, self._last)
        if attributes.get("replay") != self._replay:
            raise CheckpointError(
                f"{str(self._place.path)!r} was begun with replay={attributes.get('replay')}; it cannot go on with "
                f"replay={self._replay}"
            )
        if self._written < store.n:
            store.grow(self._written, attributes | {"run": made})

    @property
    def _records(self) -> bool:
        """Whether the kernels store the frames: they know beforehand which these are."""
        return self._trigger.every is not None

    @property
    def recordings(self) -> Sequence[Recording]:
        """The frames that are held in memory."""
        return (self._held,) if self._records else ()

    def next_step(self, step: int) -> int:
        """Where there is no more room for frames, or one is due."""
        if self._records:
            return int(self._held.first + (len(self._held.positions) - 1) * self._held.every)
        return super().next_step(step)

    def reached(self) -> None:
        """Write what is held where there is no more room, or it is old."""
        if not self._records:
            super().reached()
        with uninterrupted():
            if self._n_held == len(self._held.positions):
                self._write()
            if time.monotonic() - self._seen > _SECONDS:
                self._write()
                self._grow()

    def report(self) -> None:
        """Copy the present state."""
        state, n = self._simulation.state, len(self._copied)
        with uninterrupted():
            self._held.positions[n] = state.positions
            if state.velocities is not None:
                self._held.velocities[n] = state.velocities
            self._copied.append(state.step)
            self._asked = state.step

    @property
    def _n_held(self) -> int:
        return self._held.until(self._simulation.step) if self._records else len(self._copied)

    def _write(self) -> None:
        """Let the frames that are held be put into the store."""
        n, held = self._n_held, self._held
        if not n:
            return
        steps = held.first + held.every * np.arange(n) if self._records else np.array(self._copied)
        x, v = held.positions[:n], None if held.velocities is None else held.velocities[:n]
        self._wait()
        self._doing = self._worker.submit(self._put, self._written, steps, self._times(steps), x, v)
        new = Recording(held.first + n * held.every, held.every, *self._spare)
        self._held, self._spare, self._copied = new, (held.positions, held.velocities), []
        self._written, self._last = self._written + n, int(steps[-1])

    def _put(self, first: int, steps: np.ndarray, times: np.ndarray, x: np.ndarray, v: np.ndarray | None) -> None:
        """Put frames into the store, from number `first` on."""
        walls, entries = self._simulation.stepper.history.walls, {"step": steps, "time": times}
        if walls is not None:
            if self._replay:
                entries[UNFOLDED] = x
            x, v = walls.shown(x, v)
        self._store.write(first, {"x": x, **({} if v is None else {"v": v}), **entries})
        self._put_so_far = first + len(steps), int(steps[-1])

    def _grow(self) -> None:
        """Let readers see all that is in the store."""
        self._wait()
        stepper, (state, history) = self._simulation.stepper, self._told
        if self._replay and (state is not stepper.state or history is not stepper.history):
            self._doing = self._worker.submit(self._show, self._written, self._attributes(self._last), *self._recipe())
        elif self._written > self._store.n:
            self._doing = self._worker.submit(self._show, self._written, self._attributes(self._last))
        self._seen = time.monotonic()

    def _show(self, n: int, attributes: dict[str, Any], *recipe: Any) -> None:
        """Let readers see n frames, and how they were made."""
        if recipe:
            self._write_recipe(*recipe)
        if n > self._store.n:
            self._store.grow(n, attributes)

    def _recipe(self) -> tuple[dict[str, Any], list[np.ndarray]]:
        """How the run was made up to now: what a checkpoint says, without observers that only look."""
        stepper = self._simulation.stepper
        self._told = stepper.state, stepper.history
        header, pack = packed(Stepper(stepper.history, replace(stepper.state, observed=movers_of(stepper.state))), ())
        return header, pack.arrays

    def _write_recipe(self, header: dict[str, Any], arrays: list[np.ndarray]) -> None:
        write(recipe_of(self._place.path), header, arrays, keep=False)

    def _attributes(self, last: int) -> dict[str, Any]:
        """Those of the store where its last frame is that of a step."""
        attributes = self._store.attributes
        made = self._place.identities(self._simulation.stepper, max(attributes["begins"], last))
        return attributes | {"run": made}

    def _wait(self) -> None:
        """Until the worker is done; what went wrong there is raised here, every time."""
        if self._doing is not None:
            with self._place.writing():
                self._doing.result()

    def _times(self, steps: np.ndarray) -> np.ndarray:
        """Of each frame; of each particle too where the store has these."""
        times, each = np.asarray(self._simulation.times_at(steps)), self._store.arrays["time"].shape
        if times.ndim == 1 and each:
            return np.broadcast_to(times[:, np.newaxis], (len(times), *each))
        if times.ndim == 2 and not each:
            raise CheckpointError(
                f"{str(self._place.path)!r} has one time for all particles, which have step sizes of their own by now: "
                "choose another path"
            )
        return times

    def on_disk(self) -> None:
        """See that all frames so far are on the disk, where readers see them."""
        super().on_disk()
        with uninterrupted():
            self._write()
            self._grow()
            self._wait()

    def end(self) -> None:
        """The run is over."""
        self._worker.shutdown()
        n, last = self._put_so_far
        with suppress(OSError):  # after an error: what could be written
            if n > self._store.n:
                self._store.grow(n, self._attributes(last))
        self._place.let_go()
