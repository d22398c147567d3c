"""The check of Custom: wrong gradients are found, correct ones are never refused, and it costs little."""

import math
import re

import numpy as np
import pytest
from cases import run_python

import langevin_fast as lf
from langevin_fast.potentials import Custom, gradient_check, lennard_jones_cluster


@pytest.fixture(autouse=True)
def no_hurry(monkeypatch):
    """However busy the machine: what the check does where calls take long, or its time is over, has its own tests."""
    monkeypatch.setattr(gradient_check, "_LONG_CALL", math.inf)
    monkeypatch.setattr(gradient_check, "_SECONDS", 60.0)


def chain(n, power=12, length=1.0, depth=1.0):
    """Particles on a line with repulsive bonds."""

    def energy(x):
        total = 0.0
        for i in range(n - 1):
            total = total + depth * (length / (x[i + 1] - x[i])) ** power
        return total

    def gradient(x, out):
        for i in range(n):
            out[i] = 0.0 * x[i]
        for i in range(n - 1):
            r = x[i + 1] - x[i]
            slope = depth * power * (length / r) ** power / r
            out[i] = out[i] + slope
            out[i + 1] = out[i + 1] - slope

    return {"energy": energy, "gradient": gradient, "dim": n}


def with_error(functions, change):
    """The same with what `change` does to the gradient."""

    def gradient(x, out):
        functions["gradient"](x, out)
        change(out)

    return {**functions, "gradient": gradient}


@pytest.mark.parametrize(
    ("n", "length", "depth", "start"),
    [
        (5, 1.0, 1.0, np.arange(5.0)),
        (5, 1.0, 1.0, 1e6 + np.arange(5.0)),
        (5, 0.3, 1.0, 0.3 * np.arange(5.0)),
        (5, 3e-10, 1e-21, 3e-10 * np.arange(5.0)),
        (200, 0.05, 1.0, 0.05 * np.arange(200.0)),  # displaced particles nearly meet: steps go over singularities
    ],
)
def test_many_bodies_are_accepted(n, length, depth, start):
    Custom(**chain(n, length=length, depth=depth), start=start)


@pytest.mark.parametrize("n_atoms", [7, 38])
def test_clusters_are_accepted(n_atoms):
    cluster = lf.potentials.LennardJonesCluster(n_atoms, wall=4.0)
    Custom(
        energy=lambda x, q: lennard_jones_cluster._energy(x, q),
        gradient=lambda x, out, q: lennard_jones_cluster._gradient(x, out, q),
        dim=cluster.dim,
        start=cluster.default_start,
        q=cluster.parameters,
    )


AWKWARD = {
    "offset": (lambda x: x * x + 1e8, lambda x: 2 * x, 0.0),
    "cancellation": (lambda x: (x * x + 1e8) - 1e8, lambda x: 2 * x, 0.0),
    "hidden by rounding": (lambda x: (x * x + 1e13) - 1e13, lambda x: 2 * x, 0.0),
    "single precision": (lambda x: np.float32(np.float32(x) ** 2 + np.float32(1e3)), lambda x: 2 * x, 1e-3),
    "kink": (lambda x: abs(x - 0.05), lambda x: 1.0 if x > 0.05 else -1.0, 0.0),
    "jump": (lambda x: x * x / 2 + (3.0 if x > 0.0501 else 0.0), lambda x: x, 0.0),
    "ripple": (lambda x: x * x / 2 + 1e-3 * math.cos(1e3 * x), lambda x: x - math.sin(1e3 * x), 0.0),
    "finer ripple": (lambda x: x * x / 2 + 1e-6 * math.cos(1e6 * x), lambda x: x - math.sin(1e6 * x), 0.0),
    "resonance": (lambda x: math.cos(160 * math.pi * x), lambda x: -160 * math.pi * math.sin(160 * math.pi * x), 0.0),
    "near a border": (lambda x: -math.log(x), lambda x: -1 / x, 1e-5),
    "far away": (lambda x: (x - 1e8) ** 2 / 2, lambda x: x - 1e8, 1e8),
    "soft": (lambda x: 1e-10 * x * x / 2, lambda x: 1e-10 * x, 1e5),
    "constant": (lambda x: 3.0 + 0.0 * x, lambda x: 0.0, 0.0),
}


def in_one_dimension(energy, gradient, start=0.0):
    def write(x, out):
        out[0] = gradient(x[0])

    return Custom(energy=lambda x: energy(x[0]), gradient=write, dim=1, start=[start])


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_energies_are_accepted(name):
    in_one_dimension(*AWKWARD[name])


@pytest.mark.parametrize("slope", [(lambda x: 3.0, lambda x: 1.0), (lambda x: x * x, lambda x: 0.0)])
def test_a_slope_of_zero_is_compared(slope):
    with pytest.raises(ValueError, match="gradient: component 0 is"):
        in_one_dimension(*slope)


def springs(n):
    def energy(x):
        total = 0.0
        for c in range(n):
            total = total + (c + 1) * x[c] * x[c] / 2 + 0.1 * lf.math.cos(x[c])
        return total

    def gradient(x, out):
        for c in range(n):
            out[c] = (c + 1) * x[c] - 0.1 * lf.math.sin(x[c])

    return {"energy": energy, "gradient": gradient, "dim": n}


