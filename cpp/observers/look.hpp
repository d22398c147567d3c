// One look of an observer at a group of particles: what was read, and the accumulators that take it.
#pragma once

#include "../kernels/cells.hpp"
#include "../kernels/problem.hpp"

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

template <class T>
struct Look {
  using Real = RealOf<T>;

  int64_t index;  // how many looks came before this one
  int64_t step;
  const T* values;  // one for each source
  const int64_t* sizes;
  const double* numbers;
  double* reals;
  int64_t *marks, *counts;
  int64_t n_particles;
  int64_t first;             // lane 0 is this one of all, ...
  const int64_t* particles;  // ... or of these
  int valid;                 // lanes
  bool whole;                // all lanes are particles that move, side by side
  const bool* skipped;       // of each lane
  int64_t weight;            // what is added to counts: 1, or -1 to take back what was counted in vain

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

  // Calls work(an E, lane, particle): for vectors of lanes if all of them are particles that move, else for each that
  // is one.
  template <class Work>
  LF_INLINE void each(Work work) const {
    if constexpr (kLanesOf<T> >= kDoubles) {
      if (whole) {
        for (int lane = 0; lane < kLanesOf<T>; lane += kDoubles) work(Doubles(), lane, first + lane);
        return;
      }
    }
    each_lane([&](int lane, int64_t particle) LF_INLINED { work(double(), lane, particle); });
  }
  template <class Work>
  LF_INLINE void each_lane(Work work) const {
    for (int lane = 0; lane < valid; ++lane) {
      if (!skipped[lane]) work(lane, particles ? particles[first + lane] : first + lane);
    }
  }
};

}  // namespace lf::LF_ISA
