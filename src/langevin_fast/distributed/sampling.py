"""A call of lf.sample whose particles are shared out."""

from __future__ import annotations

import dataclasses
import functools
import operator
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core, checks
from ..arguments import Beginning, begin
from ..backends.problem import Observed, State
from ..bits import BITS
from ..checkpoints import Contents, Interval
from ..errors import AuditError, DivergenceError
from ..observers import Frames, Observer, Watching
from ..potentials.base import Potential
from ..progress import Progress
from ..rows import delayed
from ..sampling import sample as sample_here
from ..schemes import Scheme
from ..stepping import Stepper
from ..trajectory import Trajectory
from .parts import Held, cancelled, check_client, check_levels, held, parts_of

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["sample"]

# At most: not a matter of how many workers there are, so that a run goes on with others.
_MOST_PARTS = 256


class _Part(NamedTuple):
    """What a worker gives back."""

    trajectory: Trajectory
    level: str


def sample(
    potential: Potential,
    scheme: Scheme,
    *,
    client: Client,
    n_steps: int,
    burn_in: int = 0,
    stride: int | None = None,
    observers: Sequence[Observer] = (),
    threads: int = 1,
    folder: str | os.PathLike[str] | None = None,
    checkpoint_every: int | str = "10 min",
    audit: float = 0.0,
    progress: bool | None = None,
    seed: int | None = None,
    **given: Any,
) -> Trajectory:
    """What :func:`langevin_fast.sample` does, by the workers of a Dask cluster: each takes some of the particles.

    Parameters
    ----------
    potential, scheme, n_steps, burn_in, stride, seed, observers
        As for :func:`langevin_fast.sample`; no `Frames` among the observers, which are filled with what all workers
        saw. The default is to store no frames: they are sent here.
    client : distributed.Client
    threads : int, default 1
        Of each task; Dask gives a task one thread of a worker.
    folder : path, optional
        A directory that all workers share: each part has a checkpoint there, so that a worker that is killed costs what
        it did since the last one, and the same call goes on after everything was stopped.
    checkpoint_every : int or str, default "10 min"
        As for :func:`langevin_fast.sample`.
    audit : float, default 0
        A fraction of the particles, at least one if it is not 0, that are computed once more, on other workers where
        there are some, and compared bit by bit.
    progress : bool, optional
        As for :func:`langevin_fast.sample`; the bar counts steps of parts that are complete.
    **given
        Further arguments of :func:`langevin_fast.sample`: n_particles, initial, velocities, mass, backend, precision,
        streams, on_divergence, boundary.

    Returns
    -------
    Trajectory
        With the bits of a run in one process.

    Raises
    ------
    ImportError
        If Dask is not installed (extra ``dask``).
    TypeError, ValueError
        If an argument is not allowed; said before anything runs.
    DivergenceError
        Of the first divergence of all particles, when all parts are through.
    AuditError
        If a particle had other bits the second time.

    Notes
    -----
    Particles that act on each other (a `Batch` potential of all of them) cannot be shared out.
    """
    check_client(client)
    audit = checks.non_negative("audit", audit)
    Interval("checkpoint_every", checkpoint_every)
    if audit > 1:
        raise ValueError(f"audit={audit} must be a fraction of the particles, 0 to 1")
    n_steps, burn_in = checks.integer("n_steps", n_steps, 0), checks.integer("burn_in", burn_in, 0)
    place = None if folder is None else _folder(folder)
    if place is not None and seed is None and (files := sorted(place.glob("part-*.ckpt"))):
        stored = Contents.of_call(files[0])
        seed = None if stored is None else stored.header["run"]["seed"]
    seed = checks.seed(seed)
    later = delayed(potential, scheme, burn_in)
    beginning = begin([later[0]], [later[1]], seed=seed, threads=threads, **given)
    watching = Watching("observers", observers)
    if watching.frames:
        raise TypeError("observers: Frames stay with the workers; use stride=")
    before = dataclasses.replace(beginning.state, step=burn_in)
    frames = [Frames(stride)] if stride is not None and stride <= n_steps else []
    Watching("observers", [*frames, *observers]).check(Stepper.of(beginning).run, before, n_steps)
    if len(observers) and (np.ndim(scheme.step_size) or np.ndim(np.asarray(beginning.schemes[0].kT))):
        raise ValueError(
            "observers: what they see of several parts is added where step_size and kT are one number each"
        )

    call = {
        "n_steps": n_steps,
        "burn_in": burn_in,
        "stride": stride,
        "threads": threads,
        "checkpoint_every": checkpoint_every,
        "seed": seed,
        "backend": beginning.backend,
        "precision": "double" if beginning.problem.dtype is np.float64 else "single",
        "on_divergence": given.get("on_divergence", "raise"),
        "boundary": given.get("boundary"),
    }

    shared = held(client, (potential, [observer.anew() for observer in observers]))

    def submit(particles: np.ndarray, looking: list[int], checkpoint: Path | None, **where: Any) -> Any:
        part = _arguments_of(beginning, scheme, particles)
        return client.submit(_make, shared, call | part, looking, checkpoint, BITS, pure=False, **where)

    ranges = parts_of(len(beginning.problem.streams), _MOST_PARTS)
    paths = [None if place is None else place / f"part-{r[0]}-{r[-1] + 1}.ckpt" for r in ranges]
    everyone = list(range(len(observers)))
    futures = [submit(r, everyone, path) for r, path in zip(ranges, paths, strict=True)]
    with cancelled(client, [*futures, shared]):
        with Progress(len(ranges) * (burn_in + n_steps), progress) as bar:
            parts = _gathered(futures, ranges, lambda: bar.update(burn_in + n_steps))
        check_levels(potential, (part.level for part in parts))
        result = _joined(beginning, frames, observers, before, ranges, parts, n_steps)
        if audit:
            movers = [i for i in everyone if observers[i].moves]
            _audit(audit, result, ranges, futures, client, lambda r, where: submit(r, movers, None, **where))
    return result


