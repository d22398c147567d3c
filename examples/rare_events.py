"""The paths of a rare event: over two barriers of the Müller-Brown surface, by forward flux sampling.

Every path is made again from the seeds of the runs that it consists of. Committors stand beside those of the
Fokker-Planck equation.
"""

import warnings

import numpy as np

import langevin_fast as lf

temperature, h, basin, target = 12.0, 5e-6, -1.85, 0.4
surface, interfaces = lf.potentials.MullerBrown(), [-1.75, -1.65, -1.55, -1.45, -1.3, -0.6]
sampling = lf.rare.ForwardFlux(
    surface,
    lf.ULA(h, kT=temperature),
    "x[0] - x[1]",
    basin=basin,
    interfaces=interfaces,
    target=target,
    initial=[-0.558, 1.442],
)
result = sampling.run(n_trials=6000, n_walkers=600, n_crossings=10, seed=1)
time, error = result.mean_first_passage_time, result.mean_first_passage_time_error
print(f"mean first-passage time {time:.1f} ± {error:.1f}, which is {time / h:.1e} steps")
print(f"all runs together made {result.n_steps:.1e} steps, and {result.n_paths} paths")

fp = lf.fokker_planck.Overdamped(surface, ((-1.6, 1.2), (-0.4, 2.1)), (280, 250), kT=temperature)
q = fp.committor(lambda x, y: x - y <= basin, lambda x, y: x - y >= target)
exact = []
for i, value in enumerate(interfaces):
    exact.append(np.mean([fp.at(q, x) for x in result.stages[i + 1].positions[::10]]))
    found = f"{result.committors[i]:.2e} ± {result.committor_errors[i]:.1e}"
    print(f"committor from x - y = {value:5.2f}: {found}, by the Fokker-Planck equation {exact[i]:.2e}")

numbers = np.linspace(0, result.n_paths - 1, 12).astype(int)
paths = [result.path(k) for k in numbers]
print(f"a dozen of them takes {np.mean([path.times[-1] for path in paths]):.4f} in the mean")
same = all(
    (path.positions[-1 - stage.steps[i]] == stage.positions[i]).all()
    for path, (stage, i) in ((path, result.lineage(k)[-1]) for path, k in zip(paths, numbers, strict=True))
)
print(f"where the last runs of them began, they are to the bit: {same}")

try:
    from matplotlib.figure import Figure
except ImportError:
    warnings.warn("no figure: pip install 'langevin-fast[plot]'", stacklevel=1)
else:
    figure = Figure(figsize=(10.0, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    x, y = np.meshgrid(np.linspace(-1.5, 1.1, 200), np.linspace(-0.35, 2.0, 200))
    U = surface.energy(np.stack([x, y], axis=-1))
    left.contourf(x, y, U, np.linspace(-150, 50, 21), cmap="Greys_r", extend="max")
    for path in paths:
        left.plot(*path.positions[::10].T, lw=0.6, alpha=0.8)
    for value in (basin, *interfaces, target):
        left.plot(x[0], x[0] - value, "w--", lw=0.6)
    left.set(xlim=(-1.5, 1.1), ylim=(-0.35, 2.0), xlabel="x", ylabel="y", title="A dozen paths, and the interfaces")
    right.errorbar(interfaces, result.committors, 2 * result.committor_errors, fmt="o", label="forward flux, ± 2σ")
    right.plot(interfaces, exact, "k_", ms=14, label="Fokker-Planck equation")
    right.set(xlabel="x - y", yscale="log", title="to the other well before back")
    right.legend()
    figure.savefig("rare_events.png", dpi=110)
    print("figure: rare_events.png")
