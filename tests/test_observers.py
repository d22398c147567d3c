"""Observers: the compiled loop against its NumPy twin, to the bit; and however a run is made, cut or ended."""

from __future__ import annotations

import copy
import dataclasses
import functools
import pickle
import signal

import numpy as np
import pytest
from cases import PRECISIONS, covering, problem, varied

import langevin_fast as lf
from langevin_fast import memory, stepping
from langevin_fast.backends.observing import Watch
from langevin_fast.observers import histogram

obs = lf.observers
WELL, WELL_3D = lf.potentials.DoubleWell(), lf.potentials.DoubleWell(3.0, width=1.25, tilt=0.5, dim=3, stiffness=2.5)
ULA, MALA = lf.ULA(0.02), lf.MALA(0.1)
BAOAB = lf.BAOAB(0.1, friction=1.0)


def product(x, v):
    return x[0] * v[0]


def look_at(scheme, dim, every=1, start=0):
    """One observer for each kind of reduction and of source; few functions, which take a while to compile."""
    when = {"every": every, "start": start}
    result = [
        obs.Moments(**when),
        obs.Moments(**when, covariance=False),
        obs.Expectation("energy", **when),
        obs.Histogram("x[0]", bins=7, range=(-1.25, 1), **when),
        obs.Histogram(["x[0]", "energy"], bins=(5, 4), range=((-1.5, 1.5), (0.25, 3)), **when),
        obs.MeanSquaredDisplacement(**when, longest=60 * every, points=6),
        obs.Autocorrelation(["x[0]", f"x[{dim - 1}]"], **when, longest=60 * every, points=4),
        obs.FirstPassage("x[0] > 0.5", **when),
        obs.Trigger("energy < 0.5", **when),
        obs.Transitions(["energy < 0.5", "x[0] > 0.5"], lag=3 * every, **when),
        obs.Temperature("configurational", **when, center=np.arange(dim) / 2),
    ]
    if not scheme.overdamped:
        result += [
            obs.Temperature("kinetic", **when),
            obs.Expectation([f"v[{dim - 1}]", product], **when),
            obs.Autocorrelation("v[0]", **when, longest=60 * every, points=4),
        ]
        if scheme.letters.endswith("B"):
            result.append(obs.Temperature("half-step", **when))
    if scheme.metropolised:
        result.append(obs.Acceptance())
    return result


def plain(every=1, start=0):
    """Without functions to compile, for any scheme."""
    when = {"every": every, "start": start}
    return [
        obs.Moments(**when),
        obs.Histogram("energy", bins=7, range=(0, 2), **when),
        obs.MeanSquaredDisplacement(**when, longest=60 * every, points=4),
        obs.Autocorrelation("x[0]", **when, longest=60 * every, points=4),
        obs.Temperature("configurational", **when),
    ]


def observed(observers):
    return [o._contents.observed for o in observers]


def assert_same_bits(got, expected):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        assert a.reduction.sizes.tolist() == b.reduction.sizes.tolist(), a.reduction
        for mine, other in zip(a.arrays, b.arrays, strict=True):
            assert mine.shape == other.shape, a.reduction
            np.testing.assert_array_equal(mine.view(np.int64), other.view(np.int64), err_msg=repr(a.reduction))


def assert_same(got, expected):
    """Everything that observers show is made of this."""
    assert_same_bits(observed(got), observed(expected))
    for a, b in zip(got, expected, strict=True):
        for name in ("streams", "n_samples", "accepted", "begins", "ends", "last_looks", "n_steps"):
            np.testing.assert_array_equal(getattr(a._contents, name), getattr(b._contents, name), err_msg=name)


def twin(fresh, run, beginning, frames, diverged):
    """The accumulators that NumPy makes of every step of a run."""
    seen = [o.begin(run, beginning) for o in fresh]
    u = run.problem.potential
    velocities = [None] * len(frames.positions) if frames.velocities is None else frames.velocities
    for step, x, v in zip(frames.steps.tolist(), frames.positions, velocities, strict=True):
        for i, o in enumerate(seen):
            full = o.reduction.full_after()
            if full is not None and o.reduction.looks_until(step - 1) >= full:
                seen[i] = o.reduction.coarser(o)
        watch = Watch(run.problem, seen, step - 1)
        if watch.next == step:
            frozen = np.where((diverged >= 0) & (diverged <= step), diverged, -1)
            watch.look(step, x, v, frozen, functools.partial(u.energy, x), functools.partial(u.gradient, x))
            seen = list(watch.observed)
    return seen


