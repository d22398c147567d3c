"""Free energies by umbrella sampling and metadynamics against quadrature, and their bits."""

import itertools
import pickle
import sys

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast.rare.bias import Bias, Coordinates
from langevin_fast.rare.grid import Grid, Spline
from langevin_fast.rare.hills import Hills
from langevin_fast.stepping import Stepper

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


# --- grids ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("periodic", [False, True, (True, False)])
def test_hills_on_a_grid_are_gaussians(periodic):
    grid = Grid((np.linspace(-2, 2, 41), np.linspace(-2, 2, 61)), periodic, 2)
    places, heights, widths = np.array([[0.13, 1.9], [0.4, -1.2]]), np.array([1.0, 0.5]), (0.2, 0.15)
    coefficients = grid.hills(places, heights, widths)
    spline = Spline(grid, coefficients)
    x = np.random.default_rng(2).uniform(-2, 2, (1000, 2))
    expected = np.zeros(1000)
    for place, height in zip(places.T, heights, strict=True):
        d = x - place
        d = np.where([axis.periodic for axis in grid.axes], d - 4.0 * np.round(d / 4.0), d)
        expected += height * np.exp(-0.5 * np.square(d / widths).sum(axis=1))
    np.testing.assert_allclose(spline.energy(x), expected, rtol=0, atol=1e-3)
    np.testing.assert_allclose(grid.values(coefficients, x.T), spline.energy(x), rtol=0, atol=1e-14)
    nodes = np.stack(np.meshgrid(*(axis.nodes for axis in grid.axes), indexing="ij"), axis=-1)
    np.testing.assert_allclose(grid.at_nodes(coefficients), spline.energy(nodes), rtol=0, atol=1e-14)


# --- metadynamics -----------------------------------------------------------------------------------------------------


def metadynamics(potential=WELL, scheme=LM, coordinate="x", **arguments):
    given = {
        **{"grid": np.linspace(-2.0, 2.0, 161), "height": 0.3, "width": 0.1, "bias_factor": 8.0, "stride": 500},
        **{"n_walkers": 32, "seed": 1, "threads": 1, **arguments},
    }
    return lf.rare.Metadynamics(potential, scheme, coordinate, **given)


@pytest.fixture(scope="module")
def filled():
    return metadynamics().run(200_000)


def test_metadynamics_is_exact(filled):
    edges = np.linspace(-1.5, 1.5, 31)
    profile = filled.free_energy(30, (-1.5, 1.5))
    np.testing.assert_allclose(profile.centers, 0.5 * (edges[1:] + edges[:-1]))
    z = deviations(profile, exact_along_x(WELL, edges))
    assert len(z) == 29 and abs(z).max() < 4.5
    assert np.nanmax(profile.errors) < 0.25
    assert filled.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("bias_factor", [3.0, 8.0])
def test_the_bias_is_the_share_of_the_free_energy_that_tempering_leaves(filled, bias_factor):
    """V = -(1 - 1/bias_factor) F: the slope of one over the other, and what is left beside the line."""
    result = filled if bias_factor == 8.0 else metadynamics(bias_factor=bias_factor).run(200_000)
    inside = abs(result.nodes[0]) < 1.25
    U, V = WELL.energy(result.nodes[0][inside, np.newaxis]), result.bias_on_nodes[inside]
    slope, _ = np.polyfit(U, V, 1)
    assert slope == pytest.approx(-(1.0 - 1.0 / bias_factor), rel=0.03)
    F = result.sum_hills()[inside]
    assert (F - U).std() < 0.15
    np.testing.assert_allclose(result.bias.of.energy(result.nodes[0][:, np.newaxis]), result.bias_on_nodes, atol=1e-12)


@pytest.mark.parametrize("bias_factor", [5.0, np.inf])
def test_heights_and_biases_are_those_of_gaussians(bias_factor):
    """Once more from where the walkers were, without grid or spline."""
    result = metadynamics(bias_factor=bias_factor, n_walkers=3, stride=20).run(1000)
    q = result.coordinates[0]
    assert q.shape == (50, 3) and result.steps.tolist() == list(range(20, 1001, 20))
    for t in range(50):
        hills = np.exp(-0.5 * np.square((q[t, :, np.newaxis] - q[:t].reshape(-1)) / 0.1))
        V = hills @ result.heights[:t].reshape(-1)
        np.testing.assert_allclose(result.bias_before[t], V, rtol=2e-3, atol=1e-3)
        np.testing.assert_allclose(result.heights[t], 0.3 * np.exp(-result.bias_before[t] / (bias_factor - 1.0)))


