"""What checkpoints cost, and how Dask scales: ``PYTHONPATH=src python benchmarks/long_runs.py [--folder PATH]``.

Times of writing are compared with those that the same folder takes for the same bytes, in turn; runs on one and on two
workers are made in turn too. (Some minutes; Dask's part needs the extra ``dask``.)
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import langevin_fast as lf

REPEATS = 7
INTERVAL = 10.0  # seconds from one checkpoint to the next
MINUTE = 60.0


def elapsed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def write_bytes(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def saving(folder: Path, n: int, dim: int) -> None:
    """A checkpoint against its bytes alone, and against a run that writes one now and then."""
    path = folder / "run.ckpt"
    watching = [lf.observers.Moments(every=10), lf.observers.Histogram("x[0]", bins=100, range=(-2, 2), every=10)]
    well, scheme = lf.potentials.DoubleWell(dim=dim), lf.BAOAB(0.05, friction=1.0)
    simulation = lf.Simulation(well, scheme, n_particles=n, seed=1, observers=watching)
    simulation.run(10)
    simulation.save(path)
    content = path.read_bytes()
    pairs = []
    for _ in range(REPEATS):
        disk = elapsed(lambda: write_bytes(folder / "bytes", content))
        pairs.append((disk, elapsed(lambda: simulation.save(path))))
    disk, saved = (statistics.median(times) for times in zip(*pairs, strict=True))
    read = elapsed(lambda: lf.Simulation.load(path))
    print(
        f"{n} particles, {dim}-D, two observers: {len(content) / 1e6:.1f} MB; save {saved:.3f} s, its bytes alone "
        f"{disk:.3f} s ({statistics.median(b / a for a, b in pairs):.2f} ×), load {read:.3f} s; every "
        f"{INTERVAL:.0f} s it costs {saved / INTERVAL:.2%} of a run"
    )


def scaling(n_particles: int = 20_480) -> None:
    """The same run on one worker and on two, of one thread each."""
    from distributed import Client, LocalCluster

    def run(client: Client, n_steps: int) -> float:
        well, scheme = lf.potentials.DoubleWell(), lf.ULA(0.01)
        given = {"n_particles": n_particles, "n_steps": n_steps, "seed": 1}
        return elapsed(lambda: lf.distributed.sample(well, scheme, client=client, **given))

    times: dict[int, list[float]] = {1: [], 2: []}
    n_steps, trial = 0, 20_000
    for _ in range(2):
        for workers in times:
            cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
            with cluster, Client(cluster) as client:
                run(client, 10)  # imports
                n_steps = n_steps or round(trial * MINUTE / run(client, trial))
                times[workers].append(run(client, n_steps))
    one, two = (min(t) for t in times.values())
    print(
        f"Dask, {n_particles} particles, {n_steps} steps: {one:.1f} s with one worker of one thread, {two:.1f} s with "
        f"two ({one / two:.2f} ×)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder on the disk in question")
    parser.add_argument("--only", choices=("checkpoints", "dask"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if arguments.only != "dask":
            saving(Path(folder), 1_000_000, 3)
            saving(Path(folder), 100_000, 1)
    if arguments.only != "checkpoints":
        scaling()


if __name__ == "__main__":
    main()