def compare_with_twin(make, potential, scheme, n_steps, **arguments):
    """The run's observers, if they hold what the twin makes of its frames."""
    simulation = lf.Simulation(potential, scheme, seed=11, observers=make(), **arguments)
    run, beginning = simulation.stepper.run, simulation.state
    frames = obs.Frames()
    simulation.run(n_steps, record=[frames])
    with np.errstate(over="ignore"):
        expected = twin(make(), run, beginning, frames, simulation.diverged)
    assert_same_bits(observed(simulation.observers), expected)
    return simulation


# --- the twin ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme_name", ["ULA", "MALA", "BAOAB", "LeimkuhlerMatthews"])
@pytest.mark.parametrize("potential_name", ["DoubleWell", "DoubleWell 3-D"])
def test_same_bits_as_the_twin(potential_name, scheme_name, precision):
    potential, scheme = problem(potential_name, scheme_name)

    def make():
        # functions take a while to compile, for each dimension and precision
        looks = look_at if potential.dim == 1 or precision == "double" else lambda *which: plain(*which[2:])
        often, now_and_then = (looks(scheme, potential.dim, *when) for when in ((1, 0), (3, 5)))
        return [*often, *now_and_then[: 32 - len(often)]]

    for n in (1, 5, 70, 150):
        compare_with_twin(make, potential, scheme, 20, n_particles=n, precision=precision)


def put_off(scheme, every=1, start=0):
    """What reads no gradient, so that looks along a line are made several at a time."""
    when = {"every": every, "start": start}
    energy = "energy" if not scheme.metropolised else "x[0]"
    result = [
        obs.Moments(**when),
        obs.Histogram("x[0]", bins=7, range=(-1.25, 1), **when),
        obs.Histogram(["x[0]", energy], bins=(5, 4), range=((-1.5, 1.5), (0.25, 3)), **when),
        obs.MeanSquaredDisplacement(**when, longest=60 * every, points=6),
        obs.FirstPassage("x[0] > 0.5", **when),
        obs.Transitions([f"{energy} < 0.5", "x[0] > 0.5"], lag=3 * every, **when),
    ]
    if not scheme.overdamped:
        result += [obs.Temperature("kinetic", **when), obs.Expectation(["v[0]", product], **when)]
    return result


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [ULA, MALA, BAOAB], ids=repr)
def test_looks_that_are_made_together(scheme, precision):
    def make():
        return [o for when in ((1, 0), (1, 21), (2, 1), (7, 3)) for o in put_off(scheme, *when)]

    for n in (1, 5, 70, 150):
        compare_with_twin(make, WELL, scheme, 60, n_particles=n, precision=precision)


@pytest.mark.parametrize("name", ["ULA", "MALA", "BAOAB"])
@pytest.mark.parametrize("n", [1, 5, 70])
def test_looks_that_are_made_together_or_one_by_one(name, n):
    """Also where numbers of the potential, or kT, change from step to step."""
    ramp = lf.Schedule([0.0, 1.0], [1.0, 3.0])
    friction = {"friction": 1.0} if name == "BAOAB" else {}
    for barrier, kT in ((1.0, 1.0), (ramp, 1.0), (1.0, ramp)):
        u, scheme = lf.potentials.DoubleWell(barrier=barrier), getattr(lf, name)(step_size=0.05, kT=kT, **friction)
        runs = []
        for parts in ([50], [1] * 50):
            observers = [*put_off(scheme), *put_off(scheme, 3, 2)]
            runs.append(lf.Simulation(u, scheme, n_particles=n, seed=5, observers=observers))
            for n_steps in parts:
                runs[-1].run(n_steps)
        assert_same(*(run.observers for run in runs))


@pytest.mark.parametrize(("potential_name", "scheme_name", "precision"), covering())
def test_energies_and_gradients_of_every_potential(potential_name, scheme_name, precision):
    """Also where the scheme has no use for them after a step, or none at all."""
    potential, scheme = problem(potential_name, scheme_name)
    n = 3 if potential.dim > 20 else 41
    compare_with_twin(plain, potential, scheme, 5, n_particles=n, precision=precision)


