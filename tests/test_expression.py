"""Potentials given by a formula."""

import ast
import copy
import math
import pickle

import mpmath
import numpy as np
import pytest
import sympy
from cases import PRECISIONS, bounded_work, run_python

import langevin_fast as lf
from langevin_fast.potentials import Expression

ROSENBROCK = "((1 - x)**2 + b * (y - x**2)**2) / 20"
MULLER_BROWN = " + ".join(
    f"({A}) * exp(({a})*(x - ({x0}))**2 + ({b})*(x - ({x0}))*(y - ({y0})) + ({c})*(y - ({y0}))**2)"
    for A, a, b, c, x0, y0 in zip(
        (-200, -100, -170, 15), (-1, -1, -6.5, 0.7), (0, 0, 11, 0.6), (-10, -10, -6.5, 0.7), (1, 0, -0.5, -1),
        (0, 0.5, 1.5, 1), strict=True,
    )
)  # fmt: skip

# one line of mathematics each, and where it is regular
FORMULAS = {
    "3.5": [0.3, 0.4],
    "x + 2*y": [0.3, 0.4],
    "-x": [0.3, 0.4],
    "x*y - x/y": [0.3, 0.4],
    "a*x**2/2 + x**3 - x**4/3 + y**7": [0.3, -0.4],
    "1/x + 1/y**2 - 3/(x*y**3)": [0.3, -0.4],
    "sqrt(x**2 + y**2)": [0.3, -0.4],
    "(x**2 + y**2)**1.5 + (1 + x**2)**(-0.5)": [0.3, -0.4],
    "(1 + x**2)**(5/2) * (2 + y)**(-3/2)": [0.3, -0.4],
    "x**2.25 + x**y + 2**y": [0.3, -0.4],
    "exp(-x**2 - 3*y**2) + e**x": [0.3, -0.4],
    "log(1 + x**2) + log(3)*y": [0.3, -0.4],
    "sin(x)*cos(y) + tan(x*y) + pi": [0.3, -0.4],
    "sinh(x) + cosh(y) + tanh(x - y)": [0.3, -0.4],
    "asin(x) + acos(y) + atan(x*y) + atan2(x, y)": [0.3, -0.4],
    "asinh(x) + acosh(2 + y**2) + atanh(y)": [0.3, -0.4],
    "erf(x) + erfc(y)": [0.3, -0.4],
    "abs(x*y) + abs(x)**3": [0.3, -0.4],
    "max(x, y, 0)**2 + min(x, y)": [0.3, -0.4],
    "where(x > y, x**2, y**3) + where(x <= 0, x, 2*x)": [0.3, -0.4],
    "-log(exp(-(x - 1)**2/2) + a*exp(-(x + 1)**2/2))": [0.3, -0.4],
    "(x - y)**12 - 2*(x - y)**6": [0.3, -0.4],
    "4*a*((1/(x**2 + y**2))**6 - (1/(x**2 + y**2))**3)": [0.9, -0.8],
    "x**-64 * y**64": [1.3, -1.4],
    ROSENBROCK.replace("b", "a"): [0.3, 0.4],
    MULLER_BROWN: [-0.3, 0.4],
}
REFERENCE = {
    **{
        name: getattr(mpmath, name)
        for name in (
            *("exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh"),
            *("acosh", "atanh", "erf", "erfc", "floor", "ceil", "atan2", "sign", "pi", "e"),
        )
    },
    **{"abs": abs, "max": max, "min": min, "where": lambda c, a, b: a if c else b},
}


def make(formula: str) -> Expression:
    point = FORMULAS[formula]
    parameters = {"a": 1.75} if "a" in {n.id for n in ast.walk(ast.parse(formula)) if isinstance(n, ast.Name)} else {}
    return Expression(formula, variables="x y", start=point, **parameters)


