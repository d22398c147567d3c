"""Who runs the steps, and the description of a run that they all take."""

from __future__ import annotations

from types import ModuleType

from .. import checks
from .problem import Problem, State

__all__ = ["NAMES", "Problem", "State", "choose"]

NAMES = ("auto", "cpp")


def choose(backend: str) -> tuple[str, ModuleType]:
    """The backend of that name, or the best one for "auto"; its module has a function ``advance``."""
    checks.one_of("backend", backend, NAMES)
    from . import cpp

    return "cpp", cpp
