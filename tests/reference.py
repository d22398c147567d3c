"""The reference values that tests compare with: tests/data/reference_values.json, made outside this package."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"


@functools.cache
def _entries() -> dict[str, Any]:
    entries = json.loads((DATA / "reference_values.json").read_text(encoding="utf-8"))["entries"]
    return {entry["id"]: entry["value"] for entry in entries}


def value(entry_id: str) -> Any:
    """The value of one entry. Numbers that the file keeps as text are floats; formulas stay text."""
    return _numbers(_entries()[entry_id])


def ids(prefix: str) -> list[str]:
    """The entries whose id begins with `prefix`."""
    return [entry_id for entry_id in _entries() if entry_id.startswith(prefix)]


def german_credit() -> tuple[np.ndarray, np.ndarray]:
    """Features (24 standardised columns, then ones) and labels (1: bad risk) as in the entry bayes.german_credit."""
    table = np.loadtxt(DATA / "german_credit_numeric.csv", delimiter=",")
    features = table[:, :-1]
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    return np.column_stack([features, np.ones(len(table))]), table[:, -1] == 2


def _numbers(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _numbers(entry) for key, entry in item.items()}
    if isinstance(item, list):
        return [_numbers(entry) for entry in item]
    try:
        return float(item) if isinstance(item, str) else item
    except ValueError:
        return item
