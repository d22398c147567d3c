"""A simulation whose potential and scheme change while it runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import arguments, checks
from .backends.problem import Stages
from .observers import Watching
from .potentials.base import Potential
from .schemes import Scheme
from .simulation import Simulation
from .stepping import Stepper

__all__ = ["StagedSimulation"]


class StagedSimulation(Simulation):
    """One compiled run through several stages.

    Stage i ends at step (i + 1) `steps_per_stage`; the last one goes on. ``.potential`` and ``.scheme`` are those of
    the next step.

    Parameters
    ----------
    potentials : sequence of Potential
        One for each stage, all of one kind and with parameters of one size.
    schemes : sequence of Scheme
        As many; all with the same letters.
    steps_per_stage : int
        >= 1.
    **given
        All further arguments of :class:`Simulation` but `observers`, which :meth:`run` takes.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.
    """

    def __init__(
        self, potentials: Sequence[Potential], schemes: Sequence[Scheme], steps_per_stage: int, **given: Any
    ) -> None:
        stages = Stages(checks.integer("steps_per_stage", steps_per_stage, 1, arguments.MOST_STEPS), len(schemes))
        self._stepper = Stepper.of(arguments.begin(potentials, schemes, stages, **given))
        self._watching = Watching("observers", ())

    def update(self, **changes: Any) -> None:
        """Not there: the stages say what changes."""
        raise TypeError("update: a simulation with stages changes as these say")

    def thaw(self) -> None:
        """Let particles that diverged, and were frozen where they last were finite, go on from there."""
        state = self.state
        if (state.diverged >= 0).any():
            self._stepper.state = dataclasses.replace(state, diverged=np.full_like(state.diverged, -1))
