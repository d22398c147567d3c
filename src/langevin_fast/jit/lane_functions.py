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
from .aliases import ALIASES, ARGUMENTS
from .packs import MaskType, PackType, lane, number_of_pack, pack_of_number, with_lane

_JIT = njit(forceinline=True, error_model="numpy")

# Functions of Python's math module that have no version of our own: the C library's, lane by lane.
_LIBRARY = (
    *(math.asin, math.acos, math.atan, math.asinh, math.acosh, math.atanh),
    *(math.erf, math.erfc, math.gamma, math.lgamma, math.floor, math.ceil),
)
_LIBRARY_2 = (math.atan2, math.hypot)

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
    operators = (operator.pow, operator.ipow) if name == "power" else ()
    for function in (getattr(lf_math, name), *ALIASES[name], *operators):
        overload(function, jit_options={"forceinline": True, "error_model": "numpy"}, strict=False)(typed)


def _teach_numbers(name: str) -> None:
    """The same for plain floats, which functions make from their parameters."""
    n = ARGUMENTS.get(name, 1)

    def one(x: Any) -> Any:
        if isinstance(x, types.Float):
            f = _function(name, x)
            return lambda x: number_of_pack(f(pack_of_number(x)))
        return None

    def two(x: Any, y: Any) -> Any:
        if isinstance(x, types.Float) and isinstance(y, types.Float):
            f = _function(name, types.float64)
            return lambda x, y: number_of_pack(f(pack_of_number(float(x)), pack_of_number(float(y))))
        return None

    def three(condition: Any, x: Any, y: Any) -> Any:
        if isinstance(x, (types.Float, types.Integer)) and isinstance(y, (types.Float, types.Integer)):
            return lambda condition, x, y: x if condition else y
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


for _name in lf_math.__all__:
    _teach(_name)
    _teach_numbers(_name)
for _library in _LIBRARY:
    _teach_library(_library)
for _library_2 in _LIBRARY_2:
    _teach_library_2(_library_2)
