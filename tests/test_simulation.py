"""`sample`, `Simulation` and `Trajectory`: frames, starts, errors, interruption, threads, other packages."""

from __future__ import annotations

import concurrent.futures
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import cases
import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import simulation as simulation_module
from langevin_fast.noise import draw, draw_numpy

SIGMAS = 4.5
WELL = lf.potentials.DoubleWell(dim=2)
SPRING = lf.potentials.Harmonic(1.0)
ULA = lf.ULA(0.05)
BAOAB = lf.BAOAB(0.1, friction=1.0)
DTYPES = {"double": np.float64, "single": np.float32}


# ---- frames and steps -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_steps", "burn_in", "stride", "expected"),
    [
        (10, 0, 1, range(1, 11)),
        (10, 0, 3, [3, 6, 9]),
        (10, 5, 3, [8, 11, 14]),
        (10, 5, 10, [15]),
        (10, 5, 11, []),
        (0, 5, 1, []),
        (0, 0, 1, []),
    ],
)
@pytest.mark.parametrize("scheme", [ULA, BAOAB], ids=["ULA", "BAOAB"])
def test_frames_and_their_numbers(scheme, n_steps, burn_in, stride, expected):
    traj = lf.sample(WELL, scheme, n_particles=3, n_steps=n_steps, burn_in=burn_in, stride=stride, seed=1)
    np.testing.assert_array_equal(traj.steps, list(expected))
    assert traj.positions.shape == (n_steps // stride, 3, 2)
    assert traj.final.step == burn_in + n_steps
    # each frame is the state of a simulation that was run so far
    for step, frame in zip(traj.steps, traj.positions, strict=True):
        sim = lf.Simulation(WELL, scheme, n_particles=3, seed=1)
        sim.run(int(step))
        np.testing.assert_array_equal(frame, sim.positions)
    if scheme.overdamped:
        assert traj.velocities is None and traj.final.velocities is None
    else:
        assert traj.velocities.shape == traj.positions.shape
        if len(expected) and expected[-1] == burn_in + n_steps:
            np.testing.assert_array_equal(traj.velocities[-1], traj.final.velocities)


def test_no_frames():
    whole = lf.sample(WELL, BAOAB, n_particles=3, n_steps=30, seed=1)
    traj = lf.sample(WELL, BAOAB, n_particles=3, n_steps=30, stride=None, seed=1)
    assert traj.positions.shape == traj.velocities.shape == (0, 3, 2) and traj.steps.shape == (0,)
    np.testing.assert_array_equal(traj.final.positions, whole.positions[-1])
    np.testing.assert_array_equal(traj.final.velocities, whole.velocities[-1])


@pytest.mark.parametrize("precision", DTYPES)
def test_types(precision):
    traj = lf.sample(WELL, BAOAB, n_steps=4, seed=1, precision=precision)
    dtype = DTYPES[precision]
    assert traj.positions.dtype == traj.velocities.dtype == traj.final.positions.dtype == traj.energies.dtype == dtype
    assert traj.backend == "cpp" and traj.potential is WELL and traj.scheme is BAOAB
    np.testing.assert_array_equal(traj.streams, [0])
    assert repr(traj).startswith("<Trajectory: 4 frames of 1 particles in 2 dimensions, DoubleWell(")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_steps": -1}, ValueError, "n_steps"),
        ({"n_steps": 1.5}, TypeError, "n_steps"),
        ({"n_steps": True}, TypeError, "n_steps"),
        ({"burn_in": -1}, ValueError, "burn_in"),
        ({"stride": 0}, ValueError, "stride"),
        ({"stride": "all"}, TypeError, "stride"),
        ({"progress": "yes"}, TypeError, "progress"),
    ],
)
def test_wrong_arguments_of_sample(arguments, error, message):
    with pytest.raises(error, match=message):
        lf.sample(SPRING, ULA, **{"n_steps": 1, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"initial": [np.nan, 0.0]}, ValueError, r"initial\[0\] = nan"),
        ({"initial": [np.inf, 0.0]}, ValueError, "initial"),
        ({"initial": [0.0]}, ValueError, r"initial must have the shape \(2,\) or \(1, 2\); got \(1,\)"),
        ({"initial": 0.0}, ValueError, "initial"),
        ({"initial": np.zeros((3, 3))}, ValueError, "initial"),
        ({"initial": np.zeros((3, 1, 2))}, ValueError, "initial"),
        ({"initial": np.zeros((0, 2))}, ValueError, "initial"),
        ({"initial": "here"}, (TypeError, ValueError), "initial"),
        ({"initial": [1j, 0]}, TypeError, "initial"),
        ({"velocities": [np.nan, 0.0]}, ValueError, "velocities"),
        ({"velocities": np.zeros((1, 3))}, ValueError, "velocities"),
        ({"n_particles": 0}, ValueError, "n_particles"),
        ({"n_particles": 2.0}, TypeError, "n_particles"),
        ({"mass": 0.0}, ValueError, "mass"),
        ({"mass": -1.0}, ValueError, "mass"),
        ({"mass": np.nan}, ValueError, "mass"),
        ({"mass": [1.0, 0.0]}, ValueError, "mass"),
        ({"mass": [1.0, 2.0, 3.0]}, ValueError, r"mass must be a number or have the shape \(2,\)"),
        ({"mass": "heavy"}, TypeError, "mass"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 2**64}, ValueError, "seed"),
        ({"seed": 1.0}, TypeError, "seed"),
        ({"backend": "gpu"}, ValueError, "backend"),
        ({"precision": "half"}, ValueError, "precision"),
        ({"precision": np.float32}, TypeError, "precision"),
        ({"threads": 0}, ValueError, "threads"),
        ({"threads": 1.0}, TypeError, "threads"),
        ({"streams": [-1]}, ValueError, "streams"),
        ({"streams": [2**56]}, ValueError, "streams"),
        ({"streams": [0.5]}, TypeError, "streams"),
        ({"streams": [[1]]}, TypeError, "streams"),
        ({"streams": 3}, TypeError, "streams"),
        ({"on_divergence": "ignore"}, ValueError, "on_divergence"),
        # numbers of particles that contradict each other
        ({"initial": np.zeros((3, 2)), "n_particles": 4}, ValueError, "initial says 3"),
        ({"initial": np.zeros((3, 2)), "streams": [1, 2]}, ValueError, "contradictory.*initial says 3, streams says 2"),
        ({"velocities": np.zeros((3, 2)), "n_particles": 4}, ValueError, "velocities says 3"),
        ({"mass": np.ones((3, 1)), "n_particles": 4}, ValueError, "mass says 3"),
        ({"streams": [1, 2], "n_particles": 4}, ValueError, "streams says 2"),
    ],
)
def test_wrong_arguments_of_a_simulation(arguments, error, message):
    for call in (lf.Simulation, lambda *a, **k: lf.sample(*a, n_steps=1, **k)):
        with pytest.raises(error, match=message):
            call(WELL, BAOAB, **arguments)