def test_between_deposits_it_is_a_plain_run_with_the_bias():
    scheme = lf.BAOAB(0.02, friction=1.0)
    filling = metadynamics(scheme=scheme, n_walkers=5, stride=50)
    for n in (49, 1, 50, 150):
        x, v, step, bias = filling.positions, filling.velocities, filling.step, filling.result.bias
        plain = lf.Simulation(
            WELL + bias, lf.BAOAB(0.02, friction=1.0), initial=x, velocities=v, first_step=step, seed=1
        )
        result = filling.run(n)
        if n <= 50:  # no deposit in between, but at the end
            plain.run(n)
            np.testing.assert_array_equal(plain.positions, filling.positions)
            np.testing.assert_array_equal(plain.velocities, filling.velocities)
    np.testing.assert_array_equal(result.positions[-1], filling.positions)


def check_same(a, b):
    for name in ("positions", "coordinates", "bias_before", "heights", "bias_on_nodes", "steps"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize("precision", ["double", pytest.param("single", marks=pytest.mark.slow)])
def test_metadynamics_is_a_function_of_the_seed(precision):
    expected = metadynamics(stride=30, precision=precision, threads=1).run(400)
    filling = metadynamics(stride=30, precision=precision, threads=3)
    filling.run(100)
    twin = pickle.loads(pickle.dumps(filling))
    for one in (filling, twin):
        one.run(0)
        one.run(200)
        check_same(one.run(100), expected)
    other = metadynamics(stride=30, precision=precision, seed=None)
    assert other.seed != 1 and (other.run(400).positions != expected.positions).any()


@pytest.mark.parametrize("place", ["steps", "deposit", "coefficients"])
@pytest.mark.parametrize("number", [1, 4])
def test_interrupted_metadynamics_goes_on(monkeypatch, place, number):
    owner, name = (Stepper, "_make_steps") if place == "steps" else (Hills, place)
    expected = metadynamics(stride=30).run(400)
    filling = metadynamics(stride=30)
    function, calls = getattr(owner, name), iter(range(1, 10**9))

    def interrupted(*arguments):
        if next(calls) == number:
            raise KeyboardInterrupt
        return function(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, interrupted)
        with pytest.raises(lf.Interrupted) as caught:
            filling.run(400)
    done = caught.value.result
    assert len(done.steps) <= number and filling.step < 400
    np.testing.assert_array_equal(done.heights, expected.heights[: len(done.heights)])
    check_same(filling.run(400 - filling.step), expected)


def test_a_walker_beyond_the_grid_deposits_nothing():
    result = metadynamics(grid=np.linspace(-1.5, -0.5, 161), n_walkers=2, initial=[[-1.0], [1.0]], stride=10).run(50)
    assert (result.heights[:, 0] > 0.0).all() and (result.heights[:, 1] == 0.0).all()
    assert result.bias.of.energy([[5.0]]) == pytest.approx(result.bias_on_nodes[-1], rel=1e-12)


@pytest.mark.slow
def test_a_periodic_coordinate():
    washboard = lf.potentials.Expression("-2*cos(phi)", variables="phi")
    result = metadynamics(
        washboard, coordinate="phi", grid=np.linspace(-np.pi, np.pi, 65), periodic=True, width=0.3, initial=[np.pi]
    ).run(100_000)
    assert abs(result.coordinates).max() > np.pi  # they go around
    V = result.bias_on_nodes
    assert V[0] == V[-1]
    profile = result.free_energy(24)
    edges = np.linspace(-np.pi, np.pi, 25)
    z = deviations(profile, exact_along_x(washboard, edges))
    assert abs(z).max() < 4.5 and np.nanmax(profile.errors) < 0.25


def test_a_divergence_leaves_it_where_it_was():
    filling = metadynamics(scheme=lf.ULA(0.06), stride=10, height=50.0, n_walkers=4)
    with pytest.raises(lf.DivergenceError) as caught:
        filling.run(5000)
    assert filling.step == caught.value.step - 1
    assert len(filling.result.steps) == filling.step // 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coordinate": lambda x: x[0]}, "coordinate must be a formula such as"),
        ({"coordinate": ["x", "x", "x"]}, "coordinate must be one to 2 formulas"),
        ({"coordinate": ["x", "x"]}, "grid must be a pair of arrays"),
        ({"grid": [0.0, 1.0]}, "grid must have at least 4 nodes"),
        ({"grid": [0.0, 1.0, 3.0, 4.0]}, "grid must be uniform"),
        ({"periodic": "yes"}, "periodic must be True or False"),
        ({"width": 0.01}, "width=0.01 must be at least the distance of the nodes of grid, 0.025"),
        ({"width": [0.1, 0.1]}, "width must be one number, or one for each of 1"),
        ({"width": -1.0}, "width must be .*> 0"),
        ({"height": 0.0}, "height must be"),
        ({"bias_factor": 1.0}, "bias_factor=1.0 must be > 1, or inf"),
        ({"bias_factor": "x"}, "bias_factor must be a finite number"),
        ({"stride": 0}, "stride must be an integer >= 1"),
        ({"n_walkers": 0}, "n_walkers must be an integer >= 1"),
        ({"scheme": lf.ULA(0.001, kT=0.0)}, "kT=0.0 must be one positive number"),
        ({"potential": lf.potentials.Batch(gradient=lambda x: x, dim=1)}, "is not compiled"),
        ({"backend": "batch"}, "batch"),
        ({"steps": 3}, "has no argument 'steps'"),
    ],
)
def test_metadynamics_that_is_not_allowed(arguments, message):
    with pytest.raises((TypeError, ValueError, lf.BackendUnavailableError), match=message):
        metadynamics(**arguments)


