r"""A slow, textbook-plain implementation of noise and schemes that shares no code with the kernels.

:func:`langevin_fast.cross_check` compares the backends with it. It has its own Philox, its own way from words to
normals (with NumPy's log, sin and cos), its own coefficients from the parameters of a scheme, and the update formulas
as a textbook writes them, all in double precision. Its results therefore agree with the kernels to rounding, not to
the bit.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .schemes import MALA, ULA, LeimkuhlerMatthews, Scheme, Splitting, TamedULA

_THERMAL, _METROPOLIS = 0, 1
_SINGLE = 128  # added to the tag


def philox(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox4x32-10 on Python integers (J. K. Salmon et al., SC'11, section 4.2)."""
    c, k = list(counter), list(key)
    for round_ in range(10):
        if round_:
            k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(right >> 32) ^ c[1] ^ k[0], right % 2**32, (left >> 32) ^ c[3] ^ k[1], left % 2**32]
    return c[0], c[1], c[2], c[3]


def _block(seed: int, stream: int, tag: int, block: int) -> tuple[int, int, int, int]:
    counter = (block % 2**32, block >> 32, stream % 2**32, (stream >> 32) + (tag << 24))
    return philox(counter, (seed % 2**32, seed >> 32))


def _words(seed: int, stream: int, tag: int, number: int, precision: str) -> tuple[list[int], int, int]:
    """The words of the block that holds this number, which of them it is, and their width."""
    per_block, width = (2, 64) if precision == "double" else (4, 32)
    w = list(_block(seed, stream, tag if precision == "double" else tag + _SINGLE, number // per_block))
    if precision == "double":
        w = [w[0] * 2**32 + w[1], w[2] * 2**32 + w[3]]
    return w, number % per_block, width


@functools.lru_cache(maxsize=2**17)
def normal(seed: int, stream: int, number: int, precision: str = "double") -> float:
    """One normal of a stream's thermal noise, by the documented map from words (docs/reproducibility.md)."""
    words, place, width = _words(seed, stream, _THERMAL, number, precision)
    first = place - place % 2
    radius_word, angle_word = words[first], words[first + 1]
    radius = np.sqrt(-2.0 * np.log((radius_word | 1) / 2.0**width))
    signed = angle_word - 2**width if angle_word >= 2 ** (width - 1) else angle_word
    angle = np.pi / 4 * (signed / 2.0 ** (width - 1))
    if angle_word & 1:
        radius = -radius
    takes_sine = bool(angle_word & 2) != bool(place % 2)
    return float(radius * (np.sin(angle) if takes_sine else np.cos(angle)))


def uniform(seed: int, stream: int, number: int, precision: str = "double") -> float:
    """One uniform in (0, 1] of a stream's Metropolis tests."""
    words, place, width = _words(seed, stream, _METROPOLIS, number, precision)
    return float((words[place] | 1) / 2.0**width)


class Reference:
    """One step of a scheme, from given states.

    Parameters
    ----------
    scheme : Scheme
        Any of the package.
    gradient, energy : callable
        Of (n, dim) positions, in double precision; energy may be None for schemes without tests.
    mass : (1 or n, 1 or dim) array
    seed : int
    streams : sequence of int
    precision : {"double", "single"}
        Of the noise.
    """

    def __init__(
        self, scheme: Scheme, gradient: Any, energy: Any, mass: np.ndarray, seed: int, streams: Any, precision: str
    ) -> None:
        self.scheme, self.gradient, self.energy, self.mass = scheme, gradient, energy, mass
        self.seed, self.streams, self.precision = seed, [int(s) for s in streams], precision
        self._only: int | None = None
        self.h = np.reshape(scheme.step_size, (-1, 1))
        self.kT = np.reshape(scheme.kT_at(np.zeros(1)), (-1, 1))

    def rows(self, number: int) -> list[int]:
        """Which vectors of normals step `number` uses."""
        if isinstance(self.scheme, LeimkuhlerMatthews):
            return [number, number + 1]
        sets = self.scheme.letters.count("O") or 1
        return [number * sets + i for i in range(sets)]

    def normals(self, row: int, dim: int) -> np.ndarray:
        """Vector number `row` of every particle's noise, (n, dim)."""
        if self._only not in (None, row):
            return np.zeros((len(self.streams), dim))
        return np.array(
            [[normal(self.seed, stream, row * dim + c, self.precision) for c in range(dim)] for stream in self.streams]
        )

    def step(
        self,
        number: int,
        x: np.ndarray,
        v: np.ndarray | None,
        *,
        noise: float = 1.0,
        force: float = 1.0,
        only: int | None = None,
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """The state after step `number` (from 0), and for MALA by how much each test was passed.

        `noise` and `force` scale these terms, to see what they contribute; `only`, if it is given, is the one vector of
        normals that is not left out.
        """
        self._only = only
        scheme, dim = self.scheme, x.shape[1]
        if isinstance(scheme, MALA):
            return self._mala(number, x)
        if isinstance(scheme, LeimkuhlerMatthews):
            xi = noise * (self.normals(number, dim) + self.normals(number + 1, dim))
            drift = -force * self.gradient(x) * self.h / scheme.drag
            return x + drift + np.sqrt(self.kT * self.h / (2 * scheme.drag)) * xi, None, None
        if isinstance(scheme, TamedULA):
            xi = noise * self.normals(number, dim)
            drift = self.gradient(x) * self.h / scheme.drag
            tamed = force * drift / (1 + np.abs(drift))
            return x - tamed + np.sqrt(2 * self.kT * self.h / scheme.drag) * xi, None, None
        if isinstance(scheme, ULA):
            xi = noise * self.normals(number, dim)
            drift = -force * self.gradient(x) * self.h / scheme.drag
            return x + drift + np.sqrt(2 * self.kT * self.h / scheme.drag) * xi, None, None
        if isinstance(scheme, Splitting):
            assert v is not None
            return (*self._splitting(scheme, number, x, v, noise, force), None)
        raise TypeError(f"the reference does not know {scheme!r}")

    def _splitting(
        self, scheme: Splitting, number: int, x: np.ndarray, v: np.ndarray, noise: float, force: float
    ) -> tuple[np.ndarray, np.ndarray]:
        letters, dim = scheme.letters, x.shape[1]
        gamma = scheme.friction if scheme.friction is not None else scheme.drag / self.mass
        draws = 0
        for letter in letters:
            t = self.h / letters.count(letter)
            if letter == "A":
                x = x + v * t
            elif letter == "B":
                v = v - force * self.gradient(x) * t / self.mass
            else:
                xi = noise * self.normals(number * letters.count("O") + draws, dim)
                v = np.exp(-gamma * t) * v + np.sqrt(-np.expm1(-2 * gamma * t) * self.kT / self.mass) * xi
                draws += 1
        return x, v

    def _mala(self, number: int, x: np.ndarray) -> tuple[np.ndarray, None, np.ndarray]:
        scheme, dim = self.scheme, x.shape[1]
        time = self.h / scheme.drag  # type: ignore[attr-defined]
        xi = self.normals(number, dim)
        y = x - time * self.gradient(x) + np.sqrt(2 * self.kT * time) * xi

        def log_transition(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            return -((b - a + time * self.gradient(a)) ** 2 / (4 * self.kT * time)).sum(axis=1)

        difference = (self.energy(y) - self.energy(x)) / self.kT[:, 0]
        log_ratio = -difference + log_transition(y, x) - log_transition(x, y)
        log_u = np.log([uniform(self.seed, stream, number, self.precision) for stream in self.streams])
        return y, None, log_ratio - log_u