def test_arrays_that_are_no_arrays():
    ragged = [[0.0, 1.0], [0.0]]
    for name in ("initial", "velocities", "mass"):
        with pytest.raises(ValueError, match=name):
            lf.Simulation(WELL, BAOAB, **{name: ragged})


def test_no_particles_at_all():
    for streams in ([], np.array([], int), range(0)):
        with pytest.raises((TypeError, ValueError), match="streams"):
            lf.Simulation(WELL, ULA, streams=streams)


@pytest.mark.parametrize("name", ["initial", "velocities"])
def test_starts_beyond_the_range_of_single_precision(name):
    lf.Simulation(WELL, BAOAB, **{name: [1e300, 0.0]})
    with pytest.raises(ValueError, match=name):
        lf.Simulation(WELL, BAOAB, precision="single", **{name: [1e300, 0.0]})


def test_wrong_potentials_and_schemes():
    with pytest.raises(TypeError, match="potential"):
        lf.Simulation("well", ULA)
    with pytest.raises(TypeError, match="potential"):
        lf.Simulation(lf.potentials.Harmonic, ULA)
    with pytest.raises(TypeError, match="scheme"):
        lf.Simulation(SPRING, "ULA")
    with pytest.raises(TypeError, match="scheme"):
        lf.Simulation(SPRING, lf.ULA)


@pytest.mark.parametrize("scheme", [ULA, lf.LeimkuhlerMatthews(0.1), lf.MALA(0.1)])
def test_overdamped_schemes_have_no_mass_and_no_velocities(scheme):
    for mass in (2.0, [1.0], np.ones((1, 1))):
        with pytest.raises(ValueError, match=r"mass=.*overdamped"):
            lf.Simulation(SPRING, scheme, mass=mass)
    with pytest.raises(ValueError, match=r"velocities.*overdamped"):
        lf.Simulation(SPRING, scheme, velocities=[0.0])
    assert lf.Simulation(SPRING, scheme, mass=1.0).velocities is None


