"""Score networks: trained on known densities, saved, loaded, sampled."""

import sys

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast.score import (
    ScoreNetwork,
    annealed_langevin,
    denoise,
    denoising,
    fit_network,
    geometric_levels,
    training,
)

pytest.importorskip("equinox")
pytest.importorskip("optax")

WEIGHTS, MEANS, VARIANCE = [0.2, 0.8], np.array([[-3.0, -3.0], [3.0, 3.0]]), 0.25
SIGMAS = geometric_levels(6.0, 0.3, 8)


def smoothed(sigma):
    return lf.potentials.GaussianMixture(WEIGHTS, MEANS, VARIANCE + sigma**2)


def data(n, seed):
    rng = np.random.default_rng(seed)
    return MEANS[(rng.random(n) < WEIGHTS[1]).astype(int)] + np.sqrt(VARIANCE) * rng.standard_normal((n, 2))


@pytest.fixture(scope="module")
def network():
    return fit_network(data(20_000, 1), sigmas=SIGMAS, width=64, depth=3, n_epochs=100, seed=1)


def test_it_learns_the_smoothed_scores(network):
    x = data(4_000, 2)
    for sigma in SIGMAS:
        y = x + sigma * np.random.default_rng(3).standard_normal(x.shape)
        truth = -smoothed(sigma).gradient(y)
        error = np.square(network(y, sigma) - truth).sum(axis=1).mean()
        assert error < 0.06 * np.square(truth).sum(axis=1).mean(), sigma
    # the loss is within its own noise of the smallest possible one
    found = denoising(network, x, SIGMAS, seed=5)
    best = denoising(lambda y, s: -smoothed(s).gradient(y), x, SIGMAS, seed=5)
    assert 0 <= found.value - best.value < 0.05


def test_annealing_with_it_is_annealing_with_the_truth(network):
    start = 7.0 * np.random.default_rng(4).standard_normal((4_000, 2))
    arguments = {"step_size": 0.02, "n_steps": 60, "initial": start, "denoise": True, "seed": 1}
    learned = annealed_langevin(network, SIGMAS, **arguments).positions
    exact = annealed_langevin([smoothed(sigma) for sigma in SIGMAS], SIGMAS, **arguments).positions
    right = learned.sum(axis=1) > 0
    assert abs(right.mean() - (exact.sum(axis=1) > 0).mean()) < 0.04
    np.testing.assert_allclose(learned[right].mean(axis=0), MEANS[1], atol=0.15)
    np.testing.assert_allclose(learned[~right].mean(axis=0), MEANS[0], atol=0.25)


def test_history(network):
    history = network.history
    assert len(history.training) == len(history.validation) <= 100
    # the last weights, which the smallest loss does not clearly beat: 2,000 held-out samples, two standard errors
    assert history.best == len(history.validation) - 1
    assert history.validation[-1] < history.validation.min() + 0.02
    assert history.validation[history.best] < 0.7 * history.validation[0]


def test_the_formula_of_the_docstring(network):
    x = data(50, 6)
    for sigma in (0.3, 0.7, 6.0):
        r = np.hypot(network.scale, sigma)
        z = (x - network.mean) / r
        h = np.concatenate([z, np.full((50, 1), np.log(sigma / network.scale) / 4)], axis=1)
        for i, (weight, bias) in enumerate(network.layers):
            h = h @ weight.T + bias
            h = h / (1 + np.exp(-h)) if i + 1 < len(network.layers) else h
        want = (network.scale / sigma * h - z) / r
        np.testing.assert_allclose(network(x, sigma), want, rtol=0, atol=1e-12 * np.abs(want).max())


def test_save_and_load(network, tmp_path):
    path = tmp_path / "score.npz"
    network.save(path)
    again = ScoreNetwork.load(path)
    x = data(20, 7)
    np.testing.assert_array_equal(again(x, 1.0), network(x, 1.0))
    np.testing.assert_array_equal(again.sigmas, SIGMAS)
    assert [p.name for p in tmp_path.iterdir()] == ["score.npz"]


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["implicit", "sliced"])
def test_objectives_without_noise(objective):
    target = lf.potentials.DoubleWell(0.25)
    x = lf.sample(target, lf.MALA(0.4), n_particles=8_000, n_steps=300, stride=None, seed=1).final.positions
    network = fit_network(x, objective=objective, width=32, depth=2, activation="tanh", n_epochs=80, seed=2)
    grid = np.linspace(-1.2, 1.2, 31)[:, np.newaxis]
    np.testing.assert_allclose(network(grid), -target.gradient(grid), atol=0.35)
    with pytest.raises(TypeError, match="no noise levels"):
        network(grid, 1.0)


