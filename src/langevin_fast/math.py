"""Elementary functions for potentials: the same bits in plain Python, on NumPy arrays and in compiled loops.

Inside the functions of a :class:`~langevin_fast.potentials.Custom` potential they are compiled for a vector of
particles. Called from Python they take numbers and arrays: float32 gives float32, everything else float64. They use
nothing but operations that IEEE 754 defines, so their bits depend on no library and no processor.

=======================================  ==============================================================================
function                                 error in units in the last place, double and single precision
=======================================  ==============================================================================
``sqrt fabs copysign maximum minimum``   exact (correctly rounded); ``maximum`` and ``minimum`` give b where a
                                         comparison with NaN fails
``exp log``                              2; ``exp`` is 0 below -708 (-86.5)
``expm1 log1p``                          3, 4
``sin cos``                              3 of the function's size, for abs(x) < 1e6 (6000 in single); NaN beyond
``tan tanh sinh cosh``                   6
``power``                                3 + 3 abs(y log x), for x >= 0; a negative x gives NaN: write integer powers
                                         as ``x**3``
``where(condition, a, b)``               chooses, value by value
=======================================  ==============================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .elementary import on_arrays

__all__ = [
    "copysign",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "fabs",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "power",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "where",
]

# Of an array an array, of a number a number (also of NumPy), and in compiled functions a pack of particles.
Result = Any


def _apply(name: str, *args: npt.ArrayLike) -> Result:
    arrays = [np.asarray(a) for a in args]
    # as NumPy has it: Python numbers do not decide the type, float32 arrays with them stay float32
    typed = [array for array, a in zip(arrays, args, strict=True) if hasattr(a, "dtype")]
    single = bool(typed) and all(array.dtype == np.float32 for array in typed)
    dtype = np.float32 if single else np.float64
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    flat = [np.ascontiguousarray(np.broadcast_to(array, shape), dtype).reshape(-1) for array in arrays]
    with np.errstate(all="ignore"):
        result = getattr(on_arrays(dtype), name)(*flat)
    return result.reshape(shape)[()]


def exp(x: npt.ArrayLike) -> Result:
    """e**x; 0 below -708 (-86.5 in single precision), inf above 709.78 (88.72)."""
    return _apply("exp", x)


def expm1(x: npt.ArrayLike) -> Result:
    """e**x - 1, accurate near 0."""
    return _apply("expm1", x)


def log(x: npt.ArrayLike) -> Result:
    """Natural logarithm; -inf at 0 (and for denormals), NaN below."""
    return _apply("log", x)


def log1p(x: npt.ArrayLike) -> Result:
    """log(1 + x), accurate near 0."""
    return _apply("log1p", x)


def sqrt(x: npt.ArrayLike) -> Result:
    """Square root."""
    return _apply("sqrt", x)


def sin(x: npt.ArrayLike) -> Result:
    """Sine of x in radians, abs(x) < 1e6 (6000 in single precision); NaN beyond."""
    return _apply("sin", x)


def cos(x: npt.ArrayLike) -> Result:
    """Cosine of x in radians, abs(x) < 1e6 (6000 in single precision); NaN beyond."""
    return _apply("cos", x)


def tan(x: npt.ArrayLike) -> Result:
    """Tangent of x in radians, abs(x) < 1e6 (6000 in single precision); NaN beyond."""
    return _apply("tan", x)


def sinh(x: npt.ArrayLike) -> Result:
    """Hyperbolic sine."""
    return _apply("sinh", x)


def cosh(x: npt.ArrayLike) -> Result:
    """Hyperbolic cosine."""
    return _apply("cosh", x)


def tanh(x: npt.ArrayLike) -> Result:
    """Hyperbolic tangent."""
    return _apply("tanh", x)


def power(x: npt.ArrayLike, y: npt.ArrayLike) -> Result:
    """x**y for x >= 0 and any real y."""
    return _apply("power", x, y)


def fabs(x: npt.ArrayLike) -> Result:
    """Absolute value."""
    return _apply("fabs", x)


def copysign(x: npt.ArrayLike, y: npt.ArrayLike) -> Result:
    """The size of x with the sign of y."""
    return _apply("copysign", x, y)


def maximum(a: npt.ArrayLike, b: npt.ArrayLike) -> Result:
    """The larger of two numbers; b where they are equal or one is NaN."""
    return _apply("maximum", a, b)


def minimum(a: npt.ArrayLike, b: npt.ArrayLike) -> Result:
    """The smaller of two numbers; b where they are equal or one is NaN."""
    return _apply("minimum", a, b)


def where(condition: npt.ArrayLike, a: npt.ArrayLike, b: npt.ArrayLike) -> Result:
    """A where the condition holds, else b. Both are computed; the other one may be anything, NaN included."""
    return np.where(condition, a, b)[()]
