"""A potential some of whose numbers change in time."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..schedules import Schedule
from .base import Potential


def has_schedules(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether some argument of a potential is a Schedule."""
    return any(isinstance(value, Schedule) for value in (*args, *kwargs.values()))


class Driven(Potential):
    """U(x, t): a potential with a :class:`langevin_fast.Schedule` in place of numbers.

    Made by giving a schedule to the constructor of another potential. At any time it is that potential with the
    numbers of that time.

    Parameters
    ----------
    first : Potential
        The potential with other numbers in place of those that change.
    schedules : dict
        What changes, by the name of the argument.

    Raises
    ------
    TypeError, ValueError
        An argument cannot change, or has a value at one of the given times that is not allowed.
    """

    _first: Potential
    _schedules: dict[str, Schedule]
    _curvature: float | None

    def __init__(self, first: Potential, schedules: dict[str, Schedule]) -> None:
        fixed = [name for name in schedules if name not in first._arguments]
        if fixed:
            raise TypeError(f"{fixed[0]} of {first.type_name} cannot change in time")
        # What is allowed at all given times is allowed in between: the sets that constructors allow are convex.
        curvatures = []
        for time in np.unique(np.concatenate([schedule.times for schedule in schedules.values()])):
            values = {name: schedule(time) for name, schedule in schedules.items()}
            curvatures.append(first.with_values(values).largest_curvature)
        super().__init__(
            dim=first.dim,
            default_start=first.default_start,
            arguments={name: schedules.get(name, getattr(first, name)) for name in first._arguments},
            kind=first.kind,
            backends=first.backends,
            has_energy=first.has_energy,
            _first=first,
            _schedules=schedules,
            _curvature=None if None in curvatures else max(curvatures),  # type: ignore[type-var]
        )

    @classmethod
    def of(cls, make: type[Potential], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Driven:
        """From a class and the arguments of its constructor, schedules among them."""
        named = _named(make, args, kwargs)
        schedules = {name: value for name, value in named.items() if isinstance(value, Schedule)}
        start = min(schedule.times[0] for schedule in schedules.values())
        return cls(make(**{**named, **{name: schedule(start) for name, schedule in schedules.items()}}), schedules)

    def with_values(self, values: dict[str, Any]) -> Potential:
        """See :meth:`Potential.with_values`; where no schedule is left, a potential that does not change."""
        together = {**self._schedules, **values}
        schedules = {name: value for name, value in together.items() if isinstance(value, Schedule)}
        fixed = {name: value for name, value in values.items() if not isinstance(value, Schedule)}
        first = self._first.with_values(fixed) if fixed else self._first
        return type(self)(first, schedules) if schedules else first

    def made_by(self) -> tuple[type, dict[str, Any]]:
        """See :meth:`Potential.made_by`."""
        made_by = self._first.made_by()
        assert made_by is not None  # what no file can hold is not driven
        return made_by[0], {**made_by[1], **self._schedules}

    @property
    def largest_curvature(self) -> float | None:
        """The largest at any time, where that is known."""
        return self._curvature

    @property
    def type_name(self) -> str:
        """Of the potential at any time."""
        return self._first.type_name

    @property
    def first(self) -> Potential:
        """The potential with other numbers in place of those that change."""
        return self._first

    @property
    def schedules(self) -> dict[str, Schedule]:
        """What changes, by the name of the argument."""
        return dict(self._schedules)

    def at(self, time: float) -> Potential:
        """The potential with the numbers of a time."""
        return self._first.with_values({name: s(time) for name, s in self.schedules.items()})

    def parameters_of(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """The parameters that the code reads, (m, p), for m values of each schedule."""
        return self._first.parameters_of(values)

    def delayed(self, time: float) -> Driven:
        """The same, so much later."""
        return type(self)(self._first, {name: schedule.delayed(time) for name, schedule in self._schedules.items()})

    def energy(self, x: npt.ArrayLike, time: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        """Return U(x, t) as :meth:`Potential.energy`.

        Parameters
        ----------
        x : (..., dim) array
        time : float or (k,) array
            Of all points; or of x[0], x[1], ..., as frames of a trajectory have it.

        Raises
        ------
        TypeError
            No time is given.
        """
        return self._at_times("energy", x, time)

    def gradient(self, x: npt.ArrayLike, time: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        """Return ∇U(x, t); see :meth:`energy`."""
        return self._at_times("gradient", x, time)

    def _at_times(self, what: str, x: npt.ArrayLike, time: npt.ArrayLike | None) -> npt.NDArray[Any]:
        if time is None:
            raise TypeError(f"{what} of a potential that changes in time needs time=: {self!r}")
        times = checks.finite_array("time", time, ndim=(0, 1))
        if times.ndim == 0:
            return np.asarray(getattr(self.at(float(times)), what)(x))
        points = self._points(x)
        if points.ndim < 2 or len(points) != len(times):
            raise ValueError(f"time has {len(times)} values; x must have as many rows, got {points.shape}")
        rows = [getattr(self.at(float(t)), what)(row) for t, row in zip(times, points, strict=True)]
        shape = points.shape if what == "gradient" else points.shape[:-1]
        return np.array(rows, points.dtype).reshape(shape)

    def __repr__(self) -> str:
        text = repr(self._first)
        for name, schedule in self.schedules.items():
            text = text.replace(f"{name}={checks.shorten(getattr(self._first, name))}", f"{name}={schedule!r}", 1)
        return text

    def __reduce__(self) -> Any:
        return type(self), (self._first, self._schedules)


def _named(make: type[Potential], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a constructor by name."""
    bound = inspect.signature(make).bind(*args, **kwargs)
    named = dict(bound.arguments)
    for parameter in bound.signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            named |= named.pop(parameter.name, {})
    return named
