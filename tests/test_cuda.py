"""The CUDA backend: what can be seen without a GPU; its tests in the simulator; on a GPU, where there is one."""

import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cases import POTENTIALS, PRECISIONS, covering, problem, python_environment, run_python
from test_observers import assert_same, look_at

import langevin_fast as lf
from langevin_fast import backends
from langevin_fast.backends import cuda as cuda_backend
from langevin_fast.simulation import Simulation

if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("numba-cuda is not installed", allow_module_level=True)

from numba import cuda


@pytest.mark.slow  # all of tests/simulated_cuda.py
def test_in_the_simulator():
    tests = Path(__file__).with_name("simulated_cuda.py")
    environment = {"NUMBA_ENABLE_CUDASIM": "1", "OMP_WAIT_POLICY": "passive"}
    result = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests), environment=environment)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-2000:]
    assert re.search(r"\d{3} passed", result.stdout)


def test_command_line_in_the_simulator():
    result = run_python(
        *("-W", "ignore", "-m", "langevin_fast", "cross-check", "--potential", "Free", "--precision", "double"),
        *("--steps", "3", "--moment-steps", "0"),
        environment={"NUMBA_ENABLE_CUDASIM": "1"},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("cpp, numba, cuda, batch") == 5


def test_benchmark_checks_in_the_simulator():
    script = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
    result = run_python("-W", "ignore", str(script), environment={"NUMBA_ENABLE_CUDASIM": "1"})
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("the bits of the CPU") == 24


# --- availability -----------------------------------------------------------------------------------------------------


def test_without_numba_cuda(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(lf.BackendUnavailableError, match=r'pip install "langevin-fast\[cuda\]"'):
        lf.sample(lf.potentials.Free(1), lf.ULA(0.1), n_steps=1, backend="cuda")


def test_without_a_gpu(monkeypatch):
    monkeypatch.setattr(cuda, "is_available", lambda: False)
    with pytest.raises(lf.BackendUnavailableError, match="NVIDIA GPU"):
        lf.sample(lf.potentials.Free(1), lf.ULA(0.1), n_steps=1, backend="cuda")
    assert "NVIDIA GPU" in backends.available(lf.potentials.Free(1))["cuda"]
    assert "does not run" in lf.explain_backend(lf.potentials.Free(1), "cuda")


def test_environment_of_the_simulator_is_not_that_of_these_tests():
    assert "NUMBA_ENABLE_CUDASIM" not in python_environment()


# --- machine code -----------------------------------------------------------------------------------------------------


def ptx(monkeypatch, potential, scheme, precision, observers=()):
    """What the compiler makes of the kernel for a GPU of compute capability 9.0, as text."""
    import numba.cuda.dispatcher
    from numba.cuda import types
    from numba.cuda.np.numpy_support import from_dtype

    from langevin_fast.gpu.kernel import kernel, without_contraction
    from langevin_fast.gpu.layout import Layout

    try:
        from numba.cuda.cudadrv.nvvm import NVVM

        NVVM()
    except Exception as error:
        pytest.skip(f"no NVVM library: {error}")
    device = SimpleNamespace(compute_capability=(9, 0))
    monkeypatch.setattr(numba.cuda.dispatcher, "get_current_device", lambda: device)
    monkeypatch.setattr(cuda_backend, "_on_gpu", lambda arrays, dtype=None: np.concatenate(arrays, dtype=dtype))
    run = Simulation(potential, scheme, n_particles=4, precision=precision, backend="numba", observers=observers)
    p, observed = run.stepper.beginning.problem, run.state.observed
    looks = cuda_backend._Looks(observed, p.dtype)
    layout = Layout.of(
        p.program,
        potential.dim,
        p.dtype,
        checked=looks.moves,
        observations=looks.observations,
        weights=looks.per_particle_or_component,
    )
    real = types.float32 if precision == "single" else types.float64
    n_state, matrix, cube = 2 if layout.has_velocities else 1, real[:, ::1], real[:, :, ::1]
    integers, u64 = types.int64[::1], types.uint64
    arrays = looks.arguments(looks.accumulators(observed))
    signature = types.void(
        *[matrix] * (2 * n_state), *[cube] * n_state, integers, u64[::1], matrix, integers, integers,
        types.int32[::1], u64, u64, *[types.int64] * 3, *[cube] * sum(map(len, layout.shapes)),
        *[types.Array(from_dtype(array.dtype), array.ndim, "C") for array in arrays],
    )  # fmt: skip
    with without_contraction():
        return cuda.compile_ptx(kernel(potential.functions, layout).py_func, signature, cc=(9, 0))[0]


def assert_same_arithmetic(code, precision):
    """Only operations that IEEE 754 defines, one at a time."""
    assert "mul.rn" in code
    assert "div.rn" in code
    assert not re.search(r"\bfma\.", code)
    assert ".approx" not in code
    assert ".ftz" not in code
    if precision == "single":
        assert ".f64" not in code
    else:
        assert ".f32" not in code


UNROLLED = [name for name in POTENTIALS if name not in ("Harmonic 70-D", "LennardJonesCluster")]


@pytest.mark.parametrize(
    ("name", "scheme", "precision"),
    # MALA has gradient and energy; in single precision a whole number in a twin shows as double
    [(name, "MALA", "single") for name in UNROLLED]
    + [
        ("DoubleWell", "LeimkuhlerMatthews", "single"),
        ("Rosenbrock", "ULA", "double"),
        ("GaussianMixture full", "BAOAB", "double"),
    ]
    + [
        pytest.param(name, *rest, marks=pytest.mark.slow)
        for name in UNROLLED
        for rest in (("BAOAB", "single"), ("MALA", "double"))
    ],
)
def test_compiled_for_a_gpu(monkeypatch, name, scheme, precision):
    potential, made = problem(name, scheme)
    code = ptx(monkeypatch, potential, made, precision)
    assert_same_arithmetic(code, precision)
    if potential.kind != "HybridRosenbrock":  # its parameters say which components belong together
        assert ".local" not in code, "the state is not in registers"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_expression_compiled_for_a_gpu(monkeypatch, precision):
    potential = lf.potentials.Expression("a*(x**2 - 1)**2 + tanh(3*x*y) + y**4", variables="x y", a=0.5)
    assert_same_arithmetic(ptx(monkeypatch, potential, lf.MALA(0.1), precision), precision)


def sums():
    """With gradients in registers, and with a loop over components."""
    p = lf.potentials
    bias = p.Expression("0.5*k*(x - x0)**2/3", variables="x y", k=100.0, x0=-0.5)
    k = np.arange(20.0)
    return {
        "2-D": p.MullerBrown(scale=0.125) + 2.0 * bias - p.Ring(dim=2),
        "20-D": p.Harmonic(k) + 0.5 * p.Harmonic(k + 1.0) + p.Ring(dim=20),
    }


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("which", sums())
def test_sum_compiled_for_a_gpu(monkeypatch, which, precision):
    code = ptx(monkeypatch, sums()[which], lf.MALA(0.1), precision)
    assert_same_arithmetic(code, precision)
    assert which != "2-D" or ".local" not in code, "the gradients are not in registers"


def energy(x, k):
    return 0.5 * k * x[0] * x[0] + np.cos(x[0])


def gradient(x, out, k):
    out[0] = k * x[0] - np.sin(x[0])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_custom_compiled_for_a_gpu(monkeypatch, precision):
    potential = lf.potentials.Custom(energy=energy, gradient=gradient, dim=1, k=2.0)
    assert_same_arithmetic(ptx(monkeypatch, potential, lf.MALA(0.1), precision), precision)


@pytest.mark.parametrize(
    ("scheme", "precision"),
    [(lf.ULA(0.1), "double"), (lf.MALA(0.1), "double"), (lf.BAOAB(0.1, friction=1.0), "single")],
    ids=repr,
)
def test_observers_compiled_for_a_gpu(monkeypatch, scheme, precision):
    moving = [lf.observers.FirstPassage("x > 0", on_arrival=mode) for mode in ("stop", "restart")]
    observers = [*look_at(scheme, 1), lf.observers.Expectation(lambda x: x[0] if x[0] > 0 else 1), *moving]
    code = ptx(monkeypatch, lf.potentials.DoubleWell(), scheme, precision, observers)
    assert not re.search(r"\bfma\.", code) and ".approx" not in code and ".ftz" not in code
    assert ".local" not in code, "state and values are not in registers"
    assert re.search(r"(atom|red)\S*\.add\.u64", code)


# --- on a GPU ---------------------------------------------------------------------------------------------------------

# False where the libraries are missing, too; the simulator is not on in this process.
on_gpu = pytest.mark.skipif(not cuda.is_available(), reason="no GPU")


@on_gpu
@pytest.mark.parametrize(("name", "scheme", "precision"), covering())
def test_gpu_has_the_bits_of_cpp(name, scheme, precision):
    potential, made = problem(name, scheme)
    runs = [
        lf.sample(
            potential, made, n_steps=200, n_particles=1000, stride=50, seed=7, precision=precision, backend=backend
        )
        for backend in ("cuda", "cpp")
    ]
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)
    np.testing.assert_array_equal(runs[0].final.accepted, runs[1].final.accepted)


@on_gpu
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [lf.ULA(0.05), lf.MALA(0.1), lf.BAOAB(0.2, friction=1.0)], ids=repr)
def test_observers_on_a_gpu_have_the_bits_of_cpp(scheme, precision):
    runs = []
    for backend in ("cuda", "cpp"):
        run = Simulation(
            lf.potentials.DoubleWell(),
            scheme,
            initial=np.where(np.arange(1000) % 100, -1.0, 9.0)[:, np.newaxis],  # some are thrown out
            seed=7,
            precision=precision,
            backend=backend,
            on_divergence="freeze",
            observers=[*look_at(scheme, 1), lf.observers.FirstPassage("0 < x < 3", on_arrival="stop")],
        )
        for n in (1, 150, 50):
            run.run(n)
        runs.append(run)
    assert_same(runs[0].observers, runs[1].observers)
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


