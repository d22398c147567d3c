"""The Fokker-Planck solvers: invariants to rounding, exact and reference values, and the samplers against them."""

import importlib
import subprocess
import sys

import numpy as np
import pytest
from reference import value

import langevin_fast as lf
from langevin_fast.fokker_planck import KleinKramers, Overdamped

WELLS = {
    "DW1: U=(x^2-1)^2": lf.potentials.DoubleWell(1.0),
    "DW3: U=3(x^2-1)^2": lf.potentials.DoubleWell(3.0),
    "DW5: U=5(x^2-1)^2": lf.potentials.DoubleWell(5.0),
    "TILT: U=3(x^2-1)^2+0.5x": lf.potentials.DoubleWell(3.0, tilt=0.5),
}


def orders(errors):
    """Of convergence, from errors at grids that are each twice as fine."""
    errors = np.abs(errors)
    return np.log2(errors[:-1] / errors[1:])


def extrapolated(coarse, fine):
    """Richardson: what second order leaves."""
    return (4.0 * fine - coarse) / 3.0


# --- invariants -------------------------------------------------------------------------------------------------------

PROBLEMS = [
    (lf.potentials.DoubleWell(2.0, tilt=0.3), (-2.2, 2.3), 90, "reflecting"),
    (lf.potentials.Prinz(), (-1.2, 1.2), 80, "reflecting"),
    (lf.potentials.Expression("2*cos(x) + sin(2*x)", variables="x"), (-np.pi, np.pi), 64, "periodic"),
    (lf.potentials.Rosenbrock(b=2.0), ((-2.0, 4.0), (-2.0, 9.0)), (24, 30), "reflecting"),
    (
        lf.potentials.Expression("cos(x) + cos(y) + 0.5*sin(x + y)", variables="x y"),
        [[0, 2 * np.pi]] * 2,
        20,
        "periodic",
    ),
]


@pytest.mark.parametrize(("potential", "bounds", "n", "border"), PROBLEMS)
def test_invariants(potential, bounds, n, border):
    fp = Overdamped(potential, bounds, n, kT=0.8, drag=1.5, border=border)
    generator = fp._forward.toarray()
    scale = np.abs(np.diag(generator)).max()
    # mass: columns sum to zero; positivity: rates are not negative
    np.testing.assert_allclose(generator.sum(axis=0), 0.0, atol=1e-13 * scale)
    assert (generator - np.diag(np.diag(generator)) >= 0).all()
    # the Boltzmann density is stationary, in detailed balance
    p = fp.stationary().reshape(-1)
    u = potential.energy(fp.grid.points).reshape(-1)
    np.testing.assert_allclose(np.log(p / p.max()), -(u - u.min()) / 0.8, atol=1e-12)
    flux = generator * p
    np.testing.assert_allclose(flux, flux.T, rtol=1e-12, atol=1e-13 * flux.max())
    # the symmetric form is similar to it
    root = np.sqrt(p)
    np.testing.assert_allclose(
        fp._symmetric().toarray(), generator * root / root[:, np.newaxis], rtol=1e-9, atol=1e-9 * scale
    )


