"""Particles that are no longer finite: found at the first step, replayed, frozen."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import stepping
from langevin_fast.noise import draw

SPRING = lf.potentials.Harmonic(1.0)
ULA = lf.ULA(0.05)
BAOAB = lf.BAOAB(0.1, friction=1.0)
DTYPES = {"double": np.float64, "single": np.float32}


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
        monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
        for threads in (1, 3):
            sim = lf.Simulation(potential, scheme, threads=threads, **arguments)
            with pytest.raises(lf.DivergenceError) as caught:
                sim.run(WILD_STEPS)
            error = caught.value
            assert (error.step, error.particle, error.stream) == (step, particle, particle)
            assert error.step_size == scheme.step_size[particle] and error.trajectory.final is sim.state
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
        monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
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
                before = traj.velocities[step - 2, particle] if step > 1 else traj.velocities[0, particle]
                assert (traj.velocities[step - 1 :, particle] == before).all()
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


def test_a_velocity_alone_that_overflows_is_a_divergence():
    """The last kick of a step meets a gradient beyond the range, at a finite position."""
    well, scheme = lf.potentials.DoubleWell(), lf.BAOAB(1.0, friction=0.0, kT=0.0)
    sim = lf.Simulation(well, scheme, initial=[0.0], velocities=[1e110])
    with pytest.raises(lf.DivergenceError) as caught:
        sim.run(5)
    assert caught.value.step == 1 and caught.value.last_position[0] == 0.0


def test_errors_can_be_pickled():
    error = lf.DivergenceError(3, 1, 17, np.array([1.0, 2.0]), 0.5)
    twin = pickle.loads(pickle.dumps(error))
    assert str(twin) == str(error) and twin.stream == 17
    np.testing.assert_array_equal(twin.last_position, error.last_position)


def test_errors_of_a_run_can_be_pickled():
    """With all they carry, or without the trajectory where its potential cannot be."""
    well = lf.potentials.DoubleWell(5.0)
    for potential in (well, lf.potentials.Batch(gradient=lambda x: well.gradient(x), dim=1)):
        with pytest.raises(lf.DivergenceError) as caught:
            lf.sample(potential, lf.ULA(0.4), n_particles=3, n_steps=100, seed=6)
        error = caught.value
        twin = pickle.loads(pickle.dumps(error))
        assert str(twin) == str(error) and len(error.path) > 2
        np.testing.assert_array_equal(twin.path, error.path)
        np.testing.assert_array_equal(twin.observers[0].positions, error.observers[0].positions)
        if potential is well:
            np.testing.assert_array_equal(twin.trajectory.positions, error.trajectory.positions)
        else:
            assert twin.trajectory is None and error.trajectory is not None


def test_interruptions_can_be_pickled():
    """So that they cross the border of a process pool."""
    traj = lf.sample(SPRING, ULA, n_steps=3, seed=1)
    twin = pickle.loads(pickle.dumps(lf.Interrupted(traj, (), 3)))
    assert str(twin) == "interrupted after step 3; .trajectory holds what was computed so far"
    np.testing.assert_array_equal(twin.trajectory.positions, traj.positions)
