"""lf.open: what lies between stored frames is made again, with the bits of a run that stored every step."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import observers
from langevin_fast.reporters import store
from langevin_fast.reporters import zarr as zarr_reporter

WELL = lf.potentials.DoubleWell(dim=2)
BAOAB = lf.BAOAB(0.05, friction=1.0)
N, N_STEPS = 6, 120


@pytest.fixture(autouse=True)
def few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zarr_reporter, "_MOST_HELD", 4)
    monkeypatch.setattr(store, "_LONGEST_CHUNK", 3)


def reporter(path: Path, **when: Any) -> lf.reporters.Zarr:
    return lf.reporters.Zarr(path, **(when or {"every": 10}), replay=True)


def assert_stretches(run: Any, whole: lf.Trajectory, seed: int = 0, first: int = 0) -> None:
    """`whole` stored every step from its first."""
    rng = np.random.default_rng(seed)
    end = int(whole.steps[-1]) + 1
    for _ in range(6):
        a, b = np.sort(rng.choice(np.arange(first + 1, end + 1), 2, replace=False)).tolist()
        particles = rng.choice(len(whole.streams), rng.integers(1, 4), replace=False)
        part, here = run.replay(particles, slice(a, b)), slice(*np.searchsorted(whole.steps, [a, b]))
        assert part.steps.tolist() == list(range(a, b))
        assert part.positions.tobytes() == whole.positions[here][:, particles].tobytes()
        assert part.unwrapped_positions.tobytes() == whole.unwrapped_positions[here][:, particles].tobytes()
        if whole.velocities is not None:
            assert part.velocities.tobytes() == whole.velocities[here][:, particles].tobytes()


RUNS: dict[str, dict[str, Any]] = {
    **{f"scheme {name}": {"scheme": make(0.05, 1.0)} for name, make in cases.SCHEMES.items()},
    "single precision": {"precision": "single"},
    "masses": {"mass": np.linspace(0.5, 2.0, N)[:, np.newaxis]},
    "step sizes": {"scheme": lf.MALA(np.linspace(0.01, 0.2, N))},
    "periodic": {"boundary": lf.Periodic(-1.1, 1.1)},
    "walls": {"boundary": [lf.Reflecting([-1.2, None], [1.2, None]), lf.Periodic([None, -1.0], [None, 1.0])]},
    "walls, MALA": {"boundary": lf.Reflecting(-1.2, 1.2), "scheme": lf.MALA(0.05)},
    "schedule": {"potential": lf.potentials.DoubleWell(lf.Schedule([0.0, 4.0], [1.0, 3.0]), dim=2)},
    "batch": {"potential": lf.potentials.Batch(gradient=WELL.gradient, dim=2)},
    "streams": {"streams": [7, 5, 2**56 - 1, 0, 9, 1]},
    "first step": {"first_step": 35, "initial": [0.5, 0.5]},
}


@pytest.mark.parametrize("kind", RUNS)
def test_random_stretches_have_the_bits_of_a_run_that_stored_every_step(kind: str, tmp_path: Path):
    given = {"potential": WELL, "scheme": BAOAB, "n_particles": N, "seed": 3, **RUNS[kind]}
    run, every = lf.Simulation(**given), observers.Frames()
    run.run(N_STEPS, record=[every], reporters=[reporter(tmp_path / "a.zarr")])
    opened = lf.open(tmp_path / "a.zarr", potential=given["potential"])
    whole = run.replay(steps=slice(run.step - N_STEPS + 1, None))
    assert whole.positions.tobytes() == every.positions.tobytes()
    frames = np.searchsorted(every.steps, opened.steps)
    assert len(frames) == N_STEPS // 10 and (opened.steps % 10 == 0).all()
    for name in ("times", "positions", "velocities", "unwrapped_positions"):
        one, other = getattr(opened, name), getattr(every, name)
        assert (one is None and other is None) or one.tobytes() == other[frames].tobytes()
    assert opened.streams.tolist() == run.streams.tolist() and opened.last.step == run.step
    assert opened._state_until(int(opened.steps[5]) + 7).step == opened.steps[5]  # little is made once more
    assert_stretches(opened, whole, first=run.step - N_STEPS)


def test_through_updates_and_restarts(tmp_path: Path):
    """A call that is stopped and goes on, with changes on the way."""

    def start() -> lf.Simulation:
        return lf.Simulation(WELL, BAOAB, n_particles=N, seed=3, boundary=lf.Periodic(-1.5, 1.5))

    change = {40: {"kT": 0.2}, 45: {"step_size": 0.02}, 90: {"potential": {"barrier": 3.0}}}

    def reporters(*more: lf.reporters.Reporter) -> list[lf.reporters.Reporter]:
        update = lf.reporters.Callback(lambda run: run.update(**change[run.step]), steps=list(change))
        return [update, reporter(tmp_path / "a.zarr", steps=[1, 7, 30, 45, 46, 90, 100]), *more]

    def stop(run: lf.Simulation) -> None:
        shutil.copytree(tmp_path / "a.zarr", tmp_path / "early.zarr")
        raise ZeroDivisionError

    run = start()
    stopping = reporters(lf.reporters.Callback(stop, steps=[73]))
    with pytest.raises(ZeroDivisionError):
        run.run(N_STEPS, reporters=stopping, checkpoint=tmp_path / "a.ckpt", checkpoint_every=50)
    run = lf.Simulation.load(tmp_path / "a.ckpt")
    run.run(N_STEPS - run.step, reporters=reporters(), checkpoint=tmp_path / "a.ckpt")
    opened = lf.open(tmp_path / "a.zarr")
    assert opened.steps.tolist() == [1, 7, 30, 45, 46, 90, 100] and opened.last.step == N_STEPS
    whole = run.replay()
    for seed in range(4):
        assert_stretches(opened, whole, seed)
    early = lf.open(tmp_path / "early.zarr")
    assert early.last.step == 50
    assert early.replay(2, slice(0, 51)).positions.tobytes() == whole.positions[:51, [2]].tobytes()


def test_a_call_with_a_burn_in(tmp_path: Path):
    given: dict[str, Any] = {"n_particles": N, "seed": 3, "n_steps": 60}
    run = lf.sample(WELL, BAOAB, burn_in=25, stride=None, reporters=[reporter(tmp_path / "a.zarr")], **given)
    opened = lf.open(tmp_path / "a.zarr")
    assert opened.steps.tolist() == [30, 40, 50, 60, 70, 80]
    assert_stretches(opened, run.replay())


def test_particles_that_stop_start_anew_or_diverge(tmp_path: Path):
    for i, how in enumerate(("stop", "restart")):
        passage = observers.FirstPassage("x[0] > 0.8", on_arrival=how)
        run = lf.Simulation(WELL, BAOAB, n_particles=N, initial=[-1.0, 0.0], seed=3, observers=[passage])
        run.run(400, reporters=[reporter(tmp_path / f"{i}.zarr")])
        assert np.isfinite(passage.mean)
        opened, whole = lf.open(tmp_path / f"{i}.zarr"), run.replay()
        for seed in range(3):
            assert_stretches(opened, whole, seed)
    start = np.zeros((4, 1))
    start[2] = 30.0
    run = lf.Simulation(
        lf.potentials.DoubleWell(), lf.ULA(0.01), initial=start, seed=1, on_divergence="freeze", n_particles=4
    )
    run.run(40, reporters=[reporter(tmp_path / "d.zarr", every=1)])
    assert run.diverged[2] > 0
    opened = lf.open(tmp_path / "d.zarr")
    assert_stretches(opened, run.replay())
    assert opened.replay([1, 2], slice(20, 30)).diverged.tolist() == [-1, run.diverged[2]]


def test_functions_of_the_user(tmp_path: Path):
    def trap(stiffness: float) -> lf.potentials.Batch:
        return lf.potentials.Batch(gradient=lambda x: stiffness * x, dim=1)

    run = lf.Simulation(trap(2.0), BAOAB, n_particles=N, seed=3)
    run.run(50, reporters=[reporter(tmp_path / "a.zarr")])
    opened = lf.open(tmp_path / "a.zarr")
    assert opened.positions.shape == (5, N, 1)  # frames can be read without it
    with pytest.raises(lf.CheckpointError, match="give what uses it again, as potential="):
        opened.replay(0)
    with pytest.raises(lf.CheckpointError, match="another potential: gradient is another function"):
        lf.open(tmp_path / "a.zarr", potential=trap(3.0))
    assert_stretches(lf.open(tmp_path / "a.zarr", potential=trap(2.0), threads=1), run.replay())


def test_what_cannot_be_replayed(tmp_path: Path):
    run = lf.Simulation(WELL, BAOAB, n_particles=N, seed=3, boundary=lf.Periodic(-2, 2))
    run.run(50, reporters=[lf.reporters.Zarr(tmp_path / "a.zarr", 10)])
    opened = lf.open(tmp_path / "a.zarr")
    assert opened.positions.shape == (5, N, 2) and "5 frames of 6 particles" in repr(opened)
    for what in (lambda: opened.replay(), lambda: opened.unwrapped_positions):
        with pytest.raises(lf.CheckpointError, match="written without replay=True"):
            what()
    with pytest.raises(lf.CheckpointError, match="begun with replay=False"):
        run.run(10, reporters=[reporter(tmp_path / "a.zarr")])
    with pytest.raises(lf.CheckpointError, match="is no store"):
        lf.open(tmp_path / "none.zarr")
    with pytest.raises(TypeError, match="path must be a path"):
        lf.open(3)
    with pytest.raises(TypeError, match="replay must be True or False"):
        lf.reporters.Zarr(tmp_path / "b.zarr", 10, replay="yes")
    other = lf.Simulation(WELL, BAOAB, n_particles=N, seed=3)
    other.run(20, reporters=[reporter(tmp_path / "b.zarr")])
    opened = lf.open(tmp_path / "b.zarr")
    for wrong, match in (((7, None), "particles must be from 0 to 5"), ((0, slice(0, 30)), "the end of steps must be")):
        with pytest.raises(ValueError, match=match):
            opened.replay(*wrong)
    recipe = tmp_path / "b.zarr" / "stream" / "run.ckpt"
    content = bytearray(recipe.read_bytes())
    content[len(content) // 2] ^= 1
    recipe.write_bytes(content)
    with pytest.raises(lf.CheckpointError, match="damaged"):
        lf.open(tmp_path / "b.zarr").replay(0)


def test_readers_of_zarr_do_not_mind(tmp_path: Path, recwarn: pytest.WarningsRecorder):
    zarr = pytest.importorskip("zarr")
    run = lf.Simulation(WELL, BAOAB, n_particles=N, seed=3, boundary=lf.Periodic(-2, 2))
    run.run(50, reporters=[reporter(tmp_path / "a.zarr")])
    for consolidated in (True, False):
        group = zarr.open_group(tmp_path / "a.zarr", mode="r", use_consolidated=consolidated)
        assert sorted(group.array_keys()) == ["step", "stream", "time", "unfolded_x", "v", "x"]
    assert not [one for one in recwarn if "recognized" in str(one.message)]