CHANGES = {
    "sign": lambda out, c: out.__setitem__(c, -out[c]),
    "factor": lambda out, c: out.__setitem__(c, 1.001 * out[c]),
    "zero": lambda out, c: out.__setitem__(c, 0.0),
}


@pytest.mark.parametrize("n", [1, 2, 10, 200])
@pytest.mark.parametrize("name", CHANGES)
def test_one_wrong_component_is_named(name, n):
    c = n // 2
    for functions, start in ((springs(n), np.zeros(n)), (chain(n), np.arange(float(n)))):
        if n == 1 and functions["energy"](np.ones(1)) == 0.0:
            continue  # a chain of one particle has no energy
        with pytest.raises(ValueError, match=rf"component {c} is .* finite differences of the energy give") as caught:
            Custom(**with_error(functions, lambda out: CHANGES[name](out, c)), start=start)
        assert len(str(caught.value)) < 260


def exchange(out):
    out[0], out[len(out) - 1] = float(out[len(out) - 1]), float(out[0])


def reverse(out):
    for c, value in enumerate([float(v) for v in out][::-1]):
        out[c] = value


def negate(out):
    for c in range(len(out)):
        out[c] = -out[c]


@pytest.mark.parametrize("n", [2, 3, 100])
@pytest.mark.parametrize("change", [exchange, reverse, negate])
def test_wrong_order_and_sign_are_found(change, n):
    with pytest.raises(ValueError, match="finite differences of the energy give"):
        Custom(**with_error(springs(n), change))


def counted(functions):
    calls = {"energy": 0, "gradient": 0}

    def energy(x):
        calls["energy"] += 1
        return functions["energy"](x)

    def gradient(x, out):
        calls["gradient"] += 1
        functions["gradient"](x, out)

    return calls, {**functions, "energy": energy, "gradient": gradient}


def test_the_number_of_calls_does_not_grow_with_the_dimension():
    for n in (2, 300):
        calls, functions = counted(springs(n))
        Custom(**functions)
        assert calls["gradient"] == 4  # at the start, and at three points near it
        assert calls["energy"] < 60


def test_it_stops_when_its_time_is_over(monkeypatch):
    monkeypatch.setattr(gradient_check, "_SECONDS", 0.0)
    calls, functions = counted(springs(30))
    Custom(**functions)
    assert calls["gradient"] == 2
    assert calls["energy"] <= 9
    with pytest.raises(ValueError, match="component 20 is"):
        Custom(**with_error(springs(30), lambda out: CHANGES["sign"](out, 20)))


@pytest.mark.parametrize(("name", "plain_gradients"), [("_LONG_CALL", 1), ("_MANY_PARAMETERS", 0)])
def test_slow_functions_are_compiled_first(monkeypatch, name, plain_gradients):
    monkeypatch.setattr(gradient_check, name, -1)
    plain = []
    call = gradient_check._Evaluation._call
    monkeypatch.setattr(
        gradient_check._Evaluation, "_call", lambda self, which, *a: plain.append(which) or call(self, which, *a)
    )
    Custom(energy=square, gradient=slope_of_square, dim=1)
    assert plain == ["gradient"] * plain_gradients
    with pytest.raises(ValueError, match="component 0 is"):
        Custom(energy=square, gradient=first_only, dim=1)


def square(x):
    return x[0] * x[0]


def slope_of_square(x, out):
    out[0] = 2.0 * x[0]


def test_numba_is_not_imported_for_it():
    done = run_python(
        "-c",
        "import sys, langevin_fast as lf\n"
        "def energy(x): return 0.5 * x[0] * x[0]\n"
        "def gradient(x, out): out[0] = x[0]\n"
        "lf.potentials.Custom(energy=energy, gradient=gradient, dim=1)\n"
        "sys.exit('numba' in sys.modules)",
    )
    assert done.returncode == 0, done.stderr


# --- what the functions do wrong --------------------------------------------------------------------------------------


def first_only(x, out):
    out[0] = x[0]


def nothing(x, out):
    out = 2.0 * x[0]  # noqa: F841


def returning(x, out):
    return [2.0 * x[0], 2.0 * x[1]]


def beyond(x, out):
    out[0] = x[2]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"gradient": nothing}, TypeError, "gradient must write ∇U to its second argument .* and returned nothing"),
        ({"gradient": returning}, TypeError, r"it wrote nothing there and returned \["),
        ({"gradient": returning, "energy": None}, TypeError, r"it wrote nothing there and returned \["),
        ({"gradient": first_only}, ValueError, "gradient did not give component 1 a number"),
        ({"gradient": first_only, "energy": None}, ValueError, "gradient did not give component 1 a number"),
        ({"gradient": beyond}, TypeError, "gradient raises IndexError: index 2"),
        ({"energy": lambda x: None}, TypeError, "energy must return one real number; it returned None"),
        ({"energy": lambda x: [x[0]]}, TypeError, r"energy must return one real number; it returned \["),
        ({"energy": lambda x: np.zeros(3)}, TypeError, "energy must return one real number; it returned"),
        ({"energy": lambda x: 1j * x[0]}, TypeError, "energy must return one real number"),
        ({"energy": lambda x: undefined}, TypeError, "energy raises NameError"),  # noqa: F821
        ({"energy": lambda x: math.sqrt(-1.0 - x[0] ** 2)}, ValueError, "energy raises ValueError.*give start="),
        ({"energy": lambda x: math.nan}, ValueError, "the energy is nan"),
    ],
)
def test_functions_that_do_something_else(changes, error, message):
    with pytest.raises(error, match=message) as caught:
        Custom(**springs(2) | changes)
    assert len(str(caught.value)) < 300


