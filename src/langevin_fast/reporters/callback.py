"""A function that is called while a run goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import checks
from .base import Reporter

__all__ = ["Callback"]


class Callback(Reporter):
    """Calls a function of the simulation.

    Parameters
    ----------
    function : callable
        ``function(simulation)``. What it raises stops the run. It may save, plot, print or change the simulation
        (``simulation.update``), but not run it. Observers given to the simulation show what they have seen so far.
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

    def report(self) -> None:
        """Call it."""
        self._asked = self._simulation.step  # once, even if Ctrl-C comes in it
        self._simulation.show_observers()
        self._function(self._simulation)
