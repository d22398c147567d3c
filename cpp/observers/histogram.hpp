// How many values fall into which bin: half-open intervals of one width, of one value or of two.
//
// sizes: axes, bins of each (1 where there is one axis), batches, looks in a batch in time (0: batches are of
//        particles), particles in such a batch
// numbers: lower end and bins per length of each axis
// counts: for each batch: (bins of the first axis, bins of the second), and what fell outside
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

typedef int HalfIntegers __attribute__((vector_size(kVectorBytes / 2)));

// E is Doubles or a double: the number of the bin, or what is outside. NaN is in no bin.
template <class E>
LF_INLINE void store_bins(int* to, E place, double n, double outside) {
  if constexpr (sizeof(E) == sizeof(double)) {
    *to = static_cast<int>(place >= 0.0 && place < n ? place : outside);
  } else {
    const E number = (place >= 0.0) & (place < n) ? place : E{} + outside;
    const HalfIntegers bins = __builtin_convertvector(number, HalfIntegers);
    __builtin_memcpy(to, &bins, sizeof(bins));
  }
}

template <class T>
void histogram(const Look<T>& at) {
  const int64_t axes = at.sizes[0], second = at.sizes[2], outside = at.sizes[1] * second;
  const int64_t length = at.sizes[4], per_batch = at.sizes[5], weight = at.seen.weight;
  // Batches are long: as a rule all lanes are in one of them.
  const int64_t of_particles = at.seen.first / per_batch;
  const bool one = length || (at.seen.whole && (at.seen.first + kLanesOf<T> - 1) / per_batch == of_particles);
  for (int look = 0; look < at.series.n; ++look) {
    int bins[2][kLanesOf<T>];
    at.each([&](auto e, int lane, int64_t) LF_INLINED {
      using E = decltype(e);
      for (int axis = 0; axis < axes; ++axis) {
        const E place = (at.template value<E>(axis, look, lane) - at.numbers[2 * axis]) * at.numbers[2 * axis + 1];
        const double n = static_cast<double>(at.sizes[1 + axis]);
        store_bins(bins[axis] + lane, place, n, axes == 1 ? n : -1.0);
      }
    });
    const int64_t batch = length ? (at.series.index + look) / length : of_particles;
    // Not read again after every count, which might have changed them for all that the compiler knows.
    int64_t* const counts = at.counts + (one ? batch * (outside + 1) : 0);
    if (one && axes == 1 && at.seen.whole) {
      for (const int bin : bins[0]) counts[bin] += weight;
      continue;
    }
    at.each_lane([&](int lane, int64_t particle) LF_INLINED {
      int64_t bin = bins[0][lane];
      if (axes == 2) bin = bin < 0 || bins[1][lane] < 0 ? outside : bin * second + bins[1][lane];
      counts[(one ? 0 : particle / per_batch * (outside + 1)) + bin] += weight;
    });
  }
}

}  // namespace lf::LF_ISA
