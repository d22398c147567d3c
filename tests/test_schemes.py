"""The schemes: their coefficients and order exactly, finite-step statistics, and what their arguments may be.

For a harmonic potential a step is linear in the state and the noise. Its matrix and noise vectors, taken from the
compiled code, give the stationary covariance by linear algebra alone: compared with the reference values to 1e-11.
Statistical tests have fixed seeds and bounds of 4.5 standard errors, which are computed from the spread between
independent particles.
"""

from __future__ import annotations

import numpy as np
import pytest
import reference

import langevin_fast as lf
from langevin_fast.noise import draw

SIGMAS = 4.5
DTYPES = {"double": np.float64, "single": np.float32}
K, M, GAMMA, KT, H = 2.0, 3.0, 0.7, 1.5, 0.9  # the parameters of the entries harm.P1.*
STRINGS = ["BAOAB", "ABOBA", "OBABO", "OABAO", "BAOA", "AOAB", "BAO", "BOA", "BOAOB", "AOBOA", "ABAO", "BABO"]
PREFIX = "harm.P1."


def assert_within(samples, expected):
    """The mean over particles (the first axis, independent of each other) against the expected value."""
    samples = np.asarray(samples, dtype=np.float64)
    error = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    off = np.abs(samples.mean(axis=0) - expected) / error
    assert np.all(off < SIGMAS), f"{samples.mean(axis=0)} +- {error}, expected {expected}: {off} sigma"


def thermal(sim, first, n_steps, sets):
    """The normals of these steps, (n_steps, sets, n_particles, dim)."""
    n, dim = sim.positions.shape
    numbers = draw("thermal", sim.seed, sim.streams, first * sets * dim, n_steps * sets * dim, DTYPES[sim.precision])
    return np.moveaxis(numbers.reshape(n, n_steps, sets, dim), 0, 2).astype(np.float64)


# ---- splitting schemes against the textbook -------------------------------------------------------------------------


def textbook(letters, x, v, normals, *, h, gamma, kT, mass, gradient):
    """One step, as books write it; each kind of letter shares the step."""
    letters = letters.replace("V", "B").replace("R", "A")
    t = {letter: h / letters.count(letter) for letter in "ABO"}
    normals = iter(normals)
    for letter in letters:
        if letter == "A":
            x = x + t["A"] * v
        elif letter == "B":
            v = v - t["B"] * gradient(x) / mass
        else:
            c = np.exp(-gamma * t["O"])
            v = c * v + np.sqrt((1 - c * c) * kT / mass) * next(normals)
    return x, v


def well_gradient(x):
    """Of DoubleWell(barrier=2, width=1.25, tilt=0.5, dim, stiffness=1.5)."""
    g = 1.5 * x
    g[..., 0] = 8 * x[..., 0] / 1.25**2 * (x[..., 0] ** 2 / 1.25**2 - 1) + 0.5
    return g


PARAMETERS = {
    "scalars": {"h": 0.1, "kT": 1.5, "mass": 3.0, "friction": 0.7},
    "scalars, drag": {"h": 0.1, "kT": 1.5, "mass": 3.0, "drag": 2.1},
    "no friction": {"h": 0.1, "kT": 1.5, "mass": 3.0, "friction": 0.0},
    "strong friction": {"h": 0.1, "kT": 1.5, "mass": 3.0, "friction": 80.0},
    "per particle": {
        "h": np.linspace(0.02, 0.15, 70),
        "kT": np.linspace(0.0, 3.0, 70),
        "mass": np.linspace(0.5, 4.0, 70)[:, np.newaxis],
        "friction": 0.7,
    },
    "per component": {"h": 0.1, "kT": 1.5, "mass": np.array([0.5, 1.0, 3.0]), "drag": 1.1},
    "both": {
        "h": np.linspace(0.02, 0.15, 70),
        "kT": 1.5,
        "mass": 0.5 + np.arange(210).reshape(70, 3) % 11,
        "drag": 1.1,
    },
}


