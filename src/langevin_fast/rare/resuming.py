"""Calculations that Ctrl-C does not undo: what is complete is kept, and the same call goes on from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .. import checks
from ..errors import Interrupted


class Resumable:
    """The pieces of a calculation, each of which is made once.

    A calculation is a function of its arguments and its seed, and what lies between the pieces takes no time: so it is
    gone through again, with the pieces that are there already.
    """

    def __init__(self) -> None:
        self._call: Any = None
        self._seed = 0
        self._made: list[Any] = []
        self._underway: tuple[int, Any] | None = None
        self._next = 0

    @contextmanager
    def calculation(self, arguments: Any, seed: int | None, so_far: Callable[[], Any]) -> Iterator[int]:
        """What is calculated in here goes on after Ctrl-C when the same is asked for; gives the seed.

        Ctrl-C becomes :class:`langevin_fast.Interrupted` with ``so_far()`` as its result.
        """
        call = arguments, None if seed is None else checks.seed(seed)
        if call != self._call:
            self._call, self._seed, self._made, self._underway = call, checks.seed(seed), [], None
        self._next = 0
        try:
            yield self._seed
        except KeyboardInterrupt:
            raise Interrupted(None, result=so_far()) from None
        except BaseException:
            self._forget()
            raise
        self._forget()

    def _forget(self) -> None:
        self._call, self._made, self._underway = None, [], None

    def piece(self, begin: Callable[[], Any], go_on: Callable[[Any], Any]) -> Any:
        """The next piece: ``go_on(begin())``, where `go_on` may be interrupted and called again."""
        i = self._next
        if i == len(self._made):
            if self._underway is None or self._underway[0] != i:
                self._underway = i, begin()
            self._made.append(go_on(self._underway[1]))
        self._next = i + 1
        return self._made[i]
