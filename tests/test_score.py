"""The score side: kernel densities, objectives of score matching, annealed Langevin dynamics."""

import math

import numpy as np
import pytest
from reference import value
from scipy import stats

import langevin_fast as lf
from langevin_fast.score import (
    KernelDensity,
    annealed_langevin,
    denoise,
    denoising,
    explicit,
    geometric_levels,
    implicit,
    sliced,
)

DATA = [-1.2, 0.3, 0.7, 2.5]
RNG = np.random.default_rng(2)
CLOUD = RNG.standard_normal((300, 3)) @ np.array([[1.0, 0.0, 0.0], [0.5, 0.8, 0.0], [0.0, -0.3, 0.6]])


# --- kernel densities -------------------------------------------------------------------------------------------------


def test_gaussian_reference():
    kde = KernelDensity(DATA, 0.5)
    for x, want in value("score.KDE Gaussian 1-D data [-1.2,0.3,0.7,2.5] h=0.5").items():
        if want["density"] > 0:
            assert kde.density([[float(x)]])[0] == pytest.approx(want["density"], rel=1e-13)
        assert kde.score([[float(x)]])[0, 0] == pytest.approx(want["score"], rel=1e-12)
    assert kde.log_density([[40.0]])[0] == pytest.approx(math.log(7.025054814416295) - 1223 * math.log(10), rel=1e-12)
    want = value("score.KDE Gaussian 2-D data (0,0),(1,0.5),(-0.5,2) h=0.8 at (0.4,0.9)")
    kde = KernelDensity([[0, 0], [1, 0.5], [-0.5, 2]], 0.8)
    assert kde.density([0.4, 0.9]) == pytest.approx(want["density (1/(n h^d), d=2)"], rel=1e-13)
    np.testing.assert_allclose(kde.score([0.4, 0.9]), want["score"], rtol=1e-12)


def test_epanechnikov_reference():
    kde = KernelDensity(DATA, 0.5, "epanechnikov")
    for x, want in value("score.KDE Epanechnikov same data").items():
        assert kde.density([[float(x)]])[0] == pytest.approx(want["density"], rel=1e-12, abs=1e-15)
        score = kde.score([[float(x)]])[0, 0]
        if want["density"] == 0:
            assert np.isnan(score)
            assert kde.log_density([[float(x)]])[0] == -np.inf
        else:
            assert score == pytest.approx(want["score"], rel=1e-12, abs=1e-12)


def test_uniform_reference():
    kde = KernelDensity(DATA, 0.5, "uniform")
    np.testing.assert_allclose(kde.density([[0.5], [0.0], [1.6]]), [0.5, 0.25, 0.0], rtol=1e-13)
    np.testing.assert_array_equal(kde.score([[0.5], [0.0], [1.6]])[:, 0], [0.0, 0.0, np.nan])


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov", "uniform"])
def test_normalised_in_three_dimensions(kernel):
    kde = KernelDensity(CLOUD[:20], 0.9, kernel)
    axis = np.linspace(-6.5, 6.5, 131)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    assert kde.density(grid).sum() * (axis[1] - axis[0]) ** 3 == pytest.approx(1.0, abs=5e-3)


@pytest.mark.parametrize("rule", ["scott", "silverman"])
def test_rules_are_scipys_in_one_dimension(rule):
    theirs = stats.gaussian_kde(CLOUD[:, 0], bw_method=rule)
    kde = KernelDensity(CLOUD[:, 0], rule)
    assert kde.bandwidth == pytest.approx(theirs.factor * CLOUD[:, 0].std(ddof=1), rel=1e-12)
    x = np.linspace(-4, 4, 50)
    np.testing.assert_allclose(kde.density(x[:, np.newaxis]), theirs(x), rtol=1e-10)


def test_likelihood_rule_is_the_maximum():
    kde = KernelDensity(CLOUD, "likelihood")

    def left_out(h):
        d2 = ((CLOUD[:, np.newaxis] - CLOUD) ** 2).sum(axis=2)
        k = np.exp(-d2 / (2 * h * h)) / (2 * np.pi * h * h) ** 1.5
        np.fill_diagonal(k, 0.0)
        return np.log(k.sum(axis=1) / (len(CLOUD) - 1)).mean()

    best = left_out(kde.bandwidth)
    assert best > left_out(kde.bandwidth * 1.02)
    assert best > left_out(kde.bandwidth / 1.02)


