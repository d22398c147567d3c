// The random numbers of a group of particles, a row at a time: row i holds number i of every particle's stream.
#pragma once

#include "normals.hpp"
#include "tags.hpp"

namespace lf::LF_ISA {

// Noise is made four vectors at a time, on every level: more do not fit in the registers with all their temporaries.
inline constexpr int kNoiseVectors = 4;
inline constexpr int kWordLanes = kVectorBytes / 8;
using NoiseWords = Pack<uint64_t, kNoiseVectors>;

template <class Real>
inline constexpr int kPerBlock = 16 / static_cast<int>(sizeof(Real));  // numbers that one Philox block gives
// Vectors of 64-bit words that make one vector of reals; with two, even lanes come from the first.
template <class Real>
inline constexpr int kWordVectors = 8 / static_cast<int>(sizeof(Real));

enum class Law { normal, uniform };

// Numbers kPerBlock b ... of block b, from its words (for single precision: of the even and of the odd lanes).
template <Law law, class P>
LF_INLINE void numbers_of_block(const PhiloxWords<NoiseWords>* w, P* out) {
  using Bits = BitsOf<P>;
  Bits words[kPerBlock<RealOf<P>>];
  if constexpr (sizeof(RealOf<P>) == 8) {
    words[0] = w[0].w01;
    words[1] = w[0].w23;
  } else {
    words[0] = Bits::make([&](int i) { return high_halves(w[1].w01.v[i], w[0].w01.v[i]); });
    words[1] = Bits::make([&](int i) { return low_halves(w[1].w01.v[i], w[0].w01.v[i]); });
    words[2] = Bits::make([&](int i) { return high_halves(w[1].w23.v[i], w[0].w23.v[i]); });
    words[3] = Bits::make([&](int i) { return low_halves(w[1].w23.v[i], w[0].w23.v[i]); });
  }
#pragma GCC unroll 4
  for (int i = 0; i < kPerBlock<RealOf<P>>; i += 2) {
    if constexpr (law == Law::normal) {
      const PairOf<P> z = normals_of_words<P>(words[i], words[i + 1]);
      out[i] = z.first;
      out[i + 1] = z.second;
    } else {
      out[i] = uniform_of_word<P>(words[i]);
      out[i + 1] = uniform_of_word<P>(words[i + 1]);
    }
  }
}

// The tag at its place in the counter.
template <class Real>
LF_INLINE uint64_t tag_bits(Tag tag) {
  return (static_cast<uint64_t>(tag) + (sizeof(Real) == 4 ? uint64_t(kSinglePrecision) : 0)) << 24;
}

template <class Real>
LF_INLINE uint64_t counter_high(uint64_t particle, Tag tag) {
  return ((particle >> 32) & 0xffffffu) | tag_bits<Real>(tag);
}

// The streams of the particles in the lanes of T.
template <class T>
struct Lanes;

// One particle: its blocks fill the lanes, so the noise of many steps is made at once.
template <>
struct Lanes<double> {
  uint64_t particle;
};
template <>
struct Lanes<float> {
  uint64_t particle;
};

template <class Real, int N>
struct Lanes<Pack<Real, N>> {
  // [vector][even or odd lanes][lane]: the order in which the words of a T are computed
  alignas(64) uint64_t low[N][kWordVectors<Real>][kWordLanes];
  alignas(64) uint64_t high[N][kWordVectors<Real>][kWordLanes];
  bool shared_high;  // all the same, so that PhiloxCrowd applies

