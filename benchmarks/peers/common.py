"""What every worker shares: the protocol, the clock and the moments. The standard library and NumPy, nothing of ours.

A worker reads requests from its standard input and answers on its standard output, one JSON object a line:

- ``prepare`` (a task) makes a sampler, or answers ``missing`` with the reason;
- ``check`` runs it from the start again and again and answers the moments of the positions after so many steps;
- ``run`` makes so many steps and answers the seconds that they took;
- ``fresh`` is a whole short run: a sampler at its start, the steps, the positions in an array of NumPy.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray

if os.environ.get("LANGEVIN_PEERS_THREADS") == "1" and hasattr(os, "sched_setaffinity"):
    # one thread is one processor: some libraries make as many threads as they see processors, whatever is asked
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class MissingWorkError(Exception):
    """The peer has no such work; the message says why."""


class Task(NamedTuple):
    """One piece of work, in numbers."""

    work: str
    scheme: str
    potential: str
    n: int
    dim: int
    step_size: float
    kT: float  # noqa: N815
    friction: float
    start: list[float]
    parameters: dict[str, Any]
    precision: str
    threads: int
    variant: str
    cache: str

    @property
    def dtype(self) -> type:
        return np.float64 if self.precision == "double" else np.float32

    @property
    def starts(self) -> Array:
        """Every particle at its start, (dim, n)."""
        return np.tile(np.array(self.start, self.dtype)[:, np.newaxis], self.n)

    @property
    def noise(self) -> float:
        return float(np.sqrt(2.0 * self.kT * self.step_size))

    @property
    def decay(self) -> float:
        """What a step of BAOAB leaves of a velocity."""
        return float(np.exp(-self.friction * self.step_size))

    @property
    def kick(self) -> float:
        """And the noise that it adds."""
        return float(np.sqrt(self.kT * -np.expm1(-2.0 * self.friction * self.step_size)))

    def array(self, name: str) -> Array:
        return np.array(self.parameters[name], self.dtype)

    @property
    def layers(self) -> list[tuple[Array, Array]]:
        """Weights (n_out, n_in) and biases of a network."""
        return [(np.array(w, self.dtype), np.array(b, self.dtype)) for w, b in self.parameters["layers"]]


class Sampler(NamedTuple):
    """`reset` puts all particles at the start, `run` makes steps and waits for them, `positions` is (n, dim)."""

    reset: Callable[[], None]
    run: Callable[[int], None]
    positions: Callable[[], Array]


Prepare = Callable[[Task], Sampler]


def choose(table: Mapping[str, Any], name: str, what: str) -> Any:
    """An entry, or the reason why there is none: the table's own words (a string) or a general one."""
    entry = table.get(name, f"no {what} {name!r} in this peer")
    if isinstance(entry, str):
        raise MissingWorkError(entry)
    return entry


# --- moments ----------------------------------------------------------------------------------------------------------


def _pairs(x: Array) -> Array:
    """The mean of r^-6 over the pairs of each cluster."""
    atoms = x.reshape(len(x), -1, 3)
    i, j = np.triu_indices(atoms.shape[1], 1)
    return (((atoms[:, i] - atoms[:, j]) ** 2).sum(axis=2) ** -3.0).mean(axis=1)


OBSERVABLES: dict[str, Callable[[Array], Array]] = {
    "x": lambda x: x.mean(axis=1),
    "x²": lambda x: (x**2).mean(axis=1),
    "x⁴": lambda x: (x**4).mean(axis=1),
    "|x|>2": lambda x: (abs(x) > 2.0).mean(axis=1),
    "x₁": lambda x: x[:, 0],
    "x₂": lambda x: x[:, 1],
    "x₁²": lambda x: x[:, 0] ** 2,
    "x₂²": lambda x: x[:, 1] ** 2,
    "x₁x₂": lambda x: x[:, 0] * x[:, 1],
    "r⁻⁶": _pairs,
}


def values_of(positions: Array, observables: list[str]) -> Array:
    """(observables, particles), in double precision."""
    x = np.asarray(positions, np.float64)
    return np.array([OBSERVABLES[name](x) for name in observables])


def _check(sampler: Sampler, checkpoints: list[int], repeats: int, observables: list[str]) -> list[list[list[float]]]:
    """[mean, standard error] of every observable after so many steps from the start; all particles are independent."""
    seen: list[list[Array]] = [[] for _ in checkpoints]
    for _ in range(repeats):
        sampler.reset()
        done = 0
        for k, checkpoint in enumerate(checkpoints):
            sampler.run(checkpoint - done)
            done = checkpoint
            seen[k].append(values_of(sampler.positions(), observables))
    answer = []
    for parts in seen:
        values = np.concatenate(parts, axis=1)
        error = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
        answer.append(np.stack([values.mean(axis=1), error], axis=1).tolist())
    return answer


# --- the protocol -----------------------------------------------------------------------------------------------------


def serve(prepare: Prepare, versions: Callable[[], dict[str, str]] | None = None) -> None:
    """Answer requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is not an answer
    sampler: Sampler | None = None

    def seconds(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal sampler
        match request["op"]:
            case "hello":
                return {"versions": versions() if versions else {}, "python": sys.version.split()[0]}
            case "prepare":
                sampler = None  # its memory first
                sampler = prepare(Task(**request["task"]))
                return {"ready": True}
            case "run":
                assert sampler is not None
                n_steps, run = request["n_steps"], sampler.run
                return {"seconds": seconds(lambda: run(n_steps))}
            case "fresh":
                assert sampler is not None
                whole = sampler

                def fresh() -> None:
                    for _ in range(request["times"]):
                        whole.reset()
                        whole.run(request["n_steps"])
                        whole.positions()

                return {"seconds": seconds(fresh)}
            case "check":
                assert sampler is not None
                return {"moments": _check(sampler, request["checkpoints"], request["repeats"], request["observables"])}
        raise ValueError(f"unknown request {request['op']!r}")

    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except MissingWorkError as reason:
            reply = {"missing": str(reason)}
        except Exception as error:
            traceback.print_exc()
            reply = {"missing": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:200]}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def package_versions(*names: str) -> Callable[[], dict[str, str]]:
    from importlib.metadata import version

    return lambda: {name: version(name) for name in ("numpy", *names)}
