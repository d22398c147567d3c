"""All built-in potentials, one after the other: the command line's cross-check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..potentials.examples import EXAMPLES
from ..schemes import BAOAB, MALA, ULA, LeimkuhlerMatthews, Splitting
from . import cross_check
from .report import CrossCheck


def check_installation(
    *,
    names: Sequence[str] | None = None,
    precisions: Sequence[str] = ("double", "single"),
    seed: int = 0,
    n_steps: int = 12,
    moment_steps: int = 500,
) -> Iterator[CrossCheck]:
    """Cross-check built-in potentials with five schemes each, one after the other.

    Parameters
    ----------
    names : sequence of str, optional
        Names of potentials; default: all.
    precisions : sequence of str
        "double", "single" or both.
    seed, n_steps, moment_steps : int
        As for :func:`langevin_fast.cross_check`.

    Yields
    ------
    CrossCheck
    """
    for example in EXAMPLES:
        if names is not None and example.potential.kind not in names:
            continue
        plain, metropolis, underdamped, kT = example[1:]
        schemes = (
            ULA(plain, kT=kT),
            LeimkuhlerMatthews(plain, kT=kT),
            MALA(metropolis, kT=kT),
            BAOAB(underdamped, friction=0.5, kT=kT),
            Splitting("OBABO", underdamped, drag=0.5, kT=kT),
        )
        for precision in precisions:
            for scheme in schemes:
                yield cross_check(
                    example.potential,
                    scheme,
                    n_particles=8,
                    n_steps=n_steps,
                    moment_steps=moment_steps,
                    seed=seed,
                    precision=precision,
                )