# --- in a worker ------------------------------------------------------------------------------------------------------


def _make(shared: Held, call: dict[str, Any], looking: list[int], checkpoint: Path | None, bits: int) -> _Part:
    if bits != BITS:
        raise RuntimeError(f"a worker has another version of langevin_fast: bits {BITS}, here {bits}")
    potential, observers = shared.value
    mine = [observers[i].anew() for i in looking]
    return _Part(sample_here(potential, observers=mine, progress=False, checkpoint=checkpoint, **call), _core.isa())


# --- here -------------------------------------------------------------------------------------------------------------


def _folder(folder: Any) -> Path:
    path = Path(os.fsdecode(folder)).resolve()
    if not path.is_dir():
        raise ValueError(f"folder={str(path)!r} is no directory")
    return path


def _arguments_of(beginning: Beginning, scheme: Scheme, particles: np.ndarray) -> dict[str, Any]:
    """What makes the run of some of the particles."""
    state, mass = beginning.state, beginning.mass
    part = {
        "scheme": scheme.of_particles(particles) if scheme.n_particles is not None else scheme,
        "initial": state.positions[particles],
        "streams": beginning.problem.streams[particles],
    }
    if state.velocities is not None:
        part["velocities"] = state.velocities[particles]
        part["mass"] = mass[particles] if len(mass) > 1 else float(mass[0, 0]) if mass.size == 1 else mass
    return part


def _gathered(futures: list[Any], ranges: list[np.ndarray], done: Callable[[], None]) -> list[_Part]:
    """The results; of several divergences the first is raised."""
    from distributed import as_completed

    parts: dict[Any, Any] = {}
    diverged: list[DivergenceError] = []
    first = {future.key: int(r[0]) for future, r in zip(futures, ranges, strict=True)}
    for future in as_completed(futures):
        try:
            parts[future.key] = future.result()
        except DivergenceError as error:
            error.particle += first[future.key]
            diverged.append(error)
        done()
    if diverged:
        raise min(diverged, key=lambda error: (error.step, error.particle))
    return [parts[future.key] for future in futures]