def arguments_of(parameters, dim):
    """The arguments of the scheme, those of the simulation, and gamma, h, kT, mass as columns for the textbook."""
    mass = parameters["mass"]
    if np.ndim(mass) and np.shape(mass)[-1] == 3:
        mass = mass[..., :dim]
    scheme = {name: parameters[name] for name in ("friction", "drag", "kT") if name in parameters}
    gamma = parameters["friction"] if "friction" in parameters else parameters["drag"] / mass
    columns = {name: np.reshape(parameters[name], (-1, 1)) for name in ("h", "kT")}
    return parameters["h"], scheme, mass, {"gamma": gamma, "mass": mass, **columns}


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("parameters", PARAMETERS.values(), ids=PARAMETERS)
@pytest.mark.parametrize("letters", [*STRINGS, "VRORV", "OBOAAB", "BABAOABAB"])
def test_every_step_is_the_textbooks(letters, parameters, dim, precision):
    h, scheme, mass, columns = arguments_of(parameters, dim)
    potential = lf.potentials.DoubleWell(2.0, width=1.25, tilt=0.5, dim=dim, stiffness=1.5)
    rng = np.random.default_rng(8)
    x, v = rng.normal(size=(2, 70, dim)).astype(DTYPES[precision])
    sim = lf.Simulation(
        potential,
        lf.Splitting(letters, h, **scheme),
        initial=x,
        velocities=v,
        mass=mass,
        seed=5,
        precision=precision,
        streams=np.arange(100, 170),
    )
    x, v = x.astype(np.float64), v.astype(np.float64)
    tolerance = 2e-12 if precision == "double" else 3e-5
    noise = thermal(sim, 0, 8, letters.count("O"))
    for step in range(8):
        sim.run(1)
        x, v = textbook(letters, x, v, noise[step], gradient=well_gradient, **columns)
        np.testing.assert_allclose(sim.positions, x, rtol=0, atol=tolerance * (1 + np.abs(x).max()))
        np.testing.assert_allclose(sim.velocities, v, rtol=0, atol=tolerance * (1 + np.abs(v).max()))


@pytest.mark.parametrize("precision", DTYPES)
def test_names_for_the_same_scheme_give_the_same_bits(precision):
    def run(scheme):
        return lf.sample(
            lf.potentials.DoubleWell(dim=2), scheme, n_steps=20, n_particles=70, mass=2.0, seed=1, precision=precision
        )

    expected = run(lf.BAOAB(0.1, friction=0.5, kT=1.5))
    for scheme in (
        lf.Splitting("BAOAB", 0.1, friction=0.5, kT=1.5),
        lf.Splitting("VRORV", 0.1, friction=0.5, kT=1.5),
        lf.BAOAB(np.full(70, 0.1), friction=0.5, kT=np.full(70, 1.5)),
        lf.BAOAB(0.1, drag=1.0, kT=1.5),  # friction = drag / mass
    ):
        got = run(scheme)
        np.testing.assert_array_equal(got.positions, expected.positions)
        np.testing.assert_array_equal(got.velocities, expected.velocities)
    assert lf.Splitting("VRORV", 0.1, friction=0.5).letters == "BAOAB"
    different = run(lf.Splitting("ABOBA", 0.1, friction=0.5, kT=1.5))
    assert not np.array_equal(different.positions, expected.positions)


# ---- exact stationary statistics ------------------------------------------------------------------------------------


def linear_step(potential, scheme, mass=1.0):
    """The matrix (x', v') = T (x, v) + G xi of a step, T (2, 2) and G (2, sets), from the compiled code."""
    sets = scheme.letters.count("O")

    def step(kT, initial, velocities, n):
        made = lf.Splitting(scheme.letters, scheme.step_size, friction=scheme.friction, kT=kT)
        sim = lf.Simulation(potential, made, initial=initial, velocities=velocities, n_particles=n, mass=mass, seed=3)
        sim.run(1)
        return np.hstack([sim.positions, sim.velocities]), thermal(sim, 0, 1, sets)[0, :, :, 0].T

    columns, _ = step(0.0, [[1.0], [0.0]], [[0.0], [1.0]], 2)
    moved, normals = step(scheme.kT, [0.0], [0.0], 20)
    vectors, residual, rank, _ = np.linalg.lstsq(normals, moved, rcond=None)
    assert rank == sets and np.max(residual, initial=0.0) < 1e-24
    return columns.T, vectors.T


def stationary(T, G):
    """The covariance S = T S T' + G G'."""
    n = len(T)
    return np.linalg.solve(np.eye(n * n) - np.kron(T, T), (G @ G.T).reshape(-1)).reshape(n, n)


def test_every_string_has_a_reference():
    rest = {"UBU", "BUB", "KLMC", "SPV", "VAV", "GJF", "EM_underdamped", "SymplecticEulerEM"}
    assert {entry.removeprefix(PREFIX) for entry in reference.ids(PREFIX)} - rest == set(STRINGS)


