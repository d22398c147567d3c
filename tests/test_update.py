"""Numbers that are changed between runs: the bits of a new simulation from there on, however it is made."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from cases import PRECISIONS

import langevin_fast as lf
from langevin_fast.stages import StagedSimulation

obs = lf.observers
H = 1 / 64  # so that times are exact
WELL = lf.potentials.DoubleWell(tilt=0.25, dim=2)
RAMP = lf.Schedule([0.25, 1.0], [0.5, 2.0])
FALL = lf.Schedule([0.125, 0.75], [1.5, 0.25])

SCHEMES = {
    "ULA": lambda h=H, kT=1.0: lf.ULA(h, kT=kT, drag=1.25),
    "LeimkuhlerMatthews": lambda h=H, kT=1.0: lf.LeimkuhlerMatthews(h, kT=kT),
    "MALA": lambda h=H, kT=1.0: lf.MALA(h, kT=kT, drag=0.75),
    "BAOAB": lambda h=H, kT=1.0: lf.BAOAB(h, friction=0.75, kT=kT),
    "OBABO": lambda h=H, kT=1.0: lf.Splitting("OBABO", h, drag=1.5, kT=kT),
}
# name -> what is changed, of so many particles
CHANGES = {
    "kT": lambda n: {"kT": 0.5},
    "step_size": lambda n: {"step_size": 2 * H},
    "potential": lambda n: {"potential": {"barrier": 2.0, "tilt": -0.5}},
    "all": lambda n: {"kT": 2.0, "step_size": H / 2, "potential": {"width": 0.75}},
    "kT of each": lambda n: {"kT": 0.5 + np.arange(n) % 5 / 8},
    "step_size of each": lambda n: {"step_size": H * (1 + np.arange(n) % 3)},
}

each_scheme = pytest.mark.parametrize("scheme", SCHEMES)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def new_from(run, potential, scheme, **arguments):
    """A new simulation from where one stands."""
    velocities = {} if run.velocities is None else {"velocities": run.velocities}
    state = {"initial": run.positions, "first_step": run.step, "seed": run.seed, "streams": run.streams}
    return lf.Simulation(potential, scheme, **{**state, **velocities, "precision": run.precision, **arguments})


def with_changes(run, kT=None, step_size=None, potential=None):
    """The potential and the scheme of a simulation with these changes, made anew."""
    return run.potential.with_values(potential or {}), SCHEMES_OF[run.scheme.letters](
        run.scheme.step_size if step_size is None else step_size, run.scheme.kT if kT is None else kT
    )


SCHEMES_OF = {make().letters: make for make in SCHEMES.values()}


def assert_same(a, b):
    np.testing.assert_array_equal(a.positions, b.positions)
    if b.velocities is not None:
        np.testing.assert_array_equal(a.velocities, b.velocities)


@each_precision
@each_scheme
@pytest.mark.parametrize("change", CHANGES)
def test_the_bits_are_those_of_a_new_simulation(change, scheme, precision):
    for n in (1, 5, 70):
        run = lf.Simulation(WELL, SCHEMES[scheme](), n_particles=n, seed=3, precision=precision)
        run.run(17)
        changes = CHANGES[change](n)
        expected = new_from(run, *with_changes(run, **changes))
        run.update(**changes)
        accepted = run.state.accepted
        for part in (1, 12):
            run.run(part)
        expected.run(13)
        assert_same(run, expected)
        np.testing.assert_array_equal(run.state.accepted - accepted, expected.state.accepted)
        assert (repr(run.potential), repr(run.scheme)) == (repr(expected.potential), repr(expected.scheme))


@each_precision
@each_scheme
@pytest.mark.parametrize(
    ("before", "changes"),
    [
        ({}, {"potential": {"tilt": RAMP}}),
        ({}, {"kT": FALL}),
        ({"tilt": RAMP}, {"potential": {"tilt": 1.0}}),
        ({"tilt": RAMP}, {"potential": {"tilt": FALL}, "kT": RAMP}),
        ({"tilt": RAMP}, {"potential": {"barrier": FALL}}),
        ({"kT": FALL}, {"kT": 0.75}),
        ({"kT": FALL, "tilt": RAMP}, {"step_size": 2 * H}),
        ({"kT": FALL}, {"step_size": H / 4, "potential": {"width": RAMP}}),
    ],
    ids=str,
)
def test_schedules_count_from_time_zero(before, changes, scheme, precision):
    well = {"tilt": 0.25, "dim": 2, **{k: v for k, v in before.items() if k != "kT"}}
    run = lf.Simulation(
        lf.potentials.DoubleWell(**well),
        SCHEMES[scheme](kT=before.get("kT", 1.0)),
        **{"n_particles": 35, "seed": 3, "precision": precision},
    )
    run.run(20)
    potential, made = with_changes(run, **changes)
    # a new simulation has the clock of its own step size
    late = 20 * (made.step_size - H)
    made = made.delayed(late)
    expected = new_from(run, potential.delayed(late) if hasattr(potential, "delayed") else potential, made)
    run.update(**changes)
    assert run.time == 20 * H
    run.run(30)
    expected.run(30)
    assert_same(run, expected)
    assert run.time == 20 * H + 30 * made.step_size == expected.time - late


@each_precision
@each_scheme
def test_an_update_of_nothing_leaves_no_trace(scheme, precision):
    arguments = {"n_particles": 35, "seed": 3, "precision": precision}
    for kT in (1.0, FALL):
        run, whole = (lf.Simulation(WELL, SCHEMES[scheme](kT=kT), **arguments) for _ in range(2))
        run.update()
        for n, changes in ((1, {}), (5, {"kT": kT}), (0, {"step_size": H}), (13, {"potential": {"tilt": 0.25}})):
            run.run(n)
            run.update(**changes)
            run.update(potential={})
        run.run(21)
        whole.run(40)
        assert_same(run, whole)
        np.testing.assert_array_equal(run.state.accepted, whole.state.accepted)
        np.testing.assert_array_equal(run.replay().times, whole.replay().times)


def test_at_the_beginning_and_twice_at_one_step():
    run = lf.Simulation(WELL, lf.BAOAB(H, friction=1.0), n_particles=5, seed=3, first_step=7)
    run.update(kT=9.0, potential={"tilt": 3.0})
    run.update(kT=2.0, potential={"tilt": 0.5})
    expected = lf.Simulation(
        lf.potentials.DoubleWell(tilt=0.5, dim=2),
        lf.BAOAB(H, friction=1.0, kT=2.0),
        initial=run.positions,
        **{"velocities": run.velocities, "seed": 3, "first_step": 7},
    )
    for one in (run, expected):
        one.run(20)
    assert_same(run, expected)
    np.testing.assert_array_equal(run.replay().positions, expected.replay().positions)
    assert run.time == 27 * H


# --- what was done before ---------------------------------------------------------------------------------------------


def of_positive(x, c):
    return (x[0] - c) ** 2 - lf.math.log(x[0] - c)


def slope(x, out, c):
    out[0] = 2.0 * (x[0] - c) - 1.0 / (x[0] - c)


UPDATES = [
    (13, {"kT": 0.5, "potential": {"tilt": 0.5}}),
    (0, {"step_size": 2 * H}),
    (9, {"potential": {"tilt": RAMP}, "kT": FALL}),
    (1, {"potential": {"barrier": 0.5}}),
    (20, {"kT": 1.5, "potential": {"tilt": 0.0}}),
    (7, {"kT": 0.5 + np.arange(8) / 8, "step_size": H * (1 + np.arange(8) % 3)}),
    (11, {"potential": {"width": 0.75}}),
]


def many_updates(scheme, potential=WELL, updates=UPDATES, length=12, twin=None, **arguments):
    """The simulation, and all of its frames."""
    run = lf.Simulation(potential, SCHEMES[scheme](), **{"n_particles": 8, "seed": 5, **arguments})
    frames = []
    for n, changes in updates:
        frames.append(obs.Frames())
        run.run(n, record=[frames[-1]])
        run.update(**changes)
        run = run if twin is None else twin(run)
    frames.append(obs.Frames())
    run.run(length, record=[frames[-1]])
    return run, frames


def together(frames, name, particles=slice(None)):
    return np.concatenate([getattr(part, name)[:, particles] for part in frames])


@each_scheme
def test_replays_across_updates(scheme):
    run, frames = many_updates(scheme)
    positions, end = together(frames, "positions"), run.step
    assert end == 73
    times = np.concatenate([np.broadcast_to(part.times.T, (8, len(part.steps))).T for part in frames])
    for particles, first, last in ((range(8), 1, end), ([4], 12, 15), ([7, 0], 13, 14), ([3, 4, 5], 40, end)):
        again = run.replay(particles, slice(first, last + 1))
        np.testing.assert_array_equal(again.positions, positions[first - 1 : last, particles])
        if again.velocities is not None:
            np.testing.assert_array_equal(again.velocities, together(frames, "velocities")[first - 1 : last, particles])
        np.testing.assert_array_equal(
            np.broadcast_to(again.times.T, (len(particles), last + 1 - first)).T, times[first - 1 : last, particles]
        )
        part = again.replay(0, slice(last, last + 1))
        np.testing.assert_array_equal(part.positions[-1], again.positions[-1, :1])


@pytest.mark.parametrize(
    "twin", [copy.copy, copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))], ids=["copy", "deepcopy", "pickle"]
)
@each_scheme
def test_copies(scheme, twin):
    run, _ = many_updates(scheme)
    other, _ = many_updates(scheme, twin=twin)
    assert_same(other, run)
    np.testing.assert_array_equal(other.replay().positions, run.replay().positions)
    third = twin(run)
    third.update(kT=5.0)
    third.run(3)
    run.run(3)
    assert not (third.positions == run.positions).all()
    assert_same(many_updates(scheme, length=15)[0], run)


@each_scheme
def test_threads_levels_and_streams(scheme, use_isa):
    updates = [(n, changes) for n, changes in UPDATES if not np.ndim(changes.get("kT", 0.0))]
    whole, _ = many_updates(scheme, updates=updates, n_particles=70, threads=1)
    many, _ = many_updates(scheme, updates=updates, n_particles=70, threads=5)
    assert_same(many, whole)
    use_isa("baseline")
    some, _ = many_updates(scheme, updates=updates, n_particles=None, streams=[69, 3, 17])
    np.testing.assert_array_equal(some.positions, whole.positions[[69, 3, 17]])


@pytest.mark.parametrize("backend", ["numba", "batch"])
@each_scheme
def test_backends(scheme, backend):
    u, updates = lf.potentials.DoubleWell(tilt=0.25), UPDATES
    arguments = {"backend": backend}
    if backend == "batch":  # its functions have no numbers to change
        updates = [(n, {k: v for k, v in changes.items() if k != "potential"}) for n, changes in UPDATES]
        arguments = {"potential": lf.potentials.Batch(gradient=u.gradient, energy=u.energy, dim=1, start=[-1.0])}
    run, frames = many_updates(scheme, **{"potential": u, "updates": updates, **arguments})
    expected, others = many_updates(scheme, updates=updates, potential=u, initial=run.replay().positions[0])
    assert (run.backend, expected.backend) == (backend, "cpp")
    np.testing.assert_array_equal(together(frames, "positions"), together(others, "positions"))
    np.testing.assert_array_equal(run.replay().positions, expected.replay().positions)


@pytest.mark.parametrize("kind", ["Expression", "Custom"])
def test_potentials_of_the_user(kind):
    if kind == "Custom":
        u = lf.potentials.Custom(gradient=slope, energy=of_positive, dim=1, start=[2.5], c=0.0)
    else:
        u = lf.potentials.Expression("(x - c)**2 - log(x - c)", variables="x", start=[2.5], c=0.0)
    run = lf.Simulation(u, lf.MALA(H, kT=0.1), n_particles=8, seed=3)
    for changes in ({"c": -1}, {"c": lf.Schedule([0.25, 1.0], [-1.0, -2.0])}, {"c": -3.0}):
        run.run(10)
        expected = new_from(run, run.potential.with_values(changes), run.scheme)
        run.update(potential=changes)
        for one in (run, expected):
            one.run(25)
        assert_same(run, expected)


def test_within_walls():
    boundary = [lf.Reflecting([-1.25, None], [0.75, None]), lf.Periodic([None, -0.5], [None, 0.5])]
    run, frames = many_updates("BAOAB", boundary=boundary)
    work = obs.Work()
    again = run.replay(steps=slice(1, 74))
    np.testing.assert_array_equal(again.positions, together(frames, "positions"))
    np.testing.assert_array_equal(again.unwrapped_positions, together(frames, "unwrapped_positions"))
    fixed = lf.Simulation(WELL, lf.ULA(H), n_particles=8, seed=1, boundary=boundary, observers=[work])
    fixed.run(20)
    before = WELL.energy(fixed.positions)
    fixed.update(potential={"barrier": 3.0})
    np.testing.assert_allclose(work.work, fixed.potential.energy(fixed.positions) - before, rtol=1e-12)


@pytest.mark.parametrize("first", [0, 100])
def test_times_count_on(first):
    run = lf.Simulation(WELL, lf.ULA(0.5 * H), n_particles=3, seed=1, first_step=first)
    before = first * 0.5 * H
    run.run(4)
    run.update(step_size=2 * H)
    assert run.time == before + 2 * H
    frames = obs.Frames(every=2)
    run.run(6, record=[frames])
    np.testing.assert_array_equal(frames.times, before + 2 * H + np.array([4, 8, 12]) * H)
    np.testing.assert_array_equal(
        run.times_at(np.array([first, first + 4, first + 5])), before + np.array([0, 2, 4]) * H
    )
    run.update(step_size=[H, 2 * H, 3 * H])
    np.testing.assert_array_equal(run.time, [before + 14 * H] * 3)
    run.run(2)
    np.testing.assert_array_equal(run.time, before + 14 * H + 2 * H * np.arange(1, 4))
    assert run.times_at(np.arange(first, first + 13)).shape == (13, 3)


def test_from_step_sizes_of_each_particle_to_one():
    run = lf.Simulation(WELL, lf.ULA([H, 2 * H]), seed=1, n_particles=2)
    run.run(4)
    run.update(step_size=H)
    run.run(3)
    times = run.replay().times
    np.testing.assert_array_equal(times[[4, 5, 7]], H * np.array([[4, 8], [5, 9], [7, 11]]))


def test_a_schedule_needs_one_clock():
    run = lf.Simulation(WELL, lf.ULA([H, 2 * H]), seed=1, n_particles=2)
    run.run(4)
    with pytest.raises(ValueError, match=r"step_size|time"):
        run.update(kT=RAMP)
    run.update(step_size=H)
    with pytest.raises(ValueError, match=r"step_size|time"):
        run.update(kT=RAMP)


# --- observers --------------------------------------------------------------------------------------------------------


def test_observers_go_on():
    moments, passage, energy = obs.Moments(every=3), obs.FirstPassage("x[0] > 0"), obs.Expectation("energy")
    run = lf.Simulation(WELL, lf.BAOAB(H, friction=1.0), n_particles=40, seed=1, observers=[moments, passage, energy])
    x, u = [], []
    for n, changes in ((16, {"kT": 4.0}), (31, {"potential": {"tilt": -1.0}}), (40, {"kT": FALL}), (10, {})):
        frames = obs.Frames()
        run.run(n, record=[frames])
        x.append(frames.positions)
        u.append(run.potential.energy(frames.positions))
        run.update(**changes)
    x, u = np.concatenate(x), np.concatenate(u)
    np.testing.assert_allclose(moments.mean, x[2::3].mean(axis=0), rtol=1e-10)
    there = x[..., 0] > 0
    np.testing.assert_array_equal(passage.steps, np.where(there.any(axis=0), there.argmax(axis=0) + 1, -1))
    np.testing.assert_allclose(energy.per_particle, u.mean(axis=0), rtol=1e-10)
    assert moments.n_looks == 97 // 3


@pytest.mark.parametrize("kind", ["cpp", "batch"])
@pytest.mark.parametrize("scheme", ["ULA", "MALA", "BAOAB", "OBABO"])
@each_precision
def test_a_jump_of_the_potential_is_work(scheme, precision, kind):
    """And the energies add up, over schedules and jumps."""
    work, updates = obs.Work(), [(n, {k: c for k, c in changes.items() if k != "step_size"}) for n, changes in UPDATES]
    u = WELL
    if kind == "batch":
        u = lf.potentials.Batch(gradient=WELL.gradient, energy=WELL.energy, dim=2, start=[-1.0, 0.0])
        updates = [(n, {k: c for k, c in changes.items() if k == "kT"}) for n, changes in updates]
    run = lf.Simulation(u, SCHEMES[scheme](), n_particles=8, seed=2, observers=[work], precision=precision)
    mass = 0.0 if run.velocities is None else 0.5

    def energy():
        x = run.positions.astype(float)
        total = run.potential.energy(x, run.time) if hasattr(run.potential, "at") else run.potential.energy(x)
        return total + (mass and mass * np.square(run.velocities.astype(float)).sum(axis=1))

    first, scale = energy(), 1e-12 if precision == "double" else 1e-5
    for n, changes in updates:
        run.run(n)
        before, so_far = energy(), work.work.copy()
        run.update(**changes)
        np.testing.assert_allclose(work.work - so_far, energy() - before, atol=scale, rtol=scale)
        np.testing.assert_allclose(work.work + work.heat + work.shadow, energy() - first, atol=100 * scale)
    run.run(12)
    np.testing.assert_allclose(work.work + work.heat + work.shadow, energy() - first, atol=100 * scale)
    assert work.work.any() == (kind == "cpp")
    assert work.shadow.any() != run.scheme.overdamped


def test_no_work_is_done_on_what_does_not_move():
    """Particles that have diverged, or arrived."""
    work = obs.Work()
    run = lf.Simulation(
        *(lf.potentials.DoubleWell(), lf.ULA(0.02)),
        **{"initial": [[-1.0], [-0.5], [40.0], [-1.0]], "seed": 1, "on_divergence": "freeze"},
        observers=[obs.FirstPassage("x > -0.25", on_arrival="stop"), work],
    )
    run.run(30)
    still = (run.diverged >= 0) | (run.state.stopped >= 0)
    assert still.tolist().count(True) in (2, 3) and not still[0]
    before = work.work.copy()
    run.update(potential={"barrier": 2.0})
    np.testing.assert_array_equal(work.work[still], before[still])
    assert (work.work != before)[~still].all()


def test_updates_while_particles_stop_or_start_anew():
    for mode in ("stop", "restart"):
        u = lf.potentials.DoubleWell()
        passage = obs.FirstPassage("x > 0", on_arrival=mode)
        run = lf.Simulation(u, lf.ULA(0.02), n_particles=8, seed=2, initial=[-0.5], observers=[passage])
        frames = []
        for n, tilt in ((20, 0.0), (20, -1.0), (40, 0.5)):
            frames.append(obs.Frames())
            run.update(potential={"tilt": tilt})
            run.run(n, record=[frames[-1]])
        assert (passage.steps >= 0).sum() > 3
        positions = together(frames, "positions")
        np.testing.assert_array_equal(run.replay([3, 1], slice(1, 81)).positions, positions[:, [3, 1]])
        np.testing.assert_array_equal(run.replay(steps=slice(30, 70)).positions, positions[29:69])


# --- divergence -------------------------------------------------------------------------------------------------------


def test_divergence_after_an_update():
    u = lf.potentials.DoubleWell(8.0)
    run = lf.Simulation(u, lf.ULA(0.004), n_particles=8, seed=1)
    run.run(30)
    run.update(step_size=0.1)
    with pytest.raises(lf.DivergenceError) as caught:
        run.run(100)
    step = caught.value.step
    assert run.step == step - 1 > 30 and caught.value.step_size == 0.1
    frozen = lf.Simulation(u, lf.ULA(0.004), n_particles=8, seed=1, on_divergence="freeze")
    frozen.run(30)
    frozen.update(step_size=0.1)
    frozen.run(step - 31)
    assert_same(run, frozen)
    frames = obs.Frames()
    frozen.run(70, record=[frames])
    np.testing.assert_array_equal(frozen.replay(steps=slice(step, step + 70)).positions, frames.positions)
    np.testing.assert_array_equal(
        caught.value.trajectory.replay().positions, frozen.replay(steps=slice(0, step)).positions
    )
    np.testing.assert_array_equal(caught.value.path[-1], caught.value.last_position)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"potential": {"k": 1.0}}, ValueError, r"'k' is no argument of DoubleWell.*'barrier'"),
        ({"potential": {"barrier": -1.0}}, ValueError, "barrier"),
        ({"potential": {"barrier": "high"}}, TypeError, "barrier"),
        ({"potential": {"dim": 3}}, ValueError, "of the same kind and size"),
        ({"potential": lf.potentials.DoubleWell(dim=2)}, TypeError, "potential must be a dict"),
        ({"potential": [("barrier", 1.0)]}, TypeError, "potential must be a dict"),
        ({"kT": -1.0}, ValueError, "kT"),
        ({"kT": 0.0}, ValueError, "kT"),
        ({"kT": [1.0, 2.0]}, ValueError, "one for each of 5 particles"),
        ({"kT": "warm"}, TypeError, "kT"),
        ({"kT": lf.Schedule([0, 1], [1.0, -1.0])}, ValueError, "kT"),
        ({"kT": lf.Schedule([0, 1], [1.0, 0.0])}, ValueError, "kT"),
        ({"kT": lf.Schedule([0], [[1.0] * 5])}, ValueError, "kT"),
        ({"step_size": 0.0}, ValueError, "step_size"),
        ({"step_size": np.nan}, ValueError, "step_size"),
        ({"step_size": [H] * 4}, ValueError, "one for each of 5 particles"),
        ({"step_size": [H] * 5, "kT": RAMP}, ValueError, "step_size"),
        ({"step_size": [H] * 5, "kT": [1.0] * 4}, ValueError, "step_size has 5 values and kT has 4"),
        ({"friction": 1.0}, TypeError, "friction"),
        ({"temperature": 1.0}, TypeError, "temperature"),
    ],
    ids=str,
)
def test_wrong_changes_change_nothing(changes, error, match):
    run, expected = (lf.Simulation(WELL, lf.MALA(H), n_particles=5, seed=1) for _ in range(2))
    run.run(5)
    with pytest.raises(error, match=match):
        run.update(**changes)
    run.run(5)
    expected.run(10)
    assert_same(run, expected)
    assert repr(run) == repr(expected)
    assert len(run.stepper.history) == 1


def test_not_while_observers_count_steps():
    run = lf.Simulation(WELL, lf.ULA(H), seed=1, observers=[obs.Moments()])
    run.run(3)
    with pytest.raises(ValueError, match=r"step_size=.*observers look"):
        run.update(step_size=2 * H)
    run.update(kT=2.0)
    free = lf.Simulation(WELL, lf.ULA(H), seed=1)
    free.run(3, record=[obs.Moments()])
    free.update(step_size=2 * H)
    assert free.scheme.step_size == 2 * H


def test_not_where_stages_say_what_changes():
    run = StagedSimulation([WELL] * 2, [lf.ULA(H)] * 2, 5, seed=1)
    with pytest.raises(TypeError, match="stages"):
        run.update(kT=2.0)


def test_functions_without_numbers():
    batch = lf.potentials.Batch(gradient=WELL.gradient, dim=2)
    run = lf.Simulation(batch, lf.ULA(H), seed=1)
    with pytest.raises(TypeError, match=r"potential: .* cannot be made with"):
        run.update(potential={"dim": 3})


def test_where_the_energy_is_not_finite():
    """As at the beginning of MALA."""
    u = lf.potentials.Custom(gradient=slope, energy=of_positive, dim=1, start=[5.0], c=0.0)
    run = lf.Simulation(u, lf.MALA(H), initial=[1.0], n_particles=3, seed=1)
    run.run(5)
    with pytest.raises(ValueError, match="not finite"):
        run.update(potential={"c": 3.0})


def test_an_unstable_step_is_warned_of():
    run = lf.Simulation(lf.potentials.Harmonic(1.0), lf.ULA(H), seed=1)
    with pytest.warns(UserWarning, match="unstable"):
        run.update(step_size=3.0)
