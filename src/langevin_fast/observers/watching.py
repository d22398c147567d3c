"""The observers of a run: from the check before it to what they show after it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from .. import _core, checks
from ..backends.problem import Recording, State
from ..memory import check_memory
from .base import Observer, Run
from .frames import Frames

Times = Callable[[np.ndarray], "float | np.ndarray"]


class Watching:
    """Observers, frames among them, that look at one run.

    Parameters
    ----------
    name : str
        The argument that they came as.
    observers : sequence of Observer or Frames

    Raises
    ------
    TypeError, ValueError
        If one of them is something else, has seen a run already, or there are too many.
    """

    def __init__(self, name: str, observers: Sequence[Observer | Frames]) -> None:
        self.name = name
        if not isinstance(observers, (tuple, list)) or not all(isinstance(o, (Observer, Frames)) for o in observers):
            raise TypeError(f"{name} must be a sequence of observers (lf.observers); got {checks.shorten(observers)}")
        self.all = tuple(observers)
        self.frames = [o for o in self.all if isinstance(o, Frames)]
        self.observers = [o for o in self.all if isinstance(o, Observer)]
        most = _core.MAX_RECORDINGS - 1  # one is kept free for the path to a divergence
        if len(self.frames) > most:
            raise ValueError(f"{name} holds {len(self.frames)} Frames; at most {most} are allowed")
        if len(set(map(id, self.all))) < len(self.all):
            raise ValueError(f"{name} holds the same observer twice")
        for frames in self.frames:
            frames.check_unused()

    def __copy__(self) -> Watching:
        """With observers that go their own way."""
        return Watching(self.name, [copy.copy(observer) for observer in self.all])

    @classmethod
    def of(cls, name: str, given: Watching | Sequence[Observer | Frames]) -> Watching:
        """These, or what they are in already."""
        return given if isinstance(given, Watching) else cls(name, given)

    def check(self, run: Run, state: State, n_steps: int) -> None:
        """See that all of them can look at a run of so many steps, before anything runs.

        Raises
        ------
        TypeError, ValueError
            If one of them cannot.
        MemoryError
            If what they keep would not fit into memory.
        """
        n, most = len(state.positions), _core.MAX_OBSERVATIONS
        if (n_observers := len(state.observed) + len(self.observers)) > most:
            raise ValueError(f"{self.name}: {n_observers} observers would look; at most {most} are allowed")
        n_bytes = 0
        for observer in self.observers:
            reduction = observer.check(run)
            if reduction.stops and state.observed:
                raise ValueError(
                    f"{self.name}: {observer!r} stops particles at which others look in every run; give it to "
                    "Simulation(observers=[...]) too"
                )
            for source in reduction.sources:
                if source.function is not None:
                    source.function.addresses(run.problem.dtype)  # compiled now, for what cannot be
            # of one particle and of none, so that nothing large is made
            one, none = (reduction.empty(k) for k in (1, 0))
            shared = sum(a.nbytes for a in none.arrays)
            each = sum(a.nbytes for a in one.arrays) - shared
            # the accumulators of a chunk, and of the one before it; counts of each thread
            n_bytes += 2 * (shared + n * each) + run.threads * shared
        check_memory(n_bytes, f"what {len(self.observers)} observers keep of {n} particles", "use fewer particles")
        n_bytes = sum(frames.n_bytes(state, n_steps) for frames in self.frames)
        n_frames = sum(frames.n_frames(n_steps) for frames in self.frames)
        check_memory(n_bytes, f"the {n_frames} frames of {n} particles")

    def begin(self, run: Run, state: State, n_steps: int) -> tuple[State, list[Recording]]:
        """The state with their accumulators, and the arrays for frames."""
        observed = state.observed
        try:
            for observer in self.observers:
                observed += (observer.begin(run, state),)
            recordings = [frames.begin(state, n_steps, run.problem.walls) for frames in self.frames]
        except BaseException:
            for observer in self.observers:
                observer.withdraw()  # they have not looked
            raise
        if self.observers:
            state = dataclasses.replace(state, observed=observed)
        return state, recordings

    def see(self, run: Run, state: State, times_at: Times, first: int) -> None:
        """Tell all of them where the run stands; their accumulators are those from number `first` on."""
        for observer, observed in zip(self.observers, state.observed[first:], strict=False):
            observer.see(run, observed, state)
        for frames in self.frames:
            if frames.begun:
                frames.end(state.step, times_at)
