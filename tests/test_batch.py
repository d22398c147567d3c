"""Potentials given by functions of all particles at once: the coupled loop."""

import numpy as np
import pytest
from cases import PRECISIONS, SCHEMES, covering, problem, varied

import langevin_fast as lf
from langevin_fast.potentials import Batch


def batch_of(potential):
    return Batch(gradient=potential.gradient, energy=potential.energy, dim=potential.dim, start=potential.default_start)


def assert_same_run(a, b):
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.steps, b.steps)
    np.testing.assert_array_equal(a.final.positions, b.final.positions)
    np.testing.assert_array_equal(a.final.accepted, b.final.accepted)
    np.testing.assert_array_equal(a.final.diverged, b.final.diverged)
    if a.velocities is not None:
        np.testing.assert_array_equal(a.velocities, b.velocities)
        np.testing.assert_array_equal(a.final.velocities, b.final.velocities)


@pytest.mark.parametrize(("name", "scheme_name", "precision"), covering())
def test_same_bits_as_cpp(name, scheme_name, precision):
    potential, scheme = problem(name, scheme_name)
    arguments = {"n_steps": 23, "n_particles": 83, "seed": 3, "stride": 5, "burn_in": 2, "precision": precision}
    runs = [lf.sample(u, scheme, **arguments) for u in (potential, batch_of(potential))]
    assert [run.backend for run in runs] == ["cpp", "batch"]
    assert_same_run(*runs)


@pytest.mark.parametrize("dim", [1, 3, 37])
@pytest.mark.parametrize("scheme_name", SCHEMES)
def test_same_bits_on_every_level(isa, scheme_name, dim):
    # the block loop has one loop for one dimension, and takes several components at a time where there are many
    u = lf.potentials.Harmonic(np.linspace(0.5, 2.0, dim))
    for n in (1, 2, 5, 150):
        scheme, arguments = varied(scheme_name, n, dim)
        arguments |= {"n_steps": 12, "burn_in": 3, "stride": 2, "seed": 11, "streams": np.arange(n) * 2**33 + 5}
        assert_same_run(lf.sample(u, scheme, **arguments), lf.sample(batch_of(u), scheme, **arguments))


@pytest.mark.parametrize("scheme_name", SCHEMES)
def test_chunks_leave_no_trace(scheme_name):
    u = batch_of(lf.potentials.Harmonic([1.0, 2.0]))
    scheme = SCHEMES[scheme_name](0.2, 1.0)
    whole = lf.Simulation(u, scheme, n_particles=7, seed=1)
    whole.run(41)
    parts = lf.Simulation(u, scheme, n_particles=7, seed=1)
    for n in (1, 2, 3, 7, 28):
        parts.run(n)
    np.testing.assert_array_equal(parts.positions, whole.positions)


def counted(function):
    def call(x):
        call.count += 1
        return function(x)

    call.count = 0
    return call


@pytest.mark.parametrize(("scheme_name", "calls"), [("ULA", 1), ("BAOAB", 1), ("MALA", 1), ("OBABO", 1), ("BAO", 1)])
def test_one_gradient_per_step(scheme_name, calls):
    gradient, energy = counted(lambda x: x), counted(lambda x: (x * x).sum(axis=1) / 2)
    sim = lf.Simulation(Batch(gradient=gradient, energy=energy, dim=2), SCHEMES[scheme_name](0.1, 1.0), n_particles=3)
    gradient.count = energy.count = 0
    sim.run(60)
    for _ in range(40):
        sim.run(1)
    # what is known at the end of a run, or of a chunk, is not computed again
    assert gradient.count == 100 * calls + (scheme_name != "ULA" and scheme_name != "BAO")  # and one at the start
    assert energy.count == (101 if scheme_name == "MALA" else 0)


