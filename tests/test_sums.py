"""Sums and multiples of potentials: the bits of the same operations written by hand, on every backend."""

import copy
import math
import pickle

import numpy as np
import pytest
from cases import LEVELS, POTENTIALS, PRECISIONS, SCHEMES
from test_schedules import SCHEMES as TIMED
from test_schedules import step_by_step
from test_twins import points

import langevin_fast as lf
from langevin_fast import potentials as lfp
from langevin_fast.potentials.sum import BatchSum

STEP = {"MALA": 0.02}
RAMP = lf.Schedule([0.05, 0.25], [0.5, 2.0])


def well(x, k):
    return k * (x[0] * x[0] - 1.0) * (x[0] * x[0] - 1.0) + x[1] * x[1]


def well_gradient(x, out, k):
    out[0] = 4.0 * k * x[0] * (x[0] * x[0] - 1.0)
    out[1] = 2.0 * x[1]


def bump(x, width):
    return lf.math.exp(-(x[0] * x[0] + x[1] * x[1]) / width)


def bump_gradient(x, out, width):
    e = lf.math.exp(-(x[0] * x[0] + x[1] * x[1]) / width)
    out[0] = -2.0 * x[0] / width * e
    out[1] = -2.0 * x[1] / width * e


def trap(x, c):
    return 0.5 * ((x[0] - c) * (x[0] - c) + x[1] * x[1])


def trap_gradient(x, out, c):
    out[0] = x[0] - c
    out[1] = x[1]


def by_hand(x, k, width, c, w):
    return (w[0] * well(x, k) + w[1] * bump(x, width)) + w[2] * trap(x, c)


def by_hand_gradient(x, out, k, width, c, w):
    e = lf.math.exp(-(x[0] * x[0] + x[1] * x[1]) / width)
    a, b = 4.0 * k * x[0] * (x[0] * x[0] - 1.0), -2.0 * x[0] / width * e
    out[0] = (w[0] * a + w[1] * b) + w[2] * (x[0] - c)
    a, b = 2.0 * x[1], -2.0 * x[1] / width * e
    out[1] = (w[0] * a + w[1] * b) + w[2] * x[1]


WELL = lfp.Custom(energy=well, gradient=well_gradient, dim=2, start=[1.0, 0.0], k=1.5)
BUMP = lfp.Custom(energy=bump, gradient=bump_gradient, dim=2, width=0.7)
TRAP = lfp.Custom(energy=trap, gradient=trap_gradient, dim=2, c=0.25)
SUM = WELL + 3.0 * BUMP - TRAP / 3.0
BY_HAND = lfp.Custom(
    energy=by_hand, gradient=by_hand_gradient, dim=2, start=[1.0, 0.0], k=1.5, width=0.7, c=0.25, w=SUM.weights
)
BIAS = lfp.Expression("0.5*k*(x - x0)**2", variables="x y", k=4.0, x0=-0.5)


def batch(potential):
    """The same, as functions of all particles."""
    return lfp.Batch(
        gradient=potential.gradient, energy=potential.energy, dim=potential.dim, start=potential.default_start
    )


def at(potential, time):
    return potential.at(time) if hasattr(potential, "at") else potential


def assert_same(a, b):
    np.testing.assert_array_equal(a.positions, b.positions)
    np.testing.assert_array_equal(a.final.positions, b.final.positions)
    np.testing.assert_array_equal(a.final.accepted, b.final.accepted)
    if a.final.velocities is not None:
        np.testing.assert_array_equal(a.final.velocities, b.final.velocities)


# --- bits -------------------------------------------------------------------------------------------------------------


def in_turns(isa):
    """A precision for each level: compilation is what takes time."""
    return list(PRECISIONS)[LEVELS.index(isa) % 2]