def test_run_checks_its_argument():
    sim = lf.Simulation(SPRING, ULA)
    for n_steps, error in ((-1, ValueError), (1.0, TypeError), (None, TypeError)):
        with pytest.raises(error, match="n_steps"):
            sim.run(n_steps)
    assert sim.step == 0
    sim.run(0)
    sim.run(np.int64(3))
    assert sim.step == 3


# ---- starts ---------------------------------------------------------------------------------------------------------


def test_starts():
    default = lf.Simulation(WELL, ULA, n_particles=3)
    np.testing.assert_array_equal(default.positions, np.tile(WELL.default_start, (3, 1)))
    one = lf.Simulation(WELL, ULA, initial=[0.5, 1.0], n_particles=3)
    np.testing.assert_array_equal(one.positions, [[0.5, 1.0]] * 3)
    each = np.arange(6.0).reshape(3, 2) / 10
    sim = lf.Simulation(WELL, BAOAB, initial=each, velocities=-each)
    each_before = each.copy()
    each[:] = 99.0  # what was given is copied
    np.testing.assert_array_equal(sim.positions, each_before)
    np.testing.assert_array_equal(sim.velocities, -each_before)
    both = lf.Simulation(WELL, BAOAB, velocities=[1.0, 2.0], n_particles=2)
    np.testing.assert_array_equal(both.velocities, [[1.0, 2.0]] * 2)
    assert lf.Simulation(WELL, BAOAB, mass=np.ones((4, 1))).n_particles == 4
    assert lf.Simulation(WELL, lf.ULA(np.full(5, 0.1))).n_particles == 5
    assert lf.Simulation(WELL, lf.ULA(0.1, kT=np.ones(6))).n_particles == 6
    assert lf.Simulation(WELL, ULA, streams=[3, 4]).n_particles == 2
    assert lf.Simulation(WELL, ULA).n_particles == 1


def test_what_a_simulation_shows_is_read_only_and_does_not_change():
    sim = lf.Simulation(WELL, BAOAB, n_particles=3, seed=1)
    before, copy = sim.positions, sim.positions.copy()
    sim.run(5)
    np.testing.assert_array_equal(before, copy)
    for array in (sim.positions, sim.velocities, sim.mass, sim.streams, sim.diverged):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert repr(sim).startswith("<Simulation of 3 particles at step 5: DoubleWell(")


@pytest.mark.parametrize("precision", DTYPES)
def test_maxwell_boltzmann_velocities_come_from_the_initial_streams(precision):
    """v = sqrt(kT/m) times the first dim numbers of the stream tagged for initial draws."""
    kT, mass = np.linspace(0.5, 3.0, 40), 1.0 + np.arange(80).reshape(40, 2) % 3
    streams = np.arange(40) * 2**44
    sim = lf.Simulation(
        WELL, lf.BAOAB(0.1, friction=1.0, kT=kT), mass=mass, seed=5, streams=streams, precision=precision
    )
    dtype = DTYPES[precision]
    normals = np.array([draw_numpy(2, 5, s, 0, 2, dtype) for s in streams.tolist()])
    np.testing.assert_allclose(
        sim.velocities, np.sqrt(kT[:, np.newaxis] / mass) * normals, rtol=4 * np.finfo(dtype).eps
    )
    thermal = draw("thermal", 5, streams.astype(np.uint64), 0, 2, dtype)
    assert not np.isclose(normals, thermal).any()


def test_maxwell_boltzmann_law():
    """Variance kT/m, fourth moment 3 (kT/m)^2, within 4.5 sigma."""
    sim = lf.Simulation(WELL, lf.BAOAB(0.1, friction=1.0, kT=1.5), mass=[3.0, 0.5], n_particles=100_000, seed=8)
    z = sim.velocities / np.sqrt(1.5 / np.array([3.0, 0.5]))
    for power, mean, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96)):
        assert np.all(np.abs(np.mean(z**power, axis=0) - mean) < SIGMAS * np.sqrt(variance / 100_000))
    assert abs(np.mean(z[:, 0] * z[:, 1])) < SIGMAS / np.sqrt(100_000)


def test_cold_particles_start_at_rest():
    assert not lf.Simulation(WELL, lf.BAOAB(0.1, friction=1.0, kT=0.0), n_particles=9).velocities.any()


