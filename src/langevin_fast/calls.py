"""A call of lf.sample: the burn-in, then the steps that are observed, from their beginning or from a checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from .backends.problem import Recording
from .checkpoints import Contents, FramesFile, Keeper, differences_of_runs, path_of, unpacked
from .checkpoints.recipes import Packer, array_of
from .errors import CheckpointError, carrying
from .observers import Frames, Observer, Watching
from .progress import Progress
from .reporters import Reporter, Reporting
from .simulation import Simulation
from .stepping import Seam
from .trajectory import Trajectory


class Call:
    """What a call does.

    Parameters
    ----------
    simulation : Simulation
        At its first state.
    watching : Watching
        What looks after the burn-in, the frames of the call first.
    burn_in, n_steps : int
    observers : sequence of observers
        Those of the user.
    reporters : sequence of reporters
        They report states after the burn-in.
    """

    def __init__(
        self,
        simulation: Simulation,
        watching: Watching,
        burn_in: int,
        n_steps: int,
        observers: Sequence[Observer | Frames],
        reporters: Sequence[Reporter],
    ) -> None:
        watching.check(simulation.stepper.run, simulation.state, n_steps)
        self._simulation, self._watching = simulation, watching
        self._burn_in, self._n_steps = burn_in, n_steps
        self._observers = tuple(observers)
        end = burn_in + n_steps
        self._reporting = Reporting.of(reporters, simulation, burn_in, end, len(watching.frames))
        self._before = simulation.state  # from which acceptances count
        self._recordings: list[Recording] | None = None
        self._files: list[FramesFile] = []

    def complete(self, progress: bool | None, keeper: Keeper | None = None) -> Trajectory:
        """Make the steps that are left."""
        reporting = self._reporting
        seams: list[Seam] = [seam for seam in (reporting, keeper) if seam is not None]
        simulation, end = self._simulation, self._burn_in + self._n_steps
        bar = Progress.of(progress, end - simulation.step)
        with carrying(lambda: (self._trajectory(), self._watching.all, simulation.step)):
            with bar as shown, keeper or nullcontext(), reporting or nullcontext():
                if self._recordings is None:
                    simulation.make_steps(self._burn_in - simulation.step, shown, seams)
                    self._before = simulation.state
                    self._recordings = simulation.observe(self._watching, self._n_steps)
                simulation.make_steps(end - simulation.step, shown, seams, self._recordings)
            result = self._trajectory()
            result.warn_of_acceptance(self._n_steps)
        return result

    def keep(self, checkpoint: Any, every: int | str, stored: Contents | None) -> Keeper | None:
        """Who keeps its checkpoint, having gone to where the one that there is stands; nobody, if it is complete."""
        path = path_of("checkpoint", checkpoint)
        self._files = [FramesFile(path.with_name(f"{path.name}.frames{i}")) for i in range(len(self._watching.frames))]
        if stored is not None:
            self._resume(stored)
            if self._simulation.step == self._burn_in + self._n_steps and self._recordings is not None:
                return None
        return Keeper(path, every, self._simulation.stepper, self._watching.observers, self._arguments, self._told)

    def _trajectory(self) -> Trajectory:
        begun = [frames for frames in self._watching.frames[:1] if frames.begun]
        own = begun[0] if begun and begun[0] not in self._observers else None
        return Trajectory.of(self._simulation.stepper, own, self._before, self._observers)

    # --- checkpoints

    @property
    def _arguments(self) -> dict[str, Any]:
        """What belongs to the run from its first step on; `n_steps` does not, it may grow."""
        frames = [[f.every, f.start] for f in self._watching.frames]
        return {"burn_in": self._burn_in, "frames": frames}

    def _told(self, pack: Packer) -> dict[str, Any]:
        """What a checkpoint holds besides; the frames are on the disk before it is."""
        state = self._simulation.state
        if self._reporting is not None:
            self._reporting.on_disk(pack)
        if self._recordings is None:
            return {"before": None, "frames": []}
        for file, recording in zip(self._files, self._recordings, strict=True):
            file.append(recording, state.step)
        return {"before": pack.node(self._before.accepted), "frames": [file.told for file in self._files]}

    def _resume(self, stored: Contents) -> None:
        """Go to where a checkpoint stands."""
        simulation, watching, header = self._simulation, self._watching, stored.header
        found = differences_of_runs(stored, simulation.stepper)
        found += [
            f"{name}={value}; in the file {header['call'].get(name)}"
            for name, value in self._arguments.items()
            if header["call"].get(name) != value
        ]
        beginning = simulation.stepper.beginning
        if header["freeze"] and not beginning.freeze:
            found.append('on_divergence="raise"; in the file "freeze"')
        if header["step"] > self._burn_in + self._n_steps:
            found.append(f"n_steps={self._n_steps}; in the file {header['step'] - self._burn_in} were made")
        if found:
            raise CheckpointError(f"{str(stored.path)!r} is that of a call with other arguments: {'; '.join(found)}")
        header["freeze"] = beginning.freeze  # a run that diverged may go on so
        stepper, _ = unpacked(stored, simulation.potential, watching.observers, beginning.backend, beginning.threads)
        if header["before"] is None:
            simulation.resume(stepper)
            return
        self._before = dataclasses.replace(
            simulation.state, step=self._burn_in, accepted=array_of(header["before"], stored.arrays)
        )
        walls = stepper.history.walls
        self._recordings = [frames.begin(self._before, self._n_steps, walls) for frames in watching.frames]
        for file, recording, told in zip(self._files, self._recordings, header["frames"], strict=True):
            file.read(recording, told)
        simulation.resume(stepper, watching)
