"""Potentials that users bring: Python functions compiled by Numba, and functions by address."""

import copy
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
from cases import PRECISIONS, SCHEMES, run_python

import langevin_fast as lf
from langevin_fast import _core

BARRIER = 1.5


def well_energy(x, b):
    q = x[0] * x[0] - 1.0
    return b * (q * q) + 0.0 * x[0] + 0.5 * (x[1] * x[1] + x[2] * x[2])


def well_gradient(x, out, b):
    # in the order of the built-in potential
    out[0] = (x[0] * x[0]) * (4 * b * x[0]) - (4 * b * x[0] - 0.0)
    for c in range(1, len(x)):
        out[c] = x[c]


def make_well(**changes):
    return lf.potentials.Custom(
        **{"energy": well_energy, "gradient": well_gradient, "dim": 3, "start": [-1, 0, 0], "b": BARRIER, **changes}
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_same_bits_as_the_builtin_potential(isa, scheme, precision):
    builtin = lf.potentials.DoubleWell(BARRIER, dim=3)
    made = SCHEMES[scheme](0.02, 1.0)
    for n in (1, 2, 65, 150):
        runs = [
            lf.sample(potential, made, n_steps=30, n_particles=n, seed=5, stride=7, precision=precision)
            for potential in (builtin, make_well())
        ]
        assert [run.backend for run in runs] == ["cpp", "numba"]
        np.testing.assert_array_equal(runs[0].positions, runs[1].positions)
        np.testing.assert_array_equal(runs[0].final.positions, runs[1].final.positions)
        np.testing.assert_array_equal(runs[0].final.accepted, runs[1].final.accepted)


@pytest.mark.parametrize("dtype", PRECISIONS.values())
def test_energy_and_gradient_on_arrays(dtype):
    x = np.linspace(-2, 2, 33).reshape(11, 3).astype(dtype)
    custom, builtin = make_well(), lf.potentials.DoubleWell(BARRIER, dim=3)
    np.testing.assert_array_equal(custom.gradient(x), builtin.gradient(x))
    np.testing.assert_allclose(custom.energy(x), builtin.energy(x), rtol=8 * np.finfo(dtype).eps)
    assert custom.energy(x).dtype == custom.gradient(x).dtype == dtype
    assert custom.gradient(x[0]).shape == (3,)
    assert custom.energy(x[:0]).shape == (0,)


def test_literals_take_the_precision_of_the_run():
    # 1/10 in single precision and 1/10 in double differ; a product in double would round differently
    def gradient(x, out):
        out[0] = 0.1 * x[0] + 3 * x[0] * (1 / 7)

    x = np.linspace(0.1, 5, 50, dtype=np.float32)[:, np.newaxis]
    expected = np.float32(0.1) * x + (np.float32(3) * x) * np.float32(1 / 7)
    np.testing.assert_array_equal(lf.potentials.Custom(gradient=gradient, dim=1).gradient(x), expected)


def test_integer_powers_are_products():
    powers = [0, 1, 2, 3, 5, 8, -1, -3]

    def gradient(x, out):
        out[0] = x[0] ** 0
        out[1] = x[1] ** 1
        out[2] = x[2] ** 2
        out[3] = x[3] ** 3
        out[4] = x[4] ** 5
        out[5] = x[5] ** 8
        out[6] = x[6] ** -1
        out[7] = x[7] ** -3

    x = np.linspace(0.5, 1.5, 8 * 9).reshape(9, 8)
    potential = lf.potentials.Custom(gradient=gradient, dim=8, start=np.ones(8))
    np.testing.assert_allclose(potential.gradient(x), x ** np.array(powers, float), rtol=5e-16)
    np.testing.assert_array_equal(potential.gradient(x)[:, 4], x[:, 4] * ((x[:, 4] ** 2) ** 2))


def branching(x, out):
    if x[0] > 0.25:
        out[0] = 2.0 * x[0]
    else:
        out[0] = x[0]


def selecting(x, out):
    out[0] = lf.math.where(x[0] > 0.25, 2.0 * x[0], x[0])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_branches_compile_one_particle_at_a_time(precision):
    runs = [
        lf.sample(
            lf.potentials.Custom(gradient=gradient, dim=1),
            lf.ULA(0.1),
            n_steps=50,
            n_particles=77,
            seed=3,
            precision=precision,
        )
        for gradient in (branching, selecting)
    ]
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


def test_closures_helpers_and_jitted_functions():
    k = 2.5
    centers = np.array([0.5, -1.0])

    @numba.njit
    def jitted(d):
        return k * d

    def helper(d):
        return jitted(d) + 0.0

    def energy(x):
        return sum_of_squares(x, centers) * k / 2

    def gradient(x, out):
        for c in range(2):
            out[c] = helper(x[c] - centers[c])

    x = np.linspace(-3, 3, 20).reshape(10, 2)
    potential = lf.potentials.Custom(energy=energy, gradient=numba.njit(gradient), dim=2)
    harmonic = lf.potentials.Harmonic(np.full(2, k), center=centers)
    np.testing.assert_array_equal(potential.gradient(x), harmonic.gradient(x))
    np.testing.assert_allclose(potential.energy(x), harmonic.energy(x), rtol=1e-14)


def sum_of_squares(x, centers):
    total = 0
    for value, center in zip(x, centers):  # noqa: B905  Numba knows no strict=
        total += (value - center) * (value - center)
    return total


def test_parameters_change_without_compiling():
    from langevin_fast.jit import groups

    def gradient(x, out, k, matrix):
        for i in range(2):
            out[i] = k * (matrix[i, 0] * x[0] + matrix[i, 1] * x[1])

    first = lf.potentials.Custom(gradient=gradient, dim=2, k=2.0, matrix=[[2.0, 1.0], [1.0, 3.0]])
    np.testing.assert_array_equal(first.gradient([1.0, 10.0]), [24.0, 62.0])
    compiled = groups.compile_group.cache_info().misses
    second = first.replace(k=1.0)
    third = lf.potentials.Custom(gradient=gradient, dim=2, k=2.0, matrix=np.eye(2))
    np.testing.assert_array_equal(second.gradient([1.0, 10.0]), [12.0, 31.0])
    np.testing.assert_array_equal(third.gradient([1.0, 10.0]), [2.0, 20.0])
    assert groups.compile_group.cache_info().misses == compiled
    assert (first.k, second.k) == (2.0, 1.0)
    with pytest.raises(TypeError, match="q is not a parameter"):
        first.replace(q=1.0)
    with pytest.raises(ValueError, match="matrix must keep the shape"):
        first.replace(matrix=np.eye(3))


def test_wrong_gradient_is_named():
    def wrong(x, out, b):
        well_gradient(x, out, b)
        out[1] = 1.001 * x[1]

    with pytest.raises(ValueError, match=r"component 1 is .* but finite differences of the energy give .* at x=\["):
        make_well(gradient=wrong)
    assert make_well(gradient=wrong, check=False).dim == 3


def test_incomplete_gradient_is_named():
    def incomplete(x, out):
        out[0] = x[0]

    with pytest.raises(ValueError, match="did not give component 1 a number"):
        lf.potentials.Custom(gradient=incomplete, dim=2)


def test_start_outside_the_domain():
    def energy(x):
        return -math.log(x[0]) if x[0] > 0 else math.inf

    def gradient(x, out):
        out[0] = -1.0 / x[0]

    with pytest.raises(ValueError, match="give start="):
        lf.potentials.Custom(energy=energy, gradient=gradient, dim=1, start=[-4.0])
    assert lf.potentials.Custom(energy=energy, gradient=gradient, dim=1, start=[4.0]).default_start == 4.0


def test_raising_function_diverges_where_it_raises():
    def gradient(x, out):
        if x[0] > 2.0:
            raise ValueError("too far")
        out[0] = x[0]

    potential = lf.potentials.Custom(gradient=gradient, dim=1)
    for n in (1, 100):
        with pytest.raises(lf.DivergenceError) as caught:
            lf.sample(potential, lf.ULA(0.1), n_steps=10_000, n_particles=n, seed=1, stride=None)
        assert caught.value.last_position > 2.0


def test_what_numba_cannot_compile_is_a_type_error():
    def gradient(x, out):
        out[0] = eval("x[0]")

    potential = lf.potentials.Custom(gradient=gradient, dim=1)
    with pytest.raises(TypeError, match="Numba cannot compile the gradient"):
        potential.gradient([1.0])


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"gradient": 3}, TypeError, "gradient must be a plain Python function"),
        ({"gradient": np.sin}, TypeError, "gradient must be a plain Python function"),
        ({"energy": lambda: 0.0}, TypeError, r"energy must be a function energy\(x"),
        ({"gradient": lambda x: None}, TypeError, r"gradient must be a function gradient\(x, out"),
        ({"c": 1.0}, TypeError, "c is not an argument of"),
        ({"b": np.nan}, ValueError, "b must"),
        ({"dim": 0}, ValueError, "dim must"),
        ({"start": [0, 0]}, ValueError, "start must"),
        ({"kind": 1.0}, ValueError, "kind cannot be the name of a parameter"),
    ],
)
def test_wrong_arguments(changes, error, match):
    with pytest.raises(error, match=match):
        make_well(**changes)


