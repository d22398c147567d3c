"""Boxes and walls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import checks

__all__ = ["Boundary", "Periodic", "Reflecting", "Walls"]

# As in cpp/kernels/problem.hpp.
_NONE, _PERIODIC, _LOWER, _UPPER, _BOTH = range(5)


class Boundary:
    """Base of :class:`Periodic` and :class:`Reflecting`.

    Parameters
    ----------
    lo, hi : float or sequence of float or None
        The ends of each component, in length units; one number is that of all. None leaves a component free, where it
        stands on both sides.

    Raises
    ------
    TypeError, ValueError
        If they are not finite numbers or None, or lo is not below hi.
    """

    def __init__(self, lo: Any, hi: Any) -> None:
        self.lo, self.hi = _ends("lo", lo), _ends("hi", hi)
        if len(self.lo) != len(self.hi) and 1 not in (len(self.lo), len(self.hi)):
            raise ValueError(f"lo={checks.shorten(lo)} and hi={checks.shorten(hi)} must have one length")
        for a, b in zip(*np.broadcast_arrays(np.array(self.lo, object), np.array(self.hi, object)), strict=True):
            self._check(a, b)

    def _check(self, lo: float | None, hi: float | None) -> None:
        if lo is not None and hi is not None and not lo < hi:
            raise ValueError(f"lo={lo!r} must be below hi={hi!r}")

    def kind(self, lo: float | None, hi: float | None) -> int:
        """What is at the ends of a component."""
        raise NotImplementedError

    def kinds(self, dim: int) -> list[tuple[int, float, float]]:
        """What is at the ends of each component, and where these are.

        Raises
        ------
        ValueError
            If they were given for another number of components.
        """
        n = max(len(self.lo), len(self.hi))
        if n not in (1, dim):
            raise ValueError(f"boundary={self!r} has {n} components; the potential has {dim}")
        pairs = [(self.lo[c % len(self.lo)], self.hi[c % len(self.hi)]) for c in range(dim)]
        return [(self.kind(a, b), -np.inf if a is None else a, np.inf if b is None else b) for a, b in pairs]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_plain(self.lo)}, {_plain(self.hi)})"


class Periodic(Boundary):
    """What leaves the box on one side comes in on the other.

    ``positions`` lie in [lo, hi); ``unwrapped_positions`` count the crossings. U is evaluated in the box. It should be
    periodic itself: a jump at the border gives no force.

    Parameters
    ----------
    lo, hi : float or sequence of float or None
        The ends of each component, in length units; one number is that of all. None on both sides leaves a component
        free.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> washboard = lf.potentials.Expression("-cos(x)", variables="x")
    >>> run = lf.sample(washboard, lf.ULA(0.01), n_steps=1000, n_particles=10, seed=1,
    ...                 boundary=lf.Periodic(-3.141592653589793, 3.141592653589793))
    >>> bool((abs(run.positions) <= 3.15).all()), run.unwrapped_positions.shape
    (True, (1000, 10, 1))
    """

    def _check(self, lo: float | None, hi: float | None) -> None:
        if (lo is None) != (hi is None):
            raise ValueError(f"lo={lo!r} and hi={hi!r}: a periodic component has two ends, a free one none")
        super()._check(lo, hi)

    def kind(self, lo: float | None, hi: float | None) -> int:
        """See :class:`Boundary`."""
        return _NONE if lo is None else _PERIODIC


class Reflecting(Boundary):
    """Walls at which particles are reflected.

    The motion is that in U continued evenly beyond the walls, and what is shown is its image between them: velocities
    change their sign there. So every scheme keeps its order, and MALA is exact.

    Parameters
    ----------
    lo, hi : float or sequence of float or None
        The walls of each component, in length units; one number is that of all. None: no wall on that side.
    """

    def kind(self, lo: float | None, hi: float | None) -> int:
        """See :class:`Boundary`."""
        if lo is None:
            return _NONE if hi is None else _UPPER
        return _LOWER if hi is None else _BOTH


class Walls:
    """The boundary of a run, component by component: what the kernels read, and their twin in NumPy.

    Parameters
    ----------
    boundary : Boundary or sequence of Boundary
        Several, where each is that of other components.
    dim : int
    dtype : type

    Raises
    ------
    TypeError, ValueError
        If it is something else, or two of them are at one component.
    """

    def __init__(self, boundary: Boundary | Sequence[Boundary], dim: int, dtype: Any) -> None:
        given = boundary if isinstance(boundary, (list, tuple)) else [boundary]
        several = [one for one in given if isinstance(one, Boundary)]
        if not several or len(several) < len(given):
            kinds_of = "lf.Periodic(lo, hi) or lf.Reflecting(lo, hi), or several"
            raise TypeError(f"boundary must be {kinds_of}; got {checks.shorten(boundary)}")
        kinds: list[tuple[int, float, float]] = [(_NONE, -np.inf, np.inf)] * dim
        for one in several:
            for c, kind in enumerate(one.kinds(dim)):
                if kind[0] != _NONE:
                    if kinds[c][0] != _NONE:
                        raise ValueError(f"boundary={checks.shorten(boundary)}: component {c} has two")
                    kinds[c] = kind
        self.boundary = boundary
        self.kinds = np.array([kind for kind, _, _ in kinds], np.int64)
        numbers = np.array([_numbers(*kind) for kind in kinds], np.float64)
        with np.errstate(over="ignore"):
            self.numbers = numbers.astype(dtype)
        ends = self.numbers[:, :2]
        if not np.array_equal(np.isinf(ends), np.isinf(numbers[:, :2])) or (ends[:, 0] >= ends[:, 1]).any():
            raise ValueError(f"boundary={boundary!r}: the precision of the run does not hold its ends apart")
        if not np.isfinite(self.numbers[:, 3:]).all():
            raise ValueError(f"boundary={boundary!r} is too wide for the precision of the run")
        self.kinds.flags.writeable = self.numbers.flags.writeable = False

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.kinds.flags.writeable = self.numbers.flags.writeable = False

    def fold(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (..., dim) in the box, and the sign that velocities and gradients have there."""
        y, sign = x.copy(), np.ones_like(x)
        one = x.dtype.type(1)
        for c, wall in enumerate(self.kinds.tolist()):
            if wall == _NONE:
                continue
            lo, hi, origin, period, inverse = self.numbers[c]
            given = x[..., c]
            with np.errstate(invalid="ignore", over="ignore"):
                z = given - origin
                if wall in (_PERIODIC, _BOTH):
                    z = z - period * np.rint(z * inverse)
                if wall == _PERIODIC:
                    folded = origin + z
                    folded = np.where((folded < lo) | (folded >= hi), lo, folded)
                    y[..., c] = np.where((given >= lo) & (given < hi), given, folded)
                    continue
                turned = np.where(z > 0 if wall == _UPPER else z < 0, -one, one)
                folded = origin + z * turned
                if wall == _BOTH:
                    folded = np.where(folded > hi, hi, folded)
                outside = (given < lo) | (given > hi)
                sign[..., c] = np.where(outside, turned, one)
                y[..., c] = np.where(outside, folded, given)
        return y, sign

    def shown(self, x: np.ndarray, v: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """Positions and velocities in the box."""
        y, sign = self.fold(x)
        return y, None if v is None else v * sign

    def unwrapped(self, x: np.ndarray) -> np.ndarray:
        """Positions whose periodic components count the crossings."""
        return np.where(self.kinds == _PERIODIC, x, self.fold(x)[0])

    @property
    def periods(self) -> list[float | None]:
        """The length of the box along each component that is periodic."""
        return [
            period if k == _PERIODIC else None
            for k, period in zip(self.kinds, self.numbers[:, 3].tolist(), strict=True)
        ]

    def check(self, x: np.ndarray) -> None:
        """Raise ValueError where positions (n, dim) are not in the box."""
        lo, hi = self.numbers[:, 0], self.numbers[:, 1]
        outside = (x < lo) | (x > hi) | ((x == hi) & (self.kinds == _PERIODIC))
        if outside.any():
            particle = int(np.flatnonzero(outside.any(axis=1))[0])
            raise ValueError(
                f"initial={x[particle].tolist()} (particle {particle}) is not within boundary={self.boundary!r}"
            )


def _numbers(kind: int, lo: float, hi: float) -> tuple[float, ...]:
    """Lower and upper end, the origin from which is folded, the period and one over it."""
    if kind == _PERIODIC:
        return lo, hi, lo + (hi - lo) / 2, hi - lo, 1 / (hi - lo)
    if kind == _BOTH:
        return lo, hi, lo, 2 * (hi - lo), 1 / (2 * (hi - lo))
    return lo, hi, lo if kind == _LOWER else hi if kind == _UPPER else 0.0, 0.0, 0.0


def _ends(name: str, value: Any) -> tuple[float | None, ...]:
    values = np.atleast_1d(value).tolist() if isinstance(value, np.ndarray) else value
    values = values if isinstance(values, (list, tuple)) else [values]
    if not len(values):
        raise ValueError(f"{name} is empty")
    return tuple(None if v is None else checks.finite(name, v) for v in values)


def _plain(ends: tuple[float | None, ...]) -> Any:
    return ends[0] if len(ends) == 1 else list(ends)