@pytest.mark.parametrize(("potential", "bounds", "n", "border"), PROBLEMS)
def test_propagation(potential, bounds, n, border):
    fp = Overdamped(potential, bounds, n, kT=0.8, border=border)
    start = [float(centers[len(centers) // 3]) for centers in fp.centers]
    densities = fp.propagate(start, [0.0, 0.01, 0.02, 0.3, 1.0])
    assert (densities >= 0).all()
    np.testing.assert_allclose(densities.reshape(5, -1).sum(axis=1) * fp.volume, 1.0, rtol=1e-12)
    free_energies = [fp.free_energy(p) for p in densities]
    assert (np.diff(free_energies) < 0).all()
    divergence = np.array([fp.kl_divergence(p) for p in densities])
    minimum = fp.free_energy(fp.stationary())
    np.testing.assert_allclose(divergence, (np.array(free_energies) - minimum) / 0.8, rtol=1e-9, atol=1e-12)
    assert abs(fp.kl_divergence(fp.stationary())) < 1e-12
    # one leg or two
    np.testing.assert_allclose(fp.propagate(densities[1], 0.01), densities[2], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(fp.propagate(fp.stationary(), 0.5), fp.stationary(), rtol=1e-9, atol=1e-12)
    # the same by eigenfunctions
    k = min(40, fp.stationary().size - 2)
    relaxation = fp.relaxation_rates(k)
    products = relaxation.functions.reshape(k, -1) @ relaxation.densities.reshape(k, -1).T * fp.volume
    np.testing.assert_allclose(products, np.eye(k), atol=1e-8)
    t = 12.0 / relaxation.rates[-1]
    weights = (relaxation.functions.reshape(k, -1) @ densities[0].reshape(-1)) * fp.volume
    series = np.tensordot(weights * np.exp(-relaxation.rates * t), relaxation.densities, 1)
    np.testing.assert_allclose(series, fp.propagate(start, t), atol=2e-4 * series.max())


# --- exact and reference values ---------------------------------------------------------------------------------------


def test_ornstein_uhlenbeck_transition_density_at_second_order():
    reference = value("transient.OU dx=-k x dt+sqrt(2D)dW, k=1.3,D=0.7, x0=2")
    potential = lf.potentials.Harmonic([1.3])
    for t in (0.1, 0.5, 2.0):
        mean, variance = reference[f"t={t:g}"]["mean"], reference[f"t={t:g}"]["var"]
        errors, moments = [], []
        for n in (100, 200, 400):
            d = 10.0 / n  # so that 2 is the centre of a cell
            fp = Overdamped(potential, (-5.0 - d / 2, 5.0 + d / 2), n + 1, kT=0.7)
            p = fp.propagate([2.0], t)
            exact = np.exp(-((fp.centers[0] - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
            errors.append(np.abs(p - exact).max())
            m = fp.mean(p, lambda x: x)
            moments.append((m, fp.mean(p, lambda x, m=m: (x - m) ** 2)))
        assert (orders(np.array(errors)) > 1.7).all()
        for i, exact in enumerate((mean, variance)):
            assert extrapolated(moments[1][i], moments[2][i]) == pytest.approx(exact, rel=3e-4)


@pytest.mark.slow
def test_transient_of_the_double_well_at_second_order():
    reference = value("transient.DW1 overdamped D=kT=1, start delta at x=-1")
    times = [0.1, 0.25, 0.5, 1.0, 2.0]
    want = [[reference[f"{t}"][key] for key in ("P_right", "mean", "x2")] for t in times]
    want = np.column_stack([want, [reference["autocorr"][f"{t}"] for t in times]])
    found = []
    for n in (150, 300, 600):
        d = 6.0 / n  # so that -1 and 0 are centres of cells
        fp = Overdamped(lf.potentials.DoubleWell(1.0), (-3.0 - d / 2, 3.0 + d / 2), n + 1)
        x = fp.centers[0]
        right = np.where(np.abs(x) < d / 2, 0.5, x > 0)
        moments = fp.propagate([-1.0], times) @ np.transpose([right, x, x * x]) * fp.volume
        # <x(0) x(t)> in equilibrium, mode by mode
        modes = fp.relaxation_rates(40)
        overlaps = (modes.functions @ (x * fp.stationary()) * fp.volume) ** 2
        found.append(np.column_stack([moments, np.exp(-np.outer(times, modes.rates)) @ overlaps]))
    errors = np.abs(np.array(found) - want)
    assert (np.abs(orders(errors) - 2.0) < 0.1).all()
    np.testing.assert_allclose(extrapolated(found[1], found[2]), want, rtol=1e-5)


@pytest.mark.parametrize("name", WELLS)
def test_spectrum_at_second_order(name):
    want = np.array(value(f"fp.spectrum.{name}"))[:5]
    rates = np.array([Overdamped(WELLS[name], (-3.0, 3.0), n).relaxation_rates(5).rates for n in (150, 300, 600)])
    assert (rates[:, 0] == 0).all()
    found = orders(rates[:, 1:] - want[1:])
    assert (np.abs(found - 2.0) < 0.1).all(), found
    np.testing.assert_allclose(extrapolated(rates[1], rates[2]), want, rtol=2e-5, atol=1e-12)


@pytest.mark.parametrize("barrier", [1, 3, 5])
def test_mean_first_passage_times_at_second_order(barrier):
    reference = value(f"t1d.DW{barrier}: U={barrier if barrier > 1 else ''}(x^2-1)^2, kT=1")
    for target, key in ((0.0, "MFPT(-1->0), D=1"), (1.0, "MFPT(-1->+1), D=1")):
        times = []
        for n in (120, 240, 480):
            d = 6.0 / n  # so that -1, 0 and 1 are centres of cells
            fp = Overdamped(lf.potentials.DoubleWell(float(barrier)), (-3.0 - d / 2, 3.0 + d / 2), n + 1)
            time = fp.mean_first_passage_time(lambda x, a=target: x > a - 1e-9)
            assert (time[fp.centers[0] > target - 1e-9] == 0).all()
            times.append(fp.at(time, [-1.0]))
        assert (np.abs(orders(np.array(times) - reference[key]) - 2.0) < 0.1).all()
        assert extrapolated(times[1], times[2]) == pytest.approx(reference[key], rel=2e-6)


def test_drag_and_temperature_scale_time():
    a = Overdamped(lf.potentials.DoubleWell(1.0), (-2, 2), 60)
    b = Overdamped(lf.potentials.DoubleWell(3.0), (-2, 2), 60, kT=3.0, drag=6.0)
    np.testing.assert_allclose(a.relaxation_rates(4).rates, 2.0 * b.relaxation_rates(4).rates, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a.stationary(), b.stationary(), rtol=1e-12)


def test_committor():
    n = 241
    fp = Overdamped(lf.potentials.DoubleWell(2.0, tilt=0.5), (-2.0, 2.0), n)
    x = fp.centers[0]
    q = fp.committor(lambda x: x < -1, lambda x: x > 1)
    # in one dimension the exact one is the integral of exp(U) between the sets
    inside = (x >= x[x < -1].max()) & (x <= x[x > 1].min())
    grid = np.linspace(x[inside][0], x[inside][-1], 200_001)
    weight = np.exp(lf.potentials.DoubleWell(2.0, tilt=0.5).energy(grid[:, np.newaxis]))
    integral = np.concatenate([[0], np.cumsum(0.5 * (weight[1:] + weight[:-1]))])
    np.testing.assert_allclose(q[inside], np.interp(x[inside], grid, integral / integral[-1]), atol=2e-4)
    assert (np.diff(q) >= -1e-15).all()
    symmetric = Overdamped(lf.potentials.DoubleWell(2.0), (-2.0, 2.0), n).committor(lambda x: x < -1, lambda x: x > 1)
    np.testing.assert_allclose(symmetric + symmetric[::-1], 1.0, atol=1e-10)


def test_two_dimensions_are_two_of_one():
    """Independent coordinates: rates add up, densities multiply."""
    one = Overdamped(lf.potentials.DoubleWell(1.0), (-2.0, 2.0), 40)
    two = Overdamped(lf.potentials.DoubleWell(1.0, dim=2, stiffness=3.0), ((-2.0, 2.0), (-2.5, 2.5)), (40, 36))
    other = Overdamped(lf.potentials.Harmonic([3.0]), (-2.5, 2.5), 36)
    sums = np.add.outer(one.relaxation_rates(8).rates, other.relaxation_rates(8).rates)
    np.testing.assert_allclose(two.relaxation_rates(5).rates, np.sort(sums, axis=None)[:5], rtol=1e-8, atol=1e-10)
    p = two.propagate([0.5, -1.0], 0.2)
    product = np.multiply.outer(one.propagate([0.5], 0.2), other.propagate([-1.0], 0.2))
    np.testing.assert_allclose(p, product, rtol=1e-7, atol=1e-12)


def test_periodic_diffusion():
    fp = Overdamped(lf.potentials.Expression("0*x", variables="x"), (0.0, 2 * np.pi), 100, border="periodic")
    rates = fp.relaxation_rates(5).rates
    d = fp.grid.spacing[0]
    np.testing.assert_allclose(rates, (2 - 2 * np.cos(d * np.array([0, 1, 1, 2, 2]))) / d**2, rtol=1e-9, atol=1e-12)


def test_mueller_brown_populations():
    reference = value("mb.kT=20.0")
    fp = Overdamped(lf.potentials.MullerBrown(), ((-2.5, 1.8), (-1.4, 3.2)), (240, 220), kT=20.0)
    p = fp.stationary()
    assert fp.mean(p, lambda x, y: x) == pytest.approx(reference["x"], abs=2e-4)
    assert fp.mean(p, lambda x, y: y) == pytest.approx(reference["y"], abs=2e-4)
    assert fp.mean(p, lambda x, y: y - x > 1.45) == pytest.approx(reference["P_A_gt_1p45"], abs=3e-3)


# --- particles --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("potential", "bounds", "n", "start", "kT", "h"),
    [
        (lf.potentials.DoubleWell(1.0), (-3.0, 3.0), 600, [-1.0], 1.0, 5e-4),
        (lf.potentials.Prinz(), (-1.3, 1.3), 520, [0.4], 1.0, 5e-5),
        (lf.potentials.Ring(radius=1.5, width=0.5), ((-4.0, 4.0),) * 2, 160, [1.5, 0.0], 1.0, 5e-4),
    ],
    ids=["DoubleWell", "Prinz", "Ring"],
)
def test_particles_follow_the_density(potential, bounds, n, start, kT, h):
    """At several times, 4 sigma of the histogram's distance (a sampler with an error of order h^2)."""
    fp = Overdamped(potential, bounds, n, kT=kT)
    simulation = lf.Simulation(potential, lf.LeimkuhlerMatthews(h, kT=kT), n_particles=40_000, initial=start, seed=3)
    for steps in (200, 400, 1400):
        simulation.run(steps)
        density = fp.propagate(start, simulation.time)
        comparison = fp.compare(simulation.positions, density)
        assert comparison.sigma < 4.0, comparison
        assert comparison.p_value > 6e-5, comparison
        assert comparison.outside == 0
        # the stationary density is another one, and this is seen
        if steps < 1000:
            assert fp.compare(simulation.positions, fp.stationary()).sigma > 20


def test_a_wrong_temperature_is_found():
    potential = lf.potentials.DoubleWell(1.0)
    fp = Overdamped(potential, (-3.0, 3.0), 300)
    run = lf.sample(potential, lf.MALA(0.1, kT=1.2), n_particles=40_000, n_steps=400, stride=None, seed=1)
    assert fp.compare(run.final.positions, fp.stationary()).p_value < 1e-6
    right = lf.sample(potential, lf.MALA(0.1), n_particles=40_000, n_steps=400, stride=None, seed=1)
    assert fp.compare(right.final.positions, fp.stationary()).p_value > 6e-5


# --- Klein-Kramers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("friction", ["0.2", "1.0", "5.0", "20.0"])
def test_klein_kramers_at_second_order(friction):
    want = value(f"kk.DW1 gamma={friction}")["lambda1"]
    rates = [
        KleinKramers(lf.potentials.DoubleWell(1.0), (-3.2, 3.2), n, friction=float(friction)).relaxation_rates(3)[1]
        for n in (40, 80, 160)
    ]
    assert np.abs(np.imag(rates)).max() < 1e-10
    rates = np.real(rates)
    assert orders(rates - want)[-1] == pytest.approx(2.0, abs=0.25)
    assert extrapolated(rates[1], rates[2]) == pytest.approx(want, rel=1e-4)


def test_klein_kramers_of_a_spring():
    """Rates are n1 z1 + n2 z2, z = gamma/2 +- sqrt(gamma^2/4 - k/m) (Risken, section 10.2)."""
    gamma, k, m, kT = 0.9, 2.0, 1.5, 0.7
    rates = [
        KleinKramers(lf.potentials.Harmonic([k]), (-5.0, 5.0), n, friction=gamma, mass=m, kT=kT).relaxation_rates(4)
        for n in (100, 200)
    ]
    root = np.sqrt(complex(gamma**2 / 4 - k / m))
    want = [0.0, gamma / 2 - root, gamma / 2 + root]
    got = extrapolated(rates[0], rates[1])
    np.testing.assert_allclose(sorted(got[:3], key=lambda z: (round(z.real, 6), z.imag)), want, atol=2e-5)


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((lf.potentials.NealFunnel(3), (-1, 1), 10), ValueError, "3 dimensions"),
        (("U", (-1, 1), 10), TypeError, "potential"),
        ((lf.potentials.Free(1), (1, -1), 10), ValueError, "bounds"),
        ((lf.potentials.Free(1), (1, 2, 3), 10), ValueError, "bounds"),
        ((lf.potentials.Free(1), (-1, 1), 2), ValueError, "n_cells"),
        ((lf.potentials.Free(2), ((-1, 1), (-1, 1)), (10,)), ValueError, "n_cells"),
        ((lf.potentials.Batch(gradient=lambda x: x, dim=1), (-1, 1), 10), ValueError, "no energy"),
    ],
)
def test_wrong_arguments(arguments, error, match):
    with pytest.raises(error, match=match):
        Overdamped(*arguments)


def test_wrong_arguments_of_methods():
    fp = Overdamped(lf.potentials.DoubleWell(), (-2, 2), 20)
    for call, match in (
        (lambda: fp.propagate([5.0], 1.0), "outside the grid"),
        (lambda: fp.propagate(np.zeros(20), 1.0), "not a density"),
        (lambda: fp.propagate(np.ones(19), 1.0), "shape"),
        (lambda: fp.propagate([0.0], -1.0), "t="),
        (lambda: fp.propagate([0.0], [1.0, 0.5]), "ascending"),
        (lambda: fp.mean_first_passage_time(lambda x: x > 9), "no cell"),
        (lambda: fp.mean_first_passage_time(np.ones(20)), "truth values"),
        (lambda: fp.committor(lambda x: x < 0, lambda x: x < 1), "overlap"),
        (lambda: fp.relaxation_rates(19), "k must"),
        (lambda: fp.compare(np.zeros(5), fp.stationary()), "samples"),
        (lambda: Overdamped(lf.potentials.DoubleWell(), (-2, 2), 20, border="open"), "border"),
        (lambda: KleinKramers(lf.potentials.DoubleWell(), (-2, 2), 20, friction=0.0), "friction"),
        (lambda: KleinKramers(lf.potentials.Free(2), (-2, 2), 20, friction=1.0), "2 dimensions"),
    ):
        with pytest.raises(ValueError, match=match):
            call()


def test_scipy_is_imported_when_used(monkeypatch):
    code = "import sys, langevin_fast as lf; lf.fokker_planck.Overdamped; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"

    def missing(name, *rest):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match=r"langevin-fast\[fokker-planck\]"):
        Overdamped(lf.potentials.DoubleWell(), (-2, 2), 20)