@pytest.mark.parametrize("scheme_name", ["ULA", "BAOAB", "MALA", "LeimkuhlerMatthews"])
@pytest.mark.parametrize("error_type", [RuntimeError, KeyboardInterrupt])
def test_errors_arrive_unchanged_and_nothing_is_lost(scheme_name, error_type):
    raised = error_type("mine")
    at = {"call": 30}

    def gradient(x):
        gradient.count += 1
        if gradient.count == at["call"]:
            raise raised
        return x

    gradient.count = 0
    scheme = SCHEMES[scheme_name](0.1, 1.0)
    u = Batch(gradient=gradient, energy=lambda x: (x * x).sum(axis=1) / 2, dim=2)
    expected = lf.sample(batch_of(lf.potentials.Harmonic([1.0, 1.0])), scheme, n_steps=200, n_particles=5, seed=4)

    sim = lf.Simulation(u, scheme, n_particles=5, seed=4)
    with pytest.raises(error_type) as caught:
        sim.run(200)
    if error_type is KeyboardInterrupt:
        assert isinstance(caught.value, lf.Interrupted)
    else:
        assert caught.value is raised
    assert caught.value.trajectory.final is sim.state
    assert 10 < sim.step < 30
    np.testing.assert_array_equal(sim.positions, expected.positions[sim.step - 1])
    sim.run(200 - sim.step)
    np.testing.assert_array_equal(sim.positions, expected.positions[-1])

    gradient.count = 0
    with pytest.raises(BaseException) as caught:
        lf.sample(u, scheme, n_steps=200, n_particles=5, seed=4)
    assert isinstance(caught.value, lf.Interrupted) if error_type is KeyboardInterrupt else caught.value is raised
    trajectory = caught.value.trajectory
    assert len(trajectory.positions) == trajectory.final.step > 10
    np.testing.assert_array_equal(trajectory.positions, expected.positions[: len(trajectory.positions)])


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (lambda x: x[:, 0], ValueError, r"gradient must return an array of shape \(5, 2\); it returned \(5,\)"),
        (lambda x: x.T, ValueError, r"it returned \(2, 5\)"),
        (lambda x: None, TypeError, "gradient must return real numbers"),
        (lambda x: x + 1j, TypeError, "gradient must return real numbers"),
        (lambda x: 0.0, ValueError, r"it returned \(\)"),
    ],
)
def test_wrong_results(result, error, message):
    with pytest.raises(error, match=message):
        lf.sample(Batch(gradient=result, dim=2), lf.ULA(0.1), n_steps=3, n_particles=5)


