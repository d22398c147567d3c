"""Forward flux sampling: the rate from A to B as a flux out of A times probabilities to get ahead."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..boundaries import Boundary
from ..errors import warn
from ..keywords import hinting
from ..potentials.base import Potential
from ..schemes import Scheme
from .resuming import Resumable
from .walkers import Arrivals, Noise, Path, Walkers, ascending, joined, ratio


class Stage(NamedTuple):
    """Runs from one interface to the next, or of the first stage from A to the first interface.

    Run i began at step 0 of stream ``streams[i]`` and made ``steps[i]`` steps.

    Attributes
    ----------
    parents : (n,) array of int
        At whose end each began: the number of a success of the stage before; -1 in the first stage.
    walkers : (n,) array of int
        From which walker in A it descends.
    positions : (n, dim) array
        Where it began, in length units.
    velocities : (n, dim) array or None
        In length/time.
    streams : (n,) array
    steps : (n,) array of int
    successes : (m,) array of int
        The numbers of the runs that arrived at the next interface; the others went back to A.
    """

    parents: np.ndarray
    walkers: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray | None
    streams: np.ndarray
    steps: np.ndarray
    successes: np.ndarray


@dataclass(frozen=True, eq=False)
class ForwardFluxResult:
    """What :meth:`ForwardFlux.run` returns.

    Errors are standard errors, from what differs between the walkers in A: all that descends from one of them counts
    as one, so that the correlation of runs with a common ancestor is in them.

    Attributes
    ----------
    rate, rate_error : float
        From A to B, per time: the flux times the probabilities.
    mean_first_passage_time, mean_first_passage_time_error : float
        1/rate: from where paths enter A, to B.
    flux, flux_error : float
        From A through the first interface, per time.
    probabilities, probability_errors : (n_interfaces,) array
        To arrive at the next interface, or in B, before A.
    committors, committor_errors : (n_interfaces,) array
        To arrive in B before A, from where paths out of A first meet each interface.
    n_paths : int
        How many have arrived in B.
    n_steps : int
        Of all walkers together, without the burn-in.
    times : (n_walkers,) array
        For how long each walker was in A, or on the way back to it.
    stages : list of Stage
        The genealogy of all runs; `path` follows it.
    seed : int
    """

    rate: float
    rate_error: float
    flux: float
    flux_error: float
    probabilities: np.ndarray
    probability_errors: np.ndarray
    committors: np.ndarray
    committor_errors: np.ndarray
    n_steps: int
    times: np.ndarray
    stages: list[Stage]
    seed: int
    _walkers: Walkers
    _basin: float

    def __repr__(self) -> str:
        return f"<ForwardFluxResult: rate {self.rate:.4g} ± {self.rate_error:.2g}, {self.n_paths} paths>"

    @property
    def mean_first_passage_time(self) -> float:
        """1/rate."""
        return 1.0 / self.rate if self.rate else np.inf

    @property
    def mean_first_passage_time_error(self) -> float:
        """Its standard error."""
        return self.rate_error / self.rate**2 if self.rate else np.nan

    @property
    def n_paths(self) -> int:
        """How many have arrived in B."""
        return len(self.stages[-1].successes) if self.rate > 0 else 0

    def lineage(self, k: int) -> list[tuple[Stage, int]]:
        """The runs that path number `k` consists of: the stage, and the number of the run in it."""
        checks.integer("k", k, 0, self.n_paths - 1)
        runs = []
        for stage in reversed(self.stages):
            run = int(stage.successes[k])
            runs.append((stage, run))
            k = int(stage.parents[run])
        return runs[::-1]

    def path(self, k: int) -> Path:
        """Path number `k` from A to B, from its last state in A on, made again from its seeds alone.

        Raises
        ------
        TypeError, ValueError
            If there is no such path.
        """
        runs = self.lineage(k)
        first, number = runs[0]
        v = None if first.velocities is None else first.velocities[number]
        segments = [(int(stage.streams[run]), int(stage.steps[run])) for stage, run in runs]
        path = self._walkers.path(self.seed, first.positions[number], v, segments)
        in_basin = self._walkers.progress(path.positions, path.velocities) <= self._basin
        return path.after(int(np.flatnonzero(in_basin)[-1]))


class ForwardFlux:
    """Forward flux sampling (R. J. Allen, C. Valeriani, P. R. ten Wolde, J. Phys.: Condens. Matter 21 (2009) 463102).

    Walkers in A cross the first interface again and again. From where they do, trial runs go on with noise of their
    own, until they are at the next interface or back in A, and so on up to B: the rate is the flux out of A times the
    probabilities to get ahead. Nothing is assumed of the coordinate: a bad one costs time and gives larger errors.

    A is where the coordinate is <= `basin`, B where it is >= `target`. The rate is that of paths which were in A last:
    1/rate is the mean time from where they enter A to B.

    Parameters
    ----------
    potential : Potential
        Without schedules.
    scheme : Scheme
        Any but Leimkuhler-Matthews; velocities, where it has any, are carried along.
    coordinate : str or callable
        Of the progress from A to B: a formula such as ``"x[0]"``, or a Python function, as for observers.
    basin : float
        Where A ends.
    interfaces : sequence of float
        Ascending, between `basin` and `target`.
    target : float
        Where B begins.
    initial : (dim,) or (k, dim) array, optional
        Where the walkers begin, in turn, in A; in length units. Default: the potential's documented start.
    mass, backend, precision, threads, boundary
        As for :class:`langevin_fast.Simulation`. Small crowds are fastest with ``threads=1``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> sampling = lf.rare.ForwardFlux(lf.potentials.DoubleWell(5.0), lf.ULA(0.001), "x", basin=-0.8,
    ...                                interfaces=[-0.5, -0.2], target=0.8, threads=1)
    >>> result = sampling.run(n_trials=500, n_walkers=50, n_crossings=4, seed=1)
    >>> 0.01 < result.rate < 0.03, result.path(0).positions[0] <= -0.8
    (True, array([ True]))
    """

    @hinting
    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        coordinate: str | Callable[..., Any],
        *,
        basin: float,
        interfaces: ArrayLike,
        target: float,
        initial: ArrayLike | None = None,
        mass: ArrayLike = 1.0,
        backend: str = "auto",
        precision: str = "double",
        threads: int | None = None,
        boundary: Boundary | Sequence[Boundary] | None = None,
    ) -> None:
        self._walkers = Walkers(
            potential,
            scheme,
            coordinate,
            initial=initial,
            mass=mass,
            backend=backend,
            precision=precision,
            threads=threads,
            boundary=boundary,
        )
        self._basin, target = checks.finite("basin", basin), checks.finite("target", target)
        ahead = [*ascending("interfaces", interfaces), target]
        if not self._basin < ahead[0]:
            raise ValueError(f"basin={basin!r} must be below interfaces, which begin with {ahead[0]!r}")
        if not ahead[-2] < target:
            raise ValueError(f"target={target!r} must be above interfaces, which end with {ahead[-2]!r}")
        x = self._walkers.initial
        outside = self._walkers.progress(x, self._walkers.initial_velocities) > self._basin
        if outside.any():
            raise ValueError(f"initial: {x[outside][0]} is not in A, where {coordinate!r} is at most basin={basin!r}")
        self._in_basin = self._walkers.region("<=", self._basin)
        self._beyond = [self._walkers.region(">=", value) for value in ahead]
        self._pieces = Resumable()

    @hinting
    def run(
        self,
        n_trials: int | Sequence[int],
        *,
        n_walkers: int = 100,
        n_crossings: int = 10,
        burn_in: int = 3,
        seed: int | None = None,
        max_steps: int = 10**8,
    ) -> ForwardFluxResult:
        """Sample all stages.

        Ctrl-C raises :class:`langevin_fast.Interrupted`, whose ``.result`` has the stages that are complete (with a
        rate that is NaN). The same call once more goes on where it was, to the same bits.

        Parameters
        ----------
        n_trials : int or sequence of int
            From each interface.
        n_walkers : int
            In A, >= 2. Errors come from what differs between them, so 32 or more are better.
        n_crossings : int
            Of the first interface, by each walker.
        burn_in : int
            How many crossings of each walker come before and do not count.
        seed : int, optional
            Default: a new one, which the result reports. It fixes every bit of the result.
        max_steps : int
            Of a single run.

        Returns
        -------
        ForwardFluxResult

        Raises
        ------
        TypeError, ValueError
            If an argument is not allowed.
        RuntimeError
            If a run is anywhere between A and the next interface after `max_steps`, or all walkers leave A for B.

        Warns
        -----
        UserWarning
            If no trial from an interface arrives at the next. The rate found is then 0, without an error.
        """
        n_interfaces = len(self._beyond) - 1
        counts = list(n_trials) if isinstance(n_trials, (Sequence, np.ndarray)) else [n_trials] * n_interfaces
        if len(counts) != n_interfaces:
            raise ValueError(f"n_trials must be one number or {n_interfaces}; got {checks.shorten(n_trials)}")
        counts = [checks.integer("n_trials", count, 1) for count in counts]
        n_walkers = checks.integer("n_walkers", n_walkers, 2)
        n_crossings, burn_in = checks.integer("n_crossings", n_crossings, 1), checks.integer("burn_in", burn_in, 0)
        max_steps = checks.integer("max_steps", max_steps, 1, 2**50)
        stages: list[Stage] = []
        times = np.zeros(n_walkers)

        def so_far() -> ForwardFluxResult | None:
            return self._result(used, times, stages, n_interfaces) if stages else None

        call = (*counts, n_walkers, n_crossings, burn_in, max_steps)
        with self._pieces.calculation(call, seed, so_far) as used:
            noise = Noise(used)
            stage, ends = self._cross(noise, times, n_crossings, burn_in, max_steps)
            stages.append(stage)
            for i, count in enumerate(counts):
                stage, ends = self._try(noise, stages[-1], ends, self._beyond[i + 1], count, max_steps)
                stages.append(stage)
                if not len(stage.successes):
                    warn(
                        f"none of {count} trials from interface {i} arrived at the next: put more between, or try more"
                    )
                    break
            return self._result(used, times, stages, n_interfaces)

    def _arrive(
        self, noise: Noise, x: np.ndarray, v: np.ndarray | None, regions: Sequence[Any], max_steps: int
    ) -> tuple[np.ndarray, Arrivals]:
        streams = noise.streams(len(x))
        ends: Arrivals = self._pieces.piece(
            lambda: self._walkers.begin(noise.seed, streams, x, v, regions),
            lambda begun: self._walkers.arrivals(begun[0], begun[1], max_steps),
        )
        if (ends.reached < 0).any():
            where = ends.positions[ends.reached < 0][0]
            raise RuntimeError(f"a walker has not arrived after max_steps={max_steps} steps; it is at {where}")
        return streams, ends

    def _cross(
        self, noise: Noise, times: np.ndarray, n_crossings: int, burn_in: int, max_steps: int
    ) -> tuple[Stage, Arrivals]:
        """Cross the first interface and go back to A, again and again; `times` takes how long each walker needs."""
        n_walkers = len(times)
        walkers = np.arange(n_walkers)
        x = self._walkers.initial[walkers % len(self._walkers.initial)]
        v: np.ndarray | None = None
        n_steps = np.zeros(n_walkers, np.int64)
        rounds, crossings = [], []
        for i in range(burn_in + n_crossings):
            streams, there = self._arrive(noise, x, v, self._beyond[:1], max_steps)
            if v is None and not self._walkers.overdamped:
                v = self._walkers.simulation(noise.seed, streams, x, None).velocities
            _, back = self._arrive(
                noise, there.positions, there.velocities, [self._in_basin, self._beyond[-1]], max_steps
            )
            if i >= burn_in:
                n_steps += there.steps + back.steps
                rounds.append(Stage(np.full(n_walkers, -1), walkers, x, v, streams, there.steps, walkers))
                crossings.append(there)
            # Whoever arrived in B goes on as a copy of one that came back. (To begin its round once more would favour
            # the rounds that lead to B.)
            home = np.flatnonzero(back.reached == 0)
            if not len(home):
                raise RuntimeError(f"all {n_walkers} walkers went on to B before A: this is no rare event")
            again = np.where(back.reached == 0, walkers, home[noise.integers(np.full(n_walkers, len(home)))])
            x, v = back.positions[again], None if back.velocities is None else back.velocities[again]
        stage = Stage(*map(joined, zip(*rounds, strict=True)))._replace(successes=np.arange(n_walkers * n_crossings))
        times[:] = n_steps * self._walkers.step_size
        return stage, Arrivals(*map(joined, zip(*crossings, strict=True)))

    def _try(
        self, noise: Noise, before: Stage, ends: Arrivals, goal: Any, count: int, max_steps: int
    ) -> tuple[Stage, Arrivals]:
        """Runs from the successes of a stage to the next interface, or back to A."""
        n = len(before.successes)
        # as equal shares of each as there can be, in a random place of the row
        parents = np.minimum(((np.arange(count) + noise.uniforms(1)) * (n / count)).astype(np.int64), n - 1)
        starts = before.successes[parents]
        x, v = ends.positions[starts], None if ends.velocities is None else ends.velocities[starts]
        streams, ends = self._arrive(noise, x, v, [self._in_basin, goal], max_steps)
        successes = np.flatnonzero(ends.reached == 1)
        return Stage(parents, before.walkers[starts], x, v, streams, ends.steps, successes), ends

    def _result(self, seed: int, times: np.ndarray, stages: list[Stage], n_interfaces: int) -> ForwardFluxResult:
        n_walkers = len(times)
        successes = [np.bincount(s.walkers[s.successes], minlength=n_walkers) for s in stages]
        chances = [times, *(np.bincount(s.walkers, minlength=n_walkers) for s in stages[1:])]
        # A success of a stage stands for as many as there are per trial of the next.
        shares = [len(before.successes) / len(s.parents) for before, s in itertools.pairwise(stages)]
        arrived = successes[-1] if len(stages) > n_interfaces else np.zeros(n_walkers)
        to_target = [ratio(arrived * np.prod(shares[i:]), chance) for i, chance in enumerate(chances)]
        to_next = [ratio(*pair) for pair in zip(successes, chances, strict=True)]
        if len(stages) <= n_interfaces and len(stages[-1].successes):  # interrupted
            to_target = [(np.nan, np.nan)] * len(stages)
        # stages that were not reached
        unknown = [(np.nan, np.nan)] * (n_interfaces + 1 - len(stages))
        probabilities, probability_errors = np.array([*to_next[1:], *unknown]).T
        committors, committor_errors = np.array([*to_target[1:], *unknown]).T
        return ForwardFluxResult(
            *to_target[0],
            *to_next[0],
            probabilities,
            probability_errors,
            committors,
            committor_errors,
            n_steps=round(times.sum() / self._walkers.step_size) + sum(int(s.steps.sum()) for s in stages[1:]),
            times=times,
            stages=stages,
            seed=seed,
            _walkers=self._walkers,
            _basin=self._basin,
        )
