"""The tables of docs/performance.md: ``python benchmarks/table.py [--markdown performance-table]``.

Each row is a ratio of two times that were taken in turn in this process, each the least of several.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import numpy as np
import user_potentials
import workloads
from timing import Work, seconds_per_step
from workloads import CROWD, Case

import langevin_fast as lf
from langevin_fast import _core

PRECISIONS = ("double", "single")
WELL = Case(lf.potentials.DoubleWell(), 0.01)


class Row(NamedTuple):
    """One figure. `ratio` is to be at most (sign -1) or at least (sign +1) `target`; without a target it informs."""

    what: str
    ratio: float
    unit: str
    sign: int = 0
    target: float = 0.0
    times: str = ""

    def cells(self) -> tuple[str, str, str, str, str]:
        shown = f"{self.ratio:.3g} {self.unit}".strip()
        if not self.sign:
            return self.what, shown, "", "", self.times
        reached = self.sign * self.ratio >= self.sign * self.target
        target = f"{'>=' if self.sign > 0 else '<='} {self.target:g}"
        return self.what, shown, target, "yes" if reached else "NO", self.times


def at_least(what: str, ratio: float, target: float, times: str, unit: str = "x") -> Row:
    return Row(what, ratio, unit, 1, target, times)


def at_most(what: str, ratio: float, target: float, times: str, unit: str = "x") -> Row:
    return Row(what, ratio, unit, -1, target, times)


def ns(seconds: float, numbers: int = 1) -> str:
    return f"{seconds / numbers * 1e9:.3g}"


def pair(ours: float, theirs: float, numbers: int) -> str:
    return f"{ns(ours, numbers)} / {ns(theirs, numbers)} ns"


# --- the rows ---------------------------------------------------------------------------------------------------------


def normals_and_schemes() -> Iterator[Row]:
    """Raw normals against NumPy's, the schemes against the raw normals, ULA against the NumPy loop."""
    for precision in PRECISIONS:
        works = {
            "crowd": workloads.normals_crowd(precision),
            "along time": workloads.normals_along_time(precision),
            "SFC64": workloads.normals_numpy(precision),
            "ULA": workloads.ours(WELL, "ULA", precision),
            "LeimkuhlerMatthews": workloads.ours(WELL, "LeimkuhlerMatthews", precision),
            "BAOAB": workloads.ours(WELL, "BAOAB", precision),
            "loop": workloads.theirs(WELL, "ULA", precision),
        }
        t = seconds_per_step(works)
        best = 7 if precision == "double" else 15
        for way in ("crowd", "along time"):
            what = f"raw normals, {precision}, {way}: SFC64 standard_normal / ours"
            yield at_least(what, t["SFC64"] / t[way], best, pair(t[way], t["SFC64"], CROWD))
        for scheme, limit in (("ULA", 1.2), ("LeimkuhlerMatthews", 1.2), ("BAOAB", 1.3)):
            what = f"{scheme} step, 1-D double well, {precision} / its raw normals (crowd)"
            yield at_most(what, t[scheme] / t["crowd"], limit, pair(t[scheme], t["crowd"], CROWD))
        what = f"ULA, 1-D double well, {precision}: NumPy loop / ours"
        yield at_least(what, t["loop"] / t["ULA"], 7 if precision == "double" else 14, pair(t["ULA"], t["loop"], CROWD))


def mala() -> Iterator[Row]:
    for precision in PRECISIONS:
        case = Case(lf.potentials.Harmonic(np.ones(100)), 0.1, n_particles=1024)
        t = seconds_per_step(
            {"MALA": workloads.ours(case, "MALA", precision), "normals": workloads.normals_crowd(precision)}
        )
        step, normal = t["MALA"] / (1024 * 100), t["normals"] / CROWD
        what = f"MALA, 100-dimensional standard Gaussian, {precision} / its raw normals (crowd)"
        yield at_most(what, step / normal, 1.8, pair(step, normal, 1))


def exponentials() -> Iterator[Row]:
    potentials = workloads.potential_cases()
    for kind, words in (("MullerBrown", "Müller-Brown"), ("GaussianMixture", "25-component 2-D mixture")):
        for precision in PRECISIONS:
            case = potentials[kind]
            works = {
                "ours": workloads.ours(case, precision=precision),
                "loop": workloads.theirs(case, precision=precision),
            }
            if kind == "GaussianMixture":
                works["differences"] = workloads.mixture_by_differences(case, precision)
            t = seconds_per_step(works)
            what = f"{words}, ULA, {precision}"
            times = pair(t["ours"], t["loop"], 2 * CROWD)
            yield at_least(f"{what}: NumPy loop / ours", t["loop"] / t["ours"], 5, times)
            if "differences" in t:
                ratio, times = t["differences"] / t["ours"], pair(t["ours"], t["differences"], 2 * CROWD)
                yield Row(f"{what}: NumPy loop without BLAS / ours", ratio, "x", times=times)


