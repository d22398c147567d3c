"""CFunction: a potential that other compiled code computes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy.typing as npt

from .. import checks
from .base import Potential, dimension, start_or_origin
from .compiled import CompiledPotential


class CFunction(CompiledPotential):
    """A potential given by C functions, which the C++ step loop calls for one point after the other.

    Parameters
    ----------
    gradient : int, numba.cfunc or ctypes function
        Address of ``void gradient(const double *x, double *g)``: reads x[0..dim) and writes ∇U to g[0..dim).
    energy : int, numba.cfunc or ctypes function, optional
        Address of ``double energy(const double *x)``. Without it there is no MALA.
    dim : int
        Number of components, >= 1.
    start : (dim,) array, optional
        Where particles start when no `initial` is given. Default: the origin.

    Notes
    -----
    The functions are called from several threads at once, without the GIL, with double-precision numbers also in
    single-precision runs. They must not touch Python objects. An address is believed: a wrong one crashes the process.

    Raises
    ------
    TypeError
        A function is neither an address nor an object that has one.
    ValueError
        An argument is out of range.
    """

    kind: ClassVar[str] = "PointFunctions"
    backends: ClassVar[tuple[str, ...]] = ("cpp",)
    _addresses: dict[str, int]
    _owners: tuple[Any, ...]

    def __init__(self, *, gradient: Any, energy: Any = None, dim: int, start: npt.ArrayLike | None = None) -> None:
        dim = dimension("dim", dim)
        table = {"point_gradient": _address("gradient", gradient)}
        if energy is not None:
            table["point_energy"] = _address("energy", energy)
        super().__init__(
            dim=dim,
            parameters=[],
            default_start=start_or_origin(start, dim),
            arguments={"dim": dim},
            _addresses=table,
            _owners=(gradient, energy),  # of the machine code
        )

    @property
    def has_energy(self) -> bool:  # type: ignore[override]
        """Whether U is known, and not only its gradient."""
        return "point_energy" in self._addresses

    def made_by(self) -> None:
        """See :meth:`Potential.made_by`."""
        return None

    def addresses(self, dtype: Any) -> dict[str, int]:
        """See :meth:`CompiledPotential.addresses`."""
        return self._addresses

    def is_alike(self, other: Potential) -> bool:
        """See :meth:`Potential.is_alike`."""
        return isinstance(other, CFunction) and super().is_alike(other) and self._addresses == other._addresses

    def __reduce__(self) -> Any:
        raise TypeError(f"{self!r} cannot be pickled or copied: an address means nothing in another process")


def _address(name: str, function: Any) -> int:
    """The address of a compiled function."""
    import ctypes

    if isinstance(function, int) and not isinstance(function, bool):
        address = function
    elif isinstance(getattr(function, "address", None), int):  # numba.cfunc
        address = function.address
    elif isinstance(function, ctypes._CFuncPtr):  # type: ignore[attr-defined]
        address = ctypes.cast(function, ctypes.c_void_p).value or 0
    else:
        raise TypeError(
            f"{name} must be an address, a numba.cfunc or a ctypes function; got {checks.shorten(function)}"
        )
    if address <= 0:
        raise ValueError(f"{name}={function!r} is not an address: it must be > 0")
    return address
