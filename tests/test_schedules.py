"""Numbers that change in time: the same bits as a run that is cut at every step, and exact laws."""

import pickle

import numpy as np
import pytest
from cases import PRECISIONS

import langevin_fast as lf
from langevin_fast.potentials.examples import EXAMPLES

H = 1 / 64  # so that times are exact
RAMP = lf.Schedule([0.05, 0.25], [1.0, 3.0])


def spring(x, k):
    return 0.5 * k * (x[0] - 1.0) ** 2


def spring_force(x, out, k):
    out[0] = k * (x[0] - 1.0)


DRIVEN = {
    "Harmonic": lambda k: lf.potentials.Harmonic([1.5, 1.0], center=k),
    "DoubleWell": lambda k: lf.potentials.DoubleWell(barrier=k, dim=2),
    "Ring": lambda k: lf.potentials.Ring(radius=k),
    "Expression": lambda k: lf.potentials.Expression("k*x**2/2 + cos(k)*x + y**2", variables=("x", "y"), k=k),
    "Custom": lambda k: lf.potentials.Custom(gradient=spring_force, energy=spring, dim=1, k=k),
}
SCHEMES = {
    "ULA": lambda kT: lf.ULA(H, kT=kT),
    "LM": lambda kT: lf.LeimkuhlerMatthews(H, kT=kT),
    "BAOAB": lambda kT: lf.BAOAB(H, friction=1.0, kT=kT),
    "MALA": lambda kT: lf.MALA(H, kT=kT),
}


def step_by_step(potential, scheme, n_steps, **arguments):
    """A new simulation for every step, with the numbers at its end."""
    at = getattr(potential, "at", lambda time: potential)
    first = lf.Simulation(at(0.0), scheme.at(0.0), **arguments)
    state, accepted = first.state, 0
    for n in range(n_steps):
        velocities = {} if scheme.overdamped else {"velocities": state.velocities}
        again = {**arguments, "initial": state.positions, "first_step": n, **velocities}
        one = lf.Simulation(at((n + 1) * H), scheme.at((n + 1) * H), **again)
        one.run(1)
        state = one.state
        accepted = accepted + state.accepted
    return state, accepted


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(
    ("kind", "what"), [*((kind, "both") for kind in DRIVEN), ("Harmonic", "kT"), ("DoubleWell", "U")]
)
def test_one_run_has_the_bits_of_a_run_that_is_cut_at_every_step(kind, what, scheme, precision):
    potential = DRIVEN[kind](1.0 if what == "kT" else RAMP)
    scheme = SCHEMES[scheme](1.5 if what == "U" else lf.Schedule([0.0, 0.1, 0.3], [1.0, 0.2, 2.0]))
    arguments = {"n_particles": 35, "seed": 4, "precision": precision}
    state, accepted = step_by_step(potential, scheme, 23, **arguments)
    whole = lf.Simulation(potential, scheme, **arguments)
    whole.run(23)
    parts = lf.Simulation(potential, scheme, **arguments)
    for n in (1, 4, 18):
        parts.run(n)
    for run in (whole, parts):
        np.testing.assert_array_equal(run.positions, state.positions)
        np.testing.assert_array_equal(run.state.accepted, accepted)


def test_backends_and_chunks_have_the_same_bits(monkeypatch):
    u, scheme = lf.potentials.DoubleWell(tilt=RAMP), SCHEMES["BAOAB"](RAMP)
    runs = [lf.Simulation(u, scheme, n_particles=9, seed=1, backend=backend) for backend in ("cpp", "numba")]
    monkeypatch.setattr("langevin_fast.rows._TABLE_BYTES", 2000)
    runs.append(lf.Simulation(u, scheme, n_particles=9, seed=1))
    assert runs[-1]._stepper.longest_chunk < 30
    for run in runs:
        run.run(60)
        np.testing.assert_array_equal(run.positions, runs[0].positions)


def test_tables_of_large_potentials_are_short():
    features = np.ones((2000, 10))
    u = lf.potentials.LogisticRegression(features, np.arange(2000) % 2 == 0, prior_scale=RAMP)
    assert lf.Simulation(u, lf.ULA(H))._stepper.longest_chunk < 200


def test_a_function_is_checked_once_however_many_times_there_are():
    calls = []

    def gradient(x, out, k):
        calls.append(1)
        out[0] = k * x[0]

    def energy(x, k):
        return k * x[0] * x[0] / 2

    few, many = (np.linspace(1.0, 2.0, n) for n in (2, 50))
    counts = []
    for values in (few, many):
        calls.clear()
        lf.potentials.Custom(gradient=gradient, energy=energy, dim=1, k=lf.Schedule(values, values))
        counts.append(len(calls))
    assert counts[0] == counts[1]


def test_a_temperature_that_changes_in_the_coupled_loop():
    u, scheme = lf.potentials.DoubleWell(), SCHEMES["BAOAB"](RAMP)
    batch = lf.potentials.Batch(gradient=u.gradient, dim=1, start=u.default_start)
    a, b = (lf.sample(potential, scheme, n_steps=30, n_particles=9, seed=1) for potential in (u, batch))
    np.testing.assert_array_equal(a.positions, b.positions)


