"""Score functions: any callable from (n, dim) positions to (n, dim), perhaps of the noise level or time too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checks
from ..errors import DivergenceError
from ..potentials.batch import Batch

ScoreFunction = Callable[..., Any]


def evaluate(score: ScoreFunction, x: np.ndarray, *level: float, name: str = "score") -> np.ndarray:
    """The values of a score, in the shape and precision of x; errors call it `name`.

    A module of PyTorch is given a tensor of the type and on the device of its parameters.
    """
    if not callable(score):
        raise TypeError(f"{name} must be callable; got {checks.shorten(score)}")
    result = np.asarray(_evaluate_module(score, x, *level) if _is_module(score) else score(x, *level), dtype=x.dtype)
    if result.shape != x.shape:
        raise ValueError(f"{name} must return an array of the shape {x.shape} of its argument; got {result.shape}")
    return result


def explain(error: DivergenceError, score: ScoreFunction, x: np.ndarray, remedy: str, **level: float) -> None:
    """Have an error say that a score is not finite where its particle last was, if that is so.

    Parameters
    ----------
    error : DivergenceError
    score : callable
    x : (n, dim) array
        Positions at the last step at which all were finite.
    remedy : str
        Against steps that are too large.
    **level : float
        What else the score is told, by its name in the message.
    """
    try:
        with np.errstate(all="ignore"):
            value = evaluate(score, x, *level.values())[error.particle]
    except Exception:  # of the user's function, which cannot be asked then
        return
    if not np.isfinite(value).all():
        told = ", ".join(f"{name}={number:.6g}" for name, number in level.items())
        error.advice = (
            f"There the score returned {np.array2string(value, threshold=6, precision=6)}, for {told}: correct it, or "
            f"{remedy} if too large steps led so far."
        )


def _is_module(score: object) -> bool:
    return any(base.__module__.startswith("torch.nn") for base in type(score).__mro__)


def _evaluate_module(score: Any, x: np.ndarray, *level: float) -> np.ndarray:
    import torch

    like = next(score.parameters(), torch.empty(0, dtype=torch.float64))
    with torch.no_grad():
        return score(torch.tensor(x, dtype=like.dtype, device=like.device), *level).cpu().numpy()


class Score(Batch):
    """The potential whose force at kT = 1 is a given score: any callable, or a module of PyTorch.

    There is no energy, so MALA cannot be used. Each step calls the score once for all particles. A
    :class:`ScoreNetwork` runs in the compiled loop instead: use its method ``potential``.

    Parameters
    ----------
    score : callable
        Maps (n, dim) positions to (n, dim).
    dim : int
        Number of components, >= 1.
    sigma : float, optional
        With it, the score is called as ``score(x, sigma)``.

    Raises
    ------
    TypeError, ValueError
        An argument is not allowed. While running: what the score returns has another shape than the positions.

    Examples
    --------
    >>> Score(lambda x: -x, dim=2).gradient([[1.0, 2.0]])
    array([[1., 2.]])
    """

    def __init__(self, score: ScoreFunction, dim: int, *, sigma: float | None = None) -> None:
        if not callable(score):
            raise TypeError(f"score must be callable; got {checks.shorten(score)}")
        level = () if sigma is None else (checks.positive("sigma", sigma),)

        def gradient(x: np.ndarray) -> npt.NDArray[Any]:
            return -evaluate(score, x, *level)

        super().__init__(gradient=gradient, dim=dim)
