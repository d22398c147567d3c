r"""The noise: a pure function of (seed, particle, number).

:func:`noise` gives the stream that the integrators use. Below it stands the same noise in plain NumPy, operation by
operation: the definition that the compiled kernels are tested against, to the bit.

- Bits: Philox4x32-10 (J. K. Salmon et al., SC'11). Key: the 64-bit seed. Counter: block index (64 bits), particle
  (56 bits), stream tag (8 bits, the top ones; 128 is added to it in single precision, so that the numbers of both
  precisions come from different blocks).
- double: block b gives normals 2b and 2b + 1; its words 0 and 1 make one 64-bit number for the radius, words 2 and 3
  one for the angle (the even word is the high half). single: block b gives normals 4b ... 4b + 3, two from each pair
  of words.
- Normals: Box and Muller; radius :math:`\sqrt{-2\log u}`, :math:`u = (w|1)\,2^{-64}` (single: :math:`2^{-32}`), so that
  they reach 9.4 (6.6) sigma.
- Uniforms, for Metropolis tests: :math:`(w|1)\,2^{-64}` (:math:`2^{-32}`), in (0, 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import checks
from .elementary import on_arrays
from .memory import check_memory

__all__ = ["noise"]

PRECISIONS: dict[str, Any] = {"double": np.float64, "single": np.float32}


def noise(seed: int, particle: int, start: int, count: int, precision: str = "double") -> np.ndarray:
    """Normals number `start` to `start + count - 1` of one particle's thermal noise.

    Step n of a scheme that uses `sets` vectors of normals per step takes the numbers (n sets + set) dim + component.

    Parameters
    ----------
    seed : int
        0 <= seed < 2**64.
    particle : int
        Stream index, 0 <= particle < 2**56.
    start, count : int
        First number and how many, >= 0.
    precision : {"double", "single"}
        Single-precision noise is a different sequence, not the rounded one.

    Returns
    -------
    ndarray of shape (count,)
        Standard normals, float64 or float32.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.
    """
    from . import _core

    seed = checks.integer("seed", seed, 0, 2**64 - 1)
    particle = checks.integer("particle", particle, 0, 2**_core.STREAM_BITS - 1)
    start = checks.integer("start", start, 0, 2**62)
    count = checks.integer("count", count, 0, 2**62)
    checks.one_of("precision", precision, tuple(PRECISIONS))
    check_memory(count * np.dtype(PRECISIONS[precision]).itemsize, f"count={count} normals")
    return draw("thermal", seed, np.array([particle], np.uint64), start, count, PRECISIONS[precision])[0]


def draw(
    tag: str, seed: int, particles: np.ndarray, start: int, count: int, dtype: type, *, uniform: bool = False
) -> np.ndarray:
    """Numbers of the streams of several particles, (len(particles), count), by the compiled code."""
    from . import _core

    return _core.draw(
        uniform=uniform,
        seed=seed,
        particles=particles,
        tag=_core.TAGS[tag],
        start=start,
        count=count,
        single=dtype is np.float32,
    )


# --- the same in NumPy ------------------------------------------------------------------------------------------------

_SINGLE_PRECISION_TAG = 128
_LOW = np.uint64(0xFFFFFFFF)
_HALF_WORD = np.uint64(32)


def philox4x32(counter: Any, key: tuple[int, int]) -> list[np.ndarray]:
    """Ten rounds of Philox on four arrays of 32-bit words (held as uint64); four arrays of words."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = key
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (
            (p1 >> _HALF_WORD) ^ c1 ^ np.uint64(k0),
            p1 & _LOW,
            (p0 >> _HALF_WORD) ^ c3 ^ np.uint64(k1),
            p0 & _LOW,
        )
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def block_words(seed: int, particle: int, tag: int, blocks: np.ndarray) -> list[np.ndarray]:
    """The four words of some blocks of a stream."""
    blocks = blocks.astype(np.uint64)
    high = np.uint64((particle >> 32) & 0xFFFFFF | tag << 24)
    counter = np.broadcast_arrays(blocks & _LOW, blocks >> _HALF_WORD, np.uint64(particle & 0xFFFFFFFF), high)
    return philox4x32(counter, (seed & 0xFFFFFFFF, seed >> 32))


def normals_of_words(radius: np.ndarray, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two normals from two words, uint64 for double precision and uint32 for single."""
    bits = radius.dtype.type
    dtype: Any
    dtype, width = (np.float64, 64) if bits is np.uint64 else (np.float32, 32)
    functions = on_arrays(dtype)
    r = np.sqrt(functions.scaled_log(-2, width)((radius | bits(1)).astype(dtype)))
    r = (r.view(bits) ^ (angle << bits(width - 1))).view(dtype)
    t = angle.view(np.int64 if width == 64 else np.int32).astype(dtype) * dtype(2.0 ** (1 - width))
    sine, cosine = functions.sin_eighth(t), functions.cos_eighth(t)
    swap = (angle & bits(2)) != 0
    return r * np.where(swap, sine, cosine), r * np.where(swap, cosine, sine)


def draw_numpy(
    tag: int, seed: int, particle: int, start: int, count: int, dtype: Any, *, uniform: bool = False
) -> np.ndarray:
    """Numbers `start` ... of one stream, as :func:`draw` gives them, without the compiled code."""
    tag += 0 if dtype is np.float64 else _SINGLE_PRECISION_TAG
    per_block = 2 if dtype is np.float64 else 4
    first, last = start // per_block, (start + count + per_block - 1) // per_block
    w = block_words(seed, particle, tag, np.arange(first, last, dtype=np.uint64))
    if dtype is np.float64:
        words = [w[0] << _HALF_WORD | w[1], w[2] << _HALF_WORD | w[3]]
    else:
        words = [word.astype(np.uint32) for word in w]
    if uniform:
        bits = words[0].dtype.type
        columns = [(word | bits(1)).astype(dtype) * dtype(2.0 ** (-8 * word.itemsize)) for word in words]
    else:
        columns = [z for i in range(0, per_block, 2) for z in normals_of_words(words[i], words[i + 1])]
    return np.stack(columns, axis=1).reshape(-1)[start - first * per_block :][:count]
