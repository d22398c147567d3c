"""Batch: a potential given by functions of all particles at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .. import checks
from .base import Potential, dimension, start_or_origin


class Batch(Potential):
    """A potential given by Python functions of all particles at once: NumPy, JAX, PyTorch, another program.

    Each step calls the gradient once for the whole crowd; noise, updates and Metropolis tests run in compiled code
    around the call.

    Parameters
    ----------
    gradient : callable
        Maps positions, an (n, dim) array, to ∇U, (n, dim).
    energy : callable, optional
        Maps positions to U, (n,). Without it there are no energies and no MALA.
    energy_gradient : callable, optional
        Maps positions to the pair (U, ∇U), where both together cost less; MALA uses it.
    dim : int
        Number of components, >= 1.
    start : (dim,) array, optional
        Where particles start when no `initial` is given. Default: the origin.
    arrays : {"numpy", "jax", "torch"}
        What the functions are given. CPU arrays pass without copies, where the library can share them. Results may be
        arrays of any of the three, whatever this says. With "jax" the functions compute in float64 in double-precision
        runs, whatever JAX's own default is.

    Notes
    -----
    The functions are given the precision of the run (float32 for single), in read-only NumPy arrays that are valid
    during the call only. An exception that they raise reaches the caller unchanged, and the simulation then stands at
    its last complete step.

    Raises
    ------
    TypeError, ValueError
        An argument is not what it should be. While running: what a function returns has the wrong shape or type, or
        less than the precision of the run.
    ImportError
        While running: the library that `arrays` names is not installed.

    Examples
    --------
    >>> Batch(gradient=lambda x: x**3 - x, energy=lambda x: (x**4 / 4 - x**2 / 2).sum(axis=1), dim=2).dim
    2
    """

    kind: ClassVar[str] = "Batch"
    backends: ClassVar[tuple[str, ...]] = ("batch",)
    _functions: tuple[Callable[..., Any], Callable[..., Any] | None, Callable[..., Any] | None]
    _call: Callable[..., Any]
    _arrays: str

    def __init__(
        self,
        *,
        gradient: Callable[[Any], Any],
        energy: Callable[[Any], Any] | None = None,
        energy_gradient: Callable[[Any], Any] | None = None,
        dim: int,
        start: npt.ArrayLike | None = None,
        arrays: str = "numpy",
    ) -> None:
        dim = dimension("dim", dim)
        for name, function in (("gradient", gradient), ("energy", energy), ("energy_gradient", energy_gradient)):
            if not callable(function) and not (function is None and name != "gradient"):
                raise TypeError(f"{name} must be callable; got {checks.shorten(function)}")
        if energy_gradient is not None and energy is None:
            raise ValueError("energy_gradient needs energy beside it")
        checks.one_of("arrays", arrays, tuple(_CALLS))
        super().__init__(
            dim=dim,
            default_start=start_or_origin(start, dim),
            arguments={"dim": dim},
            _functions=(gradient, energy, energy_gradient),
            _call=_CALLS[arrays],
            _arrays=arrays,
        )

    def made_by(self) -> tuple[type, dict[str, Any]]:
        """See :meth:`Potential.made_by`."""
        names = "gradient", "energy", "energy_gradient"
        functions = dict(zip(names, self._functions, strict=True))
        return Batch, {**functions, "dim": self.dim, "start": self.default_start, "arrays": self._arrays}

    @property
    def has_energy(self) -> bool:  # type: ignore[override]
        """Whether U is known, and not only its gradient."""
        return self._functions[1] is not None

    def _energies(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self.batch_energy(points)

    def _gradients(self, points: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self.batch_gradient(points)

    def batch_gradient(self, x: np.ndarray) -> np.ndarray:
        """∇U at (n, dim) positions, as a NumPy array of their type."""
        return _array("gradient", self._call(self._functions[0], _read_only(x)), x.shape, x.dtype)

    def batch_energy(self, x: np.ndarray) -> np.ndarray:
        """U at (n, dim) positions."""
        return _array("energy", self._call(self._functions[1], _read_only(x)), x.shape[:1], x.dtype)

    def batch_energy_gradient(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both."""
        both = self._functions[2]
        if both is None:
            return self.batch_energy(x), self.batch_gradient(x)
        pair = self._call(both, _read_only(x))
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"energy_gradient must return the pair (energy, gradient); got {checks.shorten(pair)}")
        energy = _array("energy_gradient's energy", pair[0], x.shape[:1], x.dtype)
        return energy, _array("energy_gradient's gradient", pair[1], x.shape, x.dtype)


def _read_only(x: np.ndarray) -> np.ndarray:
    view = x.view()
    view.flags.writeable = False
    return view


def _array(name: str, result: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """What a function returned, as a C-contiguous array of the run's precision; no copy where it is one."""
    if hasattr(result, "detach"):  # a tensor of PyTorch
        result = result.detach().cpu()
    if isinstance(result, np.ma.MaskedArray):
        raise TypeError(f"{name} must return an array without a mask; it returned a masked array")
    array = np.asarray(result)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must return real numbers; got {checks.shorten(result)} of dtype {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must return an array of shape {shape}; it returned {array.shape}")
    if array.dtype.kind == "f" and array.dtype.itemsize < dtype.itemsize:
        raise TypeError(
            f"{name} returned {array.dtype} where positions are {dtype}: compute in the precision of x (JAX does with "
            'arrays="jax"; of a PyTorch model, model.double()), or run with precision="single"'
        )
    return np.ascontiguousarray(array, dtype)


def _call_jax(function: Callable[[Any], Any], x: np.ndarray) -> Any:
    try:
        import jax
    except ImportError:
        raise ImportError('arrays="jax" needs JAX, which is not installed: pip install "langevin-fast[jax]"') from None

    # for this call only: the switch is global otherwise
    with jax.enable_x64(x.dtype == np.float64):
        return jax.tree_util.tree_map(np.asarray, function(jax.numpy.asarray(x)))


def _call_torch(function: Callable[[Any], Any], x: np.ndarray) -> Any:
    try:
        import torch
    except ImportError:
        raise ImportError('arrays="torch" needs PyTorch, which is not installed: pip install torch') from None

    # PyTorch has no read-only tensors, and warns: this one is a copy, hence harmless
    return function(torch.from_numpy(x.copy()))


_CALLS: dict[str, Callable[..., Any]] = {
    "numpy": lambda function, x: function(x),
    "jax": _call_jax,
    "torch": _call_torch,
}
