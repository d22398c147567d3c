"""Boxes and walls: the bits of a run in U continued beyond them, however it is made; exact laws."""

from __future__ import annotations

import copy
import functools
import math
import pickle

import numpy as np
import pytest
from cases import PRECISIONS

import langevin_fast as lf
from langevin_fast.stages import StagedSimulation

obs = lf.observers
P, R = lf.Periodic, lf.Reflecting

WELL = lf.potentials.DoubleWell(tilt=0.5)
WELL_3D = lf.potentials.DoubleWell(tilt=0.5, dim=3, stiffness=2.5)

# Lengths are powers of two, so that folding by hand is exact whatever the order of operations.
BOXES = {
    "periodic": (WELL, P(-1.25, 0.75)),
    "both": (WELL, R(-1.25, 0.75)),
    "lower": (WELL, R(-0.75, None)),
    "upper": (WELL, R(None, 0.25)),
    "3-D": (WELL_3D, [R([None, -0.25, None], [0.5, 0.25, None]), P([None, None, -0.5], [None, None, 0.5])]),
    "2-D": (lf.potentials.MullerBrown(), P([-0.625, 1.375], [-0.5, 1.5])),
}
# name -> of the smallest length; the noise crosses walls often
SCHEMES = {
    "ULA": lambda size: lf.ULA(0.05 * size, kT=1.5),
    "LeimkuhlerMatthews": lambda size: lf.LeimkuhlerMatthews(0.05 * size, kT=1.5),
    "MALA": lambda size: lf.MALA(0.1 * size, kT=1.5),
    "BAOAB": lambda size: lf.BAOAB(0.15 * size, friction=0.75, kT=1.5),
    "OBABO": lambda size: lf.Splitting("OBABO", 0.15 * size, drag=0.75, kT=1.5),
}

each_box = pytest.mark.parametrize("box", BOXES)
each_scheme = pytest.mark.parametrize("scheme", SCHEMES)
each_precision = pytest.mark.parametrize("precision", PRECISIONS)


def made(box, scheme, **arguments):
    potential, boundary = BOXES[box]
    scheme = SCHEMES[scheme](0.01 if box == "2-D" else 1.0)
    arguments = {"seed": 7, "boundary": boundary, "initial": [-0.0625] if potential.dim == 1 else None} | arguments
    return lf.Simulation(arguments.pop("potential", potential), scheme, **arguments)


def by_hand(boundary, x):
    """Positions in the box, the sign of velocities there, and which components are periodic."""
    y, sign, wraps = x.copy(), np.ones_like(x), np.zeros(x.shape[-1], bool)
    for one in boundary if isinstance(boundary, list) else [boundary]:
        n = max(len(one.lo), len(one.hi))
        for c in range(x.shape[-1]):
            lo, hi = one.lo[c % n], one.hi[c % n]
            z = x[..., c]
            if isinstance(one, P) and lo is not None:
                length, middle = hi - lo, (lo + hi) / 2
                z = middle + (z - middle - length * np.round((z - middle) / length))
                y[..., c] = np.where((x[..., c] >= lo) & (x[..., c] < hi), x[..., c], np.where(z >= hi, lo, z))
                wraps[c] = True
            elif lo is not None or hi is not None:
                wall = hi if lo is None else lo
                z = z - wall
                if lo is not None and hi is not None:
                    z = z - 2 * (hi - lo) * np.round(z / (2 * (hi - lo)))
                outside = (x[..., c] < -np.inf if lo is None else x[..., c] < lo) | (hi is not None and x[..., c] > hi)
                sign[..., c] = np.where(outside & (z > 0 if lo is None else z < 0), -1, 1)
                y[..., c] = np.where(outside, wall + sign[..., c] * z, x[..., c])
    return y, sign, wraps


