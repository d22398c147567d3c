"""What the methods share: walkers that start anywhere with noise of their own, and their paths made once more."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..backends.observing import read
from ..backends.problem import State
from ..boundaries import Boundary
from ..noise import draw
from ..observers import FirstPassage, Frames
from ..observers.values import n_arguments, sources
from ..potentials.base import Potential
from ..potentials.driven import Driven
from ..schedules import Schedule
from ..schemes import Scheme
from ..simulation import Simulation

_FIRST_STEPS = 1000


class Noise:
    """All randomness of a calculation, a function of its seed: no stream is given out twice."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams = 0
        self._decisions = 0

    def streams(self, n: int) -> np.ndarray:
        """Fresh streams for `n` walkers."""
        self._streams += n
        return np.arange(self._streams - n, self._streams, dtype=np.uint64)

    def uniforms(self, n: int) -> np.ndarray:
        """Numbers in (0, 1] for decisions, (n,); their tag is not that of the walkers' noise."""
        self._decisions += 1
        stream = np.array([self._decisions - 1], np.uint64)
        return draw("other", self.seed, stream, 0, n, np.float64, uniform=True)[0]

    def integers(self, below: np.ndarray) -> np.ndarray:
        """Whole numbers from 0 to ``below - 1``, in shares of 53 bits, (n,)."""
        return np.minimum((self.uniforms(len(below)) * below).astype(np.int64), below - 1)


class Arrivals(NamedTuple):
    """Where walkers have arrived, or stood at the end.

    Attributes
    ----------
    positions : (n, dim) array
    velocities : (n, dim) array or None
    steps : (n,) array
        How many it took.
    reached : (n,) array
        In which region; -1: in none.
    """

    positions: np.ndarray
    velocities: np.ndarray | None
    steps: np.ndarray
    reached: np.ndarray


@dataclass(frozen=True, eq=False)
class Path:
    """A path, step by step, with the bits that it had.

    Attributes
    ----------
    positions : ndarray of shape (n_steps + 1, dim)
        In length units.
    velocities : ndarray of shape (n_steps + 1, dim) or None
        In length/time.
    times : ndarray of shape (n_steps + 1,)
        From the first state on, in time units.
    streams, steps : ndarray of shape (n_steps,)
        Step i was made with step number ``steps[i]`` of the noise stream ``streams[i]``.
    """

    positions: np.ndarray
    velocities: np.ndarray | None
    times: np.ndarray
    streams: np.ndarray
    steps: np.ndarray

    def after(self, first: int) -> Path:
        """The rest of it, from a state on."""
        v = None if self.velocities is None else self.velocities[first:]
        times = self.times[first:] - self.times[first]
        return Path(self.positions[first:], v, times, self.streams[first:], self.steps[first:])

    def __repr__(self) -> str:
        return f"<Path: {len(self.steps)} steps in {self.positions.shape[1]} dimensions, time {self.times[-1]:g}>"


