"""Every built-in potential once more in plain Python: the same bits as C++."""

import numpy as np
import pytest
from cases import POTENTIALS, PRECISIONS, SCHEMES, problem

import langevin_fast as lf


def points(potential, dtype):
    rng = np.random.default_rng(7)
    spread = rng.uniform(-1.5, 1.5, (40, potential.dim))
    x = potential.default_start + spread * (0.1 if potential.kind == "LennardJonesCluster" else 1.0)
    x[0] = potential.default_start
    x[1] = 0.0 if potential.kind == "Ring" else x[1]  # its gradient is defined to be 0 there
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", PRECISIONS.values())
@pytest.mark.parametrize("name", POTENTIALS)
def test_twin_on_arrays(name, dtype):
    potential = POTENTIALS[name].potential
    x, p = points(potential, dtype), potential.parameters.astype(dtype)
    columns, g = np.ascontiguousarray(x.T), np.full(x.T.shape, np.nan, dtype)
    with np.errstate(all="ignore"):
        potential.functions.gradient(columns, g, p)
        u = potential.functions.energy(columns, p)
    np.testing.assert_array_equal(g.T, potential.gradient(x))
    np.testing.assert_array_equal(u, potential.energy(x))


@pytest.mark.parametrize("name", POTENTIALS)
def test_twin_of_one_point(name):
    potential = POTENTIALS[name].potential
    for x in points(potential, np.float64)[:5]:
        g = np.empty(potential.dim)
        with np.errstate(all="ignore"):
            potential.functions.gradient(x, g, potential.parameters)
        np.testing.assert_array_equal(g, potential.gradient(x))
        np.testing.assert_array_equal(potential.functions.energy(x, potential.parameters), potential.energy(x))


# Compilation is what takes time here. Arrays above have both precisions of every twin.
TURNS = [(name, list(PRECISIONS)[i % 2]) for i, name in enumerate(POTENTIALS)]


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        pytest.param(name, precision, marks=[] if (name, precision) in TURNS else pytest.mark.slow)
        for name in POTENTIALS
        for precision in PRECISIONS
    ],
)
def test_numba_backend_has_the_bits_of_cpp(name, precision):
    for scheme_name in SCHEMES:
        potential, scheme = problem(name, scheme_name)
        # a wide group, one vector with unused lanes, and a particle alone
        for n in (83, 1):
            arguments = {"n_steps": 25, "n_particles": n, "seed": 3, "stride": 6, "precision": precision}
            runs = [lf.sample(potential, scheme, backend=b, **arguments) for b in ("cpp", "numba")]
            assert [run.backend for run in runs] == ["cpp", "numba"]
            np.testing.assert_array_equal(runs[0].positions, runs[1].positions)
            np.testing.assert_array_equal(runs[0].final.positions, runs[1].final.positions)
            if runs[0].velocities is not None:
                np.testing.assert_array_equal(runs[0].final.velocities, runs[1].final.velocities)
            np.testing.assert_array_equal(runs[0].final.accepted, runs[1].final.accepted)