  void set(const uint64_t* particles) {
    shared_high = true;
    for (int lane = 0; lane < Pack<Real, N>::kLanes; ++lane) {
      constexpr int per_vector = kWordVectors<Real> * kWordLanes;
      const int vector = lane / per_vector, in_vector = lane % per_vector;
      const int part = in_vector % kWordVectors<Real>, place = in_vector / kWordVectors<Real>;
      low[vector][part][place] = particles[lane] & 0xffffffffu;
      high[vector][part][place] = particles[lane];
      shared_high = shared_high && (particles[lane] >> 32) == (particles[0] >> 32);
    }
  }
};

LF_INLINE Vec<uint64_t> load_words(const uint64_t* p) { return *reinterpret_cast<const Vec<uint64_t>*>(p); }

// Rows [kPerBlock first_block, kPerBlock (first_block + n_blocks)) of a crowd; row i goes to out + i pitch.
template <Law law, class Real, int N>
__attribute__((noinline)) void fill_rows(Real* out, int64_t pitch, uint64_t first_block, int n_blocks,
                                         const Lanes<Pack<Real, N>>& lanes, Tag tag, const PhiloxKey& key) {
  using W = NoiseWords;
  using P = Pack<Real, kNoiseVectors>;
  constexpr int parts = kWordVectors<Real>, rows = kPerBlock<Real>;
  // A pack of one vector takes four blocks at a time; a wide one takes four of its vectors at a time.
  constexpr bool along_time = N < kNoiseVectors;
  static_assert(along_time ? N == 1 : N % kNoiseVectors == 0, "packs have one vector or a multiple of four");
  constexpr int step = along_time ? kNoiseVectors : 1;
  constexpr int groups = along_time ? 1 : N / kNoiseVectors;

  for (int group = 0; group < groups; ++group) {
    const auto vector = [&](int i) { return along_time ? 0 : group * kNoiseVectors + i; };
    W low[parts], high[parts];
    for (int q = 0; q < parts; ++q) {
      low[q] = W::make([&](int i) { return load_words(lanes.low[vector(i)][q]); });
      high[q] =
          ((W::make([&](int i) { return load_words(lanes.high[vector(i)][q]); }) >> 32) & W(uint64_t(0xffffffu))) |
          W(tag_bits<Real>(tag));
    }
    constexpr int vector_lanes = kVectorBytes / static_cast<int>(sizeof(Real));
    const auto store = [&](int block, const P* z) LF_INLINED {
#pragma GCC unroll 4
      for (int r = 0; r < rows; ++r) {
#pragma GCC unroll 4
        for (int i = 0; i < kNoiseVectors; ++i) {
          if (along_time && block + i >= n_blocks) break;
          Real* to = along_time ? out + ((block + i) * rows + r) * pitch
                                : out + (block * rows + r) * pitch + (group * kNoiseVectors + i) * vector_lanes;
          __builtin_memcpy(to, &z[r].v[i], kVectorBytes);
        }
      }
    };
    const bool same_word1 = (first_block >> 32) == ((first_block + uint64_t(n_blocks) + kNoiseVectors) >> 32);
    if (lanes.shared_high && same_word1) {
      const uint32_t word1 = static_cast<uint32_t>(first_block >> 32);
      const uint32_t word3 = static_cast<uint32_t>(counter_high<Real>(lanes.high[0][0][0], tag));
      PhiloxCrowd<W> crowd[2] = {{low[0], word1, key}, {low[parts - 1], word1, key}};
      for (int block = 0; block < n_blocks; block += step) {
        const uint32_t word0 = static_cast<uint32_t>(first_block) + uint32_t(block);
        PhiloxWords<W> words[parts];
#pragma GCC unroll 4
        for (int q = 0; q < parts; ++q) words[q] = crowd[q].block(word0, along_time ? 1 : 0, word3, key);
        P z[rows];
        numbers_of_block<law>(words, z);
        store(block, z);
      }
    } else {
      for (int block = 0; block < n_blocks; block += step) {
        const W index = W::make([&](int i) { return broadcast(first_block + uint64_t(block + (along_time ? i : 0))); });
        PhiloxWords<W> words[parts];
#pragma GCC unroll 4
        for (int q = 0; q < parts; ++q) words[q] = philox(PhiloxCounter<W>{index, index >> 32, low[q], high[q]}, key);
        P z[rows];
        numbers_of_block<law>(words, z);
        store(block, z);
      }
    }
  }
}

// The same for one particle.
template <Law law, class Real>
__attribute__((noinline)) void fill_rows(Real* out, uint64_t first_block, int n_blocks, const Lanes<Real>& lanes,
                                         Tag tag, const PhiloxKey& key) {
  using W = NoiseWords;
  using P = Pack<Real, kNoiseVectors>;
  constexpr int parts = kWordVectors<Real>, rows = kPerBlock<Real>;
  alignas(64) uint64_t place[parts][kNoiseVectors][kWordLanes];
  for (int lane = 0; lane < P::kLanes; ++lane) {
    const int vector = lane / (parts * kWordLanes), in_vector = lane % (parts * kWordLanes);
    place[in_vector % parts][vector][in_vector / parts] = uint64_t(lane);
  }
  const W low(lanes.particle), high(counter_high<Real>(lanes.particle, tag));
  for (int block = 0; block < n_blocks; block += P::kLanes) {
    PhiloxWords<W> words[parts];
    for (int q = 0; q < parts; ++q) {
      const W index = W(first_block + uint64_t(block)) + W::make([&](int i) { return load_words(place[q][i]); });
      words[q] = philox(PhiloxCounter<W>{index, index >> 32, low, high}, key);
    }
    P z[rows];
    numbers_of_block<law>(words, z);
    alignas(64) Real numbers[rows][P::kLanes];
    __builtin_memcpy(numbers, z, sizeof(numbers));
    const int valid = n_blocks - block < P::kLanes ? n_blocks - block : P::kLanes;
    for (int lane = 0; lane < valid; ++lane) {
      for (int r = 0; r < rows; ++r) out[(block + lane) * rows + r] = numbers[r][lane];
    }
  }
}

// The rows of a group of particles, one after the other, made a window at a time; memory comes from outside.
template <class T, Law law>
class Window {
 public:
  using Real = RealOf<T>;
  // About 16 KiB: the window shares the first-level cache with the state.
  static constexpr int kBytes = 16384;
  static constexpr int kMostRows = kLanesOf<T> == 1 ? 512 : 128;
  static constexpr int kRows =
      kBytes / static_cast<int>(sizeof(T)) < kMostRows ? kBytes / static_cast<int>(sizeof(T)) : kMostRows;

