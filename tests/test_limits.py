"""What lies at the edges: single precision, large integers, memory; and what must not be changed by accident."""

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import memory

WELL = lf.potentials.DoubleWell()


def test_parameters_beyond_single_precision():
    lf.Simulation(lf.potentials.Harmonic(1e39), lf.ULA(1e-40))
    with pytest.raises(ValueError, match=r"parameters of Harmonic.*single precision"):
        lf.Simulation(lf.potentials.Harmonic(1e39), lf.ULA(1e-40), precision="single")


def test_coefficients_beyond_the_range():
    """Without the check every proposal would be rejected, silently."""
    with pytest.raises(ValueError, match=r"step_size.*not finite"):
        lf.Simulation(WELL, lf.MALA(1.0, kT=1e-310))
    with pytest.raises(ValueError, match=r"step_size.*single precision"):
        lf.Simulation(WELL, lf.MALA(0.1, kT=1e-39), initial=[0.0], precision="single")


@pytest.mark.parametrize("name", ["n_steps", "burn_in", "stride"])
def test_numbers_of_steps_that_no_counter_holds(name):
    with pytest.raises(ValueError, match=name):
        lf.sample(WELL, lf.ULA(0.1), **{"n_steps": 1, name: 2**70})


def test_one_frozen_particle_does_not_hide_the_warning():
    """Particles at kT = 0 do not move anyway; the others are what the warning is about."""
    far = lf.potentials.Harmonic(1.0, center=1e6)
    with pytest.warns(UserWarning, match="single precision"):
        lf.Simulation(far, lf.ULA(1e-8, kT=[0.0, 1.0]), precision="single")


def test_the_warning_points_at_the_caller():
    far = lf.potentials.Harmonic(1.0, center=1e6)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        lf.Simulation(far, lf.ULA(1e-8), precision="single")
        lf.sample(far, lf.ULA(1e-8), n_steps=1, precision="single")
    assert [Path(w.filename).name for w in caught] == [Path(__file__).name] * 2


def test_a_cloud_in_one_dimension_needs_an_axis():
    with pytest.raises(ValueError, match=r"initial\[:, np\.newaxis\]"):
        lf.Simulation(WELL, lf.ULA(0.1), initial=np.zeros(100))


def test_a_bare_number_is_no_point():
    with pytest.raises(ValueError, match=r"initial must have the shape .* got \(\)"):
        lf.Simulation(WELL, lf.ULA(0.1), initial=0.5)


@pytest.mark.parametrize(
    ("streams", "error"), [([[1, 2], [3]], TypeError), ([2**64], ValueError), ([-1], ValueError), (5, TypeError)]
)
def test_streams_that_are_none(streams, error):
    with pytest.raises(error, match="streams"):
        lf.Simulation(WELL, lf.ULA(0.1), streams=streams)


def test_states_and_schemes_cannot_be_changed():
    sim = lf.Simulation(WELL, lf.BAOAB(0.1, friction=1.0), n_particles=3, seed=1)
    for state in (sim.state, lf.sample(WELL, lf.ULA(0.1), n_steps=5, seed=1).final):
        with pytest.raises(ValueError, match="read-only"):
            state.positions[0] = 1.0
    for name in ("step_size", "kT", "friction", "drag"):
        with pytest.raises(AttributeError):
            setattr(sim.scheme, name, 2.0)


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda sim: pickle.loads(pickle.dumps(sim))])
def test_copies_go_on_with_the_same_bits(twin):
    sim = lf.Simulation(WELL, lf.BAOAB(0.1, friction=1.0), n_particles=3, seed=1)
    sim.run(10)
    other = twin(sim)
    sim.run(7)
    other.run(7)
    np.testing.assert_array_equal(sim.positions, other.positions)


def test_trajectories_compare_by_identity():
    trajectory = lf.sample(WELL, lf.ULA(0.1), n_steps=5, seed=1)
    assert trajectory == trajectory
    assert trajectory in {trajectory}


def test_no_lp_at_zero_temperature():
    pytest.importorskip("arviz", exc_type=ImportError)
    cold = lf.sample(WELL, lf.ULA(0.1, kT=0.0), n_steps=5, seed=1).to_inference_data()
    assert "sample_stats" not in cold.groups()