@pytest.mark.parametrize("formula", FORMULAS)
def test_energy_and_gradient(formula):
    def energy(x, y):
        return mpmath.mpf(eval(formula, dict(REFERENCE), {"x": x, "y": y, "a": mpmath.mpf(1.75)}))

    with mpmath.workdps(40):
        x, y = map(mpmath.mpf, FORMULAS[formula])
        expected = energy(x, y)
        gradient = [mpmath.diff(energy, (x, y), (1, 0)), mpmath.diff(energy, (x, y), (0, 1))]
    u = make(formula)
    point = np.array(FORMULAS[formula])
    scale = 1.0 + max(abs(float(v)) for v in (expected, *gradient))
    assert float(u.energy(point)) == pytest.approx(float(expected), abs=2e-14 * scale)
    np.testing.assert_allclose(u.gradient(point), [float(v) for v in gradient], rtol=0, atol=5e-14 * scale)
    # energy_gradient is what MALA uses
    g = np.empty(2)
    both = u.functions.energy_gradient(point, g, u.parameters)
    assert float(both) == pytest.approx(float(expected), abs=2e-14 * scale)
    np.testing.assert_allclose(g, u.gradient(point), rtol=0, atol=5e-14 * scale)


@pytest.mark.parametrize("formula", FORMULAS)
def test_generated_code_computes_with_floats(formula):
    # an integer in float32 arithmetic would make it double on a GPU
    for node in ast.walk(ast.parse(make(formula).source)):
        if isinstance(node, ast.BinOp):
            for side in (node.left, node.right):
                assert not (isinstance(side, ast.Constant) and isinstance(side.value, int))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_samples_like_the_builtin(precision):
    x = np.random.default_rng(1).uniform(-1, 1, (50, 2)).astype(PRECISIONS[precision])
    expression, builtin = Expression(ROSENBROCK, variables="x y", b=100.0), lf.potentials.Rosenbrock(scale=0.05)
    tolerance = 50 * np.finfo(PRECISIONS[precision]).eps
    np.testing.assert_allclose(expression.gradient(x), builtin.gradient(x), rtol=tolerance, atol=20 * tolerance)
    np.testing.assert_allclose(expression.energy(x), builtin.energy(x), rtol=tolerance, atol=20 * tolerance)
    runs = [
        lf.sample(u, lf.MALA(0.1), n_steps=20, n_particles=70, seed=2, initial=[1, 1], precision=precision)
        for u in (expression, builtin)
    ]
    assert [run.backend for run in runs] == ["numba", "cpp"]
    np.testing.assert_allclose(
        runs[0].positions, runs[1].positions, rtol=0, atol=1e-3 if precision == "single" else 1e-9
    )


HOSTILE = [
    ("9**9**9**9", "exponent 3.8742e\\+08, beyond 64"),
    ("(((x**99)**99)**99)**99", "exponent 99"),
    ("((x**64)**64)**64", "exponent 4096"),
    ("(((9**64)**64)**64)**64", "not a finite real number"),
    ("__import__('os').system('x')", "unknown function"),
    ("x.__class__", "'x.__class__' is not allowed"),
    ("x[0]", "is neither a variable nor a parameter"),
    ("[x]", "is not allowed"),
    ("lambda: x", "is not allowed"),
    ("x if x else 1", "is not allowed"),
    ("x and y", "is not allowed"),
    ("(x := 3)", "is not allowed"),
    ("'x'", "not a real number"),
    ("1j", "not a real number"),
    ("True", "not a real number"),
    ("(" * 10000 + "x" + ")" * 9999, "at most 20000|not an expression"),
    ("(" * 500 + "x" + ")" * 500, "not an expression"),
    ("-" * 3000 + "x", "too deeply|not an expression"),
    ("+".join(["x"] * 3000), "too long|too deeply"),
    ("1" * 5000, "not an expression"),
    ("1" * 30, "beyond 2\\*\\*53"),
    ("1e999", "beyond the range of double precision"),
    ("x = 3", "not an expression"),
    ("", "not an expression"),
    ("x^2", "write powers as \\*\\*"),
    ("x // 2", "operator that is not allowed"),
    ("x % 2", "operator that is not allowed"),
    ("1/0", "divides by zero"),
    ("x/(y - y)", "divides by zero"),
    ("0**-1", "divides by zero"),
    ("(-1)**0.5", "not a finite real number"),
    ("log(-1)", "not a finite real number"),
    ("sin(x, y)", "takes 1"),
    ("sin(x=3)", "takes 1"),
    ("exp", "neither a variable nor a parameter"),
    ("x + q", "'q' is neither a variable nor a parameter"),
    ("besselj(0, x)", "unknown function"),
    ("where(x, 1, 2)", "not a comparison"),
]