@pytest.mark.parametrize("letters", STRINGS)
def test_stationary_covariance_exactly(letters):
    expected = reference.value(PREFIX + letters)
    T, G = linear_step(lf.potentials.Harmonic(K), lf.Splitting(letters, H, friction=GAMMA, kT=KT), M)
    S = stationary(T, G)
    assert S[0, 0] == pytest.approx(expected["xx"], rel=1e-11)
    assert S[0, 1] == pytest.approx(expected["xv"], rel=1e-11, abs=1e-13)
    assert S[1, 1] == pytest.approx(expected["vv"], rel=1e-11)
    assert (T @ S)[0, 0] / S[0, 0] == pytest.approx(expected["rho1"], rel=1e-11)
    assert (np.linalg.matrix_power(T, 5) @ S)[0, 0] / S[0, 0] == pytest.approx(expected["rho5"], rel=1e-10)


@pytest.mark.parametrize("letters", STRINGS)
def test_stationary_statistics(letters):
    """40,000 particles over 40 steps from the stationary law: relative errors near 0.2 %."""
    expected = reference.value(PREFIX + letters)
    covariance = np.array([[expected["xx"], expected["xv"]], [expected["xv"], expected["vv"]]])
    n = 40_000
    start = np.random.default_rng(77).normal(size=(n, 2)) @ np.linalg.cholesky(covariance).T
    traj = lf.sample(
        lf.potentials.Harmonic(K),
        lf.Splitting(letters, H, friction=GAMMA, kT=KT),
        initial=start[:, :1],
        velocities=start[:, 1:],
        mass=M,
        n_steps=40,
        seed=int.from_bytes(letters.encode(), "little"),
    )
    x, v = traj.positions[:, :, 0], traj.velocities[:, :, 0]
    assert_within(np.mean(x * x, axis=0), expected["xx"])
    assert_within(np.mean(x * v, axis=0), expected["xv"])
    assert_within(np.mean(v * v, axis=0), expected["vv"])
    assert_within(np.mean(x[1:] * x[:-1], axis=0), expected["rho1"] * expected["xx"])
    assert_within(np.mean(x[5:] * x[:-5], axis=0), expected["rho5"] * expected["xx"])
    assert_within(np.mean(x, axis=0), 0.0)


def test_stationary_statistics_differ_between_particles():
    """BAOAB at each particle's own step, temperature and mass: <x^2> = kT/k, <v^2> = kT/m (1 - (omega h)^2/4)."""
    n = 40_000
    i = np.arange(n)
    h, kT, mass = 0.3 + i % 3 / 4, 0.5 + i % 5 / 2, 1.0 + i % 4
    vv = kT / mass * (1 - K / mass * h * h / 4)
    start = np.random.default_rng(7).normal(size=(n, 2)) * np.sqrt(np.column_stack([kT / K, vv]))
    traj = lf.sample(
        lf.potentials.Harmonic(K),
        lf.BAOAB(h, friction=GAMMA, kT=kT),
        initial=start[:, :1],
        velocities=start[:, 1:],
        mass=mass[:, np.newaxis],
        n_steps=40,
        seed=12,
    )
    x, v = traj.positions[:, :, 0], traj.velocities[:, :, 0]
    for group in range(60):
        mine = slice(group, None, 60)  # the same h, kT and mass
        assert len({*zip(h[mine], kT[mine], mass[mine], strict=True)}) == 1
        assert_within(np.mean(x[:, mine] ** 2, axis=0), kT[group] / K)
        assert_within(np.mean(v[:, mine] ** 2, axis=0), vv[group])


# ---- overdamped -----------------------------------------------------------------------------------------------------

OVERDAMPED = {"ULA": lf.ULA, "LM": lf.LeimkuhlerMatthews}


@pytest.mark.parametrize("precision", DTYPES)
@pytest.mark.parametrize("dim", [1, 3])
@pytest.mark.parametrize("per_particle", [False, True])
@pytest.mark.parametrize("name", [*OVERDAMPED, "TamedULA"])
def test_every_overdamped_step_is_the_textbooks(name, per_particle, dim, precision):
    h, kT, drag = (np.linspace(0.01, 0.06, 70), np.linspace(0.0, 2.0, 70), 2.0) if per_particle else (0.1, 1.5, 2.0)
    potential = lf.potentials.DoubleWell(2.0, width=1.25, tilt=0.5, dim=dim, stiffness=1.5)
    x = np.random.default_rng(8).normal(size=(70, dim)).astype(DTYPES[precision])
    make = OVERDAMPED.get(name, lf.TamedULA)
    sim = lf.Simulation(potential, make(h, kT=kT, drag=drag), initial=x, seed=5, precision=precision)
    noise = thermal(sim, 0, 9, 1)[:, 0]
    x = x.astype(np.float64)
    h, kT = np.reshape(h, (-1, 1)), np.reshape(kT, (-1, 1))
    for step in range(8):
        sim.run(1)
        if name == "LM":
            kick = np.sqrt(kT * h / (2 * drag)) * (noise[step] + noise[step + 1])
        else:
            kick = np.sqrt(2 * kT * h / drag) * noise[step]
        drift = h / drag * well_gradient(x)
        x = x - (drift / (1 + np.abs(drift)) if name == "TamedULA" else drift) + kick
        tolerance = 1e-12 if precision == "double" else 2e-5
        np.testing.assert_allclose(sim.positions, x, rtol=0, atol=tolerance * (1 + np.abs(x).max()))


