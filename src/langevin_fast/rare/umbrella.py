"""Umbrella sampling: windows held by springs, put together by MBAR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..boundaries import Boundary
from ..keywords import hinting
from ..observers import Frames
from ..potentials.base import Potential
from ..potentials.harmonic import Harmonic
from ..schemes import Scheme
from ..simulation import Simulation
from .bias import Bias, Coordinates
from .mbar import free_energies, pymbar, statistical_inefficiency
from .profile import Profile, bins_of
from .resuming import Resumable
from .walkers import ascending, one_temperature


class _Window(NamedTuple):
    number: int
    start: np.ndarray
    positions: np.ndarray


@dataclass(frozen=True, eq=False)
class UmbrellaResult:
    """What :meth:`Umbrella.run` returns; K windows.

    Attributes
    ----------
    centers, stiffness : (K,) array
        Of the springs, in units of the coordinate, and energy/coordinate².
    coordinates : (K, n_frames, n_walkers) array
        The coordinate in each frame.
    positions : (K, n_frames, n_walkers, dim) array
        In length units.
    starts : (K, n_walkers, dim) array
        Where the walkers of each window began, before the burn-in.
    streams : (K, n_walkers) array
        Their noise.
    statistical_inefficiency : (K,) array
        g of the coordinate, in frames, >= 1; needs pymbar.
    mbar : pymbar.MBAR
        Of one frame in g of each window: for all else that pymbar can do.
    overlap : (K, K) array
        The overlap matrix of the windows; its rows have the sum 1. Neighbours should have some 0.03 or more (P. V.
        Klimovich, M. R. Shirts, D. L. Mobley, J. Comput. Aided Mol. Des. 29 (2015) 397).
    seed : int
    """

    centers: np.ndarray
    stiffness: np.ndarray
    coordinates: np.ndarray
    positions: np.ndarray
    starts: np.ndarray
    streams: np.ndarray
    seed: int
    _umbrella: Umbrella
    _numbers: np.ndarray

    def __repr__(self) -> str:
        k, n, walkers = self.coordinates.shape
        return f"<UmbrellaResult: {k} windows, {n} frames of {walkers} walkers in each>"

    def simulation(self, k: int) -> Simulation:
        """Window number `k` at its first step: run on, it goes through the states that it went through."""
        k = checks.integer("k", k, 0, len(self.centers) - 1)
        return self._umbrella.window(int(self._numbers[k]), self.starts[k], self.seed)

    @cached_property
    def statistical_inefficiency(self) -> np.ndarray:
        """Of the coordinate in each window, in frames, (K,)."""
        return np.array([statistical_inefficiency(list(window.T)) for window in self.coordinates])

    @cached_property
    def _samples(self) -> list[np.ndarray]:
        """The coordinate in frames that are as good as independent, of each window."""
        pairs = zip(self.coordinates, self.statistical_inefficiency, strict=True)
        return [window[np.arange(0.0, len(window), g).astype(int)].reshape(-1) for window, g in pairs]

    @cached_property
    def mbar(self) -> Any:
        """pymbar.MBAR of the decorrelated frames."""
        samples = self._samples
        q = np.concatenate(samples)
        u = 0.5 * self.stiffness[:, np.newaxis] * np.square(q - self.centers[:, np.newaxis]) / self._umbrella.kT
        with pymbar() as package:
            return package.MBAR(u, np.array([len(s) for s in samples]), solver_protocol="robust")

    @cached_property
    def overlap(self) -> np.ndarray:
        """The overlap matrix, (K, K)."""
        with pymbar():
            return np.array(self.mbar.compute_overlap()["matrix"])

    def free_energy(self, bins: int = 50, range: tuple[float, float] | None = None) -> Profile:
        """The free energy -kT log(density) along the coordinate, without the springs, by MBAR.

        M. R. Shirts and J. D. Chodera, J. Chem. Phys. 129 (2008) 124105. Needs pymbar (extra ``mbar``).

        Parameters
        ----------
        bins : int
        range : pair of float, optional
            Default: from the first center to the last.

        Returns
        -------
        Profile
            Relative to its lowest bin, in energy units; errors are standard errors of that difference, right if g is
            that of the slowest motion in a window.

        Raises
        ------
        TypeError, ValueError
            If an argument is not allowed.
        ImportError
            If pymbar is missing.
        """
        lowest_highest = (self.centers[0], self.centers[-1]) if range is None else range
        edges = bins_of("bins", bins, "range", lowest_highest)
        q = np.concatenate(self._samples)
        numbers = np.searchsorted(edges, q, side="right") - 1
        numbers = np.where((numbers < 0) | (numbers >= bins), bins, numbers)
        value, error = free_energies(self.mbar, numbers, bins)
        kT = self._umbrella.kT
        return Profile(0.5 * (edges[1:] + edges[:-1]), kT * value, kT * error)


class Umbrella:
    """Umbrella sampling (G. M. Torrie, J. P. Valleau, J. Comput. Phys. 23 (1977) 187).

    In each window a spring holds the coordinate, ½ k (q(x) - center)², so that walkers go where they never would by
    themselves. The spring is a term of the potential, compiled with it as one.

    Windows are sampled one after the other, outward from the one that is nearest to `initial`: the walkers of each
    begin where those of its neighbour ended.

    Parameters
    ----------
    potential : Potential
        Without schedules.
    scheme : Scheme
        With one kT.
    coordinate : str
        A formula such as ``"x[0]"``, as for observers. Its gradient is found.
    centers : (K,) array
        Ascending, in units of the coordinate.
    stiffness : float or (K,) array
        k, > 0, in energy/coordinate². Windows overlap where centers are about √(kT/k) apart.
    initial : (dim,) or (n_walkers, dim) array, optional
        Where walkers of the first window begin, in length units. Default: the potential's documented start.
    mass, backend, precision, threads, boundary
        As for :class:`langevin_fast.Simulation`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import numpy as np, langevin_fast as lf
    >>> umbrella = lf.rare.Umbrella(lf.potentials.DoubleWell(8.0), lf.ULA(0.001), "x",
    ...                             centers=np.linspace(-1, 1, 9), stiffness=30.0, threads=1)
    >>> result = umbrella.run(500, n_walkers=8, burn_in=500, stride=10, seed=1)
    >>> result.coordinates.shape
    (9, 50, 8)
    """

    @hinting
    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        coordinate: str,
        *,
        centers: ArrayLike,
        stiffness: ArrayLike,
        initial: ArrayLike | None = None,
        mass: ArrayLike = 1.0,
        backend: str = "auto",
        precision: str = "double",
        threads: int | None = None,
        boundary: Boundary | Sequence[Boundary] | None = None,
    ) -> None:
        self._settings: dict[str, Any] = {
            "scheme": scheme,
            "mass": mass,
            "backend": backend,
            "precision": precision,
            "threads": threads,
            "boundary": boundary,
        }
        first = Simulation(potential, initial=initial, seed=0, **self._settings)
        self.kT = one_temperature(potential, scheme)
        self._centers = np.array(ascending("centers", centers))
        k = checks.positive_array("stiffness", stiffness, ndim=(0, 1))
        if k.ndim and len(k) != len(self._centers):
            raise ValueError(f"stiffness must be one number, or one for each of {len(self._centers)} centers; got {k}")
        self._stiffness = np.broadcast_to(k, self._centers.shape).copy()
        self._coordinates = Coordinates.of(coordinate, potential, 1)
        self._potential, self._initial = potential, first.positions
        q = self._coordinates.values(self._initial)[0]
        if not np.isfinite(q).all():
            raise ValueError(f"initial: {coordinate!r} is not finite at {self._initial[~np.isfinite(q)][0]}")
        self._nearest = int(np.abs(self._centers - q.mean()).argmin())
        self._pieces = Resumable()

    def bias(self, k: int) -> Bias:
        """The spring of window number `k`, a potential."""
        k = checks.integer("k", k, 0, len(self._centers) - 1)
        return Bias(Harmonic([self._stiffness[k]], [self._centers[k]]), self._coordinates)

    def window(self, k: int, start: np.ndarray, seed: int) -> Simulation:
        """The walkers of a window at their first step."""
        streams = self._streams(k, len(start))
        return Simulation(self._potential + self.bias(k), initial=start, streams=streams, seed=seed, **self._settings)

    @hinting
    def run(
        self, n_steps: int, *, n_walkers: int, burn_in: int, stride: int, seed: int | None = None
    ) -> UmbrellaResult:
        """Sample all windows.

        Ctrl-C raises :class:`langevin_fast.Interrupted`, whose ``.result`` has the windows that are complete; the same
        call once more goes on with the others, to the same bits.

        Parameters
        ----------
        n_steps : int
            In each window, after the burn-in.
        n_walkers : int
            In each window.
        burn_in : int
            Steps of each window that do not count.
        stride : int
            Every so-manieth state is a frame.
        seed : int, optional
            Default: a new one, which the result reports. Walker i of window k has the stream ``k * n_walkers + i``.

        Returns
        -------
        UmbrellaResult

        Raises
        ------
        TypeError, ValueError
            If an argument is not allowed.
        MemoryError
            If the frames do not fit into memory.
        """
        n_walkers, burn_in = checks.integer("n_walkers", n_walkers, 1), checks.integer("burn_in", burn_in, 0)
        stride, n_steps = checks.integer("stride", stride, 1), checks.integer("n_steps", n_steps, stride)
        if len(self._initial) not in (1, n_walkers):
            raise ValueError(f"n_walkers={n_walkers}: it must be the number of points of initial, {len(self._initial)}")
        windows: list[_Window] = []
        center, n = self._nearest, len(self._centers)

        def so_far() -> UmbrellaResult | None:
            return self._result(windows, used, n_walkers) if windows else None

        with self._pieces.calculation((n_steps, n_walkers, burn_in, stride), seed, so_far) as used:
            for k in (*range(center, n), *reversed(range(center))):
                start = np.broadcast_to(self._initial, (n_walkers, self._initial.shape[1]))
                if k != center:
                    neighbour = windows[0] if k == center - 1 else windows[-1]
                    start = neighbour.positions[-1]

                def sampled(_: None, k: int = k, start: np.ndarray = start) -> _Window:
                    simulation = self.window(k, start, used)
                    simulation.run(burn_in)
                    frames = Frames(stride)
                    simulation.run(n_steps // stride * stride, record=[frames])
                    return _Window(k, start, frames.positions)

                windows.append(self._pieces.piece(lambda: None, sampled))
            return self._result(windows, used, n_walkers)

    @staticmethod
    def _streams(k: int, n_walkers: int) -> np.ndarray:
        return np.arange(k * n_walkers, (k + 1) * n_walkers, dtype=np.uint64)

    def _result(self, windows: list[_Window], seed: int, n_walkers: int) -> UmbrellaResult:
        numbers, starts, positions = map(np.array, zip(*sorted(windows, key=lambda w: w.number), strict=True))
        return UmbrellaResult(
            centers=self._centers[numbers],
            stiffness=self._stiffness[numbers],
            coordinates=self._coordinates.values(positions)[0],
            positions=positions,
            starts=starts,
            streams=np.array([self._streams(k, n_walkers) for k in numbers]),
            seed=seed,
            _umbrella=self,
            _numbers=numbers,
        )