def test_memory_is_the_least_of_what_system_and_container_allow(monkeypatch):
    monkeypatch.setattr(memory, "_from_meminfo", lambda: 10**9)
    monkeypatch.setattr(memory, "_from_control_group", lambda: 10**6)
    assert memory.available_memory() == 10**6
    with pytest.raises(MemoryError, match="the frames would take"):
        memory.check_memory(10**7, "the frames")
    monkeypatch.setattr(memory, "_from_control_group", lambda: None)
    assert memory.available_memory() == 10**9
    monkeypatch.setattr(memory, "_from_meminfo", lambda: None)
    assert memory.available_memory() > 10**8  # all the memory that there is


def test_noise_that_does_not_fit_is_not_tried():
    with pytest.raises(MemoryError, match="count="):
        lf.noise(1, 0, 0, 2**60)


MASKED = np.ma.masked_array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("x", lambda: lf.potentials.Harmonic([1.0, 1.0]).energy(MASKED)),
        ("x", lambda: lf.potentials.Harmonic([1.0, 1.0]).gradient(MASKED)),
        ("stiffness", lambda: lf.potentials.Harmonic(MASKED)),
        ("mean", lambda: lf.potentials.Gaussian(MASKED, np.eye(2))),
        ("y", lambda: lf.potentials.LogisticRegression([[1.0], [2.0]], MASKED, prior_scale=1.0)),
        ("y", lambda: lf.potentials.LogisticRegression([[1.0], [2.0]], MASKED > 1.5, prior_scale=1.0)),
        ("start", lambda: lf.potentials.Batch(gradient=lambda x: x, dim=2, start=MASKED)),
        ("k", lambda: lf.potentials.Custom(gradient=lambda x, out, k: None, dim=2, k=MASKED, check=False)),
        ("initial", lambda: lf.Simulation(WELL, lf.ULA(0.1), initial=MASKED[:, np.newaxis])),
        ("step_size", lambda: lf.ULA(MASKED)),
    ],
)
def test_masked_arrays_are_refused(name, use):
    with pytest.raises(TypeError, match=rf"{name} must be an array without a mask"):
        use()


P = lf.potentials


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("dim=10000000", lambda n: P.Free(dim=n)),
        ("dim=10000000", lambda n: P.DoubleWell(dim=n)),
        ("dim=10000000", lambda n: P.Ring(dim=n)),
        ("dim=10000000", lambda n: P.NealFunnel(dim=n)),
        ("dim=10000000", lambda n: P.Custom(gradient=lambda x, out: None, dim=n)),
        ("dim=10000000", lambda n: P.Batch(gradient=lambda x: x, dim=n)),
        ("dim=10000000", lambda n: P.CFunction(gradient=1, dim=n)),
        ("n1=10000000, n2=1", lambda n: P.HybridRosenbrock(n, 1, a=1.0, b=1.0)),
        ("n1=3, n2=10000000", lambda n: P.HybridRosenbrock(3, n, a=1.0, b=1.0)),
    ],
)
def test_potentials_that_do_not_fit_are_not_made(monkeypatch, name, make):
    monkeypatch.setattr(memory, "available_memory", lambda: 10**8)
    with pytest.raises(MemoryError, match=f"a potential with {name} would take .* use fewer components"):
        make(10**7)


def test_clusters_have_a_largest_size():
    with pytest.raises(ValueError, match="n_atoms must be an integer from 1 to 100000"):
        P.LennardJonesCluster(10**6)
    assert P.LennardJonesCluster(3000).dim == 9000


def test_long_chains_are_made_at_once():
    """Squares of squares: 1, or soon 0 or infinity."""
    start = P.HybridRosenbrock(10**5, 2, a=1.0, b=1.0, mu=-0.5).default_start
    np.testing.assert_array_equal(start[:4], [-0.5, 0.25, 0.0625, 0.00390625])
    np.testing.assert_array_equal(start[1 : 10**5], start[10**5 :])
    assert start[-1] == 0.0
    assert (P.HybridRosenbrock(10**5, 1, a=1.0, b=1.0, mu=-1.0).default_start[1:] == 1.0).all()
    with pytest.raises(ValueError, match="range of double precision"):
        P.HybridRosenbrock(10**5, 1, a=1.0, b=1.0, mu=1.0001)