@pytest.mark.parametrize("n", [1, 31])
def test_batches_in_time_become_longer(n):
    """More than 64 looks at few particles; and they are the batches of a histogram beyond 32."""
    for every in (1, 3):
        done = compare_with_twin(lambda: look_at(BAOAB, 1, every, 2), WELL, BAOAB, 300, n_particles=n)  # noqa: B023
        assert done.observers[0]._contents.observed.reduction.sizes[3] == {1: 8, 3: 2}[every]


@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_same_bits_on_every_level(precision, dim, isa):
    u = WELL if dim == 1 else WELL_3D
    for scheme in (ULA, MALA, BAOAB):
        for n in (1, 5, 150):
            compare_with_twin(lambda: [*plain(), *plain(4, 3)], u, scheme, 16, n_particles=n, precision=precision)
    if precision == "double" and dim == 1:  # functions are compiled for each level
        compare_with_twin(lambda: look_at(BAOAB, 1), WELL, BAOAB, 16, n_particles=69)


@pytest.mark.parametrize("scheme_name", ["MALA", "BAOAB"])
def test_particles_with_parameters_of_their_own(scheme_name):
    scheme, arguments = varied(scheme_name, 70, 3)
    u = lf.potentials.Harmonic([1.0, 4.0, 0.5])
    made = lambda: look_at(scheme, 3)  # noqa: E731
    compare_with_twin(made, u, scheme, 20, n_particles=70, **arguments)


@pytest.mark.parametrize("scheme", [ULA, MALA, BAOAB], ids=repr)
@pytest.mark.parametrize("n", [1, 5, 70])
def test_potentials_of_all_particles_at_once(scheme, n):
    batch = lf.potentials.Batch(
        gradient=WELL_3D.gradient, energy=WELL_3D.energy, dim=3, start=WELL_3D.default_start.tolist()
    )
    make = lambda: look_at(scheme, 3, 2, 1)  # noqa: E731
    runs = [compare_with_twin(make, u, scheme, 80, n_particles=n) for u in (batch, WELL_3D)]
    assert [run.backend for run in runs] == ["batch", "cpp"]
    assert_same(runs[0].observers, runs[1].observers)


def test_potentials_that_numba_compiles():
    arguments = {"n_steps": 30, "seed": 1, "stride": None}
    for n in (3, 69):
        runs = [
            lf.sample(WELL, BAOAB, n_particles=n, backend=backend, observers=look_at(BAOAB, 1), **arguments)
            for backend in ("numba", "cpp")
        ]
        assert_same(runs[0].observers, runs[1].observers)


def test_potentials_of_the_user():
    given = lf.potentials.Expression("(a**2 - 1)**2", variables="a", start=[-1.0])
    compare_with_twin(lambda: look_at(MALA, 1), given, MALA, 20, n_particles=5)


def test_an_observer_may_be_the_first_to_want_energies():
    """Functions without energies are compiled for ULA; they are compiled anew when somebody reads them."""
    simulation = lf.Simulation(WELL, ULA, n_particles=3, seed=1, backend="numba")
    simulation.run(5)
    energy, frames = obs.Expectation("energy"), obs.Frames()
    simulation.run(7, record=[energy, frames])
    np.testing.assert_allclose(energy.per_particle, WELL.energy(frames.positions).mean(axis=0), rtol=1e-12)
    whole = lf.Simulation(WELL, ULA, n_particles=3, seed=1)
    whole.run(12)
    np.testing.assert_array_equal(simulation.positions, whole.positions)


# --- how a run is made leaves no trace --------------------------------------------------------------------------------


def both_looks(scheme=BAOAB):
    return [*look_at(scheme, 1), *look_at(scheme, 1, 7, 3)]


def run_in_parts(n, parts, scheme=BAOAB, **arguments):
    simulation = lf.Simulation(WELL, scheme, n_particles=n, seed=5, observers=both_looks(scheme), **arguments)
    for n_steps in parts:
        simulation.run(n_steps)
    return simulation


