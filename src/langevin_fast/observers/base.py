"""What all observers have in common: when they look, and what they saw."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..backends.problem import Observed, Problem, Reduction, Source, State
from ..schemes import Scheme

# From so many particles on, errors come from what differs between particles; below, from batches in time.
MANY_PARTICLES = 32
_FEW = 3  # numbers that are shown in brief


class Run(NamedTuple):
    """What an observer is told of the run that it looks at.

    Attributes
    ----------
    problem : Problem
    scheme : Scheme
    mass : (1 or n, 1 or dim) array
    backend : str
    threads : int
    """

    problem: Problem
    scheme: Scheme
    mass: np.ndarray
    backend: str
    threads: int


class Contents(NamedTuple):
    """What an observer has seen.

    Attributes
    ----------
    run : Run
    observed : Observed
    changed : bool
        Whether numbers of the run were changed while it looked.
    streams : (n,) array
    begins, ends : (n,) arrays of int
        The steps between which it looked at each particle.
    last_looks : (n,) array of int
        The step of the last look, or that of the beginning.
    n_samples : (n,) array of int
        The looks.
    n_steps, accepted : (n,) arrays of int
        Steps, and accepted proposals.
    """

    run: Run
    observed: Observed
    changed: bool
    streams: np.ndarray
    begins: np.ndarray
    ends: np.ndarray
    last_looks: np.ndarray
    n_samples: np.ndarray
    n_steps: np.ndarray
    accepted: np.ndarray


class Looking:
    """What looks after steps s0 + start + every, s0 + start + 2 every, ...

    Parameters
    ----------
    every : int, default 1
        >= 1.
    start : int, default 0
        >= 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """

    _given: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember what it is made with, so that a file can say it."""
        self = object.__new__(cls)
        self._given = _kept(args), _kept(kwargs)
        return self

    def __init__(self, every: int = 1, start: int = 0) -> None:
        self._every = checks.integer("every", every, 1, 2**60)
        self._start = checks.integer("start", start, 0, 2**60)

    @property
    def given(self) -> dict[str, Any]:
        """The arguments that it was made with, by name."""
        args, kwargs = self._given
        return dict(inspect.signature(type(self)).bind(*args, **kwargs).arguments)

    @property
    def every(self) -> int:
        """From one look to the next, in steps."""
        return self._every

    @property
    def start(self) -> int:
        """How many steps of the run come before the first interval."""
        return self._start


