"""Tests of the CUDA backend in Numba's simulator: run by test_cuda.py, in a process with NUMBA_ENABLE_CUDASIM=1.

Kernels are then plain Python on NumPy's numbers. What holds here to the bit holds on a GPU, too, as long as its
compiler does what IEEE 754 says: test_cuda.py looks at the machine code for that.
"""

import copy
import functools
import math

import numpy as np
import pytest
from cases import POTENTIALS, PRECISIONS, covering, problem, varied
from numba import cuda
from test_observers import assert_same, look_at, plain

import langevin_fast as lf
from langevin_fast import _core, backends
from langevin_fast.backends import cuda as cuda_backend
from langevin_fast.gpu.device_functions import Noise, elementary
from langevin_fast.noise import block_words, draw


def both(potential, scheme, other="cpp", **arguments):
    arguments = {"n_steps": 9, "n_particles": 3, "seed": 2**40 + 3, "stride": 2, **arguments}
    return [lf.sample(potential, scheme, backend=backend, **arguments) for backend in ("cuda", other)]


def assert_equal_bits(a, b):
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.final.positions, b.final.positions)
    assert (a.velocities is None) == (b.velocities is None)
    if a.velocities is not None:
        np.testing.assert_array_equal(a.velocities, b.velocities)
        np.testing.assert_array_equal(a.final.velocities, b.final.velocities)
    np.testing.assert_array_equal(a.final.accepted, b.final.accepted)


# --- noise ------------------------------------------------------------------------------------------------------------

BLOCKS = [0, 1, 7, 2**31, 2**32 - 1, 2**32, 2**45 + 9]


@pytest.mark.parametrize("stream", [0, 3, 2**32 + 5, 2**56 - 1])
@pytest.mark.parametrize("dtype", PRECISIONS.values())
@pytest.mark.parametrize("tag", ["thermal", "metropolis"])
def test_noise_has_the_bits_of_the_cpu(stream, dtype, tag):
    seed = 0x0123456789ABCDEF
    noise = Noise(dtype)
    tag_number = _core.TAGS[tag] + (_core.SINGLE_PRECISION_TAG if dtype is np.float32 else 0)
    u = np.uint64
    low, high = u(stream & 0xFFFFFFFF), u(stream >> 32 | tag_number << 24)
    for number in BLOCKS:
        arguments = u(number), low, high, u(seed & 0xFFFFFFFF), u(seed >> 32)
        words = [int(w[0]) for w in block_words(seed, stream, tag_number, np.array([number], np.uint64))]
        with np.errstate(over="ignore"):
            assert [int(w) for w in noise.philox(*arguments)] == words
            make = noise.normals if tag == "thermal" else noise.uniforms
            numbers = np.array(make(*arguments))
        assert numbers.dtype == dtype
        start, n = number * noise.per_block, noise.per_block
        want = draw(tag, seed, np.array([stream], np.uint64), start, n, dtype, uniform=tag == "metropolis")[0]
        np.testing.assert_array_equal(numbers, want)


@pytest.mark.parametrize("dtype", PRECISIONS.values())
@pytest.mark.parametrize(
    "name",
    [
        "exp",
        "expm1",
        "log",
        "log1p",
        "sqrt",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "fabs",
        "floor",
        "ceil",
        "round",
    ],
)
def test_elementary_functions_have_the_bits_of_numpy(name, dtype):
    device, ours = getattr(elementary(dtype), name), getattr(lf.math, name)
    with np.errstate(all="ignore"):
        for x in (-800.0, -3.7, -1e-3, -0.0, 0.0, 1e-30, 0.4, 1.0, 2.5, 50.0, 700.0, 1e9, np.inf, -np.inf, np.nan):
            np.testing.assert_array_equal(device(dtype(x)), ours(dtype(x)))


# --- schemes and potentials -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("potential", "scheme", "precision"), [row for row in covering() if row[0] != "Harmonic 70-D"])
def test_builtin_has_the_bits_of_cpp(potential, scheme, precision):
    long = potential.startswith(("Lennard", "Gaussian", "Logistic", "Hybrid"))
    made = problem(potential, scheme)
    assert_equal_bits(*both(*made, precision=precision, n_steps=4 if long else 9, n_particles=2 if long else 3))


@pytest.mark.parametrize("scheme", ["ULA", "MALA", "BAOAB"])
def test_many_components(scheme):
    assert_equal_bits(*both(*problem("Harmonic 70-D", scheme), n_steps=3, n_particles=2))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", ["ULA", "LeimkuhlerMatthews", "MALA", "BAOAB", "AOBOA"])