@pytest.mark.parametrize("n", [1, 5, 70, 150])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_threads(precision, n):
    one, two, many = (run_in_parts(n, [60], precision=precision, threads=threads) for threads in (1, 2, 5))
    assert_same(one.observers, two.observers)
    assert_same(one.observers, many.observers)


@pytest.mark.parametrize("n", [1, 5, 70])
@pytest.mark.parametrize("scheme", [MALA, BAOAB, lf.LeimkuhlerMatthews(0.02)], ids=repr)
def test_one_run_and_several(scheme, n):
    whole = run_in_parts(n, [300], scheme)
    for parts in ([1, 299], [31, 1, 1, 267], [64, 236], [63, 2, 235], [128, 172], [299, 0, 1], [7] * 42 + [6]):
        assert_same(run_in_parts(n, parts, scheme).observers, whole.observers)


@pytest.mark.parametrize("longest", [1, 5, 64])
def test_length_of_chunks(longest, monkeypatch):
    whole = {n: run_in_parts(n, [150]) for n in (3, 70)}
    monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
    for n, expected in whole.items():
        assert_same(run_in_parts(n, [150]).observers, expected.observers)


def test_looks_are_counted_from_the_end_of_the_burn_in():
    sample = lf.sample(WELL, BAOAB, n_steps=140, burn_in=13, n_particles=5, seed=5, stride=None, observers=both_looks())
    simulation = lf.Simulation(WELL, BAOAB, n_particles=5, seed=5)
    simulation.run(13)
    record = both_looks()
    simulation.run(140, record=record)
    assert_same(sample.observers, record)
    later = lf.Simulation(
        WELL,
        BAOAB,
        initial=sample.replay(steps=slice(13, 14)).positions[0],
        velocities=sample.replay(steps=slice(13, 14)).velocities[0],
        seed=5,
        first_step=13,
        observers=both_looks(),
    )
    later.run(140)
    assert_same(later.observers, record)


@pytest.mark.parametrize("streams", [range(5), [69, 3], [17], range(33, 70)])
def test_particles_alone_and_in_the_crowd(streams):
    crowd, some = run_in_parts(70, [200]), run_in_parts(None, [200], streams=streams)
    for a, b in zip(some.observers, crowd.observers, strict=True):
        mine, whole = a._contents.observed, b._contents.observed
        rows = len(whole.reals)  # below are batches in time, which many particles do not have
        np.testing.assert_array_equal(mine.reals[:rows], whole.reals[:, list(streams)])
        np.testing.assert_array_equal(mine.marks, whole.marks[:, list(streams)])


@pytest.mark.parametrize("twin_of", [copy.copy, copy.deepcopy, lambda sim: pickle.loads(pickle.dumps(sim))])
@pytest.mark.parametrize("n", [3, 70])
def test_copies_go_their_own_way(twin_of, n):
    def make():
        return [o for o in both_looks() if not (type(o) is obs.Expectation and callable(o._f))]

    simulation, whole = (lf.Simulation(WELL, BAOAB, n_particles=n, seed=1, observers=make()) for _ in range(2))
    simulation.run(70)
    other = twin_of(simulation)
    other.run(130)
    assert simulation.observers[0].n_looks == 70
    whole.run(200)
    assert_same(other.observers, whole.observers)
    simulation.run(130)
    assert_same(simulation.observers, whole.observers)


def test_observers_can_be_copied_and_pickled():
    done = run_in_parts(3, [50]).observers
    for other in (copy.deepcopy(done), pickle.loads(pickle.dumps(done))):
        assert_same(other, done)


def test_those_of_one_run_beside_those_of_all():
    every_run, first, second, third = (both_looks()[:15] for _ in range(4))
    simulation = lf.Simulation(WELL, BAOAB, n_particles=5, seed=5, observers=every_run)
    simulation.run(50, record=first)
    simulation.run(90, record=second)
    kept = [o.copied() for o in observed(first)]
    simulation.run(60)
    simulation.run(10, record=third)
    assert_same_bits(observed(first), kept)
    whole = lf.Simulation(WELL, BAOAB, n_particles=5, seed=5, observers=both_looks()[:15])
    whole.run(210)
    assert_same(simulation.observers, whole.observers)
    for begin, length, record in ((0, 50, first), (50, 90, second), (200, 10, third)):
        alone = both_looks()[:15]
        again = lf.Simulation(WELL, BAOAB, n_particles=5, seed=5)
        again.run(begin)
        again.run(length, record=alone)
        assert_same(record, alone)


