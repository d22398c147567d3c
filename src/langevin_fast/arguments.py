"""From what a user gives to the description of a run and its first state."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from . import _core, backends, checks
from .backends.problem import Problem, Stages, State
from .boundaries import Boundary, Walls
from .errors import warn
from .memory import check_memory
from .noise import PRECISIONS, draw
from .potentials.base import Potential
from .potentials.driven import Driven
from .rows import Drive, parameters_of, program_of
from .schemes import Scheme

# so that step numbers, and sums of a few of them, are 64-bit integers
MOST_STEPS = 2**60


class Beginning(NamedTuple):
    """What a simulation begins with.

    Attributes
    ----------
    problem : Problem
    state : State
    schemes : tuple of Scheme
        One, or one for each row of a schedule.
    mass : (1 or n, 1 or dim) array
    backend : str
        Its name.
    threads : int
    freeze : bool
        Whether particles that diverge are frozen.
    """

    problem: Problem
    state: State
    schemes: tuple[Scheme, ...]
    mass: np.ndarray
    backend: str
    threads: int
    freeze: bool


def begin(
    potentials: Sequence[Potential],
    schemes: Sequence[Scheme],
    stages: Stages | None = None,
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
    boundary: Boundary | Sequence[Boundary] | None = None,
) -> Beginning:
    """Check everything; see :class:`langevin_fast.Simulation` for the arguments.

    With `stages` there is a potential and a scheme for each row: potentials of one kind, schemes of the same letters.
    """
    for potential in potentials:
        if not isinstance(potential, Potential):
            raise TypeError(f"potential must be a langevin_fast potential; got {checks.shorten(potential)}")
    for scheme in schemes:
        if not isinstance(scheme, Scheme):
            raise TypeError(f"scheme must be a scheme such as lf.BAOAB(...); got {checks.shorten(scheme)}")
    _check_alike(potentials, schemes)
    first_step = checks.integer("first_step", first_step, 0, MOST_STEPS)
    given = potentials[0], schemes[0]
    driven = isinstance(given[0], Driven) or given[1].schedule is not None
    if driven:
        start = Drive(*given, np.ones((1, 1)))
        potentials, schemes = [start.potential_at(first_step)], [start.scheme_at(first_step)]
    potential, scheme = potentials[0], schemes[0]
    if scheme.metropolised and not potential.has_energy:
        raise ValueError(f"{scheme!r} needs the energy, which {potential!r} does not have")
    checks.one_of("precision", precision, tuple(PRECISIONS))
    checks.one_of("on_divergence", on_divergence, ("raise", "freeze"))
    seed = checks.seed(seed)
    name = backends.choose(backend, potential)
    n_threads = _core.default_threads() if threads is None else checks.integer("threads", threads, 1, 4096)
    dtype = PRECISIONS[precision]

    positions = None if initial is None else checks.finite_array("initial", initial)
    v = None if velocities is None else checks.finite_array("velocities", velocities)
    masses = checks.positive_array("mass", mass)
    if scheme.overdamped:
        if v is not None:
            raise ValueError(f"velocities are not allowed with {scheme!r}: it is overdamped")
        if masses.ndim or masses != 1.0:
            raise ValueError(f"mass={checks.shorten(mass)} is not allowed with {scheme!r}: it is overdamped; use drag=")
    stream_array = None if streams is None else _stream_array(streams)
    n = _count_particles(scheme, potential.dim, n_particles, positions, v, masses, stream_array)
    _check_state_memory(n, potential.dim, dtype, overdamped=scheme.overdamped)
    positions = _per_component(
        "initial", potential.default_start if positions is None else positions, n, potential.dim, dtype
    )
    walls = None if boundary is None else Walls(boundary, potential.dim, dtype)
    if walls is not None:
        if name == "cuda":
            raise ValueError('boundary is not there on backend="cuda"; use another backend')
        walls.check(positions)
    mass_array = _mass_array(masses, n, potential.dim)
    stream_array = np.arange(n, dtype=np.uint64) if stream_array is None else stream_array
    mass_array.flags.writeable = stream_array.flags.writeable = False

    problem = Problem(
        potentials=tuple(potentials),
        parameters=parameters_of(potentials, dtype),
        program=program_of(schemes, mass_array, dtype),
        changes=Drive(*given, mass_array) if driven else stages,
        dtype=dtype,
        seed=seed,
        streams=stream_array,
        walls=walls,
    )
    check_last_step(problem, "first_step", first_step, first_step)
    for p, s in [given] if driven else zip(potentials, schemes, strict=True):
        _warn_if_unstable(p, s, mass_array)
        if precision == "single":
            _warn_if_frozen(s, mass_array, positions, p.default_start)
    if not scheme.overdamped:
        v = (
            _maxwell_boltzmann(problem, scheme, mass_array)
            if v is None
            else _per_component("velocities", v, n, potential.dim, dtype)
        )
    if scheme.metropolised:
        _check_start(potential, positions)
    state = State(first_step, positions, v, np.zeros(n, np.int64), np.full(n, -1, np.int64))
    return Beginning(problem, state, tuple(schemes), mass_array, name, n_threads, on_divergence == "freeze")


def changed(
    beginning: Beginning,
    potential: Potential,
    scheme: Scheme,
    step: int,
    time: float | np.ndarray,
    state: State | None = None,
) -> Beginning:
    """The same run with other numbers from a step on, which is at this time; `state` is that of the particles there.

    Raises
    ------
    TypeError, ValueError
        If they do not fit.
    """
    problem, mass = beginning.problem, beginning.mass
    driven = isinstance(potential, Driven) or scheme.schedule is not None
    given = potential, scheme
    lowest = np.min(np.asarray(scheme.kT if scheme.schedule is None else scheme.schedule.values))
    if scheme.metropolised and not lowest > 0:
        raise ValueError(f"kT={checks.shorten(scheme.kT)} must be positive with {scheme!r}")
    drive = None
    if driven:
        clocks = np.unique(np.asarray(time))
        if len(clocks) > 1:
            raise ValueError(
                f"a schedule needs one time for all particles, whose step sizes differed up to step {step}"
            )
        drive = Drive(potential, scheme, mass, step, float(clocks[0]))
        potential, scheme = drive.potential_at(step), drive.scheme_at(step)
    before = problem.potential
    if not potential.is_alike(before) or len(potential.parameters) != len(before.parameters):
        raise ValueError(f"potential: the new one must be of the same kind and size; got {potential!r} for {before!r}")
    if scheme.n_particles not in (None, len(problem.streams)):
        raise ValueError(f"kT and step_size must be numbers, or have one for each of {len(problem.streams)} particles")
    if scheme.metropolised and potential is not before and state is not None:
        _check_start(potential, state.shown(problem.walls).positions, "potential")
    _warn_if_unstable(*given, mass)
    new = dataclasses.replace(
        problem,
        potentials=(potential,),
        parameters=parameters_of([potential], problem.dtype),
        program=program_of([scheme], mass, problem.dtype),
        changes=drive,
    )
    return beginning._replace(problem=new, schemes=(scheme,))


def part_of(beginning: Beginning, particles: np.ndarray) -> Beginning:
    """What a run of some of the particles begins with: its bits are those of the whole."""
    problem = beginning.problem
    mass = beginning.mass if len(beginning.mass) == 1 else beginning.mass[particles]
    part = dataclasses.replace(
        problem,
        streams=problem.streams[particles],
        program=problem.program.map(lambda k: k if k.shape[1] == 1 else np.ascontiguousarray(k[:, particles])),
        changes=problem.changes.of_mass(mass) if isinstance(problem.changes, Drive) else problem.changes,
    )
    return beginning._replace(
        problem=part,
        schemes=tuple(scheme.of_particles(particles) for scheme in beginning.schemes),
        mass=mass,
        state=part_of_state(beginning.state, particles),
        freeze=True,
    )


def part_of_state(state: State, particles: np.ndarray) -> State:
    """Some of the particles, before anything was seen of them."""
    return State(
        state.step,
        state.positions[particles],
        None if state.velocities is None else state.velocities[particles],
        np.zeros(len(particles), np.int64),
        np.full(len(particles), -1, np.int64),
    )


def check_last_step(problem: Problem, name: str, value: int, step: int) -> None:
    """See that the numbers of the noise up to a step, to which an argument leads, are 64-bit integers.

    Raises
    ------
    ValueError
        If they are not.
    """
    most = problem.last_step
    if step > most:
        raise ValueError(
            f"{name}={value} leads to step {step}; the noise of this scheme in {problem.dim} dimensions ends at {most}"
        )


def _check_alike(potentials: Sequence[Potential], schemes: Sequence[Scheme]) -> None:
    """See that rows of a schedule fit each other."""
    if not len(potentials) == len(schemes) > 0:
        raise ValueError(f"there must be as many potentials as schemes, got {len(potentials)} and {len(schemes)}")
    for potential in potentials[1:]:
        if not potential.is_alike(potentials[0]):
            raise ValueError(
                f"potentials that follow one another must be of one kind; got {potentials[0]!r} and {potential!r}"
            )
    for scheme in schemes[1:]:
        if scheme.letters != schemes[0].letters or scheme.n_particles != schemes[0].n_particles:
            raise ValueError(f"schemes that follow one another must be alike; got {schemes[0]!r} and {scheme!r}")


def _maxwell_boltzmann(problem: Problem, scheme: Scheme, mass: np.ndarray) -> np.ndarray:
    scale = np.sqrt(np.reshape(scheme.kT_at(np.zeros(1)), (-1, 1)) / mass).astype(problem.dtype)
    velocities: np.ndarray = scale * draw("initial", problem.seed, problem.streams, 0, problem.dim, problem.dtype)
    return velocities


def _count_particles(
    scheme: Scheme,
    dim: int,
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
        if not said and scheme.n_particles == dim > 1:
            warn(
                f"{scheme!r} has a value per particle, which makes {dim} particles; it has none per component. "
                f"Say n_particles={dim} if that is meant"
            )
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
    result = np.empty((n, dim), dtype)
    result[...] = checks.cast(name, array, dtype)
    return result


def _mass_array(mass: np.ndarray, n: int, dim: int) -> np.ndarray:
    if mass.shape not in ((), (dim,), (1, dim), (n, 1), (n, dim)):
        hint = ""
        if mass.ndim == 1:
            hint = f"; for {len(mass)} particles of different masses add an axis: mass[:, np.newaxis]"
        raise ValueError(
            f"mass must be a number or have the shape ({dim},), ({n}, 1) or ({n}, {dim}); got {mass.shape}{hint}"
        )
    if mass.ndim == 1 and n == dim > 1 and (mass != mass[0]).any():
        warn(
            f"mass of shape ({dim},) is taken per component, and there are {n} particles as well. "
            "Say mass[:, np.newaxis] if it is per particle, or mass[np.newaxis, :] if it is per component"
        )
    return mass if mass.ndim == 2 else mass.reshape(1, -1)


def _stream_array(streams: Sequence[int] | np.ndarray) -> np.ndarray:
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
    array = np.array(streams, dtype=np.uint64)
    values, counts = np.unique(array, return_counts=True)
    if len(values) < len(array):
        warn(f"streams has {values[counts.argmax()]} {counts.max()} times: particles with one stream share all noise")
    return array


def _check_start(potential: Potential, positions: np.ndarray, name: str = "initial") -> None:
    with np.errstate(all="ignore"):
        bad = ~(np.isfinite(potential.energy(positions)) & np.isfinite(potential.gradient(positions)).all(axis=1))
    if bad.any():
        particle = int(np.flatnonzero(bad)[0])
        raise ValueError(
            f"{name}: the energy or gradient of particle {particle} is not finite at {positions[particle]}; "
            "MALA must start where both are"
        )


def _check_state_memory(n: int, dim: int, dtype: Any, *, overdamped: bool) -> None:
    """The state before and after a chunk, a gradient, the counters, and a double-precision copy of the arguments."""
    arrays = 1 if overdamped else 2
    size = np.dtype(dtype).itemsize
    check_memory(n * (dim * (arrays * (2 * size + 8) + size) + 5 * 8), f"the state of {n} particles")


def _warn_if_unstable(potential: Potential, scheme: Scheme, mass: np.ndarray) -> None:
    curvature = potential.largest_curvature
    if curvature is not None and mass.size == 1 and scheme.unstable(curvature, mass):
        warn(
            f"{scheme!r} is unstable in this potential, whose largest curvature is {curvature:.3g}: "
            "positions will grow without bound. Use a smaller step_size"
        )


def _warn_if_frozen(scheme: Scheme, mass: np.ndarray, positions: np.ndarray, start: np.ndarray) -> None:
    """Single precision resolves positions to one part in 2**24: smaller steps are rounded away."""
    displacement = scheme.thermal_displacement(mass)
    scale = max(np.abs(positions).max(), np.abs(start).max())
    moving = displacement[displacement > 0]  # none at kT = 0
    smallest = float(moving.min(initial=np.inf))
    if smallest < 8.0 * np.finfo(np.float32).eps * scale:
        warn(
            f"in single precision a step moves particles by about {smallest:.2g}, which positions of size {scale:.2g} "
            f"hardly resolve (spacing {np.spacing(np.float32(scale)):.2g}): they freeze or drift. "
            'Use precision="double" or a larger step_size.'
        )
