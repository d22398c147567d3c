"""The determinism contract: the same bits whatever the threads, levels, chunks, crowds and machines. Equality only."""

from __future__ import annotations

import functools
import itertools
import json
import os
import platform

import cases
import make_digests
import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import _core, stepping

N, STEPS, SEED = 150, 24, 99  # particles: whole groups, rests of them and a single one are among 1 ... N

each_problem = pytest.mark.parametrize(("potential", "scheme", "precision"), cases.covering())
each_problem_and_level = pytest.mark.parametrize(
    ("potential", "scheme", "precision", "isa"), cases.covering(cases.LEVELS), indirect=["isa"]
)
each_precision = pytest.mark.parametrize("precision", cases.PRECISIONS)


@functools.cache
def crowd(potential, scheme, precision):
    """All frames of the whole crowd, on one thread, at the level that the package chooses by itself."""
    return run(potential, scheme, precision, threads=1)


def run(potential, scheme, precision, **arguments):
    made = cases.problem(potential, scheme)
    given = {"n_steps": STEPS, "seed": SEED, "precision": precision, **arguments}
    return lf.sample(*made, n_particles=None if "streams" in given else N, **given)


def simulation(potential, scheme, precision, **arguments):
    return lf.Simulation(*cases.problem(potential, scheme), n_particles=N, seed=SEED, precision=precision, **arguments)


def assert_same_bits(a, b):
    assert a.dtype == b.dtype and a.shape == b.shape
    word = np.uint64 if a.dtype == np.float64 else np.uint32
    np.testing.assert_array_equal(np.ascontiguousarray(a).view(word), np.ascontiguousarray(b).view(word))


def assert_same_frames(got, expected, frames=slice(None), particles=slice(None)):
    assert_same_bits(got.positions, expected.positions[frames][:, particles])
    if expected.velocities is None:
        assert got.velocities is None
    else:
        assert_same_bits(got.velocities, expected.velocities[frames][:, particles])
    np.testing.assert_array_equal(got.steps, expected.steps[frames])


def assert_same_end(got, expected, particles=slice(None)):
    assert_same_bits(got.positions, expected.positions[particles])
    if expected.velocities is not None:
        assert_same_bits(got.velocities, expected.velocities[particles])
    np.testing.assert_array_equal(got.accepted, expected.accepted[particles])


def test_what_the_problems_cover():
    """Everything, every pair but (potential, scheme), and every kernel with and without energies."""
    rows = cases.covering(cases.LEVELS)
    for columns, full in (
        ((0, 2, 3), [cases.POTENTIALS, cases.PRECISIONS, cases.LEVELS]),
        ((1, 2, 3), [cases.SCHEMES, cases.PRECISIONS, cases.LEVELS]),
    ):
        assert {tuple(row[c] for c in columns) for row in rows} == set(itertools.product(*full))
    with_energies = {(potential, *rest) for potential, scheme, *rest in rows if scheme == "MALA"}
    assert 2 * len(with_energies) == len(rows) == len(set(rows))
    assert {row[1:] for row in cases.covering()} == set(itertools.product(cases.SCHEMES, cases.PRECISIONS))


@each_problem
def test_the_crowd_moves_and_stays_finite(potential, scheme, precision):
    """So that equality is not that of particles that stand still, and no two are the same."""
    traj = crowd(potential, scheme, precision)
    assert np.isfinite(traj.positions).all() and (traj.diverged == -1).all()
    assert len(np.unique(traj.positions[-1], axis=0)) == N
    if scheme == "MALA":
        rate = traj.acceptance_rate.mean()
        assert rate == 1 if potential == "Free" else 0.5 < rate < 0.95