@on_gpu
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("which", sums())
def test_gpu_has_the_bits_of_a_sum(which, precision):
    arguments = {"n_steps": 100, "n_particles": 1000, "stride": 50, "seed": 7, "precision": precision}
    runs = [lf.sample(sums()[which], lf.MALA(0.01), backend=backend, **arguments) for backend in ("cuda", "numba")]
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


@on_gpu
def test_divergence_on_a_gpu():
    with pytest.raises(lf.DivergenceError) as info:
        lf.sample(lf.potentials.DoubleWell(), lf.ULA(0.5), initial=[6.0], n_steps=30, seed=1, backend="cuda")
    assert info.value.trajectory.backend == "cuda"


def test_frames_are_split_into_launches():
    def ahead(step, end, most=100):
        steps, until = cuda_backend._frames_ahead(recordings, step, end, most)
        return steps.tolist(), until

    recording = lf.backends.problem.Recording
    recordings = [recording(10, 5, np.empty((100, 1, 1)), None)]
    assert ahead(0, 9) == ([], 9)
    assert ahead(0, 21) == ([10, 15, 20], 21)
    assert ahead(20, 31) == ([25, 30], 31)
    # two frames at a time: the launch ends with the second
    assert ahead(20, 500, most=2) == ([25, 30], 30)
    # several recordings share a frame
    recordings.append(recording(11, 4, np.empty((3, 1, 1)), None))
    assert ahead(10, 26) == ([11, 15, 19, 20, 25], 26)
    recordings.clear()
    assert ahead(0, 9) == ([], 9)
