"""What observers cost: ``PYTHONPATH=src python benchmarks/observers.py [--full] [--markdown FILE]`` (some minutes).

Each run with observers is timed in turn with the bare run, in one process and on one thread; a ratio is the median of
the ratios of such pairs.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import numpy as np
import workloads
from table import ns, processor
from timing import Work, seconds, steps_for
from workloads import CROWD, Case

import langevin_fast as lf
from langevin_fast import _core

WELL = Case(lf.potentials.DoubleWell(), 0.01)
DURATION = 0.2  # of a run, in seconds: two chunks or more
PAIRS = 11


class Cost(NamedTuple):
    """Least times per particle-step in seconds, the median of the ratios of pairs, and what is added for each look."""

    bare: float
    observed: float
    ratio: float
    per_look: float

    @classmethod
    def of(cls, times: list[tuple[float, float]], every: int) -> Cost:
        """From pairs of times per particle-step."""
        bare, observed = (min(t) for t in zip(*times, strict=True))
        ratio = statistics.median(b / a for a, b in times)
        return cls(bare, observed, ratio, (ratio - 1.0) * bare * every)

    def __str__(self) -> str:
        return f"{self.ratio:.2f} × ({ns(self.per_look)} ns)"


def cost(case: Case, scheme: str, watching: list[lf.observers.Observer], every: int = 1) -> Cost:
    """Of some observers of `case`; every: from one look to the next."""
    bare, observed = simulation(case, scheme, []), simulation(case, scheme, watching)
    n_bare = n_observed = steps_for(bare, DURATION)
    if (elapsed := seconds(observed, n_observed)) > 2 * DURATION:
        n_observed = max(1, round(n_observed * 2 * DURATION / elapsed))
    n = case.n_particles
    times = [
        (seconds(bare, n_bare) / (n_bare * n), seconds(observed, n_observed) / (n_observed * n)) for _ in range(PAIRS)
    ]
    return Cost.of(times, every)


def simulation(case: Case, scheme: str, watching: list[lf.observers.Observer]) -> Work:
    return lf.Simulation(
        case.potential,
        workloads.scheme(scheme, case.step_size, case.kT),
        n_particles=case.n_particles,
        seed=1,
        threads=1,
        observers=watching,
    ).run


# --- the two tables ---------------------------------------------------------------------------------------------------

EVERY = (1, 10)
SCHEMES = ("ULA", "BAOAB")


def kinds(every: int) -> dict[str, list[lf.observers.Observer]]:
    """New observers of each kind, by what they are called in the table."""
    o = lf.observers

    def three() -> list[lf.observers.Observer]:
        histogram = o.Histogram("x[0]", bins=100, range=(-2, 2), every=every)
        return [o.Moments(every), o.Expectation("x[0]**4", every), histogram]

    names = ("`Moments`", '`Expectation("x[0]**4")`', "`Histogram`")
    return {
        **{name: [one] for name, one in zip(names, three(), strict=True)},
        "these three": three(),
        '`Expectation("energy")`': [o.Expectation("energy", every)],
        '`Temperature("kinetic")`': [o.Temperature("kinetic", every)],
        '`Temperature("half-step")`': [o.Temperature("half-step", every)],
        '`Temperature("configurational")`': [o.Temperature("configurational", every)],
        "`MeanSquaredDisplacement`": [o.MeanSquaredDisplacement(every)],
        "`Autocorrelation`": [o.Autocorrelation("x[0]", every)],
        "`FirstPassage`, nobody arrives": [o.FirstPassage("x > 5", every)],
        "`FirstPassage`, half have arrived": [o.FirstPassage("x > 0", every)],
        "`Transitions`": [o.Transitions(["x < -0.8", "x > 0.8"], lag=100, every=every)],
    }


def looks() -> Iterator[list[str]]:
    """Observers of the double well."""
    yield ["observer", *(f"{scheme}, every={every}" for scheme in SCHEMES for every in EVERY)]
    for what in kinds(1):
        cells = [what]
        for scheme in SCHEMES:
            for every in EVERY:
                there = scheme != "ULA" or not ("kinetic" in what or "half-step" in what)
                cells.append(str(cost(WELL, scheme, kinds(every)[what], every)) if there else "")
        yield cells
    # the barrier rises all the time
    driven = Case(lf.potentials.DoubleWell(barrier=lf.Schedule([0.0, 1e6], [1.0, 100.0])), 0.01)
    works = [str(cost(driven, scheme, [lf.observers.Work()])) for scheme in SCHEMES]
    yield ["`Work`, in a driven run", works[0], "", works[1], ""]


def whole_runs(full: bool) -> Iterator[list[str]]:
    yield ["run", "bare", "observed", "ratio", ""]
    for run in (profile, passages):
        what, found, note = run(full)
        yield [what, f"{ns(found.bare)} ns", f"{ns(found.observed)} ns", f"{found.ratio:.2f} ×", note]


def profile(full: bool) -> tuple[str, Cost, str]:
    """A free-energy profile of Müller-Brown along x; it comes first, so that the peak of memory is its own."""
    n_particle_steps, pieces, every = 10**9 if full else 10**8, 20, 10
    case = Case(lf.potentials.MullerBrown(), 1e-4, 20.0)
    before = peak()
    histogram = lf.observers.Histogram("x[0]", bins=100, range=(-1.5, 1.2), every=every)
    bare, observed = simulation(case, "ULA", []), simulation(case, "ULA", [histogram])
    steps = n_particle_steps // CROWD // pieces
    bare(steps)
    n = steps * CROWD
    times = [(seconds(bare, steps) / n, seconds(observed, steps) / n) for _ in range(pieces)]
    n_looks = int(histogram.counts.sum()) + histogram.outside
    note = (
        f"{n * pieces:.0e} particle-steps in 2-D, {n_looks:.0e} looks; the process takes {peak():.0f} MB at most, "
        f"{before:.0f} MB of it before the run; frames of these looks would take {n_looks * 16 / 1e6:.0f} MB"
    )
    return f"`Histogram` of x of Müller–Brown, every={every}", Cost.of(times, every), note


def peak() -> float:
    """Of the memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def passages(full: bool) -> tuple[str, Cost, str]:
    """A crowd over a barrier of 5 kT, until 99.9 % have arrived: what it takes beside the steps that it needs."""
    n, piece = 100_000, 1000
    case = Case(lf.potentials.DoubleWell(barrier=5.0), 0.005, n_particles=n)
    passage = lf.observers.FirstPassage("x >= 0", on_arrival="stop")
    bare, observed = simulation(case, "ULA", []), simulation(case, "ULA", [passage])
    bare(100)
    step, total, n_steps = [], 0.0, 0
    while not n_steps or passage.arrived.mean() < 0.999:
        step.append(seconds(bare, 100) / (100 * n))
        total += seconds(observed, piece)
        n_steps += piece
    needed = int(np.where(passage.arrived, passage.steps, n_steps).sum())
    note = (
        f"{passage.arrived.sum()} of {n} arrive within {n_steps} steps: {needed:.2e} particle-steps of "
        f"{n * n_steps:.2e} are needed; {total:.3g} s in all"
    )
    plain = statistics.median(step)
    return (
        '`FirstPassage(on_arrival="stop")`, per step needed',
        Cost(plain, total / needed, total / needed / plain, 0),
        note,
    )


# --- printing ---------------------------------------------------------------------------------------------------------


def machine() -> list[str]:
    return [
        f"processor: {processor()}, {os.cpu_count()} cores; instruction set: {_core.isa()}",
        f"langevin_fast {lf.__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        "one thread, double precision; in the second table 10,000 particles in a 1-D double well; × is the time of the "
        "observed run over that of the bare one, ns what a look at a particle adds",
    ]


def table(rows: Iterator[list[str]]) -> Iterator[str]:
    for i, cells in enumerate(rows):
        yield f"| {' | '.join(cells)} |"
        if not i:
            yield f"|{' --- |' * len(cells)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="ten times as many steps of the profile")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    options = parser.parse_args()
    started = time.perf_counter()
    print(f"load average before this run: {os.getloadavg()[0]:.2g} (times suffer, ratios less)\n")
    lines = []
    heading = (f"- {line}" for line in machine())
    for line in itertools.chain(heading, [""], table(whole_runs(options.full)), [""], table(looks())):
        print(line, flush=True)
        lines.append(line)
    print(f"\n{time.perf_counter() - started:.0f} s")
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