def test_a_constant_schedule_is_a_number():
    a = lf.sample(
        lf.potentials.Harmonic(lf.Schedule([0], [2.0])), lf.ULA(H, kT=lf.Schedule([1], [0.7])), n_steps=20, seed=1
    )
    b = lf.sample(lf.potentials.Harmonic(2.0), lf.ULA(H, kT=0.7), n_steps=20, seed=1)
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.energies, b.energies)


def test_a_dragged_spring_leaves_its_particles_behind():
    """BAOAB is linear in x, v and the centre, so means follow the same step without noise: 4.5 sigma."""
    speed, n = 0.8, 20_000
    u = lf.potentials.Harmonic(2.0, center=lf.Schedule([0.0, 100.0], [0.0, 100.0 * speed]))
    scheme = lf.BAOAB(0.1, friction=1.5)
    still = lf.Simulation(u, lf.BAOAB(0.1, friction=1.5, kT=0.0), initial=[0.0], velocities=[0.0])
    run = lf.Simulation(u, scheme, n_particles=n, seed=5, initial=[0.0])
    for simulation in (still, run):
        simulation.run(200)
    lag = run.positions[:, 0] - still.positions[0, 0]
    assert abs(lag.mean()) < 4.5 * lag.std() / np.sqrt(n)
    # long after the start the lag is m gamma v / k, less h v / 2: the step from t to t + h sees the centre of t + h
    assert still.positions[0, 0] - 20.0 * speed == pytest.approx(-1.5 * speed / 2.0 + speed * 0.1 / 2.0, abs=0.002)


def test_the_clock_of_sample_starts_after_the_burn_in():
    u = lf.potentials.Harmonic(RAMP)
    run = lf.sample(u, lf.ULA(H), n_steps=15, burn_in=40, n_particles=5, seed=2)
    simulation = lf.Simulation(u.at(0.0), lf.ULA(H), n_particles=5, seed=2)
    simulation.run(40)
    x = simulation.positions
    for n in range(15):
        one = lf.Simulation(u.at((n + 1) * H), lf.ULA(H), seed=2, initial=x, first_step=40 + n, n_particles=5)
        one.run(1)
        x = one.positions
        np.testing.assert_array_equal(run.positions[n], x)
        np.testing.assert_allclose(run.energies[n], u.at((n + 1) * H).energy(x), rtol=1e-12)


def test_values_between_the_times():
    k = lf.Schedule([1.0, 2.0, 4.0], [[1.0, 0.0], [3.0, -1.0], [3.0, 1.0]])
    np.testing.assert_array_equal(k(1.5), [2.0, -0.5])
    np.testing.assert_array_equal(k([0.0, 3.0, 9.0]), [[1.0, 0.0], [3.0, 0.0], [3.0, 1.0]])
    assert k.delayed(1.0)(2.5).tolist() == [2.0, -0.5]
    assert pickle.loads(pickle.dumps(k)) == k


@pytest.mark.parametrize(
    ("times", "values", "match"),
    [
        ([], [], "times"),
        ([1.0, 1.0], [0.0, 1.0], "times"),
        ([0.0, np.nan], [0.0, 1.0], "times"),
        ([0.0, 1.0], [0.0], "values"),
        ([0.0], 1.0, "values"),
        ([0.0], [np.inf], "values"),
    ],
)
def test_wrong_schedules(times, values, match):
    with pytest.raises(ValueError, match=match):
        lf.Schedule(times, values)


def test_what_is_refused():
    with pytest.raises(ValueError, match="stiffness"):
        lf.potentials.Harmonic(lf.Schedule([0, 1], [1.0, -1.0]))
    with pytest.raises(TypeError, match="start of Custom cannot change"):
        lf.potentials.Custom(gradient=spring_force, dim=1, k=1.0, start=lf.Schedule([0], [[1.0]]))
    with pytest.raises(ValueError, match="kT"):
        lf.MALA(H, kT=lf.Schedule([0, 1], [1.0, 0.0]))
    with pytest.raises(ValueError, match="one number"):
        lf.ULA(H, kT=lf.Schedule([0], [[1.0, 2.0]]))
    u = lf.potentials.Harmonic(RAMP)
    with pytest.raises(ValueError, match="must not change in time"):
        lf.cross_check(u, lf.ULA(H))
    with pytest.raises(TypeError, match="time="):
        u.energy([1.0])
    with pytest.raises(ValueError, match="step_size"):
        lf.Simulation(u, lf.ULA([0.1, 0.2]))
    with pytest.raises(ValueError, match="time has 3 values"):
        u.energy(np.zeros((2, 1)), time=[0.0, 1.0, 2.0])


@pytest.mark.parametrize("u", [example.potential for example in EXAMPLES], ids=repr)
def test_every_potential_is_made_again_from_its_arguments(u):
    again = u.with_values({})
    assert again.is_alike(u)
    np.testing.assert_array_equal(again.parameters, u.parameters)


def test_copies_of_driven_potentials_and_runs():
    u, scheme = lf.potentials.DoubleWell(tilt=RAMP), lf.ULA(H, kT=RAMP)
    simulation = lf.Simulation(u, scheme, n_particles=4, seed=1)
    simulation.run(5)
    copied = pickle.loads(pickle.dumps(simulation))
    for run in (simulation, copied):
        run.run(20)
    np.testing.assert_array_equal(simulation.positions, copied.positions)
    assert (
        repr(copied.potential)
        == repr(u)
        == "DoubleWell(barrier=1.0, width=1.0, tilt=" + repr(RAMP) + (", dim=1, stiffness=1.0)")
    )
