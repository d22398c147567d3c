"""Free energies by umbrella sampling against quadrature, and their bits."""

import itertools
import pickle
import sys

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast.rare.bias import Bias, Coordinates

WELL = lf.potentials.DoubleWell(barrier=8.0)
SURFACE = lf.potentials.MullerBrown()
LM = lf.LeimkuhlerMatthews(0.001)


def exact_along_x(potential, edges, kT=1.0):
    """-kT log of the mean Boltzmann weight in each bin of the first component, by quadrature."""
    values = []
    for low, high in itertools.pairwise(edges):
        x = low + (np.arange(40) + 0.5) / 40 * (high - low)
        if potential.dim == 1:
            points = x[:, np.newaxis]
        else:
            points = np.stack(np.meshgrid(x, np.linspace(-1.0, 2.5, 701), indexing="ij"), axis=-1)
        values.append(-kT * np.log(np.exp(-potential.energy(points) / kT).mean()))
    return np.array(values)


def deviations(profile, exact):
    """Of a profile from the exact one, in standard errors; both relative to the lowest bin that was found."""
    lowest = int(profile.values.argmin())
    seen = np.isfinite(profile.errors)
    seen[lowest] = False
    return (profile.values - (exact - exact[lowest]))[seen] / profile.errors[seen]