def test_parameters_of_each_particle(scheme, precision):
    made, extra = varied(scheme, 5, 2)
    assert_equal_bits(*both(lf.potentials.Harmonic([1.0, 2.0]), made, n_particles=5, precision=precision, **extra))


def test_mass_of_each_component():
    potential, scheme = lf.potentials.Harmonic([1.0, 2.0]), lf.BAOAB(0.1, drag=0.5)
    assert_equal_bits(*both(potential, scheme, mass=[1.0, 3.0]))


@pytest.mark.parametrize(
    "arguments", [{"streams": [7, 2**56 - 1, 2**40]}, {"burn_in": 3}, {"stride": 5}, {"stride": None}]
)
def test_arguments_of_sample(arguments):
    assert_equal_bits(*both(lf.potentials.DoubleWell(), lf.BAOAB(0.1, friction=1.0), **arguments))


def test_more_than_a_block_of_threads():
    a, b = both(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=131, n_steps=2, stride=1)
    assert_equal_bits(a, b)


def test_frames_that_need_several_launches(monkeypatch):
    monkeypatch.setattr(cuda_backend, "_RECORDING_BYTES", 2 * 3 * 8 * 2)  # two frames of three particles, x and v
    assert_equal_bits(*both(lf.potentials.DoubleWell(), lf.BAOAB(0.1, friction=1.0), n_steps=31, stride=3))


def test_runs_add_up():
    potential, scheme = lf.potentials.Prinz(), lf.MALA(0.01)
    whole = lf.Simulation(potential, scheme, n_particles=3, seed=5, backend="cuda")
    parts = lf.Simulation(potential, scheme, n_particles=3, seed=5, backend="cuda")
    whole.run(11)
    for n in (1, 4, 6):
        parts.run(n)
    np.testing.assert_array_equal(whole.positions, parts.positions)
    np.testing.assert_array_equal(whole.acceptance_rate, parts.acceptance_rate)


# --- divergence -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", [lf.ULA(0.5), lf.LeimkuhlerMatthews(0.5), lf.BAOAB(1.5, friction=0.1)], ids=repr)
def test_divergence_is_that_of_cpp(scheme):
    initial = [[0.1], [6.0], [0.3], [5.0]]
    errors = []
    for backend in ("cuda", "cpp"):
        with pytest.raises(lf.DivergenceError) as info:
            lf.sample(lf.potentials.DoubleWell(), scheme, initial=initial, n_steps=30, seed=1, backend=backend)
        errors.append(info.value)
    assert str(errors[0]) == str(errors[1])
    np.testing.assert_array_equal(errors[0].trajectory.positions, errors[1].trajectory.positions)


@pytest.mark.parametrize(
    "scheme",
    [lf.ULA(0.5), lf.BAOAB(0.6, friction=0.1, kT=0.02), lf.Splitting("OBABO", 0.6, drag=0.1, kT=0.02)],
    ids=repr,
)
def test_frozen_particles_are_those_of_cpp(scheme):
    initial = [[0.1], [6.0], [0.3], [5.0]]
    runs = []
    for backend in ("cuda", "cpp"):
        simulation = lf.Simulation(
            lf.potentials.DoubleWell(barrier=0.5),
            scheme,
            initial=initial,
            seed=1,
            backend=backend,
            on_divergence="freeze",
        )
        simulation.run(12)
        simulation.run(5)
        runs.append(simulation)
    assert (runs[0].diverged >= 0).any()
    assert (runs[0].diverged < 0).any()
    np.testing.assert_array_equal(runs[0].diverged, runs[1].diverged)
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


# --- potentials of the user's -----------------------------------------------------------------------------------------

STRENGTH = 1.5


def helper(x):
    return STRENGTH * lf.math.exp(-x * x)


def energy(x, k, w):
    return helper(x[0]) + 0.5 * k * x[0] * x[0] + w[1] * math.cos(x[1]) + 0.5 * w[0] * x[1] * x[1]


def gradient(x, out, k, w):
    out[0] = -2.0 * x[0] * helper(x[0]) + k * x[0]
    out[1] = w[0] * x[1] - w[1] * np.sin(x[1])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [lf.ULA(0.02), lf.MALA(0.2), lf.BAOAB(0.1, friction=1.0)], ids=repr)
