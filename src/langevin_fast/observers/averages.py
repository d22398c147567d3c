"""Averages: of positions and their products, of any function, and temperatures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..backends.problem import Observed, Reduction, Source
from .base import Contents, Observer, Run, first_components, with_error
from .batches import more_particles
from .sums import ALL_PRODUCTS, NO_PRODUCTS, SQUARES, Sampled, Sums, key_of, more_steps
from .values import sources

__all__ = ["Expectation", "Moments", "Pooled", "Temperature"]

# Up to so many components all products are summed unless told otherwise.
_FEW_COMPONENTS = 16


class _Averages(Observer):
    """Observers that sum."""

    @property
    def _sampled(self) -> Sampled:
        return Sampled(self._seen())

    def _key(self) -> Any:
        return key_of(self._seen().observed)

    def _of_more_particles(self, a: Observed, b: Observed) -> Observed:
        return more_particles(a, b)

    def _of_more_steps(self, a: Contents, b: Contents) -> Observed:
        return more_steps(a, b)


class Pooled(NamedTuple):
    """Moments of all particles together.

    Attributes
    ----------
    mean : (dim,) array
    covariance : (dim, dim) array or None
        None where only variances were summed.
    error : (dim,) array
        The standard error of the mean.
    """

    mean: np.ndarray
    covariance: np.ndarray | None
    error: np.ndarray


class Moments(_Averages):
    """Mean and covariance of the positions.

    Parameters
    ----------
    every, start : int
        As for every observer.
    covariance : bool, optional
        Whether covariances are summed, and not only variances. Default: up to 16 components.

    Examples
    --------
    >>> import langevin_fast as lf
    >>> moments = lf.observers.Moments()
    >>> trap = lf.potentials.Harmonic(2.0)
    >>> run = lf.sample(trap, lf.BAOAB(0.2, friction=1.0), n_steps=2000, n_particles=64, burn_in=200, stride=None,
    ...                 seed=1, observers=[moments])
    >>> moments.mean.shape, moments.pooled().mean.shape
    ((64, 1), (1,))
    """

    def __init__(self, every: int = 1, start: int = 0, *, covariance: bool | None = None) -> None:
        super().__init__(every, start)
        if covariance not in (None, True, False):
            raise TypeError(f"covariance must be True, False or None; got {checks.shorten(covariance)}")
        self._covariance = covariance

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        dim = run.problem.dim
        every_pair = dim <= _FEW_COMPONENTS if self._covariance is None else self._covariance
        which = tuple(Source("position", c) for c in range(dim))
        products = ALL_PRODUCTS if every_pair else SQUARES
        return Sums.of(self.first_look(step), self.every, which, products, len(run.problem.streams))

    @property
    def mean(self) -> np.ndarray:
        """Of each particle, (n_particles, dim), in length units."""
        return self._sampled.means

    def _in_brief(self) -> str:
        sampled = self._sampled
        return f"mean {with_error(sampled.pooled_mean, sampled.error)}"

    @property
    def variance(self) -> np.ndarray:
        """Of each particle, (n_particles, dim), with 1/n."""
        sampled = self._sampled
        i, j = sampled.reduction.pairs
        return sampled.covariances[:, i == j]

    @property
    def covariance(self) -> np.ndarray:
        """Of each particle, (n_particles, dim, dim), with 1/n."""
        sampled = self._sampled
        matrix = self._matrix(sampled.covariances)
        if matrix is None:
            raise ValueError("covariances were not summed: Moments(covariance=True)")
        return matrix

    @property
    def error(self) -> np.ndarray:
        """The standard error of the mean of each particle, from batches in time, (n_particles, dim).

        NaN where there are 32 particles or more: no batches are kept then, and ``pooled().error`` comes from what
        differs between particles.
        """
        return self._sampled.errors

    def pooled(self) -> Pooled:
        """Mean, covariance and the standard error of the mean of all particles together."""
        sampled = self._sampled
        matrix = self._matrix(sampled.pooled_covariance[np.newaxis])
        return Pooled(sampled.pooled_mean, None if matrix is None else matrix[0], sampled.error)

    def _matrix(self, pairs: np.ndarray) -> np.ndarray | None:
        reduction = self._sampled.reduction
        i, j = reduction.pairs
        k = reduction.k
        if len(i) < k * (k + 1) // 2:
            return None
        result = np.empty((len(pairs), k, k))
        result[:, i, j] = result[:, j, i] = pairs
        return result


class Expectation(_Averages):
    """The average of a function.

    Parameters
    ----------
    f : str, callable, or a sequence of these
        A formula such as ``"x[0]**4"`` or ``"energy"`` (x[i], v[i], energy, the potential's own names, and ``x`` in one
        dimension, with the functions of :class:`langevin_fast.potentials.Expression`), or a Python function of x, of
        (x, v) or of (x, v, energy) that Numba compiles, and that returns a number or a tuple of numbers.
    every, start : int
        As for every observer.
    """

    def __init__(self, f: Any, every: int = 1, start: int = 0) -> None:
        super().__init__(every, start)
        self._f = f

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        which = sources("f", self._f, run.problem)
        return Sums.of(self.first_look(step), self.every, which, SQUARES, len(run.problem.streams))

    @property
    def per_particle(self) -> np.ndarray:
        """The average of each particle, (n_particles,); (n_particles, k) for k numbers."""
        return first_components(self._sampled.means)

    @property
    def mean(self) -> Any:
        """The average of all, a number; (k,) for k numbers."""
        return first_components(self._sampled.pooled_mean)

    @property
    def error(self) -> Any:
        """Of the mean, the standard error: from what differs between particles, or batches in time if they are few."""
        return first_components(self._sampled.error)

    def _in_brief(self) -> str:
        name = self._f if isinstance(self._f, str) else getattr(self._f, "__name__", "f")
        return f"{name} {with_error(self.mean, self.error)}"

    @property
    def variance(self) -> Any:
        """Of all looks at all particles, with 1/n."""
        return first_components(self._sampled.pooled_covariance)


class Temperature(_Averages):
    """kT, as the velocities or the positions show it.

    Parameters
    ----------
    kind : {"kinetic", "half-step", "configurational"}
        "kinetic": sum of m v² / dim of the on-step velocities. With BAOAB it is low by the factor 1 - (ω h)²/4 in a
        harmonic well of frequency ω, though positions are exact.
        "half-step": likewise before the last kick of the step, for schemes that end with one (B).
        "configurational": (x - center) · ∇U / dim, the virial; it needs a potential that confines x, and no boundary.
    every, start : int
        As for every observer.
    center : (dim,) array, optional
        Of the virial, in length units; it changes the error bar, not what is estimated. Default: the origin.
    """

    def __init__(
        self, kind: str = "kinetic", every: int = 1, start: int = 0, *, center: ArrayLike | None = None
    ) -> None:
        super().__init__(every, start)
        self._kind = checks.one_of("kind", kind, ("kinetic", "half-step", "configurational"))
        if center is not None and kind != "configurational":
            raise ValueError(f"center={checks.shorten(center)} is not allowed with kind={kind!r}")
        self._center = None if center is None else checks.finite_array("center", center)

    def reduction(self, run: Run, step: int) -> Reduction:
        """See :class:`Observer`."""
        if self._kind == "configurational":
            if run.problem.walls is not None:
                raise ValueError("kind='configurational': a boundary has a force of its own, so the virial is no kT")
            center = np.zeros(1) if self._center is None else np.atleast_1d(self._center)
            if center.shape not in ((1,), (run.problem.dim,)):
                raise ValueError(f"center must have the shape ({run.problem.dim},); got {center.shape}")
            source = Source("virial", weight=center[np.newaxis])
        else:
            if run.scheme.overdamped:
                raise ValueError(f"kind={self._kind!r}: {run.scheme!r} has no velocities")
            letters = run.scheme.letters
            if self._kind == "half-step" and not letters.endswith("B"):
                raise ValueError(f"kind='half-step': the steps of {run.scheme!r} do not end with a kick (B)")
            quantity = "kinetic" if self._kind == "kinetic" else "half_step_kinetic"
            source = Source(quantity, weight=np.ascontiguousarray(run.mass, np.float64))
        return Sums.of(self.first_look(step), self.every, (source,), NO_PRODUCTS, len(run.problem.streams))

    @property
    def per_particle(self) -> np.ndarray:
        """Of each particle, (n_particles,), in energy units."""
        return self._sampled.means[:, 0] / self._dim

    @property
    def mean(self) -> float:
        """Of all particles, in energy units."""
        return float(self._sampled.pooled_mean[0]) / self._dim

    @property
    def error(self) -> float:
        """The standard error of the mean."""
        return float(self._sampled.error[0]) / self._dim

    def _in_brief(self) -> str:
        return f"kT {with_error(self.mean, self.error)}"

    @property
    def _dim(self) -> int:
        return self._seen().run.problem.dim