def test_time():
    sim = lf.Simulation(WELL, lf.ULA(0.25))
    assert sim.time == 0.0
    sim.run(3)
    assert sim.time == 0.75 and sim.step == 3
    sim = lf.Simulation(WELL, lf.ULA([0.25, 0.5]))
    sim.run(4)
    np.testing.assert_array_equal(sim.time, [1.0, 2.0])


def test_a_seed_is_drawn_and_reported():
    first = lf.sample(WELL, BAOAB, n_particles=3, n_steps=5)
    second = lf.sample(WELL, BAOAB, n_particles=3, n_steps=5)
    assert 0 <= first.seed < 2**64 and first.seed != second.seed
    assert not np.array_equal(first.positions, second.positions)
    again = lf.sample(WELL, BAOAB, n_particles=3, n_steps=5, seed=first.seed)
    np.testing.assert_array_equal(again.positions, first.positions)
    np.testing.assert_array_equal(again.velocities, first.velocities)
    assert lf.sample(WELL, ULA, n_steps=1, seed=2**64 - 1).seed == 2**64 - 1


# ---- divergence -----------------------------------------------------------------------------------------------------

N_WILD, WILD_STEPS = 150, 40


def wild_step_sizes():
    """Stable for most particles; some blow up, at different steps."""
    h = np.full(N_WILD, 0.01)
    h[[20, 77, 78, 140]] = [0.4, 0.3, 0.3, 0.5]
    return h


WILD_SCHEMES = {
    "ULA": lambda h: lf.ULA(h),
    "LeimkuhlerMatthews": lambda h: lf.LeimkuhlerMatthews(h),
    "BAOAB": lambda h: lf.BAOAB(4 * h, friction=1.0),
}
each_wild = pytest.mark.parametrize("make", WILD_SCHEMES.values(), ids=WILD_SCHEMES)


def wild(make, **arguments):
    given = {"n_particles": N_WILD, "seed": 6, **arguments}
    return lf.potentials.DoubleWell(5.0), make(wild_step_sizes()), given


def first_divergences(make, precision="double"):
    """Found one step and one particle at a time: {particle: (step, last finite position)}."""
    potential, scheme, arguments = wild(make, precision=precision)
    sim = lf.Simulation(potential, scheme, on_divergence="freeze", **arguments)
    found, before = {}, sim.positions
    for step in range(1, WILD_STEPS + 1):
        sim.run(1)
        for particle in np.flatnonzero(sim.diverged == step):
            found[int(particle)] = (step, before[particle].copy())
        before = sim.positions
    return found


def test_particles_blow_up_where_plain_numpy_says():
    """The overflow of the plain update of ULA, without the package's own look-out."""
    h, x = wild_step_sizes(), np.full(N_WILD, lf.potentials.DoubleWell(5.0).default_start[0])
    normals = draw("thermal", 6, np.arange(N_WILD, dtype=np.uint64), 0, WILD_STEPS, np.float64)
    step_of = {}
    with np.errstate(all="ignore"):
        for step in range(WILD_STEPS):
            x = (x + np.sqrt(2 * h) * normals[:, step]) - h * (20 * x * (x * x - 1))
            for particle in np.flatnonzero(~np.isfinite(x)):
                step_of.setdefault(int(particle), step + 1)
    assert {p: step for p, (step, _) in first_divergences(WILD_SCHEMES["ULA"]).items()} == step_of
    assert len(step_of) >= 3