def test_the_bits_of_the_same_operations_written_by_hand(isa):
    precision = in_turns(isa)
    x = np.random.default_rng(2).normal(size=(45, 2)).astype(PRECISIONS[precision])
    np.testing.assert_array_equal(SUM.energy(x), BY_HAND.energy(x))
    np.testing.assert_array_equal(SUM.gradient(x), BY_HAND.gradient(x))
    assert SUM.energy(x).dtype == x.dtype
    for scheme in (lf.ULA(0.05), lf.MALA(0.02), lf.BAOAB(0.1, friction=1.0)):
        # wide groups and a particle alone, whatever the level
        arguments = {"n_steps": 25, "n_particles": 65, "seed": 3, "stride": 6, "precision": precision}
        runs = [lf.sample(u, scheme, **arguments) for u in (SUM, BY_HAND)]
        assert runs[0].backend == "numba"
        assert_same(*runs)


def with_springs(name, precision):
    """A potential less springs; points, and energies and gradients there of what the terms give."""
    a, dtype = POTENTIALS[name].potential, PRECISIONS[precision]
    b, w, x = lfp.Harmonic(np.arange(a.dim) + 0.75), dtype(-0.7), points(a, dtype)
    return a - 0.7 * b, x, a.energy(x) + w * b.energy(x), a.gradient(x) + w * b.gradient(x)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", POTENTIALS)
def test_every_built_in_potential_is_a_term(name, precision):
    u, x, energy, gradient = with_springs(name, precision)
    columns, g = np.ascontiguousarray(x.T), np.full(x.T.shape, np.nan, x.dtype)
    p = u.parameters.astype(x.dtype)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(u.functions.energy_gradient(columns, g, p), energy)
        np.testing.assert_array_equal(g.T, gradient)
        g[...] = np.nan
        u.functions.gradient(columns, g, p)
        np.testing.assert_array_equal(g.T, gradient)
        np.testing.assert_array_equal(u.functions.energy(columns, p), energy)


# compilation is what takes time
COMPILED = {"MullerBrown": "double", "HybridRosenbrock": "single", "Tabulated 2-D": "single", "Ring": "double"}


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        pytest.param(name, precision, marks=[] if COMPILED.get(name) == precision else pytest.mark.slow)
        for name in POTENTIALS
        for precision in PRECISIONS
    ],
)
def test_every_built_in_potential_is_a_compiled_term(name, precision):
    u, x, energy, gradient = with_springs(name, precision)
    np.testing.assert_array_equal(u.energy(x), energy)
    np.testing.assert_array_equal(u.gradient(x), gradient)


def springs(x, k, w):
    total_a, total_b = 0.0, 0.0
    for c in range(len(x)):
        total_a += (k[c] * x[c]) * x[c]
        total_b += (x[c] - 1.0) ** 4
    return w[0] * total_a + w[1] * total_b


def springs_gradient(x, out, k, w):
    for c in range(len(x)):
        d = x[c] - 1.0
        out[c] = w[0] * (2.0 * k[c] * x[c]) + w[1] * (4.0 * d * d * d)


