"""The operations that schemes are made of, and programs of them.

The table itself is written in C++ (cpp/schemes/table.hpp); this is how Python reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np

from .. import _core

__all__ = ["OPERATIONS", "Operation", "Program", "parse"]


class Operation(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    letter, name : str
    properties : frozenset of str
        Of "draws_normals", "looks_ahead", "draws_uniform", "reads_gradient", "reads_energy", "moves",
        "uses_velocities", "proposes" and "tests".
    coefficients : tuple of str
        Their names, in order.
    """

    letter: str
    name: str
    properties: frozenset[str]
    coefficients: tuple[str, ...]


def properties_of(bits: int) -> frozenset[str]:
    """The names of some properties."""
    return frozenset(name for name, bit in _core.PROPERTIES.items() if bits & bit)


OPERATIONS: dict[str, Operation] = {
    letter: Operation(letter, name, properties_of(bits), tuple(coefficients.split(", ")))
    for letter, name, bits, coefficients in _core.OPERATIONS
}


@lru_cache(maxsize=256)
def parse(letters: str) -> _core.Parsed:
    """The draws of each operation of a program, its passes, and how much noise a step takes."""
    return _core.Parsed(letters)


@dataclass(frozen=True, eq=False)
class Program:
    """What a step does.

    Attributes
    ----------
    letters : str
        Operations, in the order in which they act.
    coefficients : tuple of tuple of ndarray
        Of each operation, in the order of its row of the table; (1 or rows, 1 or n, 1 or dim). Rows are those of a
        schedule.
    """

    letters: str
    coefficients: tuple[tuple[np.ndarray, ...], ...]

    @classmethod
    def of(cls, letters: str, named: Mapping[str, Mapping[str, np.ndarray]]) -> Program:
        """From the coefficients of each letter by name, (1 or n, 1 or dim), perhaps with an axis of rows before."""
        rows = [
            tuple(np.array(named[letter][name], ndmin=3) for name in OPERATIONS[letter].coefficients)
            for letter in letters
        ]
        return cls(letters, tuple(rows))

    @classmethod
    def stacked(cls, programs: Sequence[Program]) -> Program:
        """One with a row for each program; all have the same letters."""
        first = programs[0]
        if len(programs) == 1:
            return first

        def stack(i: int, j: int) -> np.ndarray:
            return np.concatenate(np.broadcast_arrays(*(p.coefficients[i][j] for p in programs)))

        indices = [range(len(group)) for group in first.coefficients]
        return cls(first.letters, tuple(tuple(stack(i, j) for j in js) for i, js in enumerate(indices)))

    def map(self, change: Any) -> Program:
        """The same with changed coefficients."""
        return Program(self.letters, tuple(tuple(map(change, group)) for group in self.coefficients))

    @cached_property
    def properties(self) -> frozenset[str]:
        """Those of any operation."""
        return properties_of(self.parsed.properties)

    @property
    def parsed(self) -> _core.Parsed:
        """See :func:`parse`."""
        return parse(self.letters)