def closed_forms(name, u):
    """Variance over kT/k and autocorrelations at lags 1 and 3, u = h k/drag."""
    if name == "ULA":
        return 1 / (1 - u / 2), 1 - u, (1 - u) ** 3
    return 1.0, 1 - u / 2, (1 - u) ** 2 * (1 - u / 2)


def test_closed_forms_are_those_of_the_reference():
    ula, lm = reference.value("harm.od.ULA"), reference.value("harm.od.Leimkuhler-Matthews")
    for u in (0.1, 0.7):
        assert eval(ula["var"], {"u": u}) == pytest.approx(closed_forms("ULA", u)[0])
        assert eval(ula["rho1"], {"u": u}) == pytest.approx(closed_forms("ULA", u)[1])
        assert lm["var"] == "1 (exact)" and lm["rho1"] == "1-u/2; rho_n=(1-u)^{n-1}(1-u/2)"


@pytest.mark.parametrize(("h", "kT", "drag", "k"), [(0.5, 1.0, 1.0, 1.0), (0.9, 1.5, 2.0, 3.0), (0.05, 1.5, 2.0, 3.0)])
@pytest.mark.parametrize("name", OVERDAMPED)
def test_overdamped_variance_and_correlations(name, h, kT, drag, k):
    """40,000 particles over 60 steps after 200 steps of relaxation from the Boltzmann law."""
    variance, rho1, rho3 = closed_forms(name, h * k / drag)
    n = 40_000
    start = np.random.default_rng(6).normal(size=(n, 1)) * np.sqrt(kT / k)
    traj = lf.sample(
        lf.potentials.Harmonic(k), OVERDAMPED[name](h, kT=kT, drag=drag), initial=start, burn_in=200, n_steps=60, seed=2
    )
    x = traj.positions[:, :, 0]
    assert_within(np.mean(x * x, axis=0), variance * kT / k)
    assert_within(np.mean(x[1:] * x[:-1], axis=0), rho1 * variance * kT / k)
    assert_within(np.mean(x[3:] * x[:-3], axis=0), rho3 * variance * kT / k)


@pytest.mark.parametrize("name", OVERDAMPED)
def test_overdamped_variance_of_particles_that_differ(name):
    n = 40_000
    i = np.arange(n)
    h, kT = 0.1 + i % 4 / 4, 0.5 + i % 3
    traj = lf.sample(
        lf.potentials.Harmonic(K), OVERDAMPED[name](h, kT=kT, drag=2.0), burn_in=200, n_steps=40, stride=4, seed=21
    )
    x = traj.positions[:, :, 0]
    for group in range(12):
        mine = slice(group, None, 12)
        expected = closed_forms(name, h[group] * K / 2.0)[0] * kT[group] / K
        assert_within(np.mean(x[:, mine] ** 2, axis=0), expected)


@pytest.mark.parametrize("name", OVERDAMPED)
def test_ornstein_uhlenbeck_transient(name):
    """Mean and variance on the way, against the continuous process: at h = 1/2000 the schemes are off it by less than a
    tenth of the standard errors."""
    expected = reference.value("transient.OU dx=-k x dt+sqrt(2D)dW, k=1.3,D=0.7, x0=2")
    traj = lf.sample(
        lf.potentials.Harmonic(1.3),
        OVERDAMPED[name](1 / 2000, kT=0.7),
        initial=[2.0],
        n_particles=20_000,
        n_steps=4000,
        stride=200,
        seed=13,
    )
    for label, law in expected.items():
        (x,) = traj.positions[traj.steps == round(2000 * float(label.removeprefix("t="))), :, 0]
        assert_within(x, law["mean"])
        assert_within((x - law["mean"]) ** 2, law["var"])