def single_trajectory() -> Iterator[Row]:
    for precision in PRECISIONS:
        works = {
            "one": workloads.ours(WELL._replace(n_particles=1), "ULA", precision),
            "loop": workloads.theirs(WELL, "ULA", precision),
        }
        t = seconds_per_step(works)
        ours, theirs = t["one"], t["loop"] / CROWD
        what = f"one trajectory, 1-D double well, {precision}: a step / a particle-step of the NumPy loop over {CROWD}"
        yield at_most(what, ours / theirs, 1, pair(ours, theirs, 1))


def levels() -> Iterator[Row]:
    names = workloads.levels()
    for precision in PRECISIONS:
        work = workloads.ours(WELL, "ULA", precision)
        works: dict[str, Work] = {name: workloads.at_level(name, work) for name in names}
        works["loop"] = workloads.theirs(WELL, "ULA", precision)
        t = seconds_per_step(works)
        what = f"ULA, 1-D double well, {precision}"
        if "avx2" in t and "avx512" in t:
            yield at_most(f"{what}: AVX2 / AVX-512", t["avx2"] / t["avx512"], 2.8, pair(t["avx2"], t["avx512"], CROWD))
        plain = t["baseline"] if "baseline" in t else t[names[0]]
        yield at_least(f"{what}: NumPy loop / {names[0]} level", t["loop"] / plain, 1, pair(plain, t["loop"], CROWD))


def threads() -> Iterator[Row]:
    if _core.default_threads() < 2:
        return
    n = 100_000
    case = WELL._replace(n_particles=n)
    t = seconds_per_step({k: workloads.ours(case, threads=k) for k in (1, 2)}, duration=0.1, least_steps=100)
    times = f"{ns(t[1], n)} / {ns(t[2], n)} ns"
    yield at_least("ULA, 1-D double well, double, 100000 particles: one thread / two threads", t[1] / t[2], 1.85, times)


def flatness() -> Iterator[Row]:
    counts = [10**k for k in range(3, 7)]
    works = {n: workloads.ours(WELL._replace(n_particles=n)) for n in counts}
    t = seconds_per_step(works, repeats=9, least_steps=150)
    yield _flat("ULA, 1-D double well: slowest / fastest over 1e3 ... 1e6 particles", {n: t[n] / n for n in counts})
    dims = [1, 2, 10, 100, 1000]
    n = 1024
    works = {
        dim: workloads.ours(Case(lf.potentials.Harmonic(np.linspace(0.5, 2.0, dim)), 0.01, n_particles=n))
        for dim in dims
    }
    t = seconds_per_step(works, repeats=9, least_steps=100)
    what = f"ULA, diagonal Harmonic, {n} particles: slowest / fastest over dim 1 ... 1000"
    yield _flat(what, {dim: t[dim] / (n * dim) for dim in dims})


def _flat(what: str, per_number: dict[int, float]) -> Row:
    times = ", ".join(f"{size:g}: {ns(t)}" for size, t in per_number.items()) + " ns"
    return at_most(what, max(per_number.values()) / min(per_number.values()), 1.2, times)


IMPORT = """
import json, sys, time
start = time.perf_counter(); import numpy; middle = time.perf_counter(); import langevin_fast
end = time.perf_counter()
heavy = [name for name in ("numba", "scipy", "xarray", "matplotlib") if name in sys.modules]
print(json.dumps([end - start, middle - start, heavy]))
"""


def import_time() -> Iterator[Row]:
    runs = []
    for _ in range(9):
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout))
    total, numpy_alone, heavy = min(runs)
    what = "import langevin_fast, with NumPy, in a fresh interpreter"
    yield at_most(what, total, 0.25, f"NumPy alone {numpy_alone:.3g} s", "s")
    yield at_most("Numba, SciPy, xarray, Matplotlib imported by it", len(heavy), 0, ", ".join(heavy) or "none", "")


def few_chains() -> Iterator[Row]:
    """4 chains must not pay for 64: per chain they would then cost 16 times as much."""
    for precision in PRECISIONS:
        case = Case(workloads.logistic_regression(), 1e-3)
        works = {n: workloads.ours(case._replace(n_particles=n), "MALA", precision) for n in (4, 64)}
        works |= {-n: workloads.theirs(case._replace(n_particles=n), "MALA", precision) for n in (4, 64)}
        t = seconds_per_step(works, repeats=9)
        micro = {n: t[n] / abs(n) * 1e6 for n in works}
        what = f"MALA, logistic regression 1000 x 25, {precision}"
        times = f"{micro[4]:.3g} / {micro[64]:.3g} us"
        yield Row(f"{what}: a chain of 4 / a chain of 64 (16: 4 pay for 64)", micro[4] / micro[64], "x", times=times)
        for n in (4, 64):
            times = f"{micro[n]:.3g} / {micro[-n]:.3g} us"
            yield Row(f"{what}, {n} chains: NumPy loop (BLAS) / ours", micro[-n] / micro[n], "x", times=times)


