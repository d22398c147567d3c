"""Reporters of runs that are stopped: Ctrl-C at any line, functions that raise, disks that fail, other histories."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import stepping
from langevin_fast.reporters import store
from langevin_fast.reporters import zarr as zarr_reporter
from langevin_fast.reporters.store import Store

WELL = lf.potentials.DoubleWell(2.0)
BAOAB = lf.BAOAB(0.1, friction=1.0)
N_STEPS, BURN_IN = 60, 9
# Where Ctrl-C is to come.
ROOMS = tuple(
    str(Path(lf.__file__).parent / name)
    for name in ("reporters", "checkpoints", "stepping", "simulation", "calls", "errors")
)


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_reporter, "_MOST_HELD", 5)
    monkeypatch.setattr(store, "_LONGEST_CHUNK", 7)


def start(**given: Any) -> lf.Simulation:
    return lf.Simulation(**{"potential": WELL, "scheme": BAOAB, "n_particles": 5, "seed": 3, **given})


def cool(run: lf.Simulation) -> None:
    run.update(kT=0.5)


def files(folder: Path) -> list[lf.reporters.Reporter]:
    return [
        lf.reporters.Zarr(folder / "a.zarr", 3),
        lf.reporters.Zarr(folder / "b.zarr", 2, when=lambda run: run.step % 3 == 0),
        lf.reporters.StateLog(folder / "a.csv", 3, columns=["time", "potential_energy", "temperature"]),
    ]


def simulated(folder: Path, *more: lf.reporters.Reporter) -> lf.Simulation:
    """A run, from its checkpoint where there is one."""
    path = folder / "a.ckpt"
    run = lf.Simulation.load(path) if path.exists() else start()
    reporters = [*files(folder), lf.reporters.Callback(cool, steps=[20]), *more]
    run.run(N_STEPS - run.step, reporters=reporters, checkpoint=path, checkpoint_every=7)
    return run


def sampled(folder: Path, **more: Any) -> lf.Trajectory:
    """A call of lf.sample, likewise."""
    given = {"reporters": files(folder), "checkpoint": folder / "a.ckpt", "checkpoint_every": 7, **more}
    return lf.sample(WELL, BAOAB, n_particles=5, seed=3, n_steps=N_STEPS, burn_in=BURN_IN, stride=3, **given)


def content(folder: Path) -> dict[str, Any]:
    """All that readers see."""
    found: dict[str, Any] = {"a.csv": (folder / "a.csv").read_bytes()}
    for name in ("a.zarr", "b.zarr"):
        opened = Store.open(folder / name)
        found[name] = [opened.read(array, 0, opened.n).tobytes() for array in opened.arrays if array != "stream"]
    return found


class Interruption:
    """Ctrl-C at a line, counted from the beginning; 0: nowhere."""

    def __init__(self, at: int) -> None:
        self.at, self.lines = at, 0

    def __call__(self, frame: Any, event: str, argument: Any) -> Any:
        return self.line if frame.f_code.co_filename.startswith(ROOMS) else None

    def line(self, frame: Any, event: str, argument: Any) -> Any:
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                signal.raise_signal(signal.SIGINT)
        return self.line


@contextmanager
def traced(interruption: Interruption) -> Iterator[None]:
    before = sys.gettrace()
    sys.settrace(interruption)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any], tuple[int, dict[str, Any]]]:
    """How many lines a run takes, and what it leaves."""
    known: dict[Any, tuple[int, dict[str, Any]]] = {}

    def of(make: Any) -> tuple[int, dict[str, Any]]:
        if make not in known:
            folder, counter = tmp_path_factory.mktemp("whole"), Interruption(0)
            with traced(counter):
                make(folder)
            known[make] = counter.lines, content(folder)
        return known[make]

    return of


@pytest.mark.parametrize("make", [simulated, sampled])
@pytest.mark.parametrize("part", [*range(6), *(pytest.param(i, marks=pytest.mark.slow) for i in range(6, 60))])
def test_ctrl_c_at_any_line(part: int, make: Any, whole: Any, tmp_path: Path):
    """Whatever stood on the disk then is readable, and in the end it is what a run leaves that was let alone."""
    n, expected = whole(make)
    rng = np.random.default_rng(part)
    for line in rng.integers(part % 6 * n // 6, (part % 6 + 1) * n // 6, 2).tolist():
        folder = tmp_path / str(line)
        folder.mkdir()
        with pytest.raises(KeyboardInterrupt), traced(Interruption(max(line, 1))):
            make(folder)
        assert not list(folder.glob("*.lock")) and not list(folder.rglob(".*"))
        for path in folder.glob("*.zarr"):
            opened = Store.open(path)
            steps = opened.read("step", 0, opened.n)
            assert (np.diff(steps) > 0).all() and len(opened.read("x", 0, opened.n)) == opened.n
        make(folder)
        assert content(folder) == expected


def test_ctrl_c_and_on_with_the_same_simulation(tmp_path: Path, whole: Any):
    n, expected = whole(simulated)
    for line in np.random.default_rng(5).integers(n // 5, n, 4).tolist():
        folder, run = tmp_path / str(line), start()
        folder.mkdir()
        reporters = [*files(folder), lf.reporters.Callback(cool, steps=[20])]
        with suppress(KeyboardInterrupt), traced(Interruption(line)):
            run.run(N_STEPS, reporters=reporters, checkpoint=folder / "a.ckpt", checkpoint_every=7)
        run.run(N_STEPS - run.step, reporters=reporters, checkpoint=folder / "a.ckpt", checkpoint_every=7)
        assert content(folder) == expected


def test_ctrl_c_in_a_callback_is_no_state_to_go_on_from(tmp_path: Path, whole: Any):
    """It would not be called once more, and what it was to change would be missing."""

    def stop(run: lf.Simulation) -> None:
        raise KeyboardInterrupt

    with pytest.raises(lf.Interrupted) as stopped:
        simulated(tmp_path, lf.reporters.Callback(stop, steps=[17]))
    assert any("interrupted at step 17: no checkpoint" in note for note in stopped.value.__notes__)
    assert lf.Simulation.load(tmp_path / "a.ckpt").step == 14
    simulated(tmp_path)
    assert content(tmp_path) == whole(simulated)[1]


@pytest.mark.parametrize("kind", ["zarr", "csv"])
def test_no_checkpoint_counts_on_what_a_function_kept_from_being_written(kind: str, tmp_path: Path, whole: Any):
    def wrong(run: lf.Simulation) -> bool:
        if run.step == 24:
            raise ZeroDivisionError
        return True

    folder = tmp_path / "run"
    folder.mkdir()
    path, run = folder / f"x.{kind}", start()
    failing = {
        "zarr": lambda when: lf.reporters.Zarr(path, 3, when=when),
        "csv": lambda when: lf.reporters.StateLog(path, 3, columns=["temperature"], when=when),
    }[kind]
    with pytest.raises(ZeroDivisionError) as failed:
        run.run(60, reporters=[failing(wrong)], checkpoint=folder / "a.ckpt", checkpoint_every=20)
    assert any("lacks what was due at step 24" in note for note in failed.value.__notes__)
    assert len(failed.value.__notes__) == 2  # and where it stopped
    again = lf.Simulation.load(folder / "a.ckpt")
    assert again.step == 20
    again.run(40, reporters=[failing(lambda run: True)], checkpoint=folder / "a.ckpt")
    if kind == "csv":
        steps = [line.split(",")[0] for line in path.read_text().splitlines()[2:]]
    else:
        steps = [str(step) for step in Store.open(path).read("step", 0, Store.open(path).n)]
    assert steps == [str(step) for step in range(3, 61, 3)]


def test_a_callback_that_raises_leaves_a_checkpoint(tmp_path: Path):
    def stop(run: lf.Simulation) -> None:
        raise StopIteration

    run = start()
    with pytest.raises(StopIteration):
        run.run(60, reporters=[lf.reporters.Callback(stop, steps=[24])], checkpoint=tmp_path / "a.ckpt")
    assert lf.Simulation.load(tmp_path / "a.ckpt").step == run.step == 24


# --- other histories --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zarr", "csv"])
def test_another_history_is_another_run(kind: str, tmp_path: Path):
    def reporter() -> lf.reporters.Reporter:
        path = tmp_path / f"a.{kind}"
        return lf.reporters.Zarr(path, 3) if kind == "zarr" else lf.reporters.StateLog(path, 3, columns=["temperature"])

    def updated(kT: float) -> lf.Simulation:
        run = start()
        run.run(30)
        run.update(kT=kT)
        run.run(30)
        return run

    run = start()
    run.run(30, reporters=[reporter()])
    run.update(kT=0.5)
    run.run(30, reporters=[reporter()])
    for other in (2.0, 0.25):
        with pytest.raises(lf.CheckpointError, match="belongs to another run"):
            updated(other).run(10, reporters=[reporter()])
    plain = start()
    plain.run(60)
    with pytest.raises(lf.CheckpointError, match="belongs to another run"):
        plain.run(10, reporters=[reporter()])
    again = updated(0.5)
    again.update(kT=3.0)
    again.run(10, reporters=[reporter()])
    early = start()
    early.run(10)
    early.run(10, reporters=[reporter()])  # cut back to a step before both
    early.run(10, reporters=[reporter()])


def test_what_changed_is_said_in_a_log(tmp_path: Path):
    run, path = start(), tmp_path / "a.csv"
    for _ in range(2):
        run.run(10, reporters=[lf.reporters.StateLog(path, 5, columns=["temperature"])])
        run.update(kT=0.5)
    lines = path.read_text().splitlines()
    assert [line.split(",")[0] for line in lines if not line.startswith("#")] == ["step", "5", "10", "15", "20"]
    assert [lines.index(line) for line in lines if line.startswith("#")] == [0, 4]
    first, second = (json.loads(lines[i].removeprefix("# "))["run"] for i in (0, 4))
    assert first != second
    assert np.loadtxt(path, delimiter=",", skiprows=2, ndmin=2)[:, 0].tolist() == [5, 10, 15, 20]


# --- lf.sample --------------------------------------------------------------------------------------------------------


def frames(path: Path) -> dict[str, np.ndarray]:
    opened = Store.open(path)
    return {name: opened.read(name, 0, opened.n) for name in opened.arrays if name != "stream"}


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_call_reports_from_the_end_of_the_burn_in(checkpoint: bool, tmp_path: Path):
    run = sampled(tmp_path, **({} if checkpoint else {"checkpoint": None}))
    found = frames(tmp_path / "a.zarr")
    assert found["step"].tolist() == list(range(BURN_IN + 3, BURN_IN + N_STEPS + 1, 3)) == run.steps.tolist()
    assert found["x"].tobytes() == run.positions.tobytes() and found["v"].tobytes() == run.velocities.tobytes()
    assert np.array_equal(found["time"], run.times)
    table = np.loadtxt(tmp_path / "a.csv", delimiter=",", skiprows=2)
    assert np.array_equal(table[:, 0], run.steps)
    np.testing.assert_allclose(table[:, 2], run.energies.mean(axis=1), rtol=1e-14)
    seen: list[int] = []
    lf.sample(
        WELL,
        BAOAB,
        n_steps=20,
        burn_in=10,
        seed=1,
        reporters=[lf.reporters.Callback(lambda r: seen.append(r.step), 5)],
    )
    assert seen == [15, 20, 25, 30]


@pytest.mark.parametrize("stop", [4, 9, 10, 33, 68])
def test_a_call_goes_on_with_its_reporters(stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Any):
    class Stop(lf.reporters.Callback):
        """In the burn-in too, where nothing else is told."""

        def next_step(self, step: int) -> int:
            return stop if step < stop else step + 100

        def reached(self) -> None:
            if self._simulation.step == stop and not self._failed:
                self._failed = ZeroDivisionError()
                raise self._failed

    monkeypatch.setattr(stepping, "_HERE", stepping._HERE._replace(seconds=1e-12))
    plain = sampled(tmp_path, checkpoint=None, reporters=())
    stopper = Stop(print, steps=[stop])
    with pytest.raises(ZeroDivisionError):
        sampled(tmp_path, reporters=[*files(tmp_path), stopper])
    for _ in range(2):  # to the end, and read once more
        run = sampled(tmp_path)
        assert run.positions.tobytes() == plain.positions.tobytes()
        assert content(tmp_path) == whole(sampled)[1]
    assert not list(tmp_path.glob("*.lock"))


def test_files_of_another_call_are_refused_before_the_burn_in(tmp_path: Path):
    lf.sample(WELL, BAOAB, n_steps=30, seed=1, reporters=[lf.reporters.Zarr(tmp_path / "a.zarr", 3)])
    with pytest.raises(lf.CheckpointError, match="belongs to another run") as refused:
        lf.sample(WELL, BAOAB, n_steps=1, burn_in=10**9, seed=2, reporters=[lf.reporters.Zarr(tmp_path / "a.zarr", 3)])
    assert refused.value.trajectory.last.step == 0
    with pytest.raises(TypeError, match="reporters must be a sequence"):
        lf.sample(WELL, BAOAB, n_steps=1, reporters=3)


# --- disks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zarr", "csv"])
def test_files_that_may_not_grow(kind: str, tmp_path: Path):
    """The system itself refuses to write. What was written stays, and the run goes on elsewhere."""

    def reporter(name: str) -> lf.reporters.Reporter:
        path = tmp_path / f"{name}.{kind}"
        return lf.reporters.Zarr(path, 1) if kind == "zarr" else lf.reporters.StateLog(path, 1, columns=["temperature"])

    def limit(run: lf.Simulation) -> None:
        time.sleep(0.3)  # what is being written is there
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 if kind == "zarr" else 1000, hard))

    whole, run = start(n_particles=1000), start(n_particles=1000)
    whole.run(400)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(lf.CheckpointError, match=r"a\.(zarr|csv)' cannot be written: .*another path") as failed:
            run.run(400, reporters=[lf.reporters.Callback(limit, steps=[13]), reporter("a")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed.value.trajectory.last.step == run.step < 400
    if kind == "zarr":
        steps = frames(tmp_path / "a.zarr")["step"].tolist()
        assert len(steps) == 10  # all that could be written, five at a time
    else:
        lines = (tmp_path / "a.csv").read_text().splitlines()[2:]
        steps = [int(line.split(",")[0]) for line in lines]
        assert len(steps) == run.step - 1 > 13 and all(line.count(",") == 1 for line in lines)
    assert steps == list(range(1, len(steps) + 1))
    run.run(400 - run.step, reporters=[reporter("b")])
    assert run.positions.tobytes() == whole.positions.tobytes()


@pytest.mark.parametrize("kind", ["zarr", "csv"])
def test_files_that_vanish_are_not_begun_anew(kind: str, tmp_path: Path):
    path = tmp_path / f"a.{kind}"

    def remove(run: lf.Simulation) -> None:
        time.sleep(0.3)  # what is being written is there
        if kind == "csv":
            path.unlink()
        else:
            for chunk in path.glob("*/c.*"):
                chunk.unlink()

    reporter = lf.reporters.Zarr(path, 1) if kind == "zarr" else lf.reporters.StateLog(path, 1)
    run = start()
    with pytest.raises(lf.CheckpointError, match=r"cannot be written"):
        run.run(100, reporters=[lf.reporters.Callback(remove, steps=[42]), reporter])


def test_a_damaged_store_says_so(tmp_path: Path):
    path, run = tmp_path / "a.zarr", start()
    run.run(30, reporters=[lf.reporters.Zarr(path, 3)])
    shutil.copytree(path, tmp_path / "copy")
    chunk = path / "step" / "c.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with pytest.raises(lf.CheckpointError, match=r"c\.0' is missing or cut short: the store is damaged"):
        run.run(30, reporters=[lf.reporters.Zarr(path, 3)])
    shutil.rmtree(path)
    shutil.copytree(tmp_path / "copy", path)
    metadata = json.loads((path / "zarr.json").read_text())
    del metadata["attributes"]["begins"]
    (path / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(lf.CheckpointError, match="damaged"):
        run.run(30, reporters=[lf.reporters.Zarr(path, 3)])
