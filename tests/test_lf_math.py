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


@pytest.mark.parametrize("name", ["asin", "acos", "atan", "asinh", "atanh", "erf", "erfc", "gamma", "lgamma", "ceil"])
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