def test_from_sde():
    scheme = lf.ULA.from_sde(drift=2.0, noise=3.0, step_size=0.1)
    assert scheme.kT == 3.0**2 / 4.0 and scheme.drag == 0.5 and scheme.step_size == 0.1
    # dx = -a U' dt + b dW by Euler-Maruyama, one step
    sim = lf.Simulation(lf.potentials.Harmonic(1.5), scheme, initial=[0.7], seed=4)
    sim.run(1)
    assert sim.positions[0, 0] == pytest.approx(
        0.7 - 2.0 * 1.5 * 0.7 * 0.1 + 3.0 * np.sqrt(0.1) * lf.noise(4, 0, 0, 1)[0]
    )
    assert lf.ULA.from_sde(drift=2.0, noise=0.0, step_size=0.1).kT == 0.0


@pytest.mark.parametrize(("b", "temperature"), [(1.0, 1.0), (np.sqrt(2), 2.0)], ids=["epsilon convention", "the trap"])
def test_the_often_copied_update_samples_at_twice_the_temperature(b, temperature):
    """x + (eps/2) s + b sqrt(eps) xi on N(0, 1) has the variance b^2/(1 - eps/4): closed forms in harm.od.*."""
    eps = 0.1
    entry = "ULA, eps convention x+=(eps/2)s+sqrt(eps)xi" if b == 1.0 else "SLIP x+=(eps/2)s+sqrt(2 eps)xi"
    exact = eval(reference.value("harm.od." + entry)["var"].replace("eps k", "eps"), {"eps": eps})
    assert exact == pytest.approx(temperature / (1 - eps / 4))
    scheme = lf.ULA.from_sde(drift=0.5, noise=b, step_size=eps)
    assert scheme.kT == pytest.approx(temperature, rel=1e-15)
    traj = lf.sample(
        lf.potentials.Harmonic(1.0), scheme, n_particles=40_000, burn_in=300, n_steps=200, stride=10, seed=9
    )
    assert_within(np.mean(traj.positions[:, :, 0] ** 2, axis=0), exact)


# ---- free particles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OVERDAMPED)
def test_free_overdamped_diffusion(name):
    """<(x_n - x_0)^2> = 2 D h n for ULA; the overlapping noise of LM makes it 2 D h (n - 1/2)."""
    h, kT, drag, dim = 0.3, 1.5, 2.0, 3
    scheme = OVERDAMPED[name](h, kT=kT, drag=drag)
    traj = lf.sample(lf.potentials.Free(dim), scheme, n_particles=20_000, n_steps=100, seed=3)
    for n in (1, 2, 10, 100):
        steps = n if name == "ULA" else n - 0.5
        assert_within(traj.positions[n - 1] ** 2, np.full(dim, 2 * kT / drag * h * steps))


DIFFUSION = "transient.splitting schemes (BAOAB,ABOBA,OBABO,OABAO,BAOA): D_h/D=(gamma h/2)coth(gamma h/2)"


@pytest.mark.parametrize("letters", ["BAOAB", "ABOBA", "OBABO", "OABAO", "BAOA"])
@pytest.mark.parametrize("label", ["gamma h=0.5", "gamma h=1", "gamma h=2", "gamma h=5"])
def test_free_underdamped_diffusion_exactly(letters, label):
    """From the step's matrix by a Green-Kubo sum: 2 D h = <dx_0^2> + 2 sum_n <dx_0 dx_n>, to 1e-11."""
    h, mass, kT = 0.8, 3.0, 1.5
    y = float(label.removeprefix("gamma h="))
    T, G = linear_step(lf.potentials.Free(1), lf.Splitting(letters, h, friction=y / h, kT=kT), mass)
    assert T[0, 0] == 1.0 and T[1, 0] == 0.0  # x' = x + a v + g.xi, v' = c v + w.xi
    (_, a), (_, c) = T
    g, w = G
    vv = w @ w / (1 - c * c)
    first = a * a * vv + g @ g
    later = a * (a * c * vv + g @ w) / (1 - c)  # <dx_0 v_1> a / (1 - c)
    ratio = (first + 2 * later) / (2 * h) / (kT / mass / (y / h))
    assert ratio == pytest.approx(reference.value(DIFFUSION)[label], rel=1e-11)
    assert ratio == pytest.approx(y / 2 / np.tanh(y / 2), rel=1e-11)


def test_free_underdamped_diffusion():
    """Statistically, over 40 relaxation times; the exact mean square of BAOAB follows from its matrix."""
    h, mass, kT, gamma, steps = 0.8, 3.0, 1.5, 2.5, 16
    scheme = lf.BAOAB(h, friction=gamma, kT=kT)
    T, G = linear_step(lf.potentials.Free(1), scheme, mass)
    S = np.diag([0.0, kT / mass])  # velocities start from the Maxwell-Boltzmann law
    for _ in range(steps):
        S = T @ S @ T.T + G @ G.T
    traj = lf.sample(lf.potentials.Free(2), scheme, n_particles=40_000, mass=mass, n_steps=steps, stride=steps, seed=4)
    assert_within(traj.positions[0] ** 2, np.full(2, S[0, 0]))
    assert_within(traj.velocities[0] ** 2, np.full(2, kT / mass))