def test_likelihood_rule_leaves_copies_out():
    """Otherwise the likelihood has no maximum: h = 0 would be the best."""
    twice = KernelDensity(np.repeat(CLOUD, 2, axis=0), "likelihood")
    assert twice.bandwidth == pytest.approx(KernelDensity(CLOUD, "likelihood").bandwidth, rel=1e-4)
    assert KernelDensity([0.0, 0.0, 2.0, 2.0], "likelihood").bandwidth == pytest.approx(2.0, rel=1e-3)


def test_likelihood_rule_finds_narrow_clusters():
    """Far below the scale of the data, where the search used to end."""
    narrow = np.concatenate([CLOUD[:100, 0] * 1e-3, 100.0 + CLOUD[100:200, 0] * 1e-3])
    one = KernelDensity(CLOUD[:100, 0] * 1e-3, "likelihood")
    assert 0.5 * one.bandwidth < KernelDensity(narrow, "likelihood").bandwidth < 2.0 * one.bandwidth


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_score_is_the_slope_of_the_log_density(kernel):
    kde = KernelDensity(CLOUD, 1.2, kernel)
    x = CLOUD[:40] + 0.1
    for c in range(3):
        e = np.zeros(3)
        e[c] = 1e-5
        slope = (kde.log_density(x + e) - kde.log_density(x - e)) / 2e-5
        np.testing.assert_allclose(kde.score(x)[:, c], slope, rtol=1e-5, atol=1e-5)


def test_gaussian_estimate_is_a_potential():
    kde = KernelDensity(DATA, 0.5)
    run = lf.sample(kde.potential, lf.MALA(0.3), n_particles=20_000, n_steps=300, stride=None, seed=1)
    x = run.final.positions[:, 0]
    mean, variance = np.mean(DATA), np.var(DATA) + 0.25
    assert abs(x.mean() - mean) < 4 * np.sqrt(variance / 20_000)
    assert abs(x.var() - variance) < 4 * np.sqrt(2 * variance**2 / 20_000)
    with pytest.raises(ValueError, match="vanishes outside"):
        _ = KernelDensity(DATA, 0.5, "uniform").potential


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((np.zeros((2, 2, 2)), 1.0), "data"),
        ((DATA, 0.0), "bandwidth"),
        ((DATA, "best"), "bandwidth"),
        ((DATA, 1.0, "cosine"), "kernel"),
        (([1.0], "scott"), "two different"),
        ((DATA, "likelihood", "uniform"), "gaussian"),
    ],
)
def test_wrong_kernel_densities(arguments, match):
    with pytest.raises(ValueError, match=match):
        KernelDensity(*arguments)


# --- objectives -------------------------------------------------------------------------------------------------------


def near(estimate, want, sigmas=4.0, slack=0.0):
    return abs(estimate.value - want) < sigmas * estimate.error + slack


def test_explicit_is_the_fisher_divergence():
    x = np.random.default_rng(4).standard_normal((200_000, 1))
    found = explicit(lambda x: (0.5 - x) / 4.0, x, lambda x: -x)
    assert near(found, 0.2890625)  # reference_values.json: p = N(0, 1), q = N(0.5, 4)


def test_implicit_differs_from_explicit_by_a_constant():
    target = lf.potentials.GaussianMixture([1, 2], [[-1.0, 0.0], [1.0, 0.5]], [0.5, 1.0])
    run = lf.sample(target, lf.MALA(0.4), n_particles=20_000, n_steps=400, stride=None, seed=3)
    x = run.final.positions
    truth = lambda x: -target.gradient(x)  # noqa: E731
    wrong = lambda x: -0.7 * x + 0.2  # noqa: E731
    constant = 0.5 * np.square(truth(x)).sum(axis=1)
    for score in (truth, wrong):
        difference = explicit(score, x, truth).value - constant.mean()
        found = implicit(score, x)
        error = found.error + constant.std() / np.sqrt(len(x))
        assert abs(found.value - difference) < 4 * error
    # the divergence may be given
    exact = implicit(wrong, x, divergence=lambda x: np.full(len(x), -1.4))
    assert exact.value == pytest.approx(implicit(wrong, x).value, rel=1e-8)
    # slices agree on the average
    found = sliced(truth, x, n_slices=4, seed=1)
    assert abs(found.value - implicit(truth, x).value) < 4 * found.error
    assert sliced(truth, x, seed=1) == sliced(truth, x, seed=1)
    assert sliced(truth, x, seed=1) != sliced(truth, x, seed=2)


