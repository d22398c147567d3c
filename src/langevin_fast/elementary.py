"""The elementary functions, written once for NumPy arrays, Numba packs and GPU threads.

:func:`make` builds them for one precision from a few primitives of the target. The bodies are IEEE operations in a
fixed order without branches, the order of cpp/core/math.hpp where the function is there too, so that all targets agree
to the bit. Coefficients come from tools/minimax.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np


class Primitives(NamedTuple):
    """What a target does with its numbers.

    Attributes
    ----------
    bits : callable
        A number's bits, as an unsigned integer of the same width.
    real : callable
        The number with these bits.
    word : callable
        An integer expression brought back to that width (Numba computes with 32-bit integers in 64 bits).
    select : callable
        ``select(mask, a, b)``, lane by lane.
    sqrt : callable
        The correctly rounded square root.
    take : callable
        ``take(table, i)``: entry i, a whole number inside the table, as a number of the target.
    compile : callable
        A decorator for the functions.
    """

    bits: Callable[[Any], Any]
    real: Callable[[Any], Any]
    word: Callable[[Any], Any]
    select: Callable[[Any, Any, Any], Any]
    sqrt: Callable[[Any], Any]
    take: Callable[[Any, Any], Any]
    compile: Callable[[Callable[..., Any]], Callable[..., Any]]


class Constants(NamedTuple):
    """What the functions need to know about a floating-point type."""

    real: Any  # numpy.float64 or numpy.float32
    word: Any  # numpy.uint64 or numpy.uint32
    mantissa: int
    sqrt_half: int  # the bits of sqrt(1/2)
    log_bias: int  # added to the exponent while logarithms work on it
    integer_bits: int  # of 2^mantissa: or-ing an integer to them adds it
    ln2: float
    log: tuple[float, ...]  # (2 atanh(s) - 2 s) / s^3 in z = s^2
    exp_lowest: float  # below: 0. The smallest result is normal: denormals are ten times slower.
    exp_highest: float  # above: inf
    round: float  # adding it rounds to an integer
    splitter: float  # a product with it cuts a number into halves whose products are exact
    ln2_high: float
    ln2_low: float
    exp: tuple[float, ...]  # (e^r - 1 - r) / r^2
    sin: tuple[float, ...]  # sin(pi/4 t) / t in z = t^2
    cos: tuple[float, ...]  # cos(pi/4 t) in z = t^2
    half_pi: tuple[float, ...]  # in four parts; products of the first three with a small integer are exact
    largest_angle: float
    tanh_is_one: float


def _hex(*digits: str) -> tuple[float, ...]:
    return tuple(float.fromhex(d) for d in digits)


# fmt: off
DOUBLE = Constants(
    real=np.float64, word=np.uint64, mantissa=52, sqrt_half=0x3FE6A09E667F3BCD, log_bias=2048,
    integer_bits=0x4330000000000000, ln2=float.fromhex("0x1.62e42fefa39efp-1"),
    log=_hex("0x1.5555555555592p-1", "0x1.999999997ff63p-2", "0x1.24924941db48ap-2", "0x1.c71c521a19c19p-3",
             "0x1.74663ba330cf0p-3", "0x1.39a20ba876215p-3", "0x1.2f025151a1a4ap-3"),
    exp_lowest=-708.0, exp_highest=709.78, round=float.fromhex("0x1.8p52"),
    splitter=2.0**27 + 1.0,
    ln2_high=float.fromhex("0x1.62e42fefa3800p-1"), ln2_low=float.fromhex("0x1.ef35793c76730p-45"),
    exp=_hex("0x1.000000000000ap-1", "0x1.55555555553efp-3", "0x1.555555555026ap-5", "0x1.1111111131866p-7",
             "0x1.6c16c186b4ca1p-10", "0x1.a01a01db16829p-13", "0x1.a0199075da87bp-16", "0x1.71dc0c5606206p-19",
             "0x1.28b8a7819d2e2p-22", "0x1.b4704d4868916p-26"),
    sin=_hex("0x1.921fb54442d18p-1", "-0x1.4abbce625bdaep-4", "0x1.466bc6774afcep-9", "-0x1.32d2ccd46a440p-15",
             "0x1.507821d4e4e6ap-22", "-0x1.e2f3f0f82023ep-30", "0x1.dfc5bb1e96ca4p-38"),
    cos=_hex("0x1p0", "-0x1.3bd3cc9be459dp-2", "0x1.03c1f081b0df1p-6", "-0x1.55d3c7dc398d6p-12",
             "0x1.e1f4fb7f90439p-19", "-0x1.a6c9c7ffd1b55p-26", "0x1.f3dc17e56b9f2p-34"),
    half_pi=_hex("0x1.921fb54400000p+0", "0x1.0b4611a600000p-34", "0x1.3198a2e000000p-69", "0x1.b839a252049c1p-104"),
    largest_angle=1e6, tanh_is_one=20.0,
)
SINGLE = Constants(
    real=np.float32, word=np.uint32, mantissa=23, sqrt_half=0x3F3504F3, log_bias=256,
    integer_bits=0x4B000000, ln2=float.fromhex("0x1.62e430p-1"),
    log=_hex("0x1.55557ap-1", "0x1.995ed8p-2", "0x1.31e03cp-2"),
    exp_lowest=-86.5, exp_highest=88.72, round=float.fromhex("0x1.8p23"),
    splitter=2.0**12 + 1.0,
    ln2_high=float.fromhex("0x1.62e400p-1"), ln2_low=float.fromhex("0x1.7f7d1cp-20"),
    exp=_hex("0x1.fffffcp-2", "0x1.55548cp-3", "0x1.555858p-5", "0x1.123de0p-7", "0x1.6ac74cp-10"),
    sin=_hex("0x1.921fb6p-1", "-0x1.4abc24p-4", "0x1.4680a4p-9", "-0x1.33198ep-15"),
    cos=_hex("0x1p0", "-0x1.3bd39cp-2", "0x1.03b058p-6", "-0x1.4e78bep-12"),
    half_pi=_hex("0x1.9200000000000p+0", "0x1.fb40000000000p-12", "0x1.4440000000000p-24", "0x1.68c2340000000p-39"),
    largest_angle=6000.0, tanh_is_one=10.0,
)
# fmt: on
CONSTANTS: dict[Any, Constants] = {np.float64: DOUBLE, np.float32: SINGLE}


def make(k: Constants, ops: Primitives) -> SimpleNamespace:
    """The functions of one precision for one target."""
    bits, real, word, select, sqrt = ops.bits, ops.real, ops.word, ops.select, ops.sqrt
    function = ops.compile
    # Typed, so that nothing is computed in a wider type.
    zero, half, one, two = k.real(0), k.real(0.5), k.real(1), k.real(2)
    infinity, minus_infinity, nan = k.real(np.inf), k.real(-np.inf), k.real(np.nan)
    word_one, word_two = k.word(1), k.word(2)
    sign_bit = k.word(1 << (8 * k.word().itemsize - 1))
    magnitude_bits = k.word((1 << (8 * k.word().itemsize - 1)) - 1)
    mantissa, mantissa_mask = k.word(k.mantissa), k.word((1 << k.mantissa) - 1)
    sqrt_half, integer_bits = k.word(k.sqrt_half), k.word(k.integer_bits)
    smallest = k.real(np.finfo(k.real).tiny)

    def horner(coefficients: tuple[float, ...]) -> Callable[[Any], Any]:
        """A polynomial, coefficients in ascending order."""
        *lower, last, highest = (k.real(c) for c in coefficients)
        evaluate = first(highest, last)
        for c in reversed(lower):
            evaluate = then(evaluate, c)
        return evaluate

    def first(highest: Any, c: Any) -> Callable[[Any], Any]:
        return function(lambda x: highest * x + c)

    def then(inner: Callable[[Any], Any], c: Any) -> Callable[[Any], Any]:
        return function(lambda x: inner(x) * x + c)

    # --- logarithm: x = m 2^n with m in [sqrt(1/2), sqrt(2)), log x = n log 2 + 2 atanh((m - 1) / (m + 1))

    log_shift = k.word((k.log_bias << k.mantissa) - k.sqrt_half)

    def scaled_log(scale: int, shift: int) -> Callable[[Any], Any]:
        """scale log(x 2^-shift) of positive normal x; `scale` is plus or minus a power of two."""
        tail = horner(tuple(scale * c for c in k.log))
        ln2, twice = k.real(scale * k.ln2), k.real(2 * scale)
        offset = k.real(float(1 << k.mantissa) + k.log_bias + shift)

        @function
        def scaled(x):  # type: ignore[no-untyped-def]
            shifted = word(bits(x) + log_shift)
            n = real(word((shifted >> mantissa) | integer_bits)) - offset
            m = real(word((shifted & mantissa_mask) + sqrt_half))
            s = (m - one) / (m + one)
            z = s * s
            return n * ln2 + (s * twice + (s * z) * tail(z))

        return scaled

    natural_log = scaled_log(1, 0)

    @function
    def log(x):  # type: ignore[no-untyped-def]
        r = select(x < smallest, minus_infinity, natural_log(x))
        r = select(x < zero, nan, r)
        return select(x < infinity, r, x)

    @function
    def log1p(x):  # type: ignore[no-untyped-def]
        u = x + one
        # the rounding error of u is made good by x / (u - 1); W. Kahan's trick
        r = log(u) * (x / (u - one))
        return select((u == one) | (u == infinity), x, r)

    # --- exponential: e^x = 2^n e^r

    log2_e, round_, n_bias = k.real(1.4426950408889634), k.real(k.round), k.word((1 << 10) - 2 if k is DOUBLE else 126)
    ln2_high, ln2_low = k.real(k.ln2_high), k.real(k.ln2_low)
    lowest, highest = k.real(k.exp_lowest), k.real(k.exp_highest)
    exp_tail = horner(k.exp)

    @function
    def exp(x):  # type: ignore[no-untyped-def]
        shifted = x * log2_e + round_
        n = shifted - round_
        r = (x - n * ln2_high) - n * ln2_low
        # the low bits of `shifted` hold n; 2^n itself would overflow for the largest arguments
        half_scale = real(word((bits(shifted) + n_bias) << mantissa))
        y = ((r * r) * exp_tail(r) + r) + one
        result = select(x < lowest, zero, (y + y) * half_scale)
        return select(x > highest, infinity, result)

    @function
    def expm1(x):  # type: ignore[no-untyped-def]
        clamped = select(x < lowest, lowest, select(x > highest, highest, x))
        shifted = clamped * log2_e + round_
        n = shifted - round_
        r = (clamped - n * ln2_high) - n * ln2_low
        half_scale = real(word((bits(shifted) + n_bias) << mantissa))
        p = (r * r) * exp_tail(r) + r
        h = p * half_scale + (half_scale - half)
        return select(x > highest, infinity, h + h)

    # --- hyperbolic functions

    @function
    def fabs(x):  # type: ignore[no-untyped-def]
        return real(word(bits(x) & magnitude_bits))

    @function
    def copysign(x, y):  # type: ignore[no-untyped-def]
        return real(word((bits(x) & magnitude_bits) | (bits(y) & sign_bit)))

    saturated = k.real(k.tanh_is_one)

    @function
    def tanh(x):  # type: ignore[no-untyped-def]
        a = fabs(x)
        a = select(a > saturated, saturated, a)
        e = expm1(a + a)
        return copysign(e / (e + two), x)

    @function
    def sinh(x):  # type: ignore[no-untyped-def]
        e = expm1(fabs(x))
        # e/(e + 1) is 1 where e overflows
        return copysign(half * (e + select(e < infinity, e / (e + one), one)), x)

    @function
    def cosh(x):  # type: ignore[no-untyped-def]
        e = exp(fabs(x))
        return half * e + half / e

    # --- circular functions: x = n pi/2 + r

    sin_tail, cos_tail = horner(k.sin), horner(k.cos)
    two_over_pi, four_over_pi = k.real(0.6366197723675814), k.real(1.2732395447351628)
    half_pi_1, half_pi_2, half_pi_3, half_pi_4 = (k.real(part) for part in k.half_pi)
    largest_angle = k.real(k.largest_angle)
    sign_shift = k.word(8 * k.word().itemsize - 2)

    @function
    def sin_eighth(t):  # type: ignore[no-untyped-def]
        return t * sin_tail(t * t)

    @function
    def cos_eighth(t):  # type: ignore[no-untyped-def]
        return cos_tail(t * t)

    @function
    def quadrant(x):  # type: ignore[no-untyped-def]
        return bits(x * two_over_pi + round_)

    @function
    def eighths(x):  # type: ignore[no-untyped-def]
        n = (x * two_over_pi + round_) - round_
        r = (((x - n * half_pi_1) - n * half_pi_2) - n * half_pi_3) - n * half_pi_4
        t = r * four_over_pi
        return select(fabs(x) < largest_angle, t, nan)

    @function
    def sin(x):  # type: ignore[no-untyped-def]
        n, t = quadrant(x), eighths(x)
        y = select((n & word_one) == word_one, cos_eighth(t), sin_eighth(t))
        y = real(word(bits(y) ^ word((n & word_two) << sign_shift)))
        # keeps sin(-0.0), and makes sin odd to the bit at multiples of pi
        return select(x == zero, x, y)

    @function
    def cos(x):  # type: ignore[no-untyped-def]
        n, t = quadrant(x), eighths(x)
        y = select((n & word_one) == word_one, sin_eighth(t), cos_eighth(t))
        return real(word(bits(y) ^ word((word(n + word_one) & word_two) << sign_shift)))

    @function
    def tan(x):  # type: ignore[no-untyped-def]
        return sin(x) / cos(x)

    # --- the larger and the smaller

    @function
    def maximum(a, b):  # type: ignore[no-untyped-def]
        return select(a > b, a, b)

    @function
    def minimum(a, b):  # type: ignore[no-untyped-def]
        return select(a < b, a, b)

    # --- whole numbers

    all_whole = k.real(float(1 << k.mantissa))  # from here on all numbers are whole

    @function
    def round_to_even(x):  # type: ignore[no-untyped-def]
        size = fabs(x)
        return copysign(select(size < all_whole, (size + all_whole) - all_whole, size), x)

    @function
    def floor(x):  # type: ignore[no-untyped-def]
        r = round_to_even(x)
        return select(r > x, r - one, r)

    @function
    def ceil(x):  # type: ignore[no-untyped-def]
        r = round_to_even(x)
        return copysign(select(r < x, r + one, r), x)

    splitter = k.real(k.splitter)

    @function
    def upper_half(x):  # type: ignore[no-untyped-def]
        t = splitter * x
        return t - (t - x)

    @function
    def mod(x, y):  # type: ignore[no-untyped-def]
        a, b = fabs(x), fabs(y)
        quotient = a / b
        n = floor(quotient)
        # n b = product + rest, exactly (T. J. Dekker); n is the whole quotient, or one more where a / b was rounded up
        product = n * b
        n_upper, b_upper = upper_half(n), upper_half(b)
        n_lower, b_lower = n - n_upper, b - b_upper
        rest = ((n_upper * b_upper - product) + n_upper * b_lower + n_lower * b_upper) + n_lower * b_lower
        r = (a - product) - rest
        r = select(r < zero, r + b, r)
        r = select(quotient < all_whole, r, nan)
        signed = copysign(r, x)
        signed = select(select(y < zero, -signed, signed) < zero, signed + y, signed)
        return select(signed == zero, copysign(signed, y), signed)

    # --- tables

    entry = ops.take

    @function
    def take(table, i):  # type: ignore[no-untyped-def]
        last = k.real(len(table) - 1)
        # in this order NaN becomes 0
        return entry(table, minimum(maximum(i, zero), last))

    @function
    def interp(x, xp, fp):  # type: ignore[no-untyped-def]
        n = len(xp)
        step = 1
        while 2 * step < n:
            step = 2 * step
        # the last entry but one at most that is not above x, by halving
        i = select(x < x, x, zero)
        while step > 0:
            j = i + k.real(step)
            i = select((j < k.real(n - 1)) & (take(xp, j) <= x), j, i)
            step = step // 2
        left, right = take(xp, i), take(xp, i + one)
        low, high = take(fp, i), take(fp, i + one)
        r = (high - low) / (right - left) * (x - left) + low
        r = select(x < k.real(xp[0]), k.real(fp[0]), r)
        return select(x >= k.real(xp[n - 1]), k.real(fp[n - 1]), r)

    # --- the rest

    @function
    def power(x, y):  # type: ignore[no-untyped-def]
        r = exp(y * log(x))
        return select(y == zero, one, select((x == zero) & (y > zero), zero, r))

    return SimpleNamespace(
        scaled_log=scaled_log, sin_eighth=sin_eighth, cos_eighth=cos_eighth,
        exp=exp, expm1=expm1, log=log, log1p=log1p, sqrt=sqrt, sin=sin, cos=cos, tan=tan,
        sinh=sinh, cosh=cosh, tanh=tanh, fabs=fabs, copysign=copysign, maximum=maximum, minimum=minimum,
        power=power, where=select, floor=floor, ceil=ceil, round=round_to_even, mod=mod, take=take, interp=interp,
    )  # fmt: skip


@cache
def on_arrays(dtype: type) -> SimpleNamespace:
    """The functions for NumPy arrays (of at least one axis) of float64 or float32."""
    k = CONSTANTS[dtype]
    return make(
        k,
        Primitives(
            bits=lambda x: x.view(k.word),
            real=lambda w: w.view(k.real),
            word=lambda w: w,
            select=np.where,
            sqrt=np.sqrt,
            take=lambda table, i: table[i.astype(np.int64)],
            compile=lambda f: f,
        ),
    )
