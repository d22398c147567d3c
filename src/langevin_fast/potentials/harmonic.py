"""Harmonic: independent springs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..checks import FloatArray
from ..functions import Functions
from .compiled import CompiledPotential


def _gradient(x: Any, g: Any, p: Any) -> None:
    n = len(x)
    for c in range(n):
        g[c] = p[c] * (x[c] - p[n + c])


def _energy(x: Any, p: Any) -> Any:
    n = len(x)
    total = 0.0
    for c in range(n):
        d = x[c] - p[n + c]
        total = total + (p[c] * d) * d
    return 0.5 * total


class Harmonic(CompiledPotential):
    r"""Independent springs, one per component.

    .. math:: U(x) = \tfrac12 \sum_i k_i (x_i - c_i)^2

    At temperature kT, component i is normal with mean c_i and variance kT / k_i.

    Parameters
    ----------
    stiffness : float or (dim,) array
        Spring constants k, energy / length², >= 0. A scalar means one component. A component with k = 0 moves
        freely and has no Boltzmann law.
    center : float or (dim,) array, default 0
        Rest positions c, length. A scalar is used for every component.

    Notes
    -----
    Default start: the minimum, `center`.

    Raises
    ------
    TypeError, ValueError
        An entry is not a finite number, a stiffness is negative, or the shapes do not fit.

    Examples
    --------
    >>> Harmonic([1.0, 4.0])
    Harmonic(stiffness=[1.0, 4.0], center=[0.0, 0.0])
    """

    kind = "Harmonic"
    functions = Functions(_gradient, _energy)
    stiffness: FloatArray
    center: FloatArray

    def __init__(self, stiffness: npt.ArrayLike, center: npt.ArrayLike = 0.0) -> None:
        k = checks.non_negative_array("stiffness", stiffness, ndim=(0, 1)).reshape(-1)
        c = checks.finite_array("center", center, shape=None if np.ndim(center) == 0 else k.shape)
        c = np.zeros_like(k) + c
        super().__init__(
            dim=len(k),
            parameters=np.concatenate([k, c]),
            default_start=c,
            arguments={"stiffness": k, "center": c},
        )

    def parameters_of(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """See :meth:`Potential.parameters_of`."""
        rows = self.rows_of(values)
        return np.concatenate([rows["stiffness"], rows["center"]], axis=1)

    @property
    def largest_curvature(self) -> float:
        """The largest stiffness."""
        return float(self.stiffness.max())
