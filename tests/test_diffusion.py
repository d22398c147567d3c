"""Forward and reverse-time diffusions against exact moments."""

import signal

import numpy as np
import pytest
from reference import value

import langevin_fast as lf
from langevin_fast.noise import draw
from langevin_fast.score import Schedule, ScoreNetwork, VarianceExploding, VariancePreserving, diffuse, reverse

VP = VariancePreserving()
VE = VarianceExploding(0.05, 10.0)
MEAN, STD = 2.0, 0.5  # of the data


def gaussian_score(schedule):
    """The score of the diffused N(MEAN, STD^2)."""

    def score(x, t):
        variance = (schedule.scale(t) * STD) ** 2 + schedule.std(t) ** 2
        return -(x - schedule.scale(t) * MEAN) / variance

    return score


def normal_network(sigmas=(200.0, 0.01)):
    """N = 0: the score of normal data with the network's mean and scale."""
    return ScoreNetwork([(np.zeros((1, 2)), np.zeros(1))], "silu", np.array([MEAN]), STD, np.array(sigmas))


def assert_moments(x, mean, variance, sigmas=4.0):
    n = len(x)
    assert abs(x.mean() - mean) < sigmas * np.sqrt(variance / n)
    assert abs(x.var() - variance) < sigmas * variance * np.sqrt(2.0 / n)


@pytest.mark.parametrize("schedule", [VP, VE], ids=repr)
def test_the_transition_solves_the_equation(schedule):
    """d scale/dt = f scale, d std^2/dt = 2 f std^2 + g^2."""
    for t in (0.1, 0.4, 0.9):
        h = 1e-5
        f, g = schedule.drift(t), schedule.diffusion(t)
        slope = (schedule.scale(t + h) - schedule.scale(t - h)) / (2 * h)
        assert slope == pytest.approx(f * schedule.scale(t), rel=1e-7, abs=1e-12)
        slope = (schedule.std(t + h) ** 2 - schedule.std(t - h) ** 2) / (2 * h)
        assert slope == pytest.approx(2 * f * schedule.std(t) ** 2 + g**2, rel=1e-6)


@pytest.mark.parametrize("schedule", [VP, VE], ids=repr)
def test_forward(schedule):
    x = MEAN + STD * np.random.default_rng(1).standard_normal((100_000, 1))
    for t in (0.0, 0.3, 1.0):
        variance = (schedule.scale(t) * STD) ** 2 + schedule.std(t) ** 2
        assert_moments(diffuse(schedule, x, t, seed=3), schedule.scale(t) * MEAN, variance)


@pytest.mark.parametrize("n_steps", [100, 1000])
def test_reverse_time_has_the_moments_of_euler_maruyama(n_steps):
    key = f"score.reverse VP-SDE Euler-Maruyama N={n_steps}, target N(2,0.5^2), beta 0.1->20, init N(0,1), "
    want = value(key + "t_k=k/N, no final denoise")
    x = reverse(gaussian_score(VP), VP, n_particles=100_000, dim=1, n_steps=n_steps, end=0.0, seed=5).positions
    assert_moments(x, want["mean"], want["var"])


def test_probability_flow_is_of_second_order():
    want = value("score.probability-flow ODE exact from N(0,1), same VP")
    # the flow of a Gaussian is linear: two points have all of it
    errors = []
    for n_steps in (200, 400, 800):
        a, b = reverse(gaussian_score(VP), VP, initial=[[0.0], [1.0]], n_steps=n_steps, method="ode", end=0.0).positions
        errors.append([a[0] - want["mean"], (b[0] - a[0]) ** 2 - want["var"]])
    errors = np.abs(errors)
    assert (np.abs(np.log2(errors[:-1] / errors[1:]) - 2.0) < 0.15).all()
    assert (errors[-1] < 2e-4).all()


@pytest.mark.parametrize("method", ["sde", "ode"])
def test_variance_exploding(method):
    x = reverse(gaussian_score(VE), VE, n_particles=50_000, dim=1, n_steps=1000, method=method, end=0.0, seed=1)
    x = x.positions
    # what is reached is the data with the noise of t = 0; the prior lacks the data's mean, damped by the flow
    variance = STD**2 + VE.std(0.0) ** 2
    damping = np.sqrt(variance / (STD**2 + VE.std(1.0) ** 2))
    mean = MEAN * (1.0 - damping if method == "ode" else 1.0 - damping**2)
    assert abs(x.mean() - mean) < 4 * np.sqrt(variance / 50_000) + 0.003
    assert x.var() == pytest.approx(variance, rel=0.03)