def test_results_of_a_run_do_not_depend_on_who_looks():
    watched, alone = (
        lf.sample(WELL_3D, MALA, n_steps=80, n_particles=70, seed=1, observers=o) for o in (look_at(MALA, 3), ())
    )
    np.testing.assert_array_equal(watched.positions, alone.positions)
    np.testing.assert_array_equal(watched.final.accepted, alone.final.accepted)


def test_frames_among_the_observers():
    frames, moments = obs.Frames(every=4, start=2), obs.Moments(every=4, start=2)
    run = lf.sample(WELL, BAOAB, n_steps=50, burn_in=3, n_particles=5, seed=1, observers=[moments, frames])
    assert run.observers == (moments, frames)
    np.testing.assert_array_equal(frames.positions, run.positions[5::4])
    np.testing.assert_allclose(moments.mean, frames.positions.mean(axis=0), rtol=1e-12)


# --- divergence -------------------------------------------------------------------------------------------------------

N_WILD = 150
H = np.full(N_WILD, 0.01)
H[[20, 77, 78, 140]] = [0.4, 0.3, 0.3, 0.5]
STEEP = lf.potentials.DoubleWell(5.0)
WILD = {"ULA": lf.ULA(H), "LeimkuhlerMatthews": lf.LeimkuhlerMatthews(H), "BAOAB": lf.BAOAB(4 * H, friction=1.0)}


def few(scheme, particles):
    """The scheme for some of the particles."""
    more = {} if scheme.overdamped else {"friction": 1.0}
    return type(scheme)(scheme.step_size[particles], **more)


def wild_looks(scheme):
    # products of energies of 1e300 are not finite, which is no fault
    return [o for o in look_at(scheme, 1) if type(o) is not obs.Autocorrelation]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", WILD)
def test_frozen_particles_contribute_nothing_from_the_bad_step_on(name, precision, monkeypatch):
    scheme = WILD[name]
    runs = []
    for longest, threads in ((2**22, 1), (2**22, 2), (7, 2), (1, 1)):
        monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
        run = compare_with_twin(
            lambda: wild_looks(scheme),
            STEEP,
            scheme,
            40,
            n_particles=N_WILD,
            precision=precision,
            threads=threads,
            on_divergence="freeze",
        )
        run.run(5)
        runs.append(run)
    assert 2 <= (runs[0].diverged >= 0).sum() <= 4
    for run in runs:
        assert_same(run.observers, runs[0].observers)
        for o in run.observers:
            last = np.where(run.diverged < 0, 45, run.diverged - 1)
            np.testing.assert_array_equal(o.n_samples, last)
            assert not np.isnan(o._contents.observed.reals).any()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("particles", [range(150), [3, 77, 20, 5, 140]])
def test_counts_of_frozen_particles_are_exact(particles, threads):
    """Their group is run again from the start of the chunk: what was counted in vain is taken back."""
    particles = list(particles)
    arguments = {"n_steps": 60, "streams": particles, "seed": 6, "on_divergence": "freeze", "threads": threads}
    profile = obs.Histogram("x[0]", bins=9, range=(-1.5, 1.5))
    cores = obs.Transitions(["x[0] < -0.75", "x[0] > 0.75"], lag=1)
    run = lf.sample(STEEP, few(WILD["ULA"], particles), observers=[profile, cores], **arguments)
    assert (run.diverged >= 0).sum() >= 2
    last = np.where(run.diverged < 0, 60, run.diverged - 1)
    there = np.arange(1, 61)[:, np.newaxis] <= last
    x = run.positions[:, :, 0]
    np.testing.assert_array_equal(profile.counts, np.histogram(x[there], 9, (-1.5, 1.5))[0])
    assert profile.counts.sum() + profile.outside == there.sum()
    expected = np.zeros((2, 2), int)
    for p, path in enumerate(x.T):
        state = -1
        for now in path[: last[p]]:
            before, state = state, 0 if now < -0.75 else 1 if now > 0.75 else state
            if before >= 0:
                expected[before, state] += 1
    np.testing.assert_array_equal(cores.counts, expected)


