"""Tabulated: the splines are SciPy's, and outside of the table U is what its docstring says."""

import pickle

import numpy as np
import pytest
from cases import PRECISIONS
from scipy.interpolate import CubicSpline, RectBivariateSpline

import langevin_fast as lf
from langevin_fast.potentials import Tabulated

LOWER, UPPER = -1.25, 2.0
OUTSIDE = ("clamp", "periodic", "harmonic")


def table(*shape, periodic=()):
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    for axis in periodic:
        edge = [slice(None)] * len(shape)
        edge[axis] = -1
        first = list(edge)
        first[axis] = 0
        values[tuple(edge)] = values[tuple(first)]
    return values


def line(outside, n=12):
    nodes = np.linspace(LOWER, UPPER, n)
    return Tabulated(
        table(n, periodic=(0,) if outside == "periodic" else ()),
        nodes,
        outside=outside,
        stiffness=3.0 if outside == "harmonic" else None,
    )


def plane(*outside, shape=(9, 12)):
    grid = [np.linspace(LOWER, UPPER, n) for n in shape]
    periodic = [c for c in (0, 1) if outside[c] == "periodic"]
    stiffness = [3.0 + c if outside[c] == "harmonic" else None for c in (0, 1)]
    return Tabulated(table(*shape, periodic=periodic), grid, outside=outside, stiffness=stiffness)


def energy_and_gradient(potential, x):
    return potential.energy(x), potential.gradient(x)


# --- inside -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [4, 5, 6, 7, 40])
@pytest.mark.parametrize("outside", OUTSIDE)
def test_spline_is_that_of_scipy(outside, n):
    potential = line(outside, n)
    exact = CubicSpline(potential.grid, potential.values, bc_type="periodic" if outside == "periodic" else "not-a-knot")
    x = np.concatenate([np.linspace(LOWER, UPPER, 301), potential.grid])
    u, g = energy_and_gradient(potential, x[:, np.newaxis])
    np.testing.assert_allclose(u, exact(x), atol=2e-13)
    np.testing.assert_allclose(g[1:-1, 0], exact(x, 1)[1:-1], atol=2e-12)
    np.testing.assert_allclose(u[301:], potential.values, atol=2e-14)


@pytest.mark.parametrize("shape", [(4, 4), (9, 12), (30, 5)])
def test_surface_is_that_of_scipy(shape):
    potential = plane("clamp", "harmonic", shape=shape)
    exact = RectBivariateSpline(*potential.grid, potential.values, s=0)
    x = np.random.default_rng(1).uniform(LOWER, UPPER, (400, 2))
    u, g = energy_and_gradient(potential, x)
    np.testing.assert_allclose(u, exact.ev(*x.T), atol=1e-12)
    np.testing.assert_allclose(g[:, 0], exact.ev(*x.T, dx=1), atol=1e-11)
    np.testing.assert_allclose(g[:, 1], exact.ev(*x.T, dy=1), atol=1e-11)


def test_cubic_polynomials_are_reproduced():
    nodes, other = np.linspace(-2.0, 3.0, 11), np.linspace(0.0, 1.0, 5)
    x = np.random.default_rng(2).uniform([-2.0, 0.0], [3.0, 1.0], (300, 2))

    def f(x, y):
        return (x**3 - 2.0 * x + 1.0) * (1.0 - y + 2.0 * y**3)

    potential = Tabulated(f(*np.meshgrid(nodes, other, indexing="ij")), (nodes, other), outside="clamp")
    np.testing.assert_allclose(potential.energy(x), f(*x.T), rtol=0, atol=2e-13)
    along = (3.0 * x[:, 0] ** 2 - 2.0) * (1.0 - x[:, 1] + 2.0 * x[:, 1] ** 3)
    np.testing.assert_allclose(potential.gradient(x)[:, 0], along, rtol=0, atol=2e-12)


# --- outside ----------------------------------------------------------------------------------------------------------


def test_clamp():
    potential = line("clamp")
    x = np.array([[-1e300], [-5.0], [np.nextafter(LOWER, -9)], [UPPER + 0.01], [7.0], [np.inf]])
    u, g = energy_and_gradient(potential, x)
    np.testing.assert_allclose(u, np.where(x[:, 0] < 0, potential.values[0], potential.values[-1]), rtol=1e-13)
    np.testing.assert_array_equal(g[[0, 1, 3, 4, 5]], 0.0)


