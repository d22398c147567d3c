"""Conditions that are intervals: read without a compiled function, and waited for where the state is in registers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import langevin_fast as lf
from langevin_fast import observers as obs
from langevin_fast.observers.intervals import interval

WELL = lf.potentials.DoubleWell(1.0)
SCHEMES = [lf.ULA(0.02), lf.MALA(0.2), lf.BAOAB(0.2, friction=1.0), lf.LeimkuhlerMatthews(0.02)]


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("x > 0.5", [0.75, np.nextafter(0.5, 1)], [0.5, -1.0, np.nan]),
        ("(x) > 0.5", [0.75], [0.5]),
        (" x[ 0 ]>=5e-1 ", [0.5, 0.75], [np.nextafter(0.5, 0), np.nan]),
        ("x < -.5", [-0.75], [-0.5, 0.0]),
        ("q <= +0.5", [0.5, -9.0], [np.nextafter(0.5, 1)]),
        ("0 < x <= 1", [1.0, 0.5], [0.0, np.nextafter(1.0, 2)]),
        ("0.0 <= x < 1.", [0.0, 0.5], [1.0, np.nextafter(0.0, -1)]),
    ],
)
def test_formulas(text: str, inside: list[float], outside: list[float]):
    source = interval(text, {"x": 0, "x[0]": 0, "q": 0}, 1, np.float64)
    assert source is not None and source.quantity == "interval"
    ((lo, hi),) = source.weight
    assert all(lo < x < hi for x in inside)
    assert not any(lo < x < hi for x in outside)


@pytest.mark.parametrize(
    "text", ["x > y", "v > 1", "x > 1 and x < 2", "1 > x > 0", "2*x > 1", "x > 1/2", "energy > 1", "x"]
)
def test_other_formulas_are_compiled(text: str):
    assert interval(text, {"x": 0}, 1, np.float64) is None


def test_numbers_are_those_of_the_precision():
    ((lo, _),) = interval("x > 0.1", {"x": 0}, 1, np.float32).weight
    assert lo == float(np.float32(0.1))
    ((lo, _),) = interval("x >= 0.1", {"x": 0}, 1, np.float32).weight
    assert np.nextafter(np.float32(lo), np.float32(1)) == np.float32(0.1)


@pytest.mark.parametrize(
    ("region", "component", "ends"),
    [
        (lf.regions.Box([None, 1.0], [None, 2.0]), 1, (np.nextafter(1.0, 0), np.nextafter(2.0, 3))),
        (lf.regions.Half([0.0, 1.0], 0.5), 1, (np.nextafter(0.5, 0), np.inf)),
        (lf.regions.Half([-1.0, 0.0], 0.5), 0, (-np.inf, np.nextafter(-0.5, 0))),
    ],
)
def test_regions(region: Any, component: int, ends: tuple[float, float]):
    source = interval(region, {}, 2, np.float64)
    assert source is not None and source.component == component
    assert tuple(source.weight[0]) == ends


@pytest.mark.parametrize(
    "region",
    [
        lf.regions.Box([0, 0], [1, 1]),
        lf.regions.Box(0.5, None),
        lf.regions.Half([1.0, 1.0], 0.0),
        lf.regions.Half([2.0, 0.0], 1.0),
    ],
)
def test_other_regions_are_compiled(region: Any):
    assert interval(region, {}, 2, np.float64) is None


def compiled(text: str) -> str:
    """The same condition in a form that is no interval."""
    return f"{text} and 1 > 0"


CONDITIONS = ["x > 0.9", "x < 0.75", "0.05 < x < 0.1", ["x < -1.2", "x > 0.5"], ["0 < x < 0.02", "x >= 1", "x < -1.4"]]


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
@pytest.mark.parametrize("mode", ["continue", "stop", "restart", "trigger"])
@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.letters)
def test_the_bits_are_those_of_compiled_conditions(
    scheme: lf.Scheme, mode: str, condition: Any, precision: str, monkeypatch: pytest.MonkeyPatch
):
    def run(given: Any, parts: list[int]) -> lf.Simulation:
        if mode == "trigger":
            given = given if isinstance(given, str) else given[0]
            who: Any = obs.Trigger(given, start=3)
        else:
            who = obs.FirstPassage(given, on_arrival=mode)
        others = [obs.Moments(every=7), obs.FirstPassage("x > 5"), obs.Trigger("x > 0.3", every=3)]
        # not in any of them, so that "restart" is allowed
        start = (
            np.linspace(-0.9, -0.1, 77) if condition != "x < 0.75" or mode == "trigger" else np.linspace(0.8, 1.2, 77)
        )
        simulation = lf.Simulation(
            WELL,
            scheme,
            initial=start[:, np.newaxis],
            seed=4,
            precision=precision,
            on_divergence="freeze",
            observers=[who, *others],
        )
        for n in parts:
            simulation.run(n)
        return simulation

    other = compiled(condition) if isinstance(condition, str) else [compiled(one) for one in condition]
    whole = run(other, [200])
    assert (whole.observers[0].steps >= 0).any()
    for parts in ([200], [1, 2, 97, 100]):
        mine = run(condition, parts)
        assert mine.positions.tobytes() == whole.positions.tobytes()
        for one, theirs in zip(mine.state.observed, whole.state.observed, strict=True):
            assert [a.tobytes() for a in one.arrays] == [a.tobytes() for a in theirs.arrays]


def test_particles_that_are_thrown_out():
    """Not finite, and far on the way there: the others arrive as they would."""

    def run(condition: str) -> lf.Simulation:
        start = np.where(np.arange(100) % 7, -1.0, 30.0)[:, np.newaxis]
        simulation = lf.Simulation(
            WELL, lf.ULA(0.1), initial=start, seed=1, on_divergence="freeze", observers=[obs.FirstPassage(condition)]
        )
        simulation.run(300)
        return simulation

    mine, theirs = run("x > 0"), run(compiled("x > 0"))
    assert (mine.diverged >= 0).sum() > 15  # those that began far out, and others later
    assert mine.observers[0].steps.tolist() == theirs.observers[0].steps.tolist()
    assert mine.positions.tobytes() == theirs.positions.tobytes()


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("frozen", [0, 5, 40])
def test_frozen_particles_hide_nobody(frozen: int, precision: str):
    """They run on unseen, and become NaN chunks before the others arrive."""

    def run(condition: str) -> lf.Simulation:
        start = np.full((512, 1), -1.0)
        start[frozen::64] = -30.0
        simulation = lf.Simulation(
            lf.potentials.DoubleWell(2.0),
            lf.ULA(0.02),
            initial=start,
            seed=2,
            precision=precision,
            on_divergence="freeze",
            observers=[obs.FirstPassage(condition)],
        )
        simulation.run(20)
        assert (simulation.diverged >= 0).sum() == 8
        simulation.run(3000)
        return simulation

    mine, theirs = run("x > 0.9"), run(compiled("x > 0.9"))
    assert (theirs.observers[0].steps > 20).sum() > 200
    assert mine.observers[0].steps.tolist() == theirs.observers[0].steps.tolist()


@pytest.mark.parametrize("divergence", ["freeze", "raise"])
@pytest.mark.parametrize("mode", ["continue", "stop", "restart"])
@pytest.mark.parametrize("scheme", [lf.ULA(0.14), lf.BAOAB(0.55, friction=1.0, kT=2.0)], ids=["ULA", "BAOAB"])
def test_particles_that_run_away_once_they_have_arrived(scheme: lf.Scheme, mode: str, divergence: str):
    """So near the limit of stability that somebody always does, the stopped ones unseen."""

    def run(condition: str) -> Any:
        passage = obs.FirstPassage(condition, on_arrival=mode)
        simulation = lf.Simulation(
            WELL, scheme, initial=np.zeros((512, 1)), seed=1, on_divergence=divergence, observers=[passage]
        )
        try:
            for n in (700, 2300):
                simulation.run(n)
        except lf.DivergenceError as error:
            return error.step, error.particle, simulation.positions.tolist(), passage.steps.tolist()
        return simulation.positions.tolist(), passage.steps.tolist(), passage.arrivals.tolist()

    assert run("x > 2.2") == run(compiled("x > 2.2"))


def test_a_restarted_particle_that_diverges_is_where_it_was_put():
    """Whatever the chunks: the step after it was put back is its last."""
    h = 10.0
    k = lf.Schedule([0.0, 5 * h, 5.5 * h], [0.0, 0.0, 1e308])
    u = lf.potentials.Expression("k*x**2/2 - 0.01*x", variables="x", k=k)
    for parts in ([10], [6, 4], [3, 7], [1] * 10):
        passage = obs.FirstPassage("x > 0", on_arrival="restart")
        simulation = lf.Simulation(
            u, lf.ULA(h, kT=1e-12), initial=[-0.55], seed=1, on_divergence="freeze", observers=[passage]
        )
        for n in parts:
            simulation.run(n)
        assert simulation.positions.tolist() == [[-0.55]]
        assert simulation.diverged.tolist() == [7] and passage.steps.tolist() == [6]


def test_in_several_dimensions():
    trap = lf.potentials.Harmonic([1.0, 2.0, 3.0])

    def run(condition: Any) -> Any:
        passage = obs.FirstPassage(condition)
        lf.sample(
            trap, lf.BAOAB(0.2, friction=1.0), n_steps=100, n_particles=60, seed=1, observers=[passage], stride=None
        )
        return passage.steps.tolist()

    assert run(lf.regions.Box(0.1, None)) == run("x[0] >= 0.1 and x[1] >= 0.1 and x[2] >= 0.1")
    expected = run("x[1] > 0.5 and 1 > 0")
    assert expected == run("x[1] > 0.5") == run(lf.regions.Half([0, 1, 0], np.nextafter(0.5, 1)))
