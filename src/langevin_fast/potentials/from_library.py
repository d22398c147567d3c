"""Potentials whose gradient another library finds by automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from .. import checks
from .batch import Batch


def from_jax(
    *,
    energy: Callable[[Any], Any] | None = None,
    log_density: Callable[[Any], Any] | None = None,
    dim: int,
    start: npt.ArrayLike | None = None,
) -> Batch:
    """A potential from a JAX function of one point; JAX differentiates, vectorises and compiles it.

    Parameters
    ----------
    energy : callable
        Maps a point, a (dim,) JAX array, to U. Exactly one of `energy` and `log_density` is to be given.
    log_density : callable
        Maps a point to log p; U = -log p, so that p is sampled at kT = 1.
    dim : int
        Number of components, >= 1.
    start : (dim,) array, optional
        Where particles start when no `initial` is given. Default: the origin.

    Returns
    -------
    Batch
        Runs in double precision compute in float64, whatever JAX's own default is.

    Raises
    ------
    ImportError
        JAX is not installed (extra ``jax``).
    TypeError
        Not exactly one function was given.
    """
    function, sign = _one_function(energy, log_density)
    try:
        import jax
    except ImportError:
        raise ImportError("from_jax needs JAX, which is not installed: pip install 'langevin-fast[jax]'") from None

    def potential(x: Any) -> Any:
        return sign * function(x)

    value = jax.jit(jax.vmap(potential))
    gradient = jax.jit(jax.vmap(jax.grad(potential)))
    both = jax.jit(jax.vmap(jax.value_and_grad(potential)))

    return Batch(gradient=gradient, energy=value, energy_gradient=both, dim=dim, start=start, arrays="jax")


def from_torch(
    *,
    energy: Callable[[Any], Any] | None = None,
    log_density: Callable[[Any], Any] | None = None,
    dim: int,
    start: npt.ArrayLike | None = None,
) -> Batch:
    """A potential from a PyTorch function of all points; autograd differentiates it.

    Parameters
    ----------
    energy : callable
        Maps points, an (n, dim) CPU tensor, to U, (n,); each value may depend on its own row only. Exactly one of
        `energy` and `log_density` is to be given.
    log_density : callable
        Maps points to log p; U = -log p, so that p is sampled at kT = 1.
    dim : int
        Number of components, >= 1.
    start : (dim,) array, optional
        Where particles start when no `initial` is given. Default: the origin.

    Returns
    -------
    Batch

    Raises
    ------
    ImportError
        PyTorch is not installed.
    TypeError
        Not exactly one function was given.
    """
    function, sign = _one_function(energy, log_density)
    try:
        import torch
    except ImportError:
        raise ImportError("from_torch needs PyTorch, which is not installed: pip install torch") from None

    def both(x: Any) -> tuple[Any, Any]:
        points = x.requires_grad_(True)
        u = sign * function(points)
        if u.shape != points.shape[:1]:
            name = "energy" if energy is not None else "log_density"
            raise ValueError(f"{name} must return a tensor of shape {tuple(points.shape[:1])}; got {tuple(u.shape)}")
        (gradient,) = torch.autograd.grad(u.sum(), points)
        return u.detach(), gradient

    def value(x: Any) -> Any:
        with torch.no_grad():
            return sign * function(x)

    return Batch(
        gradient=lambda x: both(x)[1], energy=value, energy_gradient=both, dim=dim, start=start, arrays="torch"
    )


def _one_function(energy: Any, log_density: Any) -> tuple[Callable[[Any], Any], float]:
    """The function and the sign that makes it an energy."""
    if (energy is None) == (log_density is None):
        raise TypeError("give exactly one of energy and log_density")
    name, function, sign = ("energy", energy, 1.0) if energy is not None else ("log_density", log_density, -1.0)
    if not callable(function):
        raise TypeError(f"{name} must be callable; got {checks.shorten(function)}")
    return function, sign
