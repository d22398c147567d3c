"""Formulas made at random, the list of functions, domains, and how long it all may take."""

import ast
import math
import re

import mpmath
import numpy as np
import pytest
import sympy
from cases import PRECISIONS, bounded_work

import langevin_fast as lf
from langevin_fast import symbolic
from langevin_fast.potentials import Expression

# --- every function that the documentation lists ----------------------------------------------------------------------

# name -> (reference, points inside of the domain, points outside)
FUNCTIONS = {
    "exp": (mpmath.exp, [-1.5, 0.3], []),
    "log": (mpmath.log, [0.3, 2.5], [-0.5]),
    "sqrt": (mpmath.sqrt, [0.3, 2.5], [-0.5]),
    "abs": (abs, [-0.7, 0.3], []),
    **{
        name: (getattr(mpmath, name), [-0.7, 0.4], []) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "atan")
    },
    **{name: (getattr(mpmath, name), [-0.7, 0.4], [-1.5, 1.5]) for name in ("asin", "acos", "atanh")},
    "asinh": (mpmath.asinh, [-1.5, 0.3], []),
    "acosh": (mpmath.acosh, [1.3, 4.0], [0.5, -2.0]),
    "sign": (mpmath.sign, [-0.7, 0.3], []),
    "floor": (mpmath.floor, [-0.7, 2.3], []),
    "ceil": (mpmath.ceil, [-0.7, 2.3], []),
    "erf": (mpmath.erf, [-0.7, 2.3], []),
    "erfc": (mpmath.erfc, [-0.7, 2.3], []),
    "gamma": (mpmath.gamma, [0.02, 0.7, 1.4616, 12.5], [-0.5, -1.5]),
    "lgamma": (mpmath.loggamma, [0.02, 0.7, 1.4616, 12.5, 1e5], [-0.5, -1.5]),
}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_functions_of_variables(precision):
    """The sum of x*f(x), each of its own x, compiled for vectors: inside of the domains, and one x outside."""
    names = [f"x{i}" for i in range(len(FUNCTIONS))]
    formula = " + ".join(f"{x}*{name}({x})" for x, name in zip(names, FUNCTIONS, strict=True))
    start = np.array([inside[0] for _, inside, _ in FUNCTIONS.values()], PRECISIONS[precision])
    potential = Expression(formula, variables=names, start=start)
    tolerance = 2e-5 if precision == "single" else 1e-13
    for i, (name, (reference, inside, outside)) in enumerate(FUNCTIONS.items()):
        for value in inside:
            point = start.copy()
            point[i] = value
            with mpmath.workdps(30):
                slope = float(mpmath.diff(lambda v, f=reference: v * f(v), mpmath.mpf(float(point[i]))))
                step = mpmath.mpf(float(point[i])) * reference(mpmath.mpf(float(point[i])))
                step -= mpmath.mpf(float(start[i])) * reference(mpmath.mpf(float(start[i])))
            assert potential.gradient(point)[i] == pytest.approx(slope, rel=tolerance, abs=tolerance), (name, value)
            rise = potential.energy(point) - potential.energy(start)
            assert rise == pytest.approx(float(step), rel=tolerance, abs=20 * tolerance), (name, value)
        for value in outside:
            point = start.copy()
            point[i] = value
            gradient = potential.gradient(point)
            assert np.isnan(gradient[i]), (name, value)
            assert np.isfinite(np.delete(gradient, i)).all()
            assert np.isnan(potential.energy(point))


def test_the_list_is_complete():
    from langevin_fast.symbolic.reading import _FUNCTIONS

    assert set(FUNCTIONS) | {"min", "max", "where", "atan2"} == set(_FUNCTIONS)
    documented = set(re.findall(r"[a-z]\w*", Expression.__doc__))
    assert set(_FUNCTIONS) <= documented


def test_functions_of_parameters_and_constants():
    u = Expression("x*gamma(a)*lgamma(10) + x*log(b)*y", variables="x, y", a=4.5, b=2.0)
    np.testing.assert_allclose(
        u.gradient([1.0, 2.0]), [math.gamma(4.5) * math.lgamma(10) + 2 * math.log(2), math.log(2)]
    )
    with pytest.raises(ValueError, match="not finite at"):
        u.replace(b=-1.0)
    # the part is not used where the condition does not hold
    w = Expression("where(b > 0, log(b)*x, x**2)", variables="x", b=-1.0)
    assert w.gradient([3.0]) == 6.0