def test_free_underdamped_mean_square_displacement():
    """Against the continuous law; at h = 0.01 BAOAB is off by 1e-4 of it, a fiftieth of the standard error."""
    expected = reference.value("transient.free underdamped MSD m=3 gamma=0.7 kT=1.5")
    traj = lf.sample(
        lf.potentials.Free(1),
        lf.BAOAB(0.01, friction=0.7, kT=1.5),
        n_particles=40_000,
        mass=3.0,
        n_steps=1000,
        stride=10,
        seed=6,
    )
    for label, value in expected.items():
        (x,) = traj.positions[traj.steps == round(100 * float(label.split()[0].removeprefix("t="))), :, 0]
        assert_within(x * x, value)


# ---- nonlinear potentials: moments of the discrete chains -----------------------------------------------------------

DW1, LMQ = "DW1: U=(x^2-1)^2", "LMQ: U=x^4/4-x^2/2"
WELLS = {DW1: lf.potentials.DoubleWell(), LMQ: lf.potentials.DoubleWell(barrier=0.25)}


def particle_means(sim, burn_in, samples, apart, functions):
    """Time averages of each particle, `samples` of them `apart` steps apart; (n_particles, functions)."""
    sim.run(burn_in)
    total = 0.0
    for _ in range(samples):
        sim.run(apart)
        x = sim.positions[:, 0]
        v = None if sim.velocities is None else sim.velocities[:, 0]
        total = total + np.stack([f(x, v) for f in functions], axis=1)
    return total / samples


def both_sides(n):
    return np.where(np.arange(n) % 2 == 0, 1.0, -1.0)[:, np.newaxis]


CHAINS = {**OVERDAMPED, "tamedULA": lf.TamedULA}
OVERDAMPED_MOMENTS = [(DW1, 0.01), (DW1, 0.02), (LMQ, 0.05), (LMQ, 0.1)]


@pytest.mark.slow
@pytest.mark.parametrize(("well", "h"), OVERDAMPED_MOMENTS)
@pytest.mark.parametrize("name", CHAINS)
def test_overdamped_moments_of_the_discrete_chain(name, well, h):
    """Standard errors near 3e-4: the bias of ULA at h = 0.02 on DW1 is 1.4e-2."""
    expected = reference.value(f"nonlin.od.{well} | {name} | h={h}")
    sim = lf.Simulation(WELLS[well], CHAINS[name](h), initial=both_sides(20_000), seed=5)
    means = particle_means(sim, round(20 / h), 150, max(round(0.2 / h), 1), [lambda x, v: x * x, lambda x, v: x**4])
    assert_within(means, [expected["<x^2>"], expected["<x^4>"]])


def test_overdamped_moments_of_the_discrete_chain_quickly():
    """Sharp enough to tell ULA and LM apart, as the end shows."""
    means = {}
    for name, make in CHAINS.items():
        expected = reference.value(f"nonlin.od.{LMQ} | {name} | h=0.1")
        sim = lf.Simulation(WELLS[LMQ], make(0.1), initial=both_sides(10_000), seed=5)
        means[name] = particle_means(sim, 150, 40, 5, [lambda x, v: x * x, lambda x, v: x**4])
        assert_within(means[name], [expected["<x^2>"], expected["<x^4>"]])
    other = reference.value(f"nonlin.od.{LMQ} | ULA | h=0.1")
    with pytest.raises(AssertionError, match="sigma"):
        assert_within(means["LM"], [other["<x^2>"], other["<x^4>"]])


def test_tamed_variance_in_a_harmonic_well():
    variance, _ = reference.value("harm.tamed ULA (coordinatewise, x-h g/(1+h|g|)) N(0,1) h=0.1 var")
    sim = lf.Simulation(lf.potentials.Harmonic([1.0]), lf.TamedULA(0.2, drag=2.0), n_particles=10_000, seed=5)
    assert_within(particle_means(sim, 100, 40, 5, [lambda x, v: x * x]), [variance])


