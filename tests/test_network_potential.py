"""NetworkPotential: equal to JAX, the same bits for every crowd, in the step loop."""

from itertools import pairwise

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import _core
from langevin_fast.score import NetworkPotential, Score
from langevin_fast.score.network_potential import ACTIVATIONS

LEVELS = [level["name"] for level in _core.isa_levels() if level["supported"]]
DTYPES = [np.float64, np.float32]


def make_layers(*widths, seed=1):
    """Weights as training leaves them: single precision."""
    rng = np.random.default_rng(seed)
    return [
        ((rng.standard_normal((n_out, n_in)) * 1.5 / np.sqrt(n_in)).astype(np.float32), rng.standard_normal(n_out) / 4)
        for n_in, n_out in pairwise(widths)
    ]


def points(n, dim, seed=2):
    return 2.0 * np.random.default_rng(seed).standard_normal((n, dim))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)], ids=["double", "single"])
def test_it_computes_what_jax_does(activation, dtype, tolerance, isa):
    jax = pytest.importorskip("jax")
    layers = make_layers(5, 37, 64, 3)
    x = points(200, 3)
    arguments = {"scale": 1.7, "factor": 0.8, "slope": 0.25, "mean": [0.1, -0.4, 2.0]}
    potential = NetworkPotential(layers, activation, condition=[0.3, -1.1], **arguments)
    with jax.enable_x64(dtype is np.float64):
        z = (jax.numpy.asarray(x, dtype) - np.array(arguments["mean"], dtype)) / dtype(1.7)
        h = jax.numpy.concatenate([z, jax.numpy.tile(jax.numpy.asarray([0.3, -1.1], dtype), (200, 1))], axis=1)
        for i, (weight, bias) in enumerate(layers):
            h = h @ weight.T.astype(dtype) + bias.astype(dtype)
            h = getattr(jax.nn, activation)(h) if i + 1 < len(layers) else h
        want = np.asarray(dtype(0.8) * h - dtype(0.25) * z)
    got = -potential.gradient(x.astype(dtype))
    assert got.dtype == dtype
    error = np.linalg.norm(got - want, axis=1) / np.linalg.norm(want, axis=1)
    assert error.max() < tolerance


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_far_out(activation, dtype):
    """The tails neither overflow nor end early."""
    jax = pytest.importorskip("jax")
    x = np.concatenate([np.geomspace(1e-8, 1e4, 200), -np.geomspace(1e-8, 1e4, 200), [0.0, 80.0, -80.0]])
    potential = NetworkPotential([([[1.0]], [0.0]), ([[1.0]], [0.0])], activation)
    got = -potential.gradient(x[:, np.newaxis].astype(dtype))[:, 0]
    with jax.enable_x64(True):
        want = np.asarray(getattr(jax.nn, activation)(jax.numpy.asarray(x.astype(dtype), float)))
    tiny = 1e-300 if dtype is np.float64 else 1e-30
    # gelu is 1 + tanh: its negative tail is lost against the 1
    slack = np.finfo(dtype).eps * 4 if activation == "gelu" else 0.0
    tolerance = 20 * np.finfo(dtype).eps * (np.abs(x) if activation == "silu" else 1.0) + 20 * np.finfo(dtype).eps
    assert (np.abs(got - want) <= tolerance * np.abs(want) + slack * np.abs(x) + tiny).all()


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("scheme", [lf.ULA(0.05), lf.BAOAB(0.1, friction=1.0)], ids=["ULA", "BAOAB"])
def test_a_particle_moves_the_same_alone_and_in_a_crowd(precision, scheme, isa):
    potential = NetworkPotential(make_layers(3, 19, 21, 3), "silu", slope=0.5)
    n = 301
    start = points(n, 3)
    arguments = {"n_steps": 20, "stride": None, "seed": 5, "precision": precision}
    crowd = lf.sample(potential, scheme, initial=start, **arguments).final.positions
    threads = lf.sample(potential, scheme, initial=start, threads=2, **arguments).final.positions
    np.testing.assert_array_equal(threads, crowd)
    for i in (0, 130, 300):
        alone = lf.sample(potential, scheme, initial=start[[i]], streams=[i], **arguments).final.positions
        np.testing.assert_array_equal(alone[0], crowd[i])
    few = lf.sample(potential, scheme, initial=start[:7], **arguments).final.positions
    np.testing.assert_array_equal(few, crowd[:7])


@pytest.mark.parametrize("precision", ["double", "single"])
def test_levels_agree_to_rounding(precision, use_isa):
    potential = NetworkPotential(make_layers(3, 40, 40, 3), "tanh", slope=1.0)
    x = points(100, 3).astype(np.float32 if precision == "single" else np.float64)
    results = {}
    for name in LEVELS:
        use_isa(name)
        results[name] = potential.gradient(x)
        bound = 20 * np.finfo(x.dtype).eps * np.abs(results[name]).max()
        np.testing.assert_allclose(results[name], results["baseline"], rtol=0, atol=bound)
    if "avx512" in results:
        np.testing.assert_array_equal(results["avx512"], results["avx2"])


@pytest.mark.parametrize("precision", ["double", "single"])
def test_the_compiled_loop_is_the_loop_around_the_score(precision):
    potential = NetworkPotential(make_layers(2, 33, 2), "gelu", slope=1.0)
    around = Score(lambda x: -potential.gradient(x), dim=2)
    runs = [
        lf.sample(p, lf.ULA(0.05), n_particles=77, n_steps=30, stride=10, seed=3, precision=precision)
        for p in (potential, around)
    ]
    assert (runs[0].backend, runs[1].backend) == ("cpp", "batch")
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


