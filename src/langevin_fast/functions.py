"""What a potential written in Python consists of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


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


class Room:
    """Makes room for one more gradient, for functions that compute several.

    As it is, for NumPy arrays; compilers put their own in its place, which takes nothing from the heap.

    Parameters
    ----------
    dim : int
        Number of components.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def __call__(self, g: np.ndarray) -> np.ndarray:
        """An array of so many components, otherwise like g, with anything in it."""
        return np.empty((self.dim, *g.shape[1:]), g.dtype)
