// Looks of an observer at a group of particles, one after the other: what was read, and the accumulators that take it.
#pragma once

#include "../kernels/coefficients.hpp"
#include "../kernels/looks.hpp"

namespace lf::LF_ISA {

using Doubles = VectorOf<double>::type;
inline constexpr int kDoubles = kVectorBytes / static_cast<int>(sizeof(double));

// Half a vector of floats: as many as a vector of doubles.
typedef float HalfVector __attribute__((vector_size(kVectorBytes / 2), aligned(4)));

// E is Doubles or a double. The types of the accesses do not depend on it: see UnalignedVectorOf.
template <class E>
LF_INLINE E load_numbers(const double* from) {
  if constexpr (sizeof(E) == sizeof(double)) {
    return *from;
  } else {
    return *reinterpret_cast<const UnalignedVectorOf<double>::type*>(from);
  }
}
template <class E>
LF_INLINE void store_numbers(double* to, const E& value) {
  if constexpr (sizeof(E) == sizeof(double)) {
    *to = value;
  } else {
    *reinterpret_cast<UnalignedVectorOf<double>::type*>(to) = value;
  }
}
template <class E>
LF_INLINE void add_numbers(double* to, const E& value) {
  store_numbers(to, load_numbers<E>(to) + value);
}

// What a group shows of itself at some looks, of which there is one in more than one dimension: component c at look i
// is x[i * dim + c]. U and the gradient are there where somebody reads them, the gradient at a single look.
template <class T>
struct Seen {
  const T *x, *unwrapped, *v, *g, *energy;
  const PackedCoefficient<T>* last;  // the coefficients of the last operation of a step
  const int64_t* steps;              // after which they are
  int64_t first;                     // lane 0 is this one of all particles, ...
  const int64_t* particles;          // ... or of these
  int valid;                         // lanes
  bool whole;                        // all lanes are particles that move, side by side
  const bool* skipped;               // of each lane
  int64_t weight;                    // what is added to counts: 1, or -1 to take back what was counted in vain
  bool* arrived;                     // to be set where a particle has, which another may want to move then
};

template <class T>
struct Look {
  using Real = RealOf<T>;

  const Seen<T>& seen;
  const Series& series;    // which of the looks are its own
  const T* const* values;  // of each source, one for each look
  const int64_t* sizes;
  const double* numbers;
  double* reals;
  int64_t *marks, *counts;
  int64_t n_particles;
  int n_sources;

  LF_INLINE int64_t step(int look) const { return seen.steps[series.begin + look]; }
  LF_INLINE double* real_row(int64_t row) const { return reals + row * n_particles; }
  LF_INLINE int64_t* mark_row(int64_t row) const { return marks + row * n_particles; }

  // What was read at look number `look` of lane `lane`, or of the lanes from there on.
  template <class E>
  LF_INLINE E value(int source, int look, int lane) const {
    const Real* from = reinterpret_cast<const Real*>(values[source] + look) + lane;
    if constexpr (sizeof(E) == sizeof(double)) {
      return static_cast<double>(*from);
    } else if constexpr (sizeof(Real) == sizeof(double)) {
      return load_numbers<E>(from);
    } else {
      return __builtin_convertvector(*reinterpret_cast<const HalfVector*>(from), E);
    }
  }

  // Whether a value is above the bound of its lane at one of the looks begin .. end - 1.
  LF_INLINE bool any_above(const T& bound, int begin, int end) const {
    bool any = false;
    for (int i = 0; i < n_sources; ++i) any = any || any_above(bound, values[i] + begin, values[i] + end);
    return any;
  }
  static LF_INLINE bool any_above(const T& bound, const T* begin, const T* end) {
    if constexpr (kLanesOf<T> == 1) {
      bool any = false;
      for (; begin != end; ++begin) any = any || *begin > bound;
      return any;
    } else {
      constexpr int vectors = static_cast<int>(sizeof(T)) / kVectorBytes;
      Vec<typename SameSizeInt<Real>::Signed> found{};
      for (; begin != end; ++begin) {
#pragma GCC unroll 8
        for (int i = 0; i < vectors; ++i) found |= begin->v[i] > bound.v[i];
      }
      uint64_t words[kVectorBytes / 8], any = 0;
      __builtin_memcpy(words, &found, sizeof(words));
#pragma GCC unroll 8
      for (const uint64_t word : words) any |= word;
      return any != 0;
    }
  }

  // Calls work(an E, lane, particle): for vectors of lanes if all of them are particles that move, else for each that
  // is one.
  template <class Work>
  LF_INLINE void each(Work work) const {
    if constexpr (kLanesOf<T> >= kDoubles) {
      if (seen.whole) {
#pragma GCC unroll 8
        for (int lane = 0; lane < kLanesOf<T>; lane += kDoubles) work(Doubles(), lane, seen.first + lane);
        return;
      }
    }
    each_lane([&](int lane, int64_t particle) LF_INLINED { work(double(), lane, particle); });
  }
  template <class Work>
  LF_INLINE void each_lane(Work work) const {
    if (seen.whole) {
      const int64_t first = seen.first;
      for (int lane = 0; lane < kLanesOf<T>; ++lane) work(lane, first + lane);
      return;
    }
    for (int lane = 0; lane < seen.valid; ++lane) {
      if (!seen.skipped[lane]) work(lane, seen.particles ? seen.particles[seen.first + lane] : seen.first + lane);
    }
  }
};

}  // namespace lf::LF_ISA