@pytest.mark.parametrize(("text", "message"), HOSTILE)
def test_what_is_not_allowed(text, message):
    with bounded_work(), pytest.raises(ValueError, match=f"(?s)expression.*({message})"):
        Expression(text, variables="x y")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"variables": "x x"}, ValueError, "'x' is given twice"),
        ({"variables": ()}, ValueError, "variables is empty"),
        ({"variables": ("x", "lambda")}, ValueError, "'lambda' is not a name"),
        ({"variables": ("x", "_t0")}, ValueError, "'_t0' is not a name"),
        ({"variables": ("x", "exp")}, ValueError, "name of a function"),
        ({"variables": "x", "b": 1.0}, ValueError, "'b' does not occur"),
        ({"variables": "x", "dim": 1.0}, ValueError, "dim cannot be the name of a parameter"),
        ({"variables": "x", "start": [1, 2]}, ValueError, "start must"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Expression("x**2", **arguments)


def test_wrong_values():
    with pytest.raises(ValueError, match="a must"):
        Expression("a*x", variables="x", a=math.nan)
    with pytest.raises(TypeError, match="expression must be a string or a SymPy expression"):
        Expression(3, variables="x")
    for formula in ("log(x)", "1/x", "sqrt(x)", "acosh(x)"):
        with pytest.raises(ValueError, match=r"not finite at \[0.0\]; give start="):
            Expression(formula, variables="x")


def test_sympy_expressions():
    x, y, k = sympy.Symbol("x"), sympy.Symbol("y", positive=True), sympy.Symbol("k")
    u = Expression(k * sympy.cos(x) ** 2 + y**4, variables=("x", "y"), k=3.0)
    np.testing.assert_allclose(u.gradient([0.5, 2.0]), [-3 * math.sin(1.0), 32.0], rtol=1e-15)
    with pytest.raises(ValueError, match="no compiled form of besselj"):
        Expression(sympy.besselj(0, x), variables="x")
    with pytest.raises(ValueError, match="names 'k'"):
        Expression(k * x, variables="x")


def test_replace_compiles_nothing():
    from langevin_fast.jit import groups

    first = Expression("a*x**2 + b", variables="x", a=1.0, b=0.0)
    assert first.gradient([3.0]) == 6.0
    compiled = groups.compile_group.cache_info().misses
    second = first.replace(a=2.0)
    third = Expression("a*x**2 + b", variables="x", a=5.0, b=1.0)
    assert (second.gradient([3.0]), third.gradient([3.0])) == (12.0, 30.0)
    assert groups.compile_group.cache_info().misses == compiled
    assert (first.a, second.a, second.b) == (1.0, 2.0, 0.0)
    with pytest.raises(TypeError, match="c is not a parameter"):
        first.replace(c=1.0)


def test_variables_that_do_not_occur_are_free_directions():
    u = Expression("x**2", variables="x y")
    assert u.dim == 2
    np.testing.assert_array_equal(u.gradient([3.0, 5.0]), [6.0, 0.0])
    with pytest.raises(ValueError, match="the parameter 'y' does not occur"):
        Expression("x**2", variables="x", y=1.0)


def test_repr_pickle_and_copy():
    u = Expression("(x - a)**2", variables=("x",), start=[2.0], a=1.5)
    assert repr(u) == "Expression('(x - a)**2', variables=('x',), a=1.5)"
    for again in (pickle.loads(pickle.dumps(u)), copy.deepcopy(u)):
        assert repr(again) == repr(u)
        assert (again.default_start, again.energy([2.5])) == (2.0, 1.0)
        assert again.functions is u.functions or again.functions == u.functions


def test_sympy_is_imported_when_used():
    done = run_python(
        "-c",
        "import sys, langevin_fast as lf\n"
        "sys.modules['sympy'] = None\n"
        "u = lf.potentials.Expression('x**2', variables='x')\n"
        "assert u.functions.energy([3.0], u.parameters) == 9.0\n"
        "try:\n    u.expression\n"
        "except ImportError as error:\n    assert 'langevin-fast[expression]' in str(error)\n"
        "else:\n    sys.exit(1)",
    )
    assert done.returncode == 0, done.stderr
