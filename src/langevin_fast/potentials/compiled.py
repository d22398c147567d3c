"""Potentials whose functions are machine code: laid-out parameters, and a C++ header or functions by address."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from .base import Potential, beyond_range


class CompiledPotential(Potential):
    """A potential that the C++ step loop evaluates.

    A subclass checks its arguments, lays out `parameters` as the C++ header of the same name reads them, and passes
    both to ``CompiledPotential.__init__``.

    `parameters` and `default_start` are made of +, -, *, / and sqrt in double, and of this package's own logarithm
    and matrix inverse: NumPy's exp, log and linear algebra give different bits on different processors.

    Parameters
    ----------
    parameters : (n,) array
        The numbers of the C++ header, in its order.
    infinite_parameters : bool
        Whether infinity among the parameters is meant, and not the overflow of a derived number.
    dim, default_start, arguments, **state
        As for :class:`Potential`.
    """

    backends: ClassVar[tuple[str, ...]] = ("cpp", "numba", "cuda")
    functions: Functions
    """U and its gradient in plain Python: the twin of the header."""

    def __init__(
        self,
        *,
        dim: int,
        parameters: npt.ArrayLike,
        default_start: npt.ArrayLike,
        arguments: dict[str, Any],
        infinite_parameters: bool = False,
        **state: Any,
    ) -> None:
        numbers = np.array(parameters, dtype=np.float64)
        if not infinite_parameters and not np.isfinite(numbers).all():
            raise beyond_range(self.kind, arguments)
        super().__init__(dim=dim, default_start=default_start, arguments=arguments, _parameters=numbers, **state)

    def addresses(self, dtype: Any) -> dict[str, int]:
        """Addresses of the functions that the C++ code is to call, for potentials that are compiled elsewhere."""
        return {}

    def is_alike(self, other: Potential) -> bool:
        """See :meth:`Potential.is_alike`."""
        functions = getattr(self, "functions", None), getattr(other, "functions", None)
        return super().is_alike(other) and functions[0] == functions[1]

    def _energies(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        from .. import _core

        return _core.energy(self.kind, self.dim, self._cast(points), points, self.addresses(points.dtype.type))

    def _gradients(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        from .. import _core

        return _core.gradient(self.kind, self.dim, self._cast(points), points, self.addresses(points.dtype.type))

    def _cast(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The parameters in the precision of the points."""
        return self.parameters.astype(points.dtype, copy=False)


class FunctionPotential(CompiledPotential):
    """A potential whose functions are plain Python.

    A subclass passes ``functions`` (a :class:`Functions`) among the state.
    """

    kind: ClassVar[str] = "GroupFunctions"
    backends: ClassVar[tuple[str, ...]] = ("numba", "cuda")
    functions: Functions

    @property
    def has_energy(self) -> bool:  # type: ignore[override]
        """Whether U is known, and not only its gradient."""
        return self.functions.energy is not None

    @classmethod
    def _check_parameter_names(cls, names: Iterable[str]) -> None:
        """See that parameters, which become attributes, hide no other attribute."""
        for name in names:
            if name.startswith("_") or hasattr(cls, name) or any(name in c.__annotations__ for c in cls.__mro__[:-1]):
                raise ValueError(f"{name} cannot be the name of a parameter: potentials have an attribute of that name")

    def addresses(self, dtype: Any) -> dict[str, int]:
        """See :meth:`CompiledPotential.addresses`; compiles at the first call."""
        from ..jit import groups

        table, keep = groups.addresses(
            self.functions, self.dim, len(self.parameters), dtype, energy=self.has_energy, single=False
        )
        self.__dict__.setdefault("_code", {})[np.dtype(dtype).name] = keep
        return table


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
        inverse, diagonal = _core.spd_inverse(covariance)
    except ValueError as error:
        raise ValueError(
            f"{name} must be positive definite (every eigenvalue > 0), got {checks.shorten(covariance)}"
        ) from error
    log_determinant = 0.0
    for logarithm in _core.log(diagonal).tolist():
        log_determinant += 2.0 * logarithm
    return inverse, log_determinant
