"""What becomes of the energy: work, heat, and what the scheme itself loses or gains."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..backends.problem import Look, Observed, Reduction, Source
from .base import Contents, Observer, Run, error_of_mean, with_error

__all__ = ["Work"]


class Ledger(Reduction):
    """Sums over all steps; see cpp/observers/work.hpp."""

    name: ClassVar[str] = "work"

    @property
    def reads_energy(self) -> bool:
        """See :class:`Reduction`."""
        return True

    def empty(self, n: int) -> Observed:
        """See :class:`Reduction`."""
        return Observed(self, np.zeros((3, n)), np.zeros((0, n), np.int64), np.zeros(0, np.int64))

    def take(self, look: Look, observed: Observed) -> None:
        """See :class:`Reduction`."""
        observed.reals[:, look.moving] += look.values[:, look.moving]


class Work(Observer):
    """Work, heat and shadow work of each particle, summed over all steps.

    In a step that a :class:`langevin_fast.Schedule` leads from λ to λ', U(x, λ') - U(x, λ) is work; then come the
    operations, at λ'. With velocities, what the noise adds to the kinetic energy (O) is heat, and what the other
    operations (A and B) add to the total energy is shadow work, the error of the scheme; so

        ΔE = work + heat + shadow

    from the first state to the last, each summed by itself. In overdamped dynamics all of the change of U at fixed λ is
    heat. It costs two energies per step. Jarzynski: the mean of exp(-work/kT) is exp(-ΔF/kT) where the run began in
    equilibrium; with velocities and a large step, shadow work belongs to the work there (Sivak, Chodera and Crooks,
    Phys. Rev. X 3, 011007, 2013).

    Examples
    --------
    >>> import numpy as np
    >>> import langevin_fast as lf
    >>> trap = lf.potentials.Expression("k * (x - c)**2 / 2", variables="x", k=2.0, c=lf.Schedule([0, 1], [0.0, 2.0]))
    >>> work = lf.observers.Work()
    >>> start = np.random.default_rng(1).normal(0.0, 0.5**0.5, (1000, 1))
    >>> run = lf.sample(trap, lf.ULA(0.01), n_steps=100, initial=start, stride=None, seed=1, observers=[work])
    >>> work.work.shape
    (1000,)
    """

    def __init__(self) -> None:
        super().__init__(every=1)

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        if not run.problem.potential.has_energy:
            raise ValueError(f"Work needs the energy, which {run.problem.potential!r} does not have")
        if run.backend == "cuda":
            raise ValueError('Work is not there on backend="cuda"; use another backend')
        letters = set(run.scheme.letters)
        if not run.scheme.overdamped and not letters <= set("ABO"):
            raise ValueError(f"Work takes splittings over A, B and O; got {run.scheme!r}")
        which = () if run.scheme.overdamped else (Source("kinetic", weight=np.ascontiguousarray(run.mass, np.float64)),)
        # it is given the sums of every step, and looks at no state
        return Ledger(2**61, 2**60, which, np.zeros(0, np.int64), np.zeros(0))

    @property
    def n_samples(self) -> np.ndarray:
        """How many steps of each particle were summed, (n_particles,)."""
        return self._seen().n_steps

    @property
    def n_looks(self) -> int:
        """How many steps were summed."""
        return int(self.n_samples.max(initial=0))

    @property
    def work(self) -> np.ndarray:
        """Of each particle, (n_particles,), in energy units."""
        return self._seen().observed.reals[0]

    def _in_brief(self) -> str:
        work = self.work
        return f"work {with_error(work.mean(), error_of_mean(work[:, np.newaxis], np.ones(len(work))))}"

    @property
    def heat(self) -> np.ndarray:
        """Taken up from the bath by each particle, (n_particles,), in energy units."""
        return self._seen().observed.reals[1]

    @property
    def shadow(self) -> np.ndarray:
        """Gained by each particle through the error of the scheme, (n_particles,), in energy units."""
        return self._seen().observed.reals[2]

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        return a.observed._replace(reals=a.observed.reals + b.observed.reals)