def test_mixture_in_two_dimensions():
    weights, means = [0.2, 0.8], np.array([[-3.0, 0.0], [3.0, 1.0]])

    def score(x, t):
        a = VP.scale(t)
        return -lf.potentials.GaussianMixture(weights, a * means, a * a * 0.25 + VP.std(t) ** 2).gradient(x)

    x = reverse(score, VP, n_particles=20_000, dim=2, n_steps=300, denoise=True, seed=2).positions
    right = (x[:, 0] > 0).mean()
    assert abs(right - 0.8) < 4 * np.sqrt(0.16 / 20_000) + 0.005
    np.testing.assert_allclose(x[x[:, 0] > 0].mean(axis=0), means[1], atol=0.05)


def test_final_denoising():
    arguments = {"initial": [[0.5], [-1.0]], "n_steps": 50, "end": 0.01, "seed": 4}
    noisy = reverse(gaussian_score(VP), VP, **arguments).positions
    clean = reverse(gaussian_score(VP), VP, denoise=True, **arguments).positions
    want = (noisy + VP.std(0.01) ** 2 * gaussian_score(VP)(noisy, 0.01)) / VP.scale(0.01)
    np.testing.assert_array_equal(clean, want)


def run(n_particles, seed, precision="double", n_steps=20):
    return reverse(lambda x, t: -x, VP, n_particles=n_particles, dim=3, n_steps=n_steps, seed=seed, precision=precision)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_noise_belongs_to_the_particle(precision):
    few = run(2, 9, precision).positions
    np.testing.assert_array_equal(run(11, 9, precision).positions[:2], few)
    assert not np.array_equal(run(2, 10, precision).positions, few)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_noise_is_that_of_the_streams(precision):
    """One step: x - h f x + h g^2 s + sqrt(h) g xi from x = xi of the tag for initial draws."""
    start = draw("initial", 9, np.arange(5, dtype=np.uint64), 0, 3, {"double": float, "single": np.float32}[precision])
    got = reverse(lambda x, t: -x, VP, initial=start, n_steps=1, end=0.25, seed=9, precision=precision).positions
    xi = np.array([lf.noise(9, i, 0, 3, precision) for i in range(5)])
    g = VP.diffusion(1.0)
    want = start + 0.75 * (g * g * -start - VP.drift(1.0) * start) + np.sqrt(0.75) * g * xi
    np.testing.assert_allclose(got, want, rtol=1e-13 if precision == "double" else 1e-5)
    own_start = reverse(lambda x, t: -x, VP, n_particles=5, dim=3, n_steps=1, end=0.25, seed=9, precision=precision)
    np.testing.assert_array_equal(own_start.positions, got)


def test_a_seed_is_drawn_and_reported():
    a, b = run(4, None), run(4, None)
    assert a.seed != b.seed
    np.testing.assert_array_equal(run(4, a.seed).positions, a.positions)
    np.testing.assert_allclose(a.times, np.linspace(1.0, 1e-3, 21))


def test_single_precision():
    seen = set()

    def score(x, t):
        seen.add(x.dtype)
        return gaussian_score(VP)(x.astype(np.float64), t)

    found = reverse(score, VP, n_particles=100_000, dim=1, n_steps=100, end=0.0, seed=5, precision="single").positions
    assert found.dtype == np.float32 and seen == {np.dtype(np.float32)}
    want = value(
        "score.reverse VP-SDE Euler-Maruyama N=100, target N(2,0.5^2), beta 0.1->20, init N(0,1), "
        "t_k=k/N, no final denoise"
    )
    assert_moments(found.astype(np.float64), want["mean"], want["var"])


def test_ctrl_c_keeps_the_positions():
    calls = []

    def score(x, t):
        calls.append(t)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return -x

    with pytest.raises(KeyboardInterrupt) as caught:
        reverse(score, VP, n_particles=4, dim=3, n_steps=20, seed=9)
    before = reverse(lambda x, t: -x, VP, n_particles=4, dim=3, n_steps=7, end=calls[-1], seed=9)
    np.testing.assert_allclose(caught.value.trajectory.positions, before.positions, rtol=1e-12)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_error_while_denoising_keeps_the_positions(error):
    def score(x, t):
        if t == 0.5:  # where only the last denoising evaluates it
            raise error
        return -x

    arguments = {"n_particles": 4, "dim": 3, "n_steps": 10, "end": 0.5, "seed": 9}
    with pytest.raises(error) as caught:
        reverse(score, VP, denoise=True, **arguments)
    np.testing.assert_array_equal(caught.value.trajectory.positions, reverse(score, VP, **arguments).positions)


def test_divergence():
    with pytest.raises(lf.DivergenceError, match="larger n_steps") as caught, np.errstate(all="ignore"):
        reverse(lambda x, t: 1e200 * x**3, VP, n_particles=2, dim=1)
    assert caught.value.trajectory.positions.shape == (2, 1)


def test_a_score_that_is_not_finite_is_named():
    with pytest.raises(
        lf.DivergenceError, match=r"There the score returned \[nan\], for t=0\.5: correct it, or use a larger"
    ):
        reverse(lambda x, t: np.where(t < 0.55, np.nan, -x), VP, n_particles=2, dim=1, n_steps=10, end=0.0, seed=1)


