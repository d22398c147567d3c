r"""Objectives of score matching, for any score: a callable from (n, dim) positions to (n, dim).

All are half mean squares, up to a constant that does not depend on the score:

- explicit: :math:`\tfrac12 E|s(x) - \nabla\log p(x)|^2`, the Fisher divergence itself;
- implicit: :math:`E[\tfrac12 |s|^2 + \nabla\cdot s]` (A. Hyvärinen, J. Mach. Learn. Res. 6 (2005) 695);
- sliced: :math:`E[\tfrac12 (v\cdot s)^2 + v\cdot\nabla (v\cdot s)]`, v standard normal (Y. Song et al., UAI 2019);
- denoising: :math:`\tfrac12 E|s(x + \sigma\xi) + \xi/\sigma|^2`, whose minimum is the score of the density smoothed by
  N(0, sigma^2) (P. Vincent, Neural Comput. 23 (2011) 1661).

Implicit = explicit - E|grad log p|^2 / 2, where p s vanishes at infinity.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import checks
from ..noise import draw
from .functions import ScoreFunction, evaluate
from .network import ScoreNetwork

# Of the finite differences, relative to the size of a coordinate: errors of about 1e-10 of the third derivative.
_STEP = 1e-5


class Estimate(NamedTuple):
    """A mean over samples and its standard error."""

    value: float
    error: float


def _estimate(values: np.ndarray) -> Estimate:
    n = len(values)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(n)) if n > 1 else float("nan"))


def _samples(x: ArrayLike) -> np.ndarray:
    array = checks.finite_array("x", x)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"x must have the shape (n, dim); got {array.shape}")
    return array


def explicit(score: ScoreFunction, x: ArrayLike, target: ScoreFunction) -> Estimate:
    """Explicit score matching against another score, for example that of a :class:`KernelDensity`.

    Parameters
    ----------
    score, target : callable
        (n, dim) to (n, dim).
    x : (n, dim) array
        Samples of p.

    Returns
    -------
    Estimate
    """
    points = _samples(x)
    return _estimate(0.5 * np.square(evaluate(score, points) - evaluate(target, points, name="target")).sum(axis=1))


def implicit(
    score: ScoreFunction, x: ArrayLike, *, divergence: Callable[[np.ndarray], np.ndarray] | None = None
) -> Estimate:
    """Hyvärinen's implicit score matching.

    Parameters
    ----------
    score : callable
        (n, dim) to (n, dim).
    x : (n, dim) array
        Samples of p.
    divergence : callable, optional
        (n, dim) to (n,), the trace of the score's Jacobian. Default: central differences, 2 dim calls of `score`.

    Returns
    -------
    Estimate
    """
    points = _samples(x)
    s = evaluate(score, points)
    if divergence is not None:
        trace = np.asarray(divergence(points), dtype=float)
        if trace.shape != points.shape[:1]:
            raise ValueError(f"divergence must return {points.shape[:1]} numbers; got {trace.shape}")
    else:
        trace = np.zeros(len(points))
        for c in range(points.shape[1]):
            direction = np.zeros(points.shape)
            direction[:, c] = 1.0
            trace += _directional(score, points, direction)[:, c]
    return _estimate(0.5 * np.square(s).sum(axis=1) + trace)


def sliced(score: ScoreFunction, x: ArrayLike, *, n_slices: int = 1, seed: int = 0) -> Estimate:
    """Sliced score matching: the trace by Hutchinson's estimate along random directions.

    Parameters
    ----------
    score : callable
        (n, dim) to (n, dim).
    x : (n, dim) array
        Samples of p.
    n_slices : int
        Directions per sample, >= 1; each takes two calls of `score`.
    seed : int
        Of the directions.

    Returns
    -------
    Estimate
    """
    points = _samples(x)
    n_slices = checks.integer("n_slices", n_slices, 1)
    s = evaluate(score, points)
    values = np.zeros(len(points))
    for v in _normals(seed, points.shape, n_slices):
        curvature = (_directional(score, points, v) * v).sum(axis=1)
        values += 0.5 * np.square((v * s).sum(axis=1)) + curvature
    return _estimate(values / n_slices)


def denoising(
    score: ScoreFunction | ScoreNetwork,
    x: ArrayLike,
    sigma: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    n_noise: int = 1,
    seed: int = 0,
) -> Estimate:
    """Denoising score matching with Gaussian noise.

    Parameters
    ----------
    score : callable or ScoreNetwork
        For one noise level ``score(x)``; for several ``score(x, sigma)``. A network with noise levels is told `sigma`
        in either case.
    x : (n, dim) array
        Samples of p.
    sigma : float or (L,) array
        Standard deviations of the noise, > 0, in length units. A number is one level, a list several, even a list of
        one.
    weights : (L,) array, optional
        Of the levels, >= 0; the result is the weighted sum. Default: 1 for one level, sigma^2 / L for several, which
        makes them of the same size (Y. Song, S. Ermon, NeurIPS 2019).
    n_noise : int
        Noise vectors per sample and level, >= 1.
    seed : int
        Of the noise.

    Returns
    -------
    Estimate
    """
    points = _samples(x)
    levels = checks.positive_array("sigma", sigma)
    if levels.ndim > 1:
        raise ValueError(f"sigma must be a number or a list of them; got the shape {levels.shape}")
    n_noise = checks.integer("n_noise", n_noise, 1)
    several = levels.ndim == 1
    flat = levels.reshape(-1)
    if weights is None:
        w = flat**2 / len(flat) if several else np.ones(1)
    else:
        w = checks.finite_array("weights", weights, shape=flat.shape)
        if (w < 0).any():
            raise ValueError(f"weights={checks.shorten(weights)} is not allowed: they must be >= 0")
    normals = _normals(seed, points.shape, len(flat) * n_noise)
    told = several or _has_levels(score)
    values = np.zeros(len(points))
    for i, (level, weight) in enumerate(zip(flat.tolist(), w.tolist(), strict=True)):
        for xi in normals[i * n_noise : (i + 1) * n_noise]:
            s = evaluate(score, points + level * xi, *((level,) if told else ()))
            values += weight * 0.5 * np.square(s + xi / level).sum(axis=1)
    return _estimate(values / n_noise)


def denoise(score: ScoreFunction | ScoreNetwork, y: ArrayLike, sigma: float) -> np.ndarray:
    r"""The mean of x given y = x + sigma xi: Tweedie's formula, :math:`y + \sigma^2 s(y)`.

    With s the score of the smoothed density this is the best denoising autoencoder (B. Efron, J. Am. Stat. Assoc. 106
    (2011) 1602).

    Parameters
    ----------
    score : callable or ScoreNetwork
        (n, dim) to (n, dim). A network with noise levels is told `sigma`.
    y : (n, dim) array
        Noisy positions.
    sigma : float
        > 0.

    Returns
    -------
    (n, dim) array
    """
    points, sigma = _samples(y), checks.positive("sigma", sigma)
    return points + sigma**2 * evaluate(score, points, *((sigma,) if _has_levels(score) else ()))


def _has_levels(score: object) -> bool:
    return isinstance(score, ScoreNetwork) and score.sigmas is not None


def _directional(score: ScoreFunction, x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The derivative of a score along v, by central differences."""
    h = _STEP * np.maximum(1.0, np.abs(x).max(axis=1, keepdims=True))
    return (evaluate(score, x + h * v) - evaluate(score, x - h * v)) / (2.0 * h)


def _normals(seed: int, shape: tuple[int, int], count: int) -> np.ndarray:
    """(count, n, dim) normals: particle i's are those of stream i."""
    seed = checks.integer("seed", seed, 0, 2**64 - 1)
    n, dim = shape
    numbers = draw("other", seed, np.arange(n, dtype=np.uint64), 0, count * dim, np.float64)
    return np.ascontiguousarray(numbers.reshape(n, count, dim).swapaxes(0, 1))
