"""Forward and reverse-time diffusions against exact moments."""

import numpy as np
import pytest
from reference import value

import langevin_fast as lf
from langevin_fast.score import ScoreNetwork, VarianceExploding, VariancePreserving, diffuse, reverse

VP = VariancePreserving()
VE = VarianceExploding(0.05, 10.0)
MEAN, STD = 2.0, 0.5  # of the data


def gaussian_score(schedule):
    """The score of the diffused N(MEAN, STD^2)."""

    def score(x, t):
        variance = (schedule.scale(t) * STD) ** 2 + schedule.std(t) ** 2
        return -(x - schedule.scale(t) * MEAN) / variance

    return score


def normal_network():
    """N = 0: the score of normal data with the network's mean and scale."""
    return ScoreNetwork([(np.zeros((1, 2)), np.zeros(1))], "silu", np.array([MEAN]), STD, np.array([1.0]))


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
    x = reverse(gaussian_score(VP), VP, n_particles=100_000, dim=1, n_steps=n_steps, end=0.0, seed=5)
    assert_moments(x, want["mean"], want["var"])


def test_probability_flow_is_of_second_order():
    want = value("score.probability-flow ODE exact from N(0,1), same VP")
    # the flow of a Gaussian is linear: two points have all of it
    errors = []
    for n_steps in (200, 400, 800):
        a, b = reverse(gaussian_score(VP), VP, initial=[[0.0], [1.0]], n_steps=n_steps, method="ode", end=0.0)[:, 0]
        errors.append([a - want["mean"], (b - a) ** 2 - want["var"]])
    errors = np.abs(errors)
    assert (np.abs(np.log2(errors[:-1] / errors[1:]) - 2.0) < 0.15).all()
    assert (errors[-1] < 2e-4).all()


@pytest.mark.parametrize("method", ["sde", "ode"])
def test_variance_exploding(method):
    x = reverse(gaussian_score(VE), VE, n_particles=50_000, dim=1, n_steps=1000, method=method, end=0.0, seed=1)
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

    x = reverse(score, VP, n_particles=20_000, dim=2, n_steps=300, denoise=True, seed=2)
    right = (x[:, 0] > 0).mean()
    assert abs(right - 0.8) < 4 * np.sqrt(0.16 / 20_000) + 0.005
    np.testing.assert_allclose(x[x[:, 0] > 0].mean(axis=0), means[1], atol=0.05)


def test_final_denoising():
    arguments = {"initial": [[0.5], [-1.0]], "n_steps": 50, "end": 0.01, "seed": 4}
    noisy = reverse(gaussian_score(VP), VP, **arguments)
    clean = reverse(gaussian_score(VP), VP, denoise=True, **arguments)
    want = (noisy + VP.std(0.01) ** 2 * gaussian_score(VP)(noisy, 0.01)) / VP.scale(0.01)
    np.testing.assert_array_equal(clean, want)


def test_noise_belongs_to_the_particle():
    arguments = {"dim": 3, "n_steps": 20, "seed": 9}
    many = reverse(lambda x, t: -x, VP, n_particles=11, **arguments)
    few = reverse(lambda x, t: -x, VP, n_particles=4, **arguments)
    np.testing.assert_array_equal(many[:4], few)
    assert not np.array_equal(few, reverse(lambda x, t: -x, VP, n_particles=4, **{**arguments, "seed": 10}))


def test_divergence():
    with pytest.raises(lf.DivergenceError, match="larger n_steps") as caught, np.errstate(all="ignore"):
        reverse(lambda x, t: 1e200 * x**3, VP, n_particles=2, dim=1)
    assert caught.value.positions.shape == (2, 1)


@pytest.mark.parametrize("schedule", [VP, VE], ids=repr)
@pytest.mark.parametrize("method", ["sde", "ode"])
def test_networks_in_time(schedule, method):
    arguments = {"n_particles": 50, "dim": 1, "n_steps": 40, "method": method, "denoise": True, "seed": 2}
    found, want = (reverse(score, schedule, **arguments) for score in (normal_network(), gaussian_score(schedule)))
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: reverse(lambda x, t: x, "VP", n_particles=1, dim=1), TypeError, "schedule"),
        (lambda: reverse(lambda x, t: x, VP), TypeError, "n_particles and dim"),
        (lambda: reverse(lambda x, t: x, VP, initial=[1.0]), ValueError, "initial"),
        (lambda: reverse(lambda x, t: x[0], VP, initial=[[1.0]]), ValueError, "score"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], method="pde"), ValueError, "method"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], end=1.0), ValueError, "end"),
        (lambda: reverse(normal_network(), VP, initial=[[1.0]], end=0.0, method="ode"), ValueError, "some noise"),
        (lambda: reverse(lambda x, t: x, VP, initial=[[1.0]], n_steps=0), ValueError, "n_steps"),
        (lambda: diffuse(VP, [[1.0]], 1.5), ValueError, "t="),
        (lambda: VariancePreserving(2.0, 1.0), ValueError, "beta_max"),
        (lambda: VarianceExploding(2.0, 1.0), ValueError, "sigma_max"),
    ],
)
def test_wrong_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()
