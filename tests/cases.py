"""Potentials and schemes that many tests run through: the package's examples and some variants.

Everything is made of integers, fractions and square roots, so that it has the same bits on every machine: the digests
in tests/data/digests.json depend on it.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import langevin_fast as lf
from langevin_fast import _core
from langevin_fast import potentials as lfp
from langevin_fast.potentials.examples import EXAMPLES, MEANS, Example, table

PRECISIONS = {"double": np.float64, "single": np.float32}
LEVELS = [level["name"] for level in _core.isa_levels() if level["supported"]]

_NAMES = {"GaussianMixture": "GaussianMixture isotropic"}


@contextmanager
def bounded_work() -> Iterator[None]:
    """For what would take minutes, hours or for ever if it were done naively: not a claim of speed."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < 60


COVARIANCES = [[[1.0, 0.25], [0.25, 0.5]], [[2.0, -0.75], [-0.75, 1.0]], [[0.5, 0.0], [0.0, 0.5]]]

# one for each built-in potential, and variants that take other branches of its kernel
POTENTIALS = {
    **{_NAMES.get(example.potential.kind, example.potential.kind): example for example in EXAMPLES},
    "Harmonic 1-D": Example(lfp.Harmonic(2.0), 0.2, 0.5, 0.5, kT=1.5),
    "Harmonic 70-D": Example(lfp.Harmonic(np.arange(70) % 7 + 1.0), 0.02, 0.05, 0.2),  # more than a window of noise
    "DoubleWell 3-D": Example(lfp.DoubleWell(3.0, width=1.25, tilt=0.5, dim=3, stiffness=2.5), 0.01, 0.08, 0.05),
    "GaussianMixture full": Example(lfp.GaussianMixture([0.5, 1.5, 2.0], MEANS, COVARIANCES), 0.05, 0.3, 0.2),
    "GaussianMixture 1-D": Example(lfp.GaussianMixture([1, 3], [-1.0, 2.0], 0.25), 0.02, 0.3, 0.1),
    "Tabulated 2-D": Example(lfp.Tabulated(*table(9, 12), outside=("clamp", "periodic")), 0.0005, 0.005, 0.01),
}

# name -> what makes the scheme from a step size, kT
OVERDAMPED = {
    "ULA": lambda h, kT: lf.ULA(h, kT=kT, drag=1.25),
    "TamedULA": lambda h, kT: lf.TamedULA(h, kT=kT, drag=1.25),
    "LeimkuhlerMatthews": lambda h, kT: lf.LeimkuhlerMatthews(h, kT=kT, drag=1.25),
    "MALA": lambda h, kT: lf.MALA(h, kT=kT, drag=1.25),
}
UNDERDAMPED = {
    "BAOAB": lambda h, kT: lf.BAOAB(h, friction=0.75, kT=kT),
    "OBABO": lambda h, kT: lf.Splitting("OBABO", h, drag=1.5, kT=kT),
    "AOBOA": lambda h, kT: lf.Splitting("AOBOA", h, friction=0.75, kT=kT),
    "BAO": lambda h, kT: lf.Splitting("BAO", h, friction=3.0, kT=kT),
}
SCHEMES = {**OVERDAMPED, **UNDERDAMPED}

# every potential with every scheme: what the digests hold
GRID = [(potential, scheme) for potential in POTENTIALS for scheme in SCHEMES]


def covering(*more: Sequence[str]) -> list[tuple[str, ...]]:
    """(potential, scheme, precision, ...) for all that is compiled: each potential, precision and value of `more`.

    Schemes and potentials do not multiply into code, because the kernels interpret programs. So each of these comes
    twice: with MALA, the only scheme that needs energies, and with one of the other schemes, which take turns such that
    each of them meets every combination of the rest.
    """
    others = [scheme for scheme in SCHEMES if scheme != "MALA"]
    return [
        (potential, scheme, *rest)
        for i, potential in enumerate(POTENTIALS)
        for j, rest in enumerate(itertools.product(PRECISIONS, *more))
        for scheme in ("MALA", others[(i + j) % len(others)])
    ]


def problem(potential: str, scheme: str) -> tuple[lfp.Potential, lf.Scheme]:
    """The potential, and the scheme at a step size that suits it."""
    case = POTENTIALS[potential]
    h = case.metropolis if scheme == "MALA" else case.overdamped if scheme in OVERDAMPED else case.underdamped
    return case.potential, SCHEMES[scheme](h, case.kT)


def varied(scheme: str, n: int, dim: int) -> tuple[lf.Scheme, dict]:
    """The scheme on springs with step sizes, temperatures and masses of each particle's own."""
    i = np.arange(n)
    made = SCHEMES[scheme](0.125 + i % 7 / 64, 0.5 + i % 5 / 8)
    if scheme in OVERDAMPED:
        return made, {}
    return made, {"mass": 1.0 + (i[:, np.newaxis] % 3 + np.arange(dim)) / 4}


def run_python(
    *arguments: str, environment: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the interpreter with this package and these tests on its path."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=python_environment(environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def python_environment(changes: dict[str, str] | None = None) -> dict[str, str]:
    import os

    paths = [str(Path(lf.__file__).parents[1]), str(Path(__file__).parent)]
    kept = {k: v for k, v in os.environ.items() if k not in ("LANGEVIN_FAST_ISA", "PYTHONWARNINGS")}
    return {**kept, "PYTHONPATH": ":".join(paths), **(changes or {})}
