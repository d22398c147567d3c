"""Rates, probabilities and paths of rare events against exact values, brute force, and their own bits."""

import pickle

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast.rare.walkers import Noise, ratio
from langevin_fast.rare.weighted_ensemble import TOTAL, resampled

H = 0.001
A, B = -0.8, 0.8
WELL = lf.potentials.DoubleWell(barrier=6.0)
INTERFACES = (-0.5, -0.1)
# the border of a walk in steps is so much further away (Siegmund 1979)
LATE = 0.5826 * np.sqrt(2 * H)


def forward_flux(scheme=None, coordinate="x", **arguments):
    given = {"basin": A, "interfaces": INTERFACES, "target": B, "initial": [-1.0], "threads": 1, **arguments}
    return lf.rare.ForwardFlux(WELL, lf.ULA(H) if scheme is None else scheme, coordinate, **given)


def weighted_ensemble(scheme=None, coordinate="x", **arguments):
    given = {"bins": np.linspace(-0.9, 0.1, 11), "target": B, "initial": [-1.0], "threads": 1, **arguments}
    return lf.rare.WeightedEnsemble(WELL, lf.ULA(H) if scheme is None else scheme, coordinate, **given)


def mean_first_passage_time(start: float, goal: float) -> float:
    """The integral of exp(U(y)) from start to goal, of exp(-U(z)) up to y (kT = drag = 1)."""
    y = np.linspace(-3.0, goal, 40_001)
    u, dy = WELL.energy(y[:, np.newaxis]), y[1] - y[0]
    return (np.exp(u) * np.cumsum(np.exp(-u)) * (y > start)).sum() * dy**2


def committor(x: float, a: float, b: float) -> float:
    y = np.linspace(a, b, 40_001)
    weights = np.exp(WELL.energy(y[:, np.newaxis]))
    return weights[y <= x].sum() / weights.sum()


@pytest.fixture(scope="module")
def flux():
    return forward_flux().run([1500, 1000], n_walkers=100, n_crossings=10, seed=1)


@pytest.fixture(scope="module")
def ensemble():
    return weighted_ensemble().run(600, n_steps=10, n_per_bin=15, burn_in=100, seed=1)


# --- exact values -----------------------------------------------------------------------------------------------------


def test_the_rate_of_forward_flux_is_exact(flux):
    exact = 1 / mean_first_passage_time(A, B)
    assert flux.rate_error < 0.15 * exact
    assert abs(flux.rate - exact) < 3 * flux.rate_error
    assert flux.mean_first_passage_time == pytest.approx(1 / flux.rate)
    assert flux.rate == pytest.approx(flux.flux * flux.probabilities.prod())
    np.testing.assert_allclose(flux.committors, np.cumprod(flux.probabilities[::-1])[::-1])


def test_committors_of_forward_flux_are_exact(flux):
    exact = [committor(x + LATE, A - LATE, B + LATE) for x in INTERFACES]
    assert (flux.committor_errors < 0.1 * np.array(exact)).all()
    assert (abs(flux.committors - exact) < 3 * flux.committor_errors).all()


def test_the_rate_of_weighted_ensemble_is_exact(ensemble):
    exact = 1 / mean_first_passage_time(-1.0, B)
    assert ensemble.rate_error < 0.15 * exact
    assert abs(ensemble.rate - exact) < 3 * ensemble.rate_error
    assert ensemble.path_weights.sum() == pytest.approx(ensemble.arrived.sum(), rel=1e-12)


def test_error_of_a_ratio():
    rng = np.random.default_rng(1)
    times = rng.exponential(2.0, (4000, 200))
    counts = rng.poisson(3.0 * times)
    found = np.array([ratio(*pair) for pair in zip(counts, times, strict=True)])
    assert abs(found[:, 0].mean() - 3.0) < 0.01
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.05)
    assert np.isnan(ratio(np.zeros(3), np.ones(3))[1])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["forward flux", "weighted ensemble"])
