"""A table of what a run does, while it goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol, TextIO

import numpy as np

from .. import checks
from .._version import __version__
from ..checkpoints import flush_directory, path_of, replacing, uninterrupted
from ..errors import CheckpointError
from ..readings import Readings
from .base import Reporter
from .place import Place
from .triggers import Trigger

__all__ = ["StateLog"]


def _moving(simulation: Readings) -> np.ndarray:
    """Those that have not diverged."""
    return simulation.diverged < 0


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values, dtype=np.float64)) if values.size else np.nan


def _potential_energy(simulation: Readings) -> float:
    potential = simulation.stepper.beginning.problem.potential_after(simulation.step)
    return _mean(potential.energy(simulation.positions[_moving(simulation)]))


def _kinetic_energy(simulation: Readings) -> float:
    assert simulation.velocities is not None
    energies = 0.5 * (simulation.mass * np.square(simulation.velocities, dtype=np.float64)).sum(axis=1)
    return _mean(energies[_moving(simulation)])


def _temperature(simulation: Readings) -> float:
    return 2.0 * _kinetic_energy(simulation) / simulation.state.positions.shape[1]


def _acceptance(simulation: Readings) -> float:
    assert simulation.acceptance_rate is not None
    return _mean(simulation.acceptance_rate)


# What can be read of a state.
_READ: dict[str, Callable[[Readings], float]] = {
    "step": lambda simulation: simulation.step,
    "time": lambda simulation: _mean(np.asarray(simulation.time)),
    "potential_energy": _potential_energy,
    "kinetic_energy": _kinetic_energy,
    "temperature": _temperature,
    "acceptance": _acceptance,
}
# What is measured.
_SPEED, _LEFT = "ns_per_particle_step", "seconds_left"


class StateLog(Reporter):
    """Writes a line with the step, energies, temperature, speed and the time left.

    Parameters
    ----------
    path : path or text stream
        A file, which gets CSV: a line of comment (JSON after ``#``: what was run), the names of the columns, and
        numbers with all their digits; in a place where a log of this run is already, lines up to the present step are
        kept. Or a stream such as ``sys.stdout``, which gets an aligned table.
    every : int or str, optional
        At steps that are multiples of it; or a time such as "30 s".
    steps : sequence of int, optional
        At these steps, instead of `every`.
    when : callable, optional
        ``when(simulation)`` is asked at each of them, and must be true.
    columns : sequence of str, optional
        "step", "time" (of particles with step sizes of their own the mean), "potential_energy" and "kinetic_energy"
        (means of the particles that have not diverged), "temperature" (kT of the on-step velocities), "acceptance"
        (since the first step), "ns_per_particle_step" (since the last line) and "seconds_left" (of this run). "step"
        always comes first. Default: all that there are for the scheme and the potential.
    values : dict of str to callable, optional
        More columns: ``function(simulation)``, a number. Observers given to the simulation show what they have seen so
        far: ``{"mean x": lambda simulation: simulation.observers[0].pooled().mean[0]}``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not allowed.

    Examples
    --------
    >>> import sys, langevin_fast as lf
    >>> simulation = lf.Simulation(lf.potentials.Harmonic(1.0), lf.MALA(0.5), n_particles=1000, seed=1)
    >>> log = lf.reporters.StateLog(sys.stdout, every=50, columns=["potential_energy", "acceptance"])
    >>> simulation.run(100, reporters=[log])
          step  potential_energy  acceptance
            50          0.538694     0.91938
           100          0.526649     0.91892
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | TextIO,
        every: int | str | None = None,
        *,
        steps: Sequence[int] | None = None,
        when: Callable[[Any], object] | None = None,
        columns: Sequence[str] | None = None,
        values: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> None:
        to_stream = hasattr(path, "write")
        super().__init__(every, steps, when, None if to_stream else Place(path_of("path", path)))
        if columns is not None:
            if not isinstance(columns, (list, tuple)) or not columns:
                raise TypeError(f"columns must be a sequence of names; got {checks.shorten(columns)}")
            columns = [checks.one_of("columns", name, (*_READ, _SPEED, _LEFT)) for name in columns]
        self._columns = columns
        self._values = dict(values or {})
        for name, function in self._values.items():
            if not isinstance(name, str) or not callable(function):
                raise TypeError(f"values must be a dict of names and functions; got {name!r}: {function!r}")
            if name in (*_READ, _SPEED, _LEFT) or not set(name).isdisjoint(',"\r\n'):
                raise ValueError(f"values: {name!r} is the name of a column already, or has a comma, quote or newline")
        self._sink: _Sink = _Table(path) if self._place is None else _CsvFile(self._place)
        self._names: list[str] = []
        self._end = 0
        self._first: tuple[int, float] = (0, 0.0)  # step and time where the run begins,
        self._last: tuple[int, float] = (0, 0.0)  # and at the last line

    def begin(self, simulation: Readings, first: int, end: int) -> None:
        """Make the file, or cut it back to the present step."""
        super().begin(simulation, first, end)
        missing = {
            "potential_energy": not simulation.potential.has_energy,
            "kinetic_energy": simulation.state.velocities is None,
            "temperature": simulation.state.velocities is None,
            "acceptance": not simulation.scheme.metropolised,
        }
        for name in self._columns or ():
            if missing.get(name):
                raise ValueError(
                    f"columns: there is no {name!r} of {simulation.potential!r} with {simulation.scheme!r}"
                )
        wanted = self._columns or [name for name in (*_READ, _SPEED, _LEFT) if not missing.get(name)]
        self._names = ["step", *(name for name in wanted if name != "step"), *self._values]
        self._end = end
        self._sink.begin(self._names, simulation, first, self._trigger)
        self._first = self._last = simulation.step, time.perf_counter()

    def report(self) -> None:
        """Write a line."""
        simulation, now = self._simulation, (self._simulation.step, time.perf_counter())
        if self._values:
            simulation.show_observers()
        steps, seconds = now[0] - self._last[0], now[1] - self._last[1]
        done, elapsed = now[0] - self._first[0], now[1] - self._first[1]
        measured = {
            _SPEED: 1e9 * seconds / (max(steps, 1) * simulation.n_particles),
            _LEFT: elapsed / max(done, 1) * (self._end - now[0]),
        }
        row = []
        for name in self._names:
            if name in self._values:
                row.append(_number(name, self._values[name](simulation)))
            else:
                row.append(measured[name] if name in measured else _READ[name](simulation))
        with uninterrupted():
            self._sink.write(row, simulation)
            self._last, self._asked = now, simulation.step

    def on_disk(self) -> None:
        """See that all lines so far are on the disk."""
        super().on_disk()
        self._sink.on_disk()

    def end(self) -> None:
        """The run is over."""
        self._sink.end()


def _number(name: str, value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise TypeError(f"values: {name!r} gave {checks.shorten(value)}; it must be a number")
    return array.item()


class _Sink(Protocol):
    """Takes lines."""

    def begin(self, names: Sequence[str], simulation: Readings, first: int, trigger: Trigger) -> None:
        """A run begins."""

    def write(self, row: Sequence[float], simulation: Readings) -> None:
        """One line."""

    def on_disk(self) -> None:
        """See that all lines are where they stay."""

    def end(self) -> None:
        """A run is over."""


class _Table:
    """Aligned columns on a stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._names: list[str] = []

    def begin(self, names: Sequence[str], simulation: Readings, first: int, trigger: Trigger) -> None:
        self._names = ["time_left" if name == _LEFT else name for name in names]
        self._line(self._names)

    def write(self, row: Sequence[float], simulation: Readings) -> None:
        shown = [
            _clock(value) if name == "time_left" else f"{value:d}" if isinstance(value, int) else f"{value:.6g}"
            for name, value in zip(self._names, row, strict=True)
        ]
        self._line(shown)

    def _line(self, cells: Sequence[str]) -> None:
        widths = (max(len(name), 10) for name in self._names)
        self._stream.write("  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)) + "\n")
        self._stream.flush()

    def on_disk(self) -> None:
        pass

    def end(self) -> None:
        pass


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class _CsvFile:
    """Lines of a file, behind those up to the present step.

    Lines of comment say what made the numbers after them: the first one, and one wherever the run was changed.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._size = 0  # of what stays
        self._identity: object = None  # of the last comment
        self._new = False  # since it was last on the disk

    def begin(self, names: Sequence[str], simulation: Readings, first: int, trigger: Trigger) -> None:
        with self._place.held():
            if self._place.path.exists() and self._place.path.stat().st_size:
                self._cut(names, simulation, trigger)
                return
            begins = max(simulation.step, first)
            self._size, self._identity = 0, self._place.identities(simulation.stepper, begins)[-1][1]
            told = {
                "langevin_fast": __version__,
                "seed": simulation.seed,
                "potential": repr(simulation.potential),
                "scheme": repr(simulation.scheme),
                "run": self._identity,
                "begins": begins,
            }
            content = f"# {json.dumps(told)}\n{','.join(names)}\n".encode()
            with replacing(self._place.path) as file:
                file.write(content)
            self._size, self._new = len(content), True

    def _cut(self, names: Sequence[str], simulation: Readings, trigger: Trigger) -> None:
        """Keep the lines up to the present step."""
        with open(self._place.path, "rb") as file:
            comment, heading = file.readline(), file.readline()
            try:
                told = _told(comment)
                begins = int(told["begins"])
            except (ValueError, LookupError, TypeError):
                raise CheckpointError(
                    f"{str(self._place.path)!r} is no log of lf.reporters.StateLog: choose another path, or remove it"
                ) from None
            if heading.decode(errors="replace").rstrip() != ",".join(names):
                raise CheckpointError(f"{str(self._place.path)!r} has other columns: choose another path, or remove it")
            read = self._size = len(comment) + len(heading)
            identity, last = told["run"], -1
            self._identity = identity
            for line in file:
                read += len(line)
                if line.startswith(b"#"):  # of the lines that follow
                    try:
                        identity = _told(line)["run"]
                    except (ValueError, LookupError, TypeError):
                        break
                    continue
                step = line.partition(b",")[0].strip()
                # the last line may have been cut short
                if not line.endswith(b"\n") or not step.isdigit() or int(step) > simulation.step:
                    break
                self._size, self._identity, last = read, identity, int(step)
        self._place.check(simulation, trigger, self._identity, begins, last)
        self._append("")

    def write(self, row: Sequence[float], simulation: Readings) -> None:
        _, identity = self._place.identities(simulation.stepper, simulation.step)[-1]
        told = "" if identity == self._identity else f"# {json.dumps({'run': identity})}\n"
        with self._place.writing():
            self._append(told + ",".join(map(repr, row)) + "\n")
        self._identity = identity

    def _append(self, text: str) -> None:
        """Put it behind what stays."""
        content = text.encode()
        with open(os.open(self._place.path, os.O_RDWR), "r+b", buffering=0) as file:
            file.truncate(self._size)
            file.seek(self._size)
            try:
                _write_all(file, content)
            except OSError:
                with suppress(OSError):
                    file.truncate(self._size)  # no half line
                raise
        self._size, self._new = self._size + len(content), True

    def on_disk(self) -> None:
        if self._new:
            with self._place.writing():
                with open(self._place.path, "r+b") as file:
                    os.fsync(file.fileno())
                flush_directory(self._place.path.parent)
            self._new = False

    def end(self) -> None:
        self._place.let_go()


def _told(comment: bytes) -> dict[str, Any]:
    """What a line of comment says."""
    return json.loads(comment.removeprefix(b"# "))


def _write_all(file: Any, content: bytes) -> None:
    """All of it, which may take several turns."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]
