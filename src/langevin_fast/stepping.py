"""The loop over chunks of steps, and what is said of a particle that is no longer finite."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import backends
from .arguments import Beginning, check_last_step
from .backends.problem import Observed, Recording, Runner, Stages, State, StoppedError, accounts
from .errors import DivergenceError
from .history import History, movers_of
from .observers import Run, Watching
from .potentials.base import Potential
from .progress import Progress
from .rows import Drive
from .schemes import Scheme

_LONGEST_CHUNK = 2**22  # steps; the kernels count acceptances of a chunk in single precision
# Bytes, as a rule: to new memory, which the system has to provide.
_COPIED_PER_SECOND = 1e9
# Where particles leave, chunks are at least so long: making up the groups anew takes as long as a few steps.
_SHORTEST_UNTIL_ARRIVALS = 16
# A particle that diverged is shown on its last steps, where the states of all particles fit into this many bytes.
_PATH_STEPS, _PATH_BYTES = 10, 2**26
# Grown so much in these steps, a position is that of a particle that was thrown out by too large a step.
_RAN_AWAY = 1e3


class Seam(Protocol):
    """What is done between chunks, outside the compiled loops: files are written."""

    @property
    def recordings(self) -> Sequence[Recording]:
        """What takes states among the steps up to the next such step."""

    def next_step(self, step: int) -> int:
        """The next step after this one at which it has to be told, whatever the chunks."""

    def reached(self) -> None:
        """The run stands at a complete step."""


class Place(NamedTuple):
    """Where steps are made.

    Attributes
    ----------
    prepare : callable
        Makes the runner.
    seconds : float
        Steps are made in chunks of about this long, so that Ctrl-C and the progress bar are served in time.
    overhead : callable
        How many seconds a chunk costs there, however short it is.
    """

    prepare: Callable[[Beginning], Runner]
    seconds: float
    overhead: Callable[[], float]


def _prepare(b: Beginning) -> Runner:
    return backends.prepare(b.backend, b.problem, b.threads)


def _none() -> float:
    return 0.0


_HERE = Place(_prepare, 0.1, _none)


class Stepper:
    """Where a simulation stands, and how it goes on.

    Parameters
    ----------
    history : History
        What was done so far; the last segment goes on.
    state : State

    Attributes
    ----------
    state : State
        After the last complete step.
    """

    def __init__(self, history: History, state: State) -> None:
        self._now = state, history
        self.recent: deque[State] = deque()  # states before, back to _PATH_STEPS steps ago
        self.place = _HERE
        self.runner: Runner | None = None
        self.seconds_per_step: float | None = None
        self.until_arrivals = _LONGEST_CHUNK
        self.moving = 0
        self.watched_since = 0  # by the present observers

    @classmethod
    def of(cls, beginning: Beginning) -> Stepper:
        """At its first state."""
        return cls(History.of(beginning), beginning.state)

    @property
    def state(self) -> State:
        """After the last complete step."""
        return self._now[0]

    @state.setter
    def state(self, state: State) -> None:
        self._now = state, self._now[1]

    @property
    def history(self) -> History:
        """What was done so far; the last segment goes on."""
        return self._now[1]

    @property
    def beginning(self) -> Beginning:
        """What steps are made with now."""
        return self.history[-1].beginning

    def turn(self, beginning: Beginning) -> None:
        """Go on with other numbers; where the potential is another one, that is work."""
        state = self.state
        if accounts(state.observed):
            x = state.shown(self.history.walls).positions
            energies = [b.problem.potential_after(state.step).energy(x) for b in (self.beginning, beginning)]
            state = self._with_work((energies[1] - energies[0]).astype(np.float64))
        self.runner = None
        self.recent.clear()
        # One assignment, whenever an interrupt may come.
        self._now = state, self.history.turned(state.step, beginning, movers_of(state))

    def _with_work(self, jump: np.ndarray) -> State:
        state = self.state
        still = state.diverged >= 0
        if state.stopped is not None:
            still = still | (state.stopped >= 0)
        added = np.zeros((3, len(jump)))
        added[0] = np.where(still, 0.0, jump)
        observed = tuple(o._replace(reals=o.reals + added) if accounts([o]) else o for o in state.observed)
        return dataclasses.replace(state, observed=observed)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "place": _HERE, "runner": None, "recent": deque()}  # no results depend on these

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for segment in self.history:
            segment.beginning.mass.flags.writeable = False

    @contextmanager
    def elsewhere(self, place: Place) -> Iterator[None]:
        """Steps are made there in here."""
        try:
            self._go_to(place)
            yield
        finally:
            self._go_to(_HERE)

    def _go_to(self, place: Place) -> None:
        self.place, self.runner, self.seconds_per_step = place, None, None

    @property
    def run(self) -> Run:
        """What observers are told."""
        b = self.beginning
        return Run(b.problem, self.scheme, b.mass, b.backend, b.threads)

    @property
    def first_run(self) -> Run:
        """What those were told that look from the first state on."""
        return Stepper(History(self.history[:1]), self.history.first).run

    def observe(self, watching: Watching, n_steps: int) -> list[Recording]:
        """Let observers look from here on; the arrays for the frames among them."""
        state, recordings = watching.begin(self.run, self.state, n_steps)
        self.watch(state.observed)
        return recordings

    def watch(self, observed: tuple[Observed, ...]) -> None:
        """These look from here on, and no others."""
        if len(observed) == len(self.state.observed):
            return
        before, state, history = movers_of(self.state), dataclasses.replace(self.state, observed=observed), self.history
        self.watched_since = state.step
        while self.recent and self.recent[-1].step >= state.step:
            self.recent.pop()  # the same step, with other observers
        if before or movers_of(state):
            self.recent.clear()  # others moved then
            history = history.turned(state.step, self.beginning, before)
        self._now = state, history
        stops = state.stopped is not None
        self.moving = len(state.positions)
        self.until_arrivals = _SHORTEST_UNTIL_ARRIVALS if stops else _LONGEST_CHUNK

    def dismiss(self, first: int) -> None:
        """Observers from number `first` on look no longer."""
        self.watch(self.state.observed[:first])

    @property
    def stage(self) -> int:
        """In which the next step is."""
        changes = self.beginning.problem.changes
        return int(changes.rows(self.state.step, 1)[0]) if isinstance(changes, Stages) else 0

    @property
    def potential(self) -> Potential:
        """U: of the next step where there are stages, as a function of time where it is driven."""
        problem = self.beginning.problem
        return problem.changes.potential if isinstance(problem.changes, Drive) else problem.potentials[self.stage]

    @property
    def scheme(self) -> Scheme:
        """What makes the steps, likewise."""
        b = self.beginning
        return b.problem.changes.scheme if isinstance(b.problem.changes, Drive) else b.schemes[self.stage]

    def times_at(self, steps: int | np.ndarray) -> float | np.ndarray:
        """The time after so many steps from step 0 on; one more axis, of particles, where each has a step size."""
        return self.history.times_at(steps)

    @property
    def longest_chunk(self) -> int:
        """The most steps that are made at a time."""
        changes = self.beginning.problem.changes
        return _LONGEST_CHUNK if changes is None else min(_LONGEST_CHUNK, changes.most_steps)

    def check_steps(self, name: str, n_steps: int) -> None:
        """Raise ValueError, which names the argument, if the noise does not reach so many steps further."""
        check_last_step(self.beginning.problem, name, n_steps, self.state.step + n_steps)

    def advance(self, n_steps: int, recordings: list[Recording], bar: Progress, seams: Sequence[Seam] = ()) -> None:
        """Make `n_steps` steps; the state is always that of a complete one."""
        end = self.state.step + n_steps
        while self.state.step < end:
            until = min([end, *(seam.next_step(self.state.step) for seam in seams)])
            chunk = self._chunk(until - self.state.step)
            taking = [*recordings, *(recording for seam in seams for recording in seam.recordings)]
            started = time.perf_counter()
            state, error = self._make_steps(self.state, chunk, taking)
            # the kernels pass on the array to which nothing was added
            news = state.diverged is not self.state.diverged
            if news and not self.beginning.freeze and (state.diverged >= 0).any():
                if error is not None and not isinstance(error, Exception):
                    raise error  # Ctrl-C; the divergence will be found again
                self._raise_divergence(state.diverged, taking)
            self._remember(self.state, state.step)
            # One assignment: a KeyboardInterrupt comes before it or after it.
            self.state = state
            if error is not None:
                raise error
            elapsed = time.perf_counter() - started
            self.seconds_per_step = max(elapsed - self.seconds_per_chunk, 0.1 * elapsed) / chunk
            self._adapt_to_arrivals()
            bar.update(chunk)
            for seam in seams:
                seam.reached()

    def _make_steps(
        self, state: State, n_steps: int, recordings: list[Recording]
    ) -> tuple[State, BaseException | None]:
        """The state `n_steps` later; or an earlier one, and what a function of the user's raised there."""
        end = state.step + n_steps
        while True:
            if self.runner is None:
                self.runner = self.place.prepare(self.beginning)
            state, until = _with_room(state, end)
            try:
                state = self.runner.advance(state, until - state.step, recordings)
            except StoppedError as stop:
                return stop.state, stop.error
            if state.step == end:
                return state, None

    def _chunk(self, n_steps: int) -> int:
        """How many of so many steps are made next."""
        if self.seconds_per_step is None:
            return 1  # nothing is known yet, and one step may take long
        n_steps = min(n_steps, self.longest_chunk, self.until_arrivals)
        # what each chunk costs is a small part of it, but nobody waits for long
        seconds = (
            self.place.seconds + 5.0 * self._seconds_of_copying + min(5.0 * self.place.overhead(), self.place.seconds)
        )
        if n_steps * self.seconds_per_step <= seconds:
            return n_steps
        return max(int(seconds / self.seconds_per_step), 1)

    @property
    def seconds_per_chunk(self) -> float:
        """About how long a chunk takes besides its steps."""
        return self._seconds_of_copying + self.place.overhead()

    @property
    def _seconds_of_copying(self) -> float:
        """Of the accumulators of observers, about."""
        return sum(a.nbytes for observed in self.state.observed for a in observed.arrays) / _COPIED_PER_SECOND

    def _adapt_to_arrivals(self) -> None:
        """Particles that an observer stops leave their groups at the end of a chunk: chunks in which few arrive."""
        stopped = self.state.stopped
        if stopped is None:
            return
        moving = int((stopped < 0).sum())
        arrived = (self.moving - moving) / max(self.moving, 1)
        if arrived > 0.1:
            self.until_arrivals = max(self.until_arrivals // 2, _SHORTEST_UNTIL_ARRIVALS)
        elif arrived < 0.05:
            self.until_arrivals = min(2 * self.until_arrivals, _LONGEST_CHUNK)
        self.moving = moving

    def _raise_divergence(self, diverged: np.ndarray, recordings: list[Recording]) -> None:
        """Go to the step before the first divergence and raise."""
        bad = np.flatnonzero(diverged >= 0)
        step = int(diverged[bad].min())
        particle = int(bad[diverged[bad] == step][0])
        # From a little earlier, so that the path does not depend on where chunks begin; the noise is a function of the
        # step number, so these are the same steps.
        earlier = [state for state in self.recent if state.step + _PATH_STEPS < step]
        start = earlier[-1] if earlier else self.recent[0] if self.recent else self.state
        path = _path_recording(start, step - 1)
        if start.step < self.watched_since:
            # for the path alone, which observers do not alter
            self._make_steps(dataclasses.replace(start, observed=()), step - 1 - start.step, [path] if path else [])
            start = next((state for state in self.recent if state.step >= self.watched_since), self.state)
        elif path is not None:
            recordings = [*recordings, path]
        if step - 1 > start.step:
            state, error = self._make_steps(start, step - 1 - start.step, recordings)
            if state.step >= self.state.step:
                self.state = state
            if error is not None:  # from a function that is not the same the second time
                raise error
        x = self.state.positions[particle].copy()
        where = None if path is None else path.positions[:, particle].copy()
        advice = self._advice(x, where)
        if (walls := self.history.walls) is not None:
            x, where = walls.fold(x)[0], None if where is None else walls.fold(where)[0]
        raise DivergenceError(
            step,
            particle,
            int(self.beginning.problem.streams[particle]),
            x,
            float(np.broadcast_to(self.scheme.step_size, diverged.shape)[particle]),
            advice,
            where,
        )

    def _remember(self, state: State, step: int) -> None:
        """Keep the states from which the last steps up to `step` can be made once more."""
        if state.step < step:
            self.recent.append(state)
        while len(self.recent) > 1 and self.recent[1].step + _PATH_STEPS <= step:
            self.recent.popleft()
        kept = state.positions.nbytes + sum(a.nbytes for observed in state.observed for a in observed.arrays)
        if len(self.recent) * kept > _PATH_BYTES:
            self.recent.clear()

    def _advice(self, x: np.ndarray, path: np.ndarray | None) -> str | None:
        """What to do where a smaller step does not help: it did not run away, but the gradient is not finite."""
        size = np.abs(x if path is None else path).max(axis=-1)
        if np.size(size) == 1:  # of a run that goes on from there: beside where all particles began
            size = np.append(size, np.abs(self.history.first.positions).max())
        with np.errstate(over="ignore"):
            ran_away = np.max(size) > min(_RAN_AWAY * (1.0 + np.min(size)), np.sqrt(np.finfo(x.dtype).max))
        if ran_away:
            return None
        try:
            with np.errstate(all="ignore"):
                u = self.beginning.problem.potential_after(self.state.step)
                walls = self.history.walls
                finite = np.isfinite(u.gradient(x if walls is None else walls.fold(x)[0])).all()
        except Exception:  # of a user's function, which cannot be asked then
            return None
        if finite:
            return None
        return "The gradient is not finite there: the particle left the domain of U, or a function returned NaN."


def _with_room(state: State, end: int) -> tuple[State, int]:
    """The state, with room for more looks of its observers, and up to which step this suffices."""
    if not state.observed:
        return state, end
    ready = []
    for observed in state.observed:
        full = observed.reduction.full_after()
        if full is not None and observed.reduction.looks_until(state.step) >= full:
            observed = observed.reduction.coarser(observed)
            full = observed.reduction.full_after()
        if full is not None:
            end = min(end, observed.reduction.first + (full - 1) * observed.reduction.every)
        ready.append(observed)
    if any(new is not old for new, old in zip(ready, state.observed, strict=True)):
        state = dataclasses.replace(state, observed=tuple(ready))
    return state, end


def _path_recording(state: State, end: int) -> Recording | None:
    """For the last steps up to `end`; None where there are none, or no room."""
    x = state.positions
    n = min(_PATH_STEPS, end - state.step, _PATH_BYTES // x.nbytes)
    if n < 1:
        return None
    looks = np.empty((n, *x.shape), x.dtype)
    return Recording(end - n + 1, 1, looks, None if state.velocities is None else np.empty_like(looks))