# --- constants --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("x*gamma(10**7)", r"gamma\(10\*\*7\)"),
        ("floor(exp(2**53))*x", r"exp\(2\*\*53\)"),
        ("where(1<lgamma(acosh(1e-3)),x,y)", r"acosh\(1e-3\)"),
        ("cosh(1e300)*x", r"cosh\(1e300\)"),
        ("log(-1)**2*x", r"log\(-1\)"),
        ("where(sqrt(-1)>x,1,x)", r"sqrt\(-1\)"),
        ("1e308*10*x", r"1e308\*10"),
    ],
)
def test_constants_that_are_refused(text, part):
    message = f"expression=.*: '{part}' is (not a finite real|beyond the range)"
    with bounded_work(), pytest.raises(ValueError, match=message):
        Expression(text, variables="x y")


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("lgamma(10**9)*x", math.lgamma(1e9)),
        ("erfc(1e300)*x", 0.0),
        ("max(" + ", ".join(f"{i}*x - {i}" for i in range(30)) + ")", 29.0),
        ("floor(2.5)*x + sqrt(2)*0*x", 2.0),
    ],
)
def test_constants_that_are_computed(text, slope):
    with bounded_work():
        u = Expression(text, variables="x", start=[2.0])
    g = np.empty(1)
    u.functions.gradient(np.array([2.0]), g, u.parameters)
    assert g[0] == slope


# --- names and conditions ---------------------------------------------------------------------------------------------


def test_names_that_unicode_normalises():
    micro, mu = "\N{MICRO SIGN}", "\N{GREEK SMALL LETTER MU}"
    for variable in (micro, mu):
        for written in (micro, mu):
            assert Expression(f"{written}**2", variables=variable).variables == (mu,)
            u = Expression(f"{written}*x", variables="x", **{variable: 2.0})
            assert getattr(u, mu) == 2.0
            assert getattr(u.replace(**{micro: 3.0}), mu) == 3.0
    with pytest.raises(ValueError, match="given twice"):
        Expression("x", variables="x", **{micro: 1.0, mu: 2.0})


def test_variables_with_commas():
    assert Expression("x + y", variables="x, y").variables == ("x", "y")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("0 < x < 1", lambda x: 0 < x < 1),
        ("-1 <= x < 0 or x > 2", lambda x: -1 <= x < 0 or x > 2),
        ("not (x > 0 and x**2 < 4)", lambda x: not (x > 0 and x**2 < 4)),
        ("not 0 < x < 1 and 1 < 2", lambda x: not 0 < x < 1),
        ("x > 1 or not 1 < 2", lambda x: x > 1),
    ],
)
def test_conditions(condition, holds):
    u = Expression(f"where({condition}, x**2, 3*x)", variables="x")
    x = np.array([-1.5, -0.5, 0.5, 1.5, 2.5])
    expected = [2 * v if holds(v) else 3.0 for v in x]
    np.testing.assert_array_equal(u.gradient(x[:, np.newaxis])[:, 0], expected)


def test_conditions_of_sympy():
    x = sympy.Symbol("x")
    u = Expression(sympy.Piecewise((x**2, sympy.And(x > 0, x < 1)), (3 * x, True)), variables="x")
    np.testing.assert_array_equal(u.gradient([[0.5], [2.0]]), [[1.0], [3.0]])


def test_expression_as_sympy_has_it():
    x, y, a = sympy.symbols("x y a", real=True)
    u = Expression("a*(x**2 - 1)**2 + where(x > y, sqrt(y), abs(x)) + max(x, y)", variables="x y", start=[1, 2], a=2.0)
    expected = a * (x**2 - 1) ** 2 + sympy.Piecewise((sympy.sqrt(y), x > y), (abs(x), True)) + sympy.Max(x, y)
    for point in ({x: 3, y: 2, a: 5}, {x: -3, y: 2, a: 5}):
        assert u.expression.subs(point) == expected.subs(point)


