"""A free energy along coordinates, and the bins it is given in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import checks


class Profile(NamedTuple):
    """A free energy along one coordinate, or two; in energy units.

    Attributes
    ----------
    centers : (bins,) array, or pair of them
        The middles of the bins, in units of the coordinate.
    values : (bins,) or (bins, bins) array
        0 in the lowest bin; inf where nothing was sampled.
    errors : (bins,) or (bins, bins) array
        Standard errors of the difference from the lowest bin; NaN where nothing was sampled.
    """

    centers: np.ndarray | tuple[np.ndarray, ...]
    values: np.ndarray
    errors: np.ndarray


def bins_of(name: str, bins: Any, range_name: str, ends: Any) -> np.ndarray:
    """The edges of equal bins between two ends, (bins + 1,).

    Raises
    ------
    TypeError, ValueError
        If they are not allowed.
    """
    bins = checks.integer(name, bins, 1)
    if not isinstance(ends, (Sequence, np.ndarray)) or len(ends) != 2:
        raise ValueError(f"{range_name} must be a pair (lowest, highest); got {checks.shorten(ends)}")
    low, high = (checks.finite(f"{range_name}[{i}]", end) for i, end in enumerate(ends))
    if not low < high:
        raise ValueError(f"{range_name}={checks.shorten(ends)} must ascend")
    return np.linspace(low, high, bins + 1)
