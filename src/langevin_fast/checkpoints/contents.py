"""What a checkpoint holds: everything that a run needs to go on to the bits of one that was never interrupted."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import _core, arguments
from .._version import __version__
from ..arguments import Beginning
from ..backends.problem import Observed, Reduction, Source, Stages, State
from ..bits import BITS
from ..errors import CheckpointError, warn
from ..fingerprints import PYTHON
from ..history import History, Segment
from ..observers import Observer
from ..observers.values import Function
from ..potentials.base import Potential
from ..rows import Drive
from ..schemes import Scheme
from ..stepping import Stepper
from .container import path_of, previous, read
from .recipes import Packer, Unpacker, array_of, differences


class Contents(NamedTuple):
    """A file's header and arrays."""

    path: Path
    header: dict[str, Any]
    arrays: list[np.ndarray]

    @classmethod
    def of(cls, path: Path) -> Contents:
        """Those of a file; see :func:`container.read`."""
        return cls(path, *read(path))

    @classmethod
    def of_call(cls, checkpoint: Any) -> Contents | None:
        """Those of the checkpoint of lf.sample, if it is there."""
        path = path_of("checkpoint", checkpoint)
        if not path.exists():
            if previous(path).exists():
                raise CheckpointError(
                    f"{str(path)!r} is not there, but the generation before, {str(previous(path))!r}: move it there to "
                    "go on, or remove it to begin anew"
                )
            return None
        contents = cls.of(path)
        if "call" not in contents.header:
            raise CheckpointError(f"{str(path)!r} belongs to a Simulation: lf.Simulation.load goes on with it")
        return contents


def packed(stepper: Stepper, observers: Sequence[Observer]) -> tuple[dict[str, Any], Packer]:
    """The header, and the arrays in a packer, of a run and the observers that look at it."""
    pack = Packer()
    run = _run(stepper, pack)
    header = {
        "version": __version__,
        "bits": BITS,
        "python": PYTHON,
        "level": _core.isa() if _depends_on_level(stepper) else None,
        "step": stepper.state.step,
        "run": run,
        "segments": list(_segments(stepper, pack)),
        "backend": stepper.beginning.backend,
        "freeze": stepper.beginning.freeze,
        "state": _state(stepper.state, pack),
        "observed": [_observed(o, pack) for o in stepper.state.observed],
        "observers": [{"node": pack.node(o), **_begun(o, pack)} for o in observers],
    }
    return header, pack


def _run(stepper: Stepper, pack: Packer) -> dict[str, Any]:
    """What makes a run the run that it is, whatever becomes of it."""
    b = stepper.history[0].beginning
    if isinstance(b.problem.changes, Stages):
        raise TypeError("a simulation with stages has no checkpoints")
    potential, scheme = given_to(b)
    return {
        "potential": pack.node(potential),
        "scheme": pack.node(scheme),
        "precision": np.dtype(b.problem.dtype).name,
        "seed": b.problem.seed,
        "streams": pack.node(b.problem.streams),
        "mass": pack.node(b.mass),
        "boundary": None if b.problem.walls is None else pack.node(b.problem.walls.boundary),
        "first": _state(stepper.history.first, pack),
    }


def differences_of_runs(contents: Contents, stepper: Stepper) -> list[str]:
    """In what a run is not that of a file, in words."""
    check_readable(contents)
    pack = Packer()
    mine = _run(stepper, pack)
    return _of_runs(contents, mine, pack.arrays)


def _of_runs(contents: Contents, mine: dict[str, Any], arrays: Sequence[np.ndarray]) -> list[str]:
    theirs, stored = contents.header["run"], contents.arrays
    n = [len(array_of(run["first"]["positions"], of)) for run, of in ((theirs, stored), (mine, arrays))]
    if n[0] != n[1]:
        return [f"n_particles is {n[1]}; in the file {n[0]}"]
    first, rest = ("first",), tuple(name for name in mine if name != "first")
    for names in (rest, first):  # the first state is most often another because something else is
        one, other = ({"dict": {name: run[name] for name in names}} for run in (theirs, mine))
        if found := differences("", one, stored, other, arrays):
            return found
    return []


def differences_of_histories(contents: Contents, mine: dict[str, Any], arrays: Sequence[np.ndarray]) -> list[str]:
    """In what a file does not hold an earlier state, or the same, of the run with a header, in words."""
    theirs = contents.header
    found = _of_runs(contents, mine["run"], arrays)
    # the last one may have been changed before a step was made
    made, too = ([one for one in all_["segments"] if one["step"] < theirs["step"]] for all_ in (theirs, mine))
    for i, (one, other) in enumerate(zip(made, too, strict=False)):
        for name in ("step", "time", "potential", "scheme"):
            found += differences(f"change {i}: {name}", one[name], contents.arrays, other[name], arrays)
    if len(made) != len(too):
        found.append(f"it was updated {'more' if len(made) > len(too) else 'less'} often")
    observers = [[one["node"] for one in header["observers"]] for header in (theirs, mine)]
    return found + differences("observers", observers[0], contents.arrays, observers[1], arrays)