def test_errors_are_what_differs_between_runs(method):
    """Means of 20 or 40 calculations within 4 of their standard errors; stated errors within a third of the spread."""
    if method == "forward flux":
        sampling, exact = forward_flux(), 1 / mean_first_passage_time(A, B)
        results = [sampling.run(1000, n_walkers=100, n_crossings=5, seed=seed) for seed in range(40)]
    else:
        sampling, exact = weighted_ensemble(), 1 / mean_first_passage_time(-1.0, B)
        results = [sampling.run(400, n_steps=10, n_per_bin=15, burn_in=100, seed=seed) for seed in range(20)]
    rates = np.array([result.rate for result in results])
    spread = rates.std(ddof=1)
    assert abs(rates.mean() - exact) < 4 * spread / np.sqrt(len(rates))
    stated = np.sqrt(np.mean([result.rate_error**2 for result in results]))
    assert 0.67 < stated / spread < 1.5


@pytest.mark.slow
def test_muller_brown_by_forward_flux():
    """With velocities, against runs from where the walkers entered A."""
    surface, scheme = lf.potentials.MullerBrown(), lf.BAOAB(0.004, friction=5.0, kT=15.0)
    sampling = lf.rare.ForwardFlux(
        surface,
        scheme,
        "x[0] - x[1]",
        basin=-1.9,
        interfaces=[-1.7, -1.55, -1.4, -0.5],
        target=0.3,
        initial=[-0.558, 1.442],
        threads=1,
    )
    results = [sampling.run(2000, n_walkers=400, seed=seed) for seed in range(20)]
    entries = results[0].stages[0]
    passage = lf.observers.FirstPassage("x[0] - x[1] >= 0.3", on_arrival="stop")
    simulation = lf.Simulation(
        surface, scheme, initial=entries.positions, velocities=entries.velocities, seed=99, observers=[passage]
    )
    simulation.run(300_000)
    assert passage.arrived.mean() > 0.99
    rates = np.array([result.rate for result in results])
    error = np.hypot(rates.std(ddof=1) / np.sqrt(len(rates)), passage.error / passage.mean**2)
    assert error < 0.03 / passage.mean
    assert abs(rates.mean() - 1 / passage.mean) < 3 * error


# --- weights ----------------------------------------------------------------------------------------------------------


def test_the_total_weight_is_conserved_exactly(ensemble):
    assert {sum(generation.weights.tolist()) for generation in ensemble.generations} == {TOTAL}
    assert min(generation.weights.min() for generation in ensemble.generations) >= 1
    assert ensemble.bin_weights.sum() == pytest.approx(1.0, rel=1e-12)


def test_resampling_conserves_the_weight_of_bins_and_its_mean():
    bins, progress = np.array([0, 1, 0, 1, 1, 2]), np.array([0.3, 1.2, 0.1, 1.7, 1.1, 2.0])
    weights = np.array([10**17, 3, 2**61 + 1, 5, 7, 2])
    counts, noise = np.zeros(6), Noise(3)
    for _ in range(2000):
        copied, new = resampled(bins, progress, weights, 4, noise)
        assert [new[bins[copied] == i].sum() for i in range(3)] == [weights[bins == i].sum() for i in range(3)]
        assert [(bins[copied] == i).sum() for i in range(3)] == [4, 4, 2]  # a unit cannot be split
        counts += np.bincount(copied, new / weights[copied], 6)
    np.testing.assert_allclose(counts / 2000, 1.0, atol=0.1)