def test_a_particle_that_is_frozen_already_is_not_looked_at():
    simulation = lf.Simulation(STEEP, WILD["ULA"], n_particles=N_WILD, seed=6, on_divergence="freeze")
    simulation.run(40)
    bad = simulation.diverged >= 0
    record = wild_looks(ULA)
    simulation.run(10, record=record)
    for o in record:
        np.testing.assert_array_equal(o.n_samples, np.where(bad, 0, 10))
        assert not o._contents.observed.reals[:, bad].any()
    assert (record[7].steps[bad] == -1).all()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", WILD)
def test_an_error_carries_what_was_seen_up_to_the_step_before(name, threads, monkeypatch):
    scheme = WILD[name]
    arguments = {"n_particles": N_WILD, "seed": 6, "threads": threads}
    expected = None
    for longest in (2**22, 3, 1):
        monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
        simulation = lf.Simulation(STEEP, scheme, observers=wild_looks(scheme), **arguments)
        record = wild_looks(scheme)
        with pytest.raises(lf.DivergenceError) as caught:
            simulation.run(60, record=record)
        step = caught.value.step
        assert caught.value.observers == (*simulation.observers, *record)
        assert simulation.step == step - 1 > 1
        if expected is None:
            expected = lf.Simulation(STEEP, scheme, observers=wild_looks(scheme), **arguments)
            expected.run(step - 1)
        assert_same(simulation.observers, expected.observers)
        assert_same(record, expected.observers)
        with pytest.raises(lf.DivergenceError):  # once more, and nothing was added
            simulation.run(1)
        assert_same(simulation.observers, expected.observers)
        with pytest.raises(lf.DivergenceError) as caught:
            lf.sample(STEEP, scheme, n_steps=60, stride=None, observers=wild_looks(scheme), **arguments)
        assert_same(caught.value.observers, expected.observers)


@pytest.mark.parametrize("longest", [1, 13, 2**22])
def test_an_error_after_many_looks_at_few_particles(longest, monkeypatch):
    """Batches in time became longer on the way."""
    monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
    arguments = {"initial": [[-1.0], [0.0], [1.0]], "seed": 1}
    scheme = lf.ULA([0.01, 0.04, 0.01])
    simulation = lf.Simulation(STEEP, scheme, observers=wild_looks(scheme), **arguments)
    with pytest.raises(lf.DivergenceError) as caught:
        simulation.run(100_000)
    assert caught.value.step > 130
    expected = lf.Simulation(STEEP, scheme, observers=wild_looks(scheme), **arguments)
    expected.run(caught.value.step - 1)
    assert_same(simulation.observers, expected.observers)


@pytest.mark.parametrize("on_divergence", ["raise", "freeze"])
@pytest.mark.parametrize("name", WILD)
def test_batch_potentials_that_diverge(name, on_divergence):
    """Without warnings of overflows, whoever makes the steps."""
    scheme, runs = WILD[name], []
    for u in (STEEP, lf.potentials.Batch(gradient=STEEP.gradient, energy=STEEP.energy, dim=1, start=[-1.0])):
        run = lf.Simulation(
            u, scheme, n_particles=N_WILD, seed=6, on_divergence=on_divergence, observers=wild_looks(scheme)
        )
        if on_divergence == "freeze":
            run.run(40)
        else:
            with pytest.raises(lf.DivergenceError):
                run.run(60)
        runs.append(run)
    assert_same(runs[1].observers, runs[0].observers)


@pytest.mark.parametrize("which", ["nothing", "observer", "potential"])
def test_errors_can_be_pickled(which):
    """Without what cannot be: functions that somebody looks at, or that the potential is made of."""
    batch = lf.potentials.Batch(gradient=lambda x: STEEP.gradient(x), dim=1)
    observer = obs.Trigger((lambda x: x[0] > 9) if which == "observer" else "x[0] > 0.5", every=100)
    with pytest.raises(lf.DivergenceError) as caught:
        lf.sample(
            *(batch if which == "potential" else STEEP, lf.ULA(0.4)),
            **{"n_particles": 3, "n_steps": 50, "seed": 6},
            observers=[observer],
        )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_path_to_a_divergence_does_not_depend_on_who_looks():
    """Its last ten steps, though somebody began to look a few steps before."""
    paths = []
    for first, second in (([], []), ([obs.Moments()], []), ([], [obs.Moments()])):
        simulation = lf.Simulation(STEEP, lf.ULA([0.01, 0.04, 0.01]), initial=[[-1.0], [0.0], [1.0]], seed=1)
        simulation.run(180, record=first)
        with pytest.raises(lf.DivergenceError) as caught:
            simulation.run(20, record=second)
        assert caught.value.step == 184
        paths.append(caught.value.path)
    for path in paths:
        np.testing.assert_array_equal(path, paths[0])