def test_kinks_and_jumps():
    u = Expression("sign(x)*x**3 + floor(x) + abs(x)", variables="x")
    np.testing.assert_allclose(u.gradient([[1.5], [-0.5]]), [[3 * 1.5**2 + 1], [-3 * 0.25 - 1]])
    assert u.energy([-0.5]) == 0.125 - 1.0 + 0.5


def test_branches_that_are_not_taken_do_no_harm():
    u = Expression("where(x > 0, sqrt(x)*y + log(x), y**2) + where(x > 0, 1/x, x)", variables="x y", start=[1, 1])
    np.testing.assert_allclose(u.gradient([[-2.0, 3.0], [4.0, 3.0]]), [[1.0, 6.0], [0.75 + 0.25 - 1 / 16, 2.0]])


# --- domains ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [lf.ULA(0.1), lf.BAOAB(0.5, friction=1.0), lf.LeimkuhlerMatthews(0.1)], ids=repr)
def test_leaving_the_domain_is_a_divergence(scheme, precision):
    u = Expression("x**2/2 - log(x)", variables="x", start=[1.0])
    run = lf.Simulation(u, scheme, n_particles=200, seed=1, on_divergence="freeze", precision=precision)
    run.run(200)
    left = run.diverged >= 0
    assert left.any()
    assert (run.positions[~left] > 0.0).all()
    with pytest.raises(lf.DivergenceError):
        lf.sample(u, scheme, n_particles=200, seed=1, n_steps=200, precision=precision)


def test_mala_stays_in_the_domain():
    u = Expression("x**2/2 - log(x)", variables="x", start=[1.0])
    run = lf.sample(u, lf.MALA(0.5), n_particles=100, seed=1, n_steps=100)
    assert (run.positions > 0.0).all()


@pytest.mark.parametrize(
    "text",
    [
        *("x**2 - log(x)", "sqrt(x)", "x**1.5", "x**2.3", "x**y", "0*log(x)", "log(x) - log(x)", "floor(log(x))"),
        *(
            "where(log(x) > 0, y, 2*y)",
            "max(log(x), y)",
            "min(y, log(x))",
            "sqrt(x)**2",
            "log(x)/log(x)",
            "sign(sqrt(x))",
        ),
        *("acosh(1 + x)", "asin(1 + x) + acos(x - 2)", "log(x)*y", "lgamma(x)", "gamma(x)", "sign(sqrt(x))"),
    ],
)
def test_the_gradient_is_nan_outside_of_the_domain(text):
    generated = symbolic.generate(text, ("x", "y"), ())
    g = np.zeros(2)
    generated.gradient(np.array([-3.5, 0.25]), g, generated.parameters({}))
    assert np.isnan(g).any()


def test_no_cost_without_restricted_functions():
    for text in ("exp(x)*y + x**3/y - cos(x*y)", "log(1 + x**2) + sqrt(exp(x) + y**2)", "log(cosh(x))"):
        assert "where" not in symbolic.generate(text, ("x", "y"), ()).source


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_a_hundred_variables():
    n = 100
    text = " + ".join(f"(1 - x{i})**2 + a*(x{i + 1} - x{i}**2)**2" for i in range(n - 1))
    with bounded_work():
        u = Expression(text, variables=[f"x{i}" for i in range(n)], a=100.0)
    x = np.linspace(-1, 1, n)
    g, d = np.empty(n), x[1:] - x[:-1] ** 2
    u.functions.gradient(x, g, u.parameters)
    expected = np.zeros(n)
    expected[:-1] = -2 * (1 - x[:-1]) - 400 * x[:-1] * d
    expected[1:] += 200 * d
    np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-10)


def test_a_thousand_terms():
    terms = [(math.sin(i), i / 500.0) for i in range(1000)]
    with bounded_work():
        generated = symbolic.generate(" + ".join(f"cos({k!r}*x - {a!r})" for k, a in terms), ("x",), ())
    g = np.empty(1)
    generated.gradient(np.array([0.7]), g, np.empty(0))
    np.testing.assert_allclose(g[0], -sum(k * math.sin(k * 0.7 - a) for k, a in terms), rtol=1e-11)


# --- formulas made at random ------------------------------------------------------------------------------------------


class NotRealError(Exception):
    pass


