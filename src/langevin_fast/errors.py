"""The package's own errors and warnings. Wrong arguments are ``ValueError`` or ``TypeError``.

Whatever stops a run (an error of these, Ctrl-C, an exception of the user's) carries what was computed: ``.trajectory``
and ``.observers``.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .trajectory import Trajectory

__all__ = ["AuditError", "BackendUnavailableError", "CheckpointError", "DivergenceError", "Interrupted"]


class BackendUnavailableError(RuntimeError):
    """A backend was asked for that cannot run here; the message says what is missing and how to install it."""


class AuditError(RuntimeError):
    """Something that was computed twice had other bits the second time: a machine is broken."""


class CheckpointError(RuntimeError):
    """A file of a run (a checkpoint, or what a reporter writes) cannot be written or continued.

    The message names it and says why: it is damaged or in use, belongs to another run, or the disk is full. The
    simulation stays usable.
    """


class DivergenceError(ArithmeticError):
    """A position or velocity became infinite or NaN.

    The simulation stays usable: it stands at the step before, at which every particle was finite.

    Attributes
    ----------
    step : int
        Number of the first step after which a particle was not finite.
    particle : int
        The lowest-numbered particle of those that diverged at that step.
    stream : int
        Its noise stream: ``streams=[stream]`` reruns it alone.
    last_position : ndarray of shape (dim,)
        Where it was one step before, in length units.
    step_size : float
        Its step size, in time units.
    path : ndarray of shape (k, dim)
        Where it was after each of the last steps, up to ten of them, `last_position` being the last.
    trajectory : Trajectory or None
        The frames stored before that step, and the state there. A pickled error has none where its potential (made of
        functions, say) cannot be pickled.
    observers : tuple
        What was recorded, up to there.
    """

    trajectory: Trajectory | None = None
    observers: tuple[Any, ...] = ()

    def __init__(
        self,
        step: int,
        particle: int,
        stream: int,
        last_position: np.ndarray,
        step_size: float,
        advice: str | None = None,
        path: np.ndarray | None = None,
    ) -> None:
        self.step = step
        self.particle = particle
        self.stream = stream
        self.last_position = last_position
        self.step_size = step_size
        self.advice = advice or 'Use a smaller step_size, or on_divergence="freeze" to let the other particles go on.'
        self.path = last_position[np.newaxis] if path is None else path
        super().__init__(step, particle, stream, last_position, step_size, advice, path)

    def __str__(self) -> str:
        where = np.array2string(np.asarray(self.last_position), threshold=6, precision=6)
        with np.errstate(over="ignore"):
            sizes = np.abs(self.path).max(axis=1)
        left = ""
        if len(sizes) > 1:
            left = f", after |x| = {', '.join(f'{size:.3g}' for size in sizes)} in the last {len(sizes)} steps"
        return (
            f"particle {self.particle} (stream {self.stream}) is not finite after step {self.step}; its last finite "
            f"position was {where} with step_size={self.step_size:g}{left}. {self.advice}"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # without what would keep the error from crossing the border of a process pool
        state = self.__dict__.copy()
        try:
            pickle.dumps([getattr(self.trajectory, name, None) for name in ("potential", "scheme", "observers")])
        except Exception:
            state["trajectory"] = None
        try:
            pickle.dumps(self.observers)
        except Exception:
            state["observers"] = ()
        return type(self), self.args, state


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run; nothing computed is lost.

    Attributes
    ----------
    trajectory : Trajectory or None
        The frames stored so far, and ``.final``, the state at the last complete step (of ``lf.score.reverse``: what it
        returns, so far). None before the first step.
    observers : tuple
        What was recorded.
    step : int
        The last complete step.
    result : object or None
        Of a calculation of :mod:`langevin_fast.rare`: its result as far as it has come; the call can be repeated to go
        on. None where nothing is complete, and for other runs.
    """

    def __init__(self, trajectory: Any, observers: Sequence[Any] = (), step: int = 0, result: Any = None) -> None:
        self.trajectory = trajectory
        self.observers = tuple(observers)
        self.step = step
        self.result = result
        super().__init__(trajectory, self.observers, step, result)

    def __str__(self) -> str:
        if self.result is not None:
            return f"interrupted; .result holds what was computed so far: {self.result!r}"
        if self.trajectory is None:
            return "interrupted before anything was complete"
        return f"interrupted after step {self.step}; .trajectory holds what was computed so far"


class carrying:  # noqa: N801  used like a function
    """Whatever stops what is done in here leaves with what was computed: a trajectory, observers, and the last step.

    Ctrl-C becomes :class:`Interrupted`; every other exception is raised as it is, with ``.trajectory`` and
    ``.observers``.
    """

    def __init__(self, computed: Callable[[], tuple[Any, Sequence[Any], int]]) -> None:
        self._computed = computed

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, Interrupted):
            return
        trajectory, observers, step = self._computed()
        carried = hasattr(error, "trajectory")  # by a run within this one
        if isinstance(error, KeyboardInterrupt):
            interrupted = Interrupted(trajectory, observers, step)
            for note in getattr(error, "__notes__", ()):
                interrupted.add_note(note)
            raise interrupted from None
        with suppress(AttributeError):  # an exception of the user's may refuse attributes
            error.trajectory = trajectory  # type: ignore[attr-defined]
            error.observers = tuple(observers)  # type: ignore[attr-defined]
            if not isinstance(error, DivergenceError) and not carried:
                error.add_note(f"the run stopped after step {step}; .trajectory of this error holds what was computed")


def add_note_once(error: BaseException, failed: Exception) -> None:
    """Say in an error what else went wrong, unless it says so already."""
    note = str(failed) if isinstance(failed, CheckpointError) else f"{type(failed).__name__}: {failed}"
    if note not in (str(error), *getattr(error, "__notes__", ())):
        error.add_note(note)


def warn(message: str) -> None:
    """A UserWarning at the line that called the package."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(f"{__package__}."):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, UserWarning, stacklevel=level)