def test_a_divergence_in_the_burn_in():
    moments = obs.Moments()
    with pytest.raises(lf.DivergenceError) as caught:
        lf.sample(STEEP, WILD["ULA"], n_steps=5, burn_in=60, n_particles=N_WILD, seed=6, observers=[moments])
    assert caught.value.observers[-1] is moments
    assert not moments.begun


# --- what else ends a run ---------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(("n", "error"), [(3, KeyboardInterrupt), (200, ZeroDivisionError)])
def test_interrupted_runs(n, error, alarm):
    simulation = run_in_parts(n, [1], threads=2)
    alarm(0.15, error)
    with pytest.raises(error) as caught:
        simulation.run(10**12)
    done = simulation.step
    assert caught.value.observers == simulation.observers
    assert done > 0
    assert_same(simulation.observers, run_in_parts(n, [done]).observers)
    simulation.run(77)
    assert_same(simulation.observers, run_in_parts(n, [done + 77]).observers)


@pytest.mark.parametrize("burn_in", [0, 50])
def test_an_interrupted_sample(burn_in, alarm):
    alarm(0.15, KeyboardInterrupt)
    arguments = {"n_particles": 4, "seed": 3, "stride": None, "burn_in": burn_in}
    with pytest.raises(lf.Interrupted) as caught:
        lf.sample(WELL, BAOAB, n_steps=10**9, observers=both_looks(), **arguments)
    done = caught.value.step - burn_in
    expected = lf.sample(WELL, BAOAB, n_steps=done, observers=both_looks(), **arguments)
    assert_same(caught.value.observers, expected.observers)


def failing(function, at, error):
    """A function that raises in one of its calls, once."""

    def call(x):
        call.count += 1
        if call.count == at:
            raise error("mine")
        return function(x)

    call.count = 0
    return call


@pytest.mark.parametrize("which", ["gradient", "energy"])
@pytest.mark.parametrize(
    ("scheme", "n", "error"),
    [(ULA, 5, RuntimeError), (MALA, 5, KeyboardInterrupt), (MALA, 40, RuntimeError), (BAOAB, 5, RuntimeError)],
    ids=repr,
)
def test_functions_that_raise(scheme, which, n, error):
    """In a step, or while observers look: the energy is theirs alone in ULA and BAOAB."""

    def simulation(**functions):
        batch = lf.potentials.Batch(**{"gradient": WELL.gradient, "energy": WELL.energy, **functions}, dim=1)
        return lf.Simulation(batch, scheme, n_particles=n, seed=2, initial=[-1.0], observers=look_at(scheme, 1, 2))

    function = failing(getattr(WELL, which), 90, error)
    stopped = simulation(**{which: function})
    with pytest.raises(error):
        stopped.run(300)
    done = stopped.step
    assert 30 < done < 200
    expected = simulation()
    expected.run(done)
    assert_same(stopped.observers, expected.observers)
    stopped.run(100)
    expected.run(100)
    assert_same(stopped.observers, expected.observers)


def test_stopped_between_one_observer_and_the_next(monkeypatch):
    """A part of a look was taken: all go back to where it is whole."""
    batch = lf.potentials.Batch(gradient=WELL.gradient, energy=WELL.energy, dim=1)

    def make():
        observers = [obs.Moments(), obs.Histogram("x[0]", bins=5, range=(-2, 2)), obs.Moments()]
        return lf.Simulation(batch, ULA, n_particles=5, seed=2, observers=observers)

    stopped, expected = make(), make()
    take, calls = histogram.Counts.take, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 30:
            raise KeyboardInterrupt
        take(*arguments)

    monkeypatch.setattr(histogram.Counts, "take", interrupted)
    with pytest.raises(lf.Interrupted):
        stopped.run(100)
    assert stopped.step < 30
    expected.run(stopped.step)
    assert_same(stopped.observers, expected.observers)
    stopped.run(50)
    expected.run(50)
    assert_same(stopped.observers, expected.observers)


