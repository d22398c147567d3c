"""Ours beside a vectorised NumPy loop: ``pytest benchmarks --benchmark-only`` (about two minutes)."""

from __future__ import annotations

import numpy as np
import pytest
import workloads
from workloads import CROWD, SCHEMES, Case

import langevin_fast as lf
from langevin_fast import _core

PRECISIONS = ("double", "single")
POTENTIALS = workloads.potential_cases()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_normals_crowd(compare, precision):
    compare(workloads.normals_crowd(precision), workloads.normals_numpy(precision), CROWD, "raw normals")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_normals_along_time(compare, precision):
    compare(workloads.normals_along_time(precision), workloads.normals_numpy(precision), CROWD, "raw normals")


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_scheme(compare, scheme, precision):
    case = Case(lf.potentials.DoubleWell(), 0.01)
    group = f"every scheme on the 1-D double well, {CROWD} particles"
    compare(workloads.ours(case, scheme, precision), workloads.theirs(case, scheme, precision), CROWD, group)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kind", POTENTIALS)
def test_potential(compare, kind, precision):
    case = POTENTIALS[kind]
    numbers = case.n_particles * case.potential.dim
    ours, theirs = workloads.ours(case, precision=precision), workloads.theirs(case, precision=precision)
    compare(ours, theirs, numbers, "every potential under ULA")


@pytest.mark.parametrize("n_particles", [10**k for k in range(7)])
def test_particles(compare, n_particles):
    case = Case(lf.potentials.DoubleWell(), 0.01, n_particles=n_particles)
    compare(workloads.ours(case), workloads.theirs(case), n_particles, "number of particles (ULA, 1-D double well)")


@pytest.mark.parametrize("dim", [1, 2, 10, 100, 1000])
def test_dimension(compare, dim):
    case = Case(lf.potentials.Harmonic(np.linspace(0.5, 2.0, dim)), 0.01, n_particles=1000)
    compare(
        workloads.ours(case), workloads.theirs(case), 1000 * dim, "dimension (ULA, diagonal Harmonic, 1000 particles)"
    )


@pytest.mark.parametrize("threads", sorted({1, _core.default_threads()}))
def test_threads(compare, threads):
    case = Case(lf.potentials.DoubleWell(), 0.01, n_particles=100_000)
    group = "threads (ULA, 1-D double well, 100000 particles; NumPy has one)"
    compare(workloads.ours(case, threads=threads), workloads.theirs(case), 100_000, group)


def test_a_single_step_of_a_hundred_particles(benchmark):
    """What a call costs: the steps themselves take a fraction of a microsecond."""
    simulation = lf.Simulation(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=100, seed=1)
    benchmark(simulation.run, 1)


def test_a_short_run_from_nothing(benchmark):
    potential, scheme = lf.potentials.DoubleWell(), lf.ULA(0.01)
    benchmark(lf.sample, potential, scheme, n_particles=100, n_steps=100, seed=1)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("tabulated", [False, True], ids=["formula", "table"])
def test_a_tabulated_double_well(benchmark, precision, tabulated):
    """ULA of 10,000 particles for 100 steps, in a double well and in a spline through it."""
    potential, nodes = lf.potentials.DoubleWell(), np.linspace(-2.5, 2.5, 101)
    if tabulated:
        energies = potential.energy(nodes[:, np.newaxis])
        potential = lf.potentials.Tabulated(energies, nodes, outside="harmonic", stiffness=20.0)
    simulation = lf.Simulation(potential, lf.ULA(0.01), n_particles=10_000, seed=1, threads=1, precision=precision)
    benchmark.group = f"double well, {precision}"
    benchmark(simulation.run, 100)
