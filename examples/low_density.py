"""Why annealing: plain Langevin dynamics cannot find the weights of two separate modes; annealed dynamics can.

The mixture 1/5 N((-5, -5), I) + 4/5 N((5, 5), I) of Song and Ermon (2019). The score is exact, so nothing here is an
error of learning: plain dynamics has no time to cross the thin region between the modes.
"""

import warnings

import numpy as np

import langevin_fast as lf

weights, means, n = [0.2, 0.8], [[-5.0, -5.0], [5.0, 5.0]], 100_000
mixture = lf.potentials.GaussianMixture(weights, means, 1.0)
start = np.random.default_rng(1).uniform(-8.0, 8.0, (n, 2))


def right(x):
    """The fraction near (5, 5), with its standard error."""
    p = (x.sum(axis=1) > 0).mean()
    return f"{p:.4f} ± {np.sqrt(p * (1 - p) / len(x)):.4f}"


print(f"{'':<44} near (5, 5)")
print(f"{'exact':<44} {weights[1]:.4f}")
print(f"{'start, uniform on a square':<44} {right(start)}")
finals = {"start": start}
for n_steps in (100, 1_000, 10_000):
    plain = lf.sample(mixture, lf.ULA(step_size=0.05), initial=start, n_steps=n_steps, stride=None, seed=1)
    finals["plain Langevin"] = plain.final.positions
    print(f"{f'plain Langevin, {n_steps} steps':<44} {right(plain.final.positions)}")

# The smoothed mixture of level sigma has components of variance 1 + sigma^2.
sigmas = lf.score.geometric_levels(20.0, 0.1, 30)
levels = [lf.potentials.GaussianMixture(weights, means, 1.0 + sigma**2) for sigma in sigmas]
for n_steps in (10, 100, 1_000):
    annealed = lf.score.annealed_langevin(levels, sigmas, step_size=0.002, n_steps=n_steps, initial=start, seed=1)
    finals["annealed"] = annealed.positions
    print(f"{f'annealed Langevin, 30 levels of {n_steps} steps':<44} {right(annealed.positions)}")
near = finals["annealed"][finals["annealed"].sum(axis=1) > 0]
print(f"there: mean {near.mean(axis=0).round(3)}, exact 5; variance {near.var(axis=0).round(3)}, exact 1 + 0.1²")

try:
    from matplotlib.figure import Figure
except ImportError:
    warnings.warn("no figure: pip install 'langevin-fast[plot]'", stacklevel=1)
else:
    figure = Figure(figsize=(10.0, 3.6), layout="constrained")
    axis = np.linspace(-9.0, 9.0, 19)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1)
    arrows = -mixture.gradient(grid)
    for place, (name, x) in zip(figure.subplots(1, 3, sharey=True), finals.items(), strict=True):
        place.quiver(*np.moveaxis(grid, -1, 0), *np.moveaxis(arrows, -1, 0), color="0.75")
        place.plot(*x[:3_000].T, ".", markersize=1.5)
        place.set(
            title=f"{name}: {(x.sum(axis=1) > 0).mean():.0%} near (5, 5)", aspect="equal", xlim=(-9, 9), ylim=(-9, 9)
        )
    figure.savefig("low_density.png", dpi=120)
    print("figure: low_density.png")
