"""Integration schemes: what one step does, as a program of operations with its coefficients.

A scheme is a string of letters, each an operation of the table (:data:`OPERATIONS`): underdamped splitting schemes use
A (drift), B (kick) and O (exact Ornstein-Uhlenbeck); overdamped ones E (Euler-Maruyama), T (the same, tamed), L
(Leimkuhler-Matthews), P (an Euler-Maruyama proposal) and M (its Metropolis test). Letters act from left to right and
each kind shares the step equally: in ``BAOAB`` every A and B lasts h/2.
"""

from .base import Scheme
from .metropolised import MALA
from .operations import OPERATIONS, Operation, Program
from .overdamped import ULA, LeimkuhlerMatthews, TamedULA
from .splitting import BAOAB, Splitting

__all__ = [
    "BAOAB",
    "MALA",
    "OPERATIONS",
    "ULA",
    "LeimkuhlerMatthews",
    "Operation",
    "Program",
    "Scheme",
    "Splitting",
    "TamedULA",
]