@pytest.mark.parametrize("precision", DTYPES)
@each_wild
def test_the_first_divergence_is_found_whatever_the_chunks_and_threads(make, precision, monkeypatch):
    found = first_divergences(make, precision)
    assert len(found) >= 2
    step, particle = min((step, particle) for particle, (step, _) in found.items())
    position = found[particle][1]
    potential, scheme, arguments = wild(make, precision=precision)
    frames = lf.sample(potential, scheme, n_steps=step - 1, **arguments)
    for longest in (1, 3, 10, 2**22):
        monkeypatch.setattr(simulation_module, "_LONGEST_CHUNK", longest)
        for threads in (1, 3):
            sim = lf.Simulation(potential, scheme, threads=threads, **arguments)
            with pytest.raises(lf.DivergenceError) as caught:
                sim.run(WILD_STEPS)
            error = caught.value
            assert (error.step, error.particle, error.stream) == (step, particle, particle)
            assert error.step_size == scheme.step_size[particle] and error.trajectory is None
            np.testing.assert_array_equal(error.last_position, position)
            # the simulation stands where everything was finite, and can be looked at
            assert sim.step == step - 1 and np.isfinite(sim.positions).all() and (sim.diverged == -1).all()
            np.testing.assert_array_equal(sim.positions, frames.final.positions)
            assert f"particle {particle} (stream {particle}) is not finite after step {step}" in str(error)
            assert "smaller step_size" in str(error)
        with pytest.raises(lf.DivergenceError) as caught:
            lf.sample(potential, scheme, n_steps=WILD_STEPS, **arguments)
        traj = caught.value.trajectory
        assert traj.final.step == step - 1 and traj.seed == 6
        np.testing.assert_array_equal(traj.steps, np.arange(1, step))
        np.testing.assert_array_equal(traj.positions, frames.positions)
        if frames.velocities is not None:
            np.testing.assert_array_equal(traj.velocities, frames.velocities)
    with pytest.raises(lf.DivergenceError):  # and again, at once
        sim.run(1)


@each_wild
def test_divergence_in_the_burn_in_and_between_frames(make):
    found = first_divergences(make)
    step = min(step for step, _ in found.values())
    potential, scheme, arguments = wild(make)
    with pytest.raises(lf.DivergenceError) as caught:
        lf.sample(potential, scheme, n_steps=5, burn_in=WILD_STEPS, **arguments)
    assert caught.value.step == step and len(caught.value.trajectory.positions) == 0
    with pytest.raises(lf.DivergenceError) as caught:
        lf.sample(potential, scheme, n_steps=WILD_STEPS, stride=2, **arguments)
    assert caught.value.step == step
    np.testing.assert_array_equal(caught.value.trajectory.steps, np.arange(2, step, 2))
    with pytest.raises(lf.DivergenceError) as caught:
        lf.sample(potential, scheme, n_steps=WILD_STEPS, stride=None, **arguments)
    assert caught.value.step == step and caught.value.trajectory.final.step == step - 1


@each_wild
def test_the_number_of_other_particles_does_not_matter(make):
    """Each particle that diverges does so at the same step alone, and reports its stream."""
    found = first_divergences(make)
    for particle, (step, position) in found.items():
        scheme = make(wild_step_sizes()[[particle]])
        with pytest.raises(lf.DivergenceError) as caught:
            lf.sample(lf.potentials.DoubleWell(5.0), scheme, n_steps=WILD_STEPS, streams=[particle], seed=6)
        assert (caught.value.step, caught.value.particle, caught.value.stream) == (step, 0, particle)
        np.testing.assert_array_equal(caught.value.last_position, position)


@pytest.mark.parametrize("precision", DTYPES)
@each_wild
def test_freezing_leaves_the_others_alone(make, precision, monkeypatch, isa):
    found = first_divergences(make, precision)
    potential, scheme, arguments = wild(make, precision=precision)
    calm = np.setdiff1d(np.arange(N_WILD), list(found))
    # the calm ones by themselves
    expected = lf.sample(
        potential,
        make(wild_step_sizes()[calm]),
        streams=calm,
        seed=6,
        n_steps=WILD_STEPS,
        precision=precision,
    )
    for longest in (1, 7, 2**22):
        monkeypatch.setattr(simulation_module, "_LONGEST_CHUNK", longest)
        traj = lf.sample(potential, scheme, n_steps=WILD_STEPS, on_divergence="freeze", **arguments)
        np.testing.assert_array_equal(traj.positions[:, calm], expected.positions)
        assert (traj.diverged[calm] == -1).all()
        assert np.isfinite(traj.positions).all()
        for particle, (step, position) in found.items():
            assert traj.diverged[particle] == step
            np.testing.assert_array_equal(
                traj.positions[step - 1 :, particle], np.broadcast_to(position, (WILD_STEPS - step + 1, 1))
            )
            if step > 1:
                np.testing.assert_array_equal(traj.positions[step - 2, particle], position)
            if traj.velocities is not None:
                assert np.isfinite(traj.velocities).all()
                assert (traj.velocities[step - 1 :, particle] == traj.velocities[-1, particle]).all()
        np.testing.assert_array_equal(traj.final.positions, traj.positions[-1])


