// Packs: N SIMD vectors that behave like one number.
//
// Everything numerical in this project is written once, as a template over T, and T is either a plain `double` /
// `float` or a Pack of them. A Pack holds several independent vectors so that the latency of one instruction is hidden
// behind the others. Every operator is one IEEE operation per lane, so the bits do not depend on the width of T.
//
// This header is compiled once per instruction-set level, each time inside a namespace of its own (LF_ISA). It must not
// pull in any part of the standard library that emits code: the linker would keep a single copy of such a function,
// perhaps the one compiled for AVX-512, and older processors would run it.
#pragma once

#include <cstdint>

#if defined(__AVX512F__) || defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#if !defined(LF_ISA)
#error "compile with LF_ISA set to the name of the instruction-set level"
#endif

static_assert(__FLT_EVAL_METHOD__ == 0, "identical bits need arithmetic without excess precision");

#define LF_INLINED __attribute__((always_inline))  // for lambdas
#define LF_INLINE inline LF_INLINED

// GCC holds the alignment attribute of vector types apart from template arguments and says so; nothing here relies on
// it.
#pragma GCC diagnostic ignored "-Wignored-attributes"

namespace lf::LF_ISA {

using std::int32_t;
using std::int64_t;
using std::uint32_t;
using std::uint64_t;

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
inline constexpr int kWidePack = 8;  // vectors; 32 registers
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
inline constexpr int kWidePack = 4;  // 16 registers
#else
inline constexpr int kVectorBytes = 16;
inline constexpr int kWidePack = 4;
#endif

template <class E>
struct VectorOf {
  typedef E type __attribute__((vector_size(kVectorBytes)));
};
template <class E>
using Vec = typename VectorOf<E>::type;

template <class E>
LF_INLINE Vec<E> broadcast(E s) {
  return s - Vec<E>{};  // minus zero, unlike plus, keeps the sign of -0.0
}

template <int... I>
struct Indices {};
template <int N, int... I>
struct MakeIndices : MakeIndices<N - 1, N - 1, I...> {};
template <int... I>
struct MakeIndices<0, I...> {
  using type = Indices<I...>;
};
template <int N>
using IndicesTo = typename MakeIndices<N>::type;

// Loops over the vectors of a pack are pack expansions, not `for` loops: GCC takes an array apart into registers before
// it unrolls loops, so a loop would leave every intermediate result in memory.
template <class E, int N>
struct Pack {
  using Element = E;
  static constexpr int kLanes = N * kVectorBytes / static_cast<int>(sizeof(E));

  Vec<E> v[N];

  Pack() = default;
  LF_INLINE Pack(E s) : Pack(s, IndicesTo<N>{}) {}

  template <class F, int... I>
  static LF_INLINE Pack make(F f, Indices<I...>) {
    Pack r;
    ((r.v[I] = f(I)), ...);
    return r;
  }
  template <class F>
  static LF_INLINE Pack make(F f) {
    return make(f, IndicesTo<N>{});
  }

#define LF_BINARY(op)                                             \
  friend LF_INLINE Pack operator op(Pack a, Pack b) {             \
    return make([&](int i) { return Vec<E>(a.v[i] op b.v[i]); }); \
  }
  LF_BINARY(+)
  LF_BINARY(-)
  LF_BINARY(*)
  LF_BINARY(/)
  LF_BINARY(&)
  LF_BINARY(|)
  LF_BINARY(^)
#undef LF_BINARY
  friend LF_INLINE Pack operator-(Pack a) {
    return make([&](int i) { return -a.v[i]; });
  }
  friend LF_INLINE Pack operator<<(Pack a, int k) {
    return make([&](int i) { return a.v[i] << k; });
  }
  friend LF_INLINE Pack operator>>(Pack a, int k) {
    return make([&](int i) { return a.v[i] >> k; });
  }
  LF_INLINE Pack& operator+=(Pack b) { return *this = *this + b; }
  LF_INLINE Pack& operator-=(Pack b) { return *this = *this - b; }

