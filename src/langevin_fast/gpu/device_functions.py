"""What a GPU thread calls: elementary functions, noise, and the functions of a potential, compiled by numba-cuda.

The same operations in the same order as in the C++ kernels, for one number instead of a pack. IEEE arithmetic is the
same on a GPU as long as nothing is contracted to fused multiply-adds (see kernel.py), so the bits are, too.
"""

from __future__ import annotations

import builtins
import math
import types as python_types
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda
from numba.cuda import config, types

from .. import math as lf_math
from ..elementary import CONSTANTS, Constants, Primitives, make
from ..functions import Room
from ..jit.aliases import ALIASES, ARGUMENTS, TABLES
from ..jit.rebuilt import rebuilt

device = cuda.jit(device=True) if config.ENABLE_CUDASIM else cuda.jit(device=True, forceinline=True)


def _primitives(k: Constants) -> Primitives:
    real_type, word_type = k.real, k.word

    @device
    def bits(x):  # type: ignore[no-untyped-def]
        return x.view(word_type)

    @device
    def real(w):  # type: ignore[no-untyped-def]
        return w.view(real_type)

    @device
    def word(w):  # type: ignore[no-untyped-def]
        return word_type(w)

    @device
    def select(mask, a, b):  # type: ignore[no-untyped-def]
        return a if mask else b

    if config.ENABLE_CUDASIM:
        sqrt = np.sqrt  # keeps the precision, and gives NaN as the compiled one does
    else:

        @device
        def sqrt(x):  # type: ignore[no-untyped-def]
            return real_type(math.sqrt(x))

    @device
    def take(table, i):  # type: ignore[no-untyped-def]
        return real_type(table[int(i)])

    return Primitives(bits, real, word, select, sqrt, take, device)


@lru_cache(maxsize=2)
def elementary(dtype: type) -> SimpleNamespace:
    """The elementary functions for one number."""
    k = CONSTANTS[dtype]
    return make(k, _primitives(k))


# --- noise: the same as cpp/core/{philox,normals,streams}.hpp, for one stream -----------------------------------------


class Noise:
    """Device functions ``normals`` and ``uniforms`` of (block, low, high, key0, key1), a tuple of numbers each.

    `low` and `high` are the upper half of the Philox counter (stream and tag), `key0` and `key1` the seed; all are
    32-bit words held as uint64.
    """

    def __init__(self, dtype: type) -> None:
        functions, k = elementary(dtype), CONSTANTS[dtype]
        self.per_block = 2 if dtype is np.float64 else 4
        width = 8 * k.word().itemsize
        radius_log, sin_eighth, cos_eighth = functions.scaled_log(-2, width), functions.sin_eighth, functions.cos_eighth
        sqrt, real_type, word_type = functions.sqrt, k.real, k.word
        signed_type = np.int64 if width == 64 else np.int32
        one, two, sign_shift = k.word(1), k.word(2), k.word(width - 1)
        eighth, to_uniform = k.real(2.0 ** (1 - width)), k.real(2.0**-width)
        u = np.uint64
        low_half, half_word = u(0xFFFFFFFF), u(32)
        multiplier_0, multiplier_1, weyl_0, weyl_1 = u(0xD2511F53), u(0xCD9E8D57), u(0x9E3779B9), u(0xBB67AE85)

        @device
        def philox(block, low, high, key0, key1):  # type: ignore[no-untyped-def]
            c0, c1, c2, c3 = block & low_half, block >> half_word, low, high
            for _ in range(10):
                p0, p1 = multiplier_0 * c0, multiplier_1 * c2
                c0, c2 = (p1 >> half_word) ^ c1 ^ key0, (p0 >> half_word) ^ c3 ^ key1
                c1, c3 = p1 & low_half, p0 & low_half
                key0, key1 = (key0 + weyl_0) & low_half, (key1 + weyl_1) & low_half
            return c0, c1, c2, c3

        @device
        def box_muller(radius, angle):  # type: ignore[no-untyped-def]
            r = sqrt(radius_log(real_type(radius | one)))
            r = word_type(r.view(word_type) ^ word_type(angle << sign_shift)).view(real_type)
            t = real_type(angle.view(signed_type)) * eighth
            sine, cosine = sin_eighth(t), cos_eighth(t)
            swap = (angle & two) != word_type(0)
            return r * (sine if swap else cosine), r * (cosine if swap else sine)

        @device
        def uniform(word):  # type: ignore[no-untyped-def]
            return real_type(word | one) * to_uniform

        if dtype is np.float64:

            @device
            def normals(block, low, high, key0, key1):  # type: ignore[no-untyped-def]
                w0, w1, w2, w3 = philox(block, low, high, key0, key1)
                return box_muller((w0 << half_word) | w1, (w2 << half_word) | w3)

            @device
            def uniforms(block, low, high, key0, key1):  # type: ignore[no-untyped-def]
                w0, w1, w2, w3 = philox(block, low, high, key0, key1)
                return uniform((w0 << half_word) | w1), uniform((w2 << half_word) | w3)

        else:

            @device
            def normals(block, low, high, key0, key1):  # type: ignore[no-untyped-def]
                w0, w1, w2, w3 = philox(block, low, high, key0, key1)
                z0, z1 = box_muller(word_type(w0), word_type(w1))
                z2, z3 = box_muller(word_type(w2), word_type(w3))
                return z0, z1, z2, z3

            @device
            def uniforms(block, low, high, key0, key1):  # type: ignore[no-untyped-def]
                w0, w1, w2, w3 = philox(block, low, high, key0, key1)
                return (
                    uniform(word_type(w0)),
                    uniform(word_type(w1)),
                    uniform(word_type(w2)),
                    uniform(word_type(w3)),
                )

        self.philox, self.normals, self.uniforms = philox, normals, uniforms


