"""The noise: known answers, the compiled code against its NumPy twin to the bit, and statistics.

Statistics have fixed seeds and bounds of 4.5 sigma (a chance of 7e-6 for each, were the seed not fixed).
"""

from __future__ import annotations

import dataclasses
import itertools
import sys

import numpy as np
import pytest
import reference
from scipy import special, stats

import langevin_fast as lf
from langevin_fast import _core
from langevin_fast.noise import block_words, draw, draw_numpy, normals_of_words, philox4x32

SIGMAS = 4.5
DTYPES = {"double": np.float64, "single": np.float32}
each_precision = pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)


def bits(array):
    return array.view(np.uint64 if array.dtype == np.float64 else np.uint32)


def one(tag, seed, particle, start, count, dtype, uniform=False):
    return draw(tag, seed, np.array([particle], np.uint64), start, count, dtype, uniform=uniform)[0]


# ---- bits -----------------------------------------------------------------------------------------------------------


def philox_answers():
    # not through reference.value(), which would turn words such as "00000000" into numbers
    entries = [e for e in reference._entries()["philox.kat"] if e["gen"] == "philox4x32" and e["rounds"] == 10]
    assert len(entries) == 3
    return [[[int(word, 16) for word in entry[key]] for key in ("ctr", "key", "out")] for entry in entries]


@pytest.mark.parametrize(("counter", "key", "out"), philox_answers())
def test_philox_known_answers(counter, key, out):
    assert [int(word) for word in philox4x32(counter, tuple(key))] == out


def test_compiled_philox_known_answer(isa):
    """Counter and key zero, the one answer whose block a stream reaches. Uniforms (w|1) 2^-64 show the words."""
    counter, key, out = philox_answers()[0]
    assert not any(counter) and not any(key)
    words = np.array([out[0] << 32 | out[1], out[2] << 32 | out[3]], np.uint64)
    expected = (words | np.uint64(1)).astype(np.float64) * 2.0**-64
    np.testing.assert_array_equal(bits(one("thermal", 0, 0, 0, 2, np.float64, uniform=True)), bits(expected))


