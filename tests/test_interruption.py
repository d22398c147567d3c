"""Ctrl-C, threads and processes."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import cases
import numpy as np
import pytest

import langevin_fast as lf

WELL = lf.potentials.DoubleWell(dim=2)
ULA = lf.ULA(0.05)
BAOAB = lf.BAOAB(0.1, friction=1.0)


# ---- interruption ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.parametrize("n_particles", [1, 100, 200_000])
def test_ctrl_c(n_particles):
    """Stops soon (half a second is promised; five are allowed here, the machine may be busy), at a complete step."""
    script = textwrap.dedent(
        f"""
        import signal, sys, time
        import numpy as np
        import langevin_fast as lf

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent may have had it ignored

        def make():
            scheme = lf.BAOAB(0.05, friction=1.0)
            return lf.Simulation(lf.potentials.DoubleWell(), scheme, n_particles={n_particles}, seed=3)

        sim = make()
        print("started", flush=True)
        try:
            sim.run(10**12)
        except KeyboardInterrupt as error:
            print(type(error).__name__, flush=True)
        step = sim.step
        fresh = make()
        fresh.run(step)
        assert step > 0
        assert np.array_equal(sim.positions, fresh.positions) and np.array_equal(sim.velocities, fresh.velocities)
        sim.run(7)
        fresh.run(7)
        assert sim.step == step + 7 and np.array_equal(sim.positions, fresh.positions)
        print("usable", flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script],
        env=cases.python_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "started\n"
        time.sleep(0.4)
        sent = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "Interrupted\n", process.stderr.read()
        assert time.monotonic() - sent < 5
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0 and out == "usable\n", err
    finally:
        process.kill()
        process.communicate()


class StopError(Exception):
    pass


