"""Observers: what they show against NumPy on stored frames, against exact results, and when they are added."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest

import langevin_fast as lf

obs = lf.observers
regions = lf.regions
WELL, WELL_2D = lf.potentials.DoubleWell(), lf.potentials.DoubleWell(dim=2)
ULA, MALA = lf.ULA(0.02), lf.MALA(0.1)
BAOAB = lf.BAOAB(0.1, friction=1.0)
LEFT, RIGHT = "x[0] < -0.5", "x[0] > 0.5"  # few conditions: each takes a while to compile
CROWDS = pytest.mark.parametrize("n", [1, 5, 40])


def close(a, b, rtol=1e-12, atol=1e-13):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def stored(*observers, potential=WELL_2D, scheme=BAOAB, n_steps=400, every=1, start=0, n=5, **arguments):
    """The frames at which these observers looked."""
    frames = obs.Frames(every, start)
    given = {"seed": 3, "burn_in": 10, "stride": None, "n_particles": n, **arguments}
    lf.sample(potential, scheme, n_steps=n_steps, observers=[*observers, frames], **given)
    return frames


# --- the same numbers from stored frames ------------------------------------------------------------------------------


@CROWDS
@pytest.mark.parametrize(("every", "start"), [(1, 0), (3, 7)])
def test_moments(n, every, start):
    moments = obs.Moments(every, start)
    x = stored(moments, n=n, every=every, start=start).positions
    assert moments.n_looks == len(x) == (400 - start) // every
    close(moments.mean, x.mean(axis=0))
    close(moments.variance, x.var(axis=0))
    close(moments.covariance, [np.cov(path.T, bias=True) for path in x.swapaxes(0, 1)])
    pooled = moments.pooled()
    everything = x.reshape(-1, 2)
    close(pooled.mean, everything.mean(axis=0))
    close(pooled.covariance, np.cov(everything.T, bias=True))
    if n > 31:
        close(pooled.error, x.mean(axis=0).std(axis=0, ddof=1) / np.sqrt(n))
        assert np.isnan(moments.error).all()


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("n_steps", [1, 2, 64, 65, 400])
def test_errors_from_batches_in_time(n, n_steps):
    """64 batches, each of 1, 2, 4, ... looks: the least power of two with which they suffice."""
    moments, mean = obs.Moments(), obs.Expectation("x[1]")
    x = stored(moments, mean, n=n, n_steps=n_steps).positions
    length = 2 ** max(math.ceil(math.log2(n_steps / 64)), 0)
    m = n_steps // length
    batches = x[: m * length].reshape(m, length, n, 2).mean(axis=1)
    if m > 1:
        close(moments.error, batches.std(axis=0, ddof=1) / np.sqrt(m), rtol=1e-9)
    else:
        assert np.isnan(moments.error).all()
    if m * n > 1:
        of_all = batches.reshape(-1, 2).std(axis=0, ddof=1) / np.sqrt(m * n)
        close(moments.pooled().error, of_all, rtol=1e-9)
        close(mean.error, of_all[1], rtol=1e-9)
    else:
        assert np.isnan(mean.error)


def test_little_is_lost_far_from_zero():
    far = lf.potentials.Harmonic(1.0, center=1e8)
    moments = obs.Moments()
    x = stored(moments, potential=far, n=3).positions
    close(moments.variance, (x - 1e8).var(axis=0), rtol=1e-6)
    assert 0.01 < moments.variance.min() < moments.variance.max() < 10


def test_covariances_are_summed_up_to_16_components():
    for dim, given, there in ((16, None, True), (17, None, False), (17, True, True), (2, False, False)):
        moments = obs.Moments(covariance=given)
        x = stored(moments, potential=lf.potentials.Harmonic(np.ones(dim)), n=2, n_steps=40).positions
        close(moments.variance, x.var(axis=0))
        if there:
            close(moments.covariance[1], np.cov(x[:, 1].T, bias=True))
        else:
            assert moments.pooled().covariance is None
            with pytest.raises(ValueError, match=r"Moments\(covariance=True\)"):
                _ = moments.covariance


def branches(x):
    if x[0] > 0.0:
        return x[0] * x[1]
    return -x[1]


def pair(x, v):
    return x[0] * v[1], x[1] * x[1]


def everything(x, v, energy):
    return x[0] + v[1] * energy


FUNCTIONS = {
    "x[1]": lambda x, v, u: x[..., 1],
    " x [ 1 ] ": lambda x, v, u: x[..., 1],
    "v[0]": lambda x, v, u: v[..., 0],
    "energy": lambda x, v, u: u,
    "where(x[1] > 0, v[0], energy)": lambda x, v, u: np.where(x[..., 1] > 0, v[..., 0], u),
    branches: lambda x, v, u: np.where(x[..., 0] > 0, x[..., 0] * x[..., 1], -x[..., 1]),
    pair: lambda x, v, u: np.stack([x[..., 0] * v[..., 1], x[..., 1] ** 2], axis=-1),
    everything: lambda x, v, u: x[..., 0] + v[..., 1] * u,
}


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f if isinstance(f, str) else f.__name__)
def test_averages_of_functions(f):
    for n in (5, 40):
        average = obs.Expectation(f)
        frames = stored(average, n=n, n_steps=200)
        values = FUNCTIONS[f](frames.positions, frames.velocities, WELL_2D.energy(frames.positions))
        close(average.per_particle, values.mean(axis=0))
        close(average.mean, values.mean(axis=(0, 1)))
        close(average.variance, values.var(axis=(0, 1)), rtol=1e-10)
        if n > 31:
            close(average.error, values.mean(axis=0).std(axis=0, ddof=1) / np.sqrt(n), rtol=1e-10)


def test_several_functions_at_once():
    several, one = obs.Expectation(["x[1]", pair, "energy"]), obs.Expectation(("v[0]",))
    frames = stored(several, one)
    x, v = frames.positions, frames.velocities
    assert several.per_particle.shape == (5, 4)
    assert several.mean.shape == several.error.shape == several.variance.shape == (4,)
    close(several.mean[[0, 1, 3]], [x[..., 1].mean(), (x[..., 0] * v[..., 1]).mean(), WELL_2D.energy(x).mean()])
    close(one.mean, v[..., 0].mean())


def test_one_number_is_a_number():
    average = obs.Expectation("x[0]")
    stored(average)
    for value in (average.mean, average.error, average.variance):
        assert isinstance(value, float)


def test_names_in_one_dimension():
    bare, named, speed = obs.Expectation("x"), obs.Expectation("x[0]"), obs.Expectation("v")
    frames = stored(bare, named, speed, potential=WELL)
    assert bare.mean == named.mean
    close(speed.mean, frames.velocities.mean())


@pytest.mark.parametrize("scheme", [ULA, BAOAB], ids=repr)
def test_variables_may_have_the_names_of_other_things(scheme):
    """Then these names are the positions, and the energy is U."""
    u = lf.potentials.Expression("v**2/2 + energy**2", variables=("v", "energy"))
    v, energy, both = (obs.Expectation(f) for f in ("v", "energy", "v*x[1] + U"))
    x = stored(v, energy, both, potential=u, scheme=scheme, n_steps=50).positions
    close([v.mean, energy.mean], x.mean(axis=(0, 1)))
    close(both.mean, (x.prod(axis=-1) + u.energy(x)).mean())


def test_without_an_energy():
    """What reads no energy needs none."""
    u = lf.potentials.Batch(gradient=WELL_2D.gradient, dim=2)
    observers = [obs.Expectation(f) for f in ("x[0]*v[0]", lambda x, v: x[0] * v[0])]
    frames = stored(*observers, potential=u, n_steps=50)
    for o in observers:
        close(o.mean, (frames.positions[..., 0] * frames.velocities[..., 0]).mean())


def test_energies_of_a_driven_potential():
    u = lf.potentials.Harmonic(lf.Schedule([0.0, 4.0], [1.0, 9.0]))
    for scheme in (BAOAB, lf.MALA(0.1), ULA):
        energy, passage, virial = (
            obs.Expectation("energy"),
            obs.Trigger("energy > 1.5"),
            obs.Temperature("configurational"),
        )
        run = lf.sample(u, scheme, n_steps=40, n_particles=5, burn_in=4, seed=2, observers=[energy, passage, virial])
        close(energy.per_particle, run.energies.mean(axis=0))
        close(virial.per_particle, 2 * run.energies.mean(axis=0))
        above = run.energies > 1.5
        np.testing.assert_array_equal(passage.steps, np.where(above.any(axis=0), run.steps[above.argmax(axis=0)], -1))


def test_first_state_of_a_driven_potential():
    """Is judged by U at its time."""
    u = lf.potentials.Harmonic(lf.Schedule([0.0, 1.0], [1.0, 9.0]))
    there = lf.sample(u, BAOAB, n_steps=10, n_particles=50, seed=1).energies[-1] > 1.5
    simulation, passage = lf.Simulation(u, BAOAB, n_particles=50, seed=1), obs.FirstPassage("energy > 1.5")
    simulation.run(10)
    simulation.run(0, record=[passage])
    assert there.any()
    np.testing.assert_array_equal(passage.arrived, there)


@CROWDS
def test_temperatures(n):
    mass, center = np.array([1.0, 2.5]), np.array([0.25, -1.0])
    kinetic, half, virial = (
        obs.Temperature(),
        obs.Temperature("half-step"),
        obs.Temperature("configurational", center=center),
    )
    scheme = lf.BAOAB(0.1, friction=1.0, kT=1.5)
    frames = stored(kinetic, half, virial, scheme=scheme, n=n, mass=mass)
    x, v, g = frames.positions, frames.velocities, WELL_2D.gradient(frames.positions)
    before = v + 0.05 * g / mass
    for o, values in (
        (kinetic, (mass * v * v).mean(axis=-1)),
        (half, (mass * before * before).mean(axis=-1)),
        (virial, ((x - center) * g).mean(axis=-1)),
    ):
        close(o.per_particle, values.mean(axis=0))
        close(o.mean, values.mean())
        if n > 31:
            close(o.error, values.mean(axis=0).std(ddof=1) / np.sqrt(n))


def test_the_last_kick_may_be_a_whole_one():
    half = obs.Temperature("half-step")
    frames = stored(half, scheme=lf.Splitting("OAB", 0.1, drag=1.0), n_steps=50)
    before = frames.velocities + 0.1 * WELL_2D.gradient(frames.positions)
    close(half.mean, (before**2).mean())


def test_acceptance():
    acceptance, later = obs.Acceptance(), obs.Acceptance()
    run = lf.sample(WELL, MALA, n_steps=100, burn_in=20, n_particles=7, seed=1, observers=[acceptance])
    np.testing.assert_array_equal(acceptance.per_particle, run.acceptance_rate)
    assert acceptance.mean == pytest.approx(run.acceptance_rate.mean()) and 0.3 < acceptance.mean < 1
    moved = np.diff(run.positions, axis=0).any(axis=-1).sum(axis=0)
    simulation = lf.Simulation(WELL, MALA, n_particles=7, seed=1)
    simulation.run(21)
    simulation.run(99, record=[later])
    np.testing.assert_array_equal(later.per_particle, moved / 99)


# --- histograms -------------------------------------------------------------------------------------------------------


@CROWDS
def test_histograms(n):
    profile = obs.Histogram("x[0]", bins=11, range=(-1.25, 1.0), every=2, start=3)
    x = stored(profile, n=n, every=2, start=3).positions[..., 0]
    expected, edges = np.histogram(x, 11, (-1.25, 1.0))
    np.testing.assert_array_equal(profile.counts, expected)
    assert profile.outside == x.size - expected.sum() > 0
    close(profile.edges, edges)
    close(profile.centers, (edges[1:] + edges[:-1]) / 2)
    close(profile.density, expected / x.size / np.diff(edges))
    free = profile.free_energy()
    value = -np.log(profile.density)
    close(free.value, value - value.min())
    close(free.error, profile.error / profile.density)
    close(profile.free_energy(kT=2.0).value, 2 * free.value)
    close(np.sum(profile.density * np.diff(edges)) + profile.outside / x.size, 1.0)
    # batches: of particles, or in time, of 8 looks each
    batches = np.array_split(x, np.arange(8, len(x), 8)) if n < 32 else [x[:, i : i + 2] for i in range(0, n, 2)]
    counts = np.array([np.histogram(b, 11, (-1.25, 1.0))[0] for b in batches])
    sizes = np.array([b.size for b in batches])[:, np.newaxis]
    m = len(batches)
    spread = np.sqrt(np.square(counts - expected / x.size * sizes).sum(axis=0) * m / (m - 1)) / x.size
    close(profile.error, spread / np.diff(edges))


def test_histograms_in_two_dimensions():
    table = obs.Histogram(["x[0]", "energy"], bins=(6, 4), range=((-1.25, 1), (0, 2)))
    square = obs.Histogram(("x[0]", "x[1]"), bins=5, range=(-1.0, 1.5))
    x = stored(table, square).positions
    energy = WELL_2D.energy(x).ravel()
    flat = x.reshape(-1, 2)
    expected = np.histogram2d(flat[:, 0], energy, (6, 4), ((-1.25, 1), (0, 2)))
    np.testing.assert_array_equal(table.counts, expected[0])
    assert table.outside == energy.size - expected[0].sum()
    for edges, wanted in zip(table.edges, expected[1:], strict=True):
        close(edges, wanted)
    assert table.density.shape == table.error.shape == table.free_energy().value.shape == (6, 4)
    close(table.density, expected[0] / energy.size / (2.25 / 6 * 2 / 4))
    np.testing.assert_array_equal(square.counts, np.histogram2d(*flat.T, 5, ((-1.0, 1.5),) * 2)[0])


def test_bins_are_half_open():
    profile = obs.Histogram("x[0]", bins=4, range=(0, 1))
    still = [[0.0], [0.25], [0.5], [1.0], [-1e-300], [0.25 - 1e-16], [1e30], [0.75]]
    lf.sample(lf.potentials.Free(), lf.ULA(0.1, kT=0.0), initial=still, n_steps=3, seed=1, observers=[profile])
    np.testing.assert_array_equal(profile.counts, [6, 3, 3, 3])
    assert profile.outside == 9
    empty = obs.Histogram("x[0]", bins=2, range=(5, 6))
    lf.sample(lf.potentials.Free(), lf.ULA(0.1, kT=0.0), initial=still, n_steps=3, seed=1, observers=[empty])
    assert not empty.density.any() and not np.isfinite(empty.free_energy(kT=1.0).value).any()


def test_drawing():
    plt = pytest.importorskip("matplotlib.pyplot")
    profile, table = (
        obs.Histogram("x[0]", range=(-2, 2), bins=8),
        obs.Histogram(["x[0]", "x[1]"], range=(-2, 2), bins=4),
    )
    stored(profile, table)
    for o in (profile, table):
        for free_energy in (False, True):
            figure, ax = plt.subplots()
            assert o.plot(ax, free_energy=free_energy) is ax
            plt.close(figure)


# --- lags -------------------------------------------------------------------------------------------------------------


def pairs_of(looks, lag, points):
    """(earlier, later) looks that are compared at a lag: of the coarsest level that has it."""
    level = 0 if lag < points else int(math.log2(2 * lag / points))
    later = np.arange(lag, looks)
    later = later[later % 2**level == 0]
    return later - lag, later


def independent_parts(looks, n, lag, points, longest):
    """Masks (looks, n) of the later looks of pairs at a lag, one for each part that is taken as independent.

    Of fewer than 32 particles, 32 batches in time, of 1, 2, 4, ... looks; as many together as twice the longest lag
    takes. If that leaves fewer than eight with pairs at this one, and of many particles, they are the particles.
    """

    def batches(which):
        later = np.zeros((looks, 1), bool)
        later[pairs_of(looks, which, points)[1]] = True
        length = 2 ** max(math.ceil(math.log2(looks / 32)), 0)
        length *= max(1, math.ceil(2 * longest / length))
        stretches = np.arange(looks) // length
        in_time = n < 32 and n * len(np.unique(stretches[later[:, 0]])) >= 8
        stretches = stretches if in_time else np.zeros(looks, int)
        return in_time, [later & (stretches == b)[:, np.newaxis] for b in np.unique(stretches)]

    in_time = batches(longest)[0]
    masks = batches(lag)[1] if in_time else [np.logical_or.reduce(batches(lag)[1])]
    return np.array([mask & one for mask in masks for one in np.eye(n, dtype=bool)])


def error_of(apart, share):
    """Of an average, from what independent parts with these shares make of its error."""
    return np.sqrt(np.square(apart).sum() / (1 - np.square(share).sum())) if np.count_nonzero(share) > 1 else np.nan


@CROWDS
@pytest.mark.parametrize(("every", "points", "longest"), [(1, 16, 200), (3, 4, None)])
def test_displacements(n, every, points, longest):
    msd = obs.MeanSquaredDisplacement(every, longest=longest, points=points)
    x = stored(msd, n=n, every=every).positions
    lags = msd.lags // every
    assert lags[:points].tolist() == list(range(points)) and lags[-1] > len(x) / 3
    assert (np.diff(lags) > 0).all()
    close(msd.lag_times, msd.lags * 0.1)
    per_particle = []
    for lag in lags.tolist():
        earlier, later = pairs_of(len(x), lag, points)
        per_particle.append(np.square(x[later] - x[earlier]).sum(axis=-1).mean(axis=0))
    per_particle = np.array(per_particle)
    close(msd.values, per_particle.mean(axis=1))

    def deviations(lag, longest):
        """Of the parts that are independent, from the average at a lag; and the shares of their pairs."""
        square = np.zeros(x.shape[:2])
        earlier, later = pairs_of(len(x), lag, points)
        square[later] = np.square(x[later] - x[earlier]).sum(axis=-1)
        parts = independent_parts(len(x), n, lag, points, longest)
        pairs = parts.sum(axis=(1, 2))
        return ((square * parts).sum(axis=(1, 2)) - pairs * square[later].mean()) / pairs.sum(), pairs / pairs.sum()

    errors = [error_of(*deviations(lag, lag)) for lag in lags.tolist()]
    close(msd.error, errors, rtol=1e-9)
    # what batches in time are not long enough for is not known of a single particle
    assert np.isnan(msd.error).any() == (n == 1) and np.isfinite(msd.error[lags < 10]).all()
    if n >= 32:
        close(msd.error, per_particle.std(axis=1, ddof=1) / np.sqrt(n), rtol=1e-9)
    found = msd.diffusion_coefficient(first=0.3, last=1.5)
    chosen = (msd.lag_times > 0.29) & (msd.lag_times < 1.51)
    t = msd.lag_times[chosen]
    longest = int(lags[chosen][-1])
    close(found.value, np.polyfit(t, msd.values[chosen], 1)[0] / 4, rtol=1e-9)
    weights = (t - t.mean()) / np.square(t - t.mean()).sum() / 4
    apart = np.array([deviations(lag, longest)[0] for lag in lags[chosen].tolist()])
    close(found.error, error_of(weights @ apart, deviations(longest, longest)[1]), rtol=1e-9)


@CROWDS
@pytest.mark.parametrize(
    ("f", "components"), [("x[1]", lambda x, v: x[..., 1:]), (["v[0]", "v[1]"], lambda x, v: v)], ids=["x", "v"]
)
def test_autocorrelations(n, f, components):
    correlation = obs.Autocorrelation(f, longest=100, points=8)
    frames = stored(correlation, n=n)
    values = components(frames.positions, frames.velocities)
    apart = values - values.mean(axis=(0, 1))
    covariances = []
    for lag in correlation.lags.tolist():
        earlier, later = pairs_of(len(apart), lag, 8)
        covariances.append((apart[earlier] * apart[later]).sum(axis=-1).mean(axis=0))
    covariances = np.array(covariances)
    mean = covariances.mean(axis=1)
    close(correlation.variance, mean[0], rtol=1e-10)
    close(correlation.values, mean / mean[0], rtol=1e-9, atol=1e-12)
    at_zero = np.square(apart).sum(axis=-1)

    def deviations(lag, longest):
        """Of the ratio to the value at lag 0, in the parts that are independent."""
        products = np.zeros(apart.shape[:2])
        earlier, later = pairs_of(len(apart), lag, 8)
        products[later] = (apart[earlier] * apart[later]).sum(axis=-1)
        parts, all_looks = (independent_parts(len(apart), n, which, 8, longest) for which in (lag, 0))
        pairs, looks = parts.sum(axis=(1, 2)), all_looks.sum(axis=(1, 2))
        value, variance = products[later].mean(), at_zero.mean()
        of_lag = ((products * parts).sum(axis=(1, 2)) - pairs * value) / pairs.sum()
        of_zero = ((at_zero * all_looks).sum(axis=(1, 2)) - looks * variance) / looks.sum()
        return (of_lag - value / variance * of_zero) / variance, pairs / pairs.sum()

    lags = correlation.lags.tolist()
    close(correlation.error, [error_of(*deviations(lag, lag)) for lag in lags], rtol=1e-8, atol=1e-12)
    if n >= 32:
        ratio = (covariances - mean[:, np.newaxis] / mean[0] * covariances[0]) / mean[0]
        close(correlation.error, ratio.std(axis=1, ddof=1) / np.sqrt(n), rtol=1e-8, atol=1e-12)
    time = correlation.integrated_time
    if not np.isfinite(time):
        assert np.isnan(correlation.integrated_time_error)
        return
    halves = (correlation.values[1:] + correlation.values[:-1]) / 2
    last = 1 + np.flatnonzero(np.isclose(np.cumsum(np.diff(correlation.lag_times) * halves), time, rtol=1e-12))[0]
    half = np.diff(lags[: last + 1]) * 0.05
    weights = np.append(half, 0) + np.append(0, half)
    ratios = np.array([deviations(lag, lags[last])[0] for lag in lags[: last + 1]])
    expected = error_of(weights @ ratios, deviations(lags[last], lags[last])[1])
    close(correlation.integrated_time_error, expected, rtol=1e-8)


def test_the_longest_lag_is_reached():
    for longest in (1, 3, 4, 50, 99, 10**6):
        msd = obs.MeanSquaredDisplacement(longest=longest, points=4)
        stored(msd, n_steps=200)
        assert msd.lags[-1] >= min(longest, 99)


# --- passages and transitions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "inside"),
    [
        (RIGHT, lambda x: x[..., 0] > 0.5),
        (lambda x: x[0] > x[1], lambda x: x[..., 0] > x[..., 1]),
        (regions.Box([-0.25, None], [np.inf, 0.0]), lambda x: (x[..., 0] >= -0.25) & (x[..., 1] <= 0)),
        (regions.Ball([1.0, -0.5], 0.75), lambda x: (x[..., 0] - 1) ** 2 + (x[..., 1] + 0.5) ** 2 <= 0.75**2),
        (regions.Half([-1.0, 0.0], 0.5), lambda x: -x[..., 0] >= 0.5),
    ],
    ids=["formula", "function", "Box", "Ball", "Half"],
)
def test_first_passages(region, inside):
    passage, trigger = obs.FirstPassage(region, every=2, start=1), obs.Trigger(region, every=2, start=1)
    frames = stored(passage, trigger, n=40, every=2, start=1, n_steps=100)
    there = inside(frames.positions)
    steps = np.where(there.any(axis=0), frames.steps[there.argmax(axis=0)], -1)
    np.testing.assert_array_equal(trigger.steps, steps)
    np.testing.assert_array_equal(trigger.times, np.where(steps < 0, np.nan, (steps - 10) * 0.1))
    first = lf.sample(WELL_2D, BAOAB, n_steps=10, n_particles=40, seed=3).final.positions
    np.testing.assert_array_equal(passage.steps, np.where(inside(first), 10, steps))
    np.testing.assert_array_equal(passage.arrived, passage.steps >= 0)
    at_risk = np.where(passage.arrived, passage.steps - 10, 99) * 0.1  # the last look is after step 99
    arrivals = passage.arrived.sum()
    assert 0 < arrivals < 40
    close(passage.mean, at_risk.sum() / arrivals)
    residual = at_risk - passage.mean * passage.arrived
    close(passage.error, np.sqrt(40) * residual.std(ddof=1) / arrivals)
    times = np.array([0.0, 1.2, 5.0, 9.9])
    close(passage.survival(times), [1 - np.mean(passage.arrived & (at_risk <= t + 1e-9)) for t in times])
    with pytest.raises(ValueError, match=r"times reach to 12; the observation ends at 9\.9"):
        passage.survival([1.0, 12.0])


def test_passages_that_nobody_makes():
    passage = obs.FirstPassage(RIGHT)
    stored(passage, n_steps=3, burn_in=0)
    assert passage.mean == np.inf and np.isnan(passage.error)
    close(passage.survival([0.0, 0.3]), 1.0)


def test_the_time_of_a_look_counts():
    """However it is rounded: 3 * 0.1 is more than 0.3."""
    passage, scheme = obs.FirstPassage(RIGHT), lf.BAOAB(0.1, friction=0.0, kT=0.0)
    start = {"initial": [[0.0], [-9.0]], "velocities": [2.0]}
    lf.sample(lf.potentials.Free(), scheme, n_steps=5, seed=1, observers=[passage], **start)
    assert passage.steps.tolist() == [3, -1]
    close(passage.survival([0.2, 0.29, 0.3, 0.31]), [1.0, 1.0, 0.5, 0.5])


def counted(states, lag, sets=2):
    """Core sets of looks by particle, -1 outside; counted by hand."""
    counts = np.zeros((sets, sets), int)
    for path in states.T:
        now = before = -1
        for index, state in enumerate(path):
            now = state if state >= 0 else now
            if index % lag == 0:
                if min(before, now) >= 0:
                    counts[before, now] += 1
                before = now
    return counts


@CROWDS
@pytest.mark.parametrize(("lag", "every", "start"), [(1, 1, 0), (6, 2, 5)])
def test_transitions(n, lag, every, start):
    cores = obs.Transitions([regions.Half([-1.0, 0.0], 0.5), RIGHT], lag=lag, every=every, start=start)
    x = stored(cores, n=n, every=every, start=start, n_steps=1000).positions[..., 0]
    states = np.where(x <= -0.5, 0, np.where(x > 0.5, 1, -1))
    expected = counted(states, lag // every)
    assert (expected > 0).all()
    np.testing.assert_array_equal(cores.counts, expected)
    totals = expected.sum(axis=1, keepdims=True)
    close(cores.matrix, expected / totals)
    if n < 32:
        close(cores.error, np.sqrt(cores.matrix * (1 - cores.matrix) / totals))
    else:
        batches = np.array([counted(states[:, i : i + 2], lag // every) for i in range(0, n, 2)])
        weights = batches.sum(axis=2, keepdims=True)
        with np.errstate(invalid="ignore"):
            spread = np.where(weights > 0, weights * (batches / weights - cores.matrix), 0.0)
        m = (weights > 0).sum(axis=0)
        close(cores.error, np.sqrt(np.square(spread).sum(axis=0) * m / (m - 1)) / totals)


def test_three_sets_of_which_two_overlap():
    """The last one counts."""
    cores = obs.Transitions([LEFT, RIGHT, regions.Ball([1.0, -0.5], 0.75)], lag=1)
    x, y = np.moveaxis(stored(cores, n_steps=1000).positions, -1, 0)
    ball = (x - 1) ** 2 + (y + 0.5) ** 2 <= 0.75**2
    states = np.where(x < -0.5, 0, np.where(ball, 2, np.where(x > 0.5, 1, -1)))
    np.testing.assert_array_equal(cores.counts, counted(states, 1, 3))


def test_a_set_that_nobody_is_in():
    cores = obs.Transitions([LEFT, RIGHT], lag=1)
    stored(cores, n_steps=3, burn_in=0)
    assert np.isnan(cores.matrix[1]).all() and cores.matrix[0].tolist() == [1, 0]
    assert np.isnan(cores.error[1]).all()


# --- no looks, and few ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 40])
@pytest.mark.parametrize("n_steps", [0, 4])
def test_before_the_first_look(n, n_steps):
    """Nothing is known yet: NaN, empty or infinite, not an error of indices or a warning."""
    when = {"every": 5}
    moments, average = obs.Moments(**when), obs.Expectation("x[0]", **when)
    profile = obs.Histogram("x[0]", bins=3, range=(0, 1), **when)
    msd, correlation = obs.MeanSquaredDisplacement(**when), obs.Autocorrelation(**when)
    cores = obs.Transitions([LEFT, RIGHT], lag=5, **when)
    stored(moments, average, profile, msd, correlation, cores, n=n, n_steps=n_steps)
    assert moments.n_looks == 0 and not profile.counts.any() and not cores.counts.any()
    for value in (moments.mean, moments.pooled().mean, average.mean, average.error, profile.density, cores.matrix):
        assert np.isnan(value).all()
    assert len(msd.values) == len(msd.lags) == len(msd.error) == 0
    with pytest.raises(ValueError, match="fewer than two lags"):
        msd.diffusion_coefficient()
    assert len(correlation.values) == len(correlation.error) == 0
    assert correlation.integrated_time == np.inf


@pytest.mark.parametrize("n_steps", [1, 2])
def test_after_a_look_or_two(n_steps):
    msd, correlation, average = obs.MeanSquaredDisplacement(), obs.Autocorrelation(), obs.Expectation("x[0]")
    stored(msd, correlation, average, n_steps=n_steps)
    assert len(msd.values) == len(correlation.values) == n_steps
    assert correlation.values[0] == 1 and correlation.integrated_time == np.inf
    assert correlation.effective_samples == 0
    assert np.isfinite(average.error)


def test_the_autocorrelation_of_a_constant_is_not_known():
    correlation = obs.Autocorrelation("x[0]", longest=10)
    lf.sample(lf.potentials.Free(), lf.ULA(0.1, kT=0.0), n_steps=30, n_particles=3, seed=1, observers=[correlation])
    assert np.isnan(correlation.values).all()
    assert not np.isfinite(correlation.integrated_time)


# --- against exact results: seeds are fixed, and |z| < 4 for each of them ---------------------------------------------


def assert_within(value, exact, error, relative):
    """Four standard errors, which are to be small."""
    value, exact, error = np.broadcast_arrays(value, exact, error)
    assert (error <= relative * np.abs(exact)).all(), error / exact
    z = (value - exact) / error
    assert (np.abs(z) < 4).all(), z


def test_temperatures_of_springs():
    """BAOAB: positions and half-step velocities are exact, on-step velocities cold by (omega h)**2 / 4."""
    k, h, kT, mass = np.array([1.0, 4.0]), 0.3, 1.5, np.array([0.5, 2.0])
    observers = [obs.Temperature(kind) for kind in ("kinetic", "half-step", "configurational")]
    shifted = obs.Temperature("configurational", center=[0.5, -0.25])
    moments = obs.Moments()
    lf.sample(
        lf.potentials.Harmonic(k),
        lf.BAOAB(h, friction=1.0, kT=kT),
        **{"n_steps": 4000, "burn_in": 200, "n_particles": 256, "mass": mass, "seed": 7, "stride": None},
        observers=[*observers, shifted, moments],
    )
    low = 1 - np.mean(k / mass) * h**2 / 4
    for o, exact in zip((*observers, shifted), (kT * low, kT, kT, kT), strict=True):
        assert_within(o.mean, exact, o.error, 0.003)
    pooled = moments.pooled()
    assert (np.abs(pooled.mean) < 4 * pooled.error).all()
    squares = moments.covariance + moments.mean[:, :, np.newaxis] * moments.mean[:, np.newaxis, :]
    error = squares.std(axis=0, ddof=1) / np.sqrt(len(squares))
    assert_within(np.diag(pooled.covariance), kT / k, np.diag(error), 0.006)
    assert abs(pooled.covariance[0, 1]) < 4 * error[0, 1] < 0.01


@pytest.mark.parametrize("dim", [1, 3])
def test_free_diffusion(dim):
    drag, kT, h = 1.25, 1.5, 0.02
    exact = kT / drag
    msd = obs.MeanSquaredDisplacement(longest=2000)
    lf.sample(
        lf.potentials.Free(dim),
        lf.ULA(h, drag=drag, kT=kT),
        **{"n_steps": 4000, "n_particles": 400, "seed": 2, "stride": None},
        observers=[msd],
    )
    assert msd.values[0] == msd.error[0] == 0
    assert_within(msd.values[1:100], 2 * dim * exact * msd.lag_times[1:100], msd.error[1:100], 0.1)
    for arguments in ({}, {"first": 0.1, "last": 2.0}):
        assert_within(*np.insert(msd.diffusion_coefficient(**arguments), 1, exact), 0.1)


def test_autocorrelation_of_an_ornstein_uhlenbeck_process():
    k, drag, h, kT = 2.0, 1.25, 0.05, 0.8
    rho = 1 - h * k / drag
    correlation, average = obs.Autocorrelation("x[0]", longest=400, points=256), obs.Expectation("x[0]")
    lf.sample(
        lf.potentials.Harmonic(k),
        lf.ULA(h, drag=drag, kT=kT),
        **{"n_steps": 6000, "burn_in": 300, "n_particles": 400, "seed": 5, "stride": None},
        observers=[correlation, average],
    )
    exact = rho**correlation.lags
    assert correlation.values[0] == 1
    assert_within(correlation.values[1:30], exact[1:30], correlation.error[1:30], 0.05)
    assert_within(1 + correlation.values[1:], 1 + exact[1:], correlation.error[1:], 0.01)
    # ULA's own variance
    assert correlation.variance == pytest.approx(2 * h * kT / drag / (1 - rho**2), rel=0.01)
    time = h * (1 + rho) / (2 * (1 - rho))
    assert correlation.integrated_time == pytest.approx(time, rel=0.03)  # the window leaves out exp(-5)
    assert correlation.effective_samples == pytest.approx(400 * 6000 * h / (2 * time), rel=0.03)
    of_mean = np.sqrt(correlation.variance / correlation.effective_samples)
    assert average.error == pytest.approx(of_mean, rel=4 / np.sqrt(2 * 400))


def test_integrated_time_of_what_is_uncorrelated():
    """Independent draws: half a look, whatever the draws are apart, and as many effective samples as looks."""
    correlation = obs.Autocorrelation("x[0]", longest=50)
    lf.sample(
        lf.potentials.Harmonic(1.0),
        lf.ULA(1.0),
        **{"n_steps": 3000, "n_particles": 64, "seed": 5, "stride": None},
        observers=[correlation],
    )
    assert correlation.integrated_time == pytest.approx(0.5, rel=0.02)
    assert correlation.effective_samples == pytest.approx(3000 * 64, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "n_steps", "every"), [(64, 300, 1), (32, 300, 5), (4, 8000, 1), (1, 30_000, 1), (3, 8000, 7), (31, 8000, 1)]
)
def test_error_bars_are_honest(n, n_steps, every):
    """z scores of 300 runs: mean 0 and variance 1, whose own standard errors are 0.06 and 0.08.

    Batches in time are to be longer than 10 correlation times.
    """
    k, h = 1.0, 0.1
    rho = 1 - h * k
    second = 2 * h / (1 - rho**2)
    z = []
    for seed in range(300):
        average = obs.Expectation(["x[0]", "x[0]**2"], every=every)
        lf.sample(
            lf.potentials.Harmonic(k),
            lf.ULA(h),
            **{"n_steps": n_steps, "burn_in": 100, "n_particles": n, "seed": seed, "stride": None},
            observers=[average],
        )
        z.append((average.mean - [0.0, second]) / average.error)
    z = np.array(z)
    assert (np.abs(z.mean(axis=0)) < 0.3).all(), z.mean(axis=0)  # skewness of x**2: means and errors go together
    assert ((z.var(axis=0) > 0.7) & (z.var(axis=0) < 1.4)).all(), z.var(axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "n_steps"), [(1, 8000), (5, 2000)])
def test_errors_of_lags_of_few_particles_are_honest(n, n_steps):
    """z scores of 300 runs, from batches in time of 20 correlation times or more."""
    h, rho, z = 0.1, 0.9, []
    variance, time = 2 * h / (1 - rho**2), h * (1 + rho) / (2 * (1 - rho))
    lags = np.array([1, 10, 64, 256])
    for seed in range(300):
        observers = obs.MeanSquaredDisplacement(longest=500), obs.Autocorrelation(longest=500)
        arguments = {"n_steps": n_steps, "n_particles": n, "seed": seed, "stride": None}
        lf.sample(lf.potentials.Harmonic(1.0), lf.ULA(h), burn_in=100, observers=observers, **arguments)
        msd, correlation = observers
        rows = np.searchsorted(msd.lags, lags)
        assert (msd.lags[rows] == lags).all()
        exact = rho**msd.lags
        free = obs.MeanSquaredDisplacement(longest=n_steps // 20)
        lf.sample(lf.potentials.Free(), lf.ULA(h), observers=[free], **arguments)
        diffusion = free.diffusion_coefficient()
        z.append(
            [
                *((msd.values - 2 * variance * (1 - exact))[rows] / msd.error[rows]),
                *((correlation.values - exact)[rows] / correlation.error[rows]),
                (correlation.integrated_time - time) / correlation.integrated_time_error,
                (diffusion.value - 1.0) / diffusion.error,
            ]
        )
    within = np.array([(np.abs(z) < sigmas).mean(axis=0) for sigmas in (1, 2)])
    # of draws from Student's t of 7 degrees of freedom 0.65 and 0.915; four standard errors are 0.11 and 0.065
    assert (np.abs(within[0] - 0.65) < 0.11).all(), within[0]
    assert (np.abs(within[1] - 0.915) < 0.065).all(), within[1]


@pytest.mark.slow
def test_errors_of_lags_are_honest():
    h, steps, z = 0.1, 200, []
    arguments = {"n_steps": steps, "n_particles": 64, "stride": None}
    for seed in range(300):
        msd, correlation = obs.MeanSquaredDisplacement(), obs.Autocorrelation()
        lf.sample(lf.potentials.Free(), lf.ULA(h), seed=seed, observers=[msd], **arguments)
        lf.sample(lf.potentials.Harmonic(1.0), lf.ULA(h), seed=seed, burn_in=100, observers=[correlation], **arguments)
        diffusion = msd.diffusion_coefficient()
        lags = np.array([1, 10, 40])
        rows = np.searchsorted(msd.lags, lags)
        assert (msd.lags[rows] == lags).all()
        z.append(
            [
                (diffusion.value - 1.0) / diffusion.error,
                *((msd.values - 2 * msd.lag_times)[rows] / msd.error[rows]),
                *((correlation.values - 0.9**correlation.lags)[rows[:2]] / correlation.error[rows[:2]]),
            ]
        )
    variance = np.var(z, axis=0)
    assert ((variance > 0.7) & (variance < 1.4)).all(), variance


@pytest.mark.slow
def test_errors_of_transitions_are_honest():
    """With one particle counts at successive looks are independent, too."""
    p, z = np.array([upper(0.5), upper(1.5)]), []
    exact = np.array([[1 - p[1], p[1]], [p[0], 1 - p[0]]])
    for seed in range(300):
        for n, n_steps in ((64, 60), (200, 30), (1, 2000)):
            cores = obs.Transitions([LEFT, "x[0] > 1.5"], lag=1)
            independent(cores, n_steps, n, seed=seed, burn_in=5)
            z.append(((cores.matrix - exact) / cores.error)[:, 0])
    variance = np.array(z).reshape(300, 3, 2).var(axis=0)
    assert ((variance > 0.7) & (variance < 1.45)).all(), variance


@pytest.mark.slow
def test_errors_of_histograms_are_honest():
    z = []
    edges = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) * np.sqrt(2.0)  # of draws with variance 2
    cdf = np.array([0.5 * (1 + math.erf(e / 2)) for e in edges])
    for seed in range(200):
        for n, n_steps in ((64, 40), (4, 600)):
            profile = obs.Histogram("x[0]", bins=4, range=(edges[0], edges[-1]))
            lf.sample(
                lf.potentials.Harmonic(1.0),
                lf.ULA(1.0),
                **{"n_steps": n_steps, "n_particles": n, "seed": seed, "stride": None},
                observers=[profile],
            )
            z.append((profile.density - np.diff(cdf) / np.diff(edges)) / profile.error)
    z = np.array(z).reshape(200, 2, 4)
    assert (np.abs(z.mean(axis=(0, 2))) < 4 / np.sqrt(800) * 1.2).all()
    assert ((z.var(axis=(0, 2)) > 0.8) & (z.var(axis=(0, 2)) < 1.3)).all(), z.var(axis=(0, 2))


def independent(observer, n_steps, n_particles=1000, **arguments):
    """h k / drag = 1: every position is a draw of its own, of variance 2."""
    given = {"n_steps": n_steps, "n_particles": n_particles, "seed": 4, "stride": None, "initial": [-9.0]}
    lf.sample(lf.potentials.Harmonic(1.0), lf.ULA(1.0), observers=[observer], **{**given, **arguments})


def upper(a):
    """P(x > a) of such a draw."""
    return 0.5 * math.erfc(a / 2)


@pytest.mark.parametrize("lag", [1, 3])
def test_transitions_of_a_chain_of_two_states(lag):
    cores = obs.Transitions([LEFT, "x[0] > 1.5"], lag=lag)
    independent(cores, 600, burn_in=5)
    p = np.array([upper(0.5), upper(1.5)])
    one = np.array([[1 - p[1], p[1]], [p[0], 1 - p[0]]])
    assert_within(cores.matrix, np.linalg.matrix_power(one, lag), cores.error, 0.02)


def test_first_passages_of_independent_draws():
    """The number of steps is geometric; the estimate of its mean is exact also where some have not arrived."""
    p = upper(1.5)
    for n_steps in (5, 400):
        passage = obs.FirstPassage("x[0] > 1.5")
        independent(passage, n_steps, 4000)
        assert_within(passage.mean, 1 / p, passage.error, 0.04)
        steps = np.arange(min(n_steps, 30) + 1)
        exact = (1 - p) ** steps
        assert passage.survival(0.0) == 1
        error = np.sqrt(exact * (1 - exact) / 4000)
        assert_within(passage.survival(steps)[1:], exact[1:], error[1:], 0.3)
        assert (passage.steps[passage.arrived] >= 1).all()


def test_first_passages_are_seen_at_looks_alone():
    passage = obs.FirstPassage("x[0] > 1.5", every=4)
    independent(passage, 4000, 4000)
    assert passage.arrived.all() and (passage.steps % 4 == 0).all()
    assert_within(passage.mean, 4 / upper(1.5), passage.error, 0.04)


def test_survival_of_a_random_walk():
    """The density of those that have not arrived, step by step on a grid."""
    h, a, n_steps = 0.05, 1.5, 40
    passage = obs.FirstPassage("x[0] > 1.5")
    lf.sample(
        lf.potentials.Free(),
        lf.ULA(h),
        **{"n_steps": n_steps, "initial": [0.0], "n_particles": 20_000, "seed": 3, "stride": None},
        observers=[passage],
    )
    x = np.linspace(-8.0, a, 1001)
    weights = np.full(len(x), x[1] - x[0])
    weights[[0, -1]] /= 2
    kernel = np.exp(-((x[:, np.newaxis] - x) ** 2) / (4 * h)) / np.sqrt(4 * np.pi * h)
    density, exact = np.exp(-(x**2) / (4 * h)) / np.sqrt(4 * np.pi * h), []
    for _ in range(n_steps):
        exact.append(weights @ density)
        density = kernel @ (weights * density)
    exact = np.array(exact)
    times = h * np.arange(1, n_steps + 1)
    assert_within(passage.survival(times)[4:], exact[4:], np.sqrt(exact * (1 - exact) / 20_000)[4:], 0.02)


@pytest.mark.slow
def test_errors_of_passages_are_honest():
    p, z = upper(0.5), []
    for seed in range(300):
        passage = obs.FirstPassage(RIGHT)
        independent(passage, 2, 200, seed=seed)
        z.append((passage.mean - 1 / p) / passage.error)
    assert abs(np.mean(z)) < 0.3
    assert 0.75 < np.var(z) < 1.35


# --- sums of observers ------------------------------------------------------------------------------------------------


def everyone(every=1, start=0):
    when = {"every": every, "start": start}
    return [
        obs.Moments(**when),
        obs.Expectation(["x[0]", "energy"], **when),
        obs.Temperature(**when),
        obs.Histogram("x[0]", bins=9, range=(-1.5, 1.5), **when),
        obs.MeanSquaredDisplacement(**when, longest=50, points=4),
        obs.Autocorrelation("v[0]", **when, longest=50, points=4),
        obs.FirstPassage(RIGHT, **when),
        obs.Trigger(RIGHT, **when),
        obs.Transitions([LEFT, RIGHT], lag=2 * every, **when),
    ]


def seen(streams, n_steps=200, scheme=BAOAB, **arguments):
    run = lf.sample(
        WELL, scheme, n_steps=n_steps, streams=list(streams), seed=8, stride=None, observers=everyone(), **arguments
    )
    return run.observers


def added(*of_runs):
    total = of_runs[0]
    for more in of_runs[1:]:
        total = [a + b for a, b in zip(total, more, strict=True)]
    return total


def assert_same_contents(got, expected):
    for a, b in zip(got, expected, strict=True):
        mine, other = a._contents, b._contents
        rows = len(other.observed.reals)
        np.testing.assert_array_equal(mine.observed.reals[:rows].view(np.int64), other.observed.reals.view(np.int64))
        np.testing.assert_array_equal(mine.observed.marks, other.observed.marks)
        for name in ("streams", "n_samples", "accepted", "begins", "ends", "last_looks", "n_steps"):
            np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))
        if hasattr(a, "counts"):
            np.testing.assert_array_equal(a.counts, b.counts)


@pytest.mark.parametrize(
    "parts",
    [(range(40), range(40, 70)), (range(30), range(30, 33), range(33, 70)), (range(3), range(3, 5)), ([4], [2], [7])],
    ids=str,
)
def test_different_particles(parts):
    """As if all of them had been in one run."""
    runs = [seen(part) for part in parts]
    whole = seen([stream for part in parts for stream in part])
    total = added(*runs)
    assert_same_contents(total, whole)
    assert_same_contents(pickle.loads(pickle.dumps(total)), whole)
    for a, b in zip(total, whole, strict=True):
        for name in ("mean", "values", "error", "matrix", "steps", "times", "per_particle", "lags", "outside"):
            if hasattr(b, name) and not (name == "error" and type(b) in (obs.Histogram, obs.Transitions)):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=f"{b!r} {name}")
    assert_same_contents(runs[0], seen(parts[0]))  # what is added stays as it was


def test_batches_of_unequal_length_are_made_equal():
    short, long = seen(range(3), 60), seen(range(3, 5), 300)
    total = added(short, long)
    x = [lf.sample(WELL, BAOAB, n_steps=n, streams=s, seed=8).positions for n, s in ((60, range(3)), (300, [3, 4]))]
    close(total[0].pooled().mean, np.concatenate([part.ravel() for part in x]).mean())
    batches = [part[: len(part) // 8 * 8].reshape(-1, 8, part.shape[1]).mean(axis=1).ravel() for part in x]
    values = np.concatenate(batches)
    close(total[0].pooled().error, values.std(ddof=1) / np.sqrt(len(values)), rtol=1e-9)
    assert total[0].n_samples.tolist() == [60] * 3 + [300] * 2
    # of displacements there are 32, so that they are twice as long
    parts = []
    for path in (path[:, 0] for part in x for path in part.swapaxes(0, 1)):
        earlier, later = pairs_of(len(path), 3, 4)
        squares = np.square(path[later] - path[earlier])
        parts += [squares[later // 16 == b] for b in range(later[-1] // 16 + 1)]
    n_pairs, value = sum(map(len, parts)), np.concatenate(parts).mean()
    close(total[4].values[3], value)
    shares = [len(part) / n_pairs for part in parts]
    close(total[4].error[3], error_of([(part - value).sum() / n_pairs for part in parts], shares), rtol=1e-9)


@pytest.mark.parametrize("n", [5, 40])
def test_consecutive_runs(n):
    def looks():
        return [o for o in everyone() if type(o) is not obs.Autocorrelation]

    simulation, one_run = (lf.Simulation(WELL, BAOAB, n_particles=n, seed=8) for _ in range(2))
    first, second, third, whole = (looks() for _ in range(4))
    for n_steps, record in ((70, first), (1, second), (129, third)):
        simulation.run(n_steps, record=record)
    one_run.run(200, record=whole)
    total = added(first, second, third)
    for a, b in zip(total, whole, strict=True):
        np.testing.assert_array_equal(a.n_samples, b.n_samples)
        assert (a._contents.begins == 0).all() and (a._contents.ends == 200).all()
        for name in ("mean", "variance", "covariance", "per_particle"):
            if hasattr(b, name):
                close(getattr(a, name), getattr(b, name))
        for name in ("steps", "times", "survival"):
            if hasattr(b, name):
                values = [o.survival([1.0, 2.0]) if name == "survival" else getattr(o, name) for o in (a, b)]
                np.testing.assert_array_equal(*values)
    moments, average, temperature, profile, msd, passage, _, cores = total
    close(moments.pooled().covariance, whole[0].pooled().covariance)
    np.testing.assert_array_equal(profile.counts, whole[3].counts)
    np.testing.assert_array_equal(cores.counts, sum(o[-1].counts for o in (first, second, third)))
    close(passage.error, whole[5].error)
    pairs = [np.array([len(pairs_of(k, lag, 4)[0]) for lag in msd.lags.tolist()]) for k in (70, 1, 129)]
    parts = [np.pad(o[4].values, (0, len(msd.lags) - len(o[4].values))) for o in (first, second, third)]
    close(msd.values, sum(p * v for p, v in zip(pairs, parts, strict=True)) / sum(pairs), rtol=1e-10)
    assert np.isfinite(msd.error).all() and msd._contents.observed.reduction.batches == 0
    if n == 40:
        close([average.error, [temperature.error] * 2], [whole[1].error, [whole[2].error] * 2])
    else:
        assert np.isfinite([*average.error, temperature.error]).all()


def test_consecutive_runs_of_different_particles():
    whole = seen(range(6))
    parts = []
    for streams in (range(4), [4, 5]):
        simulation = lf.Simulation(WELL, BAOAB, streams=streams, seed=8)
        records = everyone(), everyone()
        for n_steps, record in zip((90, 110), records, strict=True):
            simulation.run(n_steps, record=[o for o in record if type(o) is not obs.Autocorrelation])
        parts.append([a + b for a, b in zip(*records, strict=True) if type(a) is not obs.Autocorrelation])
    total = added(*parts)
    close(total[0].mean, whole[0].mean)
    close(total[1].mean, whole[1].mean)
    np.testing.assert_array_equal(total[3].counts, whole[3].counts)
    np.testing.assert_array_equal(total[5].steps, whole[6].steps)


def test_different_particles_at_different_times():
    """Each has the beginning and the end of its own run."""
    arguments = {"potential": WELL, "scheme": MALA, "seed": 8, "initial": [0.0]}
    parts = []
    for streams, burn_in, n_steps in ((range(40), 0, 10), (range(40, 70), 5, 20)):
        mine = [obs.FirstPassage(RIGHT), obs.Trigger(RIGHT), obs.Acceptance()]
        lf.sample(n_steps=n_steps, burn_in=burn_in, streams=streams, stride=None, observers=mine, **arguments)
        parts.append(mine)
    for first, second in (parts, parts[::-1]):
        for a, b in zip(first[:2], second[:2], strict=True):
            np.testing.assert_array_equal((a + b).times, np.concatenate([a.times, b.times]))
        a, b = first[0], second[0]
        assert (a + b).arrived.any() and not a.arrived.all() and not b.arrived.all()
        arrivals = a.arrived.sum(), b.arrived.sum()
        close((a + b).mean, (a.mean * arrivals[0] + b.mean * arrivals[1]) / sum(arrivals))
        a, b = first[2], second[2]
        np.testing.assert_array_equal((a + b).per_particle, np.concatenate([a.per_particle, b.per_particle]))


def test_time_without_arrival_in_consecutive_runs():
    """Until the last look, which in the second run is after step 34."""
    first, second = (obs.FirstPassage(RIGHT, every=7) for _ in range(2))
    simulation = lf.Simulation(WELL, ULA, n_particles=50, seed=8, initial=[0.0])
    simulation.run(20, record=[first])
    simulation.run(20, record=[second])
    total = first + second
    arrived = total.arrived
    assert 0 < arrived.sum() < 50
    close(total.mean, np.where(arrived, total.steps, 34).sum() * 0.02 / arrived.sum())


def test_correlations_of_consecutive_runs_are_not_added():
    simulation = lf.Simulation(WELL, ULA, n_particles=3, seed=8)
    first, second = obs.Autocorrelation(), obs.Autocorrelation()
    simulation.run(20, record=[first])
    simulation.run(20, record=[second])
    with pytest.raises(ValueError, match="correlations of consecutive runs cannot be added"):
        first + second


def test_acceptances_are_added():
    parts = [obs.Acceptance() for _ in range(4)]
    for streams, mine in (([0, 1], parts[:2]), ([2, 3, 4], parts[2:])):
        simulation = lf.Simulation(WELL, MALA, streams=streams, seed=8)
        for n_steps, o in zip((30, 20), mine, strict=True):
            simulation.run(n_steps, record=[o])
    total = (parts[0] + parts[1]) + (parts[2] + parts[3])
    whole = lf.sample(WELL, MALA, n_steps=50, n_particles=5, seed=8)
    np.testing.assert_array_equal(total.per_particle, whole.acceptance_rate)


def test_what_overlaps_is_not_added():
    a, b, later = seen([0, 1, 2]), seen([2, 3]), seen([0, 1, 2], burn_in=100)
    for others in (a, b, seen([0, 1, 2]), later):
        for mine, other in zip(a, others, strict=True):
            with pytest.raises(ValueError, match="overlap: observers are added that saw different particles"):
                mine + other
    simulation = lf.Simulation(WELL, ULA, n_particles=3, seed=8)
    first, second = obs.Moments(), obs.Moments()
    simulation.run(20, record=[first])
    simulation.run(20, record=[second])
    with pytest.raises(ValueError, match="the earlier one first"):
        second + first


def one(observer, streams, potential=WELL, scheme=BAOAB, **arguments):
    lf.sample(potential, scheme, n_steps=20, streams=streams, seed=8, stride=None, observers=[observer], **arguments)
    return observer


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (obs.Moments(), obs.Moments(every=2)),
        (obs.Moments(), obs.Moments(covariance=False)),
        (obs.Expectation("x[0]"), obs.Expectation("v[0]")),
        (obs.Expectation("x[0]"), obs.Expectation("energy")),
        (obs.Expectation("x[0]"), obs.Expectation(["x[0]", "v[0]"])),
        (obs.Temperature(), obs.Temperature("configurational")),
        (obs.Temperature("configurational"), obs.Temperature("configurational", center=[1.0])),
        (obs.Histogram(range=(0, 1)), obs.Histogram(range=(0, 2))),
        (obs.Histogram(range=(0, 1)), obs.Histogram(range=(0, 1), bins=7)),
        (obs.Histogram(range=(0, 1)), obs.Histogram("v[0]", range=(0, 1))),
        (obs.MeanSquaredDisplacement(), obs.MeanSquaredDisplacement(points=8)),
        (obs.MeanSquaredDisplacement(), obs.MeanSquaredDisplacement(longest=50)),
        (obs.Autocorrelation("x[0]"), obs.Autocorrelation("v[0]")),
        (obs.FirstPassage(RIGHT), obs.FirstPassage(LEFT)),
        (obs.Trigger(RIGHT), obs.Trigger(LEFT)),
        (obs.Transitions([LEFT, RIGHT], lag=2), obs.Transitions([LEFT, RIGHT], lag=4)),
        (obs.Transitions([LEFT, RIGHT], lag=2), obs.Transitions([RIGHT, LEFT], lag=2)),
    ],
    ids=lambda o: type(o).__name__,
)
def test_what_looks_at_other_things_is_not_added(a, b):
    for o, streams in ((a, [0, 1]), (b, [2, 3])):
        if not o.begun:
            one(o, streams)
    with pytest.raises(ValueError, match="cannot be added"):
        a + b


def test_other_step_sizes_are_not_added():
    """Their lags are other times."""
    for make in (obs.MeanSquaredDisplacement, obs.Autocorrelation, lambda: obs.FirstPassage(RIGHT)):
        a, b = one(make(), [0]), one(make(), [1], scheme=lf.BAOAB(0.05, friction=1.0))
        with pytest.raises(ValueError, match="cannot be added"):
            a + b


def test_other_kinds_are_not_added():
    a, b = one(obs.FirstPassage(RIGHT), [0]), one(obs.Trigger(RIGHT), [1])
    for wrong in (lambda: a + b, lambda: b + a, lambda: a + 1, lambda: one(obs.Moments(), [0]) + a):
        with pytest.raises(TypeError, match="unsupported operand"):
            wrong()
    with pytest.raises(ValueError, match="no look yet"):
        obs.Moments() + obs.Moments()


def test_sums_cannot_look_at_another_run():
    total = one(obs.Moments(), [0]) + one(obs.Moments(), [1])
    with pytest.raises(ValueError, match="has looked at a run already"):
        one(total, [2])


# --- what is refused --------------------------------------------------------------------------------------------------

NO_ENERGY = lf.potentials.Batch(gradient=lambda x: x, dim=1)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: obs.Moments(every=0), ValueError, "every .*got 0"),
        (lambda: obs.Moments(every=1.5), TypeError, r"every .*got 1\.5"),
        (lambda: obs.Moments(start=-1), ValueError, "start .*got -1"),
        (lambda: obs.Temperature("warm"), ValueError, "kind .*got 'warm'"),
        (lambda: obs.Temperature(center=[0.0]), ValueError, r"center=\[0\.0\] is not allowed with kind='kinetic'"),
        (lambda: obs.Temperature("configurational", center=[np.nan]), ValueError, "center must be finite"),
        (lambda: obs.Histogram(), ValueError, "range is missing"),
        (lambda: obs.Histogram(range=(1, 0)), ValueError, r"range=\(1, 0\) must be .* lo below hi"),
        (lambda: obs.Histogram(range=(0, np.inf)), ValueError, r"range=\(0, inf\)"),
        (lambda: obs.Histogram(range=(0, 1, 2)), ValueError, r"range=\(0, 1, 2\)"),
        (lambda: obs.Histogram(range="ab"), ValueError, "range='ab'"),
        (lambda: obs.Histogram(range=((0, 1), (0, 1))), ValueError, r"range=\(\(0, 1\), \(0, 1\)\)"),
        (lambda: obs.Histogram(range=(0, 1), bins=0), ValueError, "bins .*got 0"),
        (lambda: obs.Histogram(range=(0, 1), bins=2.5), TypeError, r"bins.*2\.5"),
        (lambda: obs.Histogram(range=(0, 1), bins=(2, 3)), ValueError, r"bins=\(2, 3\)"),
        (lambda: obs.Histogram(["x[0]"] * 3, range=(0, 1)), ValueError, "f=.* must be one value, or two"),
        (lambda: obs.MeanSquaredDisplacement(longest=0), ValueError, "longest .*got 0"),
        (lambda: obs.MeanSquaredDisplacement(points=5), ValueError, "points=5 must be even"),
        (lambda: obs.Autocorrelation(points=2), ValueError, "points .*got 2"),
        (lambda: obs.Transitions(["x > 0"], lag=1), ValueError, "regions must hold two core sets or more"),
        (lambda: obs.Transitions("x > 0", lag=1), ValueError, "regions must hold two core sets or more; got 'x > 0'"),
        (
            lambda: obs.Transitions(["x > 0", "x < 0"], lag=3, every=2),
            ValueError,
            "lag=3 must be a multiple of every=2",
        ),
        (lambda: obs.Transitions(["x > 0", "x < 0"], lag=0), ValueError, "lag .*got 0"),
        (lambda: regions.Box(1.0, 1.0), ValueError, r"lo=1\.0 and hi=1\.0 .*lo below hi"),
        (lambda: regions.Box([0, 1], [2, 3, 4]), ValueError, r"lo=\[0, 1\] and hi=\[2, 3, 4\] must be of one length"),
        (lambda: regions.Box("a", 1), TypeError, "lo must hold numbers or None; got 'a'"),
        (lambda: regions.Box(0, np.nan), ValueError, "hi=nan"),
        (lambda: regions.Ball([0.0], -1.0), ValueError, r"radius .*got -1\.0"),
        (lambda: regions.Half([0, 0], 1.0), ValueError, r"normal=\[0, 0\] must not be zero"),
        (lambda: regions.Half([1, 0], np.inf), ValueError, "offset .*got inf"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("observer", "error", "message"),
    [
        (obs.Expectation("q + x"), ValueError, "f='q [+] x': 'q' is neither a variable nor a parameter"),
        (obs.Expectation("x[1]"), ValueError, r"f='x\[1\]': 'x\[1\]' is neither"),
        (obs.Expectation("x["), ValueError, r"f='x\[' is not an expression"),
        (obs.Expectation("foo(x)"), ValueError, r"f='foo\(x\)'.* unknown function"),
        (obs.Expectation("x > 1"), ValueError, "f='x > 1'"),
        (obs.Expectation("v"), ValueError, "f='v' reads velocities, which an overdamped scheme does not have"),
        (obs.Expectation("x*v[0]"), ValueError, r"f='x\*v\[0\]' reads velocities"),
        (obs.Expectation(lambda x, v: v[0]), ValueError, "f=<function .* reads velocities"),
        (obs.Expectation([]), ValueError, "f is empty"),
        (obs.Expectation(3), TypeError, "f must be a formula or a function; got 3"),
        (obs.Expectation(["x", None]), TypeError, "f must be a formula or a function; got None"),
        (obs.Expectation(lambda: 1), TypeError, "f=<function .* must take x, "),
        (obs.Expectation(lambda x: x), TypeError, "f=<function .* must return a number, or a tuple"),
        (obs.Autocorrelation("q"), ValueError, "f='q'"),
        (
            obs.Histogram(lambda x: (x[0], x[0], x[0]), range=(0, 1)),
            ValueError,
            "f=.* must give one number for each of 1 axes",
        ),
        (obs.FirstPassage("x"), ValueError, "region='x': 'x' is not a comparison"),
        (obs.FirstPassage("x[3] > 1"), ValueError, r"region='x\[3\] > 1'"),
        (obs.FirstPassage(7), TypeError, "region must be a formula or a function, or one of lf.regions; got 7"),
        (obs.FirstPassage([]), ValueError, "region is empty"),
        (obs.FirstPassage(regions.Box([0, 0], [1, 1])), ValueError, "is one of 2 dimensions; the potential has 1"),
        (obs.Trigger("v > 1"), ValueError, "predicate='v > 1' reads velocities"),
        (obs.Trigger(regions.Ball([0, 0, 0], 1)), ValueError, "is one of 3 dimensions; the potential has 1"),
        (obs.Transitions(["x > 0", regions.Half([1, 0], 0)], lag=1), ValueError, "is one of 2 dimensions"),
        (obs.Transitions(["x > 0", 3], lag=1), TypeError, "regions must be .*got 3"),
        (obs.Temperature(), ValueError, "kind='kinetic': ULA.* has no velocities"),
        (obs.Temperature("half-step"), ValueError, "kind='half-step': ULA.* has no velocities"),
        (
            obs.Temperature("configurational", center=[0, 0]),
            ValueError,
            r"center must have the shape \(1,\); got \(2,\)",
        ),
        (obs.Acceptance(), ValueError, "Acceptance: ULA.* has no Metropolis test"),
    ],
    ids=lambda o: type(o).__name__,
)
def test_what_a_run_does_not_offer(observer, error, message):
    """Said by every way to give it, before anything runs."""
    simulation = lf.Simulation(WELL, ULA, seed=1)
    for run in (
        lambda: lf.sample(WELL, ULA, n_steps=3, observers=[observer]),
        lambda: lf.Simulation(WELL, ULA, observers=[observer]),
        lambda: simulation.run(3, record=[observer]),
    ):
        with pytest.raises(error, match=message):
            run()
    assert simulation.step == 0 and not observer.begun


@pytest.mark.parametrize(
    ("observer", "message"),
    [
        (obs.Expectation("energy"), "f='energy' reads the energy, which Batch.* does not have"),
        (obs.Expectation("x + energy"), r"f='x \+ energy' reads the energy"),
        (obs.Histogram("energy", range=(0, 1)), "reads the energy"),
        (obs.Trigger("energy < 1"), "predicate='energy < 1' reads the energy"),
    ],
)
def test_potentials_without_an_energy(observer, message):
    with pytest.raises(ValueError, match=message):
        lf.sample(NO_ENERGY, ULA, n_steps=3, observers=[observer])


@pytest.mark.parametrize("letters", ["OBABO", "ABOBA", "AOB"])
def test_schemes_without_a_last_kick(letters):
    half, scheme = obs.Temperature("half-step"), lf.Splitting(letters, 0.1, drag=1.0)
    if letters.endswith("B"):
        stored(half, scheme=scheme, n_steps=5)
    else:
        with pytest.raises(ValueError, match=r"kind='half-step': .* do not end with a kick \(B\)"):
            stored(half, scheme=scheme, n_steps=5)


def test_particles_that_differ():
    scheme = lf.ULA([0.01, 0.02, 0.01], kT=[1.0, 2.0, 1.0])
    msd, correlation = obs.MeanSquaredDisplacement(longest=20), obs.Autocorrelation(longest=20)
    profile, passage = obs.Histogram(range=(-2, 2)), obs.FirstPassage(RIGHT)
    stored(msd, correlation, profile, passage, potential=WELL, scheme=scheme, n=3)
    assert msd.lag_times.shape == (len(msd.lags), 3)
    close(msd.lag_times[:, 1], 0.02 * msd.lags)
    for use in (
        lambda: msd.diffusion_coefficient(),
        lambda: correlation.integrated_time,
        lambda: correlation.effective_samples,
    ):
        with pytest.raises(ValueError, match="step size differs between particles"):
            use()
    with pytest.raises(ValueError, match="kT is missing: it is not one number in this run"):
        profile.free_energy()
    assert np.isfinite(profile.free_energy(kT=1.0).value).any()
    close(passage.times, np.where(passage.arrived, (passage.steps - 10) * scheme.step_size, np.nan))


def test_lags_that_are_not_there():
    msd = obs.MeanSquaredDisplacement()
    stored(msd, n_steps=50)
    with pytest.raises(ValueError, match="first=9 and last=10: fewer than two lags lie between them"):
        msd.diffusion_coefficient(first=9.0, last=10.0)
