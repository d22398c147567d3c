"""The cross-check agrees with sound code, and finds every fault that is planted."""

import re
from dataclasses import replace

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import backends, cli, reference
from langevin_fast.backends import cpp
from langevin_fast.cross_check import BackendReport, comparisons
from langevin_fast.functions import Functions
from langevin_fast.schemes import Program

# --- the reference knows what is known elsewhere ----------------------------------------------------------------------


def test_philox_known_answers():
    # Random123's kat_vectors for philox4x32-10
    assert reference.philox((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = 0xFFFFFFFF
    assert reference.philox((ones,) * 4, (ones,) * 2) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert reference.philox(pi, (0xA4093822, 0x299F31D0)) == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)


@pytest.mark.parametrize("precision", ["double", "single"])
def test_reference_normals_are_the_packages(precision):
    numbers = [reference.normal(7, 11, i, precision) for i in range(40)]
    eps = np.finfo(np.float64 if precision == "double" else np.float32).eps
    np.testing.assert_allclose(numbers, lf.noise(7, 11, 0, 40, precision), rtol=8 * eps, atol=8 * eps)


@pytest.mark.parametrize("letters", ["BAOAB", "OBABO", "ABOBA"])
def test_reference_splitting_without_force_is_exact(letters):
    scheme = lf.Splitting(letters, 0.3, friction=1.5, kT=2.0)
    step = reference.Reference(scheme, np.zeros_like, None, np.ones((1, 1)), 0, [5], "double").step
    x, v, _ = step(0, np.array([[1.0]]), np.array([[-2.0]]), noise=0.0)
    # friction alone: v decays over the whole of h, whatever the order of the letters
    assert v[0, 0] == pytest.approx(-2.0 * np.exp(-1.5 * 0.3), rel=1e-14)
    assert x is not None


# --- sound code agrees ------------------------------------------------------------------------------------------------

SCHEMES = [
    lf.ULA(0.02, kT=0.7),
    lf.LeimkuhlerMatthews(0.02, drag=2.0),
    lf.MALA(0.1),
    lf.BAOAB(0.1, friction=0.5),
    lf.Splitting("RVOVR", 0.05, friction=2.0),
]


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: type(s).__name__)
def test_backends_of_a_builtin_agree(scheme, precision):
    report = lf.cross_check(lf.potentials.DoubleWell(barrier=2.0), scheme, precision=precision)
    assert report.ok, report
    ran = {b.name: b for b in report.backends if b.unavailable is None}
    assert {"cpp", "numba", "batch"} <= set(ran)
    for name in ("cpp", "numba", "batch"):
        assert ran[name].first_difference is None
        assert ran[name].largest_ulp == 0
        assert 0 < ran[name].step_error < 8
        assert ran[name].mean_square_error > 0
    assert "all agree" in str(report)


def well(x, k):
    return k * (x[0] * x[0] - 1.0) ** 2 + 0.5 * x[1] * x[1]


def well_gradient(x, out, k):
    out[0] = 4.0 * k * x[0] * (x[0] * x[0] - 1.0)
    out[1] = x[1]


def wrong_gradient(x, out, k):
    out[0] = 4.0 * k * x[0] * (x[0] * x[0] - 1.0)
    out[1] = 1.001 * x[1]


def test_custom_agrees():
    potential = lf.potentials.Custom(energy=well, gradient=well_gradient, dim=2, k=2.0)
    report = lf.cross_check(potential, lf.BAOAB(0.05, friction=1.0), mass=[1.0, 2.0])
    assert report.ok, report


def test_batch_agrees():
    potential = lf.potentials.Batch(gradient=lambda x: x, energy=lambda x: 0.5 * (x * x).sum(axis=1), dim=3)
    report = lf.cross_check(potential, lf.MALA(0.3), moment_steps=20)
    assert report.ok, report
    assert [b.name for b in report.backends] == ["batch"]


def test_unavailable_backend_is_named(monkeypatch):
    def missing(potential):
        return {"cpp": None, "numba": "needs something"}

    monkeypatch.setattr(backends, "available", missing)
    report = lf.cross_check(lf.potentials.Free(1), lf.ULA(0.1), moment_steps=0)
    assert BackendReport("numba", unavailable="needs something") in report.backends
    assert "numba    unavailable: needs something" in str(report)


# --- planted faults ---------------------------------------------------------------------------------------------------


def problems(report):
    assert not report.ok
    return "\n".join(report.problems)


def test_finds_a_wrong_gradient():
    potential = lf.potentials.Custom(energy=well, gradient=wrong_gradient, dim=2, check=False, k=2.0)
    found = problems(lf.cross_check(potential, lf.ULA(0.01), moment_steps=0))
    assert "gradient: component 1 is" in found
    assert "PROBLEM" in str(lf.cross_check(potential, lf.ULA(0.01), moment_steps=0))