class Walkers:
    """What all walkers have in common, which is all but where they start and their noise.

    Parameters
    ----------
    potential : Potential
    scheme : Scheme
    coordinate : str or callable
        Of the progress: a formula or a function, as for observers.
    initial : (dim,) or (k, dim) array or None
    mass, backend, precision, threads, boundary
        As for :class:`langevin_fast.Simulation`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed, or steps depend on more than the present state.
    """

    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        coordinate: str | Callable[..., Any],
        *,
        initial: ArrayLike | None,
        mass: ArrayLike,
        backend: str,
        precision: str,
        threads: int | None,
        boundary: Boundary | Sequence[Boundary] | None,
    ) -> None:
        self.settings: dict[str, Any] = {
            "potential": potential,
            "scheme": scheme,
            "mass": mass,
            "backend": backend,
            "precision": precision,
            "threads": threads,
            "boundary": boundary,
        }
        first = Simulation(**self.settings, initial=initial, seed=0)
        if isinstance(potential, Driven) or scheme.schedule is not None:
            raise ValueError("potential, scheme: a schedule drives the dynamics, which then has no steady rate")
        if scheme.n_particles is not None or len(first.mass) > 1:
            raise ValueError("step_size, kT and mass must be the same for all walkers, which come and go")
        self._problem = first.stepper.run.problem
        if "looks_ahead" in self._problem.program.properties:
            raise ValueError(f"{scheme!r} shares noise between steps, so a copy cannot go on with noise of its own")
        self.initial, self.initial_velocities = first.positions, first.velocities
        self.step_size = float(np.asarray(scheme.step_size))
        self.overdamped = scheme.overdamped
        self._coordinate = coordinate
        self._sources = sources("coordinate", coordinate, self._problem)
        if len(self._sources) != 1:
            raise ValueError(f"coordinate={checks.shorten(coordinate)} must be one number; it is {len(self._sources)}")

    def region(self, sign: str, value: float) -> str | Callable[..., bool]:
        """The condition that the coordinate is "<=" or ">=" a value."""
        q = self._coordinate
        if isinstance(q, str):
            return f"({q}) {sign} {value!r}"
        compare = operator.le if sign == "<=" else operator.ge
        conditions: list[Callable[..., bool]] = [
            lambda x: compare(q(x), value),
            lambda x, v: compare(q(x, v), value),
            lambda x, v, energy: compare(q(x, v, energy), value),
        ]
        return conditions[n_arguments("coordinate", q) - 1]

    def progress(self, x: np.ndarray, v: np.ndarray | None) -> np.ndarray:
        """The coordinate of states, (n,)."""
        n = len(x)
        return read(self._problem, self._sources, State(0, x, v, np.zeros(n, np.int64), np.full(n, -1, np.int64)))[0]

    def simulation(
        self, seed: int, streams: np.ndarray, x: np.ndarray, v: np.ndarray | None, observers: Sequence[Any] = ()
    ) -> Simulation:
        """Walkers at their first step; without velocities `v`, thermal ones are drawn."""
        return Simulation(**self.settings, seed=seed, streams=streams, initial=x, velocities=v, observers=observers)

    def run(
        self,
        seed: int,
        streams: np.ndarray,
        x: np.ndarray,
        v: np.ndarray | None,
        regions: Sequence[Any],
        n_steps: int,
    ) -> Arrivals:
        """Until they have arrived in one of the regions, for `n_steps` steps at most."""
        return self.arrivals(*self.begin(seed, streams, x, v, regions), n_steps)

    def begin(
        self, seed: int, streams: np.ndarray, x: np.ndarray, v: np.ndarray | None, regions: Sequence[Any]
    ) -> tuple[Simulation, FirstPassage]:
        """What :meth:`arrivals` goes on with."""
        passage = FirstPassage(list(regions), on_arrival="stop")
        return self.simulation(seed, streams, x, v, [passage]), passage

    @staticmethod
    def arrivals(simulation: Simulation, passage: FirstPassage, n_steps: int) -> Arrivals:
        """See :meth:`run`; after Ctrl-C it goes on where it was."""
        while simulation.step < n_steps and not passage.arrived.all():
            simulation.run(min(_FIRST_STEPS + simulation.step, n_steps - simulation.step))
        steps = np.where(passage.arrived, passage.steps, n_steps)
        return Arrivals(simulation.positions, simulation.velocities, steps, passage.reached)

    def path(self, seed: int, x: np.ndarray, v: np.ndarray | None, segments: Sequence[tuple[int, int]]) -> Path:
        """One walker alone, from its first state through segments, which are (stream, number of steps)."""
        positions: list[np.ndarray] = []
        velocities: list[np.ndarray | None] = []
        for stream, n_steps in segments:
            simulation = self.simulation(seed, np.array([stream], np.uint64), x, v)
            if not positions:
                positions.append(simulation.positions)
                velocities.append(simulation.velocities)
            frames = Frames()
            simulation.run(n_steps, record=[frames], progress=False)
            positions.append(frames.positions[:, 0])
            velocities.append(None if frames.velocities is None else frames.velocities[:, 0])
            x, v = simulation.positions, simulation.velocities
        lengths = [n_steps for _, n_steps in segments]
        return Path(
            positions=np.concatenate(positions),
            velocities=joined(velocities),
            times=np.arange(sum(lengths) + 1) * self.step_size,
            streams=np.repeat(np.array([stream for stream, _ in segments], np.uint64), lengths),
            steps=np.concatenate([np.arange(n_steps) for n_steps in lengths]),
        )


def joined(arrays: Sequence[Any]) -> Any:
    """One after the other; None where they are, as velocities may be."""
    return None if arrays[0] is None else np.concatenate(arrays)


def ascending(name: str, values: ArrayLike) -> list[float]:
    """Values of the coordinate.

    Raises
    ------
    TypeError, ValueError
        If they do not ascend.
    """
    array = checks.finite_array(name, values, ndim=1)
    if (np.diff(array) <= 0).any():
        raise ValueError(f"{name}={checks.shorten(values)} must ascend")
    result: list[float] = array.tolist()
    return result


def ratio(numerators: np.ndarray, denominators: np.ndarray) -> tuple[float, float]:
    """Sum over sum, with its standard error from independent pairs: NaN where nothing was counted."""
    n, total = len(numerators), denominators.sum()
    value = numerators.sum() / total
    residual = numerators - value * denominators
    error = np.sqrt(n / (n - 1) * np.square(residual).sum()) / total if numerators.any() else np.nan
    return float(value), float(error)


def one_temperature(potential: Potential, scheme: Scheme) -> float:
    """kT of all walkers, > 0.

    Raises
    ------
    ValueError
        If it is not one number, or something changes in time.
    """
    kT = scheme.kT
    if isinstance(potential, Driven) or isinstance(kT, Schedule):
        raise ValueError("potential, scheme: a schedule drives the dynamics, which then has no equilibrium")
    if isinstance(kT, np.ndarray) or not kT > 0:
        raise ValueError(f"kT={checks.shorten(kT)} must be one positive number for all walkers")
    return kT
