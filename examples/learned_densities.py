"""Three densities learned from samples and sampled again: two moons, a Swiss roll, a pinwheel.

Needs the extras ``score`` and ``plot``. A network learns the scores of all noise levels, is exported into the compiled
step loop, and annealed Langevin dynamics draws from it.
"""

import time
import warnings

import numpy as np
from scipy.spatial import cKDTree

import langevin_fast as lf


def two_moons(n, rng):
    angle, upper = np.pi * rng.random(n), rng.random(n) < 0.5
    x = np.where(upper, np.cos(angle), 1.0 - np.cos(angle))
    y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    return np.stack([x, y], axis=1) + 0.07 * rng.standard_normal((n, 2))


def swiss_roll(n, rng):
    angle = 1.5 * np.pi * (1.0 + 2.0 * rng.random(n))
    roll = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1)
    return (roll + 0.4 * rng.standard_normal((n, 2))) / 7.0


def pinwheel(n, rng, n_arms=5):
    radius, across = 1.0 + 0.3 * rng.standard_normal(n), 0.07 * rng.standard_normal(n)
    angle = 2.0 * np.pi / n_arms * rng.integers(n_arms, size=n) + 0.25 * np.exp(radius)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([cos * radius - sin * across, sin * radius + cos * across], axis=1)


def energy_distance(x, y):
    """2 E|X - Y| - E|X - X'| - E|Y - Y'|: zero only for equal laws (Szekely and Rizzo 2013). Unbiased."""

    def mean(a, b, exclude):
        d = np.sqrt(((a[:, np.newaxis] - b) ** 2).sum(axis=-1))
        return d.sum() / (len(a) * (len(b) - exclude))

    return 2.0 * mean(x, y, 0) - mean(x, x, 1) - mean(y, y, 1)


sigmas = lf.score.geometric_levels(3.0, 0.03, 25)
print("energy distance to new data, and strays: farther from the training data than 99 % of new data")
print(f"{'':<12} {'training':>9} {'sampling':>9}   {'distance of data, samples':<26} strays")
panels = {}
for target in (two_moons, swiss_roll, pinwheel):
    rng = np.random.default_rng(1)
    data, more, other = target(20_000, rng), target(2_000, rng), target(2_000, rng)
    start = time.perf_counter()
    network = lf.score.fit_network(
        data, sigmas=sigmas, width=128, depth=3, n_epochs=300, batch_size=1_024, learning_rate=2e-3, seed=1
    )
    training = time.perf_counter() - start

    start = time.perf_counter()
    noise = sigmas[0] * rng.standard_normal((20_000, 2))
    run = lf.score.annealed_langevin(
        network, sigmas, step_size=0.1 * sigmas[-1] ** 2, n_steps=50, initial=noise, seed=1, precision="single"
    )
    sampling = time.perf_counter() - start
    same, found = energy_distance(more, other), energy_distance(more, run.positions[:2_000])
    nearest = cKDTree(data)
    strays = (nearest.query(run.positions)[0] > np.quantile(nearest.query(more)[0], 0.99)).mean()
    print(f"{target.__name__:<12} {training:7.1f} s {sampling:7.1f} s   {f'{same:.5f}, {found:.5f}':<26} {strays:.1%}")
    panels[target.__name__] = data, network, run.positions

try:
    from matplotlib.figure import Figure
except ImportError:
    warnings.warn("no figure: pip install 'langevin-fast[plot]'", stacklevel=1)
else:
    figure = Figure(figsize=(10.0, 9.0), layout="constrained")
    for row, (name, (data, network, found)) in zip(figure.subplots(3, 3), panels.items(), strict=True):
        low, high = data.min(axis=0) - 0.3, data.max(axis=0) + 0.3
        grid = np.stack(np.meshgrid(*np.linspace(low, high, 22).T), axis=-1)
        arrows = network(grid.reshape(-1, 2), 0.15).reshape(grid.shape)
        arrows /= 5.0 + np.sqrt((arrows**2).sum(axis=-1, keepdims=True))  # the long ones would hide the others
        row[0].plot(*data[:8_000].T, ".", markersize=1.0, color="0.3")
        row[1].quiver(*np.moveaxis(grid, -1, 0), *np.moveaxis(arrows, -1, 0), color="C0")
        row[2].plot(*found[:8_000].T, ".", markersize=1.0, color="C3")
        for place, title in zip(row, ("data", "learned score, sigma = 0.15", "samples"), strict=True):
            place.set(title=f"{name.replace('_', ' ')}: {title}", aspect="equal", xticks=[], yticks=[])
            place.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    figure.savefig("learned_densities.png", dpi=100)
    print("figure: learned_densities.png")