@pytest.fixture
def alarm():
    """A function that has a signal handler raise an exception after some seconds."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("no interval timers")

    def start(seconds, error):
        def handler(*_):
            raise error

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.getsignal(signal.SIGALRM)
    yield start
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(("burn_in", "stride"), [(0, 10_000), (3, 7000), (10**12, 10_000)])
def test_an_interrupted_sample_carries_its_frames(alarm, burn_in, stride):
    arguments = {"n_particles": 64, "seed": 3, "burn_in": burn_in, "stride": stride}
    alarm(0.3, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        lf.sample(lf.potentials.DoubleWell(), ULA, n_steps=10**9, **arguments)
    assert type(caught.value) is lf.Interrupted
    traj = caught.value.trajectory
    done = traj.final.step
    assert f"interrupted after step {done}" in str(caught.value)
    assert 0 < done < 10**9 and len(traj.positions) == max(done - burn_in, 0) // stride
    fresh = lf.sample(
        lf.potentials.DoubleWell(),
        ULA,
        n_particles=64,
        seed=3,
        n_steps=max(done - burn_in, 0),
        burn_in=min(burn_in, done),
        stride=stride,
    )
    np.testing.assert_array_equal(traj.final.positions, fresh.final.positions)
    np.testing.assert_array_equal(traj.positions, fresh.positions)
    np.testing.assert_array_equal(traj.steps, fresh.steps)


def test_other_exceptions_of_signal_handlers_pass_through(alarm):
    sim = lf.Simulation(lf.potentials.DoubleWell(), ULA, n_particles=100, seed=3)
    alarm(0.2, StopError)
    with pytest.raises(StopError):
        sim.run(10**12)
    step = sim.step
    fresh = lf.Simulation(lf.potentials.DoubleWell(), ULA, n_particles=100, seed=3)
    fresh.run(step)
    np.testing.assert_array_equal(sim.positions, fresh.positions)


def test_costly_steps_can_be_interrupted_too(alarm):
    """The first chunk, too, is short where steps are slow: nothing is known about them yet."""
    i, j = np.indices((200_000, 3))
    slow = lf.potentials.LogisticRegression((i * 7 + j * 3) % 11 / 10, np.arange(200_000) % 2, prior_scale=1.0)
    sim = lf.Simulation(slow, lf.ULA(1e-8), seed=1)
    alarm(0.2, StopError)
    started = time.monotonic()
    with pytest.raises(StopError):
        sim.run(10**9)
    assert time.monotonic() - started < 5  # a first chunk of 50,000 component-steps takes over ten seconds


def test_evaluations_can_be_interrupted(alarm):
    centers = np.linspace(0.0, 1.0, 20_000)[:, np.newaxis]
    mixture = lf.potentials.GaussianMixture(np.ones(20_000), centers, 0.01)
    alarm(0.2, StopError)
    started = time.monotonic()
    with pytest.raises(StopError):
        mixture.gradient(np.zeros((10_000_000, 1)))  # minutes
    assert time.monotonic() - started < 10


# ---- threads and processes ------------------------------------------------------------------------------------------


def one_long_chunk(sim):
    """Have the next run make all its steps in a single call of the compiled code."""
    sim.stepper.place = sim.stepper.place._replace(seconds=1e9)
    sim._stepper.seconds_per_step = 1e-9


def test_the_gil_is_released(monkeypatch):
    """Another thread ticks on while the compiled code runs: with the GIL held it could not tick at all."""
    sim = lf.Simulation(lf.potentials.DoubleWell(), BAOAB, n_particles=64, seed=1, threads=1)
    sim.run(1)
    one_long_chunk(sim)
    running, ticks = threading.Event(), []

    def tick():
        running.wait()
        while running.is_set():
            ticks.append(sim.step)
            time.sleep(0.001)

    ticker = threading.Thread(target=tick)
    ticker.start()
    running.set()
    sim.run(2_000_000)
    running.clear()
    ticker.join()
    assert ticks.count(1) >= 20  # the run is one chunk: all the while the step number is that of its start


def test_short_runs_stay_on_one_thread(monkeypatch):
    """On a busy machine the other threads may get their turn only milliseconds later."""
    from langevin_fast.backends import cpp

    monkeypatch.setattr(cpp, "_SERIAL_SECONDS", 1e-3)
    sim = lf.Simulation(WELL, ULA, n_particles=300, seed=1, threads=3)
    sim.run(1)  # nothing is known yet
    runner = sim._stepper.runner
    used = []

    class Watched:
        advance = staticmethod(lambda *arguments: used.append(arguments[-1]) or inside.advance(*arguments))

    inside, runner._runner = runner._runner, Watched()
    runner._seconds_per_step = 1e-6
    sim.run(100)
    runner._seconds_per_step = 1e-4
    sim.run(100)
    assert used == [1, 3]


def test_several_python_threads():
    def work(seed):
        traj = lf.sample(WELL, BAOAB, n_particles=300, n_steps=400, stride=100, seed=seed, threads=2)
        return traj.positions, traj.velocities

    expected = [work(seed) for seed in range(6)]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for (x, v), (wanted_x, wanted_v) in zip(pool.map(work, range(6)), expected, strict=True):
            np.testing.assert_array_equal(x, wanted_x)
            np.testing.assert_array_equal(v, wanted_v)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_fork_after_a_parallel_run():
    """The child runs (serially), and so do its own children; the parent goes on in parallel."""
    script = textwrap.dedent(
        """
        import multiprocessing, sys
        import langevin_fast as lf

        def work(_=None):
            sim = lf.Simulation(lf.potentials.DoubleWell(), lf.ULA(0.05), n_particles=5000, seed=1, threads=2)
            sim.run(50)
            return sim.positions.tobytes()

        if __name__ == "__main__":
            expected = work()
            context = multiprocessing.get_context("fork")
            with context.Pool(2) as pool:
                assert pool.map(work, range(4)) == [expected] * 4
            assert work() == expected
            print("same")
        """
    )
    # newer Pythons warn of forking a process with threads, which is what is done here
    environment = {"PYTHONWARNINGS": "ignore::DeprecationWarning"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=cases.python_environment(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0 and done.stdout == "same\n", done.stderr
