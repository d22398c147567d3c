"""The free energy of the Müller-Brown surface along x, in two ways, and what is left of exactness.

Umbrella sampling (the extra `mbar`) holds the coordinate in windows; metadynamics fills the wells until nothing holds
the walkers back. Both stand beside quadrature.
"""

import warnings

import numpy as np

import langevin_fast as lf

temperature, surface = 20.0, lf.potentials.MullerBrown()
edges = np.linspace(-1.2, 0.9, 43)

fine = (edges[:-1, np.newaxis] + np.diff(edges)[:, np.newaxis] * (np.arange(20) + 0.5) / 20)[..., np.newaxis]
y = np.broadcast_to(np.linspace(-1.0, 2.5, 1001), (*fine.shape[:2], 1001))
exact = -temperature * np.log(
    np.exp(-surface.energy(np.stack(np.broadcast_arrays(fine, y), axis=-1)) / temperature).mean(axis=(1, 2))
)

umbrella = lf.rare.Umbrella(
    surface,
    lf.BAOAB(step_size=0.004, friction=5.0, kT=temperature),
    "x[0]",
    centers=np.linspace(-1.2, 0.9, 22),
    stiffness=1500.0,
)
windows = umbrella.run(40_000, n_walkers=32, burn_in=5000, stride=100, seed=1)
profiles = {"umbrella sampling": windows.free_energy(bins=42)}
overlap = np.diag(windows.overlap, 1)
print(f"22 windows; neighbours overlap by {overlap.min():.2f} to {overlap.max():.2f}", end=", ")
print(f"a frame in {windows.statistical_inefficiency.max():.0f} is independent where y is slowest")

filling = lf.rare.Metadynamics(
    surface,
    lf.BAOAB(step_size=0.002, friction=5.0, kT=temperature),
    "x[0]",
    grid=np.linspace(-2.0, 1.6, 91),
    height=1.0,
    width=0.1,
    bias_factor=6.0,
    stride=250,
    n_walkers=64,
    seed=1,
)
early = filling.run(20_000).bias_on_nodes
hills = filling.run(380_000)
profiles["metadynamics"] = hills.free_energy(bins=42, range=(-1.2, 0.9))
print(f"{hills.heights.size} hills; the last ones have {hills.heights[-1].mean():.2f} of the height of the first")

for name, profile in profiles.items():
    lowest = profile.values.argmin()
    off = profile.values - (exact - exact[lowest])
    z = np.delete(off / np.where(profile.errors > 0, profile.errors, 1.0), lowest)
    print(f"{name:18s} largest error bar {profile.errors.max():.2f}", end=", ")
    print(f"off by {np.abs(off).max():.2f} at most, {np.sqrt(np.mean(z**2)):.2f} error bars (rms)")
middles = 0.5 * (edges[1:] + edges[:-1])
for i in (3, 12, 24, 30, 39):
    shown = ", ".join(f"{p.values[i]:7.2f} ± {p.errors[i]:.2f}" for p in profiles.values())
    print(f"x = {middles[i]:6.3f}: {shown}, exact {exact[i] - exact.min():7.2f}")

V = hills.bias_on_nodes
inside = (hills.nodes[0] > -1.2) & (hills.nodes[0] < 0.9)
slope = np.polyfit(np.interp(hills.nodes[0][inside], middles, exact), V[inside], 1)[0]
print(f"the bias is {slope:.3f} times F; -(1 - 1/bias_factor) is {-(1 - 1 / 6):.3f}")

try:
    from matplotlib.figure import Figure
except ImportError:
    warnings.warn("no figure: pip install 'langevin-fast[plot]'", stacklevel=1)
else:
    figure = Figure(figsize=(10.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(middles, exact - exact.min(), "k-", lw=0.8, label="quadrature")
    for (name, profile), mark in zip(profiles.items(), ("o", "s"), strict=True):
        left.errorbar(profile.centers, profile.values, 2 * profile.errors, fmt=mark, ms=3, label=f"{name}, ± 2σ")
    left.set(xlabel="x", ylabel="free energy", title="Müller-Brown along x, kT = 20")
    left.legend()
    right.plot(middles, exact - exact.min(), "k-", lw=0.8, label="F")
    for bias, name in ((early, "F + V after 20,000 steps"), (V, "F + V after 400,000 steps")):
        total = exact + np.interp(middles, hills.nodes[0], bias)
        right.plot(middles, total - total.min(), label=name)
    right.plot(middles, (exact - exact.min()) / 6.0, "k--", lw=0.8, label="F / bias_factor")
    right.set(xlabel="x", title="What is left for the walkers to climb")
    right.legend(loc="lower right", bbox_to_anchor=(1.0, 0.27))
    figure.savefig("free_energies.png", dpi=110)
    print("figure: free_energies.png")
