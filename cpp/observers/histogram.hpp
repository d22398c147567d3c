// How many values fall into which bin: half-open intervals of one width, of one value or of two.
//
// sizes: axes, bins of each (1 where there is one axis), batches, looks in a batch in time (0: batches are of
//        particles), particles in such a batch
// numbers: lower end and bins per length of each axis
// counts: for each batch: (bins of the first axis, bins of the second), and what fell outside
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

template <class T>
void histogram(const Look<T>& at) {
  const int64_t axes = at.sizes[0], second = at.sizes[2], outside = at.sizes[1] * second;
  double bins[2][kLanesOf<T>];
  at.each([&](auto e, int lane, int64_t) LF_INLINED {
    using E = decltype(e);
    for (int axis = 0; axis < axes; ++axis) {
      const E value = at.template value<E>(axis, lane);
      store_numbers<E>(bins[axis] + lane, (value - at.numbers[2 * axis]) * at.numbers[2 * axis + 1]);
    }
  });
  const double n_first = static_cast<double>(at.sizes[1]), n_second = static_cast<double>(second);
  const int64_t batch = at.sizes[4] ? at.index / at.sizes[4] : -1;
  at.each_lane([&](int lane, int64_t particle) LF_INLINED {
    // NaN is in no bin either
    int64_t bin = bins[0][lane] >= 0.0 && bins[0][lane] < n_first ? static_cast<int>(bins[0][lane]) : outside;
    if (axes == 2 && bin != outside) {
      const bool inside = bins[1][lane] >= 0.0 && bins[1][lane] < n_second;
      bin = inside ? bin * second + static_cast<int>(bins[1][lane]) : outside;
    }
    at.counts[(batch < 0 ? particle / at.sizes[5] : batch) * (outside + 1) + bin] += at.weight;
  });
}

}  // namespace lf::LF_ISA
