"""Compile the functions of a potential for groups of particles.

The C++ step loop calls them by address (``GroupFunction`` in cpp/kernels/problem.hpp): x and g are (dim, lanes) arrays,
a particle per lane. A compiled function walks through the lanes a vector at a time; where a function cannot be compiled
for vectors, because it branches on x, it goes through them one by one.
"""

from __future__ import annotations

import re
import types as python_types
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.core.errors import NumbaError

from .. import _core
from ..functions import Functions, Room
from . import lane_functions
from .packs import PackType, column, room
from .rebuilt import rebuilt

# A function that raises leaves NaN behind, which the loop reports as a divergence of that particle at that step.
_BODIES = {
    "gradient": """
            gradient(column(x, i, lanes, {dim}, {width}), column(g, i, lanes, {dim}, {width}), parameters)
""",
    "energy": """
            column(u, i, lanes, 1, {width})[0] = energy(column(x, i, lanes, {dim}, {width}), parameters)
""",
    "energy_gradient": """
            x_i, g_i = column(x, i, lanes, {dim}, {width}), column(g, i, lanes, {dim}, {width})
            column(u, i, lanes, 1, {width})[0] = energy_gradient(x_i, g_i, parameters)
""",
}
_FAILED = {
    "gradient": "column(g, i, lanes, {dim}, {width})[0] = nan",
    "energy": "column(u, i, lanes, 1, {width})[0] = nan",
    "energy_gradient": "column(g, i, lanes, {dim}, {width})[0] = nan; column(u, i, lanes, 1, {width})[0] = nan",
}
_SOURCE = """
def group_function(x, g, u, p, lanes):
    parameters = carray(p, (n_parameters,))
    for i in range(0, lanes, {width}):
        {guard}:
{body}
        {failed}
"""


class Compiled(NamedTuple):
    """A function for groups; keeps the machine code alive."""

    address: int
    code: Any
    why_scalar: str | None  # what kept it from being compiled for vectors


def addresses(
    functions: Functions, dim: int, n_parameters: int, dtype: Any, *, energy: bool, single: bool
) -> tuple[dict[str, int], list[Compiled]]:
    """The addresses that ``_core`` wants, and what must be kept alive while they are used.

    Parameters
    ----------
    functions : Functions
        The potential in plain Python.
    dim, n_parameters : int
        Lengths of x and p.
    dtype : type
        numpy.float64 or numpy.float32.
    energy : bool
        Whether energies are wanted too.
    single : bool
        Whether there may be a group of one particle.

    Raises
    ------
    TypeError
        If Numba cannot compile a function; the message begins with Numba's.
    """
    wanted = ["gradient", "energy", "energy_gradient"] if energy else ["gradient"]
    result, kept = {}, []
    for which in wanted:
        for prefix, width in (("", vector_lanes(dtype)), ("single_", 1)):
            if prefix and not single:
                continue
            compiled = compile_group(functions, which, dim, n_parameters, np.dtype(dtype).name, width)
            result[prefix + which] = compiled.address
            kept.append(compiled)
    return result, kept


def vector_lanes(dtype: Any) -> int:
    """How many numbers one vector of the current instruction-set level holds."""
    level = next(level for level in _core.isa_levels() if level["name"] == _core.isa())
    return int(level["vector_bytes"]) // np.dtype(dtype).itemsize


@lru_cache(maxsize=1024)
def compile_group(functions: Functions, which: str, dim: int, n_parameters: int, dtype: str, width: int) -> Compiled:
    """One function of a potential, for lanes taken `width` at a time (or singly, where that is impossible)."""
    try:
        return _compile(functions, which, dim, n_parameters, dtype, width)
    except Exception as error:  # Numba also fails with AttributeError and the like
        reason = str(error)
        if width == 1:
            raise TypeError(_message(which, reason)) from None
    narrow = compile_group(functions, which, dim, n_parameters, dtype, 1)
    return narrow._replace(why_scalar=reason)


