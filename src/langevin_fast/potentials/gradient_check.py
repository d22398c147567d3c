"""See that what a user's Python functions compute is an energy and its gradient."""

from __future__ import annotations

import math
import numbers
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..checks import FloatArray, shorten
from ..noise import noise
from .compiled import FunctionPotential

# Plain Python is stopped after about this time, in seconds. Functions that take long are compiled first: those with
# so many parameters, and those of which one call takes so long.
_SECONDS = 0.5
_MANY_PARAMETERS = 50_000
_LONG_CALL = 0.1

# Relative to the slope: with what error finite differences are good enough, with what error they say anything, and
# which deviation is let pass (constants of the user's with few digits).
_GOOD = 1e-7
_CONCLUSIVE = 1e-4
_TOLERANCE = 1e-5

_EPS = float(np.finfo(np.float64).eps)

# What a function raises when it is wrong, and not only outside of its domain.
_MISTAKES = (TypeError, NameError, AttributeError, IndexError)


def check_gradient(potential: FunctionPotential) -> None:
    """See that U is finite at the start, and compare its gradient with finite differences near it.

    Directions are random, with a part along every component: a single wrong one shows, in any number of components.

    Raises
    ------
    TypeError
        A function does not return, write or take what it should.
    ValueError
        The gradient is not that of the energy, or one of them is not finite at the start, or nowhere near it.
    """
    functions = _Evaluation(potential)
    _check_start(functions)
    deadline = time.perf_counter() + _SECONDS
    usable = False
    for k, size in enumerate(_sizes(potential.default_start)):
        displacement, *random = noise(k, 0, 0, 3 * potential.dim).reshape(3, potential.dim)
        for _ in range(8):
            x = potential.default_start + size * np.clip(displacement, -2.0, 2.0)
            gradient = functions.gradient(x)
            told = False
            if gradient is not None and functions.has_energy_at(x):
                usable = True
                for r in random:
                    told |= _confirms(functions, x, gradient, r + np.copysign(0.5, r), size / 8.0, deadline)
                    if usable and time.perf_counter() > deadline:
                        return
            if told:
                break
            size /= 8.0  # nearer to the start, which may be all that lies in the domain
    if not usable:
        raise ValueError(
            f"energy or gradient is not finite at points near start={shorten(potential.default_start)} "
            f"({functions.reason}): give start=, a point where both are, or check=False"
        )


def _check_start(functions: _Evaluation) -> None:
    start = functions.potential.default_start
    if functions.is_finite_at(start):
        return
    functions.compiled = True  # Python's own math functions raise where compiled ones do not
    if not functions.is_finite_at(start):
        raise ValueError(
            f"energy or gradient is not finite at start={shorten(start)} ({functions.reason}): give start=, a point "
            "where both are, or check=False"
        )


def _sizes(start: FloatArray) -> tuple[float, float, float]:
    """How far from the start to look; once less than what lies between its coordinates, whatever their unit."""
    gaps = np.diff(np.unique(start))
    return 0.1, 0.4, 0.1 * min(0.2, float(np.median(gaps)) if len(gaps) else 0.2)


