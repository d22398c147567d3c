"""Sets of positions, for observers that ask where a particle is."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import ArrayLike

from . import checks

__all__ = ["Ball", "Box", "Half", "Region"]


class Region(ABC):
    """A set of positions."""

    @abstractmethod
    def formula(self, dim: int) -> str:
        """The condition for a position of `dim` components to be in it.

        Raises
        ------
        ValueError
            If it is a set in another number of dimensions.
        """


class Box(Region):
    """lo <= x <= hi, component by component.

    Parameters
    ----------
    lo, hi : float or sequence of float or None
        In length units; one number is that of all components. None, or infinity, leaves that side open.

    Raises
    ------
    ValueError
        If a lower end is not below the upper one.
    """

    def __init__(
        self, lo: float | list[float | None] | ArrayLike | None, hi: float | list[float | None] | ArrayLike | None
    ) -> None:
        self.lo = _ends("lo", lo, -np.inf)
        self.hi = _ends("hi", hi, np.inf)
        if 1 in (len(self.lo), len(self.hi)):  # one end for all components
            self.lo, self.hi = (np.array(a) for a in np.broadcast_arrays(self.lo, self.hi))
        if len(self.lo) != len(self.hi) or not (self.lo < self.hi).all():
            raise ValueError(f"lo={checks.shorten(lo)} and hi={checks.shorten(hi)} must be of one length, lo below hi")

    def formula(self, dim: int) -> str:
        """See :class:`Region`."""
        if len(self.lo) != 1:
            _check_dim(self, len(self.lo), dim)
        los, his = (np.broadcast_to(ends, dim).tolist() for ends in (self.lo, self.hi))
        parts = [f"x[{c}] >= {lo!r}" for c, lo in enumerate(los) if np.isfinite(lo)]
        parts += [f"x[{c}] <= {hi!r}" for c, hi in enumerate(his) if np.isfinite(hi)]
        return " and ".join(parts) or "x[0] <= 1e300"

    def __repr__(self) -> str:
        return f"Box({self.lo.tolist()}, {self.hi.tolist()})"


class Ball(Region):
    """The points within a radius of a center.

    Parameters
    ----------
    center : float or (dim,) array
    radius : float
        > 0.
    """

    def __init__(self, center: ArrayLike, radius: float) -> None:
        self.center = np.atleast_1d(checks.finite_array("center", center))
        self.radius = checks.positive("radius", radius)

    def formula(self, dim: int) -> str:
        """See :class:`Region`."""
        _check_dim(self, len(self.center), dim)
        squares = " + ".join(f"(x[{c}] - {at!r})**2" for c, at in enumerate(self.center.tolist()))
        return f"{squares} <= {self.radius**2!r}"

    def __repr__(self) -> str:
        return f"Ball({self.center.tolist()}, {self.radius!r})"


class Half(Region):
    """The half space normal · x >= offset.

    Parameters
    ----------
    normal : float or (dim,) array
        Not zero.
    offset : float
    """

    def __init__(self, normal: ArrayLike, offset: float) -> None:
        self.normal = np.atleast_1d(checks.finite_array("normal", normal))
        self.offset = checks.finite("offset", offset)
        if not self.normal.any():
            raise ValueError(f"normal={checks.shorten(normal)} must not be zero")

    def formula(self, dim: int) -> str:
        """See :class:`Region`."""
        _check_dim(self, len(self.normal), dim)
        terms = " + ".join(f"{n!r} * x[{c}]" for c, n in enumerate(self.normal.tolist()) if n)
        return f"{terms} >= {self.offset!r}"

    def __repr__(self) -> str:
        return f"Half({self.normal.tolist()}, {self.offset!r})"


def _ends(name: str, value: object, infinite: float) -> np.ndarray:
    values = value if isinstance(value, (list, tuple)) else np.atleast_1d(np.asarray(value, object)).tolist()
    array = np.array([infinite if v is None else v for v in values], dtype=object)
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold numbers or None; got {checks.shorten(value)}") from None
    if np.isnan(numbers).any():
        raise ValueError(f"{name}={checks.shorten(value)} must not hold NaN")
    return numbers


def _check_dim(region: Region, mine: int, dim: int) -> None:
    if mine != dim:
        raise ValueError(f"region={region!r} is one of {mine} dimensions; the potential has {dim}")