_X = re.compile(r"(?:unaligned )?array\(Pack\(float\d+, \d+\), 1d, \w\)")
_COMPONENT = re.compile(r"(?:Pack|Mask)\(float\d+, \d+\)")


def _message(which: str, reason: str) -> str:
    """The first line of Numba's reason, where that is, and what is allowed."""
    lines = [line.strip(" -") for line in reason.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("Failed in nopython", "Resolution failure"))]
    signature = next((line[4:] for line in lines if line.startswith(">>> ")), "")
    places = (line.rstrip(":") for line in lines if line.startswith('File "'))
    place = next((place for place in places if not re.search("<string>|/numba/", place)), "")
    told = lines[0].removesuffix(" found for signature:")
    if signature:
        told += ": " + _COMPONENT.sub("component", _X.sub("x", signature))
    told = told[:200] + (f", in {place}" if place else "")
    return (
        f"Numba cannot compile the {which.replace('_', ' and ')}: {told}. It is written for one point, component by "
        "component: numbers, loops, lf.math, helper functions of this kind (out[i] = 2.0 * x[i]). Arrays as a whole "
        "(out[:] = 2 * x, np.sum(x)) and new arrays (np.zeros) are not allowed: Batch takes functions of NumPy arrays"
    )


def _compile(functions: Functions, which: str, dim: int, n_parameters: int, dtype: str, width: int) -> Compiled:
    guarded = width == 1  # only there can a function raise depending on x
    names = {"column": column, "carray": numba.carray, "nan": np.nan, "n_parameters": n_parameters}
    names[which] = _dispatcher(functions, which)
    shape = {"dim": dim, "width": width}
    source = _SOURCE.format(
        guard="try" if guarded else "if True",
        body=_BODIES[which].format(**shape).strip("\n"),
        failed=f"except Exception:\n            {_FAILED[which].format(**shape)}" if guarded else "",
        **shape,
    )
    exec(source, names)
    real = types.CPointer(types.float64 if dtype == "float64" else types.float32)
    code = numba.cfunc(types.void(real, real, real, real, types.int64), error_model="numpy")(names["group_function"])
    if width > 1 and _keeps_packs_in_memory(names[which], set()):
        raise NumbaError("vectors in lists or new arrays lie at addresses that are not multiples of their size")
    return Compiled(code.address, code, None)


def _keeps_packs_in_memory(dispatcher: Dispatcher, seen: set[Dispatcher]) -> bool:
    """Whether a compiled function, or one that it calls, makes lists or arrays of packs; columns have layout "A"."""
    seen.add(dispatcher)
    for overload in dispatcher.overloads.values():
        for kind in overload.type_annotation.typemap.values():
            new = isinstance(kind, types.List) or (isinstance(kind, types.Array) and kind.layout != "A")
            if new and isinstance(kind.dtype, PackType):
                return True
            calls = isinstance(kind, types.Dispatcher) and kind.dispatcher not in seen
            if calls and _keeps_packs_in_memory(kind.dispatcher, seen):
                return True
    return False


@lru_cache(maxsize=1024)
def _dispatcher(functions: Functions, which: str) -> Dispatcher:
    function = getattr(functions, which)
    if function is not None:
        return _jit(function)
    energy, gradient = _dispatcher(functions, "energy"), _dispatcher(functions, "gradient")

    @_OPTIONS
    def energy_gradient(x, g, p):  # type: ignore[no-untyped-def]
        gradient(x, g, p)
        return energy(x, p)

    return energy_gradient


# Division by zero gives infinity, as in the C++ potentials. Inlining is left to LLVM for large functions only.
_OPTIONS = numba.njit(forceinline=True, error_model="numpy")


def _jit(function: Callable) -> Dispatcher:
    """The function, and the plain Python functions that it calls, for Numba."""
    if isinstance(function, Dispatcher):
        function = function.py_func
    return _OPTIONS(rebuilt(function, _jit_helper))


def _jit_helper(value: Any) -> Any:
    if isinstance(value, Room):
        return room(value.dim)
    plain = isinstance(value, python_types.FunctionType) and value not in lane_functions.KNOWN
    return _jit(value) if plain else value
