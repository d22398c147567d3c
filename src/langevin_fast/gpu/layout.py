"""What the source of a kernel depends on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..functions import Functions
from ..schemes import Program


class Read(NamedTuple):
    """What an observer reads of a particle: see Source in backends/problem.py.

    Attributes
    ----------
    weight : int
        Which of the weights it takes.
    arguments : str
        Of a function: "x", or "z" for x, v and U one after the other.
    """

    quantity: str
    component: int
    weight: int
    function: Functions | None
    arguments: str
    reads_energy: bool

    @property
    def reads_gradient(self) -> bool:
        """Whether the gradient is wanted."""
        return self.quantity in ("virial", "half_step_kinetic")


class Observation(NamedTuple):
    """An observer: what it reads, the reduction that takes it, and whether that moves particles."""

    reduction: str
    reads: tuple[Read, ...]
    stops: bool
    restarts: bool


class Layout(NamedTuple):
    """What the code of a kernel depends on, besides the potential.

    Attributes
    ----------
    letters : str
        The program.
    draws : tuple of int
        Which of the step's vectors of normals, or uniforms, each operation uses.
    shapes : tuple of tuple of (bool, bool, bool)
        Of each operation, whether its coefficients have a value per row of a schedule, per particle, per component.
    checked : bool
        Whether a particle is stopped at the step after which it is not finite; always where observers move particles.
    observations : tuple of Observation
    weights : (bool, bool)
        Whether the weights of what observers read have a value per particle, per component.
    """

    letters: str
    draws: tuple[int, ...]
    shapes: tuple[tuple[tuple[bool, bool, bool], ...], ...]
    normals_per_step: int
    uniforms_per_step: int
    properties: frozenset[str]
    dim: int
    single: bool
    checked: bool
    observations: tuple[Observation, ...]
    weights: tuple[bool, bool]

    @classmethod
    def of(
        cls,
        program: Program,
        dim: int,
        dtype: Any,
        *,
        checked: bool,
        observations: tuple[Observation, ...] = (),
        weights: tuple[bool, bool] = (False, False),
    ) -> Layout:
        """The layout for a program with its coefficients."""
        shapes = tuple(
            tuple((k.shape[0] > 1, k.shape[1] > 1, k.shape[2] > 1) for k in group) for group in program.coefficients
        )
        parsed = program.parsed
        return cls(
            program.letters,
            tuple(parsed.draws),
            shapes,
            parsed.normals_per_step,
            parsed.uniforms_per_step,
            program.properties,
            dim,
            np.dtype(dtype) == np.float32,
            checked,
            observations,
            weights,
        )

    @property
    def has_velocities(self) -> bool:
        """Whether the state has them."""
        return "uses_velocities" in self.properties

    @property
    def metropolised(self) -> bool:
        """Whether proposals are tested."""
        return "tests" in self.properties

    @property
    def looks_ahead(self) -> bool:
        """Whether normals of the next step are used."""
        return "looks_ahead" in self.properties

    @property
    def observes_energy(self) -> bool:
        """Whether an observer reads U."""
        return any(read.reads_energy for o in self.observations for read in o.reads)