def real(function):
    """A function of mpmath that refuses complex numbers."""

    def checked(*args):
        if any(isinstance(a, mpmath.mpc) for a in args):
            raise NotRealError
        result = function(*args)
        if isinstance(result, mpmath.mpc):
            raise NotRealError
        return result

    return checked


def positive(function):
    def checked(x):
        if x <= 0:
            raise NotRealError
        return function(x)

    return checked


NAMESPACE = {
    **{name: real(function) for name, (function, _, _) in FUNCTIONS.items()},
    **{"gamma": real(positive(mpmath.gamma)), "lgamma": real(positive(mpmath.loggamma)), "atan2": real(mpmath.atan2)},
    **{"max": real(max), "min": real(min), "plain": real(lambda x: x)},
}


def random_formula(rng, depth):
    """A formula, and the same for Python with mpmath: branches are taken, not chosen afterwards."""
    if depth == 0 or rng.random() < 0.1:
        leaf = str(rng.choice(["x", "y", "x", "y", "a", "2", "0.5", "1.75", "3"]))
        return leaf, leaf if leaf.isalpha() else f"mpf({leaf})"
    kind = rng.choice(["+", "-", "*", "/", "power", "call", "call", "negative", "where", "pair"])
    one, also_one = random_formula(rng, depth - 1)
    if kind == "negative":
        return f"(-{one})", f"(-{also_one})"
    if kind == "power":
        n = rng.choice(["2", "3", "-1", "-2", "0.5", "1.5", "-0.5", "2.3"])
        return f"({one})**({n})", f"plain(({also_one})**mpf({n}))"
    if kind == "call":
        name = rng.choice(list(FUNCTIONS))
        return f"{name}({one})", f"{name}({also_one})"
    two, also_two = random_formula(rng, depth - 1)
    if kind == "where":
        relation, (no, also_no) = rng.choice(["<", "<=", ">", ">="]), random_formula(rng, depth - 1)
        return (
            f"where({one} {relation} {two}, {no}, {two})",
            f"({also_no} if plain({also_one}) {relation} plain({also_two}) else {also_two})",
        )
    if kind == "pair":
        name = rng.choice(["max", "min", "atan2"])
        return f"{name}({one}, {two})", f"{name}({also_one}, {also_two})"
    return f"({one} {kind} {two})", f"({also_one} {kind} {also_two})"


@pytest.mark.parametrize("seed", range(4))
def test_random_formulas(seed):
    """Energy and gradient are those of mpmath; where it finds no real number, the gradient is NaN."""
    rng = np.random.default_rng(seed)
    compared = undefined = 0
    for _ in range(150):
        text, python = random_formula(rng, int(rng.integers(1, 5)))
        try:
            with bounded_work():
                generated = symbolic.generate(text, ("x", "y"), ("a",))
        except ValueError as error:
            assert "expression" in str(error)  # a constant that is not real, mostly
            continue
        ast.parse(generated.source)
        code = compile(python, "formula", "eval")

        def energy(x, y, code=code):
            return eval(code, {**NAMESPACE, "mpf": mpmath.mpf}, {"x": x, "y": y, "a": mpmath.mpf(1.25)})

        p = generated.parameters({"a": 1.25})
        for point in rng.uniform(-2.0, 2.0, (3, 2)):
            g = np.zeros(2)
            with np.errstate(all="ignore"):
                try:
                    u = float(generated.energy_gradient(point, g, p))
                except ZeroDivisionError:  # of Python's own numbers; infinite everywhere else
                    continue
            with mpmath.workdps(30):
                x, y = map(mpmath.mpf, point)
                try:
                    expected = energy(x, y)
                    slopes = [mpmath.diff(energy, (x, y), n) for n in ((1, 0), (0, 1))]
                except NotRealError:
                    # a part without variables that is not real leaves NaN in p or in the energy
                    assert np.isnan(g).any() or math.isnan(u), f"{text} at {point}"
                    undefined += 1
                    continue
                except (ZeroDivisionError, ValueError, OverflowError):
                    continue
                numbers = [float(v) for v in (expected, *slopes)]
            if max(map(abs, numbers)) < 1e4:
                np.testing.assert_allclose([u, *g], numbers, rtol=1e-7, atol=1e-7, err_msg=f"{text} at {point}")
                compared += 1
    assert compared > 150
    assert undefined > 20