def continued(potential, boundary):
    """U beyond the walls, for a run without any."""

    def gradient(x):
        y, sign, _ = by_hand(boundary, x)
        return sign * potential.gradient(y)

    def energy(x):
        return potential.energy(by_hand(boundary, x)[0])

    return lf.potentials.Batch(gradient=gradient, energy=energy, dim=potential.dim, start=potential.default_start)


def assert_same(a, b):
    for name in ("positions", "unwrapped_positions", "velocities", "acceptance_rate"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


# --- the motion -------------------------------------------------------------------------------------------------------


@each_precision
@each_scheme
@each_box
def test_the_motion_is_that_without_walls_in_the_potential_continued_beyond_them(box, scheme, precision):
    potential, boundary = BOXES[box]
    for n in (1, 5, 70):
        frames, free = obs.Frames(), obs.Frames()
        arguments = {"n_particles": n, "precision": precision}
        bounded = made(box, scheme, **arguments)
        bounded.run(40, record=[frames])
        without = made(box, scheme, potential=continued(potential, boundary), **arguments, boundary=None)
        without.run(40, record=[free])
        y, sign, wraps = by_hand(boundary, free.positions)
        np.testing.assert_array_equal(frames.positions, y)
        np.testing.assert_array_equal(frames.unwrapped_positions, np.where(wraps, free.positions, y))
        np.testing.assert_array_equal(bounded.state.accepted, without.state.accepted)
        if free.velocities is not None:
            np.testing.assert_array_equal(frames.velocities, sign * free.velocities)
        np.testing.assert_array_equal(bounded.positions, y[-1])
    assert (free.positions != y).any(axis=(0, 1)).tolist() == [
        any(one.kinds(potential.dim)[c][0] for one in np.ravel(boundary)) for c in range(potential.dim)
    ]


@pytest.mark.parametrize("scheme", ["MALA", "BAOAB"])
def test_a_mirror_written_by_the_user(scheme):
    """U(-x) = U(x), and a wall in the middle."""
    even = lf.potentials.Expression("(abs(x)**2 - 1)**2 + abs(x)/2", variables="x", start=[0.5])
    runs = [
        lf.Simulation(even, SCHEMES[scheme](1.0), n_particles=8, seed=3, boundary=boundary)
        for boundary in (None, R(0.0, None))
    ]
    for run in runs:
        run.run(100)
    assert (runs[0].positions < 0).any()
    np.testing.assert_array_equal(np.abs(runs[0].positions), runs[1].positions)


@pytest.mark.parametrize("scheme", ["LeimkuhlerMatthews", "BAOAB"])
def test_a_periodic_potential_does_not_know_of_its_box(scheme):
    """To rounding, which the noise does not amplify in so short a time."""
    u = lf.potentials.Expression("-cos(x)", variables="x")
    bounded, free = (
        lf.Simulation(u, SCHEMES[scheme](1.0), n_particles=70, seed=1, boundary=boundary)
        for boundary in (P(-math.pi, math.pi), None)
    )
    for run in (bounded, free):
        run.run(100)
    assert (abs(free.positions) > math.pi).any()
    np.testing.assert_allclose(bounded.unwrapped_positions, free.positions, rtol=0, atol=1e-9)
    turns = (bounded.unwrapped_positions - bounded.positions) / (2 * math.pi)
    np.testing.assert_allclose(turns, np.round(turns), rtol=0, atol=1e-12)


@each_precision
@each_box
def test_everything_that_is_shown_is_in_the_box(box, precision):
    potential, boundary = BOXES[box]
    like = made(box, "BAOAB")
    arguments = {"seed": 1, "n_particles": 33, "boundary": boundary, "precision": precision}
    run = lf.sample(potential, like.scheme, n_steps=60, initial=like.positions[0], **arguments)
    for x in (run.positions, run.final.positions[np.newaxis], run.replay(steps=slice(10, 20)).positions):
        for one in np.ravel(boundary):
            for c, (_, lo, hi) in enumerate(one.kinds(potential.dim)):
                assert (x[..., c] >= lo).all()
                assert (x[..., c] < hi if isinstance(one, P) and hi < np.inf else x[..., c] <= hi).all()
    np.testing.assert_array_equal(run.energies, potential.energy(run.positions))


@pytest.mark.parametrize("boundary", [P(0.1, 0.7), R(0.1, 0.7)], ids=repr)
@each_precision
def test_ends_that_are_no_binary_fractions(boundary, precision):
    """Rounding leaves no particle outside, even by one bit."""
    lo, hi = PRECISIONS[precision]([0.1, 0.7])
    arguments = {"n_particles": 200, "seed": 2, "precision": precision, "boundary": boundary}
    u = lf.potentials.Harmonic(1.0, center=0.4)
    run = lf.sample(u, lf.ULA(0.5), n_steps=300, initial=[0.5], **arguments)
    assert (run.positions >= lo).all()
    assert (run.positions < hi if isinstance(boundary, P) else run.positions <= hi).all()
    turns = (run.unwrapped_positions - run.positions) / (hi - lo)
    assert np.abs(turns - np.round(turns)).max() < 1e-4
    assert np.abs(turns).max() > 5 or isinstance(boundary, R)


@each_box
def test_the_first_state_is_shown_as_it_was_given(box):
    inside = made(box, "ULA").positions
    start = inside + np.random.default_rng(1).uniform(-0.05, 0.05, (50, inside.shape[1]))
    run = made(box, "ULA", initial=start)
    for x in (run.positions, run.unwrapped_positions):
        np.testing.assert_array_equal(x, start)


# --- however it is made -----------------------------------------------------------------------------------------------


@functools.cache
def whole(box, scheme, precision):
    run = made(box, scheme, precision=precision, n_particles=70)
    run.run(50)
    return run


def cut(run):
    for n in (1, 30, 0, 19):
        run.run(n)
    return run


def copied(run, twin):
    run.run(20)
    other = twin(run)
    run.run(3)
    other.run(30)
    return other


def batch(box):
    u = BOXES[box][0]
    return lf.potentials.Batch(gradient=u.gradient, energy=u.energy, dim=u.dim, start=u.default_start)


CASES = [("3-D", "MALA", "double"), ("periodic", "BAOAB", "single"), ("both", "LeimkuhlerMatthews", "double")]
WAYS = {
    "threads": lambda box, make: cut(make(threads=5)),
    "pickle": lambda box, make: copied(make(), lambda run: pickle.loads(pickle.dumps(run))),
    "deepcopy": lambda box, make: copied(make(), copy.deepcopy),
    "batch": lambda box, make: cut(make(potential=batch(box))),
    "numba": lambda box, make: cut(make(backend="numba")),
}


@pytest.mark.parametrize(
    ("box", "scheme", "precision", "way"),
    [
        *((*case, way) for case in CASES for way in WAYS if way != "numba"),
        ("both", "MALA", "double", "numba"),
        ("periodic", "BAOAB", "single", "numba"),
    ],
)
def test_the_same_bits_whoever_makes_the_steps(box, scheme, precision, way):
    run = WAYS[way](box, functools.partial(made, box, scheme, precision=precision, n_particles=70))
    assert_same(run, whole(box, scheme, precision))


@each_precision
@each_scheme
@each_box
def test_the_same_bits_on_every_level(box, scheme, precision, isa):
    run = made(box, scheme, precision=precision, n_particles=70)
    assert_same(cut(run), whole(box, scheme, precision))


@each_precision
@each_scheme
@each_box
def test_particles_alone_and_in_the_crowd(box, scheme, precision):
    crowd = whole(box, scheme, precision)
    for streams in ([17], [69, 3, 40, 0, 5], range(33, 70)):
        some = made(box, scheme, precision=precision, streams=streams)
        some.run(50)
        np.testing.assert_array_equal(some.unwrapped_positions, crowd.unwrapped_positions[list(streams)])


@each_scheme
@each_box
def test_replays(box, scheme):
    frames = obs.Frames()
    run = made(box, scheme, n_particles=9)
    run.run(50, record=[frames])
    coarse = lf.sample(
        *(run.potential, run.scheme),
        **{"n_steps": 50, "stride": 20, "n_particles": 9, "seed": 7, "boundary": BOXES[box][1]},
        initial=[-0.0625] if run.potential.dim == 1 else None,
    )
    for again in (run.replay([5, 2], slice(23, 51)), coarse.replay([5, 2], slice(23, 51))):
        np.testing.assert_array_equal(again.positions, frames.positions[22:][:, [5, 2]])
        np.testing.assert_array_equal(again.unwrapped_positions, frames.unwrapped_positions[22:][:, [5, 2]])
        if frames.velocities is not None:
            np.testing.assert_array_equal(again.velocities, frames.velocities[22:][:, [5, 2]])


def test_a_trajectory_shows_its_unwrapped_positions():
    run = lf.sample(WELL, lf.ULA(0.1), n_steps=80, n_particles=9, seed=1, boundary=BOXES["periodic"][1], initial=[0.0])
    moves = np.abs(np.diff(run.unwrapped_positions, axis=0))
    assert moves.max() < 2.0 < np.ptp(run.unwrapped_positions)
    assert np.abs(np.diff(run.positions, axis=0)).max() > 1.5
    with_stages = StagedSimulation([WELL] * 2, [lf.ULA(0.1)] * 2, 40, **{"n_particles": 9, "seed": 1, "initial": [0.0]})
    assert with_stages.unwrapped_positions.shape == (9, 1)


# --- observers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["cpp", "batch"])
@each_box
def test_observers_look_into_the_box_and_displacements_do_not(box, kind):
    u = BOXES[box][0]
    last = u.dim - 1
    moments, mean, energy = obs.Moments(), obs.Expectation(f"v[{last}]"), obs.Expectation("energy")
    counts, msd = obs.Histogram(f"x[{last}]", bins=6, range=(-1.25, 0.75)), obs.MeanSquaredDisplacement(longest=20)
    frames = obs.Frames()
    run = made(box, "BAOAB", n_particles=35, **({"potential": batch(box)} if kind == "batch" else {}))
    run.run(60, record=[moments, mean, energy, counts, msd, frames])
    x, v = frames.positions, frames.velocities
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(mean.per_particle, v[..., last].mean(axis=0), rtol=1e-10)
    np.testing.assert_allclose(energy.per_particle, u.energy(x).mean(axis=0), rtol=1e-10)
    np.testing.assert_array_equal(counts.counts, np.histogram(x[..., last], 6, (-1.25, 0.75))[0])
    way = frames.unwrapped_positions
    for lag in (1, 7):
        expected = np.square(way[lag:] - way[:-lag]).sum(axis=2).mean()
        assert msd.values[msd.lags.tolist().index(lag)] == pytest.approx(expected, rel=1e-10)


def test_the_upper_end_of_a_period_is_the_lower_one():
    """A particle that stands there exactly, without noise and forces, is seen at the other end."""
    scheme = lf.BAOAB(0.5, friction=0.0, kT=0.0)
    for n in (1, 70):
        for precision in ("double", "single"):
            mean, given = obs.Expectation("x[0]"), {"n_particles": n, "precision": precision, "seed": 1}
            run = lf.Simulation(
                lf.potentials.Free(), scheme, initial=[0.5], velocities=[1.0], boundary=P(0.0, 1.0), **given
            )
            run.run(1, record=[mean])
            assert (run.unwrapped_positions == 1.0).all() and (run.positions == 0.0).all()
            assert (mean.per_particle == 0.0).all()


def test_the_virial_is_no_temperature_there():
    with pytest.raises(ValueError, match="kind='configurational': a boundary has a force of its own"):
        made("both", "BAOAB", n_particles=3, observers=[obs.Temperature("configurational")])


def test_a_region_in_the_box():
    passage, frames = obs.FirstPassage("x[0] > 0.5"), obs.Frames()
    run = made("periodic", "ULA", n_particles=40)
    run.run(60, record=[passage, frames])
    there = frames.positions[..., 0] > 0.5
    np.testing.assert_array_equal(passage.steps, np.where(there.any(axis=0), there.argmax(axis=0) + 1, -1))
    assert (frames.unwrapped_positions[..., 0] < -1.25).any()


# --- divergence -------------------------------------------------------------------------------------------------------

ROOT = lf.potentials.Expression("3*sqrt(x)", variables="x", start=[0.75])


@pytest.mark.parametrize("boundary", [P(-1.0, 1.0), R(-1.0, 1.0)], ids=repr)
def test_divergence(boundary):
    """The domain of U ends at zero, in the middle of the box."""
    arguments = {"n_particles": 9, "seed": 4, "boundary": boundary}
    frames = obs.Frames()
    frozen = lf.Simulation(ROOT, lf.ULA(0.005), on_divergence="freeze", **arguments)
    frozen.run(100, record=[frames])
    step = frozen.diverged[frozen.diverged > 0].min()
    particle = int(np.flatnonzero(frozen.diverged == step)[0])
    assert 3 < step < 100
    assert (np.abs(frames.positions) <= 1).all()
    np.testing.assert_array_equal(frames.positions[step - 1 :, particle], frames.positions[step - 2 : -1, particle])
    raising = lf.Simulation(ROOT, lf.ULA(0.005), **arguments)
    with pytest.raises(lf.DivergenceError, match="the particle left the domain of U") as caught:
        raising.run(100)
    assert (caught.value.step, caught.value.particle, raising.step) == (step, particle, step - 1)
    np.testing.assert_array_equal(raising.positions, frames.positions[step - 2])
    # what the error shows is in the box too
    np.testing.assert_array_equal(caught.value.last_position, raising.positions[particle])
    np.testing.assert_array_equal(caught.value.path, frames.positions[: step - 1, particle][-10:])


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: P(1.0, 1.0), ValueError, r"lo=1.0 must be below hi=1.0"),
        (lambda: R(2.0, 1.0), ValueError, r"lo=2.0 must be below hi=1.0"),
        (lambda: R([0.0, 3.0], [1.0, 2.0]), ValueError, r"lo=3.0 must be below hi=2.0"),
        (lambda: P(None, 1.0), ValueError, "a periodic component has two ends"),
        (lambda: P([0.0, 0.0], [1.0, None]), ValueError, "a periodic component has two ends"),
        (lambda: R([0.0, 0.0], [1.0, 2.0, 3.0]), ValueError, "must have one length"),
        (lambda: R([], []), ValueError, "lo is empty"),
        (lambda: R(np.nan, 1.0), ValueError, "lo"),
        (lambda: P(0.0, np.inf), ValueError, "hi"),
        (lambda: R("left", 1.0), TypeError, "lo"),
        (lambda: P(0.0), TypeError, "hi"),
    ],
)
def test_wrong_ends(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("boundary", "error", "match"),
    [
        (P([0.0, 0.0], 4.0), ValueError, r"has 2 components; the potential has 3"),
        (R([None] * 4, [1.0] * 4), ValueError, r"has 4 components; the potential has 3"),
        ([R([-2, None, None], [None] * 3), R([None] * 3, [2, None, None])], ValueError, "component 0 has two"),
        ([P(-3.0, 3.0), R(None, 3.0)], ValueError, "component 0 has two"),
        ([], TypeError, "boundary must be lf.Periodic"),
        ((0.0, 1.0), TypeError, "boundary must be lf.Periodic"),
        (P, TypeError, "boundary must be lf.Periodic"),
        ("periodic", TypeError, "boundary must be lf.Periodic"),
        ([P(-3.0, 3.0), None], TypeError, "boundary must be lf.Periodic"),
        (R(0.5, None), ValueError, r"initial=\[-1.0, 0.0, 0.0\] \(particle 0\) is not within boundary="),
        (P(-2.0, -1.0), ValueError, "initial"),
    ],
    ids=repr,
)
def test_wrong_boundaries(boundary, error, match):
    for make in (lf.Simulation, functools.partial(lf.sample, n_steps=1)):
        with pytest.raises(error, match=match):
            make(WELL_3D, lf.ULA(0.01), boundary=boundary, initial=[-1.0, 0.0, 0.0])


