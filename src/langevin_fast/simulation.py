"""A simulation that can be run on and looked at: the object behind :func:`langevin_fast.sample`."""

from __future__ import annotations

import dataclasses
import sys
import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import backends, checks
from .backends.problem import Frames, Problem, State, StoppedError
from .errors import DivergenceError
from .memory import check_memory
from .noise import PRECISIONS, draw
from .potentials.base import Potential
from .progress import Progress
from .schemes import Program, Scheme

__all__ = ["Simulation"]

# Steps are made in chunks of about this long, so that Ctrl-C and the progress bar are served in time.
_CHUNK_SECONDS = 0.1
MOST_STEPS = 2**60  # so that step numbers, and sums of a few of them, are 64-bit integers
# Shorter chunks run on one thread: on a busy machine the others may be scheduled only milliseconds later.
_SERIAL_SECONDS = 1e-3
_LONGEST_CHUNK = 2**22  # steps; the kernels count acceptances of a chunk in single precision


class Simulation:
    """Particles that move by a scheme in a potential.

    Parameters
    ----------
    potential : Potential
        U, from :mod:`langevin_fast.potentials`.
    scheme : Scheme
        For example ``lf.BAOAB(step_size=0.05, friction=1.0)``.
    initial : array_like of shape (dim,) or (n_particles, dim), optional
        Positions, in length units; one point starts all particles. Default: the potential's documented start.
    velocities : array_like of shape (dim,) or (n_particles, dim), optional
        Underdamped schemes only, in length/time. Default: drawn from the Maxwell-Boltzmann distribution at kT, from
        noise of their own.
    n_particles : int, optional
        Default: what the shapes of the other arguments say, else 1.
    mass : float or array_like of shape (dim,), (n_particles, 1) or (n_particles, dim), default 1
        Underdamped schemes only.
    seed : int, optional
        0 <= seed < 2**64. Default: a new one, which ``.seed`` reports.
    backend : {"auto", "cpp", "numba", "cuda", "batch"}
        Who makes the steps; :func:`langevin_fast.explain_backend` says who can.
    precision : {"double", "single"}
        Of the state, the noise and all arithmetic.
    threads : int, optional
        Default: as many as OpenMP offers. The results do not depend on it.
    streams : sequence of int, optional
        The noise stream of each particle, 0 <= stream < 2**56. Default: 0, 1, 2, ...; ``streams=[17]`` reruns particle
        17 alone.
    first_step : int, default 0
        The number of steps already made: the noise goes on from there. With the positions (and velocities) of an
        earlier run this continues it.
    on_divergence : {"raise", "freeze"}
        What happens when a particle is no longer finite: a :class:`DivergenceError`, or it stays where it last was
        finite (``.diverged`` says since when) and the others go on.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed; the message names it.
    MemoryError
        If the state would not fit into memory.
    """

    def __init__(
        self,
        potential: Potential,
        scheme: Scheme,
        *,
        initial: ArrayLike | None = None,
        velocities: ArrayLike | None = None,
        n_particles: int | None = None,
        mass: ArrayLike = 1.0,
        seed: int | None = None,
        backend: str = "auto",
        precision: str = "double",
        threads: int | None = None,
        streams: Sequence[int] | np.ndarray | None = None,
        first_step: int = 0,
        on_divergence: str = "raise",
    ) -> None:
        if not isinstance(potential, Potential):
            raise TypeError(f"potential must be a langevin_fast potential; got {checks.shorten(potential)}")
        if not isinstance(scheme, Scheme):
            raise TypeError(f"scheme must be a scheme such as lf.BAOAB(...); got {checks.shorten(scheme)}")
        if scheme.metropolised and not potential.has_energy:
            raise ValueError(f"{scheme!r} needs the energy, which {potential!r} does not have")
        checks.one_of("precision", precision, tuple(PRECISIONS))
        checks.one_of("on_divergence", on_divergence, ("raise", "freeze"))
        self.potential = potential
        self.scheme = scheme
        self.precision = precision
        self.seed = checks.seed(seed)
        self.backend, _ = backends.choose(backend, potential)
        self._on_divergence = on_divergence
        self._threads = _thread_count(threads)
        dtype = PRECISIONS[precision]

        positions = None if initial is None else checks.finite_array("initial", initial)
        v = None if velocities is None else checks.finite_array("velocities", velocities)
        masses = checks.positive_array("mass", mass)
        if scheme.overdamped:
            if v is not None:
                raise ValueError(f"velocities are not allowed with {scheme!r}: it is overdamped")
            if masses.ndim or masses != 1.0:
                raise ValueError(
                    f"mass={checks.shorten(mass)} is not allowed with {scheme!r}: it is overdamped; use drag="
                )
        stream_array = None if streams is None else _stream_array(streams)
        n = _count_particles(scheme, n_particles, positions, v, masses, stream_array)
        _check_state_memory(n, potential.dim, dtype, overdamped=scheme.overdamped)
        start = potential.default_start
        positions = _per_component("initial", start if positions is None else positions, n, potential.dim, dtype)
        self._mass = _mass_array(masses, n, potential.dim)
        self._streams = np.arange(n, dtype=np.uint64) if stream_array is None else stream_array

        with np.errstate(all="ignore"):  # _cast_program looks
            program = scheme.program(self._mass)
        self._problem = Problem(
            potential=potential,
            parameters=checks.cast(f"the parameters of {potential!r}", potential.parameters, dtype),
            program=_cast_program(scheme, program, dtype),
            dtype=dtype,
            seed=self.seed,
            streams=self._streams,
        )
        if precision == "single":
            _warn_if_frozen(scheme, self._mass, positions, start)
        if not scheme.overdamped:
            v = (
                self._maxwell_boltzmann(n, dtype)
                if v is None
                else _per_component("velocities", v, n, potential.dim, dtype)
            )
        self._first_step = checks.integer("first_step", first_step, 0, MOST_STEPS)
        self._state = State(self._first_step, positions, v, np.zeros(n, np.int64), np.full(n, -1, np.int64))
        if scheme.metropolised:
            _check_start(potential, self._state.positions)
        self._seconds_per_step: float | None = None

    def __repr__(self) -> str:
        return (
            f"<Simulation of {self.n_particles} particles at step {self.step}: {self.potential!r}, {self.scheme!r}, "
            f"seed={self.seed}, backend={self.backend!r}, precision={self.precision!r}>"
        )

    # --- what it shows -----------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The state after the last complete step."""
        return self._state

    @property
    def n_particles(self) -> int:
        """Number of particles."""
        return len(self._state.positions)

    @property
    def positions(self) -> np.ndarray:
        """Positions, (n_particles, dim), in length units; a read-only snapshot."""
        return _read_only(self._state.positions)

    @property
    def velocities(self) -> np.ndarray | None:
        """On-step velocities, (n_particles, dim), in length/time; None for overdamped schemes."""
        return None if self._state.velocities is None else _read_only(self._state.velocities)

    @property
    def step(self) -> int:
        """Number of steps made."""
        return self._state.step

    @property
    def time(self) -> float | np.ndarray:
        """Time: step * step_size, one per particle where the step sizes are."""
        return self._state.step * self.scheme.step_size

    @property
    def mass(self) -> np.ndarray:
        """Masses, (1 or n_particles, 1 or dim)."""
        return _read_only(self._mass)

    @property
    def streams(self) -> np.ndarray:
        """The noise stream of each particle, (n_particles,)."""
        return _read_only(self._streams)

    @property
    def acceptance_rate(self) -> np.ndarray | None:
        """Fraction of accepted proposals of each particle since the first step; None for schemes without tests."""
        if not self.scheme.metropolised:
            return None
        with np.errstate(invalid="ignore"):
            return self._state.accepted / np.float64(self._state.step - self._first_step)

    @property
    def diverged(self) -> np.ndarray:
        """For each particle the step after which it was first not finite, or -1; (n_particles,)."""
        return _read_only(self._state.diverged)

    # --- running -----------------------------------------------------------------------------------------------------

    def run(self, n_steps: int, *, progress: bool | None = None) -> None:
        """Make `n_steps` steps. ``run(a); run(b)`` gives the same bits as ``run(a + b)``.

        Ctrl-C raises ``KeyboardInterrupt`` within half a second and leaves the simulation at a complete step.

        Parameters
        ----------
        n_steps : int
            >= 0.
        progress : bool, optional
            A progress bar (tqdm). Default: when tqdm is installed, the run is long and stderr is a terminal.

        Raises
        ------
        DivergenceError
            If a particle is no longer finite (unless ``on_divergence="freeze"``); the simulation then stands at the
            step before.
        """
        n_steps = checks.integer("n_steps", n_steps, 0, MOST_STEPS)
        with Progress(n_steps, progress) as bar:
            self._advance(n_steps, None, bar)

    def _advance(self, n_steps: int, frames: Frames | None, bar: Progress) -> None:
        end = self.step + n_steps
        while self.step < end:
            chunk = min(end - self.step, self._chunk_steps())
            started = time.perf_counter()
            stopped = None
            try:
                state = self._make_steps(chunk, frames)
            except StoppedError as stop:
                stopped = stop
            if stopped is not None:
                if (stopped.state.diverged >= 0).any() and self._on_divergence == "raise":
                    self._raise_divergence(stopped.state.diverged, frames)
                self._state = stopped.state
                raise stopped.error
            elapsed = time.perf_counter() - started
            if self._on_divergence == "raise" and (state.diverged >= 0).any():
                self._raise_divergence(state.diverged, frames)
            # One assignment: a KeyboardInterrupt comes before it or after it.
            self._state = state
            self._seconds_per_step = elapsed / chunk
            bar.update(chunk)

    def _make_steps(self, n_steps: int, frames: Frames | None) -> State:
        backend = backends.choose(self.backend, self.potential)[1]
        expected = n_steps * (self._seconds_per_step or 0.0)
        threads = 1 if expected < _SERIAL_SECONDS else self._threads
        return backend.advance(self._problem, self._state, n_steps, frames, threads)

    def _chunk_steps(self) -> int:
        if self._seconds_per_step is None:
            return 1  # nothing is known yet, and one step may take long
        steps = _CHUNK_SECONDS / max(self._seconds_per_step, 1e-12)
        return int(min(max(steps, 1), _LONGEST_CHUNK))

    def _raise_divergence(self, diverged: np.ndarray, frames: Frames | None) -> None:
        """Go to the step before the first divergence and raise."""
        bad = np.flatnonzero(diverged >= 0)
        step = int(diverged[bad].min())
        particle = int(bad[diverged[bad] == step][0])
        # The same steps again, up to where everything was finite: the noise is a function of the step number.
        if step - 1 > self.step:
            self._state = self._make_steps(step - 1 - self.step, frames)
        h = np.broadcast_to(self.scheme.step_size, (self.n_particles,))[particle]
        raise DivergenceError(
            step, particle, int(self._streams[particle]), self._state.positions[particle].copy(), float(h)
        )

    def _forget_acceptances(self) -> None:
        self._state = dataclasses.replace(self._state, accepted=np.zeros_like(self._state.accepted))

    def _maxwell_boltzmann(self, n: int, dtype: Any) -> np.ndarray:
        kT = np.reshape(self.scheme.kT, (-1, 1))
        scale = np.sqrt(kT / self._mass).astype(dtype)
        return scale * draw("initial", self.seed, self._streams, 0, self.potential.dim, dtype)


