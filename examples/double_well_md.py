"""A particle in a double well, run as in molecular dynamics: a Simulation, a log, and a look at the thermometer."""

import numpy as np

import langevin_fast as lf

barrier, temperature, step_size, friction = 3.0, 1.0, 0.1, 1.0
well = lf.potentials.DoubleWell(barrier=barrier)
scheme = lf.BAOAB(step_size=step_size, friction=friction, kT=temperature)
simulation = lf.Simulation(well, scheme, n_particles=10_000, mass=1.0, seed=2024)

# The exact Boltzmann averages, by quadrature.
x = np.linspace(-3.0, 3.0, 6001)[:, np.newaxis]
weight = np.exp(-well.energy(x) / temperature)
exact_x2 = (weight * x[:, 0] ** 2).sum() / weight.sum()

print(simulation)
print(f"{'step':>6} {'time':>7} {'right well':>11} {'<x^2>':>8} {'kinetic kT':>11}")
x2 = []
for _ in range(20):
    simulation.run(500)
    positions, velocities = simulation.positions[:, 0], simulation.velocities[:, 0]
    x2.append((positions**2).mean())
    print(
        f"{simulation.step:6d} {simulation.time:7.1f} {(positions > 0).mean():11.4f} {x2[-1]:8.4f} "
        f"{(velocities**2).mean():11.4f}"
    )

# The first half equilibrates: all particles started in the left well.
later = np.array(x2[10:])
error = later.std(ddof=1) / np.sqrt(len(later))
print(f"<x^2>: exact {exact_x2:.5f}, measured {later.mean():.5f} ± {error:.5f}")
curvature = 8.0 * barrier  # at the bottom of a well, for width 1
print(f"on-step velocities are cold: for a harmonic well of this curvature by {curvature * step_size**2 / 4:.3f}")

# One of ten thousand, alone: the same bits.
alone = lf.Simulation(well, scheme, streams=[17], seed=2024)
alone.run(simulation.step)
print("particle 17 alone is the same to the bit:", bool(alone.positions[0] == simulation.positions[17]))