@pytest.mark.parametrize("at", [0.0, 1.0, 1.5, -0.5])
def test_where_particles_may_start(at):
    """At a wall, and at the lower end of a period."""
    for boundary, ends in ((R(0.0, 1.0), 1.0), (P(0.0, 1.0), np.nextafter(1.0, 0.0))):
        arguments = {"initial": [[0.5], [at]], "boundary": boundary, "seed": 1}
        if 0.0 <= at <= ends:
            lf.sample(WELL, lf.ULA(0.01), n_steps=5, **arguments)
            continue
        with pytest.raises(ValueError, match=r"\(particle 1\) is not within"):
            lf.sample(WELL, lf.ULA(0.01), n_steps=5, **arguments)


def test_not_on_a_gpu(monkeypatch):
    monkeypatch.setattr("langevin_fast.backends.cuda.check_available", lambda: None)
    with pytest.raises(ValueError, match='boundary is not there on backend="cuda"'):
        lf.Simulation(WELL, lf.ULA(0.01), boundary=R(-2.0, 2.0), backend="cuda")


@pytest.mark.parametrize("boundary", [P(0.0, 1e300), P(-1e39, 1e39), R(1.0, 1.0 + 1e-9)], ids=repr)
def test_boxes_that_single_precision_does_not_hold(boundary):
    with pytest.raises(ValueError, match="boundary"):
        lf.Simulation(WELL, lf.ULA(0.01), initial=[1.0], boundary=boundary, precision="single")