# --- arguments --------------------------------------------------------------------------------------------------------


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _count_particles(
    scheme: Scheme,
    n_particles: int | None,
    initial: np.ndarray | None,
    velocities: np.ndarray | None,
    mass: np.ndarray,
    streams: np.ndarray | None,
) -> int:
    """The number of particles on which all arguments agree."""
    said: dict[str, int] = {}
    if n_particles is not None:
        said["n_particles"] = checks.integer("n_particles", n_particles, 1)
    for name, array in (("initial", initial), ("velocities", velocities)):
        if array is not None and array.ndim == 2:
            said[name] = len(array)
    if mass.ndim == 2 and len(mass) != 1:
        said["mass"] = len(mass)
    if streams is not None:
        said["streams"] = len(streams)
    if scheme.n_particles is not None:
        said["step_size or kT"] = scheme.n_particles
    if len(set(said.values())) > 1:
        listed = ", ".join(f"{name} says {n}" for name, n in said.items())
        raise ValueError(f"the number of particles is contradictory: {listed}")
    return next(iter(said.values()), 1)


def _per_component(name: str, array: np.ndarray, n: int, dim: int, dtype: Any) -> np.ndarray:
    """A point for all particles or one for each, as (n, dim)."""
    if array.shape not in ((dim,), (n, dim)):
        hint = ""
        if dim == 1 and array.ndim == 1:
            hint = f"; for {len(array)} particles in one dimension add an axis: {name}[:, np.newaxis]"
        raise ValueError(f"{name} must have the shape ({dim},) or ({n}, {dim}); got {array.shape}{hint}")
    return np.array(np.broadcast_to(checks.cast(name, array, dtype), (n, dim)), order="C")