 private:
  template <int... I>
  LF_INLINE Pack(E s, Indices<I...>) : v{(void(I), broadcast(s))...} {}
};

// Types that go with a number type T (a double, a float, or a pack of them).
template <class E>
struct SameSizeInt;
template <>
struct SameSizeInt<double> {
  using Signed = int64_t;
  using Unsigned = uint64_t;
};
template <>
struct SameSizeInt<float> {
  using Signed = int32_t;
  using Unsigned = uint32_t;
};

template <class T>
struct Number {  // a plain double or float
  using Real = T;
  using Bits = typename SameSizeInt<T>::Unsigned;
  using Mask = bool;
  static constexpr int kLanes = 1;
};

// One truth value per lane: all bits of the lane set, or none.
template <class E, int N>
struct PackMask {
  Pack<typename SameSizeInt<E>::Signed, N> m;
  friend LF_INLINE PackMask operator&(PackMask a, PackMask b) { return {a.m & b.m}; }
};

template <class E, int N>
struct Number<Pack<E, N>> {
  using Real = E;
  using Bits = Pack<typename SameSizeInt<E>::Unsigned, N>;
  using Mask = PackMask<E, N>;
  static constexpr int kLanes = Pack<E, N>::kLanes;
};

template <class T>
using RealOf = typename Number<T>::Real;
template <class T>
using BitsOf = typename Number<T>::Bits;
template <class T>
using MaskOf = typename Number<T>::Mask;
template <class T>
inline constexpr int kLanesOf = Number<T>::kLanes;

template <class T>
LF_INLINE RealOf<T> get_lane(const T& x, int lane) {
  RealOf<T> r;
  __builtin_memcpy(&r, reinterpret_cast<const char*>(&x) + lane * sizeof(r), sizeof(r));
  return r;
}
template <class T>
LF_INLINE void set_lane(T& x, int lane, RealOf<T> value) {
  __builtin_memcpy(reinterpret_cast<char*>(&x) + lane * sizeof(value), &value, sizeof(value));
}

// --- comparisons and selection --------------------------------------------------------------------------------------

#define LF_COMPARE(name, op)                                                    \
  LF_INLINE bool name(double a, double b) { return a op b; }                    \
  LF_INLINE bool name(float a, float b) { return a op b; }                      \
  template <class E, int N>                                                     \
  LF_INLINE PackMask<E, N> name(Pack<E, N> a, Pack<E, N> b) {                   \
    using S = typename SameSizeInt<E>::Signed;                                  \
    return {Pack<S, N>::make([&](int i) { return Vec<S>(a.v[i] op b.v[i]); })}; \
  }                                                                             \
  template <class E, int N>                                                     \
  LF_INLINE PackMask<E, N> name(Pack<E, N> a, E b) {                            \
    return name(a, Pack<E, N>(b));                                              \
  }
LF_COMPARE(less, <)
LF_COMPARE(greater, >)
LF_COMPARE(equal, ==)
#undef LF_COMPARE

template <class T>
LF_INLINE T select(bool m, T a, T b) {
  return m ? a : b;
}
template <class E, int N>
LF_INLINE Pack<E, N> select(PackMask<E, N> m, Pack<E, N> a, Pack<E, N> b) {
#if defined(__AVX512F__)
  return Pack<E, N>::make([&](int i) { return m.m.v[i] ? a.v[i] : b.v[i]; });
#else
  // The same without a comparison with zero, which SSE2 lacks for 64-bit integers.
  using S = Vec<typename SameSizeInt<E>::Signed>;
  return Pack<E, N>::make([&](int i) {
    const S mask = m.m.v[i];
    return reinterpret_cast<Vec<E>>((reinterpret_cast<S>(a.v[i]) & mask) | (reinterpret_cast<S>(b.v[i]) & ~mask));
  });
#endif
}

// The larger of two numbers; b when they are equal or one of them is NaN.
template <class T>
LF_INLINE T maximum(T a, T b) {
  return select(greater(a, b), a, b);
}

// --- bits

LF_INLINE uint64_t to_bits(double x) {
  uint64_t r;
  __builtin_memcpy(&r, &x, 8);
  return r;
}
LF_INLINE uint32_t to_bits(float x) {
  uint32_t r;
  __builtin_memcpy(&r, &x, 4);
  return r;
}
LF_INLINE double from_bits(uint64_t x) {
  double r;
  __builtin_memcpy(&r, &x, 8);
  return r;
}
LF_INLINE float from_bits(uint32_t x) {
  float r;
  __builtin_memcpy(&r, &x, 4);
  return r;
}
template <class E, int N>
LF_INLINE auto to_bits(Pack<E, N> x) {
  using U = typename SameSizeInt<E>::Unsigned;
  return Pack<U, N>::make([&](int i) { return reinterpret_cast<Vec<U>>(x.v[i]); });
}
template <int N>
LF_INLINE Pack<double, N> from_bits(Pack<uint64_t, N> x) {
  return Pack<double, N>::make([&](int i) { return reinterpret_cast<Vec<double>>(x.v[i]); });
}
template <int N>
LF_INLINE Pack<float, N> from_bits(Pack<uint32_t, N> x) {
  return Pack<float, N>::make([&](int i) { return reinterpret_cast<Vec<float>>(x.v[i]); });
}

// --- what the vector extensions lack: one intrinsic each

// Product of the low 32 bits of each 64-bit lane; the high halves are ignored.
LF_INLINE uint64_t multiply_low32(uint64_t a, uint64_t b) { return (a & 0xffffffffu) * (b & 0xffffffffu); }
LF_INLINE Vec<uint64_t> multiply_low32(Vec<uint64_t> a, Vec<uint64_t> b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<uint64_t>>(_mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Vec<uint64_t>>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE2__)
  return reinterpret_cast<Vec<uint64_t>>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}
template <int N>
LF_INLINE Pack<uint64_t, N> multiply_low32(Pack<uint64_t, N> a, Pack<uint64_t, N> b) {
  return Pack<uint64_t, N>::make([&](int i) { return multiply_low32(a.v[i], b.v[i]); });
}

LF_INLINE uint64_t xor3(uint64_t a, uint64_t b, uint64_t c) { return a ^ b ^ c; }
template <int N>
LF_INLINE Pack<uint64_t, N> xor3(Pack<uint64_t, N> a, Pack<uint64_t, N> b, Pack<uint64_t, N> c) {
#if defined(__AVX512F__)
  return Pack<uint64_t, N>::make([&](int i) {
    return reinterpret_cast<Vec<uint64_t>>(_mm512_ternarylogic_epi64(
        reinterpret_cast<__m512i>(a.v[i]), reinterpret_cast<__m512i>(b.v[i]), reinterpret_cast<__m512i>(c.v[i]), 0x96));
  });
#else
  return a ^ b ^ c;
#endif
}

// Lanes of T whose bit number `place` is set in a.
template <class T>
LF_INLINE MaskOf<T> bit_is_set(BitsOf<T> a, int place) {
  using Bits = BitsOf<T>;
  if constexpr (kLanesOf<T> == 1) {
    return (a >> place & 1) != 0;
  } else {
    using M = decltype(MaskOf<T>::m);
    using V = Vec<typename M::Element>;
#if defined(__AVX512F__)
    const Bits bit = Bits(typename Bits::Element(1) << place);
    return {M::make([&](int i) { return V((a.v[i] & bit.v[i]) != 0); })};
#else
    // SSE2 cannot compare 64-bit integers; 0 - (the bit in the lowest place) is all ones where it is set.
    const Bits all = Bits(0) - ((a >> place) & Bits(1));
    return {M::make([&](int i) { return reinterpret_cast<V>(all.v[i]); })};
#endif
  }
}

LF_INLINE double sqrt(double x) { return __builtin_sqrt(x); }
LF_INLINE float sqrt(float x) { return __builtin_sqrtf(x); }
LF_INLINE Vec<double> sqrt(Vec<double> x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<double>>(_mm512_sqrt_pd(reinterpret_cast<__m512d>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<Vec<double>>(_mm256_sqrt_pd(reinterpret_cast<__m256d>(x)));
#elif defined(__SSE2__)
  return reinterpret_cast<Vec<double>>(_mm_sqrt_pd(reinterpret_cast<__m128d>(x)));
#else
  Vec<double> r;
  for (int i = 0; i < kVectorBytes / 8; ++i) r[i] = __builtin_sqrt(x[i]);
  return r;
#endif
}
LF_INLINE Vec<float> sqrt(Vec<float> x) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<float>>(_mm512_sqrt_ps(reinterpret_cast<__m512>(x)));
#elif defined(__AVX2__)
  return reinterpret_cast<Vec<float>>(_mm256_sqrt_ps(reinterpret_cast<__m256>(x)));
#elif defined(__SSE2__)
  return reinterpret_cast<Vec<float>>(_mm_sqrt_ps(reinterpret_cast<__m128>(x)));
#else
  Vec<float> r;
  for (int i = 0; i < kVectorBytes / 4; ++i) r[i] = __builtin_sqrtf(x[i]);
  return r;
#endif
}
template <class E, int N>
LF_INLINE Pack<E, N> sqrt(Pack<E, N> x) {
  return Pack<E, N>::make([&](int i) { return sqrt(x.v[i]); });
}

// a b + c, rounded once where the level has an instruction for it and twice where it has not. Only what promises bits
// per level may use it.
#if defined(__FMA__)
LF_INLINE double fused(double a, double b, double c) { return __builtin_fma(a, b, c); }
LF_INLINE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
LF_INLINE Vec<double> fused(Vec<double> a, Vec<double> b, Vec<double> c) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<double>>(_mm512_fmadd_pd(a, b, c));
#else
  return reinterpret_cast<Vec<double>>(_mm256_fmadd_pd(a, b, c));
#endif
}
LF_INLINE Vec<float> fused(Vec<float> a, Vec<float> b, Vec<float> c) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<float>>(_mm512_fmadd_ps(a, b, c));
#else
  return reinterpret_cast<Vec<float>>(_mm256_fmadd_ps(a, b, c));
#endif
}
template <class E, int N>
LF_INLINE Pack<E, N> fused(Pack<E, N> a, Pack<E, N> b, Pack<E, N> c) {
  return Pack<E, N>::make([&](int i) { return fused(a.v[i], b.v[i], c.v[i]); });
}
#else
template <class T>
LF_INLINE T fused(T a, T b, T c) {
  return a * b + c;
}
#endif

