"""Free: no potential at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..functions import Functions
from .base import dimension
from .compiled import CompiledPotential


def _gradient(x: Any, g: Any, p: Any) -> None:
    for c in range(len(x)):
        g[c] = 0.0 * x[c]


def _energy(x: Any, p: Any) -> Any:
    return 0.0 * x[0]


class Free(CompiledPotential):
    r"""No potential at all: pure diffusion.

    .. math:: U(x) = 0

    There is no Boltzmann law: particles spread for ever.

    Parameters
    ----------
    dim : int, default 1
        Number of components, >= 1.

    Notes
    -----
    Default start: the origin.

    Raises
    ------
    TypeError, ValueError
        `dim` is not an integer >= 1.

    Examples
    --------
    >>> Free(dim=2)
    Free(dim=2)
    """

    kind = "Free"
    functions = Functions(_gradient, _energy)

    def __init__(self, dim: int = 1) -> None:
        dim = dimension("dim", dim)
        super().__init__(dim=dim, parameters=[], default_start=np.zeros(dim), arguments={"dim": dim})

    @property
    def largest_curvature(self) -> float:
        """Zero."""
        return 0.0