def test_custom_has_the_bits_of_numba(scheme, precision):
    potential = lf.potentials.Custom(energy=energy, gradient=gradient, dim=2, k=2.0, w=[1.0, 0.3])
    assert_equal_bits(*both(potential, scheme, other="numba", precision=precision))
    assert_equal_bits(*both(potential.replace(k=3.0), scheme, other="numba", precision=precision))


def hole_energy(x):
    return lf.math.where(x[0] > 0.75, -math.inf, 0.5 * x[0] * x[0])


def hole_gradient(x, out):
    out[0] = x[0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_energy_of_minus_infinity_is_rejected(precision):
    potential = lf.potentials.Custom(energy=hole_energy, gradient=hole_gradient, dim=1)
    made = both(potential, lf.MALA(0.5), other="numba", precision=precision, n_steps=20, stride=1)
    assert_equal_bits(*made)
    assert (made[0].positions <= 0.75).all() and (made[0].final.accepted < 20).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [lf.ULA(0.02), lf.MALA(0.2), lf.BAOAB(0.1, friction=1.0)], ids=repr)
def test_expression_has_the_bits_of_numba(scheme, precision):
    potential = lf.potentials.Expression(
        "a*(x**2 - 1)**2 + cos(3*x*y) + where(y > 0, y**3, -y**3)*exp(-x**2) + log(1 + y**2)", variables="x y", a=0.5
    )
    assert_equal_bits(*both(potential, scheme, other="numba", precision=precision))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [lf.ULA(0.002), lf.MALA(0.02), lf.BAOAB(0.01, friction=1.0)], ids=repr)
def test_sum_has_the_bits_of_numba(scheme, precision):
    p, k, ramp = lf.potentials, np.arange(20.0), lf.Schedule([0.0, 0.05], [-0.5, 0.5])
    bias = p.Expression("0.5*k*(x - x0)**2/3", variables="x y", k=100.0, x0=-0.5)
    sums = (
        p.MullerBrown(scale=0.125) + 2.0 * bias - p.Ring(dim=2),
        p.MullerBrown(scale=0.125) + ramp * bias.with_values({"x0": ramp}),
        p.Harmonic(k) + 0.5 * p.Harmonic(k + 1.0) + p.Ring(dim=20),  # loops over components
    )
    for potential in sums:
        assert_equal_bits(*both(potential, scheme, other="numba", precision=precision, n_steps=5, n_particles=2))


@pytest.mark.parametrize("precision", PRECISIONS)
def test_leaving_the_domain_of_an_expression(precision):
    potential = lf.potentials.Expression(
        "x**2/2 - log(x) + floor(3*x)*y + where(x > 1 and not y > 2, y**2, a*y)", variables="x y", start=[1, 0], a=0.5
    )
    runs = []
    for backend in ("cuda", "numba"):
        run = lf.Simulation(
            potential, lf.ULA(0.3), n_particles=8, seed=1, backend=backend, on_divergence="freeze", precision=precision
        )
        run.run(12)
        runs.append(run)
    assert (runs[0].diverged >= 0).any()
    assert (runs[0].diverged < 0).any()
    np.testing.assert_array_equal(runs[0].diverged, runs[1].diverged)
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


def test_energies_of_a_run():
    a, b = both(lf.potentials.DoubleWell(), lf.ULA(0.01))
    np.testing.assert_array_equal(a.energies, b.energies)


# --- observers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [lf.ULA(0.02), lf.MALA(0.1), lf.BAOAB(0.1, friction=1.0)], ids=repr)
def test_observers_see_the_bits_of_cpp(scheme, precision):
    well = lf.potentials.DoubleWell()
    runs = []
    for backend in ("cuda", "cpp"):
        arguments = {"n_particles": 3, "seed": 1, "backend": backend, "precision": precision}
        simulation = lf.Simulation(well, scheme, observers=look_at(scheme, 1), **arguments)
        record, frames = look_at(scheme, 1, 3, 2), lf.observers.Frames(3)
        simulation.run(7)
        simulation.run(12, record=[*record[3:], frames])
        runs.append((*simulation.observers, *record[3:], frames))
    assert_same(runs[0][:-1], runs[1][:-1])
    np.testing.assert_array_equal(runs[0][-1].positions, runs[1][-1].positions)


