"""Runs on several workers have the bits of a run in one process."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import _core, observers
from langevin_fast.distributed import sampling as shared_out
from langevin_fast.stepping import Place

distributed = pytest.importorskip("distributed")

WELL = lf.potentials.DoubleWell(2.0)
CALL: dict[str, Any] = {"n_steps": 300, "burn_in": 50, "stride": 30, "n_particles": 200, "initial": [-1.0], "seed": 3}


@pytest.fixture(scope="module")
def cluster():
    """Two processes."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
    ) as workers:
        yield workers


@pytest.fixture(scope="module")
def client(cluster):
    with distributed.Client(cluster) as one:
        yield one


def square(x: Any) -> Any:
    return x[0] * x[0]


def watchers() -> list[observers.Observer]:
    return [
        observers.Moments(every=10),
        observers.Histogram("x", range=(-2, 2)),
        observers.FirstPassage("x > 0.5", on_arrival="stop"),
        observers.Transitions(["x < -0.5", "x > 0.5"], lag=10),
        observers.MeanSquaredDisplacement(every=3),
        observers.Expectation([square, lambda x: 2 * x[0]]),
    ]


def assert_same(whole: lf.Trajectory, part: lf.Trajectory) -> None:
    for name in ("positions", "velocities", "steps", "times", "acceptance_rate", "diverged", "streams"):
        x, y = getattr(whole, name), getattr(part, name)
        assert (x is None and y is None) or x.tobytes() == y.tobytes(), name
    for name in ("positions", "velocities", "accepted"):
        x, y = getattr(whole.last, name), getattr(part.last, name)
        assert (x is None and y is None) or x.tobytes() == y.tobytes(), name
    for mine, theirs in zip(whole.last.observed, part.last.observed, strict=True):
        assert mine.reals.tobytes() == theirs.reals.tobytes() and mine.marks.tobytes() == theirs.marks.tobytes()


@pytest.mark.parametrize(
    "scheme",
    [lf.MALA(0.1), lf.BAOAB(0.05, friction=1.0, kT=lf.Schedule([0.0, 5.0], [1.0, 2.0]))],
    ids=["MALA", "BAOAB"],
)
def test_the_bits_of_one_process(scheme: lf.Scheme, client: Any):
    mine, theirs = watchers(), watchers()
    whole = lf.sample(WELL, scheme, observers=mine, **CALL)
    part = lf.distributed.sample(WELL, scheme, client=client, observers=theirs, audit=0.02, **CALL)
    assert_same(whole, part)
    assert [repr(one) for one in mine] == [repr(one) for one in theirs]
    assert mine[1].counts.tolist() == theirs[1].counts.tolist()
    assert mine[2].mean == theirs[2].mean and mine[3].counts.tolist() == theirs[3].counts.tolist()
    assert part.observers[0] is theirs[0]
    assert (
        part.replay([150], slice(20, 200)).positions.tobytes()
        == whole.replay([150], slice(20, 200)).positions.tobytes()
    )


def test_workers_on_different_levels(client: Any):
    """The second worker computes on the baseline."""
    first, second = sorted(client.scheduler_info()["workers"])
    before = client.submit(_core.isa, workers=[second]).result()
    client.submit(_core.use_isa, "baseline", workers=[second], pure=False).result()
    try:
        part = lf.distributed.sample(WELL, lf.ULA(0.01, kT=np.linspace(0.5, 2.0, 200)), client=client, **CALL)
    finally:
        client.submit(_core.use_isa, before, workers=[second], pure=False).result()
    assert_same(lf.sample(WELL, lf.ULA(0.01, kT=np.linspace(0.5, 2.0, 200)), **CALL), part)
    assert client.submit(_core.isa, workers=[first], pure=False).result() == before


def test_masses_of_each_particle(client: Any):
    call = {**CALL, "mass": np.linspace(1.0, 2.0, 200)[:, np.newaxis]}
    scheme = lf.BAOAB(0.05, friction=1.0)
    assert_same(lf.sample(WELL, scheme, **call), lf.distributed.sample(WELL, scheme, client=client, **call))


def test_the_first_divergence_of_all(client: Any):
    call = {"n_steps": 500, "n_particles": 300, "seed": 1}
    with pytest.raises(lf.DivergenceError) as here:
        lf.sample(lf.potentials.DoubleWell(), lf.ULA(0.3), stride=None, **call)
    with pytest.raises(lf.DivergenceError) as there:
        lf.distributed.sample(lf.potentials.DoubleWell(), lf.ULA(0.3), client=client, **call)
    assert (here.value.step, here.value.particle) == (there.value.step, there.value.particle)
    assert here.value.last_position.tobytes() == there.value.last_position.tobytes()


def test_an_audit_finds_other_bits(client: Any, monkeypatch: pytest.MonkeyPatch):
    joined = shared_out._joined

    def broken(*arguments: Any) -> lf.Trajectory:
        result = joined(*arguments)
        x = result.last.positions.copy()
        x[17] = np.nextafter(x[17], 9.0)
        object.__setattr__(result.last, "positions", x)
        return result

    monkeypatch.setattr(shared_out, "_joined", broken)
    with pytest.raises(lf.AuditError, match="particle 17 "):
        lf.distributed.sample(WELL, lf.ULA(0.01), client=client, audit=1.0, **CALL)


