"""Sampling a Gaussian mixture by its score, and what the time conventions of the literature mean here."""

import numpy as np

import langevin_fast as lf

weights, means, variance = np.array([0.2, 0.8]), np.array([[-1.5, -1.5], [1.5, 1.5]]), 1.0
mixture = lf.potentials.GaussianMixture(weights=weights, means=means, covariances=variance)


def score(x, kT=1.0):
    """The gradient of log p of the Boltzmann law at kT."""
    return -mixture.gradient(x) / kT


# The same by hand: responsibilities times the scores of the components.
x = np.random.default_rng(1).normal(scale=2.0, size=(1000, 2))
squares = ((x[:, np.newaxis] - means) ** 2).sum(axis=-1)
responsibilities = weights * np.exp(-squares / (2 * variance))
responsibilities /= responsibilities.sum(axis=1, keepdims=True)
by_hand = (responsibilities[..., np.newaxis] * (means - x[:, np.newaxis])).sum(axis=1) / variance
print(f"score: largest difference from the formula {np.abs(score(x) - by_hand).max():.1e}")


def exact(kT):
    """Mean of x_1, variance of x_1, weight of the left mode, by quadrature of p^(1/kT)."""
    axis = np.linspace(-12, 12, 601)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)
    density = np.exp(-mixture.energy(grid) / kT)
    density /= density.sum()
    mean = (density * grid[..., 0]).sum()
    return mean, (density * grid[..., 0] ** 2).sum() - mean**2, density[grid.sum(axis=-1) < 0].sum()


# A step of eps in the convention x + (eps/2) score + sqrt(eps) noise is a step_size of eps/2 here.
eps = 0.1
schemes = {
    "ULA": lf.ULA(step_size=eps / 2),
    "the same by from_sde(1/2, 1)": lf.ULA.from_sde(drift=0.5, noise=1.0, step_size=eps),
    "LeimkuhlerMatthews": lf.LeimkuhlerMatthews(step_size=eps / 2),
    "the trap: eps/2, sqrt(2 eps)": lf.ULA.from_sde(drift=0.5, noise=np.sqrt(2.0), step_size=eps),
}
print(f"{'':<30} {'kT':>4} {'mean':>8} {'exact':>8} {'variance':>9} {'exact':>8} {'left':>7} {'exact':>7}")
final = {}
for name, scheme in schemes.items():
    run = lf.sample(mixture, scheme, n_particles=50_000, n_steps=1_000, stride=None, seed=5)
    final[name] = run.final.positions
    x1, left = final[name][:, 0], (final[name].sum(axis=1) < 0).mean()
    mean, var, p_left = exact(scheme.kT)
    print(
        f"{name:<30} {scheme.kT:4.1f} {x1.mean():8.4f} {mean:8.4f} {x1.var():9.4f} {var:8.4f} {left:7.4f} {p_left:7.4f}"
    )
print("ULA and from_sde(1/2, 1) agree to the bit:", np.array_equal(final["ULA"], final["the same by from_sde(1/2, 1)"]))
print(f"standard error of the means: {np.sqrt(exact(1.0)[1] / 50_000):.4f}")