def test_observers_of_numbers_that_change_in_time():
    u, scheme = lf.potentials.Harmonic(lf.Schedule([0.0, 1.0], [1.0, 9.0])), lf.BAOAB(0.1, friction=1.0)
    runs = [
        lf.sample(u, scheme, n_steps=15, n_particles=3, seed=1, backend=backend, observers=look_at(scheme, 1, 2))
        for backend in ("cuda", "cpp")
    ]
    assert_same(runs[0].observers, runs[1].observers)


def on_both(potential, scheme, make, parts, record=lambda: (), other="cpp", **arguments):
    """A simulation in parts with the observers of `make`, on both backends."""
    result = []
    for backend in ("cuda", other):
        simulation = lf.Simulation(
            potential, scheme, observers=make(), backend=backend, **{"n_particles": 3, "seed": 1, **arguments}
        )
        recorded = record()
        for n in parts:
            simulation.run(n, record=recorded)
            recorded = ()
        result.append(simulation)
    return result


def assert_same_simulation(a, b):
    assert_same(a.observers, b.observers)
    for name in ("positions", "velocities", "diverged", "acceptance_rate"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    np.testing.assert_array_equal(a.state.stopped, b.state.stopped)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n", [1, 2, 40])
def test_observers_of_few_and_of_many(n, precision):
    """Batches in time, which become longer where they are full, and batches of particles."""
    parts = [4, 1, 3] if n == 40 else [100, 1, 40]
    make = functools.partial(plain, 1, 2)
    assert_same_simulation(
        *on_both(lf.potentials.DoubleWell(), lf.ULA(0.02), make, parts, n_particles=n, precision=precision)
    )


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", ["MALA", "BAOAB", "AOBOA"])
def test_observers_of_parameters_of_each_particle(scheme, precision):
    made, extra = varied(scheme, 5, 2)

    def make():
        observers = [*plain(), lf.observers.Temperature("configurational", center=[0.5, -1.0])]
        if scheme != "MALA":
            observers.append(lf.observers.Temperature("kinetic"))
        if scheme == "BAOAB":
            observers.append(lf.observers.Temperature("half-step"))
        return observers

    arguments = {"n_particles": 5, "precision": precision, **extra}
    assert_same_simulation(*on_both(lf.potentials.Harmonic([1.0, 2.0]), made, make, [6, 3], **arguments))


def test_observers_of_many_components():
    def make():
        kinds = ("kinetic", "half-step", "configurational")
        return [
            lf.observers.Moments(),
            lf.observers.Expectation(["v[69] * x[17]", "energy"]),
            *map(lf.observers.Temperature, kinds),
        ]

    assert_same_simulation(*on_both(*problem("Harmonic 70-D", "BAOAB"), make, [3, 2]))


def several(x, v, energy):
    return (x[0] * v[1], energy - helper(x[1])) if x[0] > v[0] else (v[1], 2)


def leftmost(x):
    return min(x[0], x[1])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_functions_of_observers(precision):
    def make():
        return [
            lf.observers.Expectation([several, leftmost, "where(x > y, x*energy, v[1])", "energy"], every=2),
            lf.observers.Histogram([leftmost, "y"], bins=(3, 4), range=((-1, 1), (-1, 1))),
            lf.observers.Trigger(lambda x: x[0] > 0.2 or x[1] < 0),
            lf.observers.FirstPassage([lf.regions.Ball([0.5, 0.5], 0.4), lf.regions.Half([1.0, 0.0], 0.2)]),
        ]

    potential = lf.potentials.Expression("a*(x**2 - 1)**2 + tanh(x*y) + y**4", variables="x y", a=0.5)
    scheme = lf.BAOAB(0.1, friction=1.0)
    assert_same_simulation(*on_both(potential, scheme, make, [5, 4], other="numba", n_particles=4, precision=precision))


def test_launches_that_end_between_looks(monkeypatch):
    monkeypatch.setattr(cuda_backend, "_RECORDING_BYTES", 2 * 3 * 8)  # a frame of three particles
    well, scheme, make = (
        lf.potentials.DoubleWell(),
        lf.LeimkuhlerMatthews(0.02),
        functools.partial(look_at, lf.ULA(1), 1, 2),
    )
    assert_same_simulation(*on_both(well, scheme, make, [9, 4], record=lambda: [lf.observers.Frames(3)]))


THROWN = [[0.1], [6.0], [0.3], [5.0]]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", [lf.ULA(0.5), lf.BAOAB(0.6, friction=0.1, kT=0.02)], ids=repr)
def test_observers_of_particles_that_freeze(scheme, precision):
    """A look that a particle does not survive is taken back, and its bad step is not looked at."""
    a, b = on_both(
        lf.potentials.DoubleWell(barrier=0.5),
        scheme,
        lambda: look_at(scheme, 1),
        [12, 5],
        initial=THROWN,
        n_particles=None,
        on_divergence="freeze",
        precision=precision,
    )
    assert len(np.unique(a.diverged)) > 1
    assert_same_simulation(a, b)


def test_observers_of_a_run_that_diverges():
    errors = []
    for backend in ("cuda", "cpp"):
        with pytest.raises(lf.DivergenceError) as info:
            lf.sample(
                lf.potentials.DoubleWell(),
                lf.ULA(0.5),
                initial=THROWN,
                n_steps=30,
                seed=1,
                backend=backend,
                observers=look_at(lf.ULA(0.5), 1),
            )
        errors.append(info.value)
    assert_same(*([o for o in e.observers if isinstance(o, lf.observers.Observer)] for e in errors))


ARRIVING = {
    "ULA": lf.ULA(0.05),
    "LeimkuhlerMatthews": lf.LeimkuhlerMatthews(0.05),
    "MALA": lf.MALA(0.1),
    "BAOAB": lf.BAOAB(0.2, friction=1.0),
    "AOBOA": lf.Splitting("AOBOA", 0.2, friction=1.0),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("modes", [("stop",), ("restart",), ("restart", "stop")], ids="-".join)
@pytest.mark.parametrize("scheme", ARRIVING)
def test_arrivals_are_those_of_cpp(scheme, modes, precision):
    made = ARRIVING[scheme]
    regions = {"stop": "x > 0.2", "restart": "x > 0"}

    def make():
        passages = [lf.observers.FirstPassage(regions[mode], every=2, on_arrival=mode) for mode in modes]
        return [*plain(), *passages, *([lf.observers.Acceptance()] if scheme == "MALA" else [])]

    frames = []

    def record():
        frames.append([lf.observers.Frames(), lf.observers.Frames(2)])
        return frames[-1]

    arguments = {"initial": [-0.3], "n_particles": 6, "precision": precision}
    a, b = on_both(lf.potentials.DoubleWell(), made, make, [25, 1, 6], record, **arguments)
    assert sum(o.arrivals.sum() for o in a.observers if isinstance(o, lf.observers.FirstPassage)) >= 1
    assert_same_simulation(a, b)
    for mine, other in zip(*frames, strict=True):
        np.testing.assert_array_equal(mine.positions, other.positions)
        np.testing.assert_array_equal(mine.velocities, other.velocities)
    np.testing.assert_array_equal(
        a.replay(particles=[1], steps=slice(3, 20)).positions, b.replay(particles=[1], steps=slice(3, 20)).positions
    )


@pytest.mark.parametrize("mode", ["stop", "restart"])
def test_some_arrive_and_some_freeze(mode):
    def make():
        return [lf.observers.FirstPassage("-0.3 < x < 0", on_arrival=mode), *plain()]

    arguments = {"initial": THROWN, "n_particles": None, "on_divergence": "freeze"}
    a, b = on_both(lf.potentials.DoubleWell(barrier=0.5), lf.ULA(0.5), make, [12, 1, 9], **arguments)
    assert (a.diverged >= 0).any() and a.observers[0].arrivals.any()
    assert_same_simulation(a, b)


@pytest.mark.parametrize("parts", [[10], [6, 4], [3, 7], [1] * 10], ids=repr)
def test_a_particle_that_diverges_after_it_has_started_anew(parts):
    """It stays where it started: its last state."""
    h = 10.0
    stiffness = lf.Schedule([0.0, 5 * h, 5.5 * h], [0.0, 0.0, 1e308])
    potential = lf.potentials.Expression("k * x**2 / 2 - 0.01 * x", variables="x", k=stiffness)
    passage = lf.observers.FirstPassage("x > 0", on_arrival="restart")
    simulation = lf.Simulation(
        potential,
        lf.ULA(h, kT=1e-12),
        initial=[-0.55],
        seed=1,
        backend="cuda",
        on_divergence="freeze",
        observers=[passage],
    )
    for n in parts:
        simulation.run(n)
    assert (passage.steps, simulation.diverged, simulation.positions) == ([6], [7], [[-0.55]])


def test_arrivals_of_copies():
    simulation = lf.Simulation(
        lf.potentials.DoubleWell(),
        lf.ULA(0.05),
        initial=[-0.3],
        n_particles=5,
        seed=1,
        backend="cuda",
        observers=[lf.observers.FirstPassage("x > 0", on_arrival="stop"), *plain()],
    )
    simulation.run(9)
    other = copy.deepcopy(simulation)
    for run in (simulation, other):
        run.run(7)
    assert_same_simulation(simulation, other)


# --- choice -----------------------------------------------------------------------------------------------------------


def test_the_simulator_counts_as_available():
    assert cuda.is_available()
    assert backends.available(lf.potentials.Free(1))["cuda"] is None
    assert '"cuda" (' in lf.explain_backend(lf.potentials.Free(1), "cuda")


def test_cross_check_includes_it():
    report = lf.cross_check(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=4, n_steps=6, moment_steps=0)
    assert report.ok, report
    (found,) = (b for b in report.backends if b.name == "cuda")
    assert found.first_difference is None


def test_cross_check_finds_a_fault_on_the_gpu(monkeypatch):
    import dataclasses

    right = cuda_backend.prepare
    monkeypatch.setattr(
        cuda_backend, "prepare", lambda problem, n: right(dataclasses.replace(problem, seed=problem.seed + 1), n)
    )
    report = lf.cross_check(lf.potentials.DoubleWell(), lf.ULA(0.01), n_particles=4, n_steps=6, moment_steps=0)
    assert any(problem.startswith("cuda: step 1, particle") for problem in report.problems)


def test_batch_does_not_run_there():
    potential = lf.potentials.Batch(gradient=lambda x: x, dim=1)
    with pytest.raises(ValueError, match='backend="cuda" cannot run'):
        lf.sample(potential, lf.ULA(0.1), n_steps=1, backend="cuda")


def test_every_potential_is_covered():
    assert {name.split(" ")[0] for name in POTENTIALS} == {p.kind for p in lf.potentials.BUILTIN}


def test_numbers_that_change_in_time():
    ramp = lf.Schedule([0.05, 0.2], [1.0, 3.0])
    schemes = lf.BAOAB(1 / 64, friction=1.0, kT=ramp), lf.ULA(1 / 64), lf.MALA(1 / 64, kT=ramp)
    for u in (lf.potentials.DoubleWell(barrier=ramp), lf.potentials.Harmonic(1.0)):
        for scheme in schemes:
            arguments = {"n_particles": 5, "n_steps": 24, "burn_in": 2, "stride": 6, "seed": 1}
            a, b = (lf.sample(u, scheme, backend=backend, **arguments) for backend in ("cuda", "cpp"))
            np.testing.assert_array_equal(a.positions, b.positions)
            np.testing.assert_array_equal(a.replay([2], slice(4, 9)).positions, b.replay([2], slice(4, 9)).positions)


def test_frames_of_several_recordings():
    runs = []
    for backend in ("cuda", "cpp"):
        simulation = lf.Simulation(
            lf.potentials.DoubleWell(), lf.BAOAB(0.1, friction=1.0), n_particles=3, seed=1, backend=backend
        )
        frames = [lf.observers.Frames(every, start) for every, start in ((2, 0), (3, 1), (4, 0))]
        simulation.run(20, record=frames)
        runs.append(frames)
    for a, b in zip(*runs, strict=True):
        np.testing.assert_array_equal(a.steps, b.steps)
        np.testing.assert_array_equal(a.positions, b.positions)
        np.testing.assert_array_equal(a.velocities, b.velocities)


# --- biases -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coordinate", ["x[0] + 0.1*x[1]**2", ["x[0]", "x[1]"]])
def test_metadynamics(coordinate):
    grid = np.linspace(-2.0, 2.0, 41) if isinstance(coordinate, str) else (np.linspace(-2.0, 2.0, 41),) * 2
    found = []
    for backend in ("cuda", "auto"):
        filling = lf.rare.Metadynamics(
            *(lf.potentials.MullerBrown(), lf.ULA(1e-4, kT=15.0), coordinate),
            **{"grid": grid, "height": 0.3, "width": 0.1, "bias_factor": 8.0, "stride": 5, "n_walkers": 3},
            **{"seed": 1, "backend": backend},
        )
        found.append((filling.run(12), filling.positions))
    assert found[0][0].heights.shape == (2, 3)
    np.testing.assert_array_equal(found[0][0].heights, found[1][0].heights)
    np.testing.assert_array_equal(found[0][1], found[1][1])