@pytest.mark.slow
def test_early_stopping_and_seeds():
    x = data(64, 8)
    arguments = {"sigmas": [1.0, 0.5], "width": 32, "depth": 1, "n_epochs": 400, "patience": 5, "batch_size": 16}
    network = fit_network(x, seed=3, **arguments)
    epochs = len(network.history.training)
    assert epochs < 400
    # after five epochs without progress five more take the learning rate down to zero
    assert network.history.best in (epochs - 1, np.argmin(network.history.validation))
    assert epochs >= 11
    same, other = fit_network(x, seed=3, **arguments), fit_network(x, seed=4, **arguments)
    np.testing.assert_array_equal(same(x, 1.0), network(x, 1.0))
    assert not np.array_equal(other(x, 1.0), network(x, 1.0))


def test_what_is_clearly_worse():
    """By more than two standard errors of the mean difference: here 0.02."""
    before = np.random.default_rng(1).random(10_000)
    for mean, worse in ((-0.5, False), (0.0, False), (0.019, False), (0.021, True)):
        difference = np.tile([mean - 1.0, mean + 1.0], 5_000)
        assert training._clearly_worse(before + difference, before) == worse
    assert training._clearly_worse(np.array([1.0]), np.array([0.9]))
    assert not training._clearly_worse(before, before)


def test_learning_rates_come_down():
    whole, shortened = training._Decay(2.0, 10), training._Decay(2.0, 10)
    rates = np.concatenate([whole.rates(4) for _ in range(10)])
    np.testing.assert_allclose(rates, 1.0 + np.cos(np.pi * np.arange(40) / 40), rtol=1e-6)
    assert whole.epochs_left == 0
    first = np.concatenate([shortened.rates(4) for _ in range(4)])
    np.testing.assert_array_equal(first, rates[:16])
    shortened.epochs_left = 2
    last = np.concatenate([shortened.rates(4) for _ in range(2)])
    np.testing.assert_allclose(last, 1.0 + np.cos(np.pi * (0.4 + 0.6 * np.arange(8) / 8)), rtol=1e-6)
    assert shortened.epochs_left == 0


def test_default_noise_levels():
    x = 3.0 * data(200, 10)
    network = fit_network(x, width=8, depth=1, n_epochs=1)
    apart = np.sqrt(np.square(x[:, np.newaxis] - x).sum(axis=2)).max()
    assert apart <= network.sigmas[0] < 2.0 * apart
    assert network.sigmas[-1] == pytest.approx(0.02 * network.scale)
    np.testing.assert_allclose(np.diff(np.log(network.sigmas)), np.log(network.sigmas[-1] / network.sigmas[0]) / 24)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({}, ValueError, "different samples when no sigmas are given"),
        ({"objective": "implicit", "sigmas": [1.0]}, TypeError, "sigmas"),
        ({"objective": "implicit", "activation": "relu"}, ValueError, "relu"),
        ({"sigmas": [1.0], "activation": "sine"}, ValueError, "activation"),
        ({"sigmas": [-1.0]}, ValueError, "sigmas"),
        ({"sigmas": [1.0], "width": 0}, ValueError, "width"),
        ({"sigmas": [1.0], "validation": 1.0}, ValueError, "validation"),
        ({"sigmas": [1.0], "learning_rate": 0.0}, ValueError, "learning_rate"),
        ({"sigmas": [1.0], "patience": 0}, ValueError, "patience"),
    ],
)
def test_wrong_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        fit_network(np.zeros((20, 2)), **arguments)


def test_one_level_of_a_network(network):
    x = data(500, 11)
    assert denoising(network, x, 0.7, seed=1) == denoising(lambda y: network(y, 0.7), x, 0.7, seed=1)
    np.testing.assert_array_equal(denoise(network, x, 0.7), x + 0.7**2 * network(x, 0.7))


@pytest.mark.parametrize("sigma", [0.25, 7.0])
def test_levels_outside_of_the_trained_ones(network, sigma):
    with pytest.warns(UserWarning, match=r"trained on, 0\.3 to 6:") as caught:
        network.potential(sigma)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="trained on"):
        network(np.zeros((1, 2)), sigma)
    with pytest.warns(UserWarning, match="trained on"):
        annealed_langevin(network, [sigma], step_size=1e-3, n_steps=1, initial=[[0.0, 0.0]])
    network.potential(0.29), network.potential(6.5)  # a little is no matter


def test_wrong_calls(network):
    with pytest.raises(TypeError, match="needs sigma"):
        network(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="shape"):
        network(np.zeros((3, 1)), 1.0)


def test_divergence_is_said():
    with pytest.raises(ArithmeticError, match="learning_rate"):
        fit_network(data(200, 9), sigmas=[1.0], learning_rate=1e30, n_epochs=5, width=8, depth=1)


def test_missing_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "equinox", None)
    with pytest.raises(ImportError, match=r"langevin-fast\[score\]"):
        fit_network(data(20, 1), sigmas=[1.0])
