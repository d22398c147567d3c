"""What a Zarr reporter costs: ``PYTHONPATH=src python benchmarks/reporters.py [--steps N] [--folder PATH]``.

Runs of 10,000 particles in three dimensions that store every hundredth state are timed in turn with bare ones, in one
process; the ratio is the median of the ratios of such pairs. Then a long run shows that memory stays what it is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from timing import steps_for

import langevin_fast as lf

N, STRIDE = 10_000, 100
DURATION = 4.0  # of a run, in seconds
PAIRS = 7


def simulation(n: int = N, threads: int = 1) -> lf.Simulation:
    potential = lf.potentials.DoubleWell(dim=3)
    return lf.Simulation(potential, lf.BAOAB(0.01, friction=1.0), n_particles=n, seed=1, threads=threads)


def cost(folder: Path, threads: int) -> None:
    bare, reported = simulation(threads=threads), simulation(threads=threads)
    reporter = lf.reporters.Zarr(folder / f"cost{threads}.zarr", every=STRIDE)
    n_steps = steps_for(bare.run, DURATION) // STRIDE * STRIDE
    pairs = []
    for _ in range(PAIRS):
        plain = timed(lambda: bare.run(n_steps))
        pairs.append((plain, timed(lambda: reported.run(n_steps, reporters=[reporter]))))
    wall, cpu = ([b[i] / a[i] for a, b in pairs] for i in (0, 1))
    n_bytes = n_steps // STRIDE * N * 3 * 8 * 2
    print(
        f"{N} particles in 3-D, BAOAB, stride {STRIDE}, {threads} threads: {statistics.median(wall):.3f} times the "
        f"time of the bare run (from {min(wall):.3f} to {max(wall):.3f}), {statistics.median(cpu):.3f} times that of "
        f"the processors; {n_steps} steps take {statistics.median(a for (a, _), _ in pairs):.2f} s and store "
        f"{n_bytes / 1e6:.0f} MB"
    )


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds on the clock, and of the processors for this process, which suffer less where others are busy."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - cpu


def memory(folder: Path, n_steps: int) -> None:
    sizes: list[int] = []
    simulation(n=1000).run(
        n_steps,
        reporters=[
            lf.reporters.Zarr(folder / "memory.zarr", every=STRIDE),
            lf.reporters.Callback(lambda _: sizes.append(resident()), every=n_steps // 10),
        ],
    )
    n_bytes = n_steps // STRIDE * 1000 * 3 * 8 * 2
    shown = ", ".join(f"{size / 1e6:.1f}" for size in sizes)
    print(f"{n_steps} steps of 1000 particles store {n_bytes / 1e6:.0f} MB; resident after each tenth: {shown} MB")


def resident() -> int:
    """Bytes of memory that this process has now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=10**6, help="of the long run")
    parser.add_argument("--folder", type=Path, help="on which disk; default: that of temporary files")
    given = parser.parse_args()
    print(f"load average before this run: {os.getloadavg()[0]:.2g}")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for threads in sorted({1, os.cpu_count() or 1}):
            cost(Path(folder), threads)
        memory(Path(folder), given.steps)
    return 0


if __name__ == "__main__":
    sys.exit(main())