# --- the functions of a potential -------------------------------------------------------------------------------------


def of_user(function: Callable[..., Any], dtype: type) -> Any:
    """A plain Python function for one point, and the functions that it calls, for a GPU thread.

    Floating-point numbers in it take the precision of the run, as they do on the CPU.
    """

    def replace(value: Any) -> Any:
        value = getattr(value, "py_func", value)  # of numba.njit
        if value is math or value is np:
            return _module(value)
        if isinstance(value, Room):
            return _room(value.dim, dtype)
        if callable(value) and value in _OURS:
            return _OURS[value]
        if isinstance(value, python_types.FunctionType) and not _is_known(value):
            return of_user(value, dtype)
        if isinstance(value, tuple):
            return tuple(map(replace, value))
        if isinstance(value, (float, np.floating)):
            return dtype(value)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value.astype(dtype)
        return value

    copy = rebuilt(function, replace)
    # Numba's is an integer
    copy.__globals__.setdefault("round", lf_math.round)
    return device(copy)


def _room(dim: int, dtype: type) -> Any:
    if config.ENABLE_CUDASIM:
        return lambda g: np.empty(dim, dtype)

    # inlined before it is compiled: the array is one of the kernel's
    @cuda.jit(device=True, inline="always")
    def room(g):  # type: ignore[no-untyped-def]
        return cuda.local.array(dim, dtype)

    return room


# max and min of Python stay: they take any number of arguments, and integers.
_OURS = {
    alias: getattr(lf_math, name)
    for name, aliases in ALIASES.items()
    for alias in aliases
    if alias not in vars(builtins).values()
}


@lru_cache(maxsize=2)
def _module(module: python_types.ModuleType) -> python_types.ModuleType:
    """``math`` or NumPy with the functions of lf.math, which the same names mean on the CPU, too."""
    ours = python_types.ModuleType(module.__name__)
    ours.__dict__.update(
        {name: _OURS.get(value, value) if callable(value) else value for name, value in vars(module).items()}
    )
    return ours


def _is_known(function: Callable[..., Any]) -> bool:
    """Whether numba-cuda has a form of its own for it."""
    module = function.__module__ or ""
    return module == lf_math.__name__ or module.split(".")[0] in ("numpy", "numba")


def _teach(name: str) -> None:
    """Let device code call a function of lf.math; in the simulator it is called as it is."""
    from numba.cuda.extending import overload

    def type_of(*args: Any) -> Any:
        """Single precision as soon as one argument is: whole numbers and literals take the precision of the rest."""
        if not all(isinstance(a, (types.Float, types.Integer)) for a in args):
            return None
        single = any(isinstance(a, types.Float) and a.bitwidth == 32 for a in args)
        return np.float32 if single else np.float64

    def one(x: Any) -> Any:
        if (real := type_of(x)) is None:
            return None
        f = getattr(elementary(real), name)
        return lambda x: f(real(x))

    def two(x: Any, y: Any) -> Any:
        if (real := type_of(x, y)) is None:
            return None
        f = getattr(elementary(real), name)
        return lambda x, y: f(real(x), real(y))

    def three(condition: Any, x: Any, y: Any) -> Any:
        if (real := type_of(x, y)) is None:
            return None
        return lambda condition, x, y: real(x) if condition else real(y)

    overload(getattr(lf_math, name), strict=False)({1: one, 2: two, 3: three}[ARGUMENTS.get(name, 1)])


def _teach_tables() -> None:
    from numba.cuda.extending import overload

    def real_of(x: Any, *tables: Any) -> Any:
        if not isinstance(x, (types.Float, types.Integer)) or not all(isinstance(t, types.Array) for t in tables):
            return None
        numbers = (x, *(t.dtype for t in tables))
        return np.float32 if any(isinstance(n, types.Float) and n.bitwidth == 32 for n in numbers) else np.float64

    @overload(lf_math.take, strict=False)
    def take(table: Any, i: Any) -> Any:
        if (real := real_of(i, table)) is None:
            return None
        f = elementary(real).take
        return lambda table, i: f(table, real(i))

    @overload(lf_math.interp, strict=False)
    def interp(x: Any, xp: Any, fp: Any) -> Any:
        if (real := real_of(x, xp, fp)) is None:
            return None
        f = elementary(real).interp
        return lambda x, xp, fp: f(real(x), xp, fp)


if not config.ENABLE_CUDASIM:
    for _name in set(lf_math.__all__) - set(TABLES):
        _teach(_name)
    _teach_tables()
