"""MALA: the same decisions as a plain NumPy one step by step, closed forms, stationarity, and what is rejected.

Statistical tests have fixed seeds and bounds of 4.5 standard errors, which are computed from the spread between
independent particles.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference
from numba import cfunc
from scipy.special import betainc

import langevin_fast as lf
from langevin_fast.noise import draw

SIGMAS = 4.5
DTYPES = {"double": np.float64, "single": np.float32}


def assert_within(samples, expected):
    """The mean over particles (the first axis, independent of each other) against the expected value."""
    samples = np.asarray(samples, dtype=np.float64)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    off = np.abs(samples.mean(axis=0) - expected) / error
    assert np.all(off < SIGMAS), f"{samples.mean(axis=0)} +- {error}, expected {expected}: {off} sigma"


# ---- step by step ---------------------------------------------------------------------------------------------------


def plain_mala(potential, x, *, h, kT, drag, seed, streams, first, n_steps, dtype=np.float64):
    """Yields positions, who accepted, the logarithms of the ratios and the proposals; in double precision."""
    n, dim = x.shape
    normals = draw("thermal", seed, streams, first * dim, n_steps * dim, dtype).reshape(n, n_steps, dim)
    uniforms = draw("metropolis", seed, streams, first, n_steps, dtype, uniform=True)
    h, kT = np.reshape(h, (-1, 1)), np.reshape(kT, (-1, 1))
    energy, gradient = potential.energy(x), potential.gradient(x)
    for step in range(n_steps):
        y = x - h / drag * gradient + np.sqrt(2 * kT * h / drag) * normals[:, step]
        with np.errstate(all="ignore"):
            new_energy, new_gradient = potential.energy(y), potential.gradient(y)
            forward = np.sum((y - x + h / drag * gradient) ** 2, axis=1)
            backward = np.sum((x - y + h / drag * new_gradient) ** 2, axis=1)
            log_ratio = -(new_energy - energy) / kT[:, 0] - drag / (4 * kT * h)[:, 0] * (backward - forward)
        finite = np.isfinite(new_energy) & np.isfinite(new_gradient).all(axis=1)
        log_ratio = np.where(finite, log_ratio, -np.inf)
        accepted = np.log(uniforms[:, step].astype(np.float64)) < log_ratio
        x = np.where(accepted[:, None], y, x)
        energy = np.where(accepted, new_energy, energy)
        gradient = np.where(accepted[:, None], new_gradient, gradient)
        yield x, accepted, log_ratio, y


def compare_with_plain(potential, initial, h, kT, drag, precision, n_steps, tolerance, streams=None, seed=31):
    """Equal positions after each step, and equal counts of acceptances; returns all log ratios."""
    n = len(initial)
    initial = np.asarray(initial, DTYPES[precision])
    sim = lf.Simulation(
        potential, lf.MALA(h, kT=kT, drag=drag), initial=initial, seed=seed, precision=precision, streams=streams
    )
    arguments = {"h": h, "kT": kT, "drag": drag, "seed": seed, "streams": sim.streams, "dtype": DTYPES[precision]}
    counted, ratios = np.zeros(n, int), []
    for step in range(n_steps):
        # from where the compiled one stands, so that differences do not grow
        x = sim.positions.astype(np.float64)
        ((x, accepted, log_ratio, _),) = plain_mala(potential, x, first=step, n_steps=1, **arguments)
        sim.run(1)
        counted += accepted
        ratios.append(log_ratio)
        np.testing.assert_allclose(sim.positions, x, rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(np.rint(sim.acceptance_rate * (step + 1)), counted)
    assert 0.02 < counted.mean() / n_steps < 0.99  # both outcomes are tested
    return np.array(ratios)


PLAIN_CASES = {
    "harmonic": (lf.potentials.Harmonic([1.0, 3.0, 0.5]), 0.9, 1.5, 2.0),
    "double well": (lf.potentials.DoubleWell(3.0, tilt=0.5), 0.3, 1.5, 2.0),
    "mixture": (lf.potentials.GaussianMixture([1, 2], [[-1.0, 0.0], [2.0, 1.0]], 0.5), 0.6, 0.7, 0.8),
    "70-D": (lf.potentials.Harmonic(np.linspace(0.5, 2.0, 70)), 0.3, 1.0, 1.0),
}


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("per_particle", [False, True], ids=["scalars", "per particle"])
@pytest.mark.parametrize("case", PLAIN_CASES.values(), ids=PLAIN_CASES)
def test_every_step_is_the_plain_one(case, per_particle, precision):
    """Decisions are equal: none of these few thousand comes within rounding of the threshold."""
    potential, h, kT, drag = case
    n = 150
    if per_particle:
        h, kT = h * np.linspace(0.5, 1.5, n), kT * np.linspace(0.5, 2.0, n)
    initial = potential.default_start + 0.5 * np.random.default_rng(3).normal(size=(n, potential.dim))
    tolerance = 1e-13 if precision == "double" else 2e-5
    ratios = compare_with_plain(potential, initial, h, kT, drag, precision, 20, tolerance)
    assert np.isfinite(ratios).all()


@pytest.mark.parametrize("n", [1, 3, 64])
def test_every_step_is_the_plain_one_for_small_crowds(n):
    potential = lf.potentials.DoubleWell(3.0, dim=2)
    streams = 5 + 2**33 * np.arange(n)
    compare_with_plain(potential, np.full((n, 2), 0.9), 0.2, 1.0, 1.0, "double", 60, 1e-13, streams)


# ---- Gaussians: closed forms ----------------------------------------------------------------------------------------


def closed_acceptance(u, dim=1):
    return 2 * betainc(dim / 2, dim / 2, 1 / (1 + np.exp(2 * np.arcsinh((u / 2) ** 1.5))))


def closed_rho1(u):
    phi = np.arctan((u / 2) ** 1.5)
    return 1 - (u + u * u / 2) * (1 - 2 / np.pi * (phi + np.sin(phi) * np.cos(phi)))


def test_closed_forms_are_those_of_the_reference():
    for u in (0.1, 0.5, 1.0, 2.0):
        expected = reference.value(f"mh.MALA N(0,1) h={u}")
        assert closed_acceptance(u) == pytest.approx(expected["acc"], rel=1e-12)
        assert 1 - 2 / np.pi * np.arctan((u / 2) ** 1.5) == pytest.approx(expected["acc"], rel=1e-12)
        assert closed_rho1(u) == pytest.approx(expected["rho1"], rel=1e-12)
    for dim in (1, 2, 10):
        expected = reference.value(f"mh.MALA acceptance N(0,I_d) hk=0.5 d={dim}")
        assert closed_acceptance(0.5, dim) == pytest.approx(expected, rel=1e-12)


def gaussian_run(h, kT, drag, k, dim=1, n=20_000, n_steps=60, seed=1, precision="double"):
    start = np.random.default_rng(seed).normal(size=(n, dim)) * np.sqrt(kT / k)
    potential = lf.potentials.Harmonic(np.full(dim, k))
    return lf.sample(
        potential, lf.MALA(h, kT=kT, drag=drag), initial=start, n_steps=n_steps, seed=seed, precision=precision
    )


GAUSSIANS = [(0.1, 1.0, 1.0, 1.0), (0.5, 1.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0), (2.0, 1.0, 1.0, 1.0)]
GAUSSIANS += [(0.5, 1.5, 2.0, 3.0), (1.1, 1.5, 2.0, 3.0)]


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize(("h", "kT", "drag", "k"), GAUSSIANS)
def test_gaussian(h, kT, drag, k, precision):
    """Acceptance and the first autocorrelation depend on u = h k/drag only; the variance is kT/k at any h."""
    traj = gaussian_run(h, kT, drag, k, precision=precision)
    x = traj.positions[:, :, 0].astype(np.float64)
    u = h * k / drag
    assert_within(traj.acceptance_rate, closed_acceptance(u))
    assert_within(np.mean(x * x, axis=0), kT / k)
    assert_within(np.mean(x[1:] * x[:-1], axis=0), closed_rho1(u) * kT / k)
    assert_within(np.mean(x**4, axis=0), 3 * (kT / k) ** 2)


@pytest.mark.parametrize("dim", [1, 2, 10])
@pytest.mark.parametrize(("kT", "drag", "k"), [(1.0, 1.0, 1.0), (1.5, 2.0, 3.0)])
def test_acceptance_in_more_dimensions(dim, kT, drag, k):
    traj = gaussian_run(0.5 * drag / k, kT, drag, k, dim, n=10_000, seed=dim)
    assert_within(traj.acceptance_rate, reference.value(f"mh.MALA acceptance N(0,I_d) hk=0.5 d={dim}"))
    assert_within(np.mean(traj.positions**2, axis=0), np.full(dim, kT / k))


def test_particles_that_differ():
    n = 40_000
    i = np.arange(n)
    h, kT = 0.2 + i % 4 / 4, 0.5 + i % 3
    start = np.random.default_rng(1).normal(size=(n, 1)) * np.sqrt(kT / 3.0)[:, np.newaxis]
    traj = lf.sample(
        lf.potentials.Harmonic(3.0), lf.MALA(h, kT=kT, drag=2.0), initial=start, n_steps=60, stride=3, seed=2
    )
    for group in range(12):
        mine = slice(group, None, 12)
        assert_within(traj.acceptance_rate[mine], closed_acceptance(h[group] * 3.0 / 2.0))
        assert_within(np.mean(traj.positions[:, mine, 0] ** 2, axis=0), kT[group] / 3.0)


def test_identities_of_every_reversible_kernel():
    """At stationarity E[ratio] = 1 over proposals, and the acceptance is twice the share of uphill ratios."""
    n, h, kT, drag, k = 20_000, 0.8, 1.5, 2.0, 3.0
    start = np.random.default_rng(8).normal(size=(n, 2)) * np.sqrt(kT / k)
    potential = lf.potentials.Harmonic([k, k])
    sim = lf.Simulation(potential, lf.MALA(h, kT=kT, drag=drag), initial=start, seed=3)
    steps = plain_mala(potential, start, h=h, kT=kT, drag=drag, seed=3, streams=sim.streams, first=0, n_steps=10)
    log_ratios = np.array([log_ratio for _, _, log_ratio, _ in steps])
    sim.run(10)
    assert_within(np.mean(np.exp(log_ratios), axis=0), 1.0)
    assert_within(2 * np.mean(log_ratios > 0, axis=0) - sim.acceptance_rate, 0.0)
    assert_within(sim.acceptance_rate, closed_acceptance(h * k / drag, 2))


# ---- the double well ------------------------------------------------------------------------------------------------


def boltzmann(potential, n, seed, kT=1.0):
    """Exact samples in one dimension, by inverting the distribution function on a fine grid."""
    x = np.linspace(-6, 6, 200_001)
    cumulative = np.cumsum(np.exp(-potential.energy(x[:, np.newaxis]) / kT))
    u = np.random.default_rng(seed).uniform(size=n)
    return np.interp(u, cumulative / cumulative[-1], x)[:, np.newaxis]


@pytest.mark.parametrize("h", [0.05, 0.1, 0.3])
def test_double_well(h):
    expected = reference.value(f"mh.MALA DW1: U=(x^2-1)^2 h={h}")
    exact = reference.value("t1d.DW1: U=(x^2-1)^2, kT=1")
    potential = lf.potentials.DoubleWell()
    start = boltzmann(potential, 30_000, 4)
    traj = lf.sample(potential, lf.MALA(h), initial=start, n_steps=60, seed=5)
    x = np.concatenate([start[np.newaxis], traj.positions])[:, :, 0]
    assert_within(traj.acceptance_rate, expected["acc"])
    assert_within(np.mean((x[1:] - x[:-1]) ** 2, axis=0), expected["esjd"])
    assert_within(np.mean(x[1:] * x[:-1], axis=0), expected["rho1_x"] * exact["<x^2>"])
    assert_within(np.mean(x[1:] ** 2, axis=0), exact["<x^2>"])
    assert_within(np.mean(x[1:] ** 4, axis=0), exact["<x^4>"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("well", "h"), [("DW1: U=(x^2-1)^2", 0.3), ("DW3: U=3(x^2-1)^2", 0.05), ("LMQ: U=x^4/4-x^2/2", 0.5)]
)
def test_no_bias_is_left_at_large_steps(well, h):
    """From both wells, not from the stationary law; standard errors near 3e-4. (ULA at these h is off by far more.)"""
    exact = reference.value(f"t1d.{well}, kT=1")
    potential = lf.potentials.DoubleWell(barrier={"DW1": 1.0, "DW3": 3.0, "LMQ": 0.25}[well[:3]])
    sign = np.where(np.arange(20_000) % 2 == 0, 1.0, -1.0)[:, np.newaxis]
    sim = lf.Simulation(potential, lf.MALA(h), initial=sign, seed=6)
    sim.run(2000)
    total = 0.0
    for _ in range(200):
        sim.run(10)
        total = total + np.stack([sim.positions[:, 0] ** 2, sim.positions[:, 0] ** 4], axis=1)
    assert_within(total / 200, [exact["<x^2>"], exact["<x^4>"]])


# ---- what is rejected, counted and refused --------------------------------------------------------------------------


@pytest.mark.parametrize("precision", DTYPES)
def test_proposals_that_are_not_finite_are_rejected_and_counted(precision):
    """Steps so wide that the growing exponential of the Müller-Brown surface overflows."""
    potential, h = lf.potentials.MullerBrown(scale=0.1), 20.0
    n, n_steps = 200, 30
    initial = np.tile(np.asarray(potential.default_start, DTYPES[precision]), (n, 1))
    sim = lf.Simulation(potential, lf.MALA(h, kT=200.0), initial=initial, seed=12, precision=precision)
    stream_arguments = {"seed": 12, "streams": sim.streams, "dtype": DTYPES[precision]}
    overflows, counted = 0, np.zeros(n, int)
    for step, (x, accepted, log_ratio, y) in enumerate(
        plain_mala(potential, initial, h=h, kT=200.0, drag=1.0, first=0, n_steps=n_steps, **stream_arguments), start=1
    ):
        with np.errstate(all="ignore"):
            overflow = ~np.isfinite(potential.energy(y.astype(DTYPES[precision])))
        overflows += np.count_nonzero(overflow)
        assert not accepted[overflow].any() and np.isneginf(log_ratio[~np.isfinite(potential.energy(y))]).all()
        counted += accepted
        sim.run(1)
        np.testing.assert_allclose(sim.positions, x, rtol=1e-3 if precision == "single" else 1e-10, atol=1e-5)
        np.testing.assert_array_equal(np.rint(sim.acceptance_rate * step), counted)
    assert overflows > 0.5 * n * n_steps
    assert np.isfinite(sim.positions).all() and (sim.diverged == -1).all()
    assert 0 <= sim.acceptance_rate.mean() < 0.5


def hole_energy(x):
    return lf.math.where(x[0] > 0.75, -np.inf, 0.5 * x[0] * x[0])


def hole_gradient(x, out):
    out[0] = x[0]


@cfunc("float64(CPointer(float64))")
def c_hole_energy(x):
    return -np.inf if x[0] > 0.75 else 0.5 * x[0] * x[0]


@cfunc("void(CPointer(float64), CPointer(float64))")
def c_hole_gradient(x, out):
    out[0] = x[0]


HOLES = {
    "cpp": lf.potentials.CFunction(energy=c_hole_energy, gradient=c_hole_gradient, dim=1),
    "numba": lf.potentials.Custom(energy=hole_energy, gradient=hole_gradient, dim=1),
    "batch": lf.potentials.Batch(
        energy=lambda x: np.where(x[:, 0] > 0.75, -np.inf, 0.5 * x[:, 0] ** 2), gradient=lambda x: x, dim=1
    ),
}


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("n", [1, 150])
@pytest.mark.parametrize("backend", HOLES)
def test_an_energy_of_minus_infinity_is_rejected(backend, n, precision):
    """There the ratio is +inf, greater than the logarithm of any uniform, and the gradient is finite."""
    tolerance = 1e-13 if precision == "double" else 2e-6
    start = np.zeros((n, 1))
    ratios = compare_with_plain(HOLES[backend], start, 0.5, 1.0, 1.0, precision, 60, tolerance, seed=3)
    assert 0.05 < np.isneginf(ratios).mean() < 0.5


def test_a_rejected_particle_stays_exactly_where_it_was():
    potential = lf.potentials.MullerBrown()
    with pytest.warns(UserWarning, match="none of 1400 proposals was accepted"):
        traj = lf.sample(potential, lf.MALA(1e6), n_particles=70, n_steps=20, seed=1)
    np.testing.assert_array_equal(traj.acceptance_rate, 0.0)
    np.testing.assert_array_equal(traj.positions, np.broadcast_to(potential.default_start, (20, 70, 2)))


def test_a_start_that_is_not_finite_is_refused():
    start = np.zeros((4, 2))
    start[2:] = 1000.0
    with pytest.raises(
        ValueError, match=r"initial: the energy or gradient of particle 2 is not finite at \[1000. 1000.\]"
    ):
        lf.Simulation(lf.potentials.MullerBrown(), lf.MALA(0.1), initial=start)
    overlap = np.zeros(6)  # two atoms on top of each other
    with pytest.raises(ValueError, match="initial"):
        lf.Simulation(lf.potentials.LennardJonesCluster(2), lf.MALA(0.1), initial=overlap)
    # in single precision already where double is still finite
    high = [0.0, 13.0]
    lf.Simulation(lf.potentials.MullerBrown(), lf.MALA(1e-3), initial=high)
    with pytest.raises(ValueError, match="initial"):
        lf.Simulation(lf.potentials.MullerBrown(), lf.MALA(1e-3), initial=high, precision="single")


def test_zero_temperature_is_refused():
    with pytest.raises(ValueError, match="MALA needs kT > 0"):
        lf.MALA(0.1, kT=0.0)


def test_a_potential_without_an_energy_is_refused(monkeypatch):
    potential = lf.potentials.Harmonic(1.0)
    monkeypatch.setattr(lf.potentials.Harmonic, "has_energy", False)
    lf.Simulation(potential, lf.ULA(0.1))
    with pytest.raises(ValueError, match=r"MALA.*needs the energy"):
        lf.Simulation(potential, lf.MALA(0.1))


@pytest.mark.parametrize("scheme", [lf.ULA(0.1), lf.LeimkuhlerMatthews(0.1), lf.BAOAB(0.1, friction=1.0)])
def test_only_mala_has_an_acceptance_rate(scheme):
    traj = lf.sample(lf.potentials.Harmonic(1.0), scheme, n_steps=3, seed=1)
    assert traj.acceptance_rate is None
    assert lf.Simulation(lf.potentials.Harmonic(1.0), scheme).acceptance_rate is None


def test_acceptance_is_counted_after_the_burn_in():
    """The rate over the steps after the burn-in, from positions that change or not."""
    potential, scheme = lf.potentials.DoubleWell(2.0), lf.MALA(0.3)
    whole = lf.sample(potential, scheme, n_particles=70, n_steps=50, seed=3)
    late = lf.sample(potential, scheme, n_particles=70, n_steps=20, burn_in=30, seed=3)
    np.testing.assert_array_equal(late.positions, whole.positions[30:])
    moved = np.any(np.diff(whole.positions, axis=0) != 0, axis=2)  # between steps 1 and 2, ...
    np.testing.assert_allclose(late.acceptance_rate, moved[29:].mean(axis=0), rtol=1e-15)
    assert not np.array_equal(late.acceptance_rate, whole.acceptance_rate)
    nothing = lf.sample(potential, scheme, n_particles=3, n_steps=0, burn_in=30, seed=3)
    assert np.isnan(nothing.acceptance_rate).all()


def test_a_simulation_counts_from_its_first_step():
    sim = lf.Simulation(lf.potentials.DoubleWell(2.0), lf.MALA(0.3), n_particles=5, seed=3)
    assert np.isnan(sim.acceptance_rate).all()
    sim.run(10)
    sim.run(40)
    whole = lf.sample(lf.potentials.DoubleWell(2.0), lf.MALA(0.3), n_particles=5, n_steps=50, seed=3)
    np.testing.assert_array_equal(sim.acceptance_rate, whole.acceptance_rate)
