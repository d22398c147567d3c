"""Checks of arguments.

Every function returns the value in the form that the caller computes with, or raises ``TypeError`` (the wrong
kind of thing) or ``ValueError`` (a value that is not allowed). The message names the argument, its value and
what is allowed.
"""

from __future__ import annotations

import math
import numbers
import secrets
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def shorten(value: object, limit: int = 80) -> str:
    """Return a repr for messages: large arrays by their shape, everything else cut off at `limit` characters."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        if value.size > 8:
            return f"<array of shape {value.shape}>"
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 4] + " ..."


def finite(name: str, value: object) -> float:
    """Return a finite real number."""
    return _number(name, value, "a finite number")


def positive(name: str, value: object) -> float:
    """Return a finite number > 0."""
    allowed = "a finite number > 0"
    number = _number(name, value, allowed)
    if number <= 0:
        raise ValueError(f"{name} must be {allowed}, got {shorten(value)}")
    return number


def non_negative(name: str, value: object) -> float:
    """Return a finite number >= 0."""
    allowed = "a finite number >= 0"
    number = _number(name, value, allowed)
    if number < 0:
        raise ValueError(f"{name} must be {allowed}, got {shorten(value)}")
    return number


def integer(name: str, value: object, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return an integer (given as Python's or NumPy's, no bool and no float) with minimum <= value <= maximum."""
    if type(value) is int and (minimum is None or value >= minimum) and (maximum is None or value <= maximum):
        return value
    allowed = "an integer"
    if minimum is not None and maximum is not None:
        allowed += f" from {minimum} to {maximum}"
    elif minimum is not None:
        allowed += f" >= {minimum}"
    elif maximum is not None:
        allowed += f" <= {maximum}"
    scalar = _scalar(value)
    if isinstance(scalar, (bool, np.bool_)) or not isinstance(scalar, numbers.Integral):
        raise TypeError(f"{name} must be {allowed}, got {shorten(value)} of type {type(value).__name__}")
    number = int(scalar)
    if (minimum is not None and number < minimum) or (maximum is not None and number > maximum):
        raise ValueError(f"{name} must be {allowed}, got {shorten(value)}")
    return number


def seed(value: object) -> int:
    """Return a seed; None draws one."""
    return secrets.randbits(64) if value is None else integer("seed", value, 0, 2**64 - 1)


def one_of(name: str, value: Any, allowed: Sequence[str | None]) -> Any:
    """Return one of a few words (or None where it is among them)."""
    if value is None or isinstance(value, str):
        if value in allowed:
            return value
        error: type[Exception] = ValueError
    else:
        error = TypeError
    raise error(f"{name} must be one of {', '.join(map(repr, allowed))}, got {shorten(value)}")


def real_array(name: str, value: object) -> npt.NDArray[Any]:
    """Return an array of real numbers, finite or not, without a copy where it is one."""
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask, got a masked array: fill or leave out what is masked")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} must be a rectangular array of numbers, got {shorten(value)}") from error
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {shorten(value)} of dtype {array.dtype}")
    return array


def finite_array(
    name: str,
    value: object,
    shape: tuple[int | None, ...] | None = None,
    ndim: int | tuple[int, ...] | None = None,
) -> FloatArray:
    """Return a new C-contiguous float64 array of finite numbers.

    `shape` may hold None for axes of any length >= 1; `ndim` is the number of axes, or the numbers that are
    allowed.
    """
    array = real_array(name, value)
    if ndim is not None:
        counts = (ndim,) if isinstance(ndim, int) else ndim
        if array.ndim not in counts:
            allowed = " or ".join(map(str, counts))
            raise ValueError(f"{name} must have {allowed} dimensions, got an array of shape {array.shape}")
    if shape is not None and not _matches(array.shape, shape):
        raise ValueError(f"{name} must have shape {_shape_text(shape)}, got {array.shape}: {shorten(value)}")
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got an array of shape {array.shape}")
    # longdouble beyond the range of double turns into inf: reported below, without a warning
    with np.errstate(over="ignore"):
        result = np.array(array, dtype=np.float64, order="C", copy=True)
    _reject(name, result, ~np.isfinite(result), "finite")
    return result


