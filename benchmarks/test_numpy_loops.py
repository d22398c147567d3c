"""The NumPy side computes the same thing: ``pytest benchmarks`` without --benchmark-only."""

from __future__ import annotations

import numpy as np
import numpy_loops
import pytest
import workloads

import langevin_fast as lf

POTENTIALS = [
    *(case.potential for case in workloads.potential_cases().values()),
    lf.potentials.DoubleWell(3.0, width=0.7),
    lf.potentials.Harmonic([1.0, 4.0], center=[0.5, -1.0]),
]


def assert_close(got, exact, precision):
    tolerance = 1e-10 if precision == "double" else 3e-4
    assert got.dtype == workloads.DTYPES[precision]
    np.testing.assert_allclose(got, exact, rtol=tolerance, atol=tolerance * (1.0 + np.abs(exact).max()))


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("potential", POTENTIALS, ids=lambda u: u.kind)
def test_same_potential(potential, precision):
    dtype = workloads.DTYPES[precision]
    rng = np.random.default_rng(5)
    x = (potential.default_start + 0.1 * rng.standard_normal((50, potential.dim))).astype(dtype)
    energy, gradient = numpy_loops.functions_of(potential, dtype)
    columns = np.ascontiguousarray(x.T)
    out = np.empty_like(columns)
    gradient(columns, out)
    assert_close(out.T, potential.gradient(x.astype(np.float64)), precision)
    if energy is not None:
        assert_close(energy(columns), potential.energy(x.astype(np.float64)), precision)


def test_same_mixture():
    x, potential = np.random.default_rng(5).standard_normal((50, 2)), workloads.mixture()
    out = np.empty((2, 50))
    numpy_loops.mixture_by_differences(potential)(np.ascontiguousarray(x.T), out)
    assert_close(out.T, potential.gradient(x), "double")


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