def test_a_killed_worker_goes_on_from_its_checkpoint(client: Any, tmp_path: Path):
    call = {**CALL, "n_steps": 600_000, "stride": 60_000}
    killed = client.submit(os.getpid, pure=False).result()

    def killer() -> None:
        while not list(tmp_path.glob("part-*.ckpt")):
            time.sleep(0.01)
        os.kill(killed, signal.SIGKILL)

    thread = threading.Thread(target=killer)
    thread.start()
    part = lf.distributed.sample(WELL, lf.ULA(0.01), client=client, folder=tmp_path, checkpoint_every=50_000, **call)
    thread.join()
    assert_same(lf.sample(WELL, lf.ULA(0.01), **call), part)
    # all of it is there: the same call, with any seed, only reads
    again = lf.distributed.sample(WELL, lf.ULA(0.01), client=client, folder=tmp_path, **{**call, "seed": None})
    assert again.seed == 3 and again.positions.tobytes() == part.positions.tobytes()


# --- run --------------------------------------------------------------------------------------------------------------


def assert_same_simulation(mine: lf.Simulation, theirs: lf.Simulation) -> None:
    assert mine.step == theirs.step
    for name in ("positions", "velocities", "accepted", "diverged"):
        x, y = getattr(mine.state, name), getattr(theirs.state, name)
        assert (x is None and y is None) or x.tobytes() == y.tobytes(), name
    for one, other in zip(mine.state.observed, theirs.state.observed, strict=True):
        assert [a.tobytes() for a in one.arrays] == [a.tobytes() for a in other.arrays]
    assert [repr(one) for one in mine.observers] == [repr(one) for one in theirs.observers]


@pytest.mark.parametrize(
    ("scheme", "mover"),
    [(lf.MALA(0.1), "restart"), (lf.BAOAB(0.05, friction=1.0), "stop")],
    ids=["MALA", "BAOAB"],
)
def test_a_simulation_goes_on_elsewhere(scheme: lf.Scheme, mover: str, client: Any, tmp_path: Path):
    """Here, there, here, there with a checkpoint and frames: the bits of a run here."""

    def looking() -> list[observers.Observer]:
        return [*watchers(), observers.FirstPassage(["x > 0.2", "x < -1.7"], on_arrival=mover)]

    def simulation() -> lf.Simulation:
        return lf.Simulation(
            WELL,
            scheme,
            n_particles=300,
            initial=[-1.0],
            seed=3,
            boundary=lf.Reflecting(-1.8, None),
            observers=looking(),
        )

    mine, theirs = simulation(), simulation()
    frames, sent = observers.Frames(7, start=3), observers.Frames(7, start=3)
    lf.distributed.run(theirs, 40, client=client)
    theirs.run(60)
    theirs.update(kT=1.5)
    lf.distributed.run(theirs, 500, client=client, record=[sent], seconds=0.05)
    lf.distributed.run(theirs, 100, client=client, checkpoint=tmp_path / "a.ckpt", checkpoint_every=30)
    mine.run(100)
    mine.update(kT=1.5)
    mine.run(500, record=[frames])
    mine.run(100)
    assert_same_simulation(mine, theirs)
    assert_same_simulation(mine, lf.Simulation.load(tmp_path / "a.ckpt", observers=looking()))
    assert frames.positions.tobytes() == sent.positions.tobytes()
    assert (
        mine.replay([7, 250], slice(0, 700)).positions.tobytes()
        == theirs.replay([7, 250], slice(0, 700)).positions.tobytes()
    )


def test_functions_of_the_user_and_lags_elsewhere(client: Any):
    """Batches in time grow coarser as a run goes on."""

    def gradient(x: Any, out: Any) -> None:
        out[0] = x[0] ** 3 - x[0]

    def simulation() -> lf.Simulation:
        well = lf.potentials.Custom(gradient=gradient, dim=1)
        looking = [
            observers.Expectation(square),
            observers.Autocorrelation("x"),
            observers.Histogram("x", range=(-3, 3)),
        ]
        return lf.Simulation(well, lf.ULA(0.1), n_particles=5, seed=1, observers=looking)

    mine, theirs = simulation(), simulation()
    mine.run(5000)
    lf.distributed.run(theirs, 5000, client=client, seconds=0.2)
    assert_same_simulation(mine, theirs)