@pytest.mark.parametrize("dim", [17, *(pytest.param(dim, marks=pytest.mark.slow) for dim in (16, 70))])
def test_many_components(dim, isa):
    """Loops over components are written out up to 16."""
    precision = in_turns(isa)

    def one(x, k):
        total = 0.0
        for c in range(len(x)):
            total += (k[c] * x[c]) * x[c]
        return total

    def one_gradient(x, out, k):
        for c in range(len(x)):
            out[c] = 2.0 * k[c] * x[c]

    def other(x):
        total = 0.0
        for c in range(len(x)):
            total += (x[c] - 1.0) ** 4
        return total

    def other_gradient(x, out):
        for c in range(len(x)):
            d = x[c] - 1.0
            out[c] = 4.0 * d * d * d

    k = np.arange(dim) % 5 / 4 + 0.5
    u = lfp.Custom(energy=one, gradient=one_gradient, dim=dim, k=k)
    u = 2.0 * u + lfp.Custom(energy=other, gradient=other_gradient, dim=dim)
    v = lfp.Custom(energy=springs, gradient=springs_gradient, dim=dim, k=k, w=[2.0, 1.0])
    for scheme in (lf.ULA(0.01), lf.MALA(0.02)):
        arguments = {"n_steps": 12, "n_particles": 33, "seed": 5, "stride": 3, "precision": precision}
        assert_same(*(lf.sample(p, scheme, **arguments) for p in (u, v)))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sum_over_all_particles_has_the_bits_of_the_compiled_one(scheme, precision):
    u = lfp.Sum([batch(WELL), BUMP, batch(TRAP)], SUM.weights)
    assert isinstance(u, BatchSum)
    made = SCHEMES[scheme](STEP.get(scheme, 0.05), 0.5)
    arguments = {"n_steps": 15, "n_particles": 21, "seed": 4, "stride": 4, "precision": precision}
    runs = [lf.sample(p, made, **arguments) for p in (u, SUM)]
    assert [run.backend for run in runs] == ["batch", "numba"]
    assert_same(*runs)
    x = runs[0].final.positions
    np.testing.assert_array_equal(u.energy(x), SUM.energy(x))
    np.testing.assert_array_equal(u.batch_energy_gradient(x)[1], SUM.gradient(x))


def test_a_term_of_compiled_code():
    import numba

    @numba.cfunc("void(CPointer(float64), CPointer(float64))")
    def gradient(x, g):
        g[0] = x[0] - 0.25
        g[1] = x[1]

    arguments = {"n_steps": 9, "n_particles": 5, "seed": 2}
    u = WELL + lfp.CFunction(gradient=gradient, dim=2)
    runs = [lf.sample(p, lf.ULA(0.05), **arguments) for p in (u, WELL + TRAP)]
    assert runs[0].backend == "batch"
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


def test_cross_check():
    report = lf.cross_check(lfp.MullerBrown(scale=0.125) + BIAS, lf.BAOAB(0.02, friction=1.0), moment_steps=50)
    assert report.ok, report


# --- algebra ----------------------------------------------------------------------------------------------------------


def test_sums_of_sums_are_one_sum():
    u = 2.0 * (WELL - (BUMP + 0.5 * TRAP)) - BIAS
    assert u.terms == (WELL, BUMP, TRAP, BIAS)
    assert u.weights == (2.0, -2.0, -1.0, -1.0)
    assert lfp.Sum([WELL + BUMP, TRAP], [3.0, 1.0]).weights == (3.0, 3.0, 1.0)
    assert sum([WELL, BUMP, TRAP]).terms == (WELL, BUMP, TRAP)
    assert (-WELL).weights == (WELL * -1).weights == (-1.0,)
    assert (WELL / 4).weights == (np.float32(0.25) * WELL).weights == (np.float64(0.25) * WELL).weights == (0.25,)


def test_what_is_shown_makes_it_again():
    u = -lfp.MullerBrown() + 0.5 * BIAS - lfp.Ring(dim=2) - 2.0 * lfp.Free(2)
    assert repr(u) == (
        "-MullerBrown(scale=1.0) + 0.5 * Expression('0.5*k*(x - x0)**2', variables=('x', 'y'), k=4.0, x0=-0.5) - "
        "Ring(radius=1.0, width=0.25, dim=2) - 2.0 * Free(dim=2)"
    )
    again = eval(repr(u), vars(lfp))
    assert again.is_alike(u) and again.weights == u.weights
    np.testing.assert_array_equal(again.parameters, u.parameters)


def test_sums_of_the_same_kinds_share_their_code():
    u = lfp.MullerBrown() + BIAS
    for other in (3.0 * lfp.MullerBrown(2.0) - BIAS.replace(x0=0.5), u.with_values({"1.k": 7.0, "0.weight": 0.0})):
        assert other.functions is u.functions
        assert other.is_alike(u)
    for other in (BIAS + lfp.MullerBrown(), u + BIAS, lfp.Rosenbrock() + BIAS, u.terms[0], lfp.Sum([batch(WELL)])):
        assert not other.is_alike(u)
        assert not u.is_alike(other)