def identities_of(stepper: Stepper) -> list[tuple[int, str]]:
    """How a run was made: the steps at which its numbers changed, each with a digest of all that made it from there on.

    The first pair is that of the first state. Two runs are the same up to a step if the last pairs before it are.
    """
    history = stepper.history.until_now(stepper.state)
    pack = Packer()
    total = hashlib.sha256(_text(_run(stepper, pack), pack.arrays))
    found = [(history[0].step, total.hexdigest())]
    for segment, node in list(zip(history, _segments(stepper, pack), strict=True))[1:]:
        node["movers"] = [_reduction(mover.reduction, pack) for mover in segment.movers]
        total.update(_text(node, pack.arrays))
        found.append((segment.step, total.hexdigest()))
    return found


def _text(node: Any, arrays: Sequence[np.ndarray]) -> bytes:
    """A node with what its arrays hold."""

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "array" in node:
            array = arrays[node["array"]]
            return [array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).hexdigest()]
        if "function" in node:
            return node["function"]
        return {name: plain(one) for name, one in node.items()}

    return json.dumps(plain(node), sort_keys=True).encode()


def given_to(beginning: Beginning) -> tuple[Potential, Scheme]:
    """The potential and the scheme, with their schedules."""
    changes = beginning.problem.changes
    if isinstance(changes, Drive):
        return changes.potential, changes.scheme
    return beginning.problem.potential, beginning.schemes[0]


def _depends_on_level(stepper: Stepper) -> bool:
    return not stepper.history[0].beginning.problem.potential.same_bits_everywhere


def _segments(stepper: Stepper, pack: Packer) -> Iterator[dict[str, Any]]:
    before: Beginning | None = None
    for segment in stepper.history:
        new = before is not None and segment.beginning is not before
        potential, scheme = given_to(segment.beginning)
        yield {
            "step": segment.step,
            "time": pack.node(segment.time),
            "potential": pack.node(potential) if new else None,
            "scheme": pack.node(scheme) if new else None,
            "movers": [_observed(mover, pack) for mover in segment.movers],
        }
        before = segment.beginning


def _state(state: State, pack: Packer) -> dict[str, Any]:
    names = "positions", "velocities", "accepted", "diverged"
    return {"step": state.step, **{name: pack.node(getattr(state, name)) for name in names}}


def _observed(observed: Observed, pack: Packer) -> dict[str, Any]:
    return {
        **_reduction(observed.reduction, pack),
        **{name: pack.node(getattr(observed, name)) for name in ("reals", "marks", "counts")},
    }


def _reduction(reduction: Reduction, pack: Packer) -> dict[str, Any]:
    fields = {f.name: getattr(reduction, f.name) for f in dataclasses.fields(reduction)}
    sources = fields.pop("sources")
    return {
        "name": reduction.name,
        "fields": {name: pack.node(value) for name, value in fields.items()},
        "sources": [
            [s.quantity, s.component, pack.node(s.weight), None if s.function is None else pack.node(s.function.key)]
            for s in sources
        ],
    }


def _begun(observer: Observer, pack: Packer) -> dict[str, Any]:
    if not observer.begun:
        return {"begins": None}
    begins, accepted, changed = observer.beginning
    return {"begins": begins, "accepted": pack.node(accepted), "changed": changed}


# --- from a file ------------------------------------------------------------------------------------------------------


def check_readable(contents: Contents) -> None:
    """See that what a file holds goes on to the same bits here.

    Raises
    ------
    CheckpointError
        If it does not.
    """
    path, header = str(contents.path), contents.header
    if header["bits"] != BITS:
        raise CheckpointError(
            f"{path!r} was written by version {header['version']}, whose runs have other bits (number "
            f"{header['bits']}; here {BITS}): go on with that version, or begin anew from its positions"
        )
    if header["level"] not in (None, _core.isa()):
        raise CheckpointError(
            f"{path!r} holds a network, whose bits are those of a level, {header['level']!r}; here it is "
            f"{_core.isa()!r} (LANGEVIN_FAST_ISA={header['level']} changes that)"
        )


