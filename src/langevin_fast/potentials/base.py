"""What every built-in potential has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray


class Functions(NamedTuple):
    """U and its gradient in plain Python, for one particle.

    x and g have length dim, p holds the parameters. x may hold numbers, NumPy arrays (a value for each particle) or
    packs of particles, so the functions do arithmetic, call :mod:`langevin_fast.math` and do not branch on x.

    Attributes
    ----------
    gradient : callable
        ``gradient(x, g, p)`` writes ∇U to g.
    energy : callable or None
        ``energy(x, p)`` returns U.
    energy_gradient : callable or None
        ``energy_gradient(x, g, p)`` does both, where that saves work.
    """

    gradient: Callable[..., None]
    energy: Callable[..., Any] | None = None
    energy_gradient: Callable[..., Any] | None = None


class Potential:
    """A potential energy U(x), evaluated by the compiled code.

    A subclass checks its arguments, lays out `parameters` as the C++ header of the same name reads them, and
    passes both to ``Potential.__init__``. Nothing changes afterwards: attributes cannot be set and arrays are
    read-only.

    `parameters` and `default_start` are made of +, -, *, / and sqrt in double, and of this package's own
    logarithm and matrix inverse: NumPy's exp, log and linear algebra give different bits on different
    processors.

    Parameters
    ----------
    dim : int
        Number of components of x.
    parameters : (n,) array
        The numbers of the C++ header, in its order.
    default_start : (dim,) array
        Where particles start when the user gives no `initial`.
    arguments : dict
        The arguments of the constructor after checking: they become attributes, and `repr` shows them.
    infinite_parameters : bool
        Whether infinity among the parameters is meant, and not the overflow of a derived number.
    """

    kind: ClassVar[str]
    """Name of the struct in C++."""
    backends: ClassVar[tuple[str, ...]] = ("cpp", "numba", "cuda")
    """Which backends can run it; "auto" is the first."""
    has_energy: bool = True
    functions: Functions
    """U and its gradient in plain Python."""
    dim: int
    _arguments: tuple[str, ...]
    _parameters: FloatArray
    _default_start: FloatArray

    def __init__(
        self,
        *,
        dim: int,
        parameters: npt.ArrayLike,
        default_start: npt.ArrayLike,
        arguments: dict[str, Any],
        infinite_parameters: bool = False,
    ) -> None:
        state = dict(arguments)
        state["dim"] = dim
        state["_arguments"] = tuple(arguments)
        state["_parameters"] = np.array(parameters, dtype=np.float64)
        state["_default_start"] = np.array(default_start, dtype=np.float64)
        overflow = not infinite_parameters and not np.isfinite(state["_parameters"]).all()
        if overflow or not np.isfinite(state["_default_start"]).all():
            shown = ", ".join(f"{name}={checks.shorten(value)}" for name, value in arguments.items())
            raise ValueError(f"{self.kind}({shown}): its coefficients exceed the range of double precision")
        self.__setstate__(state)

    @property
    def parameters(self) -> FloatArray:
        """The numbers that the compiled code reads, in the order of its header (read-only)."""
        return self._parameters

    @property
    def default_start(self) -> FloatArray:
        """Where particles start when no `initial` is given, shape (dim,) (read-only)."""
        return self._default_start

    def addresses(self, dtype: Any) -> dict[str, int]:
        """Addresses of the functions that the C++ code is to call, for potentials that are compiled elsewhere."""
        return {}

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
        from .. import _core

        if not self.has_energy:
            raise ValueError(f"{self!r} has no energy: only its gradient was given")
        points, parameters = self._prepare(x)
        flat = points.reshape(-1, self.dim)
        if not len(flat):
            return np.empty(points.shape[:-1], points.dtype)
        return np.asarray(
            _core.energy(self.kind, self.dim, parameters, flat, self.addresses(points.dtype.type))
        ).reshape(points.shape[:-1])

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
        from .. import _core

        points, parameters = self._prepare(x)
        flat = points.reshape(-1, self.dim)
        if not len(flat):
            return np.empty_like(points)
        return np.asarray(
            _core.gradient(self.kind, self.dim, parameters, flat, self.addresses(points.dtype.type))
        ).reshape(points.shape)

    def _prepare(self, x: npt.ArrayLike) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the points as a C-contiguous float32 or float64 array, and the parameters in the same precision."""
        try:
            points = np.asarray(x)
        except ValueError as error:
            raise ValueError(f"x must be a rectangular array of numbers, got {checks.shorten(x)}") from error
        if points.dtype.kind not in "iuf":
            raise TypeError(f"x must hold real numbers, got {checks.shorten(x)} of dtype {points.dtype}")
        if points.ndim == 0 or points.shape[-1] != self.dim:
            hint = "; for many points in one dimension pass x[..., np.newaxis]" if self.dim == 1 else ""
            raise ValueError(f"x must have shape (..., {self.dim}) for {self.kind}, got {points.shape}{hint}")
        dtype = np.float32 if points.dtype.type is np.float32 else np.float64
        return np.ascontiguousarray(points, dtype), self.parameters.astype(dtype, copy=False)

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


def inverse_square(name: str, value: float) -> float:
    """Return 1/value**2 of an argument that was found to be positive."""
    square = value * value
    if square == 0.0 or not math.isfinite(square) or not math.isfinite(1.0 / square):
        raise ValueError(f"{name} must have a square within the range of double precision, got {value!r}")
    return 1.0 / square


def inverse_covariance(name: str, covariance: FloatArray) -> tuple[FloatArray, float]:
    """Return the inverse and the logarithm of the determinant of a covariance matrix."""
    from .. import _core

    try:
        inverse, log_determinant = _core.spd_inverse(covariance)
    except ValueError as error:
        raise ValueError(
            f"{name} must be positive definite (every eigenvalue > 0), got {checks.shorten(covariance)}"
        ) from error
    return inverse, log_determinant