def potentials_of_the_user() -> Iterator[Row]:
    """Custom and Expression against the built-in potentials."""
    p, written = lf.potentials, user_potentials
    chain = p.HybridRosenbrock(10, 1, a=1.0, b=100.0, mu=1.0)
    cases = (
        ("Custom, 1-D double well", written.custom_double_well(), WELL, 1.15),
        ("Expression, 1-D double well", written.expression_double_well(), WELL, 1.15),
        ("Expression, Müller-Brown", written.expression_muller_brown(), Case(p.MullerBrown(), 1e-5, 15.0), 1.4),
        ("Custom, 2-D Rosenbrock", written.custom_rosenbrock(2), Case(p.Rosenbrock(), 1e-5), 1.5),
        ("Custom, 10-D Rosenbrock", written.custom_rosenbrock(10), Case(chain, 1e-5), 1.5),
    )
    for precision in PRECISIONS:
        for what, potential, builtin, target in cases:
            for scheme in ("ULA", "BAOAB"):
                works = {
                    "user's": workloads.ours(builtin._replace(potential=potential), scheme, precision),
                    "built-in": workloads.ours(builtin, scheme, precision),
                }
                t = seconds_per_step(works)
                times = pair(t["user's"], t["built-in"], CROWD * potential.dim)
                what_exactly = f"{what}, {scheme}, {precision} / the built-in one"
                yield at_most(what_exactly, t["user's"] / t["built-in"], target, times)


def sums() -> Iterator[Row]:
    """A bias as a term, beside the same in one formula, and what the bias costs."""
    case = Case(lf.potentials.MullerBrown(), 1e-5, 15.0)
    potentials = {"built-in": case.potential, **user_potentials.biased_muller_brown()}
    for precision in PRECISIONS:
        for scheme in ("ULA", "BAOAB"):
            works = {
                name: workloads.ours(case._replace(potential=potential), scheme, precision)
                for name, potential in potentials.items()
            }
            t = seconds_per_step(works)
            for other, words, target in (("formula", "one Expression of both", 1.2), ("built-in", "without bias", 1.5)):
                what = f"MullerBrown() + Expression(bias), {scheme}, {precision} / {words}"
                yield at_most(what, t["sum"] / t[other], target, pair(t["sum"], t[other], 2 * CROWD))


def numba_loops() -> Iterator[Row]:
    """What people write today."""
    case = Case(user_potentials.custom_double_well(), 0.01)
    t = seconds_per_step({"ours": workloads.ours(case), **user_potentials.numba_loops(CROWD, 0.01)}, repeats=15)
    for loop, target in (("np.random", 15), ("Generator", 4)):
        what = f"ULA, 1-D double well, double: Numba loop with {loop} / Custom"
        yield at_least(what, t[loop] / t["ours"], target, pair(t["ours"], t[loop], CROWD))


def compilation() -> Iterator[Row]:
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", user_potentials.COMPILE], capture_output=True, text=True, check=True
        )
        runs.append(json.loads(done.stdout))
    first, second, changed = (min(times) for times in zip(*runs, strict=True))
    yield at_most(
        "first Expression: construction and first step, imports of SymPy and Numba included", first, 6, "", "s"
    )
    yield at_most("a second Expression of the same dimension", second, 4, "", "s")
    yield Row("the first one with another parameter: a whole lf.sample of one step", changed * 1e3, "ms")


def batch() -> Iterator[Row]:
    """What the coupled loop costs beyond a callable that costs nothing."""
    n = CROWD
    for dim in (1, 10):
        for precision in PRECISIONS:
            dtype = workloads.DTYPES[precision]
            zero = np.zeros((n, dim), dtype)
            potential = lf.potentials.Batch(
                gradient=lambda x, g=zero: g, energy=lambda x, g=zero: g[:, 0].copy(), dim=dim
            )
            for scheme in ("ULA", "BAOAB", "MALA"):
                work = workloads.ours(Case(potential, 0.01), scheme, precision)
                t = seconds_per_step({"": work}, repeats=15)[""] / (n * dim) * 1e9
                yield at_most(
                    f"Batch, {scheme}, {dim}-D, {precision}: overhead per particle-step and dimension", t, 3, "", "ns"
                )