def test_tamed_drift_holds_what_throws_others_out():
    start = np.full((50, 1), 30.0)
    quartic = lf.potentials.DoubleWell()
    with pytest.raises(lf.DivergenceError):
        lf.sample(quartic, lf.ULA(0.01), initial=start, n_steps=1000, stride=None, seed=1)
    tamed = lf.sample(quartic, lf.TamedULA(0.01), initial=start, n_steps=1000, stride=None, seed=1)
    assert np.abs(tamed.final.positions).max() < 3.0


UNDERDAMPED_MOMENTS = [(letters, h) for letters in ("BAOAB", "ABOBA", "OBABO", "OABAO", "BAOA") for h in (0.1, 0.2)]
MOMENT_FUNCTIONS = {
    "<x2>": lambda x, v: x**2,
    "<x4>": lambda x, v: x**4,
    "<U>": lambda x, v: (x**2 - 1) ** 2,
    "<v2>": lambda x, v: v**2,
    "<v4>": lambda x, v: v**4,
    "<xv>": lambda x, v: x * v,
}


def check_underdamped_moments(letters, h, n, samples):
    expected = reference.value(f"nonlin.ud.{DW1} | {letters} | h={h} gamma=1.0")
    sim = lf.Simulation(WELLS[DW1], lf.Splitting(letters, h, friction=1.0), initial=both_sides(n), seed=8)
    means = particle_means(sim, round(40 / h), samples, max(round(0.4 / h), 1), list(MOMENT_FUNCTIONS.values()))
    assert_within(means, [expected[name] for name in MOMENT_FUNCTIONS])


@pytest.mark.slow
@pytest.mark.parametrize(("letters", "h"), UNDERDAMPED_MOMENTS)
def test_underdamped_moments_of_the_discrete_chain(letters, h):
    """Standard errors of <x^2> near 2e-4; the schemes differ by up to 1.5e-2 at h = 0.2."""
    check_underdamped_moments(letters, h, 20_000, 200)


@pytest.mark.parametrize("letters", ["BAOAB", "ABOBA", "OBABO", "OABAO", "BAOA"])
def test_underdamped_moments_of_the_discrete_chain_quickly(letters):
    """Standard errors of <x^2> near 7e-4."""
    check_underdamped_moments(letters, 0.2, 5000, 60)


# LMQ at h = 0.25, gamma = 1: <x^4> of the discrete chains, computed together with the entries nonlin.ud.*
QUARTIC = {"BAOAB": 2.0387614784, "OBABO": 2.077800907, "ABOBA": 1.9745221343, "OABAO": 1.9411247105}


@pytest.mark.slow
@pytest.mark.parametrize("letters", QUARTIC)
def test_fourth_moment_of_the_quartic_well(letters):
    sim = lf.Simulation(WELLS[LMQ], lf.Splitting(letters, 0.25, friction=1.0), initial=both_sides(20_000), seed=8)
    means = particle_means(sim, 160, 300, 2, [lambda x, v: x**4])
    assert_within(means, [QUARTIC[letters]])


# ---- what is not a scheme -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("letters", "error", "message"),
    [
        ("BAOXB", ValueError, r"letters='BAOXB' is not a scheme: unknown 'X'"),
        ("baoab", ValueError, r"unknown 'a', 'b', 'o'"),
        ("BA OAB", ValueError, r"unknown ' '"),
        ("BAB", ValueError, "it has no O"),
        ("BOB", ValueError, "it has no A"),
        ("AOA", ValueError, "it has no B"),
        ("RVR", ValueError, "it has no O"),
        ("", ValueError, "it has no A and no B and no O"),
        ("VRORB", ValueError, "mixes A, B with R, V"),
        ("BAO" * 22, ValueError, "letters has 66 letters; at most 64"),
        (None, TypeError, "letters must be a string"),
        (b"BAOAB", TypeError, "letters must be a string"),
        (["B", "A", "O"], TypeError, "letters must be a string"),
    ],
)
def test_strings_that_are_no_schemes(letters, error, message):
    with pytest.raises(error, match=message):
        lf.Splitting(letters, 0.1, friction=1.0)


def test_the_longest_string():
    scheme = lf.Splitting("BAO" * 21 + "B", 0.5, friction=1.0)
    sim = lf.Simulation(lf.potentials.Harmonic(1.0), scheme, initial=[1.0], velocities=[0.5], seed=1)
    noise = thermal(sim, 0, 1, 21)[0]
    sim.run(1)
    x, v = textbook(
        scheme.letters,
        np.array([[1.0]]),
        np.array([[0.5]]),
        noise,
        h=0.5,
        gamma=1.0,
        kT=1.0,
        mass=1.0,
        gradient=lambda x: x,
    )
    np.testing.assert_allclose([sim.positions, sim.velocities], [x, v], rtol=1e-12)