# --- who may look -----------------------------------------------------------------------------------------------------


def sampled(*observers, potential=WELL, scheme=ULA, n_steps=3, **arguments):
    return lf.sample(potential, scheme, n_steps=n_steps, seed=1, stride=None, observers=list(observers), **arguments)


def test_an_observer_is_used_once():
    used = obs.Moments()
    sampled(used)
    simulation = lf.Simulation(WELL, ULA, seed=1)
    for run in (
        lambda: sampled(used),
        lambda: simulation.run(3, record=[used]),
        lambda: lf.Simulation(WELL, ULA, observers=[used]),
    ):
        with pytest.raises(ValueError, match="has looked at a run already"):
            run()
    twice = obs.Moments()
    with pytest.raises(ValueError, match="the same observer twice"):
        sampled(twice, twice)
    assert not twice.begun and simulation.step == 0


def test_what_is_seen_before_a_run():
    for o in both_looks():
        assert "no look yet" in repr(o)
        with pytest.raises(ValueError, match="give it to lf"):
            _ = o.n_samples


def test_a_refused_run_leaves_observers_unused():
    good, bad = obs.Moments(), obs.Temperature("kinetic")
    with pytest.raises(ValueError, match="has no velocities"):
        sampled(good, bad)
    assert not good.begun
    sampled(good)


def test_the_number_of_observers_is_limited():
    sampled(*(obs.Moments() for _ in range(32)))
    simulation = lf.Simulation(WELL, ULA, seed=1, observers=[obs.Moments() for _ in range(30)])
    many, more = [obs.Moments() for _ in range(33)], [obs.Moments() for _ in range(3)]
    for run, observers in (
        (lambda: sampled(*many), many),
        (lambda: lf.Simulation(WELL, ULA, observers=many), many),
        (lambda: simulation.run(5, record=more), more),
    ):
        with pytest.raises(ValueError, match="33 observers would look; at most 32 are allowed"):
            run()
        assert not any(o.begun for o in observers)
    simulation.run(5, record=more[:2])
    assert more[0].n_looks == simulation.observers[0].n_looks == 5


def test_not_observers():
    with pytest.raises(TypeError, match=r"observers: Frames .*give them to run\(n_steps, record="):
        lf.Simulation(WELL, ULA, observers=[obs.Frames()])
    for wrong in (obs.Moments(), [obs.Moments], [3], None):
        with pytest.raises(TypeError, match="observers must be a sequence of observers"):
            lf.Simulation(WELL, ULA, observers=wrong)
        with pytest.raises(TypeError, match="observers must be a sequence of observers"):
            lf.sample(WELL, ULA, n_steps=1, observers=wrong)
        with pytest.raises(TypeError, match="record must be a sequence of observers"):
            lf.Simulation(WELL, ULA).run(1, record=wrong)


@pytest.mark.parametrize(
    "make", [lambda: obs.MeanSquaredDisplacement(), lambda: obs.Histogram(["x[0]"] * 2, bins=2000, range=(0, 1))]
)
def test_what_does_not_fit_into_memory_is_refused_beforehand(make, monkeypatch):
    simulation = lf.Simulation(WELL, ULA, n_particles=100_000, seed=1)
    monkeypatch.setattr(memory, "available_memory", lambda: 10**8)
    for run in (
        lambda o: simulation.run(1, record=[o]),
        lambda o: sampled(o, n_particles=100_000),
        lambda o: lf.Simulation(WELL, ULA, n_particles=100_000, observers=[o]),
    ):
        observer = make()
        with pytest.raises(MemoryError, match=r"observers keep of 100000 particles.* would take"):
            run(observer)
        assert not observer.begun
    assert simulation.step == 0


def test_the_states_of_a_simulation_do_not_change_under_an_observer():
    simulation = run_in_parts(5, [10])
    before = simulation.state
    kept = [o.copied() for o in before.observed]
    simulation.run(10)
    assert_same_bits(before.observed, kept)
    assert dataclasses.replace(before).observed is before.observed
