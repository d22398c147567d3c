// From Philox words to uniforms and normals (Box and Muller 1958).
//
// double: one block gives two normals (two uniforms); single: four normals (four uniforms).
//   radius  u = (w | 1) 2^-64 (double, w = words 0 and 1) or (w | 1) 2^-32 (single), w rounded to working precision, so
//           0 < u <= 1; r = sqrt(-2 log u) reaches 9.4 (double) and 6.6 (single)
//   angle   a signed fraction t of an eighth turn, |t| <= 1, from all bits of a second word as a two's complement
//   number;
//           the two lowest bits of that word choose the quarter turn: bit 0 the sign of r, bit 1 which normal gets the
//           cosine
#pragma once

#include "math.hpp"
#include "philox.hpp"

namespace lf::LF_ISA {

template <class T>
struct PairOf {
  T first;
  T second;
};

template <class T>
inline constexpr int kWordBits = 8 * static_cast<int>(sizeof(RealOf<T>));

// `angle` is the word of the angle in lanes as wide as T; t its value as a fraction of an eighth turn.
template <class T>
LF_INLINE PairOf<T> polar(T radius, T t, BitsOf<T> angle) {
  using Bits = BitsOf<T>;
  const T r = from_bits(Bits(to_bits(radius) ^ (angle << (kWordBits<T> - 1))));
  const SinCos<T> sc = sincos_eighth(t);
  const auto swap = bit_is_set<T>(angle, 1);
  return {r * select(swap, sc.sin, sc.cos), r * select(swap, sc.cos, sc.sin)};
}

// Two normals from two words as wide as the reals of T.
template <class T>
LF_INLINE PairOf<T> normals_of_words(BitsOf<T> radius, BitsOf<T> angle) {
  const T r = sqrt(scaled_log<-2, kWordBits<T>>(unsigned_to_real(radius | BitsOf<T>(1))));
  constexpr RealOf<T> scale = kWordBits<T> == 64 ? RealOf<T>(0x1p-63) : RealOf<T>(0x1p-31);
  return polar<T>(r, signed_to_real(angle) * T(scale), angle);
}

// Uniform in (0, 1] from one word.
template <class T>
LF_INLINE T uniform_of_word(BitsOf<T> word) {
  constexpr RealOf<T> scale = kWordBits<T> == 64 ? RealOf<T>(0x1p-64) : RealOf<T>(0x1p-32);
  return unsigned_to_real(word | BitsOf<T>(1)) * T(scale);
}

}  // namespace lf::LF_ISA