def test_free_energies_that_are_not_allowed(filled):
    for arguments, message in (
        ({"bins": 0}, "bins must be an integer >= 1"),
        ({"bins": [3, 3]}, "bins must be one number, or one for each of 1"),
        ({"range": (1.0, 0.0)}, "must ascend"),
        ({"burn_in": -1}, "burn_in must be an integer >= 0"),
        ({"burn_in": 200_000}, "burn_in=200000: 0 deposits follow; errors need 1 or more"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            filled.free_energy(**arguments)
    with pytest.raises(ValueError, match="0 deposits follow"):
        metadynamics().result.free_energy()


@pytest.mark.slow
@pytest.mark.parametrize(("n_walkers", "n_steps"), [(1, 4_000_000), (32, 200_000)])
def test_errors_of_metadynamics_are_what_differs_between_runs(n_walkers, n_steps):
    """The mean square deviation in standard errors, over 16 calculations of 30 bins: 1, but for chance."""
    edges = np.linspace(-1.5, 1.5, 31)
    exact = exact_along_x(WELL, edges)
    z = [
        deviations(metadynamics(n_walkers=n_walkers, seed=seed).run(n_steps).free_energy(30, (-1.5, 1.5)), exact)
        for seed in range(16)
    ]
    assert 0.6 < np.mean(np.square(z)) < 1.8


@pytest.mark.slow
def test_muller_brown_along_x_by_metadynamics():
    edges = np.linspace(-1.2, 0.9, 43)
    scheme = lf.BAOAB(0.002, friction=5.0, kT=20.0)
    filling = metadynamics(
        *(SURFACE, scheme, "x[0]"),
        **{"grid": np.linspace(-2.0, 1.6, 91), "height": 1.0, "width": 0.1, "bias_factor": 6.0, "stride": 250},
        n_walkers=64,
    )
    profile = filling.run(400_000).free_energy(42, (-1.2, 0.9))
    z = deviations(profile, exact_along_x(SURFACE, edges, 20.0))
    assert abs(z).max() < 4.5
    assert np.nanmax(profile.errors) < 3.0


@pytest.mark.slow
def test_muller_brown_in_the_plane_by_metadynamics():
    """On two coordinates, at kT = 10, up to 100 above the deepest well."""
    kT, ends = 10.0, [(-1.3, 0.9), (-0.3, 1.9)]
    filling = metadynamics(
        *(SURFACE, lf.BAOAB(0.004, friction=5.0, kT=kT), ["x[0]", "x[1]"]),
        **{"grid": (np.linspace(-2.0, 1.6, 91), np.linspace(-1.0, 2.6, 91)), "height": 4.0, "width": 0.08},
        **{"bias_factor": 10.0, "stride": 250, "n_walkers": 64},
    )
    profile = filling.run(200_000).free_energy(30, ends)
    fine = [low + (np.arange(240) + 0.5) / 240 * (high - low) for low, high in ends]
    weights = np.exp(-(SURFACE.energy(np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)) + 150.0) / kT)
    exact = -kT * np.log(weights.reshape(30, 8, 30, 8).mean(axis=(1, 3)))
    lowest = np.unravel_index(profile.values.argmin(), profile.values.shape)
    seen = np.isfinite(profile.errors) & (exact - exact.min() < 100.0)
    seen[lowest] = False
    z = (profile.values - (exact - exact[lowest]))[seen] / profile.errors[seen]
    assert len(z) > 280 and abs(z).max() < 5.0 and np.square(z).mean() < 2.0
