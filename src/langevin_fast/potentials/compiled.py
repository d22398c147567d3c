"""What potentials written in Python have in common: Numba compiles them for the C++ loop."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from .base import Functions, Potential


class FunctionPotential(Potential):
    """A potential whose functions are plain Python.

    A subclass passes ``functions`` (a :class:`Functions`) among the state.
    """

    kind: ClassVar[str] = "GroupFunctions"
    backends: ClassVar[tuple[str, ...]] = ("numba", "cuda")
    functions: Functions

    @property
    def has_energy(self) -> bool:  # type: ignore[override]
        """Whether U is known, and not only its gradient."""
        return self.functions.energy is not None

    @classmethod
    def _check_parameter_names(cls, names: Iterable[str]) -> None:
        """See that parameters, which become attributes, hide no other attribute."""
        for name in names:
            if name.startswith("_") or hasattr(cls, name) or any(name in c.__annotations__ for c in cls.__mro__[:-1]):
                raise ValueError(f"{name} cannot be the name of a parameter: potentials have an attribute of that name")

    def addresses(self, dtype: Any) -> dict[str, int]:
        """See :meth:`Potential.addresses`; compiles at the first call."""
        from ..jit import groups

        table, keep = groups.addresses(
            self.functions, self.dim, len(self.parameters), dtype, energy=self.has_energy, single=False
        )
        self.__dict__.setdefault("_code", {})[np.dtype(dtype).name] = keep
        return table
