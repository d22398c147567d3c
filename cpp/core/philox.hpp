// Philox4x32-10: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC'11. A keyed bijection of 128-bit counters; no state.
#pragma once

#include "simd.hpp"

namespace lf::LF_ISA {

// The ten round keys of a 64-bit seed.
struct PhiloxKey {
  uint64_t k0[10];
  uint64_t k1[10];
};

LF_INLINE PhiloxKey philox_key(uint64_t seed) {
  PhiloxKey key;
  uint32_t k0 = static_cast<uint32_t>(seed);
  uint32_t k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    key.k0[round] = k0;
    key.k1[round] = k1;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return key;
}

// A 128-bit counter, one 32-bit word in the low half of each 64-bit lane, where the 32 x 32 -> 64 multiply wants it.
// The high halves may hold anything.
template <class W>
struct PhiloxCounter {
  W c0, c1, c2, c3;
};

// The result: words 0 and 1, and words 2 and 3, as 64-bit numbers with the even word on top.
template <class W>
struct PhiloxWords {
  W w01, w23;
};

template <class W>
LF_INLINE PhiloxCounter<W> philox_round(PhiloxCounter<W> c, uint64_t k0, uint64_t k1) {
  const W p0 = multiply_low32(c.c0, W(uint64_t(0xD2511F53u)));
  const W p1 = multiply_low32(c.c2, W(uint64_t(0xCD9E8D57u)));
  return {xor3(p1 >> 32, c.c1, W(k0)), p1, xor3(p0 >> 32, c.c3, W(k1)), p0};
}

// Rounds first .. 9. The last one leaves the two halves of a product where they are: its high half, once the other
// terms are added to it, is the even word and its low half the odd one.
template <int first, class W>
LF_INLINE PhiloxWords<W> philox_rounds(PhiloxCounter<W> c, const PhiloxKey& key) {
  if constexpr (first < 9) {
    return philox_rounds<first + 1>(philox_round(c, key.k0[first], key.k1[first]), key);
  } else {
    const W p0 = multiply_low32(c.c0, W(uint64_t(0xD2511F53u)));
    const W p1 = multiply_low32(c.c2, W(uint64_t(0xCD9E8D57u)));
    return {xor3(p1, c.c1 << 32, W(key.k0[9] << 32)), xor3(p0, c.c3 << 32, W(key.k1[9] << 32))};
  }
}

template <class W>
LF_INLINE PhiloxWords<W> philox(PhiloxCounter<W> c, const PhiloxKey& key) {
  return philox_rounds<0>(c, key);
}

// The same for counters that share words 1 and 3, and word 0 within a vector: one block index for a crowd of particles.
// What the first two rounds make of word 2 alone is computed once per crowd; what they make of the shared words is
// plain integer arithmetic. That saves a sixth of the work.
template <class W>
struct PhiloxCrowd {
  W a, b, c;

  LF_INLINE PhiloxCrowd(W word2, uint32_t word1, const PhiloxKey& key) {
    const W p1 = multiply_low32(word2, W(uint64_t(0xCD9E8D57u)));
    const W p0 = multiply_low32((p1 >> 32) ^ W(word1 ^ key.k0[0]), W(uint64_t(0xD2511F53u)));
    a = p1 ^ W(key.k0[1]);
    b = (p0 >> 32) ^ W(key.k1[1]);
    c = p0;
  }

  // Word 0 is word0 + i stride in vector i.
  LF_INLINE PhiloxWords<W> block(uint32_t word0, uint32_t stride, uint32_t word3, const PhiloxKey& key) const {
    const auto p0 = [&](int i) { return multiply_low32(word0 + uint32_t(i) * stride, 0xD2511F53u); };
    const auto p1 = [&](int i) { return multiply_low32((p0(i) >> 32) ^ word3 ^ key.k1[0], 0xCD9E8D57u); };
    const W u0 = W::make([&](int i) { return broadcast(p1(i) >> 32); });
    const W u1 = W::make([&](int i) { return broadcast(p1(i)); });
    const W u2 = W::make([&](int i) { return broadcast(p0(i)); });
    return philox_rounds<2>(PhiloxCounter<W>{a ^ u0, u1, b ^ u2, c}, key);
  }
};

}  // namespace lf::LF_ISA