def _mass_array(mass: np.ndarray, n: int, dim: int) -> np.ndarray:
    if mass.shape not in ((), (dim,), (1, dim), (n, 1), (n, dim)):
        raise ValueError(
            f"mass must be a number or have the shape ({dim},), ({n}, 1) or ({n}, {dim}); got {mass.shape}"
        )
    return mass if mass.ndim == 2 else mass.reshape(1, -1)


def _stream_array(streams: Sequence[int] | np.ndarray) -> np.ndarray:
    from . import _core

    most = 2**_core.STREAM_BITS - 1
    if isinstance(streams, np.ndarray) and streams.dtype.kind in "iu" and streams.ndim == 1:
        if streams.size:  # the extremes speak for all
            checks.integer("streams", streams.min(), 0, most)
            checks.integer("streams", streams.max(), 0, most)
    elif isinstance(streams, (np.ndarray, Sequence)) and not isinstance(streams, str):
        streams = [checks.integer(f"streams[{i}]", stream, 0, most) for i, stream in enumerate(streams)]
    else:
        raise TypeError(f"streams must be a sequence of integers, one per particle; got {checks.shorten(streams)}")
    if len(streams) == 0:
        raise ValueError("streams is empty; it must have one entry per particle")
    return np.array(streams, dtype=np.uint64)