  // Rows from `limit` on are not wanted: nothing is made beyond their block.
  void reset(T* memory, Tag tag, uint64_t first, uint64_t limit) {
    rows_ = memory;
    begin_ = end_ = memory;
    tag_ = tag;
    next_ = first;
    limit_ = limit;
  }

  // Those that are there.
  const T* begin() const { return begin_; }
  const T* end() const { return end_; }
  void drop_until(const T* row) { begin_ = row; }

  // The next row.
  LF_INLINE const T& next(const Lanes<T>& lanes, const PhiloxKey& key) {
    if (begin_ == end_) refill(lanes, key);
    return *begin_++;
  }

  // The next rows; `count`, how many are wanted, becomes how many these are (at least one).
  LF_INLINE const T* next(int& count, const Lanes<T>& lanes, const PhiloxKey& key) {
    if (begin_ == end_) refill(lanes, key);
    const T* const first = begin_;
    if (end_ - first < count) count = static_cast<int>(end_ - first);
    begin_ += count;
    return first;
  }

  // Once all are used: those that follow.
  void refill(const Lanes<T>& lanes, const PhiloxKey& key) {
    const uint64_t block = next_ / kPerBlock<Real>, first = block * kPerBlock<Real>;
    const uint64_t wanted = (limit_ - first + kPerBlock<Real> - 1) / kPerBlock<Real>;
    const int n = wanted < kRows / kPerBlock<Real> ? static_cast<int>(wanted) : kRows / kPerBlock<Real>;
    if constexpr (kLanesOf<T> == 1) {
      fill_rows<law>(rows_, block, n, lanes, tag_, key);
    } else {
      fill_rows<law>(reinterpret_cast<Real*>(rows_), kLanesOf<T>, block, n, lanes, tag_, key);
    }
    begin_ = rows_ + (next_ - first);
    end_ = rows_ + n * kPerBlock<Real>;
    next_ = first + uint64_t(n) * kPerBlock<Real>;
  }

 private:
  T* rows_;
  const T *begin_, *end_;
  Tag tag_;
  uint64_t next_, limit_;  // the row after end_; the first that nobody wants
};

}  // namespace lf::LF_ISA