def distance(x, out):
    r = lf.math.sqrt(x[0] * x[0] + x[1] * x[1])
    out[0], out[1] = x[0] / r, x[1] / r


@pytest.mark.parametrize("energy", [None, lambda x: lf.math.sqrt(x[0] * x[0] + x[1] * x[1])])
def test_a_start_without_a_gradient_is_refused(energy):
    with pytest.raises(
        ValueError, match=r"not finite at start=\[0\.0, 0\.0\] \(component 0 of the gradient is nan .*give start="
    ):
        Custom(energy=energy, gradient=distance, dim=2)
    Custom(energy=energy, gradient=distance, dim=2, start=[1.0, 0.0])
    Custom(energy=energy, gradient=distance, dim=2, check=False)


def test_a_start_at_which_only_plain_python_raises_is_accepted():
    def energy(x):
        return lf.math.where(x[0] > 0.0, 0.5 * x[0] * x[0] * math.log(x[0]), 0.0)

    def gradient(x, out):
        out[0] = lf.math.where(x[0] > 0.0, x[0] * math.log(x[0]) + 0.5 * x[0], 0.0)

    assert Custom(energy=energy, gradient=gradient, dim=1).gradient([0.0]) == 0.0


def whole(x, out):
    out[:] = 2 * x


def summed(x, out):
    out[0] = out[1] = np.sum(x)


def in_place(x, out):
    out += x


@pytest.mark.parametrize(
    ("which", "function"),
    [
        ("gradient", whole),
        ("gradient", summed),
        ("gradient", in_place),
        ("energy", lambda x: np.sum(x * x)),
        ("energy", lambda x: (x**2).sum()),
        ("energy", lambda x: np.linalg.norm(x)),
    ],
)
def test_arrays_as_a_whole_are_refused_at_construction(which, function):
    with pytest.raises(TypeError, match=rf"Numba cannot compile the {which}: .*out\[i\] = .*Batch") as caught:
        Custom(**springs(2) | {which: function})
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def new_array(x, out):
    y = np.zeros(2)
    y[0] = x[0]
    out[0] = out[1] = y[0]


def test_what_only_compiling_shows_has_a_short_message_too():
    potential = Custom(gradient=new_array, dim=2)
    with pytest.raises(TypeError, match=r"Numba cannot compile the gradient: .*test_gradient_check\.py") as caught:
        potential.gradient([1.0, 2.0])
    assert len(str(caught.value)) < 600


def sliced(x, out):
    out[:] = 0.0
    out[0:1] = x[1:2]
    rest = x[:1]
    for value in rest:
        out[1] = value


def listed(x, out):
    y = [x[1], x[0]]
    out[0], out[1] = y[0], y[1]


def list_of(x):
    return [x[1], x[0]]


def listed_by_a_helper(x, out):
    y = list_of(x)
    for c in range(2):
        out[c] = y[c]


def copied(x, out):
    y = x.copy()
    out[0], out[1] = y[1], y[0]


def in_tuple(x, out):
    out[0], out[1] = (x[1], x[0])


@pytest.mark.parametrize(
    ("gradient", "in_vectors"),
    [(sliced, True), (in_tuple, True), (listed, False), (listed_by_a_helper, False), (copied, False)],
)
def test_lists_and_copies_of_components(gradient, in_vectors):
    """Memory of Numba's own is not aligned for vectors: such functions take one particle at a time."""
    potential = Custom(gradient=gradient, dim=2)
    x = np.arange(66.0).reshape(33, 2)
    np.testing.assert_array_equal(potential.gradient(x), x[:, ::-1])
    (compiled,) = potential._code["float64"]
    assert (compiled.why_scalar is None) == in_vectors
    assert in_vectors or re.search("lists or new arrays", compiled.why_scalar)


@pytest.mark.parametrize("which", ["gradient", "energy"])
def test_functions_that_move_the_particles(which):
    """In a run x holds the positions: a function that assigns to it would move them."""

    def energy(x):
        if which == "energy":
            x[0] -= 1.0
        return 0.5 * x[0] ** 2

    def gradient(x, out):
        if which == "gradient":
            x[0] -= 1.0
        out[0] = x[0]

    with pytest.raises(TypeError, match=f"{which} assigns to x, which holds the positions"):
        lf.potentials.Custom(energy=energy, gradient=gradient, dim=1)
