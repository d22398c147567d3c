"""Conditions that say that a component lies in an interval: those need no compiled function."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..backends.problem import Source
from ..regions import Box, Half, Region

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_NAME = r"[^\W\d]\w*(?:\s*\[\s*\d+\s*\])?"
_NAMED = rf"(?:{_NAME}|\(\s*{_NAME}\s*\))"
_ONE_SIDED = re.compile(rf"\s*({_NAMED})\s*(<=?|>=?)\s*({_NUMBER})\s*")
_TWO_SIDED = re.compile(rf"\s*({_NUMBER})\s*(<=?)\s*({_NAMED})\s*(<=?)\s*({_NUMBER})\s*")


def interval(given: str | Region, components: dict[str, int], dim: int, dtype: Any) -> Source | None:
    """A condition as an interval of a component; None if it is something else.

    Parameters
    ----------
    given : str or Region
    components : dict
        The number of each component by its names.
    dim : int
    dtype : type
        The precision of the run, in which positions and numbers are compared.
    """
    found = _of_region(given, dim, dtype) if isinstance(given, Region) else _of_formula(given, components, dtype)
    if found is None:
        return None
    component, lo, hi = found
    return Source("interval", component, np.array([[lo, hi]]))


def _of_region(region: Region, dim: int, dtype: Any) -> tuple[int, float, float] | None:
    if isinstance(region, Box):
        sides = np.flatnonzero(np.isfinite(region.lo) | np.isfinite(region.hi))
        if len(sides) != 1 or len(region.lo) != dim:  # one end for all components is a condition for each of them
            return None
        c = int(sides[0])
        return c, _beyond(region.lo[c], -1, dtype), _beyond(region.hi[c], 1, dtype)
    if isinstance(region, Half) and np.count_nonzero(region.normal) == 1:
        c = int(np.flatnonzero(region.normal)[0])
        if region.normal[c] == 1.0:
            return c, _beyond(region.offset, -1, dtype), np.inf
        if region.normal[c] == -1.0:
            return c, -np.inf, _beyond(-region.offset, 1, dtype)
    return None


def _of_formula(text: str, components: dict[str, int], dtype: Any) -> tuple[int, float, float] | None:
    if match := _ONE_SIDED.fullmatch(text):
        name, sign, number = match.groups()
        lower, upper = (number, None) if sign[0] == ">" else (None, number)
        with_lower = with_upper = len(sign) == 2
    elif match := _TWO_SIDED.fullmatch(text):
        lower, first, name, second, upper = match.groups()
        with_lower, with_upper = len(first) == 2, len(second) == 2
    else:
        return None
    component = components.get("".join(name.split()).strip("()"))
    if component is None:
        return None
    ends = [-np.inf, np.inf]
    for i, (number, included) in enumerate(((lower, with_lower), (upper, with_upper))):
        if number is not None:
            end = float(dtype(float(number)))
            ends[i] = _beyond(end, 2 * i - 1, dtype) if included else end
    return component, ends[0], ends[1]


def _beyond(end: float, side: int, dtype: Any) -> float:
    """The number next to an end, so that the end itself lies within."""
    return float(np.nextafter(dtype(end), dtype(side * np.inf)))
