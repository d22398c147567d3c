"""How things are timed: in turn, in one process, and the fastest of several repeats counts.

A ratio of two such times holds on a noisy machine; the times themselves hold on this machine alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

Key = TypeVar("Key")
Work = Callable[[int], object]  # does so many steps


def seconds(work: Work, n_steps: int) -> float:
    start = time.perf_counter()
    work(n_steps)
    return time.perf_counter() - start


def steps_for(work: Work, duration: float) -> int:
    """How many steps take about `duration` seconds; finding out warms everything up."""
    n_steps = 1
    work(1)
    while True:
        elapsed = seconds(work, n_steps)
        if elapsed >= 0.3 * duration:
            return max(1, round(n_steps * duration / elapsed))
        n_steps *= max(2, min(32, math.ceil(0.5 * duration / max(elapsed, 1e-9))))


def seconds_per_step(
    works: Mapping[Key, Work], duration: float = 0.02, repeats: int = 40, least_steps: int = 1
) -> dict[Key, float]:
    """The least time per step of each, run one after the other `repeats` times, each for about `duration` seconds."""
    n_steps = {key: max(least_steps, steps_for(work, duration)) for key, work in works.items()}
    best = dict.fromkeys(works, math.inf)
    for _ in range(repeats):
        for key, work in works.items():
            best[key] = min(best[key], seconds(work, n_steps[key]) / n_steps[key])
    return best
