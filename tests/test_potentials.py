"""Built-in potentials against plain formulas, finite differences and reference values."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import reference

from langevin_fast import potentials as lfp

# ---- plain formulas -------------------------------------------------------------------------------------------------
# Written from the definitions, apart from the package. They also take complex x, so that Im U(x + i e) / e gives
# their gradients to full precision.


def free(x):
    return 0 * x[..., 0]


def harmonic(x):
    return 0.5 * (1.0 * (x[..., 0] - 0.3) ** 2 + 4.0 * (x[..., 1] + 1.0) ** 2 + 0.0 * x[..., 2])


MEAN = np.array([0.5, -1.0, 2.0])
COVARIANCE = np.array([[2.0, 0.6, -0.3], [0.6, 1.0, 0.2], [-0.3, 0.2, 0.5]])


def gaussian(x):
    d = x - MEAN
    return 0.5 * np.einsum("...i,ij,...j", d, np.linalg.inv(COVARIANCE), d)


def double_well(x):
    return 3.0 * ((x[..., 0] / 0.8) ** 2 - 1) ** 2 + 0.5 * x[..., 0] + 0.5 * 2.5 * (x[..., 1] ** 2 + x[..., 2] ** 2)


def double_well_1d(x):
    return (x[..., 0] ** 2 - 1) ** 2


def prinz(x):
    x = x[..., 0]
    wells = 0.8 * np.exp(-80 * x**2) + 0.2 * np.exp(-80 * (x - 0.5) ** 2) + 0.5 * np.exp(-40 * (x + 0.5) ** 2)
    return 4 * (x**8 + wells)


def muller_brown(x):
    x, y = x[..., 0], x[..., 1]
    total = 0
    for A, a, b, c, X, Y in [
        (-200, -1, 0, -10, 1, 0),
        (-100, -1, 0, -10, 0, 0.5),
        (-170, -6.5, 11, -6.5, -0.5, 1.5),
        (15, 0.7, 0.6, 0.7, -1, 1),
    ]:
        total = total + A * np.exp(a * (x - X) ** 2 + b * (x - X) * (y - Y) + c * (y - Y) ** 2)
    return 0.1 * total


def rosenbrock(x):
    return 0.05 * ((1.5 - x[..., 0]) ** 2 + 20.0 * (x[..., 1] - x[..., 0] ** 2) ** 2)


LINKS = np.array([[1.0, 2.0, 3.0], [0.5, 0.25, 4.0]])  # n1 = 4, n2 = 2


def hybrid_rosenbrock(x):
    total = 0.4 * (x[..., 0] - 0.7) ** 2
    position = 0
    for j in range(2):
        previous = x[..., 0]
        for i in range(3):
            position += 1
            total = total + LINKS[j, i] * (x[..., position] - previous**2) ** 2
            previous = x[..., position]
    assert position + 1 == x.shape[-1]
    return total


def neal_funnel(x):
    v = x[..., 0]
    return v**2 / (2 * 1.5**2) + np.sum(x[..., 1:] ** 2 * np.exp(-v)[..., None] / 2 + v[..., None] / 2, axis=-1)


WEIGHTS = np.array([0.5, 1.5, 2.0])
MEANS = np.array([[0.0, 1.0], [-2.0, 0.5], [1.5, -1.0]])
VARIANCES = np.array([0.5, 1.0, 2.0])
COVARIANCES = np.array([[[1.0, 0.3], [0.3, 0.5]], [[2.0, -0.8], [-0.8, 1.0]], [[0.4, 0.0], [0.0, 0.4]]])


def mixture(x, covariances):
    terms = []
    for w, mean, covariance in zip(WEIGHTS / WEIGHTS.sum(), MEANS, covariances, strict=True):
        d = x - mean
        norm = np.log(w) - 0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
        terms.append(norm - 0.5 * np.einsum("...i,ij,...j", d, np.linalg.inv(covariance), d))
    largest = np.max(np.real(terms), axis=0)
    return -(largest + np.log(np.sum(np.exp(np.array(terms) - largest), axis=0)))


def mixture_1d(x):
    density = 0
    for w, mean, variance in [(0.25, -1.0, 0.3), (0.75, 2.0, 0.3)]:
        density = density + w * np.exp(-((x[..., 0] - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    return -np.log(density)


def ring(x):
    return (np.sqrt(np.sum(x**2, axis=-1)) - 1.5) ** 2 / (2 * 0.4**2)


def lennard_jones(x):
    atoms = x.reshape(*x.shape[:-1], -1, 3)
    length = np.sqrt(np.sum(atoms**2, axis=-1))
    total = 0.5 * 7.0 * np.sum(np.where(np.real(length) > 1.2, length - 1.2, 0) ** 2, axis=-1)
    for i in range(atoms.shape[-2]):
        for j in range(i):
            r = np.sqrt(np.sum((atoms[..., i, :] - atoms[..., j, :]) ** 2, axis=-1))
            total = total + 4 * 1.7 * ((0.9 / r) ** 12 - (0.9 / r) ** 6)
    return total


FEATURES = np.random.default_rng(5).normal(size=(11, 3))
LABELS = np.array([1, 0, 1, 1, 0, 0, 1, 0, 1, 0, 0])


GRID = np.linspace(-8.0, 8.0, 33)


def cubic(x):
    return (x[..., 0] ** 3 - 10.0 * x[..., 0]) / 8.0


def logistic(x):
    z = np.einsum("nd,...d->...n", FEATURES, x)
    likelihood = np.log(1 + np.exp(z)) - LABELS * z
    return np.sum(likelihood, axis=-1) + np.sum(x**2, axis=-1) / (2 * 2.5**2)


# ---- one case per potential -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    make: Callable[[], lfp.Potential]
    energy: Callable[[np.ndarray], np.ndarray]
    spread: float = 1.0  # the points are normal around the default start
    start: tuple[float, ...] | None = None  # or around this point

    def points(self, potential: lfp.Potential, n: int = 200) -> np.ndarray:
        center = potential.default_start if self.start is None else self.start
        return center + self.spread * np.random.default_rng(12).normal(size=(n, potential.dim))


CASES = {
    "Free": Case(lambda: lfp.Free(2), free),
    "Harmonic": Case(lambda: lfp.Harmonic([1.0, 4.0, 0.0], center=[0.3, -1.0, 9.0]), harmonic),
    "Gaussian": Case(lambda: lfp.Gaussian(mean=MEAN, covariance=COVARIANCE), gaussian),
    "DoubleWell": Case(
        lambda: lfp.DoubleWell(barrier=3.0, width=0.8, tilt=0.5, dim=3, stiffness=2.5), double_well, 0.7
    ),
    "DoubleWell 1-D": Case(lfp.DoubleWell, double_well_1d, 0.7),
    "Prinz": Case(lfp.Prinz, prinz, 0.5, (0.0,)),
    "MullerBrown": Case(lambda: lfp.MullerBrown(scale=0.1), muller_brown, 0.4, (-0.2, 0.7)),
    "Rosenbrock": Case(lambda: lfp.Rosenbrock(a=1.5, b=20.0, scale=0.05), rosenbrock),
    "HybridRosenbrock": Case(lambda: lfp.HybridRosenbrock(4, 2, a=0.4, b=LINKS, mu=0.7), hybrid_rosenbrock, 0.5),
    "NealFunnel": Case(lambda: lfp.NealFunnel(5, sigma=1.5), neal_funnel),
    "GaussianMixture isotropic": Case(
        lambda: lfp.GaussianMixture(WEIGHTS, MEANS, VARIANCES),
        lambda x: mixture(x, VARIANCES[:, None, None] * np.eye(2)),
        2.0,
        (0.0, 0.0),
    ),
    "GaussianMixture full": Case(
        lambda: lfp.GaussianMixture(WEIGHTS, MEANS, COVARIANCES), lambda x: mixture(x, COVARIANCES), 2.0, (0.0, 0.0)
    ),
    "GaussianMixture 1-D": Case(lambda: lfp.GaussianMixture([1, 3], [-1.0, 2.0], 0.3), mixture_1d, 1.0, (0.5,)),
    "Ring": Case(lambda: lfp.Ring(radius=1.5, width=0.4, dim=3), ring, 1.0),
    "LennardJonesCluster": Case(
        lambda: lfp.LennardJonesCluster(7, epsilon=1.7, sigma=0.9, wall=1.2, wall_stiffness=7.0), lennard_jones, 0.04
    ),
    "LogisticRegression": Case(lambda: lfp.LogisticRegression(FEATURES, LABELS, prior_scale=2.5), logistic),
    # a spline whose ends are not knots repeats a cubic polynomial
    "Tabulated": Case(lambda: lfp.Tabulated(cubic(GRID[:, np.newaxis]), GRID, outside="clamp"), cubic, 1.0, (1.0,)),
}
each_case = pytest.mark.parametrize("case", list(CASES.values()), ids=list(CASES))


def complex_step_gradient(energy, x):
    columns = []
    for c in range(x.shape[-1]):
        shifted = x.astype(complex)
        shifted[..., c] += 1e-30j
        columns.append(np.imag(energy(shifted)) / 1e-30)
    return np.stack(columns, axis=-1)


def central_differences(energy, x, h=5e-4):
    """Fourth order: the error is h^4/30 of the fifth derivative plus some 1e-16 U/h."""
    columns = []
    for c in range(x.shape[-1]):
        e = np.zeros(x.shape[-1])
        e[c] = h
        columns.append((8 * (energy(x + e) - energy(x - e)) - (energy(x + 2 * e) - energy(x - 2 * e))) / (12 * h))
    return np.stack(columns, axis=-1)


def assert_close(actual, expected, tolerance):
    """|actual - expected| <= tolerance (|expected| + its median): terms may cancel at single points."""
    allowed = tolerance * (np.abs(expected) + np.median(np.abs(expected)))
    worst = np.max(np.abs(actual - expected) - allowed)
    assert worst <= 0, f"off by up to {np.max(np.abs(actual - expected))}, allowed there or elsewhere {allowed.max()}"


def test_every_potential_has_a_case():
    assert {type(case.make()) for case in CASES.values()} == set(lfp.BUILTIN)
    assert all(cls.kind == cls.__name__ and cls.__name__ in lfp.__all__ for cls in lfp.BUILTIN)


def test_order_is_that_of_the_cpp_list():
    header = Path(__file__).parents[1] / "cpp" / "potentials" / "list.hpp"
    if not header.exists():
        pytest.skip("not in a source checkout")
    assert re.findall(r"^  X\((\w+)\)", header.read_text(), re.MULTILINE) == [cls.__name__ for cls in lfp.BUILTIN]


@each_case
def test_energy_is_the_formula_in_double(case):
    potential = case.make()
    x = case.points(potential)
    assert_close(potential.energy(x), case.energy(x), 1e-12)


@each_case
def test_gradient_is_the_formulas_gradient_in_double(case):
    potential = case.make()
    x = case.points(potential)
    assert_close(potential.gradient(x), complex_step_gradient(case.energy, x), 1e-12)


@each_case
def test_single_precision_is_the_formula_to_1e_5(case):
    potential = case.make()
    x = case.points(potential).astype(np.float32)
    energy, gradient = potential.energy(x), potential.gradient(x)
    assert energy.dtype == gradient.dtype == np.float32
    exact = x.astype(np.float64)
    assert_close(energy, case.energy(exact), 1e-5)
    assert_close(gradient, complex_step_gradient(case.energy, exact), 1e-5)


@each_case
def test_gradient_is_the_difference_quotient_of_the_energy(case):
    potential = case.make()
    x = case.points(potential, 50).astype(np.float32)
    slope = central_differences(potential.energy, x.astype(np.float64))
    assert_close(potential.gradient(x.astype(np.float64)), slope, 1e-7)
    assert_close(potential.gradient(x), slope, 2e-5)


# ---- shapes, types, identity ----------------------------------------------------------------------------------------


@each_case
def test_shapes_and_types(case):
    potential = case.make()
    dim = potential.dim
    x = case.points(potential, 6)
    energy, gradient = potential.energy(x), potential.gradient(x)
    assert energy.dtype == gradient.dtype == np.float64
    for shape in [(6,), (2, 3), (1, 6, 1)]:
        stacked = x.reshape(*shape, dim)
        np.testing.assert_array_equal(potential.energy(stacked), energy.reshape(shape))
        np.testing.assert_array_equal(potential.gradient(stacked), gradient.reshape(*shape, dim))
    assert potential.energy(x[0]).shape == () and potential.energy(x[0]) == energy[0]
    assert potential.gradient(x[0]).shape == (dim,)
    np.testing.assert_array_equal(potential.energy(np.asfortranarray(x)), energy)
    np.testing.assert_array_equal(potential.gradient(x[::-1])[::-1], gradient)
    np.testing.assert_array_equal(potential.energy(x.tolist()), energy)
    assert potential.energy(np.ones((3, dim), dtype=int)).dtype == np.float64
    for dtype in (np.float32, np.float64):
        empty = np.empty((0, 4, dim), dtype)
        assert potential.energy(empty).shape == (0, 4) and potential.energy(empty).dtype == dtype
        assert potential.gradient(empty).shape == (0, 4, dim) and potential.gradient(empty).dtype == dtype


@each_case
def test_x_of_a_wrong_shape_or_type(case):
    potential = case.make()
    for evaluate in (potential.energy, potential.gradient):
        for x in (np.zeros((4, potential.dim + 1)), 0.5):
            with pytest.raises(ValueError, match=rf"x must have shape \(\.\.\., {potential.dim}\)"):
                evaluate(x)
        with pytest.raises(TypeError, match="x must hold real numbers"):
            evaluate(np.zeros((4, potential.dim), dtype=complex))
        with pytest.raises(ValueError, match="rectangular"):
            evaluate([[1.0], [1.0, 2.0]])


def test_one_dimension_wants_an_axis_of_length_1():
    with pytest.raises(ValueError, match=re.escape("x[..., np.newaxis]")):
        lfp.DoubleWell().energy(np.linspace(-1, 1, 5))


@each_case
def test_copies_and_pickles_are_the_same_potential(case):
    potential = case.make()
    x = case.points(potential, 5)
    for twin in (copy.copy(potential), copy.deepcopy(potential), pickle.loads(pickle.dumps(potential))):
        assert type(twin) is type(potential) and repr(twin) == repr(potential) and twin.dim == potential.dim
        np.testing.assert_array_equal(twin.parameters, potential.parameters)
        np.testing.assert_array_equal(twin.default_start, potential.default_start)
        np.testing.assert_array_equal(twin.energy(x), potential.energy(x))
        assert not twin.parameters.flags.writeable and not twin.default_start.flags.writeable


@each_case
def test_nothing_changes_after_construction(case):
    potential = case.make()
    for array in [potential.parameters, potential.default_start, *vars(potential).values()]:
        if isinstance(array, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                array[...] = 0
    with pytest.raises(AttributeError, match="cannot be changed"):
        potential.dim = 3
    with pytest.raises(AttributeError, match="cannot be changed"):
        del potential.dim
    assert potential.parameters.dtype == np.float64 and potential.parameters.ndim == 1
    assert potential.default_start.shape == (potential.dim,) and potential.has_energy


def test_arguments_are_copied():
    mean = np.zeros(2)
    potential = lfp.Gaussian(mean, np.eye(2))
    mean[:] = 5.0
    assert potential.mean.tolist() == [0.0, 0.0] and potential.energy([0.0, 0.0]) == 0.0


def test_repr_shows_the_arguments():
    assert repr(lfp.DoubleWell(barrier=3)) == "DoubleWell(barrier=3.0, width=1.0, tilt=0.0, dim=1, stiffness=1.0)"
    assert repr(lfp.Harmonic([1, 4])) == "Harmonic(stiffness=[1.0, 4.0], center=[0.0, 0.0])"
    assert repr(lfp.Prinz()) == "Prinz()"
    many = lfp.LogisticRegression(FEATURES, LABELS, prior_scale=1)
    assert repr(many) == "LogisticRegression(X=<array of shape (11, 3)>, y=<array of shape (11,)>, prior_scale=1.0)"


@each_case
def test_parameters_need_no_numpy_function_whose_bits_vary(case, monkeypatch):
    expected = case.make()

    def forbidden(*args, **kwargs):
        raise AssertionError("its bits depend on the processor")

    for name in ("exp", "log", "log1p", "expm1", "power", "sum", "dot", "matmul", "einsum", "mean", "cov"):
        monkeypatch.setattr(np, name, forbidden)
    for name in ("inv", "cholesky", "slogdet", "det", "eigh", "solve"):
        monkeypatch.setattr(np.linalg, name, forbidden)
    potential = case.make()
    monkeypatch.undo()
    assert potential.parameters.tobytes() == expected.parameters.tobytes()
    assert potential.default_start.tobytes() == expected.default_start.tobytes()


# ---- parameters, default starts, corners ----------------------------------------------------------------------------


def test_scalars_stand_for_arrays():
    assert lfp.Harmonic(2.0).dim == 1
    assert lfp.Harmonic([1.0, 2.0], center=3.0).center.tolist() == [3.0, 3.0]
    np.testing.assert_array_equal(lfp.Gaussian(1.0, 2.0).parameters, lfp.Gaussian([1.0], [[2.0]]).parameters)
    assert lfp.HybridRosenbrock(3, 2, a=1.0, b=10.0).b.tolist() == [[10.0, 10.0], [10.0, 10.0]]
    one_for_all = lfp.GaussianMixture([1, 1], [[0.0, 1.0], [2.0, 3.0]], 0.5)
    one_each = lfp.GaussianMixture([3, 3], [[0.0, 1.0], [2.0, 3.0]], [0.5, 0.5])
    np.testing.assert_array_equal(one_for_all.parameters, one_each.parameters)
    assert lfp.GaussianMixture([1, 2], [0.0, 1.0], 1.0).means.shape == (2, 1)


def test_slight_asymmetry_of_a_covariance_is_averaged():
    skewed = COVARIANCE.copy()
    skewed[0, 1] += 1e-12
    potential = lfp.Gaussian(MEAN, skewed)
    assert potential.covariance[0, 1] == potential.covariance[1, 0] == pytest.approx(0.6, abs=1e-12)


def test_mixture_weights_are_normalised():
    potential = lfp.GaussianMixture([1, 3], [[-5, -5], [5, 5]], 1.0)
    assert potential.weights.tolist() == [0.25, 0.75]
    assert potential.default_start.tolist() == [5.0, 5.0]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8])
def test_padding_rows_of_logistic_regression_cost_nothing(n):
    x, y = FEATURES[:n], LABELS[:n]
    potential = lfp.LogisticRegression(x, y.astype(bool), prior_scale=2.0)
    padded = n + -n % 4
    assert potential.parameters.shape == (2 + padded * 3 + padded + 1,)
    assert potential.parameters[:2].tolist() == [0.25, padded]
    assert potential.energy(np.zeros(3)) == pytest.approx(n * np.log(2), rel=1e-15)
    np.testing.assert_allclose(potential.gradient(np.zeros(3)), (0.5 - y) @ x, rtol=1e-14, atol=1e-15)


def test_logistic_regression_far_out():
    potential = lfp.LogisticRegression([[1.0]], [1], prior_scale=1e15)
    for dtype, tolerance in ((np.float64, 1e-15), (np.float32, 1e-6)):
        x = np.array([[-1000.0], [-50.0], [50.0], [1000.0]], dtype)
        energy, gradient = potential.energy(x), potential.gradient(x)
        np.testing.assert_allclose(energy, [1000, 50, 0, 0], rtol=tolerance, atol=3 * tolerance)
        np.testing.assert_allclose(gradient[:, 0], [-1, -1, 0, 0], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_ring_at_the_origin(dtype):
    potential = lfp.Ring(radius=2.0, width=0.5, dim=3)
    assert potential.energy(np.zeros(3, dtype)) == 8.0
    assert potential.gradient(np.zeros(3, dtype)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: lfp.Free(3),
        lambda: lfp.Harmonic([1.0, 2.0], center=[3.0, 4.0]),
        lambda: lfp.Gaussian(MEAN, COVARIANCE),
        lambda: lfp.DoubleWell(barrier=3.0, width=0.7, dim=2),
        lfp.Prinz,
        lfp.MullerBrown,
        lambda: lfp.Rosenbrock(a=1.2),
        lambda: lfp.HybridRosenbrock(4, 3, a=0.5, b=2.0, mu=1.3),
        lambda: lfp.Ring(radius=3.0),
        *(lambda n=n: lfp.LennardJonesCluster(n, sigma=2.0, wall=5.0) for n in (1, 2, 3, 4)),
    ],
)
def test_default_start_is_a_minimum(make):
    potential = make()
    curvature = 1e4  # the starts are rounded to 1e-13 or better
    assert np.max(np.abs(potential.gradient(potential.default_start))) < 1e-12 * curvature


@pytest.mark.parametrize("n", [2, 5, 6, 7, 13, 19, 38, 55, 100])
def test_default_start_of_a_cluster_is_compact(n):
    atoms = lfp.LennardJonesCluster(n, sigma=1.5).default_start.reshape(n, 3)
    np.testing.assert_allclose(atoms.sum(axis=0), 0, atol=1e-12)
    distances = np.sqrt(np.sum((atoms[:, None] - atoms) ** 2, axis=-1)) + 99 * np.eye(n)
    np.testing.assert_allclose(distances.min(axis=1), 1.5 * 2 ** (1 / 6), rtol=1e-14)
    radius = np.sqrt(np.max(np.sum(atoms**2, axis=1)))
    assert radius < 1.5 * 2 ** (1 / 6) * (0.6 * n ** (1 / 3) + 0.25)
    lfp.LennardJonesCluster(n, sigma=1.5, wall=radius * 1.001)
    with pytest.raises(ValueError, match=r"wall must be None or at least"):
        lfp.LennardJonesCluster(n, sigma=1.5, wall=radius * 0.999)


def test_cluster_without_a_wall():
    potential = lfp.LennardJonesCluster(2)
    assert potential.parameters.tolist() == [4.0, 1.0, np.inf, 0.0]
    for dtype in (np.float64, np.float32):
        far = np.array([1e4, 0, 0, -1e4, 0, 0], dtype)
        assert abs(potential.energy(far)) < 1e-20 and np.max(np.abs(potential.gradient(far))) < 1e-20


# ---- errors ---------------------------------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
WRONG = [
    (lambda: lfp.Free(0), ValueError, "dim must be an integer >= 1, got 0"),
    (lambda: lfp.Free(2.0), TypeError, "dim must be an integer >= 1, got 2.0 of type float"),
    (lambda: lfp.Free(True), TypeError, "dim must be an integer"),
    (lambda: lfp.Harmonic([1.0, -2.0]), ValueError, "stiffness must be >= 0, got stiffness[1] = -2.0"),
    (lambda: lfp.Harmonic([1.0, NAN]), ValueError, "stiffness must be finite, got stiffness[1] = nan"),
    (lambda: lfp.Harmonic([[1.0]]), ValueError, "stiffness must have 0 or 1 dimensions"),
    (lambda: lfp.Harmonic([]), ValueError, "stiffness must not be empty"),
    (lambda: lfp.Harmonic("soft"), TypeError, "stiffness must hold real numbers, got 'soft'"),
    (lambda: lfp.Harmonic([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError, "center must have shape (2,), got (3,)"),
    (lambda: lfp.Gaussian([0.0, INF], np.eye(2)), ValueError, "mean must be finite, got mean[1] = inf"),
    (lambda: lfp.Gaussian([0.0, 0.0], np.eye(3)), ValueError, "covariance must have shape (2, 2), got (3, 3)"),
    (lambda: lfp.Gaussian([0.0, 0.0], 1.0), ValueError, "covariance must have shape (2, 2), got ()"),
    (lambda: lfp.Gaussian(0.0, -1.0), ValueError, "covariance must be > 0, got -1.0"),
    (lambda: lfp.Gaussian([0, 0], [[1, 0.5], [0, 1]]), ValueError, "covariance must be symmetric"),
    (lambda: lfp.Gaussian([0, 0], [[1, 2], [2, 1]]), ValueError, "covariance must be positive definite"),
    (lambda: lfp.DoubleWell(barrier=0), ValueError, "barrier must be a finite number > 0, got 0"),
    (lambda: lfp.DoubleWell(barrier="high"), TypeError, "barrier must be a finite number > 0, got 'high'"),
    (lambda: lfp.DoubleWell(width=-1.0), ValueError, "width must be a finite number > 0, got -1.0"),
    (lambda: lfp.DoubleWell(width=1e-200), ValueError, "width must have a square within the range"),
    (lambda: lfp.DoubleWell(width=1e-100), ValueError, "width=1e-100"),
    (lambda: lfp.DoubleWell(tilt=NAN), ValueError, "tilt must be a finite number, got nan"),
    (lambda: lfp.DoubleWell(dim=0), ValueError, "dim must be"),
    (lambda: lfp.DoubleWell(stiffness=-1), ValueError, "stiffness must be a finite number >= 0, got -1"),
    (lambda: lfp.MullerBrown(scale=INF), ValueError, "scale must be a finite number > 0, got inf"),
    (lambda: lfp.Rosenbrock(a=None), TypeError, "a must be a finite number, got None"),
    (lambda: lfp.Rosenbrock(b=-1), ValueError, "b must be a finite number > 0"),
    (lambda: lfp.Rosenbrock(scale=0), ValueError, "scale must be a finite number > 0"),
    (lambda: lfp.HybridRosenbrock(1, 2, 1.0, 1.0), ValueError, "n1 must be an integer >= 2, got 1"),
    (lambda: lfp.HybridRosenbrock(3, 0, 1.0, 1.0), ValueError, "n2 must be an integer >= 1, got 0"),
    (lambda: lfp.HybridRosenbrock(3, 2, -1.0, 1.0), ValueError, "a must be a finite number > 0"),
    (lambda: lfp.HybridRosenbrock(3, 2, 1.0, np.ones((2, 3))), ValueError, "b must have shape (2, 2), got (2, 3)"),
    (lambda: lfp.HybridRosenbrock(3, 1, 1.0, [[1.0, 0.0]]), ValueError, "b must be > 0, got b[0, 1] = 0.0"),
    (lambda: lfp.HybridRosenbrock(13, 1, 1.0, 1.0, mu=2.0), ValueError, "mu=2.0"),
    (lambda: lfp.NealFunnel(1), ValueError, "dim must be an integer >= 2, got 1"),
    (lambda: lfp.NealFunnel(3, sigma=0.0), ValueError, "sigma must be a finite number > 0"),
    (lambda: lfp.GaussianMixture([1, 0], [[0], [1]], 1.0), ValueError, "weights must be > 0, got weights[1] = 0.0"),
    (lambda: lfp.GaussianMixture(1.0, [[0]], 1.0), ValueError, "weights must have shape (n,), got ()"),
    (lambda: lfp.GaussianMixture([1, 1], [[0], [1], [2]], 1.0), ValueError, "means must have shape (2, n), got (3, 1)"),
    (lambda: lfp.GaussianMixture([1, 1], [[0], [1]], [1, -1]), ValueError, "covariances[1] = -1.0"),
    (lambda: lfp.GaussianMixture([1, 1], [[0], [1]], [1, 1, 1]), ValueError, "covariances must have shape (2,)"),
    (
        lambda: lfp.GaussianMixture([1, 1], np.zeros((2, 2)), [np.eye(2), [[1, 2], [2, 1]]]),
        ValueError,
        "covariances[1] must be positive definite",
    ),
    (
        lambda: lfp.GaussianMixture([1, 1], np.zeros((2, 2)), [np.eye(2), [[1, 0], [2, 5]]]),
        ValueError,
        "covariances[1] must be symmetric",
    ),
    (lambda: lfp.Ring(radius=0), ValueError, "radius must be a finite number > 0"),
    (lambda: lfp.Ring(width=0), ValueError, "width must be a finite number > 0"),
    (lambda: lfp.Ring(dim=0), ValueError, "dim must be an integer >= 1"),
    (lambda: lfp.LennardJonesCluster(0), ValueError, "n_atoms must be an integer from 1 to 100000, got 0"),
    (lambda: lfp.LennardJonesCluster(3, epsilon=-1), ValueError, "epsilon must be a finite number > 0"),
    (lambda: lfp.LennardJonesCluster(3, sigma=0), ValueError, "sigma must be a finite number > 0"),
    (lambda: lfp.LennardJonesCluster(3, wall=-2), ValueError, "wall must be a finite number > 0"),
    (lambda: lfp.LennardJonesCluster(3, wall=0.1), ValueError, "wall must be None or at least"),
    (lambda: lfp.LennardJonesCluster(3, wall_stiffness=0), ValueError, "wall_stiffness must be a finite number > 0"),
    (lambda: lfp.LogisticRegression([1, 2], [0, 1], prior_scale=1), ValueError, "X must have shape (n, n), got (2,)"),
    (lambda: lfp.LogisticRegression([[1, NAN]], [0], prior_scale=1), ValueError, "got X[0, 1] = nan"),
    (lambda: lfp.LogisticRegression([[1], [2, 3]], [0, 1], prior_scale=1), ValueError, "X must be a rectangular"),
    (lambda: lfp.LogisticRegression([[1.0]], [0, 1], prior_scale=1), ValueError, "y must have shape (1,), got (2,)"),
    (lambda: lfp.LogisticRegression([[1], [1]], [1, 2], prior_scale=1), ValueError, "y must be 0 or 1, got y[1] = 2.0"),
    (lambda: lfp.LogisticRegression([[1.0]], [1], prior_scale=0), ValueError, "prior_scale must be a finite number"),
]


@pytest.mark.parametrize(("make", "error", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_errors_name_the_argument_its_value_and_what_is_allowed(make, error, message):
    with pytest.raises(error, match=re.escape(message)):
        make()


# ---- reference values -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["minA", "minB", "minC", "saddleAC", "saddleCB"])
def test_muller_brown_stationary_points(name):
    x, y, energy = reference.value("mb.stationary")[name]
    potential = lfp.MullerBrown()
    assert potential.energy([x, y]) == pytest.approx(energy, rel=1e-13)
    assert np.max(np.abs(potential.gradient([x, y]))) < 1e-11
    assert potential.energy(np.float32([x, y])) == pytest.approx(energy, rel=1e-5)


def test_muller_brown_starts_at_its_deepest_minimum():
    assert lfp.MullerBrown().default_start.tolist() == reference.value("mb.stationary")["minA"][:2]


@pytest.mark.parametrize("kT", [10.0, 20.0])
def test_muller_brown_normalisation(kT):
    expected = reference.value(f"mb.kT={kT}")
    x, y = np.linspace(-4, 3.5, 401), np.linspace(-3, 4.5, 401)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    energy = lfp.MullerBrown().energy(grid)
    weight = np.exp(-(energy + 150) / kT)
    z = weight.sum() * (x[1] - x[0]) * (y[1] - y[0])
    assert np.log(z) == pytest.approx(expected["lnZ_shift150"], abs=1e-10)
    assert np.average(energy, weights=weight) == pytest.approx(expected["V"], rel=1e-11)


def test_prinz_stationary_points():
    expected = reference.value("misc.Prinz four-well stationary kT=1")
    potential = lfp.Prinz()
    for kind in ("minima", "maxima"):
        x = np.array(expected[kind])[:, np.newaxis]
        np.testing.assert_allclose(potential.energy(x), expected[f"V({kind})"], rtol=1e-11)
        assert np.max(np.abs(potential.gradient(x))) < 1e-9
        single = potential.energy(x.astype(np.float32))
        np.testing.assert_allclose(single, expected[f"V({kind})"], rtol=1e-5, atol=1e-6)
    assert potential.default_start[0] == expected["minima"][2]


def moments_1d(potential, highest=6):
    x = np.linspace(-7, 7, 7001)
    weight = np.exp(-potential.energy(x[:, np.newaxis]))
    return weight.sum() * (x[1] - x[0]), {k: np.average(x**k, weights=weight) for k in range(1, highest + 1)}


def test_prinz_moments():
    expected = reference.value("misc.Prinz four-well stationary kT=1")
    z, moment = moments_1d(lfp.Prinz())
    assert z == pytest.approx(expected["Z"], rel=1e-12)
    assert [moment[1], moment[2], moment[4]] == pytest.approx(
        [expected["<x>"], expected["<x^2>"], expected["<x^4>"]], rel=1e-11
    )


@pytest.mark.parametrize("barrier", [1, 3, 5])
def test_double_well_moments(barrier):
    (entry,) = reference.ids(f"t1d.DW{barrier}:")
    expected = reference.value(entry)
    z, moment = moments_1d(lfp.DoubleWell(barrier=barrier))
    assert z == pytest.approx(expected["Z"], rel=1e-12)
    assert [moment[2], moment[4], moment[6]] == pytest.approx(
        [expected["<x^2>"], expected["<x^4>"], expected["<x^6>"]], rel=1e-12
    )


def test_quarter_barrier_is_the_lmq_potential():
    (entry,) = reference.ids("t1d.LMQ")
    expected = reference.value(entry)
    z, moment = moments_1d(lfp.DoubleWell(barrier=0.25))
    assert z * np.exp(0.25) == pytest.approx(expected["Z"], rel=1e-12)
    assert moment[2] == pytest.approx(expected["<x^2>"], rel=1e-12)


@pytest.mark.parametrize("entry", reference.ids("ljcluster."))
def test_lennard_jones_clusters(entry):
    expected = reference.value(entry)
    atoms = np.array(expected["coords"])
    wall = 1.0 + np.sqrt(np.max(np.sum(atoms**2, axis=1)))
    for potential in (
        lfp.LennardJonesCluster(len(atoms)),
        lfp.LennardJonesCluster(len(atoms), wall=wall),
    ):
        x = atoms.reshape(-1)
        assert potential.energy(x) == pytest.approx(expected["E"], rel=1e-13)
        assert np.max(np.abs(potential.gradient(x))) < 1e-9  # coordinates have 12 digits
        assert potential.energy(x.astype(np.float32)) == pytest.approx(expected["E"], rel=1e-5)
        assert potential.energy(potential.default_start) >= expected["E"] * (1 + 1e-13)


def ncsn_points():
    points = []
    (entry,) = reference.ids("score.NCSN mixture")
    for label, expected in reference.value(entry).items():
        x, y, sigma = map(float, re.fullmatch(r"x=\((.*),(.*)\) sigma=(.*)", label).groups())
        points.append(pytest.param([x, y], sigma, expected, id=label))
    return points


@pytest.mark.parametrize(("x", "sigma", "expected"), ncsn_points())
@pytest.mark.parametrize("full", [False, True], ids=["isotropic", "full"])
def test_ncsn_mixture(x, sigma, expected, full):
    variance = 1 + sigma * sigma
    covariances = [variance * np.eye(2)] * 2 if full else variance
    potential = lfp.GaussianMixture(weights=[0.2, 0.8], means=[[-5, -5], [5, 5]], covariances=covariances)
    for point, tolerance in ((np.array(x), 1e-13), (np.float32(x), 1e-5)):
        assert -potential.energy(point) == pytest.approx(expected["log p_sigma"], rel=tolerance)
        np.testing.assert_allclose(
            -potential.gradient(point), expected["score"], rtol=20 * tolerance, atol=20 * tolerance
        )


def test_hybrid_rosenbrock_moments():
    """Built as a chain of normals u, the moments are the published ones and the energy is |u|^2 / 2."""
    expected = reference.value("target.hybrid.Rosenbro=1,b=10,mu=1")
    potential = lfp.HybridRosenbrock(3, 2, a=1.0, b=10.0)
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights = weights / weights.sum()
    u = np.stack(np.meshgrid(nodes, nodes, nodes, indexing="ij"), axis=-1).reshape(-1, 3)
    w = (weights[:, None, None] * weights[:, None] * weights).reshape(-1)
    x1 = 1 + u[:, 0] / np.sqrt(2 * 1.0)
    x2 = x1**2 + u[:, 1] / np.sqrt(2 * 10.0)
    x3 = x2**2 + u[:, 2] / np.sqrt(2 * 10.0)
    for k, x in ((2, x2), (3, x3)):
        mean = np.average(x, weights=w)
        assert mean == pytest.approx(expected[f"x_{{j,{k}}}"]["mean"], rel=1e-12)
        assert np.average((x - mean) ** 2, weights=w) == pytest.approx(expected[f"x_{{j,{k}}}"]["var"], rel=1e-12)
    resting = x1**2  # the second block without noise
    energy = potential.energy(np.stack([x1, x2, x3, resting, resting**2], axis=-1))
    np.testing.assert_allclose(energy, 0.5 * np.sum(u**2, axis=-1), rtol=1e-10, atol=1e-10)


def test_german_credit_mode():
    features, labels = reference.german_credit()
    expected = reference.value("bayes.german_credit")
    potential = lfp.LogisticRegression(features, labels, prior_scale=1.0)
    mode = np.array(expected["mode"])
    assert potential.dim == 25
    # the gradient over the curvature 1/sd^2: how far the mode is, in standard deviations
    off = potential.gradient(mode) * np.array(expected["gt_sd"])
    assert np.max(np.abs(off)) < 1e-6
    single = potential.gradient(mode.astype(np.float32)) * np.array(expected["gt_sd"])
    assert np.max(np.abs(single)) < 1e-4
    plain = np.sum(np.logaddexp(0, features @ mode) - labels * (features @ mode)) + np.sum(mode**2) / 2
    assert potential.energy(mode) == pytest.approx(plain, rel=1e-13)