def test_frozen_particles_stay_frozen_in_the_next_run():
    potential, scheme, arguments = wild(WILD_SCHEMES["ULA"])
    sim = lf.Simulation(potential, scheme, on_divergence="freeze", **arguments)
    sim.run(WILD_STEPS)
    bad = np.flatnonzero(sim.diverged >= 0)
    where, since = sim.positions[bad].copy(), sim.diverged[bad].copy()
    sim.run(WILD_STEPS)
    np.testing.assert_array_equal(sim.positions[bad], where)
    np.testing.assert_array_equal(sim.diverged[bad], since)
    good = np.setdiff1d(np.arange(N_WILD), bad)
    longer = lf.sample(potential, scheme, n_steps=2 * WILD_STEPS, on_divergence="freeze", **arguments)
    np.testing.assert_array_equal(sim.positions[good], longer.final.positions[good])


def test_a_velocity_that_overflows_is_a_divergence():
    """Free particles in single precision: v = 3e38, x = 3e38 after one step and too large after two."""
    sim = lf.Simulation(
        lf.potentials.Free(1),
        lf.BAOAB(1.0, friction=0.0, kT=0.0),
        initial=[0.0],
        velocities=[3e38],
        precision="single",
    )
    with pytest.raises(lf.DivergenceError) as caught:
        sim.run(5)
    assert caught.value.step == 2 and caught.value.last_position[0] == np.float32(3e38)


def test_errors_can_be_pickled():
    error = lf.DivergenceError(3, 1, 17, np.array([1.0, 2.0]), 0.5)
    twin = pickle.loads(pickle.dumps(error))
    assert str(twin) == str(error) and twin.stream == 17
    np.testing.assert_array_equal(twin.last_position, error.last_position)


def test_interruptions_can_be_pickled():
    """So that they cross the border of a process pool."""
    traj = lf.sample(SPRING, ULA, n_steps=3, seed=1)
    twin = pickle.loads(pickle.dumps(lf.Interrupted(traj)))
    assert str(twin) == "interrupted at step 3; .trajectory holds the frames so far"
    np.testing.assert_array_equal(twin.trajectory.positions, traj.positions)


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
        assert process.stdout.readline() == "KeyboardInterrupt\n", process.stderr.read()
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
    assert f"interrupted at step {done}" in str(caught.value)
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


# ---- threads and processes ------------------------------------------------------------------------------------------


def one_long_chunk(monkeypatch, sim):
    """Have the next run make all its steps in a single call of the compiled code."""
    monkeypatch.setattr(simulation_module, "_CHUNK_SECONDS", 1e9)
    sim._seconds_per_step = 1e-9


def test_the_gil_is_released(monkeypatch):
    """Another thread ticks on while the compiled code runs: with the GIL held it could not tick at all."""
    sim = lf.Simulation(lf.potentials.DoubleWell(), BAOAB, n_particles=64, seed=1, threads=1)
    sim.run(1)
    one_long_chunk(monkeypatch, sim)
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

    used = []
    advance = cpp.advance
    monkeypatch.setattr(cpp, "advance", lambda *arguments: used.append(arguments[-1]) or advance(*arguments))
    monkeypatch.setattr(simulation_module, "_SERIAL_SECONDS", 1e-3)
    sim = lf.Simulation(WELL, ULA, n_particles=300, seed=1, threads=3)
    sim.run(1)  # nothing is known yet
    sim._seconds_per_step = 1e-6
    sim.run(100)
    sim._seconds_per_step = 1e-4
    sim.run(100)
    assert used == [1, 1, 3]


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


# ---- memory, precision ----------------------------------------------------------------------------------------------


def test_too_much_memory_is_said_before():
    with pytest.raises(MemoryError, match=r"the 1000000000000 frames of 1 particles would take .* GiB, but .* GiB"):
        lf.sample(SPRING, ULA, n_steps=10**12)
    with pytest.raises(MemoryError, match=r"stride=None"):
        lf.sample(SPRING, BAOAB, n_steps=10**18)
    with pytest.raises(MemoryError, match=r"the state of .* particles would take"):
        lf.Simulation(SPRING, ULA, n_particles=10**13)
    assert lf.sample(SPRING, ULA, n_steps=10**3, stride=None).final.step == 1000


def test_frames_count_with_their_velocities_and_precision(monkeypatch):
    from langevin_fast import sampling

    asked = []
    monkeypatch.setattr(sampling, "check_memory", lambda n_bytes, what: asked.append(n_bytes))
    lf.sample(WELL, ULA, n_particles=3, n_steps=10, stride=2)
    lf.sample(WELL, BAOAB, n_particles=3, n_steps=10, stride=2)
    lf.sample(WELL, ULA, n_particles=3, n_steps=10, stride=2, precision="single")
    assert asked == [5 * 3 * 2 * 8, 2 * 5 * 3 * 2 * 8, 5 * 3 * 2 * 4]