def test_missing_parameter():
    with pytest.raises(TypeError, match="gradient wants the parameter 'b'"):
        lf.potentials.Custom(gradient=well_gradient, dim=3)


def test_no_energy():
    potential = make_well(energy=None)
    with pytest.raises(ValueError, match="has no energy"):
        potential.energy([0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="needs the energy"):
        lf.sample(potential, lf.MALA(0.1), n_steps=1)


def test_pickle_and_copy():
    for again in (pickle.loads(pickle.dumps(make_well())), copy.deepcopy(make_well())):
        assert repr(again) == repr(make_well())
        np.testing.assert_array_equal(again.default_start, [-1, 0, 0])
        np.testing.assert_array_equal(again.gradient([1.0, 2, 3]), make_well().gradient([1.0, 2, 3]))


def test_threads_of_both_kinds_change_nothing():
    potential = make_well()
    arguments = {"n_steps": 200, "n_particles": 700, "seed": 1, "stride": None}

    def run(threads):
        return lf.sample(potential, lf.BAOAB(0.1, friction=1.0), threads=threads, **arguments).final.positions

    expected = run(1)
    with ThreadPoolExecutor(4) as pool:
        for got in pool.map(run, [1, 2, 1, 2, 3, 1]):
            np.testing.assert_array_equal(got, expected)


def test_explain_backend():
    text = lf.explain_backend(make_well())
    assert text.startswith('backend="auto" runs Custom(') and 'on "numba"' in text
    assert '"cpp" (the compiled kernels: built-in potentials, networks and C functions): not for Custom' in text
    assert 'on "cpp"' in lf.explain_backend(lf.potentials.Prinz())
    assert "cannot run" in lf.explain_backend(make_well(), "cpp")
    with pytest.raises(ValueError, match='backend="cpp" cannot run Custom'):
        lf.sample(make_well(), lf.ULA(0.1), n_steps=1, backend="cpp")


def test_built_in_potentials_do_not_import_numba():
    done = run_python(
        "-c",
        "import sys, langevin_fast as lf\n"
        "lf.sample(lf.potentials.DoubleWell(), lf.ULA(0.01), n_steps=10)\n"
        "sys.exit('numba' in sys.modules)",
    )
    assert done.returncode == 0, done.stderr


# --- functions by address ---------------------------------------------------------------------------------------------


@numba.cfunc("void(CPointer(double), CPointer(double))")
def c_gradient(x, g):
    g[0] = 2.0 * x[0]
    g[1] = 3.0 * x[1]


@numba.cfunc("double(CPointer(double))")
def c_energy(x):
    return 0.5 * ((2.0 * x[0]) * x[0] + (3.0 * x[1]) * x[1])


@pytest.mark.parametrize("by_address", [False, True])
@pytest.mark.parametrize("scheme", ["ULA", "MALA", "BAOAB"])
def test_c_functions(isa, scheme, by_address):
    functions = {"gradient": c_gradient, "energy": c_energy}
    if by_address:
        functions = {name: function.address for name, function in functions.items()}
    potential = lf.potentials.CFunction(**functions, dim=2)
    harmonic = lf.potentials.Harmonic([2.0, 3.0])
    for n in (1, 77):
        runs = [
            lf.sample(u, SCHEMES[scheme](0.2, 1.0), n_steps=40, n_particles=n, seed=9, threads=2)
            for u in (potential, harmonic)
        ]
        np.testing.assert_array_equal(runs[0].positions, runs[1].positions)
    assert runs[0].backend == "cpp"
    # in single precision the functions still compute in double, and what they return is rounded once
    x = np.linspace(-1, 1, 14, dtype=np.float32).reshape(7, 2)
    np.testing.assert_array_equal(potential.gradient(x), (np.array([2.0, 3.0]) * x.astype(float)).astype(np.float32))
    assert potential.energy(x).dtype == np.float32


def test_wrong_c_functions():
    with pytest.raises(TypeError, match="gradient must be an address"):
        lf.potentials.CFunction(gradient=well_gradient, dim=3)
    with pytest.raises(ValueError, match="gradient=0 is not an address"):
        lf.potentials.CFunction(gradient=0, dim=3)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(lf.potentials.CFunction(gradient=c_gradient.address, dim=2))
    potential = lf.potentials.CFunction(gradient=c_gradient, dim=2)
    with pytest.raises(ValueError, match="needs the energy"):
        lf.sample(potential, lf.MALA(0.1), n_steps=1)
    assert not {"GroupFunctions", "PointFunctions"} & set(_core.potential_names())
