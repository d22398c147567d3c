"""Forward and reverse-time diffusions: variance-preserving and variance-exploding noise schedules."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..errors import DivergenceError, carrying
from ..noise import PRECISIONS, draw
from .functions import ScoreFunction, evaluate, explain
from .network import ScoreNetwork, build, warn_outside


class Schedule(ABC):
    r"""A linear diffusion :math:`dx = f(t)\,x\,dt + g(t)\,dW` for t from 0 (data) to 1 (noise).

    Given x(0), x(t) is normal with mean ``scale(t) x(0)`` and standard deviation ``std(t)``. A schedule of your own is
    a subclass with these four methods, which belong together: d scale/dt = f scale, d std^2/dt = 2 f std^2 + g^2.

    Attributes
    ----------
    prior_std : float or None
        Standard deviation of the noise that reverse-time sampling starts from, > 0. None, the default: ``std(1)``.

    Examples
    --------
    >>> class Brownian(Schedule):
    ...     def scale(self, t): return 1.0
    ...     def std(self, t): return 3.0 * t**0.5
    ...     def drift(self, t): return 0.0
    ...     def diffusion(self, t): return 3.0
    """

    prior_std: float | None = None

    @abstractmethod
    def scale(self, t: float) -> float:
        """The factor of x(0) in x(t)."""

    @abstractmethod
    def std(self, t: float) -> float:
        """The standard deviation of the noise in x(t)."""

    @abstractmethod
    def drift(self, t: float) -> float:
        """f(t), a rate."""

    @abstractmethod
    def diffusion(self, t: float) -> float:
        """g(t), in length/sqrt(time)."""


class VariancePreserving(Schedule):
    r"""The Ornstein-Uhlenbeck process with rate beta(t)/2, beta linear in t: data of unit variance keep it.

    Parameters
    ----------
    beta_min, beta_max : float
        beta(0) and beta(1), 0 < beta_min <= beta_max.

    References
    ----------
    Y. Song et al., ICLR 2021, eq. (11).
    """

    prior_std = 1.0

    def __init__(self, beta_min: float = 0.1, beta_max: float = 20.0) -> None:
        self.beta_min, self.beta_max = checks.positive("beta_min", beta_min), checks.positive("beta_max", beta_max)
        if self.beta_max < self.beta_min:
            raise ValueError(f"beta_max={beta_max!r} must be >= beta_min={beta_min!r}")

    def __repr__(self) -> str:
        return f"VariancePreserving(beta_min={self.beta_min!r}, beta_max={self.beta_max!r})"

    def _beta(self, t: float) -> float:
        return self.beta_min + t * (self.beta_max - self.beta_min)

    def _integral(self, t: float) -> float:
        return t * (self.beta_min + 0.5 * t * (self.beta_max - self.beta_min))

    def scale(self, t: float) -> float:
        """See :class:`Schedule`."""
        return math.exp(-0.5 * self._integral(t))

    def std(self, t: float) -> float:
        """See :class:`Schedule`."""
        return math.sqrt(-math.expm1(-self._integral(t)))

    def drift(self, t: float) -> float:
        """See :class:`Schedule`."""
        return -0.5 * self._beta(t)

    def diffusion(self, t: float) -> float:
        """See :class:`Schedule`."""
        return math.sqrt(self._beta(t))


class VarianceExploding(Schedule):
    r"""Brownian motion in a geometric clock.

    The noise in x(t) has :math:`\sigma(t) = \sigma_{min} (\sigma_{max}/\sigma_{min})^t`.

    Parameters
    ----------
    sigma_min, sigma_max : float
        0 < sigma_min < sigma_max, in length units. At t = 0 there already is noise sigma_min.

    References
    ----------
    Y. Song et al., ICLR 2021, eq. (9).
    """

    def __init__(self, sigma_min: float = 0.01, sigma_max: float = 50.0) -> None:
        self.sigma_min, self.sigma_max = (
            checks.positive("sigma_min", sigma_min),
            checks.positive("sigma_max", sigma_max),
        )
        if not self.sigma_max > self.sigma_min:
            raise ValueError(f"sigma_max={sigma_max!r} must be larger than sigma_min={sigma_min!r}")
        self.prior_std = self.sigma_max

    def __repr__(self) -> str:
        return f"VarianceExploding(sigma_min={self.sigma_min!r}, sigma_max={self.sigma_max!r})"

    def scale(self, t: float) -> float:
        """See :class:`Schedule`."""
        return 1.0

    def std(self, t: float) -> float:
        """See :class:`Schedule`."""
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** t

    def drift(self, t: float) -> float:
        """See :class:`Schedule`."""
        return 0.0

    def diffusion(self, t: float) -> float:
        """See :class:`Schedule`."""
        return self.std(t) * math.sqrt(2.0 * math.log(self.sigma_max / self.sigma_min))


@dataclass(frozen=True, eq=False)
class Reversed:
    """What :func:`reverse` returns.

    Attributes
    ----------
    positions : ndarray of shape (n_particles, dim)
        At the last time, denoised if that was asked for; float64, or float32 in single precision.
    times : ndarray of shape (n_steps + 1,)
        From 1 down to `end`.
    seed : int
        Of the run.
    """

    positions: np.ndarray
    times: np.ndarray
    seed: int


def diffuse(schedule: Schedule, x: ArrayLike, t: float, *, seed: int) -> np.ndarray:
    """Data with the noise of time t: exact draws of x(t) given x(0).

    Parameters
    ----------
    schedule : Schedule
    x : (n, dim) array
        x(0).
    t : float
        0 <= t <= 1.
    seed : int
        0 <= seed < 2**64. Particle i takes the noise of stream i.

    Returns
    -------
    (n, dim) array
    """
    points = _points("x", x)
    t = _time("t", t)
    return schedule.scale(t) * points + schedule.std(t) * _normals(
        "other", checks.integer("seed", seed, 0, 2**64 - 1), points, 0
    )


def reverse(
    score: ScoreFunction | ScoreNetwork,
    schedule: Schedule,
    *,
    initial: ArrayLike | None = None,
    n_particles: int | None = None,
    dim: int | None = None,
    n_steps: int = 1000,
    method: str = "sde",
    end: float = 1e-3,
    denoise: bool = False,
    seed: int | None = None,
    precision: str = "double",
) -> Reversed:
    r"""Sample by going back in time, from noise at t = 1 to data near t = 0.

    "sde": Euler-Maruyama for :math:`dx = (f x - g^2 s)\,dt + g\,dW` backwards; "ode": Heun's method for the probability
    flow :math:`dx/dt = f x - \tfrac12 g^2 s`, which has the same densities and no noise. Steps in time are equal.

    Parameters
    ----------
    score : callable or ScoreNetwork
        ``score(x, t)`` maps (n, dim) positions to the score of the density at time t, (n, dim). Of a network with noise
        levels, s(x, sigma), it is made: s(x/scale, std/scale)/scale; the levels should span those of the schedule.
    schedule : Schedule
        :class:`VariancePreserving`, :class:`VarianceExploding`, or one of your own.
    initial : (n_particles, dim) array, optional
        x(1). Default: normal with the schedule's `prior_std`, from noise of its own; then `n_particles` and `dim` are
        needed.
    n_particles, dim : int, optional
        See `initial`.
    n_steps : int
        >= 1.
    method : {"sde", "ode"}
    end : float
        Where time stops, 0 <= end < 1. Scores are never evaluated before it; "ode" and `denoise` evaluate at it.
    denoise : bool
        End with the mean of x(0) given x(end) (Tweedie's formula).
    seed : int, optional
        Particle i takes the noise of stream i, step k its numbers k dim to (k + 1) dim - 1. None draws one, which the
        result reports.
    precision : {"double", "single"}
        Of the positions and the noise, and of what the score is given.

    Returns
    -------
    Reversed

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed, or the score has another shape than x.
    DivergenceError
        A particle is no longer finite; the message says whether the score was not.
    Interrupted
        Ctrl-C. Whatever stops a run has the result so far, as ``.trajectory``: positions and times.

    Warns
    -----
    UserWarning
        A network is asked for noise levels that it was not trained on.

    References
    ----------
    B. D. O. Anderson, Stoch. Process. Appl. 12 (1982) 313; Y. Song et al., ICLR 2021, eqs. (6) and (13).
    """
    if not isinstance(schedule, Schedule):
        raise TypeError(f"schedule must be a Schedule, such as VariancePreserving(); got {checks.shorten(schedule)}")
    checks.one_of("method", method, ("sde", "ode"))
    n_steps = checks.integer("n_steps", n_steps, 1)
    end = _time("end", end)
    if end == 1.0:
        raise ValueError("end=1.0 is not allowed: it must be < 1")
    seed = checks.seed(seed)
    checks.one_of("precision", precision, tuple(PRECISIONS))
    dtype = PRECISIONS[precision]
    if initial is None:
        if n_particles is None or dim is None:
            raise TypeError("give initial, or both n_particles and dim")
        shape = checks.integer("n_particles", n_particles, 1), checks.integer("dim", dim, 1)
        std = schedule.std(1.0) if schedule.prior_std is None else schedule.prior_std
        x = checks.positive("schedule.prior_std", std) * _normals("initial", seed, np.empty(shape, dtype), 0)
    else:
        x = checks.cast("initial", _points("initial", initial), dtype)
    times = np.linspace(1.0, end, n_steps + 1)
    if isinstance(score, ScoreNetwork):
        if score.sigmas is None:
            raise TypeError("score has no noise levels; a network needs them here")
        if schedule.std(end) == 0.0 and (method == "ode" or denoise):
            raise ValueError(f"end={end!r} is not allowed here: a network needs some noise wherever it is evaluated")
        evaluated = times if method == "ode" or denoise else times[:-1]
        warn_outside(score, *(schedule.std(t) / schedule.scale(t) for t in evaluated.tolist()))
        score = _in_time(score, schedule)
    done = 0
    with carrying(lambda: (Reversed(x, times[: done + 1], seed), (), done)):
        for k, (t, after) in enumerate(itertools.pairwise(times.tolist())):
            if method == "sde":
                new = _sde_step(score, schedule, x, t, after, seed, k)
            else:
                new = _ode_step(score, schedule, x, t, after)
            if not np.isfinite(new).all():
                bad = int(np.flatnonzero(~np.isfinite(new).all(axis=1))[0])
                error = DivergenceError(k + 1, bad, bad, x[bad].copy(), (1.0 - end) / n_steps, "Use a larger n_steps.")
                explain(error, score, x, "use a larger n_steps", t=t)
                raise error
            x, done = new, k + 1
        if denoise:
            x = (x + schedule.std(end) ** 2 * evaluate(score, x, end)) / schedule.scale(end)
    return Reversed(x, times, seed)


def _in_time(network: ScoreNetwork, schedule: Schedule) -> ScoreFunction:
    # x(t)/scale is x(0) with noise of standard deviation std/scale
    def score(x: np.ndarray, t: float) -> np.ndarray:
        scale = schedule.scale(t)
        return -build(network, schedule.std(t) / scale).gradient(x / scale) / scale

    return score


def _sde_step(score: Any, schedule: Schedule, x: np.ndarray, t: float, after: float, seed: int, k: int) -> np.ndarray:
    h, g = t - after, schedule.diffusion(t)
    drift = g * g * evaluate(score, x, t) - schedule.drift(t) * x
    return x + h * drift + math.sqrt(h) * g * _normals("thermal", seed, x, k * x.shape[1])


def _ode_step(score: Any, schedule: Schedule, x: np.ndarray, t: float, after: float) -> np.ndarray:
    def slope(x: np.ndarray, t: float) -> np.ndarray:
        return schedule.drift(t) * x - 0.5 * schedule.diffusion(t) ** 2 * evaluate(score, x, t)

    first = slope(x, t)
    return x + 0.5 * (after - t) * (first + slope(x + (after - t) * first, after))


def _normals(tag: str, seed: int, like: np.ndarray, start: int) -> np.ndarray:
    n, dim = like.shape
    return draw(tag, seed, np.arange(n, dtype=np.uint64), start, dim, like.dtype.type)


def _points(name: str, x: ArrayLike) -> np.ndarray:
    return checks.finite_array(name, x, shape=(None, None))


def _time(name: str, t: float) -> float:
    value = checks.non_negative(name, t)
    if value > 1.0:
        raise ValueError(f"{name}={t!r} is not allowed: time goes from 0 to 1")
    return value