def test_wrong_energy():
    u = Batch(gradient=lambda x: x, energy=lambda x: x, dim=2)
    with pytest.raises(ValueError, match=r"energy must return an array of shape \(5,\)"):
        lf.sample(u, lf.MALA(0.1), n_steps=3, n_particles=5)
    with pytest.raises(ValueError, match="needs the energy"):
        lf.sample(Batch(gradient=lambda x: x, dim=2), lf.MALA(0.1), n_steps=3)
    pair = Batch(gradient=lambda x: x, energy=lambda x: x[:, 0], energy_gradient=lambda x: x, dim=2)
    with pytest.raises(TypeError, match="energy_gradient must return the pair"):
        lf.sample(pair, lf.MALA(0.1), n_steps=3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"gradient": 3}, TypeError, "gradient must be callable"),
        ({"energy": 3}, TypeError, "energy must be callable"),
        ({"energy_gradient": lambda x: x}, ValueError, "needs energy"),
        ({"dim": 0}, ValueError, "dim must"),
        ({"arrays": "list"}, ValueError, "arrays"),
        ({"start": [0.0]}, ValueError, "start must"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        Batch(**{"gradient": lambda x: x, "dim": 2, **arguments})


def test_positions_cannot_be_changed_by_the_function():
    def vandal(x):
        x[0] = 17.0
        return x

    with pytest.raises(ValueError, match="read-only"):
        lf.sample(Batch(gradient=vandal, dim=1), lf.ULA(0.1), n_steps=3)


@pytest.mark.parametrize("scheme_name", ["ULA", "BAOAB", "MALA"])
def test_function_may_reuse_its_array_or_return_its_argument(scheme_name):
    buffer = np.empty((9, 2))

    def reusing(x):
        return np.multiply(x, 1.0, out=buffer)

    def energy(x):
        return (x[:, 0] * x[:, 0] + x[:, 1] * x[:, 1]) * 0.5

    scheme = SCHEMES[scheme_name](0.3, 1.0)
    runs = [
        lf.sample(Batch(gradient=gradient, energy=energy, dim=2), scheme, n_steps=50, n_particles=9, seed=2)
        for gradient in (lambda x: 1.0 * x, reusing, lambda x: x)
    ]
    assert_same_run(runs[0], runs[1])
    assert_same_run(runs[0], runs[2])


@pytest.mark.parametrize("scheme_name", ["ULA", "BAOAB"])
def test_divergence(scheme_name):
    well = lf.potentials.DoubleWell(20.0)
    scheme = SCHEMES[scheme_name](0.35 if scheme_name == "BAOAB" else 0.02, 1.0)
    arguments = {"n_steps": 400, "n_particles": 60, "seed": 1, "on_divergence": "freeze"}
    runs = [lf.sample(u, scheme, **arguments) for u in (well, batch_of(well))]
    assert (runs[0].diverged >= 0).sum() > 0
    assert_same_run(*runs)
    errors = []
    for u in (well, batch_of(well)):
        with pytest.raises(lf.DivergenceError) as caught:
            lf.sample(u, scheme, n_steps=400, n_particles=60, seed=1)
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    assert_same_run(errors[0].trajectory, errors[1].trajectory)


def test_energy_and_gradient_on_arrays():
    u = batch_of(lf.potentials.Rosenbrock())
    x = np.linspace(-1, 1, 24).reshape(3, 4, 2)
    np.testing.assert_array_equal(u.gradient(x), lf.potentials.Rosenbrock().gradient(x))
    np.testing.assert_array_equal(u.energy(x), lf.potentials.Rosenbrock().energy(x))
    assert u.gradient(x[0, 0].astype(np.float32)).dtype == np.float32
    assert u.energy(x[:0]).shape == (0, 4)


# --- other libraries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("form", ["energy", "log_density"])
def test_from_jax(form, precision):
    jax = pytest.importorskip("jax")
    seen = []

    def rosenbrock(x):
        seen.append(x.dtype)
        u = ((1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2) / 20.0
        return u if form == "energy" else -u

    before = jax.config.jax_enable_x64
    u = lf.potentials.from_jax(**{form: rosenbrock}, dim=2)
    builtin = lf.potentials.Rosenbrock(scale=0.05)
    dtype = PRECISIONS[precision]
    x = np.random.default_rng(0).uniform(-1, 1, (20, 2)).astype(dtype)
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(u.gradient(x), builtin.gradient(x), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(u.energy(x), builtin.energy(x), rtol=tolerance, atol=tolerance)
    assert set(seen) == {np.dtype(dtype)}
    runs = [
        lf.sample(v, lf.MALA(0.1), n_steps=10, n_particles=6, seed=1, initial=[1, 1], precision=precision)
        for v in (u, builtin)
    ]
    assert runs[0].backend == "batch"
    np.testing.assert_allclose(runs[0].positions, runs[1].positions, rtol=0, atol=1e4 * tolerance)
    assert jax.config.jax_enable_x64 == before


def test_batch_of_jax_function():
    pytest.importorskip("jax")
    import jax.numpy as jnp

    kinds = set()

    def gradient(x):
        kinds.add(isinstance(x, jnp.ndarray))
        return jnp.sin(x)

    for arrays in ("numpy", "jax"):
        u = Batch(gradient=gradient, dim=1, arrays=arrays)
        assert u.gradient(np.ones(1, np.float32)) == pytest.approx(np.sin(1.0), rel=1e-6)
    assert kinds == {False, True}


def test_from_torch():
    torch = pytest.importorskip("torch")
    u = lf.potentials.from_torch(log_density=lambda x: -0.5 * (x * x).sum(dim=1), dim=3)
    x = np.linspace(-1, 1, 12).reshape(4, 3)
    np.testing.assert_allclose(u.gradient(x), x, rtol=1e-15)
    np.testing.assert_allclose(u.energy(x), 0.5 * (x * x).sum(axis=1), rtol=1e-15)
    run = lf.sample(u, lf.MALA(0.5), n_steps=20, n_particles=5, seed=1)
    assert (run.backend, run.positions.dtype) == ("batch", np.float64)
    wrong = lf.potentials.from_torch(energy=lambda x: x, dim=3)
    with pytest.raises(ValueError, match="energy must return a tensor of shape"):
        wrong.gradient(x)
    given = Batch(gradient=lambda t: torch.sin(t), dim=3, arrays="torch")
    np.testing.assert_allclose(given.gradient(x), np.sin(x), rtol=1e-15)


@pytest.mark.parametrize("make", [lf.potentials.from_jax, lf.potentials.from_torch])
def test_exactly_one_function(make):
    for arguments in ({}, {"energy": abs, "log_density": abs}):
        with pytest.raises(TypeError, match="exactly one of energy and log_density"):
            make(**arguments, dim=1)
    with pytest.raises(TypeError, match="energy must be callable"):
        make(energy=3, dim=1)


@pytest.mark.parametrize(("make", "module"), [(lf.potentials.from_jax, "jax"), (lf.potentials.from_torch, "torch")])
def test_missing_library(monkeypatch, make, module):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(ImportError, match="pip install"):
        make(energy=lambda x: x, dim=1)


# --- precision and masks ----------------------------------------------------------------------------------------------


def test_jax_arrays_compute_in_the_precision_of_the_run():
    jax = pytest.importorskip("jax")
    jnp = jax.numpy
    offset, seen = 1e8, set()

    def energy(x):
        seen.add(x.dtype)
        return 0.5 * jnp.sum(x * x, axis=1) + offset

    u = Batch(gradient=jax.jit(lambda x: 1.0 * x), energy=jax.jit(energy), dim=1, arrays="jax")
    harmonic = lf.potentials.Harmonic(1.0)
    arguments = {"n_steps": 20, "n_particles": 50, "seed": 1}
    before = jax.config.jax_enable_x64
    runs = [lf.sample(v, lf.MALA(0.5), **arguments) for v in (u, harmonic)]
    np.testing.assert_allclose(runs[0].positions, runs[1].positions, atol=1e-12)
    assert runs[0].energies.dtype == np.float64
    assert u.energy(np.ones((2, 1), np.float32)).dtype == np.float32
    assert seen == {np.dtype(np.float64), np.dtype(np.float32)}
    assert jax.config.jax_enable_x64 == before


def test_results_of_less_than_the_precision_are_refused():
    u = Batch(gradient=lambda x: x.astype(np.float32), energy=lambda x: x[:, 0].astype(np.float16), dim=2)
    with pytest.raises(TypeError, match=r'gradient returned float32 where positions are float64.*arrays="jax"'):
        lf.sample(u, lf.ULA(0.1), n_steps=3)
    assert lf.sample(u, lf.ULA(0.1), n_steps=3, precision="single").positions.dtype == np.float32
    with pytest.raises(TypeError, match="energy returned float16 where positions are float32"):
        u.energy(np.zeros(2, np.float32))
    pytest.importorskip("jax")
    import jax.numpy as jnp

    with pytest.raises(TypeError, match="gradient returned float32"):  # a function of JAX that is given NumPy arrays
        Batch(gradient=jnp.sin, dim=1).gradient([1.0])


def test_integers_and_wider_numbers_are_results():
    u = Batch(gradient=lambda x: np.zeros(x.shape, np.int64), energy=lambda x: x[:, 0].astype(np.longdouble), dim=2)
    assert u.gradient([1.0, 2.0]).dtype == u.energy([1.0, 2.0]).dtype == np.float64


def test_a_masked_result_is_refused():
    masked = Batch(gradient=lambda x: np.ma.masked_greater(x, 0.0), dim=2)
    with pytest.raises(TypeError, match="gradient must return an array without a mask"):
        masked.gradient([1.0, -1.0])


@pytest.mark.parametrize("arrays", ["jax", "torch"])
def test_arrays_of_a_library_that_is_missing(monkeypatch, arrays):
    monkeypatch.setitem(__import__("sys").modules, arrays, None)
    with pytest.raises(ImportError, match=f'arrays="{arrays}" needs .*pip install'):
        Batch(gradient=lambda x: x, dim=1, arrays=arrays).gradient([1.0])
