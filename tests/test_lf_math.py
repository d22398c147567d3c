"""lf.math: as accurate as it says, and the same bits on arrays and in compiled functions."""

import math

import mpmath
import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import math as lf_math

DTYPES = [np.float64, np.float32]

# name -> the largest error in units in the last place (docstring of langevin_fast.math), and where it is looked at
ONE = {
    "exp": (2, (-700.0, 700.0), (-86.0, 88.0)),
    "expm1": (3, (-40.0, 700.0), (-20.0, 88.0)),
    "log": (2, (1e-300, 1e300), (1e-37, 1e38)),
    "log1p": (4, (-0.999, 1e300), (-0.999, 1e38)),
    "sqrt": (0.5, (0.0, 1e300), (0.0, 1e38)),
    "sin": (3, (-1e6, 1e6), (-6000.0, 6000.0)),
    "cos": (3, (-1e6, 1e6), (-6000.0, 6000.0)),
    "tan": (6, (-1e6, 1e6), (-6000.0, 6000.0)),
    "sinh": (6, (-700.0, 700.0), (-88.0, 88.0)),
    "cosh": (6, (-700.0, 700.0), (-88.0, 88.0)),
    "tanh": (6, (-30.0, 30.0), (-30.0, 30.0)),
    "fabs": (0, (-1e300, 1e300), (-1e38, 1e38)),
}
TWO = ["copysign", "maximum", "minimum", "power"]


def points(low, high, dtype, n=400):
    """Many sizes, and where it is hardest: near 0, 1 and multiples of pi/4."""
    rng = np.random.default_rng(11)
    sizes = 10.0 ** rng.uniform(-12, np.log10(max(abs(low), abs(high))), n) * rng.choice([-1.0, 1.0], n)
    hard = np.concatenate([1.0 + sizes[:50] * 1e-3, np.arange(1, 40) * np.pi / 4])
    x = np.concatenate([rng.uniform(max(low, -50.0), min(high, 50.0), n), sizes, hard]).astype(dtype)
    return x[(x > low) & (x < high)]


def exact(name, x):
    return getattr(mpmath, {"fabs": "fabs"}.get(name, name))(mpmath.mpf(float(x)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ONE)
def test_accuracy(name, dtype):
    allowed, double, single = ONE[name]
    x = points(*(double if dtype is np.float64 else single), dtype)
    assert len(x) > 300
    got = getattr(lf_math, name)(x)
    assert got.dtype == dtype
    with mpmath.workdps(40):
        want = [exact(name, value) for value in x]
        ulp = np.spacing(np.abs(np.array([float(w) for w in want])).astype(dtype)).astype(float)
        error = np.array([float(abs(mpmath.mpf(float(g)) - w)) for g, w in zip(got, want, strict=True)]) / ulp
    assert error.max() <= allowed, (x[np.argmax(error)], error.max())


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_of_power(dtype):
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0.01, 20.0, 300).astype(dtype), rng.uniform(-5.0, 5.0, 300).astype(dtype)
    got = lf_math.power(x, y)
    with mpmath.workdps(40):
        want = [mpmath.power(mpmath.mpf(float(a)), mpmath.mpf(float(b))) for a, b in zip(x, y, strict=True)]
        ulp = np.spacing(np.array([float(w) for w in want]).astype(dtype)).astype(float)
        error = np.array([float(abs(mpmath.mpf(float(g)) - w)) for g, w in zip(got, want, strict=True)]) / ulp
    assert (error <= 3 + 3 * np.abs(y * np.log(x))).all()


def test_special_values():
    inf, nan = np.inf, np.nan
    m = lf_math
    np.testing.assert_array_equal(m.exp([-800.0, 800.0, -inf, inf, nan]), [0, inf, 0, inf, nan])
    np.testing.assert_array_equal(m.log([0.0, -1.0, inf, nan, 1.0]), [-inf, nan, inf, nan, 0])
    np.testing.assert_array_equal(m.log1p([-1.0, inf, 0.0]), [-inf, inf, 0])
    np.testing.assert_array_equal(m.tanh([-inf, inf, 0.0]), [-1, 1, 0])
    np.testing.assert_array_equal(m.sin([inf, 2e6, 0.0]), [nan, nan, 0])
    np.testing.assert_array_equal(m.power([0.0, 2.0, -1.0, 0.0], [2.0, 0.0, 0.5, 0.0]), [0, 1, nan, 1])
    assert np.signbit(m.sin(-0.0))
    assert np.signbit(m.tanh(-0.0))
    assert m.maximum(1.0, nan) is not None
    np.testing.assert_array_equal(m.maximum([1.0, 2.0], [2.0, 1.0]), [2, 2])
    np.testing.assert_array_equal(m.where([True, False], 1.0, 2.0), [1, 2])


