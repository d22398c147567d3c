// One look of an observer at a group of particles: what was read, and the accumulators that take it.
#pragma once

#include "../kernels/coefficients.hpp"

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

// What a group shows of itself. U and the gradient are there where somebody reads them.
template <class T>
struct Seen {
  const T *x, *unwrapped, *v, *g, *energy;
  const PackedCoefficient<T>* last;  // the coefficients of the last operation of a step
  int64_t step;
  int64_t first;             // lane 0 is this one of all particles, ...
  const int64_t* particles;  // ... or of these
  int valid;                 // lanes
  bool whole;                // all lanes are particles that move, side by side
  const bool* skipped;       // of each lane
  int64_t weight;            // what is added to counts: 1, or -1 to take back what was counted in vain
  bool* arrived;             // to be set where a particle has, which another may want to move then
};

template <class T>
struct Look {
  using Real = RealOf<T>;

  const Seen<T>& seen;
  int64_t index;    // how many looks came before this one
  const T* values;  // one for each source
  const int64_t* sizes;
  const double* numbers;
  double* reals;
  int64_t *marks, *counts;
  int64_t n_particles;

  LF_INLINE double* real_row(int64_t row) const { return reals + row * n_particles; }
  LF_INLINE int64_t* mark_row(int64_t row) const { return marks + row * n_particles; }

  // What was read of lane `lane`, or of the lanes from there on.
  template <class E>
  LF_INLINE E value(int source, int lane) const {
    const Real* from = reinterpret_cast<const Real*>(values + source) + lane;
    if constexpr (sizeof(E) == sizeof(double)) {
      return static_cast<double>(*from);
    } else if constexpr (sizeof(Real) == sizeof(double)) {
      return load_numbers<E>(from);
    } else {
      return __builtin_convertvector(*reinterpret_cast<const HalfVector*>(from), E);
    }
  }

  // Whether a value is positive in any lane, be it one that counts or not.
  LF_INLINE bool any_positive(int source) const {
    if constexpr (kLanesOf<T> == 1) {
      return values[source] > Real(0);
    } else {
      auto found = values[source].v[0] > Vec<Real>{};
      constexpr int vectors = static_cast<int>(sizeof(T)) / kVectorBytes;
#pragma GCC unroll 8
      for (int i = 1; i < vectors; ++i) found |= values[source].v[i] > Vec<Real>{};
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
