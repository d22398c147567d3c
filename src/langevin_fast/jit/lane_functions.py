"""Teaches Numba :mod:`langevin_fast.math` for packs, and ``math`` and NumPy functions of the same meaning."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from .. import math as lf_math
from ..elementary import CONSTANTS, Primitives, make
from . import packs
from .aliases import ALIASES, ARGUMENTS, TABLES
from .packs import MaskType, PackType, lane, number_of_pack, pack_of_number, with_lane

_JIT = njit(forceinline=True, error_model="numpy")

# Functions of Python's math module that have no version of our own: the C library's, lane by lane.
_LIBRARY = (
    *(math.asin, math.acos, math.atan, math.asinh, math.acosh, math.atanh),
    *(math.erf, math.erfc, math.gamma, math.lgamma),
)
_LIBRARY_2 = (math.atan2, math.hypot)

_OPERATORS = {"power": (operator.pow, operator.ipow), "mod": (operator.mod, operator.imod)}

_INLINED = {"jit_options": {"forceinline": True, "error_model": "numpy"}, "strict": False}

KNOWN = frozenset(getattr(lf_math, name) for name in lf_math.__all__)


@cache
def _functions(dtype: type) -> SimpleNamespace:
    return make(
        CONSTANTS[dtype],
        Primitives(
            bits=packs.bits,
            real=packs.real,
            word=_JIT(lambda w: w),
            select=packs.select,
            sqrt=packs.sqrt,
            take=packs.take,
            compile=_JIT,
        ),
    )


def _function(name: str, element: types.Type) -> Callable[..., Any]:
    return getattr(_functions(np.float64 if element == types.float64 else np.float32), name)


def _real_pack(args: tuple[Any, ...]) -> PackType | None:
    pack = packs.pack_of(args)
    return pack if pack is not None and isinstance(pack.element, types.Float) else None


def _teach(name: str) -> None:
    n = ARGUMENTS.get(name, 1)

    def one(x: Any) -> Any:
        if (pack := _real_pack((x,))) is not None:
            f = _function(name, pack.element)
            return lambda x: f(x)
        return None

    def two(x: Any, y: Any) -> Any:
        if (pack := _real_pack((x, y))) is not None:
            f, like = _function(name, pack.element), packs.like
            if isinstance(x, PackType):
                return lambda x, y: f(x, like(y, x))
            return lambda x, y: f(like(x, y), y)
        return None

    def three(condition: Any, x: Any, y: Any) -> Any:
        if _real_pack((x, y)) is not None or isinstance(condition, MaskType):
            select = packs.select
            return lambda condition, x, y: select(condition, x, y)
        return None

    typed = {1: one, 2: two, 3: three}[n]
    for function in (getattr(lf_math, name), *ALIASES[name], *_OPERATORS.get(name, ())):
        overload(function, **_INLINED)(typed)


def _precision(*numbers: Any) -> Any:
    """Of plain numbers: single as soon as one is, as on a GPU; literals take the precision of the rest."""
    if not all(isinstance(t, (types.Float, types.Integer)) for t in numbers):
        return None
    return np.float32 if types.float32 in numbers else np.float64


def _teach_numbers(name: str) -> None:
    """The same for plain numbers, which functions make from their parameters."""
    n = ARGUMENTS.get(name, 1)

    def one(x: Any) -> Any:
        if (real := _precision(x)) is not None:
            f = getattr(_functions(real), name)
            return lambda x: number_of_pack(f(pack_of_number(real(x))))
        return None

    def two(x: Any, y: Any) -> Any:
        if (real := _precision(x, y)) is not None:
            f = getattr(_functions(real), name)
            return lambda x, y: number_of_pack(f(pack_of_number(real(x)), pack_of_number(real(y))))
        return None

    def three(condition: Any, x: Any, y: Any) -> Any:
        if (real := _precision(x, y)) is not None:
            return lambda condition, x, y: real(x) if condition else real(y)
        return None

    overload(getattr(lf_math, name), strict=False)({1: one, 2: two, 3: three}[n])


def _teach_library(function: Callable[..., Any]) -> None:
    def one(x: Any) -> Any:
        if (pack := _real_pack((x,))) is None:
            return None
        lanes = pack.lanes

        def implementation(x):  # type: ignore[no-untyped-def]
            result = x
            for i in range(lanes):
                result = with_lane(result, i, function(lane(x, i)))
            return result

        return implementation

    overload(function, strict=False)(one)


def _teach_library_2(function: Callable[..., Any]) -> None:
    def two(x: Any, y: Any) -> Any:
        if (pack := _real_pack((x, y))) is None:
            return None
        lanes, like = pack.lanes, packs.like
        first = isinstance(x, PackType)

        def implementation(x, y):  # type: ignore[no-untyped-def]
            a, b = (x, like(y, x)) if first else (like(x, y), y)
            result = a
            for i in range(lanes):
                result = with_lane(result, i, function(lane(a, i), lane(b, i)))
            return result

        return implementation

    overload(function, strict=False)(two)


def _is_table(t: Any) -> bool:
    return isinstance(t, types.Array) and t.ndim == 1 and isinstance(t.dtype, (types.Float, types.Integer))


@overload(lf_math.take, **_INLINED)
def _take(table: Any, i: Any) -> Any:
    if not _is_table(table):
        return None
    if (pack := _real_pack((i,))) is not None:
        f = _function("take", pack.element)
        return lambda table, i: f(table, i)
    # the entry has the table's precision, as table[i] has it
    if (real := _precision(i, table.dtype)) is not None:
        f = _functions(real).take
        return lambda table, i: number_of_pack(f(table, pack_of_number(real(i))))
    return None


@overload(lf_math.interp, **_INLINED)
@overload(np.interp, **_INLINED)
def _interp(x: Any, xp: Any, fp: Any) -> Any:
    if not _is_table(xp) or not _is_table(fp):
        return None
    if (pack := _real_pack((x,))) is not None:
        f = _function("interp", pack.element)
        return lambda x, xp, fp: f(x, xp, fp)
    if (real := _precision(x, xp.dtype, fp.dtype)) is not None:
        f = _functions(real).interp
        return lambda x, xp, fp: number_of_pack(f(pack_of_number(real(x)), xp, fp))
    return None


for _name in set(lf_math.__all__) - set(TABLES):
    _teach(_name)
    _teach_numbers(_name)
for _library in _LIBRARY:
    _teach_library(_library)
for _library_2 in _LIBRARY_2:
    _teach_library_2(_library_2)