def test_what_it_has_of_its_terms():
    u = BIAS + lfp.MullerBrown()
    np.testing.assert_array_equal(u.default_start, BIAS.default_start)
    np.testing.assert_array_equal((lfp.MullerBrown() - BIAS).default_start, lfp.MullerBrown().default_start)
    assert u.variables == ("x", "y")
    assert (u + lfp.Expression("a + b**2", variables="a b")).variables == ()
    assert u.backends == ("numba", "cuda")
    half = u + lfp.Custom(gradient=trap_gradient, dim=2, c=1.0)
    assert u.has_energy and not half.has_energy
    lf.sample(half, lf.ULA(1e-4), n_steps=2, seed=1)
    with pytest.raises(ValueError, match="needs the energy"):
        lf.sample(half, lf.MALA(0.1), n_steps=1)


def test_observers_know_its_variables():
    seen = lf.observers.Expectation("y - x"), lf.observers.Expectation("x[1] - x[0]")
    lf.sample(lfp.MullerBrown() + BIAS, lf.ULA(1e-5), n_steps=20, n_particles=3, seed=1, observers=seen)
    np.testing.assert_array_equal(seen[0].per_particle, seen[1].per_particle)


@pytest.mark.parametrize("u", [SUM, lfp.MullerBrown() + RAMP * BIAS, -lfp.Ring(dim=2)], ids=repr)
def test_copies(u):
    for other in (pickle.loads(pickle.dumps(u)), copy.deepcopy(u), copy.copy(u), u.with_values({})):
        assert repr(other) == repr(u)
        np.testing.assert_array_equal(at(other, 0.1).parameters, at(u, 0.1).parameters)
    runs = [lf.Simulation(u, lf.BAOAB(1e-3, friction=1.0), n_particles=5, seed=1)]
    runs[0].run(10)
    runs.append(pickle.loads(pickle.dumps(runs[0])))
    for run in runs:
        run.run(30)
    np.testing.assert_array_equal(runs[0].positions, runs[1].positions)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: WELL + lfp.DoubleWell(), ValueError, "one number of components; got 2 of Custom.* and 1 of DoubleW"),
        (lambda: WELL + 1.0, TypeError, "unsupported operand"),
        (lambda: 1.0 + WELL, TypeError, "unsupported operand"),
        (lambda: WELL - 0, TypeError, "unsupported operand"),
        (lambda: WELL * WELL, TypeError, "unsupported operand"),
        (lambda: "2" * WELL, TypeError, "can't multiply|unsupported operand"),
        (lambda: np.ones(2) * WELL, TypeError, "unsupported operand"),
        (lambda: True * WELL, TypeError, r"weights\[0\] must be a finite number"),
        (lambda: WELL * math.nan, ValueError, r"weights\[0\] must be a finite number"),
        (lambda: 1e300 * (1e300 * WELL), ValueError, "their product"),
        (lambda: WELL / 0.0, ZeroDivisionError, "zero"),
        (lambda: lfp.Sum([]), ValueError, "terms is empty"),
        (lambda: lfp.Sum(WELL), TypeError, "terms must be a sequence"),
        (lambda: lfp.Sum([WELL, 3.0]), TypeError, r"terms\[1\] must be"),
        (lambda: lfp.Sum([WELL, BUMP], [1.0]), ValueError, "one for each of 2 terms"),
        (lambda: RAMP * (RAMP * WELL), ValueError, "two that change in time"),
        (lambda: lf.Schedule([0], [[1.0, 2.0]]) * WELL, ValueError, "one number at each time"),
        (
            lambda: RAMP * WELL + batch(BUMP),
            ValueError,
            r"terms\[1\] is Batch.* not compiled: .* cannot change in time",
        ),
        (lambda: lfp.Free(5000) + lfp.Free(5000), ValueError, "at most 4096"),
    ],
)
def test_what_is_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


