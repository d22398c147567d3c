"""Run the same work in every peer and compare: ``python -m benchmarks.peers``; see benchmarks/peers/README.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

from . import report
from .driver import Effort, Suite
from .environments import OURS, PEERS
from .works import WORKS

FULL, QUICK = Effort(rounds=7, duration=0.1), Effort(rounds=3, duration=0.03)


def processors() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=WORKS, default=list(WORKS), help="some rows")
    parser.add_argument("--peers", nargs="+", metavar="NAME", choices=PEERS, default=list(PEERS), help="some peers")
    parser.add_argument("--precision", nargs="+", choices=("double", "single"), help="default: both")
    parser.add_argument("--threads", nargs="+", type=int, help="default: 1 and all")
    parser.add_argument("--quick", action="store_true", help="shorter timings, one thread unless --threads says more")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write figures (with Matplotlib)")
    parser.add_argument("--read", nargs="+", type=Path, metavar="FILE", help="run nothing: show these JSON files")
    default = Path.home() / ".cache" / "langevin_fast-peers"
    parser.add_argument("--environments", type=Path, metavar="DIR", default=default, help=f"default: {default}")
    return parser.parse_args()


def run(options: argparse.Namespace) -> report.Run:
    """All that was asked for."""
    peers = [name for name in PEERS if name in {*options.peers, OURS}]
    threads = options.threads or ([1] if options.quick else sorted({1, processors()}))
    result: report.Run = {"date": report.now(), "machine": report.machine(), "versions": {}, "results": []}
    root = options.environments.expanduser().resolve()
    root.mkdir(parents=True, exist_ok=True)
    for count in threads:
        for precision in options.precision or ("double", "single"):
            suite = Suite(peers, precision, count, QUICK if options.quick else FULL, root)
            try:
                for row in options.only:
                    print(f"{WORKS[row].words}, {precision}, threads: {count}", flush=True)
                    result["results"] += suite.row(row, lambda line: print(line, flush=True))
                    if options.json:  # what is done is kept, whatever comes
                        options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")
                    result["versions"] |= suite.versions
            finally:
                suite.close()
    return result


def main() -> int:
    """Run or read, and show."""
    options = arguments()
    start = time.perf_counter()
    if options.read:
        runs = [json.loads(path.read_text(encoding="utf-8")) for path in options.read]
    else:
        runs = [run(options)]
        if options.json:
            options.json.write_text(json.dumps(runs[0], indent=1, ensure_ascii=False), encoding="utf-8")
    tables = report.markdown(runs)
    print(f"\n{tables}")
    if options.markdown:
        options.markdown.write_text(tables, encoding="utf-8")
    if options.figures and not report.figures(runs, options.figures):
        print("no figures: Matplotlib is not installed")
    if not options.read:
        print(f"{time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