def test_types_and_shapes():
    assert isinstance(lf.math.exp(1), np.float64)
    assert lf.math.exp(np.float32(1)).dtype == np.float32
    assert lf.math.exp(np.zeros((2, 3), np.float32)).shape == (2, 3)
    assert lf.math.power(np.zeros(3, np.float32), 2.0).dtype == np.float32
    assert lf.math.power(np.zeros(3, np.float32), np.zeros(3)).dtype == np.float64


# --- whole numbers and tables: exact, so NumPy is the judge ---------------------------------------------------------


def sizes(dtype, n=4000):
    rng = np.random.default_rng(3)
    x = rng.normal(size=n) * 10.0 ** rng.uniform(-8, 20 if dtype is np.float64 else 9, n)
    return np.concatenate([x, np.arange(-40, 41) / 4, [0.0, -0.0, np.inf, -np.inf, np.nan]]).astype(dtype)


def assert_same_numbers(got, want):
    """Signs of zeros included."""
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got)[~np.isnan(want)], np.signbit(want)[~np.isnan(want)])


WHOLE = {"floor": np.floor, "ceil": np.ceil, "round": np.rint}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_are_those_of_numpy(name, dtype):
    x = sizes(dtype)
    assert_same_numbers(getattr(lf_math, name)(x), WHOLE[name](x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_mod_is_that_of_numpy(dtype):
    x = sizes(dtype)[:-3]
    y = (np.random.default_rng(4).normal(size=len(x)) * 10.0 ** np.linspace(-3, 3, len(x))).astype(dtype)
    y[-82:] = np.tile([1.0, -1.0, 0.25, -1.5], 21)[:82]
    known = np.abs(x / y) < (2.0**52 if dtype is np.float64 else 2.0**23)
    assert 0.5 < known.mean() < 1.0
    got = lf_math.mod(x, y)
    assert_same_numbers(got[known], np.mod(x, y)[known])
    assert np.isnan(got[~known]).all()
    assert np.isnan(lf_math.mod([1.0, np.inf, np.nan], [0.0, 1.0, 1.0])).all()


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_interp_is_that_of_numpy(n, dtype):
    rng = np.random.default_rng(n)
    grid, values = np.sort(rng.normal(size=n)).astype(dtype), rng.normal(size=n).astype(dtype)
    x = np.concatenate([rng.normal(size=200) * 2, grid, [np.inf, -np.inf]]).astype(dtype)
    got = lf_math.interp(x, grid, values)
    assert got.dtype == dtype
    size = np.abs(values).max()
    np.testing.assert_allclose(got, np.interp(x, grid, values), rtol=0, atol=4 * np.spacing(size))
    np.testing.assert_array_equal(lf_math.interp(grid, grid, values), values)
    assert np.isnan(lf_math.interp(np.nan, grid, values))


def test_take_stays_inside_the_table():
    table = np.array([1.0, 2.0, 4.0])
    i = [0.0, 0.9, 1.0, 2.0, 7.0, -3.0, np.nan, np.inf, -np.inf]
    np.testing.assert_array_equal(lf_math.take(table, i), [1, 1, 2, 4, 4, 1, 1, 4, 1])
    assert lf_math.take([5, 6], 1) == 6.0
    assert lf_math.take(table.astype(np.float32), np.float32(1)).dtype == np.float32


def test_bad_tables():
    for bad in (np.zeros((2, 2)), [], 3.0):
        with pytest.raises(ValueError, match="table must be a one-dimensional array"):
            lf_math.take(bad, 0)
        with pytest.raises(ValueError, match="xp must be a one-dimensional array"):
            lf_math.interp(0.0, bad, [1.0])
    with pytest.raises(ValueError, match="same length, got 2 and 3"):
        lf_math.interp(0.0, [0.0, 1.0], [0.0, 1.0, 2.0])


# --- in compiled functions --------------------------------------------------------------------------------------------


def compiled(function, dtype, x):
    """A function of one number, through the gradient of a Custom potential."""

    def gradient(x, out):
        out[0] = function(x[0])

    return lf.potentials.Custom(gradient=gradient, dim=1, check=False).gradient(x[:, np.newaxis])[:, 0]


SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-30, 700.0, -720.0, 1e7]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ONE)
def test_compiled_functions_have_the_bits_of_arrays(name, dtype):
    ours = getattr(lf_math, name)
    x = np.concatenate([points(*ONE[name][1 if dtype is np.float64 else 2], dtype), np.array(SPECIAL, dtype)])
    np.testing.assert_array_equal(compiled(ours, dtype, x), ours(x))
    # names are looked up whatever the type: one of the two libraries is enough for each
    alias = getattr(np if dtype is np.float64 else math, name)
    np.testing.assert_array_equal(compiled(alias, dtype, x), ours(x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TWO)
def test_compiled_functions_of_two_numbers(name, dtype):
    ours = getattr(lf_math, name)
    x = np.concatenate([points(0.0 if name == "power" else -50.0, 50.0, dtype), np.array(SPECIAL, dtype)])
    constant = 1.25 if name == "power" else -0.75
    np.testing.assert_array_equal(compiled(lambda x: ours(x, constant), dtype, x), ours(x, constant))
    np.testing.assert_array_equal(compiled(lambda x: ours(abs(constant), x), dtype, x), ours(abs(constant), x))


@pytest.mark.parametrize("name", ["asin", "acos", "atan", "asinh", "atanh", "erf", "erfc", "gamma", "lgamma"])
def test_functions_of_the_c_library(name):
    function = getattr(math, name)
    x = np.linspace(0.05, 0.95, 37)
    got = compiled(function, np.float64, x)
    np.testing.assert_allclose(got, [function(value) for value in x], rtol=1e-14)


def test_functions_of_the_c_library_of_two_numbers():
    x = np.linspace(-2.0, 2.0, 37)
    for function in (math.atan2, math.hypot):
        got = compiled(lambda x, f=function: f(x, 1.5), np.float64, x)
        np.testing.assert_allclose(got, [function(value, 1.5) for value in x], rtol=4e-16, atol=1e-16)


ALIASES = {
    "floor": (lf_math.floor, math.floor, np.floor),
    "ceil": (lf_math.ceil, math.ceil, np.ceil),
    "round": (lf_math.round, np.rint, lambda x: round(x)),
    "mod": (lambda x: lf_math.mod(x, -1.5), lambda x: np.mod(x, -1.5), lambda x: x % -1.5),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALIASES)
def test_compiled_whole_numbers(name, dtype):
    x = sizes(dtype, 300)
    want = lf_math.mod(x, dtype(-1.5)) if name == "mod" else getattr(lf_math, name)(x)
    for function in ALIASES[name]:
        assert_same_numbers(compiled(function, dtype, x), want)


GRID, VALUES = np.array([-2.0, -0.5, 0.25, 1.0, 3.0]), np.array([1.0, -2.0, 0.5, 4.0, 3.0])
WHOLE_VALUES = np.array([3, 1, 2])


@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_tables(dtype):
    x = np.concatenate([np.linspace(-4, 4, 77), SPECIAL]).astype(dtype)
    want = lf_math.interp(x, GRID.astype(dtype), VALUES.astype(dtype))
    for interp in (lf_math.interp, np.interp):
        np.testing.assert_array_equal(compiled(lambda x, f=interp: f(x, GRID, VALUES), dtype, x), want)
    want = lf_math.take(VALUES.astype(dtype), x)
    np.testing.assert_array_equal(compiled(lambda x: lf_math.take(VALUES, x), dtype, x), want)
    want = lf_math.take(WHOLE_VALUES.astype(dtype), x)
    np.testing.assert_array_equal(compiled(lambda x: lf_math.take(WHOLE_VALUES, x), dtype, x), want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tables_among_the_parameters(dtype):
    def gradient(x, out, table, bounds):
        # the uniform way: one entry below, one above
        t = (x[0] - bounds[0]) / (bounds[1] - bounds[0]) * 4.0
        i = lf.math.floor(t)
        out[0] = lf.math.take(table, i) + (t - i) * (lf.math.take(table, i + 1.0) - lf.math.take(table, i))

    potential = lf.potentials.Custom(gradient=gradient, dim=1, table=VALUES, bounds=[-1.0, 1.0])
    x = np.linspace(-1.0, 0.99, 50).astype(dtype)
    want = np.interp(x, np.linspace(-1.0, 1.0, 5), VALUES)
    np.testing.assert_allclose(potential.gradient(x[:, np.newaxis])[:, 0], want, atol=30 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_parameters_alone(dtype):
    a, b = 1.7, 2.3

    def gradient(x, out, a, b, table):
        out[0] = x[0] * lf.math.power(a, b)
        out[1] = x[1] * (lf.math.maximum(a, b) + lf.math.interp(a, GRID, VALUES))
        out[2] = x[2] * (lf.math.mod(b, 1.5) + lf.math.take(table, 1)) + lf.math.floor(a)

    potential = lf.potentials.Custom(gradient=gradient, dim=3, check=False, a=a, b=b, table=VALUES)
    ones, g = np.ones(3, dtype), np.empty(3, dtype)
    gradient(ones, g, dtype(a), dtype(b), VALUES.astype(dtype))
    np.testing.assert_allclose(potential.gradient(ones), g, rtol=np.finfo(dtype).eps)