def positive_array(
    name: str,
    value: object,
    shape: tuple[int | None, ...] | None = None,
    ndim: int | tuple[int, ...] | None = None,
) -> FloatArray:
    """Do as `finite_array`, every entry > 0."""
    array = finite_array(name, value, shape, ndim)
    _reject(name, array, array <= 0, "> 0")
    return array


def non_negative_array(
    name: str,
    value: object,
    shape: tuple[int | None, ...] | None = None,
    ndim: int | tuple[int, ...] | None = None,
) -> FloatArray:
    """Do as `finite_array`, every entry >= 0."""
    array = finite_array(name, value, shape, ndim)
    _reject(name, array, array < 0, ">= 0")
    return array


def per_particle(name: str, value: object, positive: bool) -> FloatArray:
    """Return one number (0-d) or one per particle (1-d), read-only; each > 0 if `positive`, else >= 0."""
    check = positive_array if positive else non_negative_array
    array = check(name, value, ndim=(0, 1))
    array.flags.writeable = False
    return array


def plain(array: FloatArray) -> float | FloatArray:
    """Return a 0-d array as a float, any other as it is."""
    return float(array) if array.ndim == 0 else array


def symmetric_matrix(name: str, value: object, size: int) -> FloatArray:
    """Return a symmetric (size, size) matrix; an asymmetry of up to 1e-10 of the largest entry is averaged away."""
    matrix = finite_array(name, value, shape=(size, size))
    uneven = np.abs(matrix - matrix.T) > 1e-10 * np.max(np.abs(matrix))
    if uneven.any():
        i, j = map(int, np.argwhere(uneven)[0])
        raise ValueError(
            f"{name} must be symmetric, got {name}[{i}, {j}] = {float(matrix[i, j])!r} "
            f"and {name}[{j}, {i}] = {float(matrix[j, i])!r}"
        )
    return matrix * 0.5 + matrix.T * 0.5


def cast(what: str | Callable[[], str], array: FloatArray, dtype: Any) -> npt.NDArray[Any]:
    """Round once from double precision to that of a run; errors begin with `what`."""
    if array.dtype == dtype:
        return np.ascontiguousarray(array)
    with np.errstate(over="ignore"):
        result = np.ascontiguousarray(array, dtype=dtype)
    if not (np.isfinite(result) | ~np.isfinite(array)).all():
        name = what if isinstance(what, str) else what()
        raise ValueError(f'{name}: {shorten(array)} is beyond the range of single precision; use precision="double"')
    return result


def _scalar(value: object) -> object:
    return value[()] if isinstance(value, np.ndarray) and value.ndim == 0 else value


def _number(name: str, value: object, allowed: str) -> float:
    scalar = _scalar(value)
    if isinstance(scalar, (bool, np.bool_)) or not isinstance(scalar, numbers.Real):
        raise TypeError(f"{name} must be {allowed}, got {shorten(value)} of type {type(value).__name__}")
    try:
        number = float(scalar)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{name} must be {allowed}, got {shorten(value)}")
    return number


def _matches(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        length >= 1 if want is None else length == want for length, want in zip(shape, wanted, strict=True)
    )


def _shape_text(shape: tuple[int | None, ...]) -> str:
    lengths = ["n" if length is None else str(length) for length in shape]
    return f"({lengths[0]},)" if len(lengths) == 1 else f"({', '.join(lengths)})"


def _reject(name: str, array: FloatArray, bad: npt.NDArray[np.bool_], allowed: str) -> None:
    if not bad.any():
        return
    if array.ndim == 0:
        raise ValueError(f"{name} must be {allowed}, got {float(array)!r}")
    index = tuple(map(int, np.argwhere(bad)[0]))
    entry = f"{name}[{', '.join(map(str, index))}]"
    raise ValueError(f"every entry of {name} must be {allowed}, got {entry} = {float(array[index])!r}")
