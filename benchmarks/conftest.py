"""Benchmarks: one BLAS thread, and a table at the end."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import math

import pytest
import timing
from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = 9
SECONDS = 0.06  # of each side, per round
LEAST_STEPS = 100  # of ours: a call costs something too

_results = pytest.StashKey[list]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_results] = []


def pytest_xdist_auto_num_workers() -> int:
    """One process: two would disturb each other."""
    return 0


@pytest.fixture
def compare(request: pytest.FixtureRequest, benchmark: BenchmarkFixture):
    """compare(ours, theirs, numbers, group): time both in turn; one step of either moves `numbers` numbers."""

    def run(ours: timing.Work, theirs: timing.Work, numbers: int, group: str) -> None:
        our_steps = max(timing.steps_for(ours, SECONDS), LEAST_STEPS)
        their_steps = timing.steps_for(theirs, SECONDS)
        their_best = math.inf

        def before_each_round() -> None:
            nonlocal their_best
            their_best = min(their_best, timing.seconds(theirs, their_steps))

        benchmark.group = group
        benchmark.pedantic(ours, args=(our_steps,), setup=before_each_round, rounds=ROUNDS)
        if benchmark.stats is None:  # --benchmark-disable
            return
        our_ns = benchmark.stats.stats.min / our_steps / numbers * 1e9
        their_ns = their_best / their_steps / numbers * 1e9
        benchmark.extra_info.update(
            ns_per_particle_step_and_dim=our_ns,
            numpy_ns_per_particle_step_and_dim=their_ns,
            numpy_over_ours=their_ns / our_ns,
        )
        name = request.node.name.removeprefix("test_")
        request.config.stash[_results].append((group, name, our_ns, their_ns))

    return run


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    results = config.stash[_results]
    if not results:
        return
    terminalreporter.section("nanoseconds per particle-step and dimension")
    width = max(len(name) for _, name, _, _ in results)
    terminalreporter.write_line(f"{'':{width}}  {'ours':>9}  {'NumPy':>9}  NumPy / ours")
    group_before = None
    for group, name, our_ns, their_ns in results:
        if group != group_before:
            terminalreporter.write_line(f"-- {group}")
            group_before = group
        terminalreporter.write_line(f"{name:{width}}  {our_ns:9.3g}  {their_ns:9.3g}  {their_ns / our_ns:12.2f}")
