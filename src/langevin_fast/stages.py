"""A simulation whose potential and scheme change while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import arguments, checks
from .backends.problem import Stages
from .potentials.base import Potential
from .schemes import Scheme
from .simulation import Simulation
from .stepping import Stepper

__all__ = ["StagedSimulation"]


class StagedSimulation(Simulation):
    """One compiled run through several stages.

    Stage i ends at step (i + 1) `steps_per_stage`; the last one goes on.

    Parameters
    ----------
    potentials : sequence of Potential
        One for each stage, all of one kind and with parameters of one size.
    schemes : sequence of Scheme
        As many; all with the same letters.
    steps_per_stage : int
        >= 1.
    **given
        All further arguments of :class:`Simulation`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """

    def __init__(
        self, potentials: Sequence[Potential], schemes: Sequence[Scheme], steps_per_stage: int, **given: Any
    ) -> None:
        stages = Stages(checks.integer("steps_per_stage", steps_per_stage, 1), len(schemes))
        self._stepper = Stepper(arguments.begin(potentials, schemes, stages, **given))
