"""Runs on many machines, by Dask: the same bits whatever their number, order or processors (extra ``dask``)."""

from .running import run
from .sampling import sample

__all__ = ["run", "sample"]