# --- what changes -----------------------------------------------------------------------------------------------------

MOVING = lfp.Expression("0.5*k*(x - x0)**2", variables="x y", k=4.0, x0=RAMP)
DRIVEN = {
    "weight": SUM + RAMP * BUMP,
    "term": WELL - 0.5 * MOVING,
    "both": RAMP * MOVING + lfp.Harmonic([1.0, lf.Schedule([0.0, 0.3], [2.0, 1.0])(0.1)]) + 2.0 * (RAMP * TRAP),
    "multiple": 0.5 * MOVING,
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", TIMED)
@pytest.mark.parametrize("which", DRIVEN)
def test_one_run_has_the_bits_of_a_run_that_is_cut_at_every_step(which, scheme, precision):
    u, scheme = DRIVEN[which], TIMED[scheme](0.5)
    arguments = {"n_particles": 35, "seed": 4, "precision": precision}
    state, accepted = step_by_step(u, scheme, 20, **arguments)
    run = lf.Simulation(u, scheme, **arguments)
    for n in (1, 19):
        run.run(n)
    np.testing.assert_array_equal(run.positions, state.positions)
    np.testing.assert_array_equal(run.state.accepted, accepted)


def test_schedules_of_terms_and_weights():
    u = 2.0 * (SUM + RAMP * MOVING)
    assert u.schedules == {"3.weight": lf.Schedule([0.05, 0.25], [1.0, 4.0]), "3.x0": RAMP}
    assert u.weights[:3] == tuple(2.0 * w for w in SUM.weights)
    assert repr(u.terms[3]) == repr(MOVING)
    now = u.at(0.15)
    assert now.weights[3] == 2.5 and now.terms[3].x0 == RAMP(0.15)
    x = np.array([[0.3, -0.2]])
    np.testing.assert_array_equal(u.energy(x, time=0.15), now.energy(x))
    fixed = u.with_values({"3.weight": 1.0, "3.x0": -0.5})
    np.testing.assert_array_equal(fixed.parameters, (2.0 * SUM + BIAS).parameters)
    assert u.delayed(1.0).schedules["3.x0"] == RAMP.delayed(1.0)
    assert list((fixed + MOVING).schedules) == ["4.x0"]


def test_work_is_that_of_what_changes():
    work, energy, h, n = lf.observers.Work(), lf.observers.Work(), 1 / 64, 30
    u = WELL + RAMP * MOVING
    run = lf.sample(u, lf.ULA(h), n_steps=n, n_particles=6, seed=1, observers=[work])
    start = np.broadcast_to(WELL.default_start, (6, 2))
    x = np.concatenate([start[np.newaxis], run.positions])[:-1]
    steps = np.arange(n)
    expected = (u.energy(x, time=(steps + 1) * h) - u.energy(x, time=steps * h)).sum(axis=0)
    np.testing.assert_allclose(work.work, expected, rtol=1e-12, atol=1e-12)
    lf.sample(SUM, lf.ULA(h), n_steps=n, n_particles=6, seed=1, observers=[energy])
    assert (energy.work == 0.0).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "changes",
    [{"2.c": -0.5, "0.k": 2.0}, {"1.weight": -1.0}, {"1.weight": RAMP, "2.c": RAMP}, {"0.weight": 0.0, "1.width": 2}],
    ids=repr,
)
def test_updates_have_the_bits_of_a_new_simulation(changes, precision):
    for u in (SUM, SUM + RAMP * BUMP):
        run = lf.Simulation(u, lf.LeimkuhlerMatthews(1 / 64), n_particles=9, seed=3, precision=precision)
        run.run(7)
        expected = lf.Simulation(
            u.with_values(changes), run.scheme, initial=run.positions, first_step=7, seed=3, precision=precision
        )
        run.update(potential=changes)
        for simulation in (run, expected):
            simulation.run(20)
        np.testing.assert_array_equal(run.positions, expected.positions)
        np.testing.assert_array_equal(run.replay([4]).positions[-1, 0], run.positions[4])
        assert all(run.potential.schedules[k] == v if v is RAMP else getattr(run.potential, k) == v
                   for k, v in changes.items())  # fmt: skip