def test_a_linear_network_samples_a_gaussian():
    """One layer without activation: the score -P (x - m)."""
    precision_matrix = np.array([[1.5, 0.4], [0.4, 0.8]])
    potential = NetworkPotential([(-precision_matrix, [0.0, 0.0])], "relu", mean=[1.0, -2.0])
    gaussian = lf.potentials.Gaussian([1.0, -2.0], np.linalg.inv(precision_matrix))
    np.testing.assert_allclose(potential.gradient(points(50, 2)), gaussian.gradient(points(50, 2)), rtol=1e-12)
    np.testing.assert_array_equal(potential.default_start, [1.0, -2.0])
    with pytest.raises(ValueError, match="energy"):
        lf.sample(potential, lf.MALA(0.1), n_particles=1, n_steps=1)
    with pytest.raises(ValueError, match="no energy"):
        potential.energy([0.0, 0.0])


def test_infinite_positions_are_noticed():
    potential = NetworkPotential(make_layers(1, 8, 1), "relu", slope=-0.0, factor=1e300)
    with pytest.raises(lf.DivergenceError):
        lf.sample(potential, lf.ULA(1e10), n_particles=3, n_steps=10, seed=1)


@pytest.mark.parametrize(
    ("layers", "changes", "error", "match"),
    [
        ([], {}, ValueError, "layers"),
        (make_layers(2, 4, 2), {"activation": "sine"}, ValueError, "activation"),
        (make_layers(3, 4, 2), {}, ValueError, r"layers\[0\]\[0\]"),
        ([*make_layers(2, 4), *make_layers(5, 2)], {}, ValueError, r"layers\[1\]\[0\]"),
        ([([[1.0]], [0.0, 1.0])], {}, ValueError, "layers"),
        ([([[np.nan]], [0.0])], {}, ValueError, r"layers\[0\]\[0\]"),
        (make_layers(2, 4, 2), {"mean": [0.0]}, ValueError, "mean"),
        (make_layers(2, 4, 2), {"scale": 0.0}, ValueError, "scale"),
        (make_layers(2, 4, 2), {"slope": -1.0}, ValueError, "slope"),
        (make_layers(2, 4, 2), {"factor": 0.0}, ValueError, "factor"),
        (make_layers(2, 4, 2), {"condition": [1.0]}, ValueError, r"layers\[0\]\[0\]"),
        ("ab", {}, TypeError, "layers must be a sequence of pairs"),
        (3, {}, TypeError, "layers must be a sequence of pairs"),
        (iter([]), {}, TypeError, "layers must be a sequence of pairs"),
        ([1.0], {}, TypeError, r"layers\[0\] must be a pair"),
        (["ab"], {}, TypeError, r"layers\[0\] must be a pair"),
        ([([[1.0]], [0.0], [0.0])], {}, TypeError, r"layers\[0\] must be a pair"),
        ([("a", [0.0])], {}, TypeError, r"layers\[0\]\[0\]"),
        ([([[1.0], [1.0, 2.0]], [0.0])], {}, ValueError, r"layers\[0\]\[0\]"),
        ([([[1.0]], 0.0)], {}, ValueError, r"layers\[0\]\[1\]"),
        ([([[1.0]], None)], {}, TypeError, r"layers\[0\]\[1\]"),
        (make_layers(2, 4, 2), {"activation": 3}, TypeError, "activation"),
        (make_layers(2, 4, 2), {"activation": None}, ValueError, "activation"),
        (make_layers(2, 4, 2), {"mean": "a"}, TypeError, "mean"),
        (make_layers(2, 4, 2), {"scale": "1"}, TypeError, "scale"),
        (make_layers(2, 4, 2), {"scale": np.nan}, ValueError, "scale"),
        (make_layers(2, 4, 2), {"slope": None}, TypeError, "slope"),
        (make_layers(2, 4, 2), {"factor": [1.0]}, TypeError, "factor"),
        (make_layers(2, 4, 2), {"condition": None}, TypeError, "condition"),
        (make_layers(2, 4, 2), {"condition": 0.3}, ValueError, "condition"),
        (make_layers(2, 4, 2), {"condition": ""}, TypeError, "condition"),
        (make_layers(2, 4, 2), {"condition": [[1.0], [1.0, 2.0]]}, ValueError, "condition"),
    ],
)
def test_wrong_arguments(layers, changes, error, match):
    with pytest.raises(error, match=match):
        NetworkPotential(layers, **{"activation": "silu", **changes})


# --- scores that are called -------------------------------------------------------------------------------------------


def test_score_of_a_callable():
    potential = Score(lambda x, sigma: -x / (1 + sigma**2), dim=3, sigma=2.0)
    np.testing.assert_allclose(potential.gradient([[5.0, 0.0, -10.0]]), [[1.0, 0.0, -2.0]])
    with pytest.raises(TypeError, match="callable"):
        Score(3.0, dim=1)
    with pytest.raises(ValueError, match="shape"):
        lf.sample(Score(lambda x: x[:, 0], dim=2), lf.ULA(0.1), n_particles=3, n_steps=1)
    with pytest.raises(ValueError, match="energy"):
        lf.sample(Score(lambda x: -x, dim=2), lf.MALA(0.1), n_particles=3, n_steps=1)


def test_score_of_a_torch_module():
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    module = torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.SiLU(), torch.nn.Linear(16, 2))
    x = points(20, 2)
    want = module(torch.tensor(x, dtype=torch.float32)).detach().numpy()
    np.testing.assert_array_equal(-Score(module, dim=2).gradient(x), want)
    assert np.isfinite(lf.score.sliced(module, x).value)
    linear = [m for m in module if isinstance(m, torch.nn.Linear)]
    layers = [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in linear]
    np.testing.assert_allclose(
        -NetworkPotential(layers, "silu").gradient(x.astype(np.float32)), want, rtol=0, atol=1e-5 * np.abs(want).max()
    )