def test_finds_a_twin_that_differs_by_rounding(monkeypatch):
    def gradient(x, g, p):  # (x^2 - 1) x instead of x^3 - x
        g[0] = 4.0 * ((x[0] * x[0] - 1.0) * x[0])

    right = lf.potentials.DoubleWell.functions
    monkeypatch.setattr(lf.potentials.DoubleWell, "functions", Functions(gradient, right.energy))
    found = problems(lf.cross_check(lf.potentials.DoubleWell(), lf.ULA(0.01), moment_steps=0))
    assert "numba and cpp differ after step" in found
    assert "textbook step" not in found


def plant(monkeypatch, change):
    """Let the numba backend run a changed problem; the other backends stay sound."""
    right = cpp.CppRunner.__init__

    def wrong(self, problem, threads, kind, functions):
        right(self, change(problem) if kind == "GroupFunctions" else problem, threads, kind, functions)

    monkeypatch.setattr(cpp.CppRunner, "__init__", wrong)


def with_coefficients(program, change):
    """`change` makes an operation's coefficients from its letter and the right ones."""
    pairs = zip(program.letters, program.coefficients, strict=True)
    return Program(program.letters, tuple(change(letter, k) for letter, k in pairs))


def with_program(problem, change):
    return with_field(problem, program=with_coefficients(problem.program, change))


def with_field(problem, **fields):
    return replace(problem, **fields)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("precision", ["double", "single"])
def test_finds_the_noise_of_another_stream(monkeypatch, scheme, precision):
    plant(monkeypatch, lambda problem: with_field(problem, streams=problem.streams + np.uint64(1)))
    found = problems(lf.cross_check(lf.potentials.DoubleWell(), scheme, precision=precision, moment_steps=0))
    assert "numba and cpp differ after step 1;" in found
    assert "numba: step 1, particle" in found
    assert "cpp: step" not in found


def test_finds_a_wrong_noise_index(monkeypatch):
    right = cpp.CppRunner.advance

    def wrong(self, state, n_steps, recordings=()):
        if self._keep is None:  # not the numba backend
            return right(self, state, n_steps, recordings)
        later = [r._replace(first=r.first + 1) for r in recordings]
        return with_field(
            right(self, with_field(state, step=state.step + 1), n_steps, later), step=state.step + n_steps
        )

    monkeypatch.setattr(cpp.CppRunner, "advance", wrong)
    found = problems(lf.cross_check(lf.potentials.DoubleWell(), lf.Splitting("OBABO", 0.1, drag=1.0), moment_steps=0))
    assert "numba: step 1, particle" in found
    assert "are the numbers of the noise the right ones?" in found


@pytest.mark.parametrize("scheme", [s for s in SCHEMES if not isinstance(s, lf.MALA)], ids=lambda s: type(s).__name__)
def test_finds_a_wrong_noise_coefficient(monkeypatch, scheme):
    def change(letter, k):
        return (k[0], k[1] * (1 + 1e-9)) if letter in "ELO" else k

    plant(monkeypatch, lambda problem: with_program(problem, change))
    found = problems(lf.cross_check(lf.potentials.DoubleWell(), scheme, moment_steps=0))
    assert "numba: step 1, particle" in found
    assert "the coefficient of the noise: too large by a factor of 1 + 1e-09" in found


def test_finds_a_wrong_coefficient_that_all_backends_share(monkeypatch):
    # BAOAB with the friction of another: exp(-gamma h) off by 1e-9
    right = lf.BAOAB.program

    def wrong(self, mass):
        return with_coefficients(
            right(self, mass), lambda letter, k: (k[0] * (1 + 1e-9), *k[1:]) if letter == "O" else k
        )

    monkeypatch.setattr(lf.BAOAB, "program", wrong)
    found = problems(lf.cross_check(lf.potentials.DoubleWell(), lf.BAOAB(0.1, friction=1.0), moment_steps=0))
    for name in ("cpp", "numba", "batch"):
        assert f"{name}: step" in found
    assert "differ" not in found


def test_finds_a_wrong_acceptance_test(monkeypatch):
    # a test at another temperature accepts the wrong proposals
    right = lf.MALA.program

    def wrong(self, mass):
        program, hot = right(self, mass), right(lf.MALA(self.step_size, kT=3.0), mass)
        return Program("PM", (program.coefficients[0], hot.coefficients[1]))

    monkeypatch.setattr(lf.MALA, "program", wrong)
    scheme = lf.MALA(0.3)
    found = problems(lf.cross_check(lf.potentials.DoubleWell(), scheme, n_particles=64, moment_steps=0))
    assert "the textbook's acceptance test has it" in found


