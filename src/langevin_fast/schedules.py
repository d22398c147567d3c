"""Numbers that change in time, in place of a number of a potential or of kT."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from . import checks
from .checks import FloatArray

__all__ = ["Schedule"]


class Schedule:
    """A number that changes in time: linear between given times, constant before the first and after the last.

    It takes the place of a number (or array) of a potential, or of a scheme's kT. The step from time t to t + h uses
    the value at t + h; the clock shows the step number times the step size, and in :func:`langevin_fast.sample` starts
    after the burn-in. (:class:`langevin_fast.score.Schedule` is something else: how noise is added to data.)

    Parameters
    ----------
    times : array_like of shape (k,)
        Increasing, in time units.
    values : array_like of shape (k, ...)
        One number, or one array, for each time.

    Raises
    ------
    TypeError, ValueError
        The times do not increase, something is not finite, or there are not as many values as times.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> k = lf.Schedule([0.0, 10.0], [1.0, 3.0])
    >>> k(2.5), k(99.0)
    (1.5, 3.0)
    >>> lf.potentials.Harmonic(k).energy([1.0], time=5.0)
    array(1.)
    """

    def __init__(self, times: npt.ArrayLike, values: npt.ArrayLike) -> None:
        self._times = checks.finite_array("times", times, ndim=(1,))
        self._values = checks.finite_array("values", values)
        if len(self._times) == 0 or (np.diff(self._times) <= 0).any():
            raise ValueError(f"times must be one or more increasing numbers; got {checks.shorten(times)}")
        if self._values.ndim == 0 or len(self._values) != len(self._times):
            raise ValueError(
                f"values must hold one for each of the {len(self._times)} times; got {checks.shorten(values)}"
            )
        self._times.flags.writeable = self._values.flags.writeable = False

    @property
    def times(self) -> FloatArray:
        """The given times, (k,) (read-only)."""
        return self._times

    @property
    def values(self) -> FloatArray:
        """The values at these times, (k, ...) (read-only)."""
        return self._values

    def __call__(self, time: npt.ArrayLike) -> Any:
        """The value at a time: a float (or an array); at an array of times one more axis, the first."""
        t = checks.finite_array("time", time)
        flat = self._values.reshape(len(self._times), -1)
        at = np.stack([np.interp(t, self._times, column) for column in flat.T], axis=-1)
        result = at.reshape(t.shape + self._values.shape[1:])
        return float(result) if result.ndim == 0 else result

    def delayed(self, time: float) -> Schedule:
        """The same, so much later."""
        return Schedule(self._times + checks.finite("time", time), self._values)

    def __repr__(self) -> str:
        return f"Schedule({checks.shorten(self._times)}, {checks.shorten(self._values)})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return np.array_equal(self._times, other._times) and np.array_equal(self._values, other._values)

    def __hash__(self) -> int:
        return hash((self._times.tobytes(), self._values.tobytes()))
