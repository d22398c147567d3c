// Elementary functions: branch-free, the same operations in the same order for every type T and instruction set.
//
// No fused multiply-add, no library call: each line is a fixed sequence of IEEE operations, so that a pack, a single
// number and the Python twin (langevin_fast/elementary.py) agree to the bit. Coefficients come from tools/minimax.py.
// Error bounds (tests/test_math.py measures them against mpmath): log, exp, sin and cos within 2 ulp, expm1 within 3
// ulp, in both precisions. Rounding to whole numbers is exact.
#pragma once

#include "simd.hpp"

namespace lf::LF_ISA {

// Horner's rule, coefficients in ascending order.
template <class T>
LF_INLINE T horner(T, RealOf<T> c) {
  return T(c);
}
template <class T, class... C>
LF_INLINE T horner(T x, RealOf<T> c, C... rest) {
  return horner(x, RealOf<T>(rest)...) * x + T(c);
}

// The smaller of two numbers; b when they are equal or one of them is NaN.
template <class T>
LF_INLINE T minimum(T a, T b) {
  return select(less(a, b), a, b);
}

// --- whole numbers

// 2^52 or 2^23: from here on all numbers are whole, and adding it rounds to a whole number.
template <class Real>
inline constexpr Real kAllWhole = sizeof(Real) == 8 ? Real(0x1p52) : Real(0x1p23f);

// The nearest whole number, of two the even one. Keeps the sign, that of zero included.
template <class T>
LF_INLINE T round_to_even(T x) {
  using Bits = BitsOf<T>;
  constexpr int kSign = 8 * sizeof(RealOf<T>) - 1;
  const T whole = T(kAllWhole<RealOf<T>>);
  const Bits sign = (to_bits(x) >> kSign) << kSign;
  const T size = from_bits(Bits(to_bits(x) ^ sign));
  const T r = select(less(size, whole), (size + whole) - whole, size);
  return from_bits(Bits(to_bits(r) | sign));
}

// The largest whole number that is not above x.
template <class T>
LF_INLINE T floor(T x) {
  const T r = round_to_even(x);
  return select(greater(r, x), r - T(RealOf<T>(1)), r);
}

// A whole number, 0 <= x < 2^52 (2^23 in single precision), as an integer.
template <class T>
LF_INLINE BitsOf<T> to_index(T x) {
  const RealOf<T> whole = kAllWhole<RealOf<T>>;
  return to_bits(x + T(whole)) ^ BitsOf<T>(to_bits(whole));
}

// --- logarithm

template <class Real>
struct LogConstants;
template <>
struct LogConstants<double> {
  static constexpr int kMantissa = 52;
  static constexpr uint64_t kSqrtHalf = 0x3fe6a09e667f3bcdu;
  static constexpr uint64_t kBias = uint64_t(2048) << 52;  // keeps the shifted exponent positive
  static constexpr uint64_t kMantissaMask = (uint64_t(1) << 52) - 1;
  static constexpr uint64_t kIntegerBits = 0x4330000000000000u;  // 2^52
  static constexpr double kIntegerOffset = 4503599627370496.0 + 2048.0;
  static constexpr double kLn2 = 0x1.62e42fefa39efp-1;
};
template <>
struct LogConstants<float> {
  static constexpr int kMantissa = 23;
  static constexpr uint32_t kSqrtHalf = 0x3f3504f3u;
  static constexpr uint32_t kBias = uint32_t(256) << 23;
  static constexpr uint32_t kMantissaMask = (uint32_t(1) << 23) - 1;
  static constexpr uint32_t kIntegerBits = 0x4b000000u;  // 2^23
  static constexpr float kIntegerOffset = 8388608.0f + 256.0f;
  static constexpr float kLn2 = 0x1.62e430p-1f;
};

// (2 atanh(s) - 2 s) / s^3 as a polynomial in z = s^2, times a power of two
template <class T>
LF_INLINE T log_polynomial(T z, double c) {
  return horner(z, c * 0x1.5555555555592p-1, c * 0x1.999999997ff63p-2, c * 0x1.24924941db48ap-2,
                c * 0x1.c71c521a19c19p-3, c * 0x1.74663ba330cf0p-3, c * 0x1.39a20ba876215p-3, c * 0x1.2f025151a1a4ap-3);
}
template <class T>
LF_INLINE T log_polynomial(T z, float c) {
  return horner(z, c * 0x1.55557ap-1f, c * 0x1.995ed8p-2f, c * 0x1.31e03cp-2f);
}

// kScale log(x 2^-kShift) of a positive, finite, normal x; anything else gives a meaningless result: see log().
// kScale is plus or minus a power of two, so it changes no rounding.
//
// x = m 2^k with m in [sqrt(1/2), sqrt(2)); log x = k log 2 + 2 atanh(s), s = (m - 1) / (m + 1). For k = 0 the first
// term vanishes and the result is accurate relative to itself; otherwise it is at least log(2)/2 and one product is
// enough.
template <int kScale, int kShift, class T>
LF_INLINE T scaled_log(T x) {
  using Real = RealOf<T>;
  using Bits = BitsOf<T>;
  using C = LogConstants<Real>;
  constexpr Real scale = Real(kScale);
  // Subtracting the bits of sqrt(1/2) makes the exponent field step at m = sqrt(1/2) instead of at 1.
  const Bits shifted = to_bits(x) + Bits(C::kBias - C::kSqrtHalf);
  const T k = from_bits(Bits((shifted >> C::kMantissa) | Bits(C::kIntegerBits))) - T(C::kIntegerOffset + Real(kShift));
  const T m = from_bits(Bits((shifted & Bits(C::kMantissaMask)) + Bits(C::kSqrtHalf)));
  const T s = (m - T(Real(1))) / (m + T(Real(1)));
  const T z = s * s;
  return k * T(scale * C::kLn2) + (s * T(2 * scale) + (s * z) * log_polynomial(z, scale));
}

// Natural logarithm. log 0 = -inf; negative numbers and NaN give NaN. Denormal arguments count as 0.
template <class T>
LF_INLINE T log(T x) {
  using Real = RealOf<T>;
  const Real infinity = Real(__builtin_inf());
  const Real smallest = sizeof(Real) == 8 ? Real(0x1p-1022) : Real(0x1p-126f);
  T r = scaled_log<1, 0>(x);
  r = select(less(x, T(smallest)), select(less(x, T(Real(0))), T(Real(__builtin_nan(""))), T(-infinity)), r);
  r = select(less(x, T(infinity)), r, x);  // +inf and NaN are passed on
  return r;
}

// --- exponential

template <class T>
struct ExpConstants;
template <>
struct ExpConstants<double> {
  static constexpr double kLowest = -708.0;  // below: 0. The smallest result is normal: denormals are ten times slower.
  static constexpr double kHighest = 709.78;  // above: inf
  static constexpr double kLog2E = 0x1.71547652b82fep+0;
  static constexpr double kRound = 0x1.8p52;  // adding it rounds to an integer
  static constexpr double kLn2High = 0x1.62e42fefa3800p-1;
  static constexpr double kLn2Low = 0x1.ef35793c76730p-45;
  static constexpr int kMantissa = 52;
  static constexpr uint64_t kScaleBias = 1022;
};
template <>
struct ExpConstants<float> {
  static constexpr float kLowest = -86.5f;
  static constexpr float kHighest = 88.72f;
  static constexpr float kLog2E = 0x1.715476p+0f;
  static constexpr float kRound = 0x1.8p23f;
  static constexpr float kLn2High = 0x1.62e400p-1f;
  static constexpr float kLn2Low = 0x1.7f7d1cp-20f;
  static constexpr int kMantissa = 23;
  static constexpr uint32_t kScaleBias = 126;
};

// (e^r - 1 - r) / r^2 for |r| <= log(2) / 2
template <class T>
LF_INLINE T exp_polynomial(T r, double) {
  return horner(r, 0x1.000000000000ap-1, 0x1.55555555553efp-3, 0x1.555555555026ap-5, 0x1.1111111131866p-7,
                0x1.6c16c186b4ca1p-10, 0x1.a01a01db16829p-13, 0x1.a0199075da87bp-16, 0x1.71dc0c5606206p-19,
                0x1.28b8a7819d2e2p-22, 0x1.b4704d4868916p-26);
}
template <class T>
LF_INLINE T exp_polynomial(T r, float) {
  return horner(r, 0x1.fffffcp-2f, 0x1.55548cp-3f, 0x1.555858p-5f, 0x1.123de0p-7f, 0x1.6ac74cp-10f);
}

// e^x = 2^n e^r. `half_scale` is 2^(n-1): 2^n itself would overflow for the largest arguments.
template <class T>
struct ExpReduced {
  T r;
  T half_scale;
};
template <class T>
LF_INLINE ExpReduced<T> reduce_exp(T x) {
  using Bits = BitsOf<T>;
  using C = ExpConstants<RealOf<T>>;
  const T shifted = x * T(C::kLog2E) + T(C::kRound);
  const T n = shifted - T(C::kRound);
  const T r = (x - n * T(C::kLn2High)) - n * T(C::kLn2Low);
  // The low bits of `shifted` hold n as a two's complement integer.
  return {r, from_bits(Bits((to_bits(shifted) + Bits(C::kScaleBias)) << C::kMantissa))};
}

// e^x; 0 below -708 (-86.5 in single precision), inf above 709.78 (88.72), NaN for NaN.
template <class T>
LF_INLINE T exp(T x) {
  using Real = RealOf<T>;
  using C = ExpConstants<Real>;
  // Outside the range this computes nonsense, which the last two lines replace.
  const ExpReduced<T> e = reduce_exp(x);
  const T y = ((e.r * e.r) * exp_polynomial(e.r, Real(0)) + e.r) + T(Real(1));
  T result = (y + y) * e.half_scale;
  result = select(less(x, T(C::kLowest)), T(Real(0)), result);
  return select(greater(x, T(C::kHighest)), T(Real(__builtin_inf())), result);
}

// e^x - 1 without cancellation for small x; the range is that of exp().
template <class T>
LF_INLINE T expm1(T x) {
  using Real = RealOf<T>;
  using C = ExpConstants<Real>;
  const T clamped =
      select(less(x, T(C::kLowest)), T(C::kLowest), select(greater(x, T(C::kHighest)), T(C::kHighest), x));
  const ExpReduced<T> e = reduce_exp(clamped);
  const T p = (e.r * e.r) * exp_polynomial(e.r, Real(0)) + e.r;
  // half of 2^n p + (2^n - 1), so that nothing overflows before the result does
  const T half = p * e.half_scale + (e.half_scale - T(Real(0.5)));
  const T result = half + half;
  return select(greater(x, T(C::kHighest)), T(Real(__builtin_inf())), result);
}

// --- sine and cosine of a quarter turn

template <class T>
LF_INLINE T sin_polynomial(T z, double) {
  return horner(z, 0x1.921fb54442d18p-1, -0x1.4abbce625bdaep-4, 0x1.466bc6774afcep-9, -0x1.32d2ccd46a440p-15,
                0x1.507821d4e4e6ap-22, -0x1.e2f3f0f82023ep-30, 0x1.dfc5bb1e96ca4p-38);
}
template <class T>
LF_INLINE T sin_polynomial(T z, float) {
  return horner(z, 0x1.921fb6p-1f, -0x1.4abc24p-4f, 0x1.4680a4p-9f, -0x1.33198ep-15f);
}
template <class T>
LF_INLINE T cos_polynomial(T z, double) {
  return horner(z, 1.0, -0x1.3bd3cc9be459dp-2, 0x1.03c1f081b0df1p-6, -0x1.55d3c7dc398d6p-12, 0x1.e1f4fb7f90439p-19,
                -0x1.a6c9c7ffd1b55p-26, 0x1.f3dc17e56b9f2p-34);
}
template <class T>
LF_INLINE T cos_polynomial(T z, float) {
  return horner(z, 1.0f, -0x1.3bd39cp-2f, 0x1.03b058p-6f, -0x1.4e78bep-12f);
}

// sin and cos of (pi/4) t for |t| <= 1
template <class T>
struct SinCos {
  T sin;
  T cos;
};
template <class T>
LF_INLINE SinCos<T> sincos_eighth(T t) {
  const T z = t * t;
  return {t * sin_polynomial(z, RealOf<T>(0)), cos_polynomial(z, RealOf<T>(0))};
}

}  // namespace lf::LF_ISA
