"""The NumPy side computes the same thing: ``pytest benchmarks`` without --benchmark-only."""

from __future__ import annotations

import numpy as np
import numpy_loops
import pytest
import workloads

import langevin_fast as lf

POTENTIALS = workloads.potential_cases()
FULL = lf.potentials.GaussianMixture([1.0, 2.0], [[0.0, 0.0], [2.0, 1.0]], [[[1.0, 0.3], [0.3, 2.0]], np.eye(2)])
UNEQUAL = lf.potentials.GaussianMixture([1.0, 2.0], [[0.0, 0.0], [2.0, 1.0]], [0.5, 2.0])
WELL = lf.potentials.DoubleWell(3.0, width=0.7, tilt=0.5, dim=3, stiffness=2.0)
TIGHT = lf.potentials.LennardJonesCluster(13, wall=1.3)


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize(
    "potential", [*(case.potential for case in POTENTIALS.values()), FULL, UNEQUAL, WELL, TIGHT], ids=lambda u: u.kind
)
def test_same_potential(potential, precision):
    dtype = workloads.DTYPES[precision]
    rng = np.random.default_rng(5)
    x = (potential.default_start + 0.1 * rng.standard_normal((50, potential.dim))).astype(dtype)
    energy, gradient = numpy_loops.functions_of(potential, dtype)
    columns = np.ascontiguousarray(x.T)
    out = np.empty_like(columns)
    gradient(columns, out)
    u = energy(columns)
    assert out.dtype == u.dtype == dtype
    exact = potential.gradient(x.astype(np.float64))
    tolerance = 1e-10 if precision == "double" else 3e-4
    np.testing.assert_allclose(out.T, exact, rtol=tolerance, atol=tolerance * (1.0 + np.abs(exact).max()))
    exact = potential.energy(x.astype(np.float64))
    np.testing.assert_allclose(u, exact, rtol=tolerance, atol=tolerance * (1.0 + np.abs(exact).max()))


@pytest.mark.parametrize("potential", [POTENTIALS["GaussianMixture"].potential, UNEQUAL])
def test_same_mixture(potential):
    x = np.random.default_rng(5).standard_normal((50, 2))
    out = np.empty((2, 50))
    numpy_loops.mixture_by_differences(potential)(np.ascontiguousarray(x.T), out)
    np.testing.assert_allclose(out.T, potential.gradient(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("scheme", workloads.SCHEMES)
def test_same_law(scheme):
    n = 100_000
    case = workloads.Case(lf.potentials.Harmonic([2.0]), 0.3, kT=1.5, n_particles=n)
    integrator = workloads.scheme(scheme, case.step_size, case.kT)
    simulation = lf.Simulation(case.potential, integrator, n_particles=n, seed=1)
    simulation.run(80)
    x = workloads.theirs(case, scheme)(80)
    variance = np.var(simulation.positions)
    assert abs(np.var(x) - variance) < 4.0 * variance * np.sqrt(2.0 * 2.0 / n)