def _thread_count(threads: int | None) -> int:
    from . import _core

    if threads is None:
        return _core.default_threads()
    return checks.integer("threads", threads, 1, 4096)


def _cast_program(scheme: Scheme, program: Program, dtype: Any) -> Program:
    def cast(coefficient: np.ndarray) -> np.ndarray:
        if not np.isfinite(coefficient).all():
            raise ValueError(f"step_size, kT, friction, drag or mass: the coefficients of {scheme!r} are not finite")
        return checks.cast(f"step_size, kT, friction, drag or mass: the coefficients of {scheme!r}", coefficient, dtype)

    instructions = tuple(i._replace(coefficients=tuple(map(cast, i.coefficients))) for i in program.instructions)
    return program._replace(instructions=instructions)


def _check_start(potential: Potential, positions: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        bad = ~(np.isfinite(potential.energy(positions)) & np.isfinite(potential.gradient(positions)).all(axis=1))
    if bad.any():
        particle = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"initial: the energy or gradient of particle {particle} is not finite at {positions[particle]}; "
            "MALA must start where both are"
        )


def _check_state_memory(n: int, dim: int, dtype: Any, *, overdamped: bool) -> None:
    """The state before and after a chunk, the counters, and a double-precision copy of what is made from arguments."""
    arrays = 1 if overdamped else 2
    check_memory(n * (dim * arrays * (2 * np.dtype(dtype).itemsize + 8) + 5 * 8), f"the state of {n} particles")


def _warn_if_frozen(scheme: Scheme, mass: np.ndarray, positions: np.ndarray, start: np.ndarray) -> None:
    """Single precision resolves positions to one part in 2**24: smaller steps are rounded away."""
    displacement = scheme.thermal_displacement(mass)
    scale = max(np.abs(positions).max(), np.abs(start).max())
    moving = displacement[displacement > 0]  # none at kT = 0
    smallest = float(moving.min(initial=np.inf))
    if smallest < 8.0 * np.finfo(np.float32).eps * scale:
        warnings.warn(
            f"in single precision a step moves particles by about {smallest:.2g}, which positions of size {scale:.2g} "
            f"hardly resolve (spacing {np.spacing(np.float32(scale)):.2g}): they freeze or drift. "
            'Use precision="double" or a larger step_size.',
            UserWarning,
            stacklevel=_stack_level(),
        )


def _stack_level() -> int:
    """How far up the caller of the package is."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        frame, level = frame.f_back, level + 1
    return level