def _joined(
    beginning: Beginning,
    frames: list[Frames],
    observers: Sequence[Observer],
    before: State,
    ranges: list[np.ndarray],
    parts: list[_Part],
    n_steps: int,
) -> Trajectory:
    """One trajectory of all particles."""
    runs = [part.trajectory for part in parts]
    observed: list[Observed] = []
    for i, observer in enumerate(observers):
        seen: list[Any] = [run.observers[i] for run in runs]
        observer.become(functools.reduce(operator.add, seen))
        observed.append(observer.observed)
    stepper = Stepper.of(beginning)
    stepper.state = before
    stepper.watch(tuple(observed))
    states = [run.last for run in runs]
    v = None if beginning.state.velocities is None else np.concatenate([state.velocities for state in states])
    whole = (
        np.concatenate([getattr(state, name) for state in states]) for name in ("positions", "accepted", "diverged")
    )
    x, accepted, diverged = whole
    stepper.state = State(states[0].step, x, v, accepted, diverged, tuple(observed))
    for one in frames:
        recording = one.begin(before, n_steps, beginning.problem.walls)
        for r, run in zip(ranges, runs, strict=True):
            assert run.frames is not None
            (part,) = run.frames.recordings
            recording.positions[:, r] = part.positions
            if recording.velocities is not None:
                recording.velocities[:, r] = part.velocities
        one.end(stepper.state.step, stepper.times_at)
    # acceptance rates are those of the parts
    before = dataclasses.replace(before, accepted=stepper.state.accepted)
    result = Trajectory.of(stepper, frames[0] if frames else None, before, observers)
    if runs[0].acceptance_rate is not None:
        result = dataclasses.replace(result, acceptance_rate=np.concatenate([run.acceptance_rate for run in runs]))
    return result


def _audit(
    share: float,
    result: Trajectory,
    ranges: list[np.ndarray],
    futures: list[Any],
    client: Any,
    submit: Callable[[np.ndarray, dict[str, Any]], Any],
) -> None:
    """Compute some particles once more, elsewhere, and compare."""
    n = len(result.streams)
    chosen = np.sort(np.random.default_rng(result.seed).choice(n, max(round(share * n), 1), replace=False))
    holders = client.who_has(futures)
    everyone = set(client.scheduler_info()["workers"])
    again = []
    for r, future in zip(ranges, futures, strict=True):
        mine = chosen[(chosen >= r[0]) & (chosen <= r[-1])]
        if len(mine):
            others = sorted(everyone - set(holders.get(future.key, ())))
            where = {"workers": others, "allow_other_workers": True} if others else {}
            again.append((mine, submit(mine, where)))
    with cancelled(client, [future for _, future in again]):
        for mine, future in again:
            run = future.result().trajectory
            for name in ("positions", "velocities", "diverged", "accepted"):
                _compare(name, getattr(result.last, name), getattr(run.last, name), mine, axis=0)
            if len(result.steps):
                _compare("frames", result.positions, run.positions, mine, axis=1)


def _compare(name: str, whole: Any, part: Any, particles: np.ndarray, axis: int) -> None:
    if whole is None:
        return
    whole = np.take(whole, particles, axis=axis)
    same = (whole == part) | ((whole != whole) & (part != part))
    bad = particles[~same.all(axis=tuple(a for a in range(same.ndim) if a != axis))]
    if len(bad):
        raise AuditError(
            f"{name}: particle {bad[0]} (and {len(bad) - 1} others) had other bits when it was computed once more: one "
            "of the workers has a broken processor or memory, or another environment of floating-point arithmetic"
        )