def _confirms(
    functions: _Evaluation, x: FloatArray, gradient: FloatArray, direction: FloatArray, h: float, deadline: float
) -> bool:
    """Whether the slope along a direction is that of the gradient; False where finite differences cannot tell."""
    if not functions.potential.has_energy:
        return True
    slope = _Slope(functions.energy, x, gradient, deadline)
    difference = slope.difference(direction, h)
    if not difference.conclusive:
        return False
    if not difference.wrong:
        return True
    # One component, found by halving, has to be wrong by itself and with other steps.
    parts, deviation = np.arange(len(x)), difference.deviation
    while len(parts) > 1:
        half = parts[: len(parts) // 2]
        masked = np.zeros(len(x))
        masked[half] = direction[half]
        part = slope.difference(masked, h).deviation
        parts, deviation = (half, part) if abs(part) >= 0.5 * abs(deviation) else (parts[len(half) :], deviation - part)
    c = int(parts[0])
    unit = np.zeros(len(x))
    unit[c] = 1.0
    alone = slope.difference(unit, h / 3.0)
    if alone.conclusive and alone.wrong and slope.stays(alone, unit):
        raise ValueError(
            f"gradient: component {c} is {gradient[c]:.10g}, but finite differences of the energy give "
            f"{alone.slope:.10g} (error below {alone.error:.1g}), at {_place(x, c)}. Correct it, or use check=False"
        )
    return False


def _place(x: FloatArray, c: int) -> str:
    return f"x={x.tolist()}" if len(x) <= 4 else f"a point with x[{c}]={float(x[c])!r}"


class _Difference:
    """A slope by finite differences beside the one that the gradient gives."""

    def __init__(self, slope: float, error: float, h: float, expected: float, scale: float) -> None:
        self.slope, self.error, self.h = slope, error, h
        self.deviation = slope - expected if math.isfinite(slope) else 0.0
        self.conclusive = error <= _CONCLUSIVE * max(scale, abs(slope)) and max(scale, abs(slope)) > 0.0
        self.wrong = abs(self.deviation) > 10.0 * error + _TOLERANCE * scale


class _Slope:
    def __init__(
        self, energy: Callable[[FloatArray], float], x: FloatArray, gradient: FloatArray, deadline: float
    ) -> None:
        self.energy, self.x, self.gradient, self.deadline = energy, x, gradient, deadline
        self.rounded = float(np.abs(gradient * x).sum())

    def difference(self, direction: FloatArray, h: float) -> _Difference:
        """Central differences with halved steps, extrapolated to none: Ridders (1982), whose error is estimated.

        The error contains what the rounding of energies and points does, so that steps are not made too small.
        """
        terms = self.gradient * direction
        expected, scale = float(terms.sum()), float(np.linalg.norm(terms))
        best, best_error = math.nan, math.inf
        table: list[float] = []
        for _ in range(16):
            quotient, rounding = self._quotient(direction, h)
            if not math.isfinite(quotient):
                table, h = [], 0.5 * h
                continue
            row = [quotient]
            for j, coarser in enumerate(table):
                row.append(row[j] + (row[j] - coarser) / (4.0 ** (j + 1) - 1.0))
                error = max(abs(row[-1] - row[j]), abs(row[-1] - coarser)) + rounding
                if error < best_error:
                    best, best_error = row[-1], error
            enough = _CONCLUSIVE if time.perf_counter() > self.deadline else _GOOD
            if best_error <= enough * max(scale, abs(best)):
                break
            table, h = row[:6], 0.5 * h
        return _Difference(best, best_error, h, expected, scale)

    def stays(self, found: _Difference, direction: FloatArray) -> bool:
        """Whether far smaller steps give the same slope: neither noise, nor details that the steps went over."""
        far = max(64.0 * found.h, 0.25) * direction
        if found.slope == 0.0 and self.energy(self.x + far) != self.energy(self.x):
            return False  # not a constant, but changes that rounding hides
        h = found.h / 16.0
        for _ in range(20):
            quotient, rounding = self._quotient(direction, h)
            if rounding > 0.1 * abs(found.deviation):
                break
            if not abs(quotient - found.slope) < 0.5 * abs(found.deviation):
                return False
            h /= 4.0
        return True

    def _quotient(self, direction: FloatArray, h: float) -> tuple[float, float]:
        """A central difference, and what rounding the energies and points may do to it."""
        up, down = self.energy(self.x + h * direction), self.energy(self.x - h * direction)
        return (up - down) / (2.0 * h), 32.0 * _EPS * (max(abs(up), abs(down)) + self.rounded) / h


class _WholeArrayError(Exception):
    """A function takes x or out as a whole, which Numba does not compile for vectors of particles."""


class _Components(np.ndarray):
    """An array for functions that take its components one by one."""

    def __array_ufunc__(self, *args: Any, **kwargs: Any) -> Any:
        raise _WholeArrayError

    def __array_function__(self, *args: Any, **kwargs: Any) -> Any:
        raise _WholeArrayError


class _Evaluation:
    """The functions of a potential at one point, in plain Python as long as that is fast."""

    def __init__(self, potential: FunctionPotential) -> None:
        self.potential = potential
        self.compiled = potential.has_energy and len(potential.parameters) > _MANY_PARAMETERS
        self.array: type[np.ndarray] = _Components
        self.reason = ""  # why the last point could not be used

    def gradient(self, x: FloatArray) -> FloatArray | None:
        """∇U, or None where it is not finite."""
        if self.compiled:
            result = self.potential.gradient(x)
        else:
            began = time.perf_counter()
            result = np.full(len(x), np.nan)
            returned = self._call("gradient", x, result)
            if returned is not self and np.isnan(result).any():
                self._see_that_it_writes(x, result, returned)
            self.compiled = self.potential.has_energy and time.perf_counter() - began > _LONG_CALL
            if returned is self:
                return None
        bad = np.flatnonzero(~np.isfinite(result))
        if not len(bad):
            return result
        self.reason = f"component {bad[0]} of the gradient is {result[bad[0]]} at {_place(x, int(bad[0]))}"
        return None

    def has_energy_at(self, x: FloatArray) -> bool:
        """Whether U is finite, or need not be."""
        if not self.potential.has_energy:
            return True
        u = self.energy(x)
        if not math.isfinite(u) and not self.reason.startswith("energy raises"):
            self.reason = f"the energy is {u} at {_place(x, 0)}"
        return math.isfinite(u)

    def is_finite_at(self, x: FloatArray) -> bool:
        """Whether energy and gradient are both finite."""
        return self.gradient(x) is not None and self.has_energy_at(x)

    def energy(self, x: FloatArray) -> float:
        """U, or NaN where it raises."""
        if self.compiled:
            return float(self.potential.energy(x))
        result = self._call("energy", x)
        if result is self:
            return math.nan
        value = result[()] if isinstance(result, np.ndarray) and result.ndim == 0 else result
        if not isinstance(value, numbers.Real):
            raise TypeError(f"energy must return one real number; it returned {shorten(value)}")
        return float(value)

    def _see_that_it_writes(self, x: FloatArray, result: FloatArray, returned: Any) -> None:
        again = np.where(np.isnan(result), 1.0, result)
        self._call("gradient", x, again)
        missing = np.flatnonzero(np.isnan(result) & (again == 1.0))
        if len(missing) == len(x):
            what = "nothing" if returned is None else shorten(returned)
            raise TypeError(
                f"gradient must write ∇U to its second argument (out[0] = ..., not out = ...); it wrote nothing there "
                f"and returned {what}"
            )
        if len(missing):
            raise ValueError(f"gradient did not give component {missing[0]} a number at {_place(x, int(missing[0]))}")

    def _call(self, which: str, x: FloatArray, *out: FloatArray) -> Any:
        """What a function returns, or this object if it raised as one does outside of its domain."""
        function = getattr(self.potential.functions, which)
        point = x.copy().view(self.array)
        point.flags.writeable = False  # in a run these are the positions of the particles
        try:
            with np.errstate(all="ignore"):
                return function(point, *(a.view(self.array) for a in out), self.potential.parameters)
        except _WholeArrayError:
            from ..jit import groups

            groups.compile_group(
                self.potential.functions, which, self.potential.dim, len(self.potential.parameters), "float64", 1
            )
            self.array = np.ndarray  # Numba can do it after all
            return self._call(which, x, *out)
        except _MISTAKES as error:
            raise TypeError(f"{which} raises {type(error).__name__}: {error}") from error
        except Exception as error:
            if isinstance(error, ValueError) and "read-only" in str(error):
                raise TypeError(
                    f"{which} assigns to x, which holds the positions of the particles: give the new value another name"
                ) from error
            self.reason = f"{which} raises {type(error).__name__}: {error}"
            return self