def test_periodic():
    potential = line("periodic")
    x = np.random.default_rng(3).uniform(LOWER, UPPER, (100, 1))
    for periods in (-7, 1, 40):
        shifted = x + periods * (UPPER - LOWER)
        for a, b in zip(energy_and_gradient(potential, x), energy_and_gradient(potential, shifted), strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-11)


@pytest.mark.parametrize("stiffness", [0.0, 3.0])
def test_harmonic(stiffness):
    potential = Tabulated(table(12), np.linspace(LOWER, UPPER, 12), outside="harmonic", stiffness=stiffness)
    for end, way in ((LOWER, -1.0), (UPPER, 1.0)):
        value, slope = potential.energy([end]), potential.gradient([end])[0]
        d = way * np.array([1e-9, 0.125, 2.0, 50.0])
        u, g = energy_and_gradient(potential, (end + d)[:, np.newaxis])
        np.testing.assert_allclose(u, value + slope * d + 0.5 * stiffness * d**2, rtol=1e-12)
        np.testing.assert_allclose(g[:, 0], slope + stiffness * d, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("outside", [(a, b) for a in OUTSIDE for b in OUTSIDE], ids="-".join)
def test_gradient_is_that_of_the_energy(outside):
    potential = plane(*outside)
    x = np.random.default_rng(4).uniform(LOWER - 2.0, UPPER + 2.0, (300, 2))
    h = 1e-5
    for c in (0, 1):
        step = h * np.eye(2)[c]
        slope = (potential.energy(x + step) - potential.energy(x - step)) / (2 * h)
        away = (np.abs(x[:, c] - LOWER) > h) & (np.abs(x[:, c] - UPPER) > h)
        np.testing.assert_allclose(potential.gradient(x)[away, c], slope[away], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("outside", OUTSIDE)
def test_nothing_jumps_at_the_ends(outside):
    potential = plane(outside, outside)
    x = np.random.default_rng(5).uniform(LOWER - 1.0, UPPER + 1.0, (50, 2))
    for end in (LOWER, UPPER):
        for c in (0, 1):
            below, above = x.copy(), x.copy()
            below[:, c], above[:, c] = end - 1e-9, end + 1e-9
            np.testing.assert_allclose(potential.energy(below), potential.energy(above), atol=1e-6)
            g = potential.gradient(below) - potential.gradient(above)
            np.testing.assert_allclose(g[:, 1 - c], 0.0, atol=1e-6)
            if outside != "clamp":
                np.testing.assert_allclose(g[:, c], 0.0, atol=1e-5)


@pytest.mark.parametrize("outside", OUTSIDE)
def test_not_a_number_stays_one(outside):
    for potential in (line(outside), plane(outside, outside)):
        x = np.full(potential.dim, np.nan)
        assert np.isnan(potential.energy(x))
        assert np.isnan(potential.gradient(x)).all()


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("outside", ["clamp", "periodic", "harmonic", ("clamp", "periodic"), ("periodic", "harmonic")])
def test_numba_has_the_bits_of_cpp(outside, precision):
    potential = line(outside) if isinstance(outside, str) else plane(*outside)
    # steps that lead out of the table; a wide group, one vector with unused lanes, and a particle alone
    scheme = lf.MALA(0.3) if outside == "harmonic" else lf.ULA(0.1)
    for n in (83, 1):
        a, b = (
            lf.sample(potential, scheme, n_particles=n, n_steps=20, seed=3, precision=precision, backend=backend)
            for backend in ("cpp", "numba")
        )
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.final.accepted, b.final.accepted)
    assert (a.positions < LOWER).any() or n == 1


def test_tabulated_double_well_samples_as_the_exact_one():
    exact = lf.potentials.DoubleWell(2.0)
    nodes = np.linspace(-2.5, 2.5, 101)
    potential = Tabulated(exact.energy(nodes[:, np.newaxis]), nodes, outside="harmonic", stiffness=50.0)
    run = lf.sample(potential, lf.MALA(0.1), n_particles=4000, burn_in=500, n_steps=1, stride=1, seed=11)
    x = run.positions[-1, :, 0]
    grid = np.linspace(-2.5, 2.5, 4001)
    weight = np.exp(-exact.energy(grid[:, np.newaxis]))
    for f in (lambda x: x, lambda x: x**2, lambda x: np.abs(x) < 0.5):
        mean = np.average(f(grid), weights=weight)
        sigma = np.sqrt(np.average((f(grid) - mean) ** 2, weights=weight) / len(x))
        assert abs(f(x).mean() - mean) < 4 * sigma  # independent particles


# --- the object -------------------------------------------------------------------------------------------------------


def test_attributes():
    potential = plane("periodic", "harmonic")
    assert potential.dim == 2
    assert potential.outside == ("periodic", "harmonic")
    assert potential.stiffness == (None, 4.0)
    i, j = np.unravel_index(np.argmin(potential.values), potential.values.shape)
    np.testing.assert_array_equal(potential.default_start, [potential.grid[0][i], potential.grid[1][j]])
    assert not potential.grid[1].flags.writeable
    assert "grid=(<array of shape (9,)>, <array of shape (12,)>), outside=('periodic', 'harmonic')" in repr(potential)
    copy = pickle.loads(pickle.dumps(potential))
    x = np.array([0.5, 9.0])
    np.testing.assert_array_equal(copy.gradient(x), potential.gradient(x))


def test_one_word_and_one_stiffness_for_both_components():
    grid = [np.linspace(0.0, 1.0, 4)] * 2
    potential = Tabulated(table(4, 4), grid, outside="harmonic", stiffness=2.0)
    assert potential.outside == ("harmonic", "harmonic")
    assert potential.stiffness == (2.0, 2.0)
    assert Tabulated(table(4, 4), grid, outside="clamp").stiffness is None


FOUR = np.arange(4.0)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((FOUR, FOUR), {}, TypeError, "outside"),
        ((FOUR, FOUR), {"outside": "wrap"}, ValueError, "outside must be one of 'clamp', 'periodic', 'harmonic'"),
        ((FOUR, FOUR), {"outside": 1}, TypeError, "outside must be one of"),
        ((FOUR[:3], FOUR[:3]), {}, ValueError, "grid must have at least 4 nodes"),
        (([0, 1, np.nan, 2], FOUR), {}, ValueError, r"values must be finite, got values\[2\] = nan"),
        ((FOUR, [0, 1, 2, np.inf]), {}, ValueError, r"grid must be finite"),
        ((["a"] * 4, FOUR), {}, TypeError, "values must hold real numbers"),
        ((np.ma.masked_less(FOUR, 1), FOUR), {}, ValueError, "values must have no masked entries"),
        ((FOUR, np.ma.masked_less(FOUR, 1)), {}, ValueError, "grid must have no masked entries"),
        ((FOUR, FOUR[::-1]), {}, ValueError, "grid must be ascending"),
        ((FOUR, [0.0, 1.0, 2.1, 3.0]), {}, ValueError, r"grid must be uniform .* got grid\[2\] = 2.1 where 2.0"),
        ((FOUR, np.arange(5.0)), {}, ValueError, r"values must have the shape of the grid, \(5,\), got \(4,\)"),
        ((np.zeros((4, 4)), FOUR), {}, ValueError, "grid must have one entry for each of the two axes"),
        ((np.zeros((4, 4)), (FOUR, [0, 1, 2, 4])), {}, ValueError, r"grid\[1\] must be uniform"),
        ((np.zeros((4, 4, 4)), FOUR), {}, ValueError, "values must have 1 or 2 dimensions"),
        ((np.zeros((4, 4)), (FOUR, FOUR)), {"outside": ("clamp",)}, ValueError, "outside must have one entry"),
        ((FOUR, FOUR), {"outside": "harmonic"}, ValueError, "stiffness must be given"),
        ((FOUR, FOUR), {"outside": "harmonic", "stiffness": -1}, ValueError, "stiffness must be a finite number >= 0"),
        ((FOUR, FOUR), {"outside": "clamp", "stiffness": 1.0}, ValueError, "stiffness must be None"),
        ((FOUR, FOUR), {"outside": "periodic"}, ValueError, "values must be the same at both ends"),
        ((FOUR * 5e307, FOUR), {}, ValueError, "exceed the range of double precision"),
    ],
)
def test_bad_arguments(arguments, options, error, message):
    if "outside" not in message or options:
        options = {"outside": "clamp", **options}
    with pytest.raises(error, match=message):
        Tabulated(*arguments, **options)