BAD_NUMBERS = [(0.0, ValueError), (-0.1, ValueError), (np.nan, ValueError), (np.inf, ValueError), ("a", TypeError)]
BAD_NUMBERS += [(None, TypeError), ([0.1, -0.1], ValueError), ([0.1, np.nan], ValueError), ([[0.1]], ValueError)]
MAKERS = {
    "ULA": lf.ULA,
    "LeimkuhlerMatthews": lf.LeimkuhlerMatthews,
    "MALA": lf.MALA,
    "BAOAB": lambda step_size, kT=1.0: lf.BAOAB(step_size, friction=1.0, kT=kT),
    "Splitting": lambda step_size, kT=1.0: lf.Splitting("OBABO", step_size, drag=1.0, kT=kT),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(("value", "error"), BAD_NUMBERS, ids=str)
def test_bad_step_sizes_and_temperatures(make, value, error):
    with pytest.raises(error, match="step_size"):
        make(value)
    if value != 0.0:
        with pytest.raises(error, match="kT"):
            make(0.1, kT=value)


def test_zero_temperature_is_allowed_but_for_mala():
    for make in (lf.ULA, lf.LeimkuhlerMatthews):
        assert make(0.1, kT=0).kT == 0.0
    assert lf.BAOAB(0.1, friction=1.0, kT=0).kT == 0.0
    for kT in (0, 0.0, [1.0, 0.0]):
        with pytest.raises(ValueError, match=r"kT=.*MALA needs kT > 0"):
            lf.MALA(0.1, kT=kT)


@pytest.mark.parametrize("make", [lf.ULA, lf.LeimkuhlerMatthews, lf.MALA])
@pytest.mark.parametrize("drag", [0.0, -1.0, np.nan, np.inf])
def test_bad_drag(make, drag):
    with pytest.raises(ValueError, match="drag"):
        make(0.1, drag=drag)


@pytest.mark.parametrize("name", ["friction", "drag"])
@pytest.mark.parametrize(
    ("value", "error"), [(-1.0, ValueError), (np.nan, ValueError), ("a", TypeError), (True, TypeError)]
)
def test_bad_friction(name, value, error):
    with pytest.raises(error, match=name):
        lf.BAOAB(0.1, **{name: value})


def test_exactly_one_of_friction_and_drag():
    for make in (lf.BAOAB, lambda *a, **k: lf.Splitting("OBABO", *a, **k)):
        with pytest.raises(TypeError, match=r"exactly one of friction .* and drag .*; got neither"):
            make(0.1)
        with pytest.raises(TypeError, match=r"got friction=1.0 and drag=2.0"):
            make(0.1, friction=1.0, drag=2.0)
        with pytest.raises(TypeError):
            make(0.1, 1.0)  # which of the two is not to be guessed


def test_bad_sde():
    for arguments, name in (({"drift": 0.0, "noise": 1.0}, "drift"), ({"drift": 1.0, "noise": -1.0}, "noise")):
        with pytest.raises(ValueError, match=name):
            lf.ULA.from_sde(step_size=0.1, **arguments)
    with pytest.raises(ValueError, match="step_size"):
        lf.ULA.from_sde(drift=1.0, noise=1.0, step_size=0.0)


def test_numbers_of_particles_that_contradict():
    with pytest.raises(ValueError, match="step_size has 2 values and kT has 3"):
        lf.Simulation(lf.potentials.Harmonic(1.0), lf.ULA([0.1, 0.2], kT=[1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="step_size or kT says 2"):
        lf.Simulation(lf.potentials.Harmonic(1.0), lf.ULA([0.1, 0.2]), n_particles=3)


def test_parameters_are_read_only_copies():
    h = np.array([0.1, 0.2])
    scheme = lf.ULA(h, kT=2.0)
    h[0] = 9.0
    np.testing.assert_array_equal(scheme.step_size, [0.1, 0.2])
    assert scheme.kT == 2.0 and isinstance(scheme.kT, float)
    with pytest.raises(ValueError, match="read-only"):
        scheme.step_size[0] = 1.0


def test_repr_says_what_was_given():
    assert repr(lf.ULA(0.1, kT=2.0, drag=3.0)) == "ULA(step_size=0.1, drag=3.0, kT=2.0)"
    assert repr(lf.BAOAB(0.1, friction=0.5)) == "BAOAB(step_size=0.1, friction=0.5, kT=1.0)"
    assert repr(lf.Splitting("OBABO", 0.1, drag=0.5)) == "Splitting('OBABO', step_size=0.1, drag=0.5, kT=1.0)"
