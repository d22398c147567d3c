"""What every potential has."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..memory import check_memory
from ..schedules import Schedule


class Potential:
    """A potential energy U(x): what the step loops and the user see of it.

    Nothing changes after construction: attributes cannot be set and arrays are read-only. A subclass says how
    energies and gradients of many points are computed (`_energies`, `_gradients`) and which backends can run it.

    Parameters
    ----------
    dim : int
        Number of components of x.
    default_start : (dim,) array
        Where particles start when the user gives no `initial`.
    arguments : dict
        The arguments of the constructor after checking: they become attributes, and `repr` shows them.
    **state
        Further attributes.
    """

    kind: ClassVar[str]
    """What messages call it; of compiled potentials, the name of the struct in C++."""
    backends: ClassVar[tuple[str, ...]]
    """Which backends can run it; "auto" is the first."""
    same_bits_everywhere: ClassVar[bool] = True
    """Whether its bits are the same on every instruction-set level."""
    has_energy: bool = True
    dim: int
    _arguments: tuple[str, ...]
    _default_start: FloatArray
    _parameters: FloatArray = np.empty(0)

    def __new__(cls, *args: Any, **kwargs: Any) -> Potential:
        """See whether numbers change in time: then it is a :class:`Driven` potential of this class."""
        from .driven import Driven, has_schedules

        if has_schedules(args, kwargs):
            return Driven.of(cls, args, kwargs)
        return super().__new__(cls)

    def __init__(self, *, dim: int, default_start: npt.ArrayLike, arguments: dict[str, Any], **state: Any) -> None:
        values = {**arguments, "dim": dim, **state}
        values["_arguments"] = tuple(arguments)
        values["_default_start"] = np.array(default_start, dtype=np.float64)
        if not np.isfinite(values["_default_start"]).all():
            raise beyond_range(self.kind, arguments)
        self.__setstate__(values)

    @property
    def type_name(self) -> str:
        """What it is made by."""
        return type(self).__name__

    @property
    def parameters(self) -> FloatArray:
        """The numbers that the code which computes U reads, in its order (read-only)."""
        return self._parameters

    @property
    def default_start(self) -> FloatArray:
        """Where particles start when no `initial` is given, shape (dim,) (read-only)."""
        return self._default_start

    @property
    def largest_curvature(self) -> float | None:
        """The largest second derivative of U in any direction, where it is the same everywhere; else None."""
        return None

    def is_alike(self, other: Potential) -> bool:
        """Whether it is the same but for the values of numbers: compiled code then serves both."""
        return (
            type(self) is type(other)
            and self.dim == other.dim
            and self.parameters.shape == other.parameters.shape
            and all(_alike(getattr(self, name), getattr(other, name)) for name in self._arguments)
        )

    def made_by(self) -> tuple[type, dict[str, Any]] | None:
        """What makes it once more, and the arguments; None where it has to be given again."""
        return type(self), {name: getattr(self, name) for name in self._arguments}

    def with_values(self, values: dict[str, Any]) -> Potential:
        """The same with other values of some arguments."""
        return type(self)(**{**{name: getattr(self, name) for name in self._arguments}, **values})

    def parameters_of(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """The parameters, (m, p), for m values of some arguments: (m, ...) arrays by name."""
        m = len(next(iter(values.values())))
        one = [self.with_values({name: array[i] for name, array in values.items()}) for i in range(m)]
        return np.array([potential.parameters for potential in one])

    def rows_of(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All arguments that are numbers, (m, ...) in the shape of each, with m values of some."""
        m = len(next(iter(values.values())))
        rows = {}
        for name in self._arguments:
            own = getattr(self, name)
            if isinstance(own, (float, np.ndarray)):
                shape = np.shape(own)
                row = values.get(name, np.broadcast_to(own, (m, *shape)))
                rows[name] = np.broadcast_to(
                    row.reshape(m, *(1,) * (len(shape) + 1 - row.ndim), *row.shape[1:]), (m, *shape)
                )
        return rows

    def energy(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return U(x), in single precision for a float32 array and in double precision for everything else.

        Many points are shared out among threads; the bits are those of each point alone.

        Parameters
        ----------
        x : (..., dim) array
            Positions.

        Returns
        -------
        (...) array
            float32 if x is float32, else float64.

        Raises
        ------
        TypeError
            x does not hold real numbers.
        ValueError
            The last axis of x does not have length `dim`, or the potential has no energy.
        """
        if not self.has_energy:
            raise ValueError(f"{self!r} has no energy: only its gradient was given")
        points = self._points(x)
        flat = points.reshape(-1, self.dim)
        if not len(flat):
            return np.empty(points.shape[:-1], points.dtype)
        return self._energies(flat).reshape(points.shape[:-1])

    def gradient(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return ∇U(x), in single precision for a float32 array and in double precision for everything else.

        Many points are shared out among threads; the bits are those of each point alone.

        Parameters
        ----------
        x : (..., dim) array
            Positions.

        Returns
        -------
        (..., dim) array
            float32 if x is float32, else float64.

        Raises
        ------
        TypeError
            x does not hold real numbers.
        ValueError
            The last axis of x does not have length `dim`.
        """
        points = self._points(x)
        flat = points.reshape(-1, self.dim)
        return self._gradients(flat).reshape(points.shape) if len(flat) else np.empty_like(points)

    def _energies(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """U at (n, dim) points, n > 0, in their precision."""
        raise NotImplementedError

    def _gradients(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """∇U at (n, dim) points, n > 0, in their precision."""
        raise NotImplementedError

    def _points(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the points as a C-contiguous float32 or float64 array."""
        points = checks.real_array("x", x)
        if points.ndim == 0 or points.shape[-1] != self.dim:
            hint = "; for many points in one dimension pass x[..., np.newaxis]" if self.dim == 1 else ""
            raise ValueError(f"x must have shape (..., {self.dim}) for {self.kind}, got {points.shape}{hint}")
        return np.ascontiguousarray(points, np.float32 if points.dtype.type is np.float32 else np.float64)

    # --- sums and multiples

    # so that NumPy's numbers leave a product with a potential to the potential
    __array_ufunc__ = None

    def __add__(self, other: object) -> Potential:
        return self._sum((self, other), (1.0, 1.0)) if isinstance(other, Potential) else NotImplemented

    def __radd__(self, other: object) -> Potential:
        # the built-in sum begins with 0
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __sub__(self, other: object) -> Potential:
        return self._sum((self, other), (1.0, -1.0)) if isinstance(other, Potential) else NotImplemented

    def __neg__(self) -> Potential:
        return self._sum((self,), (-1.0,))

    def __mul__(self, factor: object) -> Potential:
        return self._sum((self,), (factor,)) if isinstance(factor, (Real, Schedule)) else NotImplemented

    __rmul__ = __mul__

    def __truediv__(self, divisor: object) -> Potential:
        return self * (1.0 / float(divisor)) if isinstance(divisor, Real) else NotImplemented

    @staticmethod
    def _sum(terms: tuple[Potential, ...], weights: tuple[Any, ...]) -> Potential:
        from .sum import Sum

        return Sum(terms, weights)

    def __repr__(self) -> str:
        shown = (f"{name}={checks.shorten(getattr(self, name))}" for name in self._arguments)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed (setting {name!r}): make a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed (deleting {name!r}): make a new one")

    def __setstate__(self, state: dict[str, Any]) -> None:
        # also called when copying and unpickling, which forget that arrays are read-only
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
        self.__dict__.update(state)


def dimension(name: str, value: object, minimum: int = 1) -> int:
    """Return a number of components, before anything of that size is made."""
    number = checks.integer(name, value, minimum=minimum)
    check_size(f"{name}={number}", number)
    return number


def start_or_origin(start: npt.ArrayLike | None, dim: int) -> FloatArray:
    """Where particles start: a (dim,) array of the user's, or the origin."""
    return np.zeros(dim) if start is None else checks.finite_array("start", start, shape=(dim,))


def check_size(what: str, dim: int) -> None:
    """See that a start, parameters and the arrays in which they are checked fit into memory."""
    if dim > 2**20:  # asking the system takes longer than making a small potential
        check_memory(6 * 8 * dim, f"a potential with {what}", "use fewer components")


def beyond_range(kind: str, arguments: dict[str, Any]) -> ValueError:
    """The error for numbers that cannot be computed with."""
    shown = ", ".join(f"{name}={checks.shorten(value)}" for name, value in arguments.items())
    return ValueError(f"{kind}({shown}): its coefficients exceed the range of double precision")


def _alike(a: Any, b: Any) -> bool:
    """Of two arguments: numbers may differ, shapes and everything else may not."""
    if isinstance(a, (float, np.ndarray)) and isinstance(b, (float, np.ndarray)):
        return np.shape(a) == np.shape(b)
    return bool(a == b)
