"""Particles in parts, and the tasks that they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import checks
from ..potentials.base import Potential

if TYPE_CHECKING:
    from distributed import Client

_SMALLEST_PART = 64  # particles: a few groups


def check_client(client: Any) -> None:
    """Raise ImportError or TypeError where it cannot be one."""
    try:
        from distributed import Client
    except ImportError:
        raise ImportError("lf.distributed needs Dask: pip install 'langevin-fast[dask]'") from None
    if not isinstance(client, Client):
        raise TypeError(f"client must be a distributed.Client; got {checks.shorten(client)}")


def parts_of(n: int, most: int, batch: int = 1) -> list[np.ndarray]:
    """The numbers of the particles of each part, about `most` parts: some batches each, or a part of one."""
    size = max(_SMALLEST_PART, -(-n // most))
    block = max(size // batch, 1) * batch
    if batch <= size:
        size = block
    return [
        np.arange(first, min(first + size, start + block, n))
        for start in range(0, n, block)
        for first in range(start, min(start + block, n), size)
    ]


@contextmanager
def cancelled(client: Any, futures: list[Any]) -> Iterator[None]:
    """Whatever happens in here, no work goes on for nobody."""
    try:
        yield
    finally:
        client.cancel(futures)


def check_levels(potential: Potential, used: Iterable[str]) -> None:
    """See that the instruction-set levels that workers used give the same bits."""
    levels = set(used)
    if not potential.same_bits_everywhere and len(levels) > 1:
        raise RuntimeError(
            f"workers have different instruction-set levels, {sorted(levels)}, on which the bits of a network differ: "
            "set LANGEVIN_FAST_ISA on all of them"
        )


class Held:
    """What the tasks of one worker share: it is sent there once, and what they make of it (compiled code) is kept.

    Parameters
    ----------
    value : object
    """

    def __init__(self, value: Any) -> None:
        self.value = value
        self._made: dict[Any, Any] = {}

    def made(self, key: Any, make: Callable[[Any], Any]) -> Any:
        """What was made of it under a key."""
        if key not in self._made:
            self._made[key] = make(self.value)
        return self._made[key]

    def __reduce__(self) -> Any:
        return Held, (self.value,)


def held(client: Client, value: Any) -> Any:
    """The future of it; a task, so that Dask makes it once more where the worker that had it is gone."""
    return client.submit(Held, value, pure=False)