def test_update_of_a_sum_over_all_particles():
    a, b = (
        lf.Simulation(u, lf.ULA(0.01), n_particles=4, seed=1)
        for u in (SUM, lfp.Sum([batch(WELL), BUMP, TRAP], SUM.weights))
    )
    for run in (a, b):
        run.run(5)
        run.update(potential={"2.c": 3.0, "0.weight": 0.5})
        run.run(5)
    np.testing.assert_array_equal(a.positions, b.positions)


def test_updates_that_are_refused():
    run = lf.Simulation(SUM, lf.ULA(0.01), seed=1)
    for name in ("k", "0.c", "3.weight", "weights"):
        with pytest.raises(ValueError, match=rf"'{name}' is no argument of .*'0.weight', '0.k', '1.weight', '1.width'"):
            run.update(potential={name: 1.0})
    with pytest.raises(TypeError, match="weights"):
        run.update(potential={"0.weight": "much"})


# --- domains ----------------------------------------------------------------------------------------------------------

LOG = lfp.Expression("-log(x)", variables="x y", start=[1.0, 0.0])


def test_leaving_the_domain_of_a_term():
    u = lfp.Harmonic([0.0, 1.0]) + LOG
    run = lf.Simulation(u, lf.ULA(0.5), initial=[0.5, 0.0], n_particles=20, seed=1, on_divergence="freeze")
    run.run(20)
    assert (run.diverged >= 0).any()
    run = lf.sample(u, lf.MALA(0.5), initial=[0.5, 0.0], n_particles=20, n_steps=200, seed=1)
    assert (run.positions[..., 0] > 0.0).all()
    assert (run.acceptance_rate < 1.0).all()


def test_infinite_energies_of_both_signs():
    u = LOG - LOG
    with np.errstate(all="ignore"):
        assert np.isnan(u.energy([0.0, 0.0])) and u.energy([2.0, 0.0]) == 0.0


def test_explanations():
    assert '"numba"' in lf.explain_backend(SUM).splitlines()[0]
    text = lf.explain_backend(batch(WELL) + BUMP)
    assert '"numba" (' in text and "not for a Sum with Batch" in text


# --- the law ----------------------------------------------------------------------------------------------------------


def test_umbrella_sampling_against_quadrature():
    """Windows along a double well: means, and ratios of partition functions, within 4.5 sigma."""
    n, kT, k = 20_000, 0.4, 8.0
    wall, grid = lfp.DoubleWell(barrier=2.0), np.linspace(-4.0, 4.0, 40_001)
    bias = lfp.Expression("0.5*k*(x - x0)**2", variables="x", k=k, x0=0.0)
    centers = np.linspace(-1.25, 1.25, 6)
    windows = [wall + bias.replace(x0=center) for center in centers]
    densities = [np.exp(-window.energy(grid[:, np.newaxis]) / kT) for window in windows]
    for i, (center, window) in enumerate(zip(centers, windows, strict=True)):
        assert window.functions is windows[0].functions
        run = lf.sample(
            window, lf.MALA(0.02, kT=kT), initial=[center], n_particles=n, n_steps=400, stride=None, seed=10 + i
        )
        x = run.final.positions
        others = [j for j in (i - 1, i + 1) if 0 <= j < len(windows)]
        observed = [(x[:, 0], grid), (x[:, 0] ** 2, grid**2)]
        for j in others:
            ratios = (np.exp((window.energy(z) - windows[j].energy(z)) / kT) for z in (x, grid[:, np.newaxis]))
            observed.append(tuple(ratios))
        for values, function in observed:
            exact = (function * densities[i]).sum() / densities[i].sum()
            assert abs(values.mean() - exact) < 4.5 * values.std() / np.sqrt(n)