@pytest.fixture
def interrupt(monkeypatch):
    """A function that has the so-manieth run of a simulation make some of its steps, and then be interrupted."""
    run = lf.Simulation.run

    def at(number):
        calls = iter(range(1, 10**9))

        def interrupted(self, n_steps, **arguments):
            if next(calls) == number:
                run(self, n_steps // 3, **arguments)
                raise KeyboardInterrupt
            run(self, n_steps, **arguments)

        monkeypatch.setattr(lf.Simulation, "run", interrupted)

    return at


# --- biases -----------------------------------------------------------------------------------------------------------


def test_a_bias_is_a_potential_of_the_coordinate():
    coordinates = Coordinates.of("pi*x[0] - x[ 1 ]**2", SURFACE, 1)
    bias = Bias(lf.potentials.Harmonic([3.0], [0.2]), coordinates)
    x = np.random.default_rng(1).normal(size=(50, 2))
    q = np.pi * x[:, 0] - x[:, 1] ** 2
    np.testing.assert_allclose(coordinates.values(x)[0], q, rtol=1e-14)
    np.testing.assert_allclose(bias.energy(x), 1.5 * (q - 0.2) ** 2, rtol=1e-12)
    slope = np.stack([np.full(50, np.pi), -2.0 * x[:, 1]], axis=1)
    np.testing.assert_allclose(bias.gradient(x), 3.0 * (q - 0.2)[:, np.newaxis] * slope, rtol=1e-11, atol=1e-11)
    moved = pickle.loads(pickle.dumps(bias.with_values({"center": [1.0]})))
    assert moved.is_alike(bias) and moved.functions is bias.functions
    np.testing.assert_allclose(moved.energy(x), 1.5 * (q - 1.0) ** 2, rtol=1e-12)
    # the twin, which runs where there is no machine code
    g = np.empty((2, 50))
    u = bias.functions.energy_gradient(x.T, g, bias.parameters)
    np.testing.assert_array_equal(u, bias.energy(x))
    np.testing.assert_array_equal(g.T, bias.gradient(x))


def test_a_bias_in_many_dimensions():
    """Beyond 16 components the loop over them is not written out."""
    bias = Bias(lf.potentials.Harmonic([3.0], [0.2]), Coordinates.of("x[0]*x[16]", lf.potentials.Free(17), 1))
    x, g = np.random.default_rng(1).normal(size=(50, 17)), np.empty((17, 50))
    bias.functions.gradient(x.T, g, bias.parameters)
    np.testing.assert_array_equal(g.T, bias.gradient(x))
    np.testing.assert_allclose(g[16], 3.0 * (x[:, 0] * x[:, 16] - 0.2) * x[:, 0], rtol=1e-13)
    assert not g[1:16].any()


def test_names_of_an_expression_are_names_in_coordinates():
    plane = lf.potentials.Expression("a**2 + b**2", variables="a b")
    coordinates = Coordinates.of(["a - b", "x[1]"], plane, 2)
    np.testing.assert_array_equal(coordinates.values(np.array([[3.0, 1.0]])), [[2.0], [1.0]])


# --- umbrella sampling ------------------------------------------------------------------------------------------------


def umbrella(potential=WELL, scheme=LM, coordinate="x", **arguments):
    given = {"centers": np.linspace(-1.4, 1.4, 15), "stiffness": 60.0, "threads": 1, **arguments}
    return lf.rare.Umbrella(potential, scheme, coordinate, **given)


SHORT = {"n_steps": 60, "n_walkers": 3, "burn_in": 20, "stride": 20}


@pytest.fixture(scope="module")
def windows():
    pytest.importorskip("pymbar")
    return umbrella().run(4000, n_walkers=32, burn_in=1000, stride=50, seed=1)


def test_umbrella_sampling_is_exact(windows):
    profile = windows.free_energy(28)
    edges = np.linspace(-1.4, 1.4, 29)
    np.testing.assert_allclose(profile.centers, 0.5 * (edges[1:] + edges[:-1]))
    z = deviations(profile, exact_along_x(WELL, edges))
    assert len(z) == 27 and abs(z).max() < 4.0
    assert np.nanmax(profile.errors) < 0.25
    assert profile.values.min() == 0.0 and profile.errors[profile.values.argmin()] == 0.0


def test_windows_overlap(windows):
    np.testing.assert_allclose(windows.overlap.sum(axis=1), 1.0, rtol=1e-6)
    assert np.diag(windows.overlap, 1).min() > 0.05
    assert abs(np.diag(windows.overlap, 5)).max() < 1e-3
    assert (windows.statistical_inefficiency >= 1.0).all()
    assert windows.mbar.N_k.sum() < windows.coordinates.size


def test_bins_without_samples(windows):
    profile = windows.free_energy(10, (-5.0, 5.0))
    assert np.isinf(profile.values[0]) and np.isnan(profile.errors[0])
    assert np.isfinite(profile.values[4:6]).all()


def test_jax_is_left_as_it_was(windows):
    jax = pytest.importorskip("jax")
    before = jax.config.jax_enable_x64
    windows.free_energy(5)
    assert jax.config.jax_enable_x64 == before


def test_windows_are_a_function_of_the_seed():
    first, again = (umbrella(threads=n).run(**SHORT, seed=7) for n in (1, 3))
    np.testing.assert_array_equal(first.positions, again.positions)
    assert first.coordinates.shape == (15, 3, 3) and first.streams[2].tolist() == [6, 7, 8]
    other = umbrella(threads=1).run(**SHORT)
    assert other.seed != 7 and (other.positions != first.positions).all()


def test_a_window_runs_again_alone():
    result = pickle.loads(pickle.dumps(umbrella(scheme=lf.BAOAB(0.02, friction=1.0)).run(**SHORT, seed=7)))
    for k in (0, 7, 14):
        simulation, frames = result.simulation(k), lf.observers.Frames(20)
        simulation.run(20)
        simulation.run(60, record=[frames])
        np.testing.assert_array_equal(frames.positions, result.positions[k])
        np.testing.assert_array_equal(frames.positions[..., 0], result.coordinates[k])


def test_windows_begin_where_their_neighbours_ended():
    result = umbrella().run(**SHORT, seed=7)
    first = np.flatnonzero((result.starts == -1.0).all(axis=(1, 2)))  # the default start is -1
    assert first.tolist() == [2]
    np.testing.assert_array_equal(result.starts[3:], result.positions[2:-1, -1])
    np.testing.assert_array_equal(result.starts[:2], result.positions[1:3, -1])


@pytest.mark.parametrize("number", [1, 2, 9, 30])
def test_interrupted_windows_go_on(interrupt, monkeypatch, number):
    expected = umbrella().run(**SHORT, seed=7)
    sampling = umbrella()
    interrupt(number)
    with pytest.raises(lf.Interrupted) as caught:
        sampling.run(**SHORT, seed=7)
    done = caught.value.result
    complete = (number - 1) // 2
    assert (done is None) == (complete == 0)
    if done is not None:
        assert len(done.centers) == complete
        numbers = np.searchsorted(expected.centers, done.centers)
        np.testing.assert_array_equal(done.positions, expected.positions[numbers])
    found = sampling.run(**SHORT, seed=7)
    np.testing.assert_array_equal(found.positions, expected.positions)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coordinate": lambda x: x[0]}, "coordinate must be a formula such as"),
        ({"coordinate": ["x", "x"]}, "coordinate must be one formula"),
        ({"coordinate": "x + y"}, "coordinate"),
        ({"coordinate": "log(x)"}, "initial: 'log\\(x\\)' is not finite"),
        ({"centers": [0.0, 0.0]}, "centers=.* must ascend"),
        ({"stiffness": 0.0}, "stiffness must be .*> 0"),
        ({"stiffness": [1.0, 2.0]}, "stiffness must be one number, or one for each of 15"),
        ({"scheme": lf.ULA(0.001, kT=[1.0, 2.0])}, "kT=.* must be one positive number"),
        ({"scheme": lf.ULA(0.001, kT=0.0)}, "kT=0.0 must be one positive number"),
        ({"scheme": lf.ULA(0.001, kT=lf.Schedule([0, 1], [1, 2]))}, "a schedule drives"),
        ({"n_walkers": 3}, "has no argument 'n_walkers'"),
    ],
)
def test_umbrellas_that_are_not_allowed(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        umbrella(**arguments)


def test_runs_of_umbrellas_that_are_not_allowed(windows):
    sampling = umbrella(initial=[[-1.0], [-0.9]])
    for arguments, message in (
        ({"n_walkers": 3}, "n_walkers=3: it must be the number of points of initial, 2"),
        ({"n_walkers": 2, "stride": 0}, "stride must be an integer >= 1"),
        ({"n_walkers": 2, "n_steps": 10}, "n_steps must be an integer >= 20"),
        ({"n_walkers": 2, "burn_in": -1}, "burn_in must be an integer >= 0"),
        ({"n_walkers": 2, "seed": -1}, "seed must be an integer"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            sampling.run(**{**SHORT, **arguments})
    for arguments, message in (
        ({"bins": 0}, "bins must be an integer >= 1"),
        ({"range": 3}, "range must be a pair"),
        ({"range": (1.0, 0.0)}, "range=.* must ascend"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            windows.free_energy(**arguments)


def test_missing_pymbar_is_named_with_its_extra(monkeypatch):
    result = umbrella().run(**SHORT, seed=1)
    monkeypatch.setitem(sys.modules, "pymbar", None)
    with pytest.raises(ImportError, match=r"pip install 'langevin-fast\[mbar\]'"):
        result.free_energy()


@pytest.mark.slow
def test_errors_of_umbrella_sampling_are_what_differs_between_runs():
    """The mean square deviation in standard errors, over 20 calculations of 28 bins: 1, but for chance."""
    pytest.importorskip("pymbar")
    sampling, exact = umbrella(), exact_along_x(WELL, np.linspace(-1.4, 1.4, 29))
    z = [
        deviations(sampling.run(4000, n_walkers=32, burn_in=1000, stride=50, seed=seed).free_energy(28), exact)
        for seed in range(20)
    ]
    assert 0.6 < np.mean(np.square(z)) < 1.5


@pytest.mark.slow
@pytest.mark.parametrize(("coordinate", "kT"), [("x[0]", 20.0), ("x[0] - x[1]", 10.0)])
def test_muller_brown_by_umbrella_sampling(coordinate, kT):
    """Along x at kT = 20, where y relaxes within a window; along the valley at kT = 10, over barriers of 10 kT."""
    pytest.importorskip("pymbar")
    scheme = lf.BAOAB(0.004, friction=5.0, kT=kT)
    if coordinate == "x[0]":
        sampling = umbrella(SURFACE, scheme, coordinate, centers=np.linspace(-1.2, 0.9, 22), stiffness=1500.0)
        profile = sampling.run(40_000, n_walkers=32, burn_in=5000, stride=100, seed=1).free_energy(42)
        edges = np.linspace(-1.2, 0.9, 43)
        exact = exact_along_x(SURFACE, edges, kT)
    else:
        sampling = umbrella(
            SURFACE, scheme, coordinate, centers=np.linspace(-2.1, 0.7, 29), stiffness=700.0, initial=[-0.558, 1.442]
        )
        profile = sampling.run(20_000, n_walkers=32, burn_in=5000, stride=50, seed=1).free_energy(56)
        edges = np.linspace(-2.1, 0.7, 57)
        exact = exact_along_x(Sheared(), edges, kT)
    z = deviations(profile, exact)
    assert len(z) > 40 and abs(z).max() < 4.0
    assert np.nanmax(profile.errors) < 0.1 * kT


class Sheared:
    """The surface in the components x - y and y."""

    dim = 2

    def energy(self, x):
        return SURFACE.energy(np.stack([x[..., 0] + x[..., 1], x[..., 1]], axis=-1))