@pytest.mark.parametrize(
    ("scheme", "initial"),
    [
        (lf.ULA(1e-15), [0.0]),
        (lf.ULA(0.01), [1e6]),
        (lf.LeimkuhlerMatthews(1e-15), [1.0]),
        (lf.MALA(1e-15), [1.0]),
        (lf.BAOAB(1e-8, friction=1.0), [1.0]),
        (lf.ULA([0.1, 1e-16]), [1.0]),
    ],
)
def test_steps_that_single_precision_cannot_resolve(scheme, initial):
    potential = lf.potentials.Harmonic(1.0, center=1.0)
    with pytest.warns(UserWarning, match=r"in single precision .*freeze.*precision=\"double\" or a larger step_size"):
        lf.Simulation(potential, scheme, initial=initial, precision="single")
    with pytest.warns(UserWarning, match="in single precision") as caught:
        lf.sample(potential, scheme, initial=initial, precision="single", n_steps=0)
    assert all(warning.filename != simulation_module.__file__ for warning in caught), "it should point at the caller"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lf.Simulation(potential, scheme, initial=initial)  # double


@pytest.mark.parametrize("scheme", [lf.ULA(1e-4), lf.MALA(1e-3), lf.BAOAB(1e-3, friction=1.0), lf.ULA(1e-15, kT=0.0)])
def test_ordinary_steps_in_single_precision_get_no_warning(scheme):
    """(Warnings are errors in this suite.)"""
    lf.Simulation(lf.potentials.Harmonic(1.0), scheme, initial=[3.0], precision="single").run(1)


def test_the_warning_is_true():
    """Steps of at most 6.7 sigma = 2.1e-8 do not reach half the distance between numbers below 1."""
    arguments = {"initial": [1.0], "n_particles": 50, "n_steps": 1000, "seed": 1}
    with pytest.warns(UserWarning):
        frozen = lf.sample(SPRING, lf.ULA(5e-18), precision="single", **arguments)
    assert (frozen.positions == 1.0).all()
    assert (np.diff(lf.sample(SPRING, lf.ULA(1e-9), **arguments).positions, axis=0) != 0).all()


# ---- what comes along -----------------------------------------------------------------------------------------------


def test_energies():
    traj = lf.sample(WELL, ULA, n_particles=4, n_steps=6, seed=1)
    assert traj.energies.shape == (6, 4)
    np.testing.assert_array_equal(traj.energies, WELL.energy(traj.positions))
    assert traj.energies is traj.energies  # computed once


def test_trajectories_can_be_pickled():
    traj = lf.sample(WELL, lf.MALA(0.1), n_particles=4, n_steps=6, seed=1)
    twin = pickle.loads(pickle.dumps(traj))
    np.testing.assert_array_equal(twin.positions, traj.positions)
    np.testing.assert_array_equal(twin.acceptance_rate, traj.acceptance_rate)
    assert twin.final.step == 6 and repr(twin) == repr(traj)


def test_trajectories_cannot_be_changed_by_accident():
    traj = lf.sample(WELL, ULA, n_steps=2, seed=1)
    with pytest.raises(AttributeError):
        traj.seed = 2


def test_to_xarray():
    pytest.importorskip("xarray")
    traj = lf.sample(
        WELL, BAOAB, n_particles=4, n_steps=6, burn_in=3, stride=2, seed=2**64 - 1, streams=[7, 8, 9, 2**56 - 1]
    )
    data = traj.to_xarray()
    assert data["position"].dims == data["velocity"].dims == ("chain", "draw", "component")
    assert dict(data.sizes) == {"chain": 4, "draw": 3, "component": 2}
    np.testing.assert_array_equal(data["position"].values, traj.positions.swapaxes(0, 1))
    np.testing.assert_array_equal(data["velocity"].values, traj.velocities.swapaxes(0, 1))
    np.testing.assert_array_equal(data["step"].values, [5, 7, 9])
    np.testing.assert_array_equal(data["stream"].values, [7, 8, 9, 2**56 - 1])
    assert data["step"].dims == ("draw",) and data["stream"].dims == ("chain",)
    assert "acceptance_rate" not in data and data.attrs["seed"] == str(2**64 - 1)
    assert (
        data.attrs["backend"] == "cpp" and data.attrs["scheme"] == repr(BAOAB) and data.attrs["potential"] == repr(WELL)
    )
    mala = lf.sample(WELL, lf.MALA(0.2), n_particles=4, n_steps=6, seed=2)
    data = mala.to_xarray()
    np.testing.assert_array_equal(data["acceptance_rate"].values, mala.acceptance_rate)
    assert data["acceptance_rate"].dims == ("chain",) and "velocity" not in data