def test_equal_weights_are_left_alone():
    copied, new = resampled(np.zeros(4, int), np.arange(4.0), np.full(4, TOTAL // 4), 4, Noise(1))
    assert copied.tolist() == [0, 1, 2, 3]
    assert new.tolist() == [TOTAL // 4] * 4


# --- bits -------------------------------------------------------------------------------------------------------------


def test_no_stream_is_used_twice(flux, ensemble):
    of_flux = np.concatenate([stage.streams for stage in flux.stages])
    of_ensemble = np.concatenate([generation.streams for generation in ensemble.generations])
    for streams in (of_flux, of_ensemble):
        assert len(np.unique(streams)) == len(streams)


def check_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for pair in zip(a, b, strict=True):
            check_equal(*pair)
    elif a is not None:
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("threads", [1, 3])
def test_results_are_a_function_of_the_seed(threads):
    arguments = {"n_trials": 300, "n_walkers": 20, "n_crossings": 5, "seed": 7}
    first, again = (forward_flux(threads=n).run(**arguments) for n in (1, threads))
    check_equal(first.stages, again.stages)
    assert (first.rate, first.rate_error) == (again.rate, again.rate_error)
    arguments = {"n_iterations": 30, "n_steps": 50, "n_per_bin": 10, "seed": 7}
    first, again = (weighted_ensemble(threads=n).run(**arguments) for n in (1, threads))
    check_equal(first.generations, again.generations)
    check_equal(first.arrived, again.arrived)
    other = weighted_ensemble().run(**{**arguments, "seed": 8})
    assert (first.generations[-1].weights != other.generations[-1].weights[: len(first.generations[-1].weights)]).any()


SCHEMES = {
    "ULA": (lf.ULA(H), None),
    "MALA": (lf.MALA(H), None),
    "BAOAB": (lf.BAOAB(0.02, friction=1.0), lf.Reflecting(-1.4, 1.4)),
    "OBABO": (lf.Splitting("OBABO", 0.02, friction=1.0), None),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_paths_of_forward_flux_rerun_to_their_bits(name):
    scheme, boundary = SCHEMES[name]
    result = forward_flux(scheme, boundary=boundary).run(200, n_walkers=20, n_crossings=5, burn_in=1, seed=3)
    result = pickle.loads(pickle.dumps(result))
    assert result.n_paths > 10
    for k in range(0, result.n_paths, result.n_paths // 4):
        path, runs = result.path(k), result.lineage(k)
        # from A, and back there no more; B at the end alone
        assert path.positions[0, 0] <= A and (path.positions[1:, 0] > A).all()
        assert path.positions[-1, 0] >= B and (path.positions[:-1, 0] < B).all()
        assert len(path.positions) == len(path.times) == len(path.steps) + 1 == len(path.streams) + 1
        # where each run began, the path was, to the bit; counted from its end
        ends = np.cumsum([stage.steps[i] for stage, i in runs[1:]][::-1])[::-1]
        for (stage, i), steps in zip(runs[1:], ends, strict=True):
            np.testing.assert_array_equal(path.positions[-1 - steps], stage.positions[i])
            if path.velocities is not None:
                np.testing.assert_array_equal(path.velocities[-1 - steps], stage.velocities[i])
            assert (path.streams[len(path.streams) - steps :][: stage.steps[i]] == stage.streams[i]).all()
    with pytest.raises(ValueError, match="k must be an integer from 0 to"):
        result.path(result.n_paths)


def test_a_path_is_that_of_the_noise(flux):
    """Euler and Maruyama once more, from the noise itself."""
    path = flux.path(5)
    x = path.positions[0]
    for i in range(len(path.steps)):
        xi = lf.noise(flux.seed, int(path.streams[i]), int(path.steps[i]), 1)
        x = x - H * WELL.gradient(x) + np.sqrt(2 * H) * xi
        np.testing.assert_allclose(path.positions[i + 1], x, rtol=0, atol=1e-12)
        x = path.positions[i + 1]


@pytest.mark.parametrize(("name", "precision"), [("ULA", "single"), ("BAOAB", "double"), ("OBABO", "single")])
def test_paths_of_weighted_ensemble_rerun_to_their_bits(name, precision):
    scheme, boundary = SCHEMES[name]
    n_steps = 100 if name == "ULA" else 20
    sampling = weighted_ensemble(scheme, precision=precision, boundary=boundary)
    result = pickle.loads(pickle.dumps(sampling.run(60, n_steps=n_steps, n_per_bin=10, seed=3)))
    assert result.n_paths > 3
    for k in range(0, result.n_paths, -(-result.n_paths // 4)):
        path, lineage = result.path(k), result.lineage(k)
        (first, _), (last, walker) = lineage[0], lineage[-1]
        generation = result.generations[last]
        steps = generation.steps[generation.arrivals == walker][0]
        assert len(path.steps) == (last - first) * n_steps + steps
        assert path.positions[0, 0] == -1.0
        assert path.positions[-1, 0] >= B and (path.positions[:-1, 0] < B).all()


# --- functions, several starts ----------------------------------------------------------------------------------------


def test_a_function_is_a_coordinate_too():
    def forward(x):
        return x[0]

    def energetic(x, v, energy):
        return x[0] + 0.0 * (v[0] + energy)

    arguments = {"n_trials": 100, "n_walkers": 10, "n_crossings": 2, "seed": 7}
    expected, found = (forward_flux(None, q, interfaces=[-0.1]).run(**arguments) for q in ("x", forward))
    check_equal(found.stages, expected.stages)
    arguments, scheme = {"n_steps": 50, "n_per_bin": 10, "seed": 7}, lf.BAOAB(0.02, friction=1.0)
    expected, found = (weighted_ensemble(scheme, q).run(20, **arguments) for q in ("x", energetic))
    check_equal(found.generations, expected.generations)


def test_several_points_of_a_source():
    result = weighted_ensemble(initial=[[-1.0], [-0.95]]).run(20, n_steps=50, n_per_bin=50, seed=1)
    first = result.generations[0]
    assert set(first.sources.tolist()) == {0, 1}
    result = forward_flux(initial=[[-1.0], [-0.95]]).run(100, n_walkers=4, n_crossings=1, burn_in=0, seed=1)
    assert result.stages[0].positions[:, 0].tolist() == [-1.0, -0.95, -1.0, -0.95]


# --- what is not allowed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [forward_flux, weighted_ensemble])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"coordinate": "v"}, "coordinate='v' reads velocities"),
        ({"coordinate": ["x", "x"]}, "must be one number"),
        ({"coordinate": 3}, "coordinate must be a formula or a function"),
        ({"scheme": lf.LeimkuhlerMatthews(H)}, "shares noise between steps"),
        ({"scheme": lf.ULA(H, kT=lf.Schedule([0, 1], [1, 2]))}, "a schedule drives"),
        ({"scheme": lf.ULA([H, H])}, "must be the same for all walkers"),
        ({"target": -2.0}, "target=-2.0 must be above"),
        ({"target": "x"}, "target must be a finite number"),
        ({"initial": [1.0]}, "initial: .* is (not in A|in B)"),
        ({"steps": 3}, "has no argument 'steps'"),
    ],
)
def test_arguments_that_are_not_allowed(make, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make(**arguments)


def test_more_arguments_that_are_not_allowed():
    with pytest.raises(ValueError, match=r"interfaces=.* must ascend"):
        forward_flux(interfaces=[0.1, 0.1])
    with pytest.raises(ValueError, match=r"basin=-0\.2 must be below interfaces"):
        forward_flux(basin=-0.2)
    with pytest.raises(ValueError, match=r"bins=.* must ascend"):
        weighted_ensemble(bins=[0.1, 0.0])
    flux, ensemble = forward_flux(), weighted_ensemble()
    for sampling, arguments, message in (
        (flux, {"n_trials": [1, 2, 3]}, "n_trials must be one number or 2"),
        (flux, {"n_trials": 0}, "n_trials must be an integer >= 1"),
        (flux, {"n_trials": 2.5}, "n_trials must be an integer >= 1"),
        (flux, {"n_trials": 1, "n_walkers": 1}, "n_walkers must be an integer >= 2"),
        (ensemble, {"n_iterations": 19, "n_steps": 1, "n_per_bin": 1}, "n_iterations must be an integer >= 20"),
        (ensemble, {"n_iterations": 20, "n_steps": 1, "n_per_bin": 1, "seed": -1}, "seed must be an integer"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            sampling.run(**arguments)


def test_what_does_not_arrive_is_said():
    with pytest.warns(UserWarning, match="none of 2 trials from interface 0 arrived"):
        result = forward_flux().run(2, n_walkers=2, n_crossings=1, burn_in=0, seed=1)
    assert result.rate == 0.0 and np.isnan(result.rate_error) and result.n_paths == 0
    assert result.probabilities[0] == 0.0 and np.isnan(result.probabilities[1])
    with pytest.raises(RuntimeError, match="has not arrived after max_steps=10"):
        forward_flux().run(5, max_steps=10, seed=1)
    with pytest.warns(UserWarning, match="no walker arrived in B"):
        result = weighted_ensemble().run(20, n_steps=1, n_per_bin=3, seed=1)
    assert result.rate == 0.0 and np.isnan(result.rate_error) and result.n_paths == 0


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


class Interrupting:
    """Has the so-manieth run of a simulation make a third of its steps, and then be interrupted."""

    def __init__(self, monkeypatch):
        self.calls, self.at = 0, None
        run = lf.Simulation.run

        def interrupted(simulation, n_steps, **arguments):
            self.calls += 1
            if self.calls == self.at:
                run(simulation, n_steps // 3, **arguments)
                raise KeyboardInterrupt
            run(simulation, n_steps, **arguments)

        monkeypatch.setattr(lf.Simulation, "run", interrupted)

    def after(self, calls):
        self.calls, self.at = 0, calls + 1


@pytest.mark.parametrize("scheme", [lf.ULA(H), lf.BAOAB(0.02, friction=1.0)], ids=["ULA", "BAOAB"])
def test_interrupted_forward_flux_goes_on(monkeypatch, scheme):
    arguments = {"n_trials": [300, 200], "n_walkers": 5, "n_crossings": 2, "burn_in": 1}
    interrupting = Interrupting(monkeypatch)
    expected = forward_flux(scheme).run(**arguments, seed=7)
    total = interrupting.calls
    seen = set()
    for calls in range(total):
        sampling = forward_flux(scheme)
        interrupting.after(calls)
        with pytest.raises(lf.Interrupted) as caught:
            sampling.run(**arguments, seed=7)
        done = pickle.loads(pickle.dumps(caught.value)).result
        seen.add(0 if done is None else len(done.stages))
        if done is not None:
            check_equal(done.stages, expected.stages[: len(done.stages)])
            assert done.flux == expected.flux and np.isnan(done.rate) and done.n_paths == 0
            assert "result holds" in str(caught.value)
        made = interrupting.calls
        found = sampling.run(**arguments, seed=7)
        check_equal(found.stages, expected.stages)
        assert (found.rate, found.rate_error, found.n_steps) == (expected.rate, expected.rate_error, expected.n_steps)
        assert interrupting.calls - made <= total - calls + 1  # what was complete was not made again
    assert seen == {0, 1, 2}


def test_interrupted_weighted_ensembles_go_on(monkeypatch):
    arguments = {"n_iterations": 40, "n_steps": 50, "n_per_bin": 8, "burn_in": 5}
    interrupting = Interrupting(monkeypatch)
    expected = weighted_ensemble().run(**arguments, seed=7)
    total = interrupting.calls
    for calls in (0, 3, 24, 25, 40, 44):
        sampling = weighted_ensemble()
        interrupting.after(calls)
        with pytest.raises(lf.Interrupted) as caught:
            sampling.run(**arguments, seed=7)
        done = caught.value.result
        assert (done is None) == (calls < 25)
        if done is not None:
            check_equal(done.generations, expected.generations[:calls])
            check_equal(done.arrived, expected.arrived[:calls])
        made = interrupting.calls
        found = sampling.run(**arguments, seed=7)
        check_equal(found.generations, expected.generations)
        assert (found.rate, found.rate_error, found.n_steps) == (expected.rate, expected.rate_error, expected.n_steps)
        assert interrupting.calls - made == total - calls


def test_only_the_same_call_goes_on(monkeypatch):
    interrupting = Interrupting(monkeypatch)
    near = {"interfaces": [-0.6], "target": -0.4}  # where some always arrive
    sampling, arguments = forward_flux(**near), {"n_trials": 300, "n_walkers": 5, "n_crossings": 2, "burn_in": 1}
    interrupting.after(4)
    with pytest.raises(lf.Interrupted):
        sampling.run(**arguments)
    first = sampling.run(**{**arguments, "seed": 7})  # another: begins anew
    check_equal(first.stages, forward_flux(**near).run(**arguments, seed=7).stages)
    run = lf.Simulation.run
    with monkeypatch.context() as patch:

        def interrupted(simulation, n_steps, **arguments):
            if simulation.n_particles == 300:  # the trials
                raise KeyboardInterrupt
            run(simulation, n_steps, **arguments)

        patch.setattr(lf.Simulation, "run", interrupted)
        with pytest.raises(lf.Interrupted) as caught:
            sampling.run(**arguments)
    found = sampling.run(**arguments)
    assert caught.value.result.seed == found.seed != 7  # the one that was drawn
    assert sampling.run(**arguments).seed != found.seed