@pytest.mark.parametrize("schedule", [VP, VE], ids=repr)
@pytest.mark.parametrize("method", ["sde", "ode"])
def test_networks_in_time(schedule, method):
    arguments = {"n_particles": 50, "dim": 1, "n_steps": 40, "method": method, "denoise": True, "seed": 2}
    found, want = (reverse(score, schedule, **arguments) for score in (normal_network(), gaussian_score(schedule)))
    np.testing.assert_allclose(found.positions, want.positions, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("sigmas", "wrong"), [((5.0, 0.05), "10"), ((10.0, 0.2), r"0\.17")])
def test_networks_are_not_asked_in_silence_for_other_levels(sigmas, wrong):
    with pytest.warns(UserWarning, match=f"sigma={wrong}\\d* lies outside") as caught:
        reverse(normal_network(sigmas), VE, n_particles=2, dim=1, n_steps=100, denoise=True, seed=1)
    assert len(caught) == 1 and caught[0].filename == __file__


class Brownian(Schedule):
    """x(t) = x(0) + 3 W(t)."""

    def scale(self, t):
        return 1.0

    def std(self, t):
        return 3.0 * t**0.5

    def drift(self, t):
        return 0.0

    def diffusion(self, t):
        return 3.0


def test_a_schedule_of_your_own():
    n = 20_000
    x = reverse(gaussian_score(Brownian()), Brownian(), n_particles=n, dim=1, method="ode", seed=1).positions
    # the flow is linear: from N(0, 9) it reaches N(MEAN (1 - f), 9 f^2) with f^2 = variance(end)/variance(1)
    f = np.sqrt((STD**2 + 9e-3) / (STD**2 + 9.0))
    assert_moments(x, MEAN * (1.0 - f), 9.0 * f * f)
    start = draw("initial", 1, np.arange(4, dtype=np.uint64), 0, 1, float)
    own = Brownian()
    for prior, std in ((None, 3.0), (2.0, 2.0)):
        own.prior_std = prior
        found, want = (
            reverse(lambda x, t: -x, own, seed=1, **how).positions
            for how in ({"n_particles": 4, "dim": 1}, {"initial": std * start})
        )
        np.testing.assert_array_equal(found, want)
    own.prior_std = 0.0
    with pytest.raises(ValueError, match=r"schedule\.prior_std must be a finite number > 0, got 0\.0"):
        reverse(lambda x, t: -x, own, n_particles=1, dim=1)
    with pytest.raises(TypeError, match="abstract method"):
        type("Half", (Schedule,), {"scale": Brownian.scale})()


@pytest.mark.parametrize("method", ["sde", "ode"])
def test_ctrl_c_within_the_score_keeps_the_positions(method):
    """A real signal, not only its exception."""
    calls = []

    def score(x, t):
        calls.append(t)
        if len(calls) == 8:
            signal.raise_signal(signal.SIGINT)
        return -x

    steps = 7 if method == "sde" else 3  # one evaluation a step, or two
    with pytest.raises(KeyboardInterrupt) as caught:
        reverse(score, VE, n_particles=4, dim=3, n_steps=16, end=0.0, method=method, seed=9)
    whole = reverse(lambda x, t: -x, VE, n_particles=4, dim=3, n_steps=steps, end=1 - steps / 16, method=method, seed=9)
    np.testing.assert_allclose(caught.value.trajectory.positions, whole.positions, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: reverse(ScoreNetwork([([[1.0]], [0.0])], "silu", [0.0], 1.0), VP, initial=[[1.0]]),
            TypeError,
            "levels",
        ),
        (lambda: reverse(lambda x, t: x, "VP", n_particles=1, dim=1), TypeError, "schedule"),
        (lambda: reverse(3, VP, initial=[[1.0]]), TypeError, "score must be callable; got 3"),
        (lambda: reverse(lambda x, t: x, VP), TypeError, "n_particles and dim"),
        (lambda: reverse(lambda x, t: x, VP, initial=[1.0]), ValueError, "initial"),
        (lambda: reverse(lambda x, t: x[0], VP, initial=[[1.0]]), ValueError, "score"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], method="pde"), ValueError, "method"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], end=1.0), ValueError, "end"),
        (lambda: reverse(normal_network(), VP, initial=[[1.0]], end=0.0, method="ode"), ValueError, "some noise"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], n_steps=0), ValueError, "n_steps"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], precision="half"), ValueError, "precision"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1e300]], precision="single"), ValueError, "range of single"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], seed=-1), ValueError, "seed"),
        (lambda: diffuse(VP, [[1.0]], 0.5, seed=0.5), TypeError, "seed"),
        (lambda: diffuse(VP, [[1.0]], 1.5, seed=1), ValueError, "t="),
        (lambda: VariancePreserving(2.0, 1.0), ValueError, "beta_max"),
        (lambda: VarianceExploding(2.0, 1.0), ValueError, "sigma_max"),
    ],
)
def test_wrong_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()
