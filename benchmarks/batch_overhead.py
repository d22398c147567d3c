"""What the coupled loop costs beyond the callable, in nanoseconds per particle-step and dimension."""

from __future__ import annotations

import time

import numpy as np

import langevin_fast as lf
from langevin_fast import _core


def best(function, repeats: int = 7) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    n, n_steps = 10_000, 200
    print("dim  precision  scheme    overhead  raw noise   [ns per particle-step and dimension]")
    for dim in (1, 10):
        for precision, dtype in (("double", np.float64), ("single", np.float32)):
            constant = np.zeros((n, dim), dtype)
            u = lf.potentials.Batch(
                gradient=lambda x, g=constant: g, energy=lambda x, g=constant: g[:, 0].copy(), dim=dim
            )
            rows = np.empty((4 * dim, n), dtype)
            particles = np.arange(n, dtype=np.uint64)
            noise = best(lambda rows=rows, p=particles: _core.draw_rows(out=rows, seed=1, particles=p, start=0)) / 4
            for scheme in (lf.ULA(0.01), lf.BAOAB(0.05, friction=1.0), lf.MALA(0.01)):
                simulation = lf.Simulation(u, scheme, n_particles=n, seed=1, precision=precision)
                simulation.run(20)
                seconds = best(lambda s=simulation: s.run(n_steps)) / n_steps
                per = 1e9 / (n * dim)
                name = type(scheme).__name__
                print(f"{dim:3d}  {precision:9s}  {name:8s}  {seconds * per:8.2f}  {noise * per:9.2f}")


if __name__ == "__main__":
    main()
