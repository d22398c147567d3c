"""Who runs the steps, and the description of a run that they all take."""

from __future__ import annotations

import importlib
from types import ModuleType

from .. import checks
from ..errors import BackendUnavailableError
from ..potentials.base import Potential
from .problem import Problem, Runner

__all__ = ["NAMES", "available", "choose", "explain_backend", "prepare"]

# Each is a module of this package with a function `prepare`; one that may be missing something has `check_available`.
NAMES = ("cpp", "numba", "cuda", "batch")

_WHAT = {
    "cpp": "the compiled kernels: built-in potentials, networks and C functions",
    "numba": "the C++ step loop around functions that Numba compiles: Custom, Expression, built-in potentials and sums",
    "cuda": "one GPU thread per particle: Custom, Expression, built-in potentials and sums",
    "batch": "compiled updates around one call for all particles: Batch, from_jax, from_torch and sums with them",
}


def choose(backend: str, potential: Potential) -> str:
    """The name of that backend, or of the first that suits the potential for "auto".

    Raises
    ------
    ValueError
        If there is no such backend, or it cannot run this potential.
    BackendUnavailableError
        If something that it needs is missing.
    """
    checks.one_of("backend", backend, ("auto", *NAMES))
    name = potential.backends[0] if backend == "auto" else backend
    if name not in potential.backends:
        allowed = ", ".join(f'"{other}"' for other in ("auto", *potential.backends))
        raise ValueError(f'backend="{name}" cannot run {potential!r}; allowed: {allowed}')
    module = _module(name)
    if hasattr(module, "check_available"):
        module.check_available()
    return name


def prepare(backend: str, problem: Problem, threads: int) -> Runner:
    """What makes the steps of a problem, on a backend that :func:`choose` has named."""
    runner: Runner = _module(backend).prepare(problem, threads)
    return runner


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{name}")


def available(potential: Potential) -> dict[str, str | None]:
    """The backends for a potential, each with None or the reason why it cannot run here."""
    result: dict[str, str | None] = {}
    for name in potential.backends:
        try:
            choose(name, potential)
            result[name] = None
        except BackendUnavailableError as error:
            result[name] = str(error)
    return result


def explain_backend(potential: Potential, backend: str = "auto") -> str:
    """Say which backend a potential runs on, and why not on the others.

    Parameters
    ----------
    potential : Potential
        Any potential of the package.
    backend : str
        As for :func:`langevin_fast.sample`.

    Returns
    -------
    str
        One line for the choice and one for each backend. ``traj.backend`` of a finished run has the bare name.

    Raises
    ------
    ValueError
        If there is no such backend.
    """
    if not isinstance(potential, Potential):
        raise TypeError(f"potential must be a langevin_fast potential; got {checks.shorten(potential)}")
    checks.one_of("backend", backend, ("auto", *NAMES))
    states = available(potential)
    try:
        chosen = choose(backend, potential)
        lines = [f'backend="{backend}" runs {potential!r} on "{chosen}"']
    except (ValueError, BackendUnavailableError) as error:
        lines = [f'backend="{backend}" does not run {potential!r}: {error}']
    for name in NAMES:
        if name not in states:
            reason = f"not for {potential.type_name}"
        else:
            reason = "available" if states[name] is None else f"unavailable: {states[name]}"
        lines.append(f'  "{name}" ({_WHAT[name]}): {reason}')
    return "\n".join(lines)
