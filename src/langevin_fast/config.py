"""What this installation can do, and the choice of the instruction-set level."""

from __future__ import annotations

import importlib.util
import os
import platform

from . import _core
from ._version import __version__

__all__ = ["show_config"]

ISA_VARIABLE = "LANGEVIN_FAST_ISA"


def apply_environment() -> None:
    """Take the level that the environment asks for; without one, the widest that the processor supports stays."""
    wanted = os.environ.get(ISA_VARIABLE)
    if not wanted:
        return
    try:
        _core.use_isa(wanted)
    except ValueError as error:
        raise ValueError(f"environment variable {ISA_VARIABLE}={wanted!r}: {error}") from None


def config() -> dict[str, str]:
    """The facts that :func:`show_config` prints."""

    def installed(module: str) -> str:
        return "yes" if importlib.util.find_spec(module) else "no"

    levels = ", ".join(
        level["name"] + ("" if level["supported"] else " (not on this processor)") for level in _core.isa_levels()
    )
    return {
        "langevin_fast": __version__,
        "python": platform.python_version(),
        "processor": platform.machine(),
        "instruction set": f"{_core.isa()} (of {levels}; {ISA_VARIABLE} overrides)",
        "threads": str(_core.default_threads()),
        "OpenMP": "yes" if _core.has_openmp() else "no",
        "Numba": installed("numba"),
        "numba-cuda": installed("numba_cuda"),
        "SymPy": installed("sympy"),
        "SciPy": installed("scipy"),
        "JAX": installed("jax"),
        "Equinox": installed("equinox"),
        "Optax": installed("optax"),
        "PyTorch": installed("torch"),
        "matplotlib": installed("matplotlib"),
        "xarray": installed("xarray"),
        "ArviZ": installed("arviz"),
        "tqdm": installed("tqdm"),
    }


def show_config() -> None:
    """Print version, instruction-set level, threads and which optional packages are there."""
    facts = config()
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
