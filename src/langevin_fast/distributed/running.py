"""A simulation whose steps are made by the workers of a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core, checks
from ..arguments import Beginning, part_of
from ..backends import prepare
from ..backends.problem import Observed, Recording, Reduction, Runner, State, StoppedError
from ..bits import BITS
from ..simulation import Simulation
from ..stepping import Place
from .parts import Held, cancelled, check_client, check_levels, held, parts_of

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["run"]

_PARTS_PER_THREAD = 2  # so that threads of unequal speed have something to do


def run(simulation: Simulation, n_steps: int, *, client: Client, seconds: float = 10.0, **given: Any) -> None:
    """What :meth:`Simulation.run` does, by the workers of a Dask cluster: each takes some of the particles.

    The bits are those of a run in this process. Steps are made in stretches, after which the states and what observers
    saw come back: that is when checkpoints and reports are written.

    Parameters
    ----------
    simulation : Simulation
        It stands `n_steps` steps later afterwards.
    n_steps : int
    client : distributed.Client
    seconds : float, default 10
        About how long a stretch takes, in seconds: what Ctrl-C, an error or a worker that is killed costs.
    **given
        Further arguments of :meth:`Simulation.run`.

    Raises
    ------
    ImportError
        If Dask is not installed (extra ``dask``).
    TypeError, ValueError
        If an argument is not allowed, or the simulation holds what cannot be sent.
    Exception
        What :meth:`Simulation.run` raises, with what was computed.

    Notes
    -----
    Particles that act on each other (a `Batch` potential of all of them) cannot be shared out.
    """
    check_client(client)
    if not isinstance(simulation, Simulation):
        raise TypeError(f"simulation must be a langevin_fast.Simulation; got {checks.shorten(simulation)}")
    seconds = checks.positive("seconds", seconds)
    _check_sent(simulation)
    workers = _Workers(client)
    with simulation.stepper.elsewhere(Place(workers.prepare, seconds, lambda: workers.overhead)):
        simulation.run(n_steps, **given)


def _check_sent(simulation: Simulation) -> None:
    """Raise TypeError where it cannot be sent: Dask would say so in other words, and later."""
    from distributed.protocol.pickle import dumps

    stepper = simulation.stepper
    for what in (stepper.potential, stepper.scheme, *(observed.reduction for observed in stepper.state.observed)):
        try:
            dumps(what)
        except Exception as error:
            raise TypeError(f"simulation: {what!r} cannot be sent to workers: {error}") from error


class _Workers:
    """A :class:`Runner` that shares out particles.

    Parameters
    ----------
    client : distributed.Client

    Attributes
    ----------
    overhead : float
        What the last stretch took beside the steps, in seconds; not known before the second.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sources: list[Any] = []
        self._reductions: Any = None
        self.overhead, self._known = 0.0, False

    def prepare(self, beginning: Beginning) -> _Workers:
        """Have it at the workers."""
        self._potential, self._beginning = beginning.problem.potential, held(self._client, beginning)
        return self

    def advance(self, state: State, n_steps: int, recordings: Sequence[Recording] = ()) -> State:
        """See :class:`Runner`."""
        client, end, started = self._client, state.step + n_steps, time.perf_counter()
        reductions = [observed.reduction for observed in state.observed]
        batch = max((r.particle_batches[1] for r in reductions if r.particle_batches is not None), default=1)
        ranges = parts_of(len(state.positions), _PARTS_PER_THREAD * max(len(self._threads), 1), batch)
        self._hold(reductions)
        first = [recording.until(state.step) for recording in recordings]
        wanted = [
            (recording.first + start * recording.every, recording.every, recording.until(end) - start)
            for recording, start in zip(recordings, first, strict=True)
        ]
        futures = self._submitted(state, ranges, (n_steps, wanted, BITS))
        with cancelled(client, futures):
            try:
                parts = client.gather(futures)
            except StoppedError as stop:  # the other parts may be elsewhere
                raise StoppedError(state, stop.error) from None
        check_levels(self._potential, [_core.isa(), *(part.level for part in parts)])
        for r, (_, seen, *_) in zip(ranges, parts, strict=True):
            for recording, start, part in zip(recordings, first, seen, strict=True):
                recording.positions[start : start + len(part.positions), r] = part.positions
                if recording.velocities is not None:
                    recording.velocities[start : start + len(part.positions), r] = part.velocities
        result = _joined(state, ranges, [part.state for part in parts])
        if self._known:  # the first time, there was something to compile
            busy: dict[Any, float] = {}
            for one in parts:  # one after the other in each thread
                busy[one.place] = busy.get(one.place, 0.0) + one.seconds
            self.overhead = max(time.perf_counter() - started - max(busy.values()), 0.0)
        self._known = True
        return result

    @property
    def _threads(self) -> list[str]:
        """The worker of each thread."""
        return [worker for worker, n in sorted(self._client.nthreads().items()) for _ in range(n)]

    def _submitted(self, state: State, ranges: list[np.ndarray], call: tuple[Any, ...]) -> list[Any]:
        """The futures of all parts, of which each goes to the same worker every time: what it needs is there."""
        import dask

        threads, futures = self._threads, []
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):  # states are that large
            for i, r in enumerate(ranges):
                mine = threads[i * len(threads) // len(ranges) :][:1] or None
                part = self._beginning, self._reductions, r, _part(state, r), *call
                futures.append(
                    self._client.submit(_advance, *part, workers=mine, allow_other_workers=bool(mine), pure=False)
                )
        return futures

    def _hold(self, reductions: list[Reduction]) -> None:
        """Have them at the workers; of what was sent, their sizes alone change as a run goes on."""
        sources = [reduction.sources for reduction in reductions]
        if self._reductions is None or [id(s) for s in sources] != [id(s) for s in self._sources]:
            self._sources, self._reductions = sources, held(self._client, reductions)


# What travels of an observer: the sizes of its reduction, and its accumulators.
_Seen = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


class _Part(NamedTuple):
    """What a worker gives back."""

    state: tuple[State, list[_Seen]]
    recordings: list[Recording]
    level: str
    place: tuple[str, int]  # worker and thread
    seconds: float


def _seen(observed: Observed) -> _Seen:
    return observed.reduction.sizes, *observed.arrays


def _part(state: State, particles: np.ndarray) -> tuple[State, list[_Seen]]:
    """The state of some particles; what was counted goes with the first of them."""
    part = State(
        state.step,
        state.positions[particles],
        None if state.velocities is None else state.velocities[particles],
        state.accepted[particles],
        state.diverged[particles],
    )
    seen = [
        (
            observed.reduction.sizes,
            np.ascontiguousarray(observed.reals[:, particles]),
            np.ascontiguousarray(observed.marks[:, particles]),
            observed.counts if particles[0] == 0 else np.zeros_like(observed.counts),
        )
        for observed in state.observed
    ]
    return part, seen


def _joined(state: State, ranges: list[np.ndarray], parts: list[tuple[State, list[_Seen]]]) -> State:
    """The state of all particles, `state` being the one before."""
    states = [part for part, _ in parts]
    diverged = np.concatenate([part.diverged for part in states])
    observed = []
    for before, *seen in zip(state.observed, *(seen for _, seen in parts), strict=True):
        _, reals, marks, counts = zip(*seen, strict=True)
        placed = [
            _placed(part, before.reduction.particle_batches, int(r[0])) for part, r in zip(counts, ranges, strict=True)
        ]
        arrays = np.concatenate(reals, axis=1), np.concatenate(marks, axis=1), np.sum(placed, axis=0)
        observed.append(Observed(before.reduction, *arrays))
    return State(
        states[0].step,
        np.concatenate([part.positions for part in states]),
        None if state.velocities is None else np.concatenate([part.velocities for part in states]),
        np.concatenate([part.accepted for part in states]),
        state.diverged if (diverged == state.diverged).all() else diverged,  # the same array: nothing was added
        tuple(observed),
    )


def _placed(counts: np.ndarray, batches: tuple[int, int] | None, first: int) -> np.ndarray:
    """Counts of a part, whose first batch is that of its first particle."""
    if batches is None:
        return counts
    n, size = batches
    return np.roll(counts.reshape(n, -1), first // size, axis=0).ravel()


# --- in a worker ------------------------------------------------------------------------------------------------------


def _advance(
    beginning: Held,
    reductions: Held,
    particles: np.ndarray,
    part: tuple[State, list[_Seen]],
    n_steps: int,
    wanted: list[tuple[int, int, int]],
    bits: int,
) -> _Part:
    if bits != BITS:
        raise RuntimeError(f"a worker has another version of langevin_fast: bits {BITS}, here {bits}")
    state, seen = part
    name = int(particles[0]), int(particles[-1])

    def prepared(whole: Beginning) -> Runner:
        return prepare(whole.backend, part_of(whole, particles).problem, 1)

    def looking(whole: list[Reduction]) -> list[Reduction]:
        return [reduction.of_particles(particles) for reduction in whole]

    runner = beginning.made(name, prepared)
    kinds = reductions.made(name, looking)
    observed = [
        Observed(replace(kind, sizes=sizes), *arrays) for kind, (sizes, *arrays) in zip(kinds, seen, strict=True)
    ]
    state = replace(state, observed=tuple(observed))
    recordings = [Recording(first, every, *_frames(state, n)) for first, every, n in wanted]
    started = time.perf_counter()
    state = runner.advance(state, n_steps, recordings)
    elapsed = time.perf_counter() - started
    seen = [_seen(one) for one in state.observed]
    from distributed import get_worker

    place = get_worker().address, threading.get_ident()
    return _Part((replace(state, observed=()), seen), recordings, _core.isa(), place, elapsed)


def _frames(state: State, n: int) -> tuple[np.ndarray, np.ndarray | None]:
    x = np.empty((n, *state.positions.shape), state.positions.dtype)
    return x, None if state.velocities is None else np.empty_like(x)