// 32-bit integers to float, rounded to nearest even.
LF_INLINE float signed_to_real(uint32_t x) { return static_cast<float>(static_cast<int32_t>(x)); }
template <int N>
LF_INLINE Pack<float, N> signed_to_real(Pack<uint32_t, N> x) {
  return Pack<float, N>::make(
      [&](int i) { return __builtin_convertvector(reinterpret_cast<Vec<int32_t>>(x.v[i]), Vec<float>); });
}
LF_INLINE float unsigned_to_real(uint32_t x) { return static_cast<float>(x); }
template <int N>
LF_INLINE Pack<float, N> unsigned_to_real(Pack<uint32_t, N> x) {
#if defined(__AVX512F__)
  return Pack<float, N>::make(
      [&](int i) { return reinterpret_cast<Vec<float>>(_mm512_cvtepu32_ps(reinterpret_cast<__m512i>(x.v[i]))); });
#else
  // Two exact conversions and one rounding: the same result as a single rounding.
  return signed_to_real(x >> 16) * Pack<float, N>(65536.0f) + signed_to_real(x & Pack<uint32_t, N>(0xffffu));
#endif
}

// 64-bit integers to double, rounded to nearest even.
LF_INLINE double unsigned_to_real(uint64_t x) { return static_cast<double>(x); }
LF_INLINE double signed_to_real(uint64_t x) { return static_cast<double>(static_cast<int64_t>(x)); }
#if !defined(__AVX512DQ__)
// Each half goes into the mantissa of a number of known exponent; subtracting `offset` is exact and the sum rounds
// once.
template <int N>
LF_INLINE Pack<double, N> halves_to_double(Pack<uint64_t, N> x, double offset) {
  using W = Pack<uint64_t, N>;
  const auto high = from_bits((x >> 32) | W(uint64_t(0x4530000000000000u)));                      // 2^84 + high 2^32
  const auto low = from_bits((x & W(uint64_t(0xffffffffu))) | W(uint64_t(0x4330000000000000u)));  // 2^52 + low
  return (high - Pack<double, N>(offset)) + low;
}
#endif
template <int N>
LF_INLINE Pack<double, N> unsigned_to_real(Pack<uint64_t, N> x) {
#if defined(__AVX512DQ__)
  return Pack<double, N>::make(
      [&](int i) { return reinterpret_cast<Vec<double>>(_mm512_cvtepu64_pd(reinterpret_cast<__m512i>(x.v[i]))); });
#else
  return halves_to_double(x, 0x1p84 + 0x1p52);
#endif
}
template <int N>
LF_INLINE Pack<double, N> signed_to_real(Pack<uint64_t, N> x) {
#if defined(__AVX512DQ__)
  return Pack<double, N>::make(
      [&](int i) { return reinterpret_cast<Vec<double>>(_mm512_cvtepi64_pd(reinterpret_cast<__m512i>(x.v[i]))); });
#else
  // Flipping the top bit turns x into x + 2^63 as an unsigned number.
  return halves_to_double(x ^ Pack<uint64_t, N>(uint64_t(1) << 63), 0x1p84 + 0x1p63 + 0x1p52);
#endif
}

// Two vectors of 64-bit lanes regrouped into 32-bit lanes: the high (low) halves of a in the odd lanes and those of b
// in the even ones.
LF_INLINE Vec<uint32_t> high_halves(Vec<uint64_t> odd, Vec<uint64_t> even) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<uint32_t>>(
      _mm512_mask_blend_epi32(0xAAAA, reinterpret_cast<__m512i>(even >> 32), reinterpret_cast<__m512i>(odd)));
#else
  return reinterpret_cast<Vec<uint32_t>>((odd & 0xffffffff00000000u) | (even >> 32));
#endif
}
LF_INLINE Vec<uint32_t> low_halves(Vec<uint64_t> odd, Vec<uint64_t> even) {
#if defined(__AVX512F__)
  return reinterpret_cast<Vec<uint32_t>>(
      _mm512_mask_blend_epi32(0xAAAA, reinterpret_cast<__m512i>(even), reinterpret_cast<__m512i>(odd << 32)));
#else
  return reinterpret_cast<Vec<uint32_t>>((odd << 32) | (even & 0xffffffffu));
#endif
}

}  // namespace lf::LF_ISA
