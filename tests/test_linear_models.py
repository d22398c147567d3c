"""Closed-form score matching for models that are linear in their parameters."""

import numpy as np
import pytest
from reference import value

import langevin_fast as lf
from langevin_fast.score import ExponentialFamily, GaussianModel, fourier_model, implicit, rbf_model


def quartic():
    """log q = -(theta_1 x^2/2 + theta_2 x^4/4)."""
    return ExponentialFamily(
        lambda x: -np.stack([x, x**3], axis=1), lambda x: -np.stack([np.ones(len(x)), 3 * x[:, 0] ** 2], axis=1)
    )


def samples(potential, n, h=0.4, seed=1):
    return lf.sample(potential, lf.MALA(h), n_particles=n, n_steps=400, stride=None, seed=seed).final.positions


def test_gaussian_reference():
    reference = value("score.ISM Gaussian 2-D")
    x = np.array(reference["data"])
    model = GaussianModel().fit(x)
    np.testing.assert_allclose(model.mean, reference["mean"], rtol=1e-12)
    np.testing.assert_allclose(model.precision, reference["precision = inv(sample cov with 1/N)"], rtol=1e-10)
    assert model.loss(x).value == pytest.approx(reference["J_min=-tr(P)/2"], rel=1e-10)


def test_gaussian_without_an_inverse():
    x = np.random.default_rng(5).standard_normal((6, 3))
    flat = np.stack([x[:, 0], x[:, 1], 0.1 * x[:, 0] - 0.7 * x[:, 1]], axis=1)
    constant = np.stack([x[:, 0], np.full(6, 0.1)], axis=1)
    for samples, span in ((x[:3], 2), (x[:1], 0), (flat, 2), (constant, 1)):
        n, dim = samples.shape
        with pytest.raises(ValueError, match=f"{n} samples in dim={dim} dimensions, which span only {span}"):
            GaussianModel().fit(samples)
        with pytest.raises(ValueError, match="sigma > 0"):
            GaussianModel().fit(samples, sigma=1e-12 * (n > 1))
        model = GaussianModel().fit(samples, sigma=0.5)
        centered = samples - samples.mean(axis=0)
        covariance = centered.T @ centered / n + 0.25 * np.eye(dim)
        np.testing.assert_allclose(model.precision @ covariance, np.eye(dim), atol=1e-12)
    # neither units nor an origin far away take an inverse away
    units = np.array([1e-9, 1.0, 1e9])
    np.testing.assert_allclose(
        GaussianModel().fit((x + 100.0) * units).precision,
        GaussianModel().fit(x).precision / np.outer(units, units),
        rtol=1e-8,
    )


def test_quartic_reference():
    reference = value("score.ISM quartic log q=-(th1 x^2/2+th2 x^4/4)")
    x = np.array(reference["data"])[:, np.newaxis]
    model = quartic().fit(x)
    np.testing.assert_allclose(model.theta, reference["theta"], rtol=1e-10)
    assert model.loss(x).value == pytest.approx(reference["J_min=-b.theta/2"], rel=1e-7)


def test_gaussian_is_found_by_its_features_too():
    x = np.random.default_rng(1).standard_normal((500, 2)) @ np.array([[1.0, 0.4], [0.0, 0.7]])
    # log q = theta . (x, y, -x^2/2, -x y, -y^2/2)
    zero, one = (lambda x: np.zeros(len(x))), (lambda x: np.ones(len(x)))

    def gradients(x):
        a, b = x.T
        rows = [(one(x), zero(x)), (zero(x), one(x)), (-a, zero(x)), (-b, -a), (zero(x), -b)]
        return np.stack([np.stack(row, axis=1) for row in rows], axis=1)

    def laplacians(x):
        return np.stack([zero(x), zero(x), -one(x), zero(x), -one(x)], axis=1)

    model, gaussian = ExponentialFamily(gradients, laplacians).fit(x), GaussianModel().fit(x)
    np.testing.assert_allclose(model.score(x), gaussian.score(x), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("objective", ["implicit", "denoising", "explicit"])
def test_every_objective_finds_the_quartic(objective):
    """U = x^4/4 - x^2/2 has theta = (-1, 1)."""
    target = lf.potentials.DoubleWell(0.25)
    x = samples(target, 40_000)
    arguments = {
        "implicit": {},
        "explicit": {"target": lambda x: -target.gradient(x)},
        "denoising": {"sigma": 0.05, "n_noise": 40, "seed": 3},
    }[objective]
    theta = quartic().fit(x, objective=objective, **arguments).theta
    tolerance = {"implicit": 0.04, "explicit": 1e-10, "denoising": 0.12}[objective]
    np.testing.assert_allclose(theta, [-1.0, 1.0], atol=tolerance)


def test_denoising_slope_reference():
    x = 1.5 * np.random.default_rng(2).standard_normal((200_000, 1))
    model = ExponentialFamily(lambda x: x[:, np.newaxis, :])
    slope = model.fit(x, objective="denoising", sigma=0.5, n_noise=2).theta[0]
    assert slope == pytest.approx(value("score.DSM Gaussian data N(0,1.5^2) noise 0.5 d=1")["slope"], abs=0.01)
    assert -GaussianModel().fit(x, sigma=0.5).precision[0, 0] == pytest.approx(-0.4, abs=0.004)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["rbf", "fourier"])
