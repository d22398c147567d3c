"""The command line: ``python -m langevin_fast info`` and ``python -m langevin_fast demo``."""

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
    options = parser.parse_args(arguments)
    if options.command == "info":
        from .config import show_config

        show_config()
        return 0
    from .demo import run_demo

    return run_demo(options.output, options.seed)
