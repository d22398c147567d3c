"""The command line: ``python -m langevin_fast info``, ``demo`` and ``cross-check``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from ._version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="langevin_fast", description="Fast, exactly reproducible Langevin dynamics.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="instruction set, threads, optional packages")
    demo = commands.add_parser("demo", help="sample the Müller-Brown surface and compare with exact values")
    demo.add_argument("--output", default="demo.png", help="where the figure goes (default: %(default)s)")
    demo.add_argument("--seed", type=int, default=7, help="default: %(default)s")
    check = commands.add_parser(
        "cross-check", help="compare all backends with each other and with a plain implementation"
    )
    check.add_argument(
        "--potential", action="append", metavar="NAME", help="a built-in potential; again for more (default: all)"
    )
    check.add_argument("--precision", choices=("double", "single"), help="default: both")
    check.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    check.add_argument("--steps", type=int, default=12, help="compared one by one (default: %(default)s)")
    check.add_argument(
        "--moment-steps", type=int, default=500, help="of the runs whose means are compared (default: %(default)s)"
    )
    check.add_argument("--verbose", action="store_true", help="show every report, not only a line")
    options = parser.parse_args(arguments)
    if options.command == "info":
        from .config import show_config

        show_config()
        return 0
    if options.command == "cross-check":
        return _cross_check(check, options)
    from .demo import run_demo

    return run_demo(options.output, options.seed)


def _cross_check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    """0 if all agree, 1 if anything does not; what parser.error raises (2) for wrong arguments."""
    from .cross_check.installation import check_installation
    from .potentials import BUILTIN

    known = [potential.kind for potential in BUILTIN]
    for name in options.potential or ():
        if name not in known:
            parser.error(f"--potential {name}: choose from {', '.join(known)}")
    if not 0 <= options.seed < 2**63:
        parser.error(f"--seed {options.seed}: it must be >= 0 and < 2**63")
    if options.steps < 1:
        parser.error(f"--steps {options.steps}: it must be >= 1")
    if options.moment_steps < 0:
        parser.error(f"--moment-steps {options.moment_steps}: it must be >= 0")
    precisions = (options.precision,) if options.precision else ("double", "single")
    n, failed = 0, 0
    reports = check_installation(
        names=options.potential,
        precisions=precisions,
        seed=options.seed,
        n_steps=options.steps,
        moment_steps=options.moment_steps,
    )
    for report in reports:
        n += 1
        failed += not report.ok
        compared = ", ".join(b.name for b in report.backends if b.unavailable is None)
        if options.verbose or not report.ok:
            print(report, flush=True)
        else:
            print(f"ok  {report.title}: {compared}", flush=True)
    print(f"{n - failed} of {n} agree")
    return 1 if failed else 0
