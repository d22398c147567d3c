"""MBAR by pymbar (extra ``mbar``), which is imported when it is used."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def pymbar() -> Iterator[Any]:
    """The package; that it has JAX compute in double precision lasts no longer than this.

    Raises
    ------
    ImportError
        If it is missing.
    """
    logger = logging.getLogger("pymbar")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it says at every import how JAX is set
    jax, double = None, False
    try:
        try:
            import pymbar as package
            from pymbar import timeseries  # noqa: F401
        except ImportError:
            raise ImportError("MBAR needs pymbar: pip install 'langevin-fast[mbar]'") from None
        jax = sys.modules.get("jax")
        double = jax is not None and jax.config.jax_enable_x64
        yield package
    finally:
        logger.setLevel(level)
        if jax is not None:
            jax.config.update("jax_enable_x64", double)


def statistical_inefficiency(series: Sequence[np.ndarray]) -> float:
    """After how many samples of several series of one kind another one is as good as independent, >= 1."""
    with pymbar() as package:
        return float(package.timeseries.statistical_inefficiency_multiple(list(series)))


def free_energies(mbar: Any, bins: np.ndarray, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """-log of the unbiased weight of each bin relative to the largest, and standard errors of the differences.

    `bins` has the number of the bin of each sample; `n_bins` of those outside. Empty bins have inf and NaN.
    """
    counts = np.bincount(bins, minlength=n_bins + 1)[:n_bins]
    filled = np.flatnonzero(counts)
    value, error = np.full(n_bins, np.inf), np.full(n_bins, np.nan)
    if len(filled):
        outside = np.where(bins == filled[:, np.newaxis], 0.0, 1e6)
        with pymbar():
            found = mbar.compute_perturbed_free_energies(outside)
        f, df = np.asarray(found["Delta_f"]), np.asarray(found["dDelta_f"])
        lowest = int(f[0].argmin())
        value[filled], error[filled] = f[lowest], df[lowest]
    return value, error
