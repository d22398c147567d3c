"""The posterior of a logistic regression by MALA: chains, draws, R-hat, and the exact answer beside it.

Data: the bioassay of A. Racine et al., Applied Statistics 35 (1986) 93: four groups of five animals, their log dose
(log g/ml) and how many died.
"""

import numpy as np

import langevin_fast as lf

log_dose = np.array([-0.86, -0.30, -0.05, 0.73])
deaths = np.array([0, 1, 3, 5])
features = np.repeat(np.stack([np.ones(4), log_dose], axis=1), 5, axis=0)
labels = np.concatenate([np.arange(5) < n for n in deaths])
posterior = lf.potentials.LogisticRegression(features, labels, prior_scale=10.0)

trajectory = lf.sample(
    posterior, lf.MALA(step_size=0.7), n_particles=8, burn_in=20_000, n_steps=400_000, stride=100, seed=1986
)
draws = trajectory.positions.swapaxes(0, 1)  # (chain, draw, component)
print(f"{draws.shape[0]} chains of {draws.shape[1]} draws; acceptance rate {trajectory.acceptance_rate.mean():.3f}")


def split_rhat(chains):
    """Gelman and Rubin's diagnostic with every chain cut in two; chains is (chain, draw)."""
    halves = np.concatenate(np.array_split(chains[:, : chains.shape[1] // 2 * 2], 2, axis=1))
    within = halves.var(axis=1, ddof=1).mean()
    between = halves.mean(axis=1).var(ddof=1)
    return np.sqrt((halves.shape[1] - 1) / halves.shape[1] + between / within)


# The exact posterior, by quadrature over a grid.
grid = np.stack(np.meshgrid(np.linspace(-8, 15, 500), np.linspace(-12, 65, 900), indexing="ij"), axis=-1)
weight = np.exp(posterior.energy(grid).min() - posterior.energy(grid))
weight /= weight.sum()

print(f"{'':>12} {'exact':>8} {'mean':>8}   {'error':<7} {'z':>6} {'R-hat':>7}")
quantities = {
    "intercept": lambda b: b[..., 0],
    "slope": lambda b: b[..., 1],
    "slope^2": lambda b: b[..., 1] ** 2,
    "P(death | 0)": lambda b: 1.0 / (1.0 + np.exp(-b[..., 0])),
}
for name, function in quantities.items():
    exact = (weight * function(grid)).sum()
    values = function(draws)
    error = values.mean(axis=1).std(ddof=1) / np.sqrt(len(values))  # from independent chains
    z = (values.mean() - exact) / error
    print(f"{name:>12} {exact:8.4f} {values.mean():8.4f} ± {error:<7.4f} {z:6.2f} {split_rhat(values):7.4f}")

try:
    import arviz
except ImportError:
    print("With the extra `arviz`, trajectory.to_inference_data() goes into arviz.summary.")
else:
    print(arviz.summary(trajectory.to_inference_data()))