@each_precision
@pytest.mark.parametrize("potential", cases.POTENTIALS)
def test_evaluation(potential, precision, use_isa):
    """Energies and gradients of many points, in parallel where that pays, are those of each point alone."""
    u = cases.POTENTIALS[potential].potential
    some = u.default_start + np.random.default_rng(4).normal(size=(37, u.dim)) / 8
    some = some.astype(cases.PRECISIONS[precision])
    many = np.resize(some, (10_000 + 2_000_000 // u.dim**2, u.dim))
    for function in (u.gradient, u.energy):
        alone = np.array([function(x) for x in some])
        for level in (level["name"] for level in _core.isa_levels() if level["supported"]):
            use_isa(level)
            np.testing.assert_array_equal(function(many), np.resize(alone, (len(many), *alone.shape[1:])))


@each_problem
def test_threads(potential, scheme, precision):
    for threads in (2, 3, 7):
        got = run(potential, scheme, precision, threads=threads)
        assert_same_frames(got, crowd(potential, scheme, precision))
        assert_same_end(got.final, crowd(potential, scheme, precision).final)


@each_problem_and_level
def test_levels(potential, scheme, precision, isa):
    expected = crowd(potential, scheme, precision)
    got = run(potential, scheme, precision)
    assert_same_frames(got, expected)
    assert_same_end(got.final, expected.final)


@each_problem
def test_one_run_and_several(potential, scheme, precision):
    expected = crowd(potential, scheme, precision).final
    for parts in ((1, 23), (23, 1), (10, 0, 14), (5, 6, 13), (1,) * 24):
        sim = simulation(potential, scheme, precision)
        for n_steps in parts:
            sim.run(n_steps)
        assert sim.step == STEPS
        assert_same_end(sim.state, expected)


@each_problem
def test_length_of_chunks(potential, scheme, precision, monkeypatch):
    expected = crowd(potential, scheme, precision)
    for longest in (1, 5):
        monkeypatch.setattr(stepping, "_LONGEST_CHUNK", longest)
        got = run(potential, scheme, precision)
        assert_same_frames(got, expected)
        assert_same_end(got.final, expected.final)
    monkeypatch.setattr(stepping, "_LONGEST_CHUNK", 7)
    got = run(potential, scheme, precision, n_steps=19, burn_in=5, stride=2)
    assert_same_frames(got, expected, frames=slice(6, None, 2))


@each_problem
def test_stride_and_burn_in(potential, scheme, precision):
    expected = crowd(potential, scheme, precision)
    for burn_in, stride in ((0, 2), (0, 7), (5, 1), (3, 4), (23, 1), (0, 24)):
        got = run(potential, scheme, precision, burn_in=burn_in, stride=stride, n_steps=STEPS - burn_in)
        assert_same_frames(got, expected, frames=slice(burn_in + stride - 1, None, stride))
        assert_same_bits(got.final.positions, expected.final.positions)
    got = run(potential, scheme, precision, stride=None)
    assert got.positions.shape[0] == 0
    assert_same_end(got.final, expected.final)


@each_problem_and_level
def test_alone_and_in_the_crowd(potential, scheme, precision, isa):
    expected = crowd(potential, scheme, precision)
    for k in (0, 17, 63, 64, 127, 128, 149):
        got = run(potential, scheme, precision, streams=[k])
        assert_same_frames(got, expected, particles=slice(k, k + 1))
        assert_same_end(got.final, expected.final, particles=slice(k, k + 1))


@each_problem_and_level
def test_small_crowds(potential, scheme, precision, isa):
    expected = crowd(potential, scheme, precision)
    for n in (2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 33, 63, 64, 65, 129):
        first = N - n if n % 2 else 0
        got = run(potential, scheme, precision, streams=range(first, first + n), stride=6)
        assert_same_frames(got, expected, frames=slice(5, None, 6), particles=slice(first, first + n))
        assert_same_end(got.final, expected.final, particles=slice(first, first + n))


@each_problem
def test_order_of_particles(potential, scheme, precision):
    order = np.random.default_rng(1).permutation(N)
    expected = crowd(potential, scheme, precision)
    for streams in (order, order[:70], [5, 3]):
        got = run(potential, scheme, precision, streams=streams)
        assert_same_frames(got, expected, particles=np.asarray(streams))
        assert_same_end(got.final, expected.final, particles=np.asarray(streams))


@each_precision
@pytest.mark.parametrize("scheme", cases.SCHEMES)
def test_particles_with_parameters_of_their_own(scheme, precision, isa):
    """Any subset and order, with step sizes, temperatures, masses and starts that go along."""
    springs, start = lf.potentials.Harmonic([1.0, 4.0, 0.5]), np.arange(450.0).reshape(N, 3) % 7 / 4 - 0.5

    def sample(chosen, **arguments):
        made, mass = cases.varied(scheme, N, 3)
        mine = type(made)(
            *((made.letters,) if type(made) is lf.Splitting else ()),
            made.step_size[chosen],
            kT=made.kT[chosen],
            **{name: getattr(made, name) for name in ("friction", "drag") if getattr(made, name, None) is not None},
        )
        mass = {name: value[chosen] for name, value in mass.items()}
        return lf.sample(
            springs,
            mine,
            initial=start[chosen],
            streams=chosen,
            n_steps=STEPS,
            seed=4,
            precision=precision,
            **mass,
            **arguments,
        )

    everyone = np.arange(N)
    expected = sample(everyone, threads=1)
    order = np.random.default_rng(2).permutation(N)
    for chosen in (everyone[::-1], order, order[:66], order[:3], [77]):
        got = sample(np.asarray(chosen), threads=2)
        assert_same_frames(got, expected, particles=np.asarray(chosen))
        assert_same_end(got.final, expected.final, particles=np.asarray(chosen))


def test_one_long_trajectory():
    """One particle makes its noise along time, 512 numbers at once; in a crowd it comes step by step."""
    for precision in cases.PRECISIONS:
        for scheme in cases.SCHEMES:
            made = cases.problem("DoubleWell", scheme)
            alone = lf.sample(*made, streams=[9], n_steps=5000, seed=3, precision=precision)
            many = lf.sample(*made, n_particles=70, n_steps=5000, seed=3, precision=precision)
            assert_same_frames(alone, many, particles=slice(9, 10))


@pytest.mark.parametrize("n", [1, 3, 70])
@each_precision
def test_windows_of_noise_that_begin_within_a_block(precision, n):
    cut, whole = (
        lf.Simulation(lf.potentials.Free(), lf.ULA(0.5), n_particles=n, seed=8, precision=precision) for _ in range(2)
    )
    whole.run(1500)
    cut.run(1)  # a block has two numbers or four
    cut.run(1499)  # more than two windows
    np.testing.assert_array_equal(cut.positions, whole.positions)


@each_precision
@pytest.mark.parametrize("scheme", cases.SCHEMES)
def test_more_components_than_a_window_of_noise(scheme, precision, isa):
    """A single particle's window holds 512 numbers, a crowd's 32 rows or more."""
    springs = lf.potentials.Harmonic(np.arange(601) % 5 + 1.0)
    made = cases.SCHEMES[scheme](0.02, 1.0)
    expected = lf.sample(springs, made, n_particles=67, n_steps=6, seed=3, precision=precision)
    for k in (0, 66):
        got = lf.sample(springs, made, streams=[k], n_steps=6, seed=3, precision=precision)
        assert_same_frames(got, expected, particles=slice(k, k + 1))
    few = lf.sample(springs, made, n_particles=3, n_steps=6, seed=3, precision=precision)
    assert_same_frames(few, expected, particles=slice(3))
    sim = lf.Simulation(springs, made, n_particles=67, seed=3, precision=precision)
    for _ in range(6):
        sim.run(1)
    assert_same_end(sim.state, expected.final)


# ---- digests --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored():
    return json.loads(make_digests.FILE.read_text(encoding="utf-8"))


def assert_same_digests(got, stored):
    assert got.keys() == stored.keys(), "entries come or go: see tests/make_digests.py"
    different = [name for name in stored if got[name] != stored[name]]
    assert not different, f"{len(different)} of {len(stored)} digests differ, among them {different[:10]}"


def test_digests(isa, stored):
    assert_same_digests(make_digests.compute(), stored)


def test_digests_tell_things_apart(stored):
    # without a gradient there is nothing to tame
    different = {name: value for name, value in stored.items() if not name.startswith("TamedULA | Free ")}
    assert len(set(different.values())) == len(different)
    problem = cases.problem("DoubleWell", "BAOAB")
    name = "BAOAB | DoubleWell | double"
    assert make_digests.of_run(*problem) == stored[name]
    assert make_digests.of_run(*problem, seed=2025) != stored[name]
    start = np.nextafter(problem[0].default_start, 2)
    assert make_digests.of_run(*problem, initial=start) != stored[name]


REPORT = """
import json, make_digests, langevin_fast as lf
from langevin_fast import _core
from langevin_fast.config import config
try:
    from numpy._core._multiarray_umath import __cpu_features__ as features
except ImportError:
    from numpy.core._multiarray_umath import __cpu_features__ as features
print(json.dumps({"isa": _core.isa(), "config": config()["instruction set"], "digests": make_digests.compute(),
                  "features": [name for name, on in features.items() if on]}))
"""


def report(**environment):
    done = cases.run_python("-c", REPORT, environment=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def dispatched_features():
    """What NumPy would use on this processor beyond its baseline, and so can be told not to."""
    try:
        from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    except ImportError:  # NumPy 1
        from numpy.core._multiarray_umath import __cpu_dispatch__, __cpu_features__
    return [name for name in __cpu_dispatch__ if __cpu_features__[name]]


def test_digests_without_the_simd_of_numpy_and_with_another_blas(stored):
    features = dispatched_features()
    blas = {"x86_64": "Nehalem", "AMD64": "Nehalem", "aarch64": "ARMV8"}.get(platform.machine(), "GENERIC")
    got = report(NPY_DISABLE_CPU_FEATURES=" ".join(features), OPENBLAS_CORETYPE=blas)
    assert not set(features) & set(got["features"])
    assert_same_digests(got["digests"], stored)


@pytest.mark.parametrize("level", [level["name"] for level in _core.isa_levels()])
def test_the_environment_chooses_the_level(level, stored):
    if any(entry["name"] == level and not entry["supported"] for entry in _core.isa_levels()):
        done = cases.run_python("-c", "import langevin_fast", environment={"LANGEVIN_FAST_ISA": level})
        assert done.returncode != 0
        assert f"LANGEVIN_FAST_ISA='{level}'" in done.stderr and "does not support" in done.stderr
        return
    got = report(LANGEVIN_FAST_ISA=level)
    assert got["isa"] == level and got["config"].startswith(f"{level} ")
    assert_same_digests(got["digests"], stored)


def test_an_unknown_level_in_the_environment():
    done = cases.run_python("-c", "import langevin_fast", environment={"LANGEVIN_FAST_ISA": "sse9"})
    assert done.returncode != 0
    message = done.stderr.strip().splitlines()[-1]
    assert message.startswith("ValueError") and "LANGEVIN_FAST_ISA='sse9'" in message
    for level in _core.isa_levels():
        assert level["name"] in message


def test_an_empty_variable_leaves_the_choice_to_the_package():
    done = cases.run_python(
        "-c", "from langevin_fast import _core; print(_core.isa())", environment={"LANGEVIN_FAST_ISA": ""}
    )
    assert done.stdout.strip() == [level["name"] for level in _core.isa_levels() if level["supported"]][-1]


def test_levels_are_different_code(use_isa):
    """Each name and vector width is compiled into the kernels themselves."""
    levels = _core.isa_levels()
    assert levels[0]["name"] == "baseline" and levels[0]["supported"]
    for level in levels:
        assert level["reported"] == (level["name"], level["name"])
    widths = [level["vector_bytes"] for level in levels]
    assert len(set(widths)) == len(widths) and widths == sorted(widths)
    for level in levels:
        if level["supported"]:
            use_isa(level["name"])
            assert _core.isa() == level["name"]


def test_tests_leave_the_level_alone():
    if "LANGEVIN_FAST_ISA" not in os.environ:
        assert _core.isa() == [level["name"] for level in _core.isa_levels() if level["supported"]][-1]
