"""Reporters: what they write, when, that a restart neither loses nor repeats anything, and what goes wrong."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import observers, stepping
from langevin_fast.checkpoints import Keeper
from langevin_fast.reporters import store
from langevin_fast.reporters import zarr as zarr_reporter
from langevin_fast.reporters.store import Store

WELL = lf.potentials.DoubleWell(2.0)
BAOAB = lf.BAOAB(0.1, friction=1.0)


def simulation(**given: Any) -> lf.Simulation:
    return lf.Simulation(**{"potential": WELL, "scheme": BAOAB, "n_particles": 5, "seed": 3, **given})


def sampled(n_steps: int, stride: int, **given: Any) -> lf.Trajectory:
    return lf.sample(
        **{"potential": WELL, "scheme": BAOAB, "n_particles": 5, "seed": 3, **given}, n_steps=n_steps, stride=stride
    )


def frames(path: Path) -> dict[str, np.ndarray]:
    """All that readers see of a store."""
    opened = Store.open(path)
    return {name: opened.read(name, 0, opened.n) for name in opened.arrays if name != "stream"}


def assert_frames(path: Path, run: lf.Trajectory) -> None:
    """They are those of a run, to the bit."""
    found = frames(path)
    assert found["step"].tolist() == run.steps.tolist()
    assert found["x"].dtype == run.positions.dtype and found["x"].tobytes() == run.positions.tobytes()
    if run.velocities is None:
        assert "v" not in found
    else:
        assert found["v"].tobytes() == run.velocities.tobytes()
    assert np.array_equal(found["time"], run.times)


@pytest.fixture
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little memory, and short chunks of arrays, which end elsewhere."""
    monkeypatch.setattr(zarr_reporter, "_MOST_HELD", 5)
    monkeypatch.setattr(store, "_LONGEST_CHUNK", 7)


# --- frames -----------------------------------------------------------------------------------------------------------

RUNS: dict[str, dict[str, Any]] = {
    "BAOAB": {},
    "MALA": {"scheme": lf.MALA(0.1)},
    "single precision": {"precision": "single"},
    "step sizes": {"scheme": lf.ULA([0.01, 0.02, 0.03, 0.01, 0.02])},
    "boundary": {"boundary": lf.Periodic(-2, 2)},
    "walls": {"boundary": lf.Reflecting(-1.5, None)},
    "batch": {"potential": lf.potentials.Batch(gradient=lambda x: x**3 - x, dim=1)},
    "3-D": {"potential": lf.potentials.Harmonic([1.0, 2.0, 3.0])},
}


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("way", ["every", "steps", "when"])
def test_frames_are_those_of_sample(kind: str, way: str, tmp_path: Path, few_at_a_time: None):
    path, given = tmp_path / "run.zarr", RUNS[kind]
    when: dict[str, Any] = {
        "every": {"every": 3},
        "steps": {"steps": list(range(3, 200, 3))},
        "when": {"every": 1, "when": lambda run: run.step % 3 == 0},
    }[way]
    run = simulation(**given)
    for n_steps in (1, 50, 0, 49):
        run.run(n_steps, reporters=[lf.reporters.Zarr(path, **when)])
    assert_frames(path, sampled(100, 3, **given))
    assert [p.name for p in tmp_path.iterdir()] == ["run.zarr"]


def test_frames_go_with_other_recordings(tmp_path: Path):
    other, run = observers.Frames(every=10), simulation()
    paths = [tmp_path / f"{i}.zarr" for i in range(6)]
    run.run(100, record=[other], reporters=[lf.reporters.Zarr(path, 10 + i) for i, path in enumerate(paths)])
    for i, path in enumerate(paths):
        assert_frames(path, sampled(100, 10 + i))
    assert other.positions.tobytes() == frames(paths[0])["x"].tobytes()
    many = [lf.reporters.Zarr(tmp_path / f"more{i}.zarr", 1) for i in range(8)]
    with pytest.raises(ValueError, match="8 of them store states; at most 7"):
        run.run(1, reporters=many)
    assert run.step == 100