def test_implicit_reference():
    reference = value("score.ISM Gaussian 2-D")
    x, p = np.array(reference["data"]), np.array(reference["precision = inv(sample cov with 1/N)"])
    mean = np.array(reference["mean"])
    assert implicit(lambda y: -(y - mean) @ p, x).value == pytest.approx(reference["J_min=-tr(P)/2"], rel=1e-8)


def test_denoising_optimum_is_the_score_of_the_smoothed_density():
    reference = value("score.DSM Gaussian data N(0,1.5^2) noise 0.5 d=1")
    x = 1.5 * np.random.default_rng(5).standard_normal((200_000, 1))
    best = denoising(lambda y: reference["slope"] * y, x, 0.5, seed=1)
    assert near(best, reference["min loss with 1/2"])
    for slope in (-0.35, -0.45):  # the same noise: the difference is exact but for its own, smaller error
        assert denoising(lambda y, s=slope: s * y, x, 0.5, seed=1).value > best.value
    clean = denoise(lambda y: reference["slope"] * y, [[2.0]], 0.5)
    np.testing.assert_allclose(clean, [[2.0 * (1 - 0.25 * 0.4)]])


def test_denoising_of_several_levels():
    x = np.random.default_rng(6).standard_normal((100_000, 2))
    sigmas = [2.0, 1.0, 0.5]
    score = lambda y, sigma: -y / (1.0 + sigma**2)  # noqa: E731
    # E|s + xi/sigma|^2 / 2 = (d/2) / (sigma^2 (1 + sigma^2)), weighted with sigma^2/3
    want = sum(1.0 / (1.0 + s * s) for s in sigmas) / 3.0
    assert near(denoising(score, x, sigmas, seed=3), want)
    single = [denoising(lambda y, s=s: score(y, s), x, s).value for s in sigmas]
    assert sum(single) == pytest.approx(denoising(score, x, sigmas, weights=np.ones(3), seed=3).value, rel=0.02)