class Observer(Looking, ABC):
    """Looks at a simulation, inside its compiled loop, and keeps what it makes of it.

    It looks after steps s0 + start + every, s0 + start + 2 every, ..., where s0 is the step at which it was given to
    the simulation: its first, or the end of the burn-in. What it holds is that of the last complete step, also after an
    error or Ctrl-C. A particle that is frozen contributes nothing from its bad step on. ``a + b`` is what both saw: of
    different particles, or of consecutive runs of the same ones.

    Parameters
    ----------
    every : int, default 1
        >= 1.
    start : int, default 0
        >= 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """

    def __init__(self, every: int = 1, start: int = 0) -> None:
        super().__init__(every, start)
        self._contents: Contents | None = None

    def __repr__(self) -> str:
        seen = "no look yet" if self._contents is None else f"{self.n_looks} looks at {len(self.n_samples)} particles"
        brief = f"{self.in_brief}; " if self.in_brief else ""
        return f"<{type(self).__name__}: {brief}{seen}, every={self.every}, start={self.start}>"

    @property
    def in_brief(self) -> str:
        """What it has seen so far, in a few words; nothing where that takes more."""
        if self._contents is None or self.n_looks == 0:
            return ""
        with np.errstate(all="ignore"):  # of particles that ran away
            return self._in_brief()

    def _in_brief(self) -> str:
        return ""

    @property
    def n_looks(self) -> int:
        """How often it has looked."""
        contents = self._seen()
        return int(contents.n_samples.max(initial=0))

    @property
    def n_samples(self) -> np.ndarray:
        """How many looks there were at each particle, (n_particles,)."""
        return self._seen().n_samples

    @property
    def streams(self) -> np.ndarray:
        """The noise stream of each particle that was looked at, (n_particles,)."""
        return self._seen().streams

    # --- what runs call

    @property
    def begun(self) -> bool:
        """Whether a run has begun that it looks at."""
        return self._contents is not None

    def check(self, run: Run) -> Reduction:
        """See that it can look at a run, and what it then does there.

        Raises
        ------
        TypeError, ValueError
            If it cannot, or has looked at another run.
        """
        if self._contents is not None:
            raise ValueError(f"observers or record: {self!r} has looked at a run already; make a new one for this run")
        return self.reduction(run, 0)

    def begin(self, run: Run, state: State) -> Observed:
        """Its accumulators at the state at which a run begins."""
        observed = self.at_beginning(run, self.reduction(run, state.step), state)
        self.resume(run, observed, state.step, state.accepted, changed=False)
        return observed

    @property
    def beginning(self) -> tuple[int, np.ndarray, bool]:
        """The step at which it began to look, acceptances up to there, and whether numbers of the run were changed."""
        contents = self._seen()
        return int(contents.begins[0]), self._accepted_before, contents.changed

    def resume(self, run: Run, observed: Observed, begins: int, accepted: np.ndarray, *, changed: bool) -> None:
        """Go on in a run that was stored, at which it looked from a step on."""
        nothing = np.zeros(len(run.problem.streams), np.int64)
        here = nothing + begins
        self._accepted_before = accepted
        streams = run.problem.streams
        self._contents = Contents(run, observed, changed, streams, here, here, here, nothing, nothing, nothing)

    def anew(self) -> Self:
        """One with the same arguments, that has seen nothing."""
        args, kwargs = self._given
        return type(self)(*args, **kwargs)

    def become(self, other: Self) -> None:
        """Hold what another one of the same arguments has seen."""
        self.__dict__.update(other.__dict__)

    @property
    def observed(self) -> Observed:
        """Its accumulators."""
        return self._seen().observed

    @property
    def moves(self) -> bool:
        """Whether it stops particles, or lets them start anew."""
        reduction = self.observed.reduction
        return reduction.stops or reduction.restart is not None

    def withdraw(self) -> None:
        """Forget a run that did not begin."""
        self._contents = None

    @abstractmethod
    def reduction(self, run: Run, step: int) -> Reduction:
        """What it does in a run that it observes from a step on."""

    def at_beginning(self, run: Run, reduction: Reduction, state: State) -> Observed:
        """What it makes of the first state."""
        return reduction.empty(len(state.positions))

    def first_look(self, step: int) -> int:
        """After which step."""
        return step + self._start + self._every

    def see(self, run: Run, observed: Observed, state: State) -> None:
        """The run stands at this state, and these are its accumulators there."""
        contents = self._seen()
        first, every = observed.reduction.first, observed.reduction.every
        n_steps = state.steps_since(int(contents.begins[0]))
        last = contents.begins + n_steps
        n_samples = np.maximum((last - first) // every + 1, 0)
        self._contents = contents._replace(
            observed=observed,
            changed=contents.changed or run.problem is not contents.run.problem,
            ends=np.full_like(last, state.step),
            last_looks=np.where(n_samples > 0, first + (n_samples - 1) * every, contents.begins),
            n_samples=n_samples,
            n_steps=n_steps,
            accepted=state.accepted - self._accepted_before,
        )

    def _seen(self) -> Contents:
        if self._contents is None:
            raise ValueError(f"{self!r}: give it to lf.sample or lf.Simulation as one of observers=[...]")
        return self._contents

    # --- merging

    def __add__(self, other: Self) -> Self:
        """What both saw."""
        if type(other) is not type(self):
            return NotImplemented
        a, b = self._seen(), other._seen()
        ra, rb = a.observed.reduction, b.observed.reduction
        if a.changed or b.changed:
            raise ValueError(f"{self!r} and {other!r} cannot be added: an update changed what one of them looked at")
        if self._key() != other._key() or _what_is_read(a) != _what_is_read(b) or ra.every != rb.every:
            raise ValueError(f"{self!r} and {other!r} look at different things: they cannot be added")
        per_particle = Contents._fields[3:]
        if not np.isin(b.streams, a.streams).any():
            if np.ndim(a.run.scheme.step_size) or np.ndim(np.asarray(a.run.scheme.kT)):
                raise ValueError(f"{self!r}: step_size and kT must be numbers where other particles are added")
            observed = self._of_more_particles(a.observed, b.observed)
            side_by_side = (np.concatenate([getattr(a, name), getattr(b, name)]) for name in per_particle)
            contents = Contents(a.run, observed, False, *side_by_side)
        elif np.array_equal(a.streams, b.streams) and (a.ends <= b.begins).all():
            contents = a._replace(
                observed=self._of_more_steps(a, b),
                ends=b.ends,
                last_looks=b.last_looks,
                n_samples=a.n_samples + b.n_samples,
                n_steps=a.n_steps + b.n_steps,
                accepted=a.accepted + b.accepted,
            )
        else:
            raise ValueError(
                f"{self!r} and {other!r} overlap: observers are added that saw different particles (streams), or the "
                "same ones in consecutive runs, the earlier one first"
            )
        result = object.__new__(type(self))
        result.__dict__.update(self.__dict__)
        result._contents = contents
        return result

    def __radd__(self, other: Any) -> Self:
        """So that ``sum`` of several works."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def _key(self) -> Any:
        """What must be equal where observers are added."""
        return None

    def _of_more_particles(self, a: Observed, b: Observed) -> Observed:
        return self._joined(a, b, a.counts + b.counts if len(a.counts) == len(b.counts) else a.counts)

    @staticmethod
    def _joined(a: Observed, b: Observed, counts: np.ndarray) -> Observed:
        """Per-particle accumulators side by side."""
        rows = min(len(a.reals), len(b.reals))
        reals = np.concatenate([a.reals[:rows], b.reals[:rows]], axis=1)
        return Observed(a.reduction, reals, np.concatenate([a.marks, b.marks], axis=1), counts)

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        raise ValueError(f"{type(self).__name__}: consecutive runs cannot be added; those of other particles can")


def _kept(value: Any) -> Any:
    """A value that does not change where the user changes an array or a list."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(map(_kept, value))
    return {name: _kept(one) for name, one in value.items()} if isinstance(value, dict) else value


def _what_is_read(contents: Contents) -> Any:
    def of(source: Source) -> Any:
        weight = (
            None if source.weight is None or source.quantity not in ("virial", "interval") else source.weight.tobytes()
        )
        return source.quantity, source.component, weight, getattr(source.function, "identity", None)

    run = contents.run
    scheme, problem = run.scheme, run.problem
    schedules = [] if problem.changes is None else list(getattr(problem.changes, "schedules", {}).values())
    if scheme.schedule is not None:
        schedules.append(scheme.schedule)
    numbers = [np.asarray(scheme.step_size), scheme.kT_at(np.zeros(1)), problem.parameters]
    numbers += [array for schedule in schedules for array in (schedule.times, schedule.values)]
    potential = repr(problem.potential), [array.tobytes() for array in numbers]
    return scheme.letters, potential, [of(source) for source in contents.observed.reduction.sources]


def first_components(array: np.ndarray) -> Any:
    """Without a last axis of length one."""
    return checks.plain(array[..., 0]) if array.shape[-1] == 1 else array


def with_error(value: ArrayLike, error: ArrayLike) -> str:
    """Numbers and their errors, the first few of them."""
    pairs = list(zip(np.ravel(value).tolist(), np.ravel(error).tolist(), strict=True))
    texts = [f"{v:.4g}" + (f" ± {e:.2g}" if np.isfinite(e) else "") for v, e in pairs[:_FEW]]
    return texts[0] if len(pairs) == 1 else f"({', '.join(texts)}{', ...' if len(pairs) > _FEW else ''})"


def error_of_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The standard error of the weighted mean of independent values, (m, k) with weights (m,)."""
    used = weights > 0
    values, weights = values[used], weights[used] / weights[used].sum()
    m = len(values)
    if m < 2:
        return np.full(values.shape[1:], np.nan)
    mean = weights @ values
    spread = (weights**2) @ np.square(values - mean)
    result: np.ndarray = np.sqrt(spread * m / (m - 1))
    return result