def test_it_opens_in_xarray_zarr_and_arviz(tmp_path: Path):
    zarr, xarray = pytest.importorskip("zarr"), pytest.importorskip("xarray")
    path = tmp_path / "run.zarr"
    simulation().run(400, reporters=[lf.reporters.Zarr(path, 2)])
    run = sampled(400, 2)
    theirs, ours = xarray.open_zarr(path).load(), run.to_xarray()
    for name in ("x", "v", "step", "time", "stream"):
        one = theirs[name].transpose(*ours[name].dims)
        assert one.values.tobytes() == ours[name].values.tobytes() and set(theirs.coords) == {"step", "time", "stream"}
    assert theirs.sizes == {"draw": 200, "chain": 5, "component": 1}
    assert {name: theirs.attrs[name] for name in ours.attrs} == ours.attrs
    assert theirs.attrs["precision"] == "double" and theirs.attrs["langevin_fast"] == lf.__version__
    for consolidated in (True, False):
        group = zarr.open_group(path, mode="r", use_consolidated=consolidated)
        assert group["x"][:].tobytes() == run.positions.tobytes()
    pytest.importorskip("arviz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its future when it is imported
        import arviz
    assert arviz.summary(theirs, kind="stats").equals(arviz.summary(ours, kind="stats"))


def test_readers_see_old_frames_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, seen = tmp_path / "run.zarr", []
    monkeypatch.setattr(zarr_reporter, "_SECONDS", 0.0)
    looks = lf.reporters.Callback(lambda run: seen.append((run.step, Store.open(path).n)), every=10)
    reporter = lf.reporters.Zarr(path, every=5)
    simulation().run(100, reporters=[looks, reporter])
    assert seen[0] == (10, 0) and all(step // 5 - 4 <= n <= step // 5 for step, n in seen)
    assert len(frames(path)["step"]) == 20


def test_ctrl_c_and_errors_lose_no_frame(tmp_path: Path, few_at_a_time: None):
    def stop(run: lf.Simulation) -> None:
        raise KeyboardInterrupt if run.step < 50 else ZeroDivisionError

    reporters = [
        lf.reporters.Callback(stop, steps=[33, 66]),
        lf.reporters.Zarr(tmp_path / "a.zarr", 3),
        lf.reporters.Zarr(tmp_path / "b.zarr", steps=range(3, 101, 3)),
        lf.reporters.StateLog(tmp_path / "a.csv", 3, columns=["time"]),
    ]
    run = simulation()
    with pytest.raises(lf.Interrupted):
        run.run(100, reporters=reporters)
    assert run.step == 33
    with pytest.raises(ZeroDivisionError):
        run.run(67, reporters=reporters)
    assert run.step == 66
    run.run(34, reporters=reporters)
    for name in ("a.zarr", "b.zarr"):
        assert_frames(tmp_path / name, sampled(100, 3))
    assert log(tmp_path / "a.csv")[:, 0].tolist() == list(range(3, 101, 3))


def test_a_divergence_leaves_the_frames_before(tmp_path: Path, few_at_a_time: None):
    wild = {"potential": lf.potentials.Expression("x**4", variables="x"), "scheme": lf.ULA(0.2), "seed": 1}
    run = simulation(**wild)
    with pytest.raises(lf.DivergenceError):
        run.run(1000, reporters=[lf.reporters.Zarr(tmp_path / "run.zarr", 1)])
    assert_frames(tmp_path / "run.zarr", sampled(run.step, 1, **wild))


# --- restarts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1e-12, 0.1])
def test_cut_back_to_the_checkpoint(chunk: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_at_a_time: None):
    """Killed at every step, it goes on from the last checkpoint, and the files are those of one run."""
    monkeypatch.setattr(stepping, "_HERE", stepping._HERE._replace(seconds=chunk))
    monkeypatch.setattr(zarr_reporter, "_SECONDS", 0.0)

    def going_on(folder: Path, run: lf.Simulation, stop_at: int) -> None:
        def stop(run: lf.Simulation) -> None:
            for reporter in reporters[:2]:
                reporter._wait()  # one file after the other is no picture of a moment
            shutil.copytree(folder, tmp_path / f"at{run.step}")  # what a kill leaves
            raise ZeroDivisionError

        reporters = [
            lf.reporters.Zarr(folder / "a.zarr", 3),
            lf.reporters.Zarr(folder / "b.zarr", 2, when=lambda run: run.step % 3 == 0),
            lf.reporters.StateLog(folder / "a.csv", 3, columns=["time", "potential_energy", "temperature"]),
            lf.reporters.Callback(stop, steps=[stop_at]),
        ]
        run.run(60 - run.step, reporters=reporters, checkpoint=folder / "a.ckpt", checkpoint_every=7)

    (tmp_path / "whole").mkdir()
    going_on(tmp_path / "whole", simulation(), 1000)
    before = tmp_path / "start"
    before.mkdir()
    for stop_at in (5, 8, 13, 14, 27, 30, 44, 59):
        run = lf.Simulation.load(before / "a.ckpt") if (before / "a.ckpt").exists() else simulation()
        assert run.step == max(stop_before for stop_before in range(0, 60, 7) if stop_before <= max(run.step, 0))
        with pytest.raises(ZeroDivisionError):
            going_on(before, run, stop_at)
        before = tmp_path / f"at{stop_at}"
        for lock in before.glob("*.lock"):
            lock.unlink()  # nobody holds it
    going_on(before, lf.Simulation.load(before / "a.ckpt"), 1000)
    assert_frames(before / "a.zarr", sampled(60, 3))
    assert_frames(before / "b.zarr", sampled(60, 6))
    for name in ("a.zarr", "b.zarr"):
        one, other = frames(before / name), frames(tmp_path / "whole" / name)
        assert {k: v.tobytes() for k, v in one.items()} == {k: v.tobytes() for k, v in other.items()}
    assert (before / "a.csv").read_bytes() == (tmp_path / "whole" / "a.csv").read_bytes()


def test_on_the_disk_before_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What is due at its very step, too."""
    one, other, table, seen = tmp_path / "a.zarr", tmp_path / "b.zarr", tmp_path / "a.csv", []
    write = Keeper.write
    monkeypatch.setattr(
        Keeper,
        "write",
        lambda self: (write(self), seen.append((Store.open(one).n, Store.open(other).n, len(log(table))))),
    )
    reporters = [
        lf.reporters.Zarr(one, 3),
        lf.reporters.Zarr(other, steps=range(3, 101, 3)),
        lf.reporters.StateLog(table, 3),
    ]
    simulation().run(100, reporters=reporters, checkpoint=tmp_path / "a", checkpoint_every=30)
    assert seen == [(n, n, n) for n in (10, 20, 30, 33)]


def test_what_a_killed_process_left_is_removed(tmp_path: Path):
    run, path = simulation(), tmp_path / "run.zarr"
    run.run(30, reporters=[lf.reporters.Zarr(path, 3)])
    (path / ".zarr.json.abc.partial").write_text("{")
    (path / "x" / ".zarr.json.abc.partial").write_text("{")
    run.run(30, reporters=[lf.reporters.Zarr(path, 3)])
    assert_frames(path, sampled(60, 3))
    assert not list(path.rglob(".*"))


def test_a_wrong_start_cuts_nothing(tmp_path: Path):
    reporters = [lf.reporters.Zarr(tmp_path / "a.zarr", 3)]
    simulation().run(30, reporters=reporters, checkpoint=tmp_path / "a.ckpt")
    with pytest.raises(lf.CheckpointError, match="later than the present step 0: load it"):
        simulation().run(30, reporters=reporters, checkpoint=tmp_path / "a.ckpt")
    assert len(frames(tmp_path / "a.zarr")["step"]) == 10


@pytest.mark.parametrize("kind", ["zarr", "csv"])
def test_places_that_are_refused(kind: str, tmp_path: Path):
    def reporter(every: int = 3, name: str = "run") -> lf.reporters.Reporter:
        path = tmp_path / f"{name}.{kind}"
        return lf.reporters.Zarr(path, every) if kind == "zarr" else lf.reporters.StateLog(path, every)

    run = simulation()
    run.run(30, reporters=[reporter()])
    with pytest.raises(lf.CheckpointError, match=rf"run\.{kind}' belongs to another run"):
        simulation(seed=4).run(30, reporters=[reporter()])
    run.run(1)
    run.run(1, reporters=[reporter()])  # nothing was due in between
    run.run(4)
    with pytest.raises(lf.CheckpointError, match="ends at step 30; the simulation stands at step 36, and what was due"):
        run.run(1, reporters=[reporter()])
    run.run(1, reporters=[reporter(name="other")])
    with pytest.raises(lf.CheckpointError, match="in use"):
        run.run(1, reporters=[reporter(name="third"), reporter(name="third")])
    for name, content in (("x", "something"), ("y", "# {}\n")):
        path = tmp_path / f"{name}.{kind}"
        if kind == "zarr":
            path.mkdir()
            path = path / "zarr.json"
        path.write_text(content)
        with pytest.raises(lf.CheckpointError, match=r"is no (store|log) of lf\.reporters"):
            run.run(1, reporters=[reporter(name=name)])
        assert path.read_text() == content
    assert run.step == 37 and not list(tmp_path.glob("*.lock"))


def test_other_columns_are_refused(tmp_path: Path):
    run, path = simulation(), tmp_path / "a.csv"
    run.run(9, reporters=[lf.reporters.StateLog(path, 3, columns=["time"])])
    with pytest.raises(lf.CheckpointError, match="other columns"):
        run.run(9, reporters=[lf.reporters.StateLog(path, 3, columns=["temperature"])])


def test_lines_cut_short_are_made_again(tmp_path: Path):
    def logged(folder: Path, n: int) -> bytes:
        folder.mkdir(exist_ok=True)
        run = simulation()
        run.run(n, reporters=[lf.reporters.StateLog(folder / "a.csv", 3, columns=["temperature"])])
        run.run(30 - n, reporters=[lf.reporters.StateLog(folder / "a.csv", 3, columns=["temperature"])])
        return (folder / "a.csv").read_bytes()

    whole = logged(tmp_path / "whole", 30)
    assert logged(tmp_path / "parts", 14) == whole
    run, path = simulation(), tmp_path / "cut.csv"
    run.run(14)
    path.write_bytes(whole[: whole.index(b"\n15,") + 3])
    run.run(16, reporters=[lf.reporters.StateLog(path, 3, columns=["temperature"])])
    assert path.read_bytes() == whole


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zarr", "csv"])
@pytest.mark.parametrize("what", [errno.ENOSPC, errno.EACCES, "vanished"])
def test_a_disk_that_fails(kind: str, what: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "disk"
    folder.mkdir()

    def reporter(name: str) -> lf.reporters.Reporter:
        path = folder / f"{name}.{kind}"
        return lf.reporters.Zarr(path, 2) if kind == "zarr" else lf.reporters.StateLog(path, 2)

    def fail(run: lf.Simulation) -> None:
        if what == "vanished":
            shutil.rmtree(folder)
            return
        real = os.open

        def refusing(path: Any, *arguments: Any, **named: Any) -> int:
            if "first" in str(path):
                raise OSError(what, os.strerror(what), str(path))
            return real(path, *arguments, **named)

        monkeypatch.setattr(os, "open", refusing)

    monkeypatch.setattr(zarr_reporter, "_MOST_HELD", 5)
    run = simulation()
    run.run(40, reporters=[reporter("first")], checkpoint=tmp_path / "a.ckpt")
    with pytest.raises(lf.CheckpointError, match=rf"first\.{kind}' cannot be written: .*another path") as failed:
        failing = lf.reporters.Callback(fail, steps=[43])
        run.run(60, reporters=[failing, reporter("first")], checkpoint=tmp_path / "a.ckpt", checkpoint_every=1000)
    assert isinstance(failed.value.__cause__, OSError)
    assert lf.Simulation.load(tmp_path / "a.ckpt").step == 40  # none that counts on what is not there
    monkeypatch.undo()
    if what != "vanished":
        path = folder / f"first.{kind}"
        steps = frames(path)["step"] if kind == "zarr" else log(path)[:, 0]
        assert steps.tolist()[:20] == list(range(2, 41, 2))
    folder.mkdir(exist_ok=True)
    step = run.step
    run.run(100 - step, reporters=[reporter("second")], checkpoint=tmp_path / "a.ckpt")
    whole = sampled(100, 1)
    assert run.positions.tobytes() == whole.final.positions.tobytes()
    if kind == "zarr":
        found = frames(folder / "second.zarr")
        assert found["step"].tolist() == list(range(step // 2 * 2 + 2, 101, 2))
        assert found["x"].tobytes() == whole.positions[found["step"] - 1].tobytes()


def test_the_error_of_the_run_comes_first(tmp_path: Path):
    (tmp_path / "disk").mkdir()

    def fail(run: lf.Simulation) -> None:
        shutil.rmtree(tmp_path / "disk")
        raise ZeroDivisionError

    reporters = [lf.reporters.Zarr(tmp_path / "disk" / "a.zarr", 3), lf.reporters.Callback(fail, steps=[30])]
    with pytest.raises(ZeroDivisionError) as failed:
        simulation().run(100, reporters=reporters, checkpoint=tmp_path / "a.ckpt")
    assert any("a.zarr' cannot be written" in note for note in failed.value.__notes__)
    assert not (tmp_path / "a.ckpt").exists()


def test_one_time_for_all_cannot_become_several(tmp_path: Path):
    run, reporter = simulation(), lf.reporters.Zarr(tmp_path / "a.zarr", 3)
    run.run(9, reporters=[reporter])
    run.update(step_size=[0.1, 0.2, 0.1, 0.1, 0.1])
    with pytest.raises(lf.CheckpointError, match="step sizes of their own by now"):
        run.run(9, reporters=[reporter])


# --- logs and callbacks -----------------------------------------------------------------------------------------------


def log(path: Path) -> np.ndarray:
    """The numbers of a CSV file."""
    return np.loadtxt(path, delimiter=",", skiprows=2, ndmin=2)


def test_a_log(tmp_path: Path):
    masses = np.array([[1.0], [2.0], [3.0], [1.0], [0.5]])
    path, moments = tmp_path / "a.csv", observers.Moments()
    run = simulation(mass=masses, observers=[moments])
    values = {"mean": lambda run: run.observers[0].pooled().mean[0], "one": lambda run: 1}
    run.run(100, reporters=[lf.reporters.StateLog(path, 10, values=values)])
    comment, heading, *_ = path.read_text().splitlines()
    told = json.loads(comment.removeprefix("# "))
    assert (told["seed"], told["begins"], told["potential"]) == (3, 0, repr(WELL))
    names = heading.split(",")
    expected = ["step", "time", "potential_energy", "kinetic_energy", "temperature"]
    assert names == [*expected, "ns_per_particle_step", "seconds_left", "mean", "one"]
    table, whole = log(path), sampled(100, 10, mass=masses)
    assert np.array_equal(table[:, 0], whole.steps) and np.array_equal(table[:, 1], whole.times)
    np.testing.assert_allclose(table[:, 2], whole.energies.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(table[:, 3], whole.kinetic_energies.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(table[:, 4], 2 * whole.kinetic_energies.mean(axis=1), rtol=1e-14)
    assert (table[:, 5] > 0).all() and (table[:-1, 6] > 0).all() and table[-1, 6] == 0
    for i, step in enumerate(whole.steps.tolist()):
        np.testing.assert_allclose(table[i, 7], sampled(step, 1, mass=masses).positions.mean(), rtol=1e-12)
    assert (table[:, 8] == 1).all()


def test_a_log_of_metropolis_tests_and_of_a_driven_potential(tmp_path: Path):
    given = {"potential": lf.potentials.DoubleWell(lf.Schedule([0.0, 5.0], [1.0, 3.0])), "scheme": lf.MALA(0.1)}
    run = simulation(**given)
    run.run(40, reporters=[lf.reporters.StateLog(tmp_path / "a.csv", 10)])
    table, whole = log(tmp_path / "a.csv"), sampled(40, 10, **given)
    np.testing.assert_allclose(table[:, 2], whole.energies.mean(axis=1), rtol=1e-12)
    assert table[-1, 3] == np.mean(run.acceptance_rate)


def test_particles_that_diverged_are_left_out(tmp_path: Path):
    wild = lf.potentials.Expression("x**4", variables="x")
    run = simulation(potential=wild, scheme=lf.ULA(0.2), seed=1, on_divergence="freeze")
    run.run(300, reporters=[lf.reporters.StateLog(tmp_path / "a.csv", 300, columns=["potential_energy"])])
    left = run.diverged < 0
    assert not left.all()
    expected = np.mean(wild.energy(run.positions[left])) if left.any() else np.nan
    np.testing.assert_equal(log(tmp_path / "a.csv")[-1, 1], expected)


def test_a_table_on_a_stream():
    stream = io.StringIO()
    simulation().run(100, reporters=[lf.reporters.StateLog(stream, 50)])
    lines = stream.getvalue().splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines) == 3
    assert lines[0].split()[-2:] == ["ns_per_particle_step", "time_left"]
    assert lines[1].split()[:2] == ["50", "5"] and re.fullmatch(r"0:00:0\d", lines[1].split()[-1])


def test_callbacks_and_triggers(monkeypatch: pytest.MonkeyPatch):
    seen: dict[str, list[int]] = {name: [] for name in ("every", "steps", "when", "time", "never")}

    def to(name: str, **given: Any) -> lf.reporters.Callback:
        return lf.reporters.Callback(lambda run: seen[name].append(run.step), **given)

    monkeypatch.setattr(stepping, "_HERE", stepping._HERE._replace(seconds=1e-12))  # a step at a time
    run = simulation()
    reporters = [
        to("every", every=10),
        to("steps", steps=[25, 3, 11, 900]),
        to("when", every=4, when=lambda run: run.step % 6 == 0),
        to("time", every="1e-9 s"),
        to("never", every="1 h"),
    ]
    run.run(7, reporters=reporters)
    run.run(23, reporters=reporters)
    assert seen["every"] == [10, 20, 30] and seen["steps"] == [3, 11, 25] and seen["when"] == [12, 24]
    assert seen["time"] == list(range(1, 31)) and not seen["never"]


def test_a_callback_may_change_the_simulation(tmp_path: Path):
    change = lf.reporters.Callback(lambda run: run.update(kT=2.0), steps=[40])
    run, other = simulation(), simulation()
    run.run(100, reporters=[lf.reporters.Zarr(tmp_path / "a.zarr", 4), change])
    other.run(40)
    other.update(kT=2.0)
    other.run(60)
    assert run.positions.tobytes() == other.positions.tobytes()
    assert frames(tmp_path / "a.zarr")["x"][-1].tobytes() == run.positions.tobytes()


# --- arguments --------------------------------------------------------------------------------------------------------


def test_arguments_are_checked(tmp_path: Path):
    (tmp_path / "file").write_text("")
    path, function = tmp_path / "a", lambda run: None
    for make, message in (
        (lambda: lf.reporters.Zarr(path), "either every= or steps="),
        (lambda: lf.reporters.Zarr(path, 10, steps=[1]), "either every= or steps="),
        (lambda: lf.reporters.Zarr(path, "often"), "every='often' must be steps, or a time"),
        (lambda: lf.reporters.Zarr(path, 0), "every must be an integer from 1"),
        (lambda: lf.reporters.Zarr(path, steps=[1.5]), "steps must be an integer"),
        (lambda: lf.reporters.Zarr(path, 10, when=3), "when must be a function"),
        (lambda: lf.reporters.Zarr(3, 10), "path must be a path"),
        (lambda: lf.reporters.Zarr(tmp_path / "file", 10), "is a file"),
        (lambda: lf.reporters.Zarr(tmp_path / "no" / "a", 10), "there is no directory"),
        (lambda: lf.reporters.StateLog(tmp_path, 10), "is a directory"),
        (lambda: lf.reporters.StateLog(path, 10, columns=["heat"]), "columns must be one of 'step', 'time'"),
        (lambda: lf.reporters.StateLog(path, 10, columns="step"), "columns must be a sequence"),
        (lambda: lf.reporters.StateLog(path, 10, values={"a": 3}), "values must be a dict of names and functions"),
        (lambda: lf.reporters.StateLog(path, 10, values={"time": function}), "name of a column already"),
        (lambda: lf.reporters.StateLog(path, 10, values={"a,b": function}), "a comma"),
        (lambda: lf.reporters.Callback("print", 10), "function must be a function"),
        (lambda: simulation().run(1, reporters=lf.reporters.Zarr(path, 1)), "reporters must be a sequence"),
        (lambda: simulation().run(1, reporters=[lf.reporters.Callback(function, 1)] * 2), "the same reporter twice"),
        (
            lambda: simulation(scheme=lf.ULA(0.1)).run(
                1, reporters=[lf.reporters.StateLog(path, 1, columns=["temperature"])]
            ),
            "there is no 'temperature'",
        ),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            make()
    with pytest.raises(TypeError, match="'a' gave 'text'; it must be a number"):
        simulation().run(1, reporters=[lf.reporters.StateLog(path, 1, values={"a": lambda run: "text"})])


# --- H5MD -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_an_h5md_file(dim: int, tmp_path: Path):
    h5py = pytest.importorskip("h5py")
    given: dict[str, Any] = {"potential": lf.potentials.Harmonic(np.arange(1.0, 1.0 + dim))}
    if dim == 3:
        given["boundary"] = lf.Periodic([-4.0, -2.0, None], [4.0, 3.0, None])
    simulation(**given).run(50, reporters=[lf.reporters.Zarr(tmp_path / "a.zarr", 5)])
    lf.export_h5md(tmp_path / "a.zarr", tmp_path / "a.h5")
    run = sampled(50, 5, **given)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["h5md"].attrs["version"].tolist() == [1, 1]
        assert file["h5md/creator"].attrs["name"] == "langevin_fast" and "name" in file["h5md/author"].attrs
        points = file["particles/all"]
        assert points["box"].attrs["dimension"] == 3
        boundary = [b"periodic", b"periodic", b"none"] if dim == 3 else [b"none"] * 3
        assert points["box"].attrs["boundary"].tolist() == boundary
        assert ("edges" in points["box"]) == (dim == 3)
        if dim == 3:
            assert points["box/edges/value"][:].tolist() == [[8.0, 5.0, 0.0]] * 10
            assert np.array_equal(points["box/edges/step"], run.steps)
        for name, values in (("position", run.positions), ("velocity", run.velocities)):
            element = points[name]
            assert np.array_equal(element["step"], run.steps) and np.array_equal(element["time"], run.times)
            shown = element["value"][:]
            assert shown.shape == (10, 5 * max(dim // 3, 1), 3)
            if dim < 3:
                assert not shown[..., dim:].any()
                shown = shown[..., :dim]
            assert shown.reshape(values.shape).tobytes() == values.tobytes()
    assert not list(tmp_path.glob(".*"))


def test_mdanalysis_reads_it(tmp_path: Path):
    mdanalysis = pytest.importorskip("MDAnalysis")
    given: dict[str, Any] = {
        "potential": lf.potentials.Harmonic([1.0, 2.0, 3.0]),
        "boundary": lf.Periodic([-4.0, -2.0, None], [4.0, 3.0, None]),
    }
    simulation(**given).run(50, reporters=[lf.reporters.Zarr(tmp_path / "a.zarr", 5)])
    lf.export_h5md(tmp_path / "a.zarr", tmp_path / "a.h5md")
    run = sampled(50, 5, **given)
    universe = mdanalysis.Universe.empty(5, trajectory=True, velocities=True)
    universe.load_new(str(tmp_path / "a.h5md"), convert_units=False)
    assert len(universe.trajectory) == 10
    for i, frame in enumerate(universe.trajectory):
        assert np.array_equal(frame.positions, run.positions[i].astype(np.float32)) and frame.time == run.times[i]
        assert np.array_equal(frame.velocities, run.velocities[i].astype(np.float32))


def test_what_is_no_h5md_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("h5py")
    with pytest.raises(lf.CheckpointError, match="is no store"):
        lf.export_h5md(tmp_path / "none.zarr", tmp_path / "a.h5")
    four = lf.potentials.Harmonic([1.0] * 4)
    simulation(potential=four).run(5, reporters=[lf.reporters.Zarr(tmp_path / "a.zarr", 5)])
    with pytest.raises(ValueError, match="has 4 components"):
        lf.export_h5md(tmp_path / "a.zarr", tmp_path / "a.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'langevin-fast\[h5md\]'"):
        lf.export_h5md(tmp_path / "a.zarr", tmp_path / "a.h5")
