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
``floor ceil round``                     exact; real numbers, not integers; ``round`` gives the even one of two
``mod(x, y)``                            exact, as ``x % y``: the sign is that of y; NaN unless abs(x / y) < 2**52
                                         (2**23 in single)
``take(table, i)``                       exact: entry i of an array of numbers
``interp(x, xp, fp)``                    4 of the larger of the two entries
=======================================  ==============================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .elementary import on_arrays

__all__ = [
    "ceil",
    "copysign",
    "cos",
    "cosh",
    "exp",
    "expm1",
    "fabs",
    "floor",
    "interp",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "mod",
    "power",
    "round",
    "sin",
    "sinh",
    "sqrt",
    "take",
    "tan",
    "tanh",
    "where",
]

# Of an array an array, of a number a number (also of NumPy), and in compiled functions a pack of particles.
Result = Any


def _dtype(args: tuple[npt.ArrayLike, ...]) -> type:
    """As NumPy has it: Python numbers do not decide the type, float32 arrays with them stay float32."""
    typed = [a.dtype for a in args if hasattr(a, "dtype")]
    return np.float32 if typed and all(dtype == np.float32 for dtype in typed) else np.float64


def _apply(name: str, *args: npt.ArrayLike) -> Result:
    arrays = [np.asarray(a) for a in args]
    dtype = _dtype(args)
    shape = np.broadcast_shapes(*(array.shape for array in arrays))
    flat: list[npt.NDArray[Any]] = [
        np.ascontiguousarray(np.broadcast_to(array, shape), dtype).reshape(-1) for array in arrays
    ]
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


def floor(x: npt.ArrayLike) -> Result:
    """The largest whole number that is not above x, as a real number."""
    return _apply("floor", x)


def ceil(x: npt.ArrayLike) -> Result:
    """The smallest whole number that is not below x, as a real number."""
    return _apply("ceil", x)


def round(x: npt.ArrayLike) -> Result:
    """The nearest whole number, of two the even one (``numpy.rint``), as a real number."""
    return _apply("round", x)


def mod(x: npt.ArrayLike, y: npt.ArrayLike) -> Result:
    """What x leaves on division by y, as ``x % y`` and ``numpy.mod``: 0 or of the sign of y.

    Exact; NaN for abs(x / y) >= 2**52 (2**23 in single precision), where a period is lost in the rounding of x.
    """
    return _apply("mod", x, y)


def take(table: npt.ArrayLike, i: npt.ArrayLike) -> Result:
    """``table[floor(i)]``, where i may depend on x; below and above the table its first and its last entry.

    Parameters
    ----------
    table : (n,) array
        In a :class:`~langevin_fast.potentials.Custom` potential an array parameter, or a part of one.
    i : float or array
        Numbers of entries, from 0. NaN gives the first entry.

    Raises
    ------
    ValueError
        `table` is not a one-dimensional array with at least one entry (from Python only).
    """
    entries, dtype = _table("table", table), _dtype((table, i))
    index: npt.NDArray[Any] = np.asarray(i, dtype)
    return on_arrays(dtype).take(entries.astype(dtype), index.reshape(-1)).reshape(index.shape)[()]


def interp(x: npt.ArrayLike, xp: npt.ArrayLike, fp: npt.ArrayLike) -> Result:
    """Linear interpolation in a table, as ``numpy.interp``; outside of it the first and the last entry.

    The place in the table is found by halving, in about log2(n) steps. On a uniform grid ``take`` needs one.

    Parameters
    ----------
    x : float or array
        Where; NaN gives NaN.
    xp : (n,) array
        The grid, ascending (not checked), n >= 1.
    fp : (n,) array
        The values there.

    Raises
    ------
    ValueError
        `xp` and `fp` are not one-dimensional arrays of the same length >= 1 (from Python only).
    """
    grid, values, dtype = _table("xp", xp), _table("fp", fp), _dtype((x, xp, fp))
    if len(grid) != len(values):
        raise ValueError(f"xp and fp must have the same length, got {len(grid)} and {len(values)}")
    at: npt.NDArray[Any] = np.asarray(x, dtype)
    with np.errstate(all="ignore"):
        result = on_arrays(dtype).interp(at.reshape(-1), grid.astype(dtype), values.astype(dtype))
    return result.reshape(at.shape)[()]


def _table(name: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    table = np.asarray(values)
    if table.ndim != 1 or not len(table):
        raise ValueError(f"{name} must be a one-dimensional array with at least one entry, got shape {table.shape}")
    return table