def test_nothing_can_be_changed():
    walls = made("periodic", "ULA").stepper.history.walls
    for array in (walls.kinds, walls.numbers, *(getattr(copy.deepcopy(walls), name) for name in ("kinds", "numbers"))):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    assert repr(R([None, -0.25], 0.5)) == "Reflecting([None, -0.25], 0.5)"


# --- exact laws -------------------------------------------------------------------------------------------------------


def bessel_i0(z):
    return sum((z / 2) ** (2 * k) / math.factorial(k) ** 2 for k in range(30))


@pytest.mark.parametrize(("kT", "drag"), [(1.0, 1.0), (0.5, 2.0)])
def test_diffusion_in_a_washboard(kT, drag):
    """Lifson and Jackson: kT/drag / I0(1/kT)^2; displacements of 4,000 particles, |z| < 4."""
    u, n, h = lf.potentials.Expression("-cos(x)", variables="x"), 4000, 0.02 * drag
    run = lf.Simulation(
        u, lf.LeimkuhlerMatthews(h, kT=kT, drag=drag), n_particles=n, seed=9, boundary=P(-math.pi, math.pi)
    )
    frames = obs.Frames(every=500)
    run.run(3500, record=[frames])
    way = frames.unwrapped_positions[..., 0]
    # what a displacement has beyond 2 D t does not grow
    short, long = way[1] - way[0], way[6] - way[0]
    time = 2500 * h
    measured = (np.square(long) - np.square(short)).mean() / (2 * time)
    error = (np.square(long) - np.square(short)).std() / (2 * time) / math.sqrt(n)
    assert abs(measured - kT / drag / bessel_i0(1 / kT) ** 2) < 4 * error