def test_features_learn_a_mixture(kind):
    target = lf.potentials.GaussianMixture([1, 2], [[-1.5, 0.0], [1.0, 0.5]], 0.5)
    x, held_out = samples(target, 8_000), samples(target, 8_000, seed=2)
    gaussian = GaussianModel().fit(x)
    if kind == "rbf":
        model = rbf_model(x[:120], 0.8, base=gaussian.score, ridge=1e-4)
    else:
        model = fourier_model(2, 150, 1.2, base=gaussian.score, ridge=1e-4, seed=3)
    model.fit(x)
    truth = lambda x: -target.gradient(x)  # noqa: E731
    error = np.square(model.score(held_out) - truth(held_out)).sum(axis=1).mean()
    plain = np.square(gaussian.score(held_out) - truth(held_out)).sum(axis=1).mean()
    assert error < 0.15 * plain
    best = implicit(truth, held_out)
    assert model.loss(held_out).value < gaussian.loss(held_out).value
    assert model.loss(held_out).value > best.value - 4 * best.error
    # and its samples have the weights of the modes
    run = lf.sample(
        model.potential(2), lf.ULA(0.02), initial=x[:2000], n_steps=300, stride=None, seed=5, on_divergence="freeze"
    )
    assert abs((run.final.positions[:, 0] > 0).mean() - (held_out[:, 0] > 0).mean()) < 0.08


def test_blocks_of_rows_change_nothing_but_rounding(monkeypatch):
    from langevin_fast.score import linear_models

    x = np.random.default_rng(4).standard_normal((1000, 1))
    arguments = {"objective": "denoising", "sigma": 0.3, "n_noise": 2, "seed": 7}
    whole = quartic().fit(x, **arguments).theta
    monkeypatch.setattr(linear_models, "_ROWS", 64)
    np.testing.assert_allclose(quartic().fit(x, **arguments).theta, whole, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: quartic().fit([1.0]), ValueError, "x must"),
        (lambda: quartic().fit([[1.0]], objective="maximum likelihood"), ValueError, "objective"),
        (lambda: quartic().fit([[1.0]], objective="denoising"), TypeError, "sigma"),
        (lambda: quartic().fit([[1.0]], sigma=1.0), TypeError, "sigma"),
        (lambda: quartic().fit([[1.0]], objective="explicit"), TypeError, "target"),
        (lambda: ExponentialFamily(lambda x: x[:, None]).fit([[1.0]]), TypeError, "laplacians"),
        (lambda: ExponentialFamily(lambda x: x, lambda x: x).fit([[1.0]]), ValueError, "gradients must return"),
        (lambda: ExponentialFamily(3), TypeError, "gradients"),
        (lambda: ExponentialFamily(lambda x: x, ridge=-1.0), ValueError, "ridge"),
        (lambda: quartic().score([[1.0]]), ValueError, "not fitted"),
        (lambda: GaussianModel().score([[1.0]]), ValueError, "not fitted"),
        (lambda: quartic().fit([[1.0]]), np.linalg.LinAlgError, "ingular"),
        (lambda: rbf_model([[0.0]], 0.0), ValueError, "width"),
        (lambda: fourier_model(1, 0, 1.0), ValueError, "n_features"),
    ],
)
def test_wrong_arguments(call, error, match):
    with pytest.raises(error, match=match):
        call()
