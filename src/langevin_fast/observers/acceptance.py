"""How many proposals were accepted."""

from __future__ import annotations

import numpy as np

from ..backends.problem import Observed, Reduction
from .base import Contents, Observer, Run
from .sums import NO_PRODUCTS, Sums

__all__ = ["Acceptance"]


class Acceptance(Observer):
    """The fraction of accepted proposals while it observed, of schemes with Metropolis tests.

    The kernels count acceptances anyway; this observer remembers where it began.
    """

    def __init__(self) -> None:
        super().__init__(every=2**60)

    def __repr__(self) -> str:
        return f"<Acceptance: {self.in_brief or 'no step yet'}>"

    @property
    def in_brief(self) -> str:
        """See :class:`Observer`; it never looks."""
        contents = self._contents
        return "" if contents is None or not contents.n_steps.any() else f"accepted {self.mean:.1%}"

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        if not run.scheme.metropolised:
            raise ValueError(f"Acceptance: {run.scheme!r} has no Metropolis test")
        return Sums(self.first_look(step), self.every, (), np.array([0, NO_PRODUCTS, 0, 1]), np.zeros(0))

    @property
    def per_particle(self) -> np.ndarray:
        """Of each particle, (n_particles,)."""
        contents = self._seen()
        with np.errstate(invalid="ignore", divide="ignore"):
            return contents.accepted / contents.n_steps.astype(np.float64)

    @property
    def mean(self) -> float:
        """Of all particles."""
        return float(self.per_particle.mean())

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        return a.observed
