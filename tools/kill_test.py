"""Kill runs at random moments, let them go on, and see that nothing is lost and no bit is different.

    python tools/kill_test.py --times 200

Each of several runs (MALA and BAOAB; built-in, compiled and batch potentials; observers, walls, frames, reporters;
threads) is made once without interruption, and once more while its process is killed (SIGKILL) again and again, at
random moments, and started anew, until it is complete. A digest of state, observers, frames and files must then be the
same; a Zarr store must be whole after each kill, and its last frame one that can be made again. Every fifth time the
process is asked to end (SIGTERM) instead, and must leave its last step on the disk.

Then a disk fills up while a run writes to it, where this process may mount a small one (root, Linux): what was written
must be whole, and the run go on elsewhere, and on that disk when it has room. The exit status is 0 if all bits were
equal.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr

import langevin_fast as lf
from langevin_fast import observers

CORES = os.cpu_count() or 1
EQUAL = {True: "equal", False: "DIFFERENT"}


def energy(x: Any, k: float) -> Any:
    """A trap."""
    return 0.5 * k * (x[0] * x[0] + x[1] * x[1]) + 0.1 * x[0] * x[1]


def gradient(x: Any, out: Any, k: float) -> None:
    """Its gradient."""
    out[0] = k * x[0] + 0.1 * x[1]
    out[1] = k * x[1] + 0.1 * x[0]


def right(x: Any) -> Any:
    """A region."""
    return x[0] > 1.0


def digest(*arrays: Any) -> str:
    """Of the bytes of arrays."""
    total = hashlib.sha256()
    for array in arrays:
        if array is not None:
            total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def of_state(state: Any) -> str:
    """A digest of positions, velocities, counters and what observers hold."""
    seen = [array for observed in state.observed for array in observed.arrays]
    return digest(state.positions, state.velocities, state.accepted, state.diverged, *seen)


def simulated(make: Callable[[], lf.Simulation], n_steps: int) -> Callable[[Path, int], str]:
    """A run of a Simulation, from its checkpoint where there is one."""

    def run(path: Path, scale: int) -> str:
        simulation = lf.Simulation.load(path) if path.exists() else make()
        left = n_steps * scale - simulation.step
        simulation.run(left, checkpoint=path, checkpoint_every="20e-3 s")
        return of_state(simulation.state)

    return run


def reporters(path: Path) -> list[lf.reporters.Reporter]:
    """Files of frames and a log beside a checkpoint."""
    columns = ["time", "potential_energy", "temperature"]
    return [
        lf.reporters.Zarr(path.with_suffix(".0.zarr"), every=50, replay=True),
        lf.reporters.Zarr(path.with_suffix(".1.zarr"), every=100, when=lambda run: run.positions[0, 0] > 0),
        lf.reporters.StateLog(path.with_suffix(".csv"), every=500, columns=columns),
    ]


def files(path: Path) -> list[Any]:
    """What they hold; it must be whole."""
    stores = [whole(path.with_suffix(f".{i}.zarr")) for i in (0, 1)]
    log = path.with_suffix(".csv").read_bytes() if path.with_suffix(".csv").exists() else b""
    return [*(array for store in stores for array in store), log]


def warm(simulation: lf.Simulation) -> None:
    """A change of the run."""
    simulation.update(kT=1.5)


def reported(path: Path, scale: int) -> str:
    """A run with reporters; the files that its last process left must be whole."""
    files(path)
    simulation = (
        lf.Simulation.load(path)
        if path.exists()
        else lf.Simulation(
            lf.potentials.MullerBrown(0.1), lf.BAOAB(0.05, friction=1.0), n_particles=200, seed=5, threads=CORES
        )
    )
    change = lf.reporters.Callback(warm, steps=[10_000])
    left = 20_000 * scale - simulation.step
    simulation.run(left, checkpoint=path, checkpoint_every="20e-3 s", reporters=[*reporters(path), change])
    return digest(of_state(simulation.state).encode(), *files(path))


def whole(path: Path) -> list[Any]:
    """The arrays of a store, which must have one length and the frames in order."""
    if not path.exists():
        return []
    group = zarr.open_group(path, mode="r")
    x, v, step, time = (group[name][:] for name in ("x", "v", "step", "time"))
    assert len(x) == len(v) == len(step) == len(time)
    assert (np.diff(step) > 0).all() and np.isfinite(x).all() and (x != 0).all() and (np.diff(time) > 0).all()
    if group.attrs["replay"] and len(step):  # the last frame once more, from the one before it
        again = lf.open(path, threads=1).replay(17, slice(int(step[-1]) - 1, int(step[-1]) + 1))
        assert (again.positions[1, 0] == x[-1, 17]).all() and (again.velocities[1, 0] == v[-1, 17]).all()
    return [x, v, step, time]


def sampled(path: Path, scale: int) -> str:
    """A call of lf.sample, with frames and reporters."""
    files(path)
    run = lf.sample(
        lf.potentials.MullerBrown(0.1),
        lf.BAOAB(0.05, friction=1.0),
        n_steps=20_000 * scale,
        burn_in=2_000,
        stride=1000,
        n_particles=200,
        seed=4,
        threads=CORES,
        observers=[observers.Moments(every=10), observers.FirstPassage("x[1] > 1", on_arrival="stop")],
        checkpoint=path,
        checkpoint_every=1777,
        reporters=reporters(path),
    )
    return digest(run.positions, run.velocities, of_state(run.last).encode(), *files(path))


def batch_gradient(x: np.ndarray) -> np.ndarray:
    """Of a quartic well, for all particles at once."""
    return x**3 - x


RUNS: dict[str, Callable[[Path, int], str]] = {
    "MALA, double well, walls": simulated(
        lambda: lf.Simulation(
            lf.potentials.DoubleWell(2.0),
            lf.MALA(0.1),
            n_particles=300,
            initial=[-1.0],
            seed=1,
            boundary=lf.Reflecting(-2, None),
            observers=[
                observers.Histogram("x", range=(-2, 2)),
                observers.Transitions(["x < -0.5", "x > 0.5"], lag=10),
                observers.Autocorrelation("x", every=10),
                observers.Acceptance(),
            ],
        ),
        60_000,
    ),
    "BAOAB, Custom, restarts": simulated(
        lambda: lf.Simulation(
            lf.potentials.Custom(gradient=gradient, energy=energy, dim=2, k=lf.Schedule([0, 1e4], [1.0, 2.0])),
            lf.BAOAB(0.1, friction=1.0),
            n_particles=300,
            seed=2,
            threads=CORES,
            observers=[observers.FirstPassage(right, on_arrival="restart"), observers.Work()],
        ),
        60_000,
    ),
    "ULA, Batch, single precision": simulated(
        lambda: lf.Simulation(
            lf.potentials.Batch(gradient=batch_gradient, dim=1),
            lf.ULA(0.05),
            n_particles=50,
            seed=3,
            precision="single",
            observers=[observers.MeanSquaredDisplacement(every=5)],
        ),
        20_000,
    ),
    "lf.sample, Müller-Brown, frames, Zarr and CSV": sampled,
    "BAOAB, Müller-Brown, Zarr and CSV": reported,
}


def wait_for_news(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the checkpoint is another one, or the process is done."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    while process.poll() is None and (path.stat().st_mtime_ns if path.exists() else 0) == before:
        time.sleep(0.001)


def kill(name: str, times: int, scale: int, rng: random.Random) -> tuple[int, bool]:
    """Kill a run so many times, or until it is complete; how often that was, and whether the bits are equal."""
    with tempfile.TemporaryDirectory() as folder:
        whole, path = RUNS[name](Path(folder) / "whole.ckpt", scale), Path(folder) / "killed.ckpt"
        kills = 0
        while True:
            command = [sys.executable, __file__, "--run", name, "--path", str(path), "--scale", str(scale)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            if kills < times:
                assert process.stdout is not None
                process.stdout.readline()  # it begins
                if kills % 4:  # and has written something
                    wait_for_news(path, process)
                time.sleep(0.5 * rng.random() ** 2)
                gentle = kills % 5 == 4
                process.send_signal(signal.SIGTERM if gentle else signal.SIGKILL)
            output, _ = process.communicate()
            if process.returncode == 0:
                return kills, output.split()[-1] == whole
            if process.returncode not in (-signal.SIGKILL, -signal.SIGTERM):
                raise RuntimeError(f"{name} ended with {process.returncode}")
            kills += 1


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A disk of 2 MB of its own, or None where this process may not mount one."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder]
        if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
            yield None
            return
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


def fill() -> bool | None:
    """Let a disk fill up, then go on elsewhere, and on that disk; whether all bits are equal, None without a disk."""

    def start() -> lf.Simulation:
        return lf.Simulation(lf.potentials.MullerBrown(0.1), lf.BAOAB(0.05, friction=1.0), n_particles=50, seed=6)

    n_steps = 100_000  # 3 MB of frames
    with small_disk() as disk, tempfile.TemporaryDirectory() as folder:
        if disk is None:
            return None
        expected, other, path = Path(folder) / "a.ckpt", Path(folder) / "b.ckpt", disk / "a.ckpt"
        alone = start()
        alone.run(n_steps, reporters=reporters(expected))
        run = start()
        try:
            run.run(n_steps, checkpoint=path, checkpoint_every=2000, reporters=reporters(path))
            raise RuntimeError("the disk has room for all")
        except lf.CheckpointError as error:
            print(f"a disk of 2 MB: {error}")
        steps = files(path)[2]
        print(f"  it stands at step {run.step}; frames up to step {steps[-1]} are whole")
        run.run(n_steps - run.step, checkpoint=other, reporters=reporters(other))
        equal = of_state(run.state) == of_state(alone.state)
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        again = lf.Simulation.load(path)
        print(f"  with more room it goes on from step {again.step}")
        again.run(n_steps - again.step, checkpoint=path, reporters=reporters(path))
        return (
            equal
            and of_state(again.state) == of_state(alone.state)
            and digest(*files(path)) == digest(*files(expected))
        )


def main() -> int:
    """Kill all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=200, help="how many kills in all")
    parser.add_argument("--scale", type=int, default=8, help="how long the runs are")
    parser.add_argument("--only", choices=RUNS, help="one of the runs")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        print("begins", flush=True)
        print(RUNS[given.run](given.path, given.scale), flush=True)
        return 0
    rng = random.Random(given.seed)
    total, failed, names = 0, 0, [given.only] if given.only else list(RUNS)
    while total < given.times:
        for i, name in enumerate(names):
            kills, equal = kill(name, -(-(given.times - total) // (len(names) - i)), given.scale, rng)
            total, failed = total + kills, failed + (not equal)
            print(f"{name}: killed {kills} times, bits {EQUAL[equal]}", flush=True)
    if not given.only:
        equal = fill()
        failed += equal is False
        print("no disk that fills: mounting a small one needs root" if equal is None else f"  bits {EQUAL[equal]}")
    print(f"{total} kills, {failed} runs with other bits")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