def kernel_density() -> Iterator[Row]:
    """Against scikit-learn without approximations, per pair of a query and a data point."""
    try:
        from sklearn.neighbors import KernelDensity
        from threadpoolctl import threadpool_limits  # comes with scikit-learn
    except ImportError:
        return
    rng = np.random.default_rng(1)
    for dim in (1, 2, 10):
        data, x = rng.standard_normal((1000, dim)), rng.standard_normal((1000, dim))
        theirs = KernelDensity(bandwidth=0.5, rtol=0, atol=0, leaf_size=2 * len(data)).fit(data)
        ours = lf.score.KernelDensity(data, 0.5)
        pairs = len(x) * len(data)

        def repeat(function: Callable[[], object]) -> Work:
            return lambda n: [function() for _ in range(n)]

        works = {
            "sklearn": repeat(lambda m=theirs, x=x: m.score_samples(x)),
            "ours": repeat(lambda m=ours, x=x: m.log_density(x)),
            "score": repeat(lambda m=ours, x=x: m.score(x)),
        }
        with threadpool_limits(1):
            t = seconds_per_step(works, repeats=9)
        what = f"log density of a Gaussian kernel estimate, {dim}-D, double"
        yield at_least(
            f"{what}: scikit-learn / ours", t["sklearn"] / t["ours"], 5, pair(t["ours"], t["sklearn"], pairs)
        )
        yield Row(f"its score, {dim}-D, per pair", t["score"] / pairs * 1e9, "ns")


def networks() -> Iterator[Row]:
    """ULA along a score network against lax.scan over the same network, both on all cores (XLA takes what it finds)."""
    try:
        import jax
    except ImportError:
        return
    threads = os.cpu_count() or 1
    for dim, width, depth, n in ((2, 64, 3, 4096), (2, 128, 3, 4096), (64, 512, 4, 1024), (2, 64, 3, 16)):
        layers = workloads.network_layers(dim, width, depth)
        potential = lf.score.NetworkPotential(layers, "silu", slope=1.0)
        for precision in PRECISIONS:
            # the switch for 64-bit numbers is global: here it holds while one of the two kinds of runs is timed
            with jax.enable_x64(precision == "double"):
                works = {
                    "ours": workloads.network_ours(potential, n, precision, threads),
                    "XLA": workloads.network_jax(layers, n, precision),
                }
                t = seconds_per_step(works, duration=0.2, repeats=9, least_steps=20)
            yield Row(
                f"ULA along a network, {dim}-D, {depth} layers of {width}, {n} particles, {precision}, "
                f"{threads} threads: lax.scan / ours",
                t["XLA"] / t["ours"],
                "x",
                1,
                1.0,
                f"{t['ours'] * 1e3:.3g} / {t['XLA'] * 1e3:.3g} ms per step",
            )


PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "normals": normals_and_schemes,
    "mala": mala,
    "exponentials": exponentials,
    "trajectory": single_trajectory,
    "levels": levels,
    "threads": threads,
    "flatness": flatness,
    "import": import_time,
    "chains": few_chains,
    "user": potentials_of_the_user,
    "sums": sums,
    "numba": numba_loops,
    "compile": compilation,
    "batch": batch,
    "kde": kernel_density,
    "network": networks,
}


# --- printing ---------------------------------------------------------------------------------------------------------


def processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine() -> list[str]:
    return [
        f"processor: {processor()}, {os.cpu_count()} cores",
        f"instruction set: {_core.isa()} (of {', '.join(workloads.levels())})",
        f"langevin_fast {lf.__version__}, NumPy {np.__version__}, Python {platform.python_version()}",
        "times: ours / the other side, per particle-step and dimension unless said; one thread unless said",
    ]


HEADINGS = ("what", "measured", "target", "reached?", "times")


def markdown(rows: list[Row]) -> str:
    lines = [f"- {line}" for line in machine()]
    lines += ["", f"| {' | '.join(HEADINGS)} |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows]
    return (
        "\n".join(lines).replace(">=", "≥").replace("<=", "≤").replace(" x |", " × |").replace(" us |", " µs |") + "\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too (.md is added)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some of the parts")
    options = parser.parse_args()
    started = time.perf_counter()
    print("\n".join(machine()))
    print(f"load average before this run: {os.getloadavg()[0]:.2g} (threads and times suffer, ratios less)\n")
    widths = (95, 9, 7, 8)
    print("  ".join(f"{heading:{width}}" for heading, width in zip(HEADINGS, (*widths, 0), strict=True)))
    rows = []
    for part in options.only:
        for row in PARTS[part]():
            rows.append(row)
            cells = row.cells()
            print("  ".join(f"{cell:{width}}" for cell, width in zip(cells, (*widths, 0), strict=True)), flush=True)
    missed = sum(row.cells()[3] == "NO" for row in rows)
    targets = sum(row.sign != 0 for row in rows)
    print(f"\n{targets - missed} of {targets} targets reached; {time.perf_counter() - started:.0f} s")
    if options.markdown:
        path = options.markdown if options.markdown.suffix else options.markdown.with_suffix(".md")
        path.write_text(markdown(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