def moments_of_truncated_normal(a, b):
    density, part = (lambda z: math.exp(-z * z / 2) / math.sqrt(2 * math.pi)), math.erf
    mass = (part(b / math.sqrt(2)) - part(a / math.sqrt(2))) / 2
    mean = (density(a) - density(b)) / mass
    return mean, 1 + (a * density(a) - b * density(b)) / mass - mean**2


@pytest.mark.parametrize(
    "scheme",
    [lf.MALA(0.4), lf.ULA(0.0005), lf.LeimkuhlerMatthews(0.0005), lf.BAOAB(0.02, friction=2.0)],
    ids=lambda scheme: scheme.letters,
)
def test_a_spring_between_walls(scheme):
    """The truncated normal distribution: exact for MALA, to O(h) far below the errors for the others; |z| < 4."""
    n, time = 4000, 60 if scheme.metropolised else int(0.6 / scheme.step_size)
    if not scheme.overdamped:
        time = 100
    lo, hi = 0.5, 1.75
    mean, variance = moments_of_truncated_normal(lo, hi)
    start = np.random.default_rng(1).uniform(lo, hi, (n, 1))
    run = lf.Simulation(lf.potentials.Harmonic(1.0), scheme, initial=start, seed=2, boundary=R(lo, hi))
    run.run(time)
    frames = obs.Frames(every=max(time // 6, 1))
    run.run(time, record=[frames])
    x = frames.positions[..., 0]
    for values, expected in ((x, mean), (np.square(x - mean), variance)):
        own = values.mean(axis=0)
        assert abs(own.mean() - expected) < 4 * own.std() / math.sqrt(n)


@pytest.mark.parametrize("boundary", [P([0.0, -1.0], [1.0, 2.0]), R([0.0, -1.0], [1.0, 2.0])], ids=repr)
@pytest.mark.parametrize("scheme", [lf.ULA(0.3), lf.MALA(0.3), lf.BAOAB(0.5, friction=1.0)], ids=lambda s: s.letters)
def test_nothing_but_walls(scheme, boundary):
    """A uniform density is stationary at any step size: chi-squared of independent particles, |z| < 4."""
    n = 12_000
    start = np.random.default_rng(3).uniform([0.0, -1.0], [1.0, 2.0], (n, 2))
    free = lf.potentials.Batch(gradient=np.zeros_like, energy=lambda x: np.zeros(len(x), x.dtype), dim=2)
    run = lf.Simulation(free, scheme, initial=start, seed=5, boundary=boundary)
    run.run(20)
    counts = np.histogram2d(*run.positions.T, bins=(6, 5), range=((0.0, 1.0), (-1.0, 2.0)))[0]
    chi_squared = (np.square(counts - n / 30) / (n / 30)).sum()
    assert abs(chi_squared - 29) < 4 * math.sqrt(2 * 29)
    if not scheme.overdamped:
        assert abs(np.square(run.velocities).mean() - 1) < 4 * math.sqrt(1 / n)


def test_from_a_wall_to_an_end():
    """The mean first-passage time of the discrete chain, from the integral equation on Gauss points; |z| < 4."""
    h, n = 0.02, 20_000
    nodes, weights = np.polynomial.legendre.leggauss(60)
    x, weights = (nodes + 1) / 2, weights / 2

    def kernel(x, y):
        return sum(np.exp(-np.square(y - s * x) / (4 * h)) for s in (1, -1)) / math.sqrt(4 * math.pi * h)

    inside = np.linalg.solve(np.eye(60) - kernel(x[:, np.newaxis], x) * weights, np.full(60, h))
    exact = h + kernel(0.0, x) @ (weights * inside)
    passage = obs.FirstPassage("x[0] > 1", on_arrival="stop")
    free = lf.potentials.Harmonic(1e-12)
    lf.sample(
        *(free, lf.ULA(h)),
        **{"n_particles": n, "initial": [0.0], "n_steps": 1000, "seed": 6, "stride": None, "boundary": R(0.0, None)},
        observers=[passage],
    )
    assert passage.arrived.all()
    assert abs(passage.mean - exact) < 4 * passage.error
    assert passage.error == pytest.approx(passage.times.std() / math.sqrt(n), rel=0.01)