def unpacked(
    contents: Contents,
    potential: Potential | None,
    observers: Sequence[Observer] | None,
    backend: str | None,
    threads: int | None,
) -> tuple[Stepper, list[Observer]]:
    """The run of a file, and its observers: those that are given, filled, or new ones.

    Raises
    ------
    CheckpointError
        If what is given is not what the file was written with, or is missing.
    """
    check_readable(contents)
    header = contents.header
    comparable = header["python"] == PYTHON
    here = Packer()
    known = _known(contents, potential, here, comparable=comparable)
    nodes = None if observers is None else [here.node(observer) for observer in observers]
    make = Unpacker(contents.arrays, here.functions, known, comparable=comparable)
    if not comparable and '"function"' in json.dumps(header):
        warn(f"{str(contents.path)!r} was written by Python {header['python']}: functions are taken by their names")

    beginning = _beginning(header, make, header["backend"] if backend is None else backend, threads)
    history = _history(header, beginning, make)
    observed = tuple(_observed_of(node, make) for node in header["observed"])
    stepper = Stepper(history, dataclasses.replace(_state_of(header["state"], make), observed=observed))
    stepper.watched_since = history.first.step
    told = [one["node"] for one in header["observers"]]
    if observers is None:
        observers = [make.value(node) for node in told]
    elif found := differences("observers", told, contents.arrays, nodes, here.arrays):
        raise CheckpointError(f"{str(contents.path)!r} has other observers: {'; '.join(found)}")
    for observer, one in zip(observers, header["observers"], strict=True):
        if one["begins"] is not None:
            observer.check(stepper.first_run)
    number = 0
    for observer, one in zip(observers, header["observers"], strict=True):
        if one["begins"] is not None:
            accepted = array_of(one["accepted"], contents.arrays)
            observer.resume(stepper.first_run, observed[number], one["begins"], accepted, changed=one["changed"])
            number += 1
    return stepper, list(observers)


def _known(contents: Contents, potential: Potential | None, here: Packer, *, comparable: bool) -> list[tuple[Any, Any]]:
    """The node of the file that the potential given stands for."""
    if potential is None:
        return []
    if not isinstance(potential, Potential):
        raise TypeError(f"potential must be a langevin_fast potential; got {potential!r}")
    node = here.node(potential)
    header = contents.header
    nodes = [header["run"]["potential"], *(s["potential"] for s in header["segments"] if s["potential"] is not None)]
    found = [differences("", one, contents.arrays, node, here.arrays) for one in nodes]
    if not comparable:
        found = [[part for part in parts if "is another function" not in part] for parts in found]
    matching = [one for one, parts in zip(nodes, found, strict=True) if not parts]
    if not matching:
        raise CheckpointError(f"{str(contents.path)!r} has another potential: {'; '.join(found[0])}")
    return [(one, potential) for one in matching]


def _beginning(header: dict[str, Any], make: Unpacker, backend: str, threads: int | None) -> Beginning:
    run = header["run"]
    first = _state_of(run["first"], make)
    scheme, mass = make.value(run["scheme"]), make.value(run["mass"])
    return arguments.begin(
        [make.value(run["potential"])],
        [scheme],
        initial=first.positions,
        velocities=first.velocities,
        mass=float(mass[0, 0]) if mass.size == 1 else mass,
        seed=run["seed"],
        backend=backend,
        precision="double" if run["precision"] == "float64" else "single",
        threads=threads,
        streams=make.value(run["streams"]),
        first_step=first.step,
        on_divergence="freeze" if header["freeze"] else "raise",
        boundary=make.value(run["boundary"]),
    )


def _history(header: dict[str, Any], beginning: Beginning, make: Unpacker) -> History:
    segments = []
    for one in header["segments"]:
        time = make.value(one["time"])
        if one["potential"] is not None:
            potential, scheme = make.value(one["potential"]), make.value(one["scheme"])
            beginning = arguments.changed(beginning, potential, scheme, one["step"], time)
        movers = tuple(_observed_of(node, make) for node in one["movers"])
        segments.append(Segment(one["step"], time, beginning, movers))
    return History(segments)


def _state_of(node: dict[str, Any], make: Unpacker) -> State:
    names = "positions", "velocities", "accepted", "diverged"
    return State(node["step"], *(make.value(node[name]) for name in names))


def _observed_of(node: dict[str, Any], make: Unpacker) -> Observed:
    kinds = {kind.name: kind for kind in _kinds(Reduction) if hasattr(kind, "name")}
    sources = []
    for quantity, component, weight, key in node["sources"]:
        function = None
        if key is not None:
            *made_of, condition = make.value(key)
            function = Function(*made_of, condition=condition)
        sources.append(Source(quantity, component, make.value(weight), function))
    fields = {name: make.value(value) for name, value in node["fields"].items()}
    reduction = kinds[node["name"]](sources=tuple(sources), **fields)
    return Observed(reduction, *(make.value(node[name]) for name in ("reals", "marks", "counts")))


def _kinds(kind: type[Reduction]) -> Iterator[type[Reduction]]:
    yield kind
    for sub in kind.__subclasses__():
        yield from _kinds(sub)
