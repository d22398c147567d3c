"""What is said of arguments that a function does not have: most have another name, or belong to another function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# What other packages call an argument: its name here, and what follows it in the hint.
OF_SCHEMES = {
    **dict.fromkeys(("dt", "h", "eps", "epsilon", "eta", "lr", "timestep", "time_step", "stepsize"), ("step_size", "")),
    **dict.fromkeys(
        ("temperature", "T", "temp", "kt", "kbT", "kBT", "kB_T"), ("kT", ", the temperature in energy units")
    ),
    **dict.fromkeys(("beta", "inverse_temperature"), ("kT", " = 1/beta")),
    **dict.fromkeys(("gamma", "zeta", "friction_coefficient", "collision_rate"), ("friction", " (gamma, a rate)")),
    **dict.fromkeys(("tau", "damp", "tau_t"), ("friction", " = 1/tau, a rate")),
}
_DRAG = "drag", " (lambda = m gamma, in mass/time)"
_OF_RUNS = {
    "n_particles": ("n_chains", "chains", "num_chains", "n_walkers", "nwalkers", "num_particles", "batch_size"),
    "n_steps": ("steps", "num_steps", "n_samples", "num_samples", "draws", "n_iter"),
    "initial": ("x0", "init", "initial_positions", "positions", "q0", "start"),
    "velocities": ("v0", "initial_velocities"),
    "seed": ("rng", "random_state", "random_seed", "key"),
    "stride": ("thin", "thinning", "every", "save_every"),
    "burn_in": ("warmup", "n_warmup", "num_warmup", "tune", "burnin", "equilibration"),
    "mass": ("m", "masses"),
    "precision": ("dtype",),
    "threads": ("n_jobs", "num_threads", "n_threads"),
    "backend": ("device",),
}
_FOREIGN = OF_SCHEMES | {name: (here, "") for here, names in _OF_RUNS.items() for name in names}

# Where an argument belongs that a function does not have.
_HOMES = {
    **dict.fromkeys(("step_size", "kT", "friction", "drag"), "the scheme, such as lf.ULA(step_size=0.1, kT=1.0)"),
    **dict.fromkeys(
        (
            *("initial", "velocities", "n_particles", "mass", "seed", "backend", "precision", "threads"),
            *("streams", "on_divergence"),
        ),
        "lf.sample and lf.Simulation",
    ),
    **dict.fromkeys(("n_steps", "progress", "checkpoint", "checkpoint_every"), "lf.sample and Simulation.run"),
    "burn_in": "lf.sample; a Simulation is run that far first",
    "stride": "lf.sample; Simulation.run takes record=[lf.observers.Frames(every=...)]",
    "first_step": "lf.Simulation",
    "record": "Simulation.run",
}


def hinting(function: Callable[P, R]) -> Callable[P, R]:
    """Have a function say, of arguments that it does not take, which ones are meant; it goes by the user's name."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError:
            complaint = _complaint(function, args, kwargs)
            if complaint is not None:
                raise TypeError(complaint) from None
            raise

    return wrapper


def _complaint(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """What is wrong with the arguments of a call; None if the function takes them."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
        return None
    except TypeError as error:
        reason = str(error)
    initialiser = function.__name__ == "__init__"
    name = type(args[0]).__name__ if initialiser else function.__qualname__
    known = [parameter for parameter in signature.parameters if parameter != "self"]
    wrong = next((given for given in kwargs if given not in known), None)
    return f"{name}(): {reason}" if wrong is None else f"{name}() has no argument {wrong!r}; {_hint(wrong, known)}"


def _hint(wrong: str, known: list[str]) -> str:
    meant, more = _FOREIGN.get(wrong, (wrong, ""))
    if meant == "friction" and "drag" in known and "friction" not in known:
        meant, more = _DRAG
    said = [] if meant == wrong else [f"did you mean {meant}{more}?"]
    if meant not in known and meant in _HOMES:
        said.append(f"{meant} belongs to {_HOMES[meant]}")
    return " ".join(said) or f"it takes {', '.join(known)}"
