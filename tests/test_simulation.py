"""`sample`, `Simulation` and `Trajectory`: frames, arguments, starts, memory, precision."""

from __future__ import annotations

import warnings

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


def test_a_stride_beyond_the_run():
    with pytest.warns(
        UserWarning, match=r"stride=11 is larger than n_steps=10: no frame is stored. Use stride=10 or less"
    ) as w:
        traj = lf.sample(WELL, BAOAB, n_particles=3, n_steps=10, burn_in=5, stride=11, seed=1)
    assert w[0].filename == __file__
    assert traj.positions.shape == traj.velocities.shape == (0, 3, 2) and traj.final.step == 15


def test_a_burn_in_and_steps_that_the_noise_does_not_reach():
    gradients = []
    slow = lf.potentials.Batch(gradient=lambda x: gradients.append(1) or x, dim=2)
    with pytest.raises(ValueError, match=r"burn_in=.* and n_steps=.* lead to step .*; the noise .* ends at 115292"):
        lf.sample(slow, ULA, burn_in=2**59, n_steps=2**59 + 10**12, stride=None)
    assert not gradients


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


def test_masses_that_may_be_per_particle_or_per_component():
    with pytest.warns(
        UserWarning, match=r"\(2,\) is taken per component.*mass\[:, np.newaxis\].*mass\[np.newaxis, :\]"
    ) as w:
        sim = lf.Simulation(WELL, BAOAB, n_particles=2, mass=[1.0, 2.0])
    assert w[0].filename == __file__
    np.testing.assert_array_equal(sim.mass, [[1.0, 2.0]])
    clear = np.array([1.0, 2.0])
    for n, mass in ((2, clear[:, np.newaxis]), (2, clear[np.newaxis, :]), (2, [3.0, 3.0]), (3, clear), (1, clear)):
        lf.Simulation(WELL, BAOAB, n_particles=n, mass=mass)  # warnings are errors here
    lf.Simulation(SPRING, BAOAB, mass=[2.0])


def test_time():
    sim = lf.Simulation(WELL, lf.ULA(0.25))
    assert sim.time == 0.0
    sim.run(3)
    assert sim.time == 0.75 and sim.step == 3
    sim = lf.Simulation(WELL, lf.ULA([0.25, 0.5]), n_particles=2)
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
    from langevin_fast.observers import watching as module

    asked = []
    monkeypatch.setattr(module, "check_memory", lambda n_bytes, what, *_: asked.append(n_bytes))
    lf.sample(WELL, ULA, n_particles=3, n_steps=10, stride=2)
    lf.sample(WELL, BAOAB, n_particles=3, n_steps=10, stride=2)
    lf.sample(WELL, ULA, n_particles=3, n_steps=10, stride=2, precision="single")
    expected = [5 * 3 * 2 * 8, 2 * 5 * 3 * 2 * 8, 5 * 3 * 2 * 4]
    assert list(dict.fromkeys(n for n in asked if n)) == expected


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
