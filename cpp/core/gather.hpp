// Four neighbours of a table in every lane: b[k] = table[index + k].
//
// The caller sees to it that they lie inside. Loads of 16 bytes and a transposition in registers: the gather
// instructions of AVX-512 took two to three times as long.
#pragma once

#include "simd.hpp"

namespace lf::LF_ISA {

LF_INLINE void gather4(const double* table, uint64_t index, double* b) { __builtin_memcpy(b, table + index, 32); }
LF_INLINE void gather4(const float* table, uint32_t index, float* b) { __builtin_memcpy(b, table + index, 16); }
#if defined(__SSE2__)
template <class E>
LF_INLINE __m128 load_16(const E* p) {
  return _mm_loadu_ps(reinterpret_cast<const float*>(p));
}
// Blocks of 16 bytes from `kStride` lanes apart, the first from lane k.
template <int kStride, class E, class U>
LF_INLINE Vec<float> load_blocks(const E* table, const U* index, int k) {
#if defined(__AVX512F__)
  __m512 r = _mm512_castps128_ps512(load_16(table + index[k]));
  r = _mm512_insertf32x4(r, load_16(table + index[k + kStride]), 1);
  r = _mm512_insertf32x4(r, load_16(table + index[k + 2 * kStride]), 2);
  return reinterpret_cast<Vec<float>>(_mm512_insertf32x4(r, load_16(table + index[k + 3 * kStride]), 3));
#elif defined(__AVX2__)
  const __m256 r = _mm256_castps128_ps256(load_16(table + index[k]));
  return reinterpret_cast<Vec<float>>(_mm256_insertf128_ps(r, load_16(table + index[k + kStride]), 1));
#else
  return reinterpret_cast<Vec<float>>(load_16(table + index[k]));
#endif
}
// The numbers in the lower (upper) half of every block, of a and b in turn.
#if defined(__AVX512F__)  // the plain intrinsics make GCC warn of what they leave undefined
#define LF_UNPACK(half, type, mask) reinterpret_cast<Vec<E>>(_mm512_maskz_unpack##half##_##type(mask, a, b))
#elif defined(__AVX2__)
#define LF_UNPACK(half, type, mask) reinterpret_cast<Vec<E>>(_mm256_unpack##half##_##type(a, b))
#else
#define LF_UNPACK(half, type, mask) reinterpret_cast<Vec<E>>(_mm_unpack##half##_##type(a, b))
#endif
template <class E>
LF_INLINE Vec<E> unpack_low(Vec<E> a, Vec<E> b) {
  if constexpr (sizeof(E) == 8) {
    return LF_UNPACK(lo, pd, 0xff);
  } else {
    return LF_UNPACK(lo, ps, 0xffff);
  }
}
template <class E>
LF_INLINE Vec<E> unpack_high(Vec<E> a, Vec<E> b) {
  if constexpr (sizeof(E) == 8) {
    return LF_UNPACK(hi, pd, 0xff);
  } else {
    return LF_UNPACK(hi, ps, 0xffff);
  }
}
#undef LF_UNPACK
LF_INLINE void gather4(const double* table, Vec<uint64_t> index, Vec<double>* b) {
  uint64_t i[kVectorBytes / 8];
  __builtin_memcpy(i, &index, sizeof(i));
#pragma GCC unroll 2
  for (int half = 0; half < 2; ++half) {
    const auto even = reinterpret_cast<Vec<double>>(load_blocks<2>(table + 2 * half, i, 0));
    const auto odd = reinterpret_cast<Vec<double>>(load_blocks<2>(table + 2 * half, i, 1));
    b[2 * half] = unpack_low<double>(even, odd);
    b[2 * half + 1] = unpack_high<double>(even, odd);
  }
}
LF_INLINE void gather4(const float* table, Vec<uint32_t> index, Vec<float>* b) {
  uint32_t i[kVectorBytes / 4];
  __builtin_memcpy(i, &index, sizeof(i));
  const Vec<float> r0 = load_blocks<4>(table, i, 0), r1 = load_blocks<4>(table, i, 1);
  const Vec<float> r2 = load_blocks<4>(table, i, 2), r3 = load_blocks<4>(table, i, 3);
  const Vec<float> low_02 = unpack_low<float>(r0, r2), high_02 = unpack_high<float>(r0, r2);
  const Vec<float> low_13 = unpack_low<float>(r1, r3), high_13 = unpack_high<float>(r1, r3);
  b[0] = unpack_low<float>(low_02, low_13);
  b[1] = unpack_high<float>(low_02, low_13);
  b[2] = unpack_low<float>(high_02, high_13);
  b[3] = unpack_high<float>(high_02, high_13);
}
#else
template <class E, class U>
LF_INLINE void gather4(const E* table, U index, Vec<E>* b) {
  for (int k = 0; k < 4; ++k) {
    for (int i = 0; i < kVectorBytes / static_cast<int>(sizeof(E)); ++i) b[k][i] = table[index[i] + k];
  }
}
#endif
template <class E, int N>
LF_INLINE void gather4(const E* table, Pack<typename SameSizeInt<E>::Unsigned, N> index, Pack<E, N>* b) {
  Vec<E> part[N][4];
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) gather4(table, index.v[i], part[i]);
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) b[k] = Pack<E, N>::make([&](int i) { return part[i][k]; });
}

}  // namespace lf::LF_ISA