def test_tweedie_reference():
    reference = value("score.NCSN mixture 1/5 N((-5,-5),I)+4/5 N((5,5),I), noised by sigma")
    for key, want in reference.items():
        x, sigma = (part.split("=")[1] for part in key.split(" "))
        sigma, point = float(sigma), [float(c) for c in x.strip("()").split(",")]
        smoothed = lf.potentials.GaussianMixture([0.2, 0.8], [[-5, -5], [5, 5]], 1.0 + sigma**2)
        np.testing.assert_allclose(-smoothed.gradient([point])[0], want["score"], rtol=1e-9, atol=1e-17)
        assert -smoothed.energy([point])[0] == pytest.approx(want["log p_sigma"], rel=1e-12)
        if sigma:
            clean = denoise(lambda y, u=smoothed: -u.gradient(y), [point], sigma)[0]
            np.testing.assert_allclose(clean, want["Tweedie E[x0|x]"], rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: explicit(lambda x: x[:, 0], [[1.0, 2.0]], lambda x: x), "score must return"),
        (lambda: implicit(lambda x: x, [1.0, 2.0]), "x must"),
        (lambda: implicit(lambda x: x, [[1.0]], divergence=lambda x: 1.0), "divergence"),
        (lambda: sliced(lambda x: x, [[1.0]], n_slices=0), "n_slices"),
        (lambda: denoising(lambda x: x, [[1.0]], 0.0), "sigma"),
        (lambda: denoising(lambda x, s: x, [[1.0]], [1.0], weights=[-1.0]), "weights"),
        (lambda: denoise(lambda x: x, [[1.0]], -1.0), "sigma"),
    ],
)
def test_wrong_objectives(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_scores_are_callable():
    with pytest.raises(TypeError, match="target must be callable; got 3"):
        explicit(lambda x: x, [[1.0, 2.0]], 3)


# --- annealed Langevin dynamics ---------------------------------------------------------------------------------------

WEIGHTS, MEANS = [0.2, 0.8], [[-5.0, -5.0], [5.0, 5.0]]


def uniform_square(n):
    return np.random.default_rng(8).uniform(-8.0, 8.0, (n, 2))


def test_plain_langevin_gets_the_weights_wrong():
    n = 200_000
    mixture = lf.potentials.GaussianMixture(WEIGHTS, MEANS, 1.0)
    run = lf.sample(mixture, lf.ULA(0.05), initial=uniform_square(n), n_steps=1000, stride=None, seed=1)
    found = (run.final.positions.sum(axis=1) > 0).mean()
    want = value("ncsn.0")
    assert abs(found - want) < 4 * np.sqrt(want * (1 - want) / n)


def test_the_popular_slip_samples_at_twice_the_temperature():
    """x + (eps/2) s + sqrt(2 eps) xi with the same schedule."""
    n = 100_000
    mixture = lf.potentials.GaussianMixture(WEIGHTS, MEANS, 1.0)
    slip = lf.ULA.from_sde(drift=0.5, noise=math.sqrt(2.0), step_size=0.1)
    assert slip.kT == pytest.approx(2.0)
    run = lf.sample(mixture, slip, initial=uniform_square(n), n_steps=1000, stride=None, seed=1)
    found = (run.final.positions.sum(axis=1) > 0).mean()
    want = value("ncsn.5")
    assert abs(found - want) < 4 * np.sqrt(want * (1 - want) / n)


def ncsn_levels():
    sigmas = geometric_levels(20.0, 1.0, 10)
    return sigmas, [lf.potentials.GaussianMixture(WEIGHTS, MEANS, sigma**2) for sigma in sigmas]


@pytest.mark.slow
def test_ncsn_toy_example():
    n = 1_000_000
    sigmas, levels = ncsn_levels()
    run = annealed_langevin(levels, sigmas, step_size=0.05, n_steps=100, initial=uniform_square(n), seed=1)
    along = run.positions.sum(axis=1)
    want = value("ncsn.1")
    assert abs((along > 0).mean() - want) < 4 * np.sqrt(want * (1 - want) / n)
    square = along**2 / 2
    assert abs(square.mean() - value("ncsn.2")) < 4 * square.std() / np.sqrt(n)


def test_annealing_repairs_the_weights():
    sigmas = geometric_levels(20.0, 0.5, 12)
    levels = [lf.potentials.GaussianMixture(WEIGHTS, MEANS, 1.0 + sigma**2) for sigma in sigmas]
    run = annealed_langevin(levels, sigmas, step_size=0.02, n_steps=100, initial=uniform_square(20_000), seed=1)
    # plain Langevin gives 0.51
    assert 0.72 < (run.positions.sum(axis=1) > 0).mean() < 0.82
    np.testing.assert_allclose(run.step_sizes, 0.02 * (sigmas / 0.5) ** 2)


def test_callables_and_potentials_agree():
    sigmas, levels = ncsn_levels()
    start = uniform_square(50)

    def score(x, sigma):
        return -levels[int(np.argmin(np.abs(sigmas - sigma)))].gradient(x)

    compiled = annealed_langevin(levels, sigmas, step_size=0.05, n_steps=20, initial=start, seed=4)
    called = annealed_langevin(score, sigmas, step_size=0.05, n_steps=20, initial=start, seed=4)
    np.testing.assert_array_equal(compiled.positions, called.positions)
    other = annealed_langevin(levels, sigmas, step_size=0.05, n_steps=20, initial=start)
    again = annealed_langevin(levels, sigmas, step_size=0.05, n_steps=20, initial=start, seed=other.seed)
    np.testing.assert_array_equal(other.positions, again.positions)


def test_levels_share_one_sequence_of_noise():
    """Equal levels are one long run."""
    well = lf.potentials.DoubleWell()
    start = np.full((7, 1), -1.0)
    run = annealed_langevin([well] * 3, [1.0, 1.0, 1.0], step_size=0.01, n_steps=50, initial=start, seed=2)
    whole = lf.sample(well, lf.ULA(0.01), initial=start, n_steps=150, stride=None, seed=2)
    np.testing.assert_array_equal(run.positions, whole.final.positions)


def test_final_denoising():
    sigmas, levels = ncsn_levels()
    start = uniform_square(20)
    arguments = {"step_size": 0.05, "n_steps": 10, "initial": start, "seed": 4}
    noisy, clean = (annealed_langevin(levels, sigmas, denoise=d, **arguments).positions for d in (False, True))
    np.testing.assert_array_equal(clean, noisy - levels[-1].gradient(noisy))


def test_unstable_step_size_says_so():
    # the schedule of the paper's text: alpha = 1000 at the first level
    sigmas = geometric_levels(10.0, 0.1, 10)
    levels = [lf.potentials.GaussianMixture(WEIGHTS, MEANS, 1.0 + sigma**2) for sigma in sigmas]
    arguments = {"step_size": 0.05, "n_steps": 1000, "initial": uniform_square(10), "seed": 1}
    with pytest.raises(lf.DivergenceError) as caught:
        annealed_langevin(levels, sigmas, **arguments)
    assert (
        caught.value.trajectory.final.positions.shape == (10, 2)
        and np.isfinite(caught.value.trajectory.final.positions).all()
    )
    frozen = annealed_langevin(levels, sigmas, on_divergence="freeze", **arguments)
    assert np.isfinite(frozen.positions).all()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_score_that_is_not_finite_is_named(wrong):
    """Also where particles have gone far in large steps, as they do at wide levels."""

    def score(x, sigma):
        return np.where(np.abs(x) > 1e4, wrong, 0.0 * x)

    arguments = {"step_size": 0.5, "n_steps": 200, "initial": np.zeros((3, 2)), "seed": 1}
    with pytest.raises(
        lf.DivergenceError, match=rf"There the score returned \[.*{wrong}.*\], for sigma=1000: correct it"
    ):
        annealed_langevin(score, [1000.0, 1.0], **arguments)


def test_ctrl_c_keeps_the_positions():
    def score(x, sigma):
        calls.append(sigma)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return -x

    calls = []
    arguments = {"step_size": 0.1, "initial": uniform_square(5), "seed": 1}
    with pytest.raises(KeyboardInterrupt) as caught:
        annealed_langevin(score, [1.0], n_steps=20, **arguments)
    whole = annealed_langevin(lambda x, sigma: -x, [1.0], n_steps=7, **arguments)
    np.testing.assert_array_equal(caught.value.trajectory.final.positions, whole.positions)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_while_denoising_keeps_the_positions(error):
    def score(x, sigma):
        calls.append(sigma)
        if len(calls) == 21:
            raise error
        return -x

    calls = []
    arguments = {"step_size": 0.1, "n_steps": 10, "initial": uniform_square(5), "seed": 1}
    with pytest.raises(error) as caught:
        annealed_langevin(score, [1.0, 0.5], denoise=True, **arguments)
    assert len(calls) == 21
    whole = annealed_langevin(lambda x, sigma: -x, [1.0, 0.5], **arguments)
    np.testing.assert_array_equal(caught.value.trajectory.final.positions, whole.positions)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"sigmas": [1.0, 2.0]}, ValueError, "descend"),
        ({"sigmas": [1.0, 0.0]}, ValueError, "sigmas"),
        ({"step_size": 0.0}, ValueError, "step_size"),
        ({"n_steps": 0}, ValueError, "n_steps"),
        ({"initial": [0.0]}, ValueError, "initial"),
        ({"score": [lf.potentials.Free(1)]}, ValueError, "1 potentials for 2"),
        ({"score": [lf.potentials.Free(2)] * 2}, ValueError, "dimensions"),
        ({"score": [1, 2]}, TypeError, "a potential for each sigma; got 1"),
        ({"score": 3}, TypeError, "a potential for each sigma; got 3"),
    ],
)
def test_wrong_arguments(changes, error, match):
    arguments = {"score": lambda x, s: -x, "sigmas": [2.0, 1.0], "step_size": 0.1, "n_steps": 1, "initial": [[0.0]]}
    with pytest.raises(error, match=match):
        annealed_langevin(**{**arguments, **changes})
    with pytest.raises(ValueError, match="larger"):
        geometric_levels(1.0, 2.0, 3)


def test_a_simulation_goes_on_from_a_step():
    potential = lf.potentials.Prinz()
    whole = lf.Simulation(potential, lf.MALA(0.01), n_particles=5, seed=1)
    whole.run(30)
    first = lf.Simulation(potential, lf.MALA(0.01), n_particles=5, seed=1)
    first.run(12)
    rest = lf.Simulation(potential, lf.MALA(0.01), initial=first.positions, seed=1, first_step=12)
    rest.run(18)
    np.testing.assert_array_equal(rest.positions, whole.positions)
    assert rest.step == 30
    np.testing.assert_allclose(
        12 * first.acceptance_rate + 18 * rest.acceptance_rate, 30 * whole.acceptance_rate, rtol=1e-12
    )
    with pytest.raises(ValueError, match="first_step"):
        lf.Simulation(potential, lf.ULA(0.01), first_step=-1)