def test_to_inference_data():
    pytest.importorskip("arviz")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ArviZ announces its future when it is imported
        import arviz
    # kT = 1: the energy -log posterior; N(0, 1/4)
    traj = lf.sample(
        lf.potentials.Harmonic([1.0, 4.0]), lf.MALA(0.3), n_particles=4, n_steps=4000, burn_in=100, stride=2, seed=1
    )
    data = traj.to_inference_data()
    assert data.posterior["x"].dims == ("chain", "draw", "component")
    np.testing.assert_array_equal(data.posterior["x"].values, traj.positions.swapaxes(0, 1))
    np.testing.assert_array_equal(data.sample_stats["lp"].values, -traj.energies.T)
    table = arviz.summary(data, kind="all", round_to="none")
    assert list(table.index) == ["x[0]", "x[1]"]
    assert (table["r_hat"] < 1.05).all()
    assert (np.abs(table["mean"]) < SIGMAS * table["mcse_mean"]).all()
    assert (np.abs(table["sd"] - [1.0, 0.5]) < SIGMAS * table["mcse_sd"]).all()
    hot = lf.sample(SPRING, lf.ULA(0.1, kT=[1.0, 2.0]), n_steps=3, seed=1)
    np.testing.assert_array_equal(hot.to_inference_data().sample_stats["lp"].values, -hot.energies.T / [[1.0], [2.0]])


@pytest.mark.parametrize("call", ["to_xarray", "to_inference_data", "progress"])
def test_missing_packages_are_named_with_their_extra(call, monkeypatch):
    module, extra = {
        "to_xarray": ("xarray", "xarray"),
        "to_inference_data": ("arviz", "arviz"),
        "progress": ("tqdm.auto", "progress"),
    }[call]
    traj = lf.sample(SPRING, ULA, n_steps=2, seed=1)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"pip install 'langevin-fast\[{extra}\]'"):
        if call == "progress":
            lf.sample(SPRING, ULA, n_steps=2, progress=True)
        else:
            getattr(traj, call)()


def test_a_progress_bar(capsys):
    pytest.importorskip("tqdm")
    plain = lf.sample(SPRING, ULA, n_steps=3000, burn_in=1000, seed=1, progress=False)
    assert capsys.readouterr().err == ""
    traj = lf.sample(SPRING, ULA, n_steps=3000, burn_in=1000, seed=1, progress=True)
    shown = capsys.readouterr().err
    assert "4.00k/4.00k" in shown and "100%" in shown
    np.testing.assert_array_equal(traj.positions, plain.positions)
    sim = lf.Simulation(SPRING, ULA, seed=1)
    sim.run(10, progress=True)
    assert "10.0/10.0" in capsys.readouterr().err


def test_short_runs_show_no_bar_by_themselves(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert capsys.readouterr().err == ""


def test_long_runs_show_a_bar_by_themselves_on_a_terminal(capsys, monkeypatch):
    from langevin_fast import progress as progress_module

    pytest.importorskip("tqdm")
    monkeypatch.setattr(progress_module, "_LONG_SECONDS", 0.0)
    monkeypatch.setattr(progress_module, "_SHORTEST_SECONDS", 0.0)
    monkeypatch.setattr(simulation_module, "_LONGEST_CHUNK", 10)
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert capsys.readouterr().err == ""  # not a terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert "100/100" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)  # missing: then no bar, and no error
    lf.sample(SPRING, ULA, n_steps=100, seed=1)
    assert capsys.readouterr().err == ""


def test_importing_is_light():
    heavy = ["numba", "scipy", "xarray", "arviz", "matplotlib", "tqdm", "sympy", "pandas"]
    done = cases.run_python("-c", f"import sys, langevin_fast; print([m for m in {heavy} if m in sys.modules])")
    assert done.returncode == 0 and done.stdout == "[]\n", done.stderr