def test_precisions_share_no_words():
    """Normals of both precisions from one stream: neither they nor their sizes correlate (4.5 standard errors)."""
    n = 200_000
    d, s = (one("thermal", 3, 5, 0, n, dtype).astype(np.float64) for dtype in (np.float64, np.float32))
    for a, b in (
        (d, s),
        (np.abs(d), np.abs(s)),
        (np.abs(d[: n // 2]), np.abs(s[::2])),
        (np.abs(d), np.abs(np.roll(s, 1))),
    ):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4.5 / np.sqrt(len(a))


def test_tags_are_a_registry():
    assert _core.TAGS == {"thermal": 0, "metropolis": 1, "initial": 2, "other": 3}
    assert _core.SINGLE_PRECISION_TAG == 128
    assert _core.STREAM_BITS == 56


PARTICLES = [0, 1, 5, 2**32 - 1, 2**32, 2**32 + 5, 2**55 + 2**31, 2**56 - 1]
# the index of the block crosses 2**32; far out; next to the ends of blocks
STARTS = [0, 1, 2, 3, 5, 2 * 2**32 - 37, 4 * 2**32 - 37, 2**40 - 5, 2**40, 2**40 + 3, 2**61 + 1]
COUNTS = [0, 1, 2, 3, 7, 64, 131]


@each_precision
@pytest.mark.parametrize("uniform", [False, True], ids=["normal", "uniform"])
@pytest.mark.parametrize("tag", _core.TAGS)
def test_compiled_equals_numpy_to_the_bit(tag, uniform, dtype, isa):
    for i, particle in enumerate(PARTICLES):
        for j, start in enumerate(STARTS):
            for count in (COUNTS[(i + j) % len(COUNTS)], 77):
                seed = (0, 7, 2**32, 2**64 - 1)[(i + 3 * j) % 4]
                got = one(tag, seed, particle, start, count, dtype, uniform)
                expected = draw_numpy(_core.TAGS[tag], seed, particle, start, count, dtype, uniform=uniform)
                assert got.shape == (count,) and got.dtype == expected.dtype == dtype
                np.testing.assert_array_equal(bits(got), bits(expected))


@each_precision
def test_many_compiled_numbers_equal_numpy(dtype, isa):
    got = one("thermal", 20, 3, 1, 200_001, dtype)
    np.testing.assert_array_equal(bits(got), bits(draw_numpy(0, 20, 3, 1, 200_001, dtype)))


@pytest.mark.parametrize("precision", DTYPES)
def test_the_public_function_is_the_thermal_stream(precision):
    got = lf.noise(7, 2**33 + 1, 5, 9, precision)
    np.testing.assert_array_equal(got, draw_numpy(0, 7, 2**33 + 1, 5, 9, DTYPES[precision]))
    assert lf.noise(7, 0, 0, 0).shape == (0,)
    np.testing.assert_array_equal(lf.noise(np.int64(7), np.uint64(3), 5, 9), lf.noise(7, 3, 5, 9))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((-1, 0, 0, 1), ValueError, "seed"),
        ((2**64, 0, 0, 1), ValueError, "seed"),
        ((1.0, 0, 0, 1), TypeError, "seed"),
        ((True, 0, 0, 1), TypeError, "seed"),
        ((0, -1, 0, 1), ValueError, "particle"),
        ((0, 2**56, 0, 1), ValueError, "particle"),
        ((0, 0, -1, 1), ValueError, "start"),
        ((0, 0, 0, -1), ValueError, "count"),
        ((0, 0, 0, 1, "half"), ValueError, "precision"),
    ],
)
def test_the_public_function_names_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        lf.noise(*arguments)


@each_precision
@pytest.mark.parametrize("uniform", [False, True], ids=["normal", "uniform"])
def test_slices_of_a_stream_agree(dtype, uniform, isa):
    whole = one("other", 9, 4, 0, 700, dtype, uniform)
    for start in (0, 1, 2, 3, 4, 5, 63, 509, 513):
        for count in (1, 2, 3, 5, 130):
            part = one("other", 9, 4, start, count, dtype, uniform)
            np.testing.assert_array_equal(bits(part), bits(whole[start : start + count]))


@each_precision
def test_rows_of_draw_are_single_streams(dtype, isa):
    few, many = np.array([3, 2**40, 0], np.uint64), 2**32 - 50 + np.arange(133, dtype=np.uint64)
    for particles, start, count in ((few, 5, 33), (many, 0, 1), (many, 3, 2), (many, 2, 132), (many, 1, 140)):
        for uniform in (False, True):
            rows = draw("initial", 9, particles, start, count, dtype, uniform=uniform)
            for row, particle in zip(rows, particles.tolist(), strict=True):
                np.testing.assert_array_equal(row, one("initial", 9, particle, start, count, dtype, uniform))


@each_precision
@pytest.mark.parametrize("n", [1, 2, 64, 131, 200])
def test_rows_of_a_crowd_are_the_same_streams(n, dtype, isa):
    """`_core.draw_rows` makes noise as the kernels do for a crowd: a row for each number, a column for each stream."""
    for particles in (np.arange(n), 2**56 - 1 - np.arange(n), np.arange(n) * 2**31 + 5):
        for start, count in ((0, 1), (1, 300), (2**40 + 3, 37), (2 * 2**32 - 37, 80), (4 * 2**32 - 37, 80)):
            out = np.full((count, n), np.nan, dtype)
            _core.draw_rows(out=out, seed=2**63 + 5, particles=particles.astype(np.uint64), start=start)
            for i in {0, n // 2, n - 1}:
                expected = draw_numpy(0, 2**63 + 5, int(particles[i]), start, count, dtype)
                np.testing.assert_array_equal(bits(np.ascontiguousarray(out[:, i])), bits(expected))
            expected = draw("thermal", 2**63 + 5, particles.astype(np.uint64), start, count, dtype)
            np.testing.assert_array_equal(out.T, expected)


def pairs_of(numbers):
    """Consecutive pairs as hashable keys: two equal pairs do not happen by chance, not even in single precision."""
    b = bits(numbers).astype(object)
    return set(itertools.pairwise(b))


@each_precision
def test_streams_differ_and_none_is_a_shift_of_another(dtype):
    streams = {}
    for seed in (42, 43, 42 + 2**32, 2**63):
        streams[seed, 0, "thermal"] = one("thermal", seed, 0, 0, 4000, dtype)
    for particle in (1, 2, 2**32, 2**55):
        streams[42, particle, "thermal"] = one("thermal", 42, particle, 0, 4000, dtype)
    for tag in ("metropolis", "initial", "other"):
        streams[42, 0, tag] = one(tag, 42, 0, 0, 4000, dtype)
    seen = set()
    for numbers in streams.values():
        pairs = pairs_of(numbers)
        assert len(pairs) == 3999
        assert not pairs & seen
        seen |= pairs


def test_single_precision_noise_is_not_double_rounded():
    double, single = lf.noise(1, 0, 0, 1000), lf.noise(1, 0, 0, 1000, "single")
    assert abs(np.corrcoef(double, single)[0, 1]) < SIGMAS / np.sqrt(1000)


# ---- the streams as the integrators use them ------------------------------------------------------------------------

CROWDS = {
    "1": [3],
    "2": [2**56 - 1, 0],
    "9, different high words": [2**32 * (i % 2) + i for i in range(9)],
    "64, the same high word": [2**40 + i for i in range(64)],
    "150": list(range(150)),
}


@each_precision
@pytest.mark.parametrize("dim", [1, 3, 70])
@pytest.mark.parametrize("streams", CROWDS.values(), ids=CROWDS)
def test_free_particles_walk_along_their_streams(streams, dim, dtype, isa):
    """With a coefficient of one the walk is the running sum of normals number (step dim + component), to the bit."""
    precision = "double" if dtype is np.float64 else "single"
    sim = lf.Simulation(lf.potentials.Free(dim), lf.ULA(0.5), streams=streams, seed=77, precision=precision)
    per_block = 2 if dtype is np.float64 else 4
    # from the first step; and where the index of the block passes 2**32
    for first in (0, per_block * 2**32 // dim - 4):
        sim._stepper.state = dataclasses.replace(sim.state, step=first, positions=np.zeros_like(sim.positions))
        sim.run(9)
        expected = []
        for stream in streams:
            normals = draw_numpy(0, 77, stream, first * dim, 9 * dim, dtype).reshape(9, dim)
            expected.append(np.add.accumulate(normals, axis=0, dtype=dtype)[-1])
        np.testing.assert_array_equal(bits(np.ascontiguousarray(sim.positions)), bits(np.array(expected)))


# ---- extremes -------------------------------------------------------------------------------------------------------

WORDS = {np.float64: np.uint64, np.float32: np.uint32}


@each_precision
def test_extreme_words(dtype):
    word = WORDS[dtype]
    width = 8 * word().itemsize
    top = 2**width - 1
    angles = [0, 1, 2, 3, top, top - 1, top - 2, top - 3, 2 ** (width - 1), 2 ** (width - 1) - 1, 2 ** (width - 2)]
    for radius_word, reach in ((0, np.sqrt(2 * width * np.log(2))), (1, np.sqrt(2 * width * np.log(2))), (top, 0.0)):
        radius, angle = np.full(len(angles), radius_word, word), np.array(angles, word)
        first, second = normals_of_words(radius, angle)
        assert np.isfinite(first).all() and np.isfinite(second).all()
        np.testing.assert_allclose(np.hypot(first, second), reach, rtol=4 * np.finfo(dtype).eps, atol=0)
        # the definition, in the plainest terms: an eighth turn times a signed fraction, two bits for the quarter turn
        t = np.array([a - 2**width if a >= 2 ** (width - 1) else a for a in angles]) / 2.0 ** (width - 1)
        sine, cosine = reach * np.sin(np.pi / 4 * t), reach * np.cos(np.pi / 4 * t)
        sign, swap = np.array([1 - 2 * (a % 2) for a in angles]), np.array([a // 2 % 2 == 1 for a in angles])
        for got, expected in ((first, np.where(swap, sine, cosine)), (second, np.where(swap, cosine, sine))):
            np.testing.assert_allclose(got, sign * expected, rtol=0, atol=8 * np.finfo(dtype).eps * max(reach, 1))
    assert np.sqrt(2 * width * np.log(2)) > (9.4 if dtype is np.float64 else 6.6)  # what the documentation says


@each_precision
def test_extreme_uniforms(dtype, monkeypatch):
    low, high = 0, 2**32 - 1
    module = sys.modules["langevin_fast.noise"]
    extremes = [np.full(1, w, np.uint64) for w in (low, low, high, high)]
    monkeypatch.setattr(module, "block_words", lambda *_: extremes)
    got = draw_numpy(0, 0, 0, 0, 16 // dtype().itemsize, dtype, uniform=True)
    smallest = 2.0**-64 if dtype is np.float64 else 2.0**-32
    assert set(got.tolist()) == {smallest, 1.0}


def test_block_words_use_the_whole_counter_and_key():
    base = block_words(5, 6, 0, np.array([7], np.uint64))
    for other in (
        block_words(5 + 2**40, 6, 0, np.array([7], np.uint64)),
        block_words(5, 6 + 2**40, 0, np.array([7], np.uint64)),
        block_words(5, 6, 1, np.array([7], np.uint64)),
        block_words(5, 6, 0, np.array([7 + 2**40], np.uint64)),
    ):
        assert all(a[0] != b[0] for a, b in zip(base, other, strict=True))


# ---- statistics -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=DTYPES)
def normals(request):
    """200 streams of 20,000 normals, in double precision for the sums."""
    numbers = draw("thermal", 1234, np.arange(200, dtype=np.uint64), 0, 20_000, DTYPES[request.param])
    return numbers.astype(np.float64)


@pytest.fixture(scope="module", params=DTYPES)
def uniforms(request):
    return draw("metropolis", 99, np.arange(100, dtype=np.uint64), 0, 20_000, DTYPES[request.param], uniform=True)


def assert_chi_square(counts, expected):
    """The sum is normal to good accuracy for many cells: within 4.5 sigma of its mean."""
    counts, freedom = np.asarray(counts, dtype=float), np.size(counts) - 1
    chi_square = np.sum((counts - expected) ** 2 / expected)
    assert abs(chi_square - freedom) < SIGMAS * np.sqrt(2 * freedom)


# E z^k, and the variance of z^k: E z^2k - (E z^k)^2
MOMENTS = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96), 5: (0, 945), 6: (15, 10170), 7: (0, 135135), 8: (105, 2016000)}


@pytest.mark.parametrize("k", MOMENTS)
def test_moments(normals, k):
    mean, variance = MOMENTS[k]
    assert abs(np.mean(normals**k) - mean) < SIGMAS * np.sqrt(variance / normals.size)


def test_kolmogorov_smirnov(normals):
    # p < 6.8e-6 corresponds to 4.5 sigma
    assert stats.kstest(normals.reshape(-1), "norm").pvalue > 6.8e-6


def test_cells_of_equal_probability(normals):
    cells = (special.ndtr(normals) * 1000).astype(int)
    assert_chi_square(np.bincount(cells.reshape(-1), minlength=1000), normals.size / 1000)


@pytest.mark.parametrize("bound", [3.0, 3.5, 4.0, 4.5])
def test_tails(normals, bound):
    for tail in (normals > bound, normals < -bound):
        p = special.ndtr(-bound)
        assert abs(np.count_nonzero(tail) - p * normals.size) < SIGMAS * np.sqrt(p * (1 - p) * normals.size)


@pytest.mark.parametrize("distance", [1, 2, 3])
def test_neighbours_in_a_stream_are_independent(normals, distance):
    """Distance 1 from an even place: the two normals of one point on the circle. The squares share the radius."""
    for start in range(4):
        a, b = normals[:, start : 19_988 + start : 4], normals[:, start + distance : 19_988 + start + distance : 4]
        cell = (special.ndtr(a) * 32).astype(int) * 32 + (special.ndtr(b) * 32).astype(int)
        assert_chi_square(np.bincount(cell.reshape(-1), minlength=1024), a.size / 1024)
        for f in (lambda z: z, lambda z: (z * z - 1) / np.sqrt(2), np.sign):
            assert abs(np.mean(f(a) * f(b))) < SIGMAS / np.sqrt(a.size)


def test_no_correlation_along_a_stream(normals):
    n = normals.shape[1]
    for lag in [*range(1, 33), 64, 128, 256, 512, 1024]:
        product = normals[:, lag:] * normals[:, : n - lag]
        assert abs(product.mean()) < SIGMAS / np.sqrt(product.size)


def assert_uncorrelated(a, b=None):
    """Correlations between rows: each within 4.5 sigma, and as many of each size as there should be."""
    r = (a @ (a if b is None else b).T) / np.sqrt(a.shape[1])
    r = r[np.triu_indices(len(a), 1)] if b is None else r.reshape(-1)
    assert np.max(np.abs(r)) < SIGMAS
    assert abs(np.sum(r * r) - r.size) < SIGMAS * np.sqrt(2 * r.size)


def test_particles_are_independent(normals):
    assert_uncorrelated(normals[:80])
    assert_uncorrelated((normals[:80] ** 2 - 1) / np.sqrt(2))


@each_precision
def test_neighbouring_seeds_are_independent(dtype):
    particles = np.arange(40, dtype=np.uint64)
    a, b = (draw("thermal", seed, particles, 0, 10_000, dtype).astype(np.float64) for seed in (42, 43))
    assert_uncorrelated(a, b)
    assert_uncorrelated((a**2 - 1) / np.sqrt(2), (b**2 - 1) / np.sqrt(2))


@each_precision
def test_tags_are_independent(dtype):
    particles = np.arange(40, dtype=np.uint64)
    a, b = (draw(tag, 42, particles, 0, 10_000, dtype).astype(np.float64) for tag in ("thermal", "initial"))
    assert_uncorrelated(a, b)


def test_uniforms(uniforms):
    u = uniforms.astype(np.float64).reshape(-1)
    assert u.min() > 0 and u.max() <= 1
    assert abs(u.mean() - 0.5) < SIGMAS * np.sqrt(1 / 12 / u.size)
    assert abs(np.mean(u * u) - 1 / 3) < SIGMAS * np.sqrt(4 / 45 / u.size)
    # -log u is exponential: its mean shows what happens near zero, where acceptance tests look
    assert abs(np.mean(-np.log(u)) - 1) < SIGMAS / np.sqrt(u.size)
    assert stats.kstest(u, "uniform").pvalue > 6.8e-6
    assert_chi_square(np.bincount(np.minimum((u * 1000).astype(int), 999), minlength=1000), u.size / 1000)
    for lag in range(1, 9):
        product = (u[lag:] - 0.5) * (u[:-lag] - 0.5) * 12
        assert abs(product.mean()) < SIGMAS / np.sqrt(product.size)