@pytest.mark.parametrize("on_divergence", ["raise", "freeze"])
def test_a_divergence_elsewhere(on_divergence: str, client: Any):
    def simulation() -> lf.Simulation:
        return lf.Simulation(
            lf.potentials.DoubleWell(),
            lf.ULA(0.3),
            n_particles=300,
            seed=1,
            observers=[observers.Moments()],
            on_divergence=on_divergence,
        )

    mine, theirs = simulation(), simulation()
    if on_divergence == "raise":
        with pytest.raises(lf.DivergenceError) as here:
            mine.run(500)
        with pytest.raises(lf.DivergenceError) as there:
            lf.distributed.run(theirs, 500, client=client)
        assert str(here.value) == str(there.value) and here.value.path.tobytes() == there.value.path.tobytes()
        assert there.value.trajectory is not None
    else:
        mine.run(500)
        lf.distributed.run(theirs, 500, client=client)
        assert (mine.diverged >= 0).any()
    assert_same_simulation(mine, theirs)


def test_frames_of_all_workers_go_into_one_store(client: Any, tmp_path: Path):
    pytest.importorskip("zarr")
    stores = []
    for name in ("mine", "theirs"):
        simulation = lf.Simulation(WELL, lf.BAOAB(0.05, friction=1.0), n_particles=300, initial=[-1.0], seed=1)
        reporters = [
            lf.reporters.Zarr(tmp_path / name, every=7),
            lf.reporters.StateLog(tmp_path / f"{name}.csv", every=50),
        ]
        if name == "mine":
            simulation.run(2000, reporters=reporters)
        else:
            lf.distributed.run(simulation, 2000, client=client, seconds=0.1, reporters=reporters)
        stores.append(lf.open(tmp_path / name))
        lines = (tmp_path / f"{name}.csv").read_text().splitlines()
        assert len(lines) == 2 + 40
    mine, theirs = stores
    assert mine.steps.tolist() == theirs.steps.tolist() and len(mine.steps) == 285
    assert np.asarray(mine.positions).tobytes() == np.asarray(theirs.positions).tobytes()


def bad(x: Any) -> Any:
    raise RuntimeError("no such place")


def test_an_error_of_the_user_elsewhere(client: Any):
    """The simulation stays where it was, and goes on."""
    simulation = lf.Simulation(
        lf.potentials.Batch(gradient=bad, dim=1), lf.ULA(0.1), n_particles=3, initial=[0.5], seed=1
    )
    with pytest.raises(RuntimeError, match="no such place"):
        lf.distributed.run(simulation, 10, client=client)
    assert simulation.step == 0


def test_stretches_are_not_longer_than_asked_for():
    """Whatever a stretch costs besides, and however fast the steps seem to be."""
    stepper = lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1).stepper
    for overhead in (0.0, 0.1, 1000.0):
        with stepper.elsewhere(Place(prepare=lambda beginning: None, seconds=2.0, overhead=lambda: overhead)):  # noqa: B023
            stepper.seconds_per_step = 0.001
            assert 2000 <= stepper._chunk(10**6) <= 4000


class Unsent:
    """What no other process can have."""

    def __reduce__(self) -> Any:
        raise ValueError("it stays here")


def test_what_cannot_be_sent(client: Any):
    here = Unsent()
    well = lf.potentials.Batch(gradient=lambda x: x * (here is not None), dim=1)
    simulation = lf.Simulation(well, lf.ULA(0.1), n_particles=3, initial=[0.5], seed=1)
    with pytest.raises(TypeError, match=r"cannot be sent to workers: .*it stays here"):
        lf.distributed.run(simulation, 10, client=client)


def test_a_killed_worker_costs_a_stretch(client: Any):
    mine, theirs = (lf.Simulation(WELL, lf.ULA(0.01), n_particles=300, initial=[-1.0], seed=1) for _ in range(2))
    killed = client.submit(os.getpid, pure=False).result()
    at = []

    def killer() -> None:
        while theirs.step < 10_000:
            time.sleep(0.001)
        at.append(theirs.step)
        os.kill(killed, signal.SIGKILL)

    thread = threading.Thread(target=killer)
    thread.start()
    lf.distributed.run(theirs, 4_000_000, client=client, seconds=0.1)
    thread.join()
    assert at[0] < 2_000_000
    mine.run(4_000_000)
    assert_same_simulation(mine, theirs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"client": 3}, r"client must be a distributed\.Client"),
        ({"seconds": "1"}, "seconds"),
        ({"simulation": 3}, "sim"),
    ],
)
def test_bad_input_of_run(given: dict[str, Any], message: str, client: Any):
    arguments = {"simulation": lf.Simulation(WELL, lf.ULA(0.01), n_particles=3, seed=1), "client": client, **given}
    with pytest.raises(TypeError, match=message):
        lf.distributed.run(n_steps=3, **arguments)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"client": 3}, TypeError, r"client must be a distributed\.Client"),
        ({"audit": 2.0}, ValueError, "audit=2.0 must be a fraction"),
        ({"folder": "/no/such/place"}, ValueError, "is no directory"),
        ({"observers": [observers.Frames()]}, TypeError, "Frames stay with the workers"),
        ({"n_particles": 0}, ValueError, "n_particles"),
    ],
)
def test_bad_input(given: dict[str, Any], error: type[Exception], message: str, client: Any):
    with pytest.raises(error, match=message):
        lf.distributed.sample(WELL, lf.ULA(0.01), **{"client": client, **CALL, **given})
