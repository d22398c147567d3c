"""A function that is called while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from ..errors import CheckpointError
from ..readings import Readings
from .base import Reporter

__all__ = ["Callback"]


class Callback(Reporter):
    """Calls a function of the simulation.

    Parameters
    ----------
    function : callable
        ``function(simulation)``. What it raises stops the run. It may save, plot, print or change the simulation
        (``simulation.update``), but not run it. Observers given to the simulation show what they have seen so far. It
        is called once at a step; where Ctrl-C interrupts it, no checkpoint is written at that step.
    every : int or str, optional
        At steps that are multiples of it; or a time such as "30 s".
    steps : sequence of int, optional
        At these steps, instead of `every`.
    when : callable, optional
        ``when(simulation)`` is asked at each of them, and must be true.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> simulation = lf.Simulation(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=5, seed=1)
    >>> seen = lf.reporters.Callback(lambda simulation: print(simulation.step), every=1000)
    >>> simulation.run(2500, reporters=[seen])
    1000
    2000
    """

    def __init__(
        self,
        function: Callable[[Any], object],
        every: int | str | None = None,
        *,
        steps: Sequence[int] | None = None,
        when: Callable[[Any], object] | None = None,
    ) -> None:
        super().__init__(every, steps, when)
        if not callable(function):
            raise TypeError(f"function must be a function of the simulation; got {checks.shorten(function)}")
        self._function = function
        self._called = -1  # the last step at which it was

    def begin(self, simulation: Readings, first: int, end: int) -> None:
        """A run goes on."""
        super().begin(simulation, first, end)
        self._called = -1

    def report(self) -> None:
        """Call it."""
        step = self._simulation.step
        if step == self._called:
            raise CheckpointError(
                f"{checks.shorten(self._function)} was interrupted at step {step}: no checkpoint is written there"
            )
        self._called = step
        self._simulation.show_observers()
        self._function(self._simulation)