def test_finds_a_wrong_noise(monkeypatch):
    def wrong(seed, particle, start, count, precision="double"):
        return lf.noise(seed, particle, start + 1, count, precision)

    monkeypatch.setattr(comparisons, "noise", wrong)
    found = problems(lf.cross_check(lf.potentials.Free(1), lf.ULA(0.1), moment_steps=0))
    assert found.startswith("noise: number 0 of stream 0 is")


def test_finds_another_law(monkeypatch):
    # what no single step shows: a run that is restarted from elsewhere; here, another temperature in long runs only
    def change(problem):
        if len(problem.streams) <= 100:
            return problem
        return with_program(problem, lambda letter, k: (k[0], 1.5 * k[1]))

    plant(monkeypatch, change)
    found = problems(lf.cross_check(lf.potentials.Harmonic([1.0]), lf.ULA(0.05), moment_steps=400))
    assert found.startswith("numba: means of x or x^2 after 400 steps are off by")


def test_divergence_is_a_problem():
    found = problems(lf.cross_check(lf.potentials.DoubleWell(), lf.ULA(3.0), moment_steps=0, initial=[4.0]))
    assert "cpp: " in found
    assert "is not finite after step" in found


# --- potentials that take long ----------------------------------------------------------------------------------------


def pairs_energy(x):
    total = 0.0
    for i in range(len(x)):
        for j in range(i):
            total += 0.005 * (x[i] - x[j]) ** 2
        total += 0.5 * x[i] ** 2
    return total


def pairs_gradient(x, out):
    for i in range(len(x)):
        out[i] = x[i]
        for j in range(len(x)):
            out[i] += 0.01 * (x[i] - x[j])


def wrong_pairs_gradient(x, out):
    pairs_gradient(x, out)
    out[123] *= 1.001


@pytest.fixture
def hurry(monkeypatch):
    monkeypatch.setattr(comparisons, "SECONDS", 0.05)


@pytest.mark.parametrize("scheme", [lf.BAOAB(0.1, friction=1.0), lf.MALA(0.01)], ids=repr)
def test_a_large_potential_is_compared_in_part(hurry, scheme):
    potential = lf.potentials.Custom(energy=pairs_energy, gradient=pairs_gradient, dim=200, check=False)
    report = lf.cross_check(potential, scheme, moment_steps=100)
    assert report.ok, report
    numba, batch, gradient, *_ = report.left_out
    for name, left_out in (("numba", numba), ("batch", batch)):
        assert re.fullmatch(rf"{name}: steps: \d+ of 24, 2 of 16 particles", left_out)
    assert re.fullmatch(r"gradient: \d+ of 200 components one by one, the others along one direction", gradient)
    assert "left out for time: numba: steps" in str(report)
    wrong = lf.potentials.Custom(energy=pairs_energy, gradient=wrong_pairs_gradient, dim=200, check=False)
    found = problems(lf.cross_check(wrong, scheme, n_steps=1, moment_steps=0))
    assert "along a random direction of" in found or "gradient: component 123 is" in found


def test_nothing_is_left_out_of_a_small_potential():
    report = lf.cross_check(lf.potentials.DoubleWell(), lf.ULA(0.01), n_steps=3, moment_steps=10)
    assert report.left_out == ()
    assert "left out" not in str(report)


def test_progress_is_shown(capfd):
    lf.cross_check(lf.potentials.Free(2), lf.ULA(0.1), n_steps=3, moment_steps=10, progress=True)
    assert "51.0/51.0" in capfd.readouterr().err  # 3 backends of 3 + 10 steps, 10 of the other run, 2 components


# --- arguments, command line ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"n_particles": 1}, "n_particles"),
        ({"n_steps": 0}, "n_steps"),
        ({"moment_steps": -1}, "moment_steps"),
        ({"seed": -1}, "seed"),
        ({"precision": "half"}, "precision"),
        ({"scheme": lf.ULA([0.1, 0.2])}, "one step_size and one kT"),
    ],
)
def test_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        lf.cross_check(lf.potentials.Free(1), **{"scheme": lf.ULA(0.1), **arguments})


def test_command_line_agrees(capsys):
    assert cli.main(["cross-check", "--potential", "Ring", "--precision", "single"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("ok  Ring(") == 5
    assert printed.endswith("5 of 5 agree\n")


def test_command_line_disagrees(monkeypatch, capsys):
    plant(monkeypatch, lambda problem: with_field(problem, seed=problem.seed + 1))
    assert cli.main(["cross-check", "--potential", "Free", "--precision", "double"]) == 1
    assert "PROBLEM: numba and cpp differ" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["--potential", "Foo"], ["--seed", "-1"], ["--steps", "0"], ["--moment-steps", "-1"], ["--precision", "half"]],
)
def test_command_line_refuses(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["cross-check", *arguments])
    assert exit_info.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@pytest.mark.slow
def test_all_builtins_agree(capsys):
    assert cli.main(["cross-check"]) == 0, capsys.readouterr().out
