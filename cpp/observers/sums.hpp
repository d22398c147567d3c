// Sums over looks of k values and of their products, of each particle.
//
// Values are taken relative to the first one of the particle, so that little is lost where their mean is far from zero.
// sizes: k, products (0: none, 1: squares, 2: all), batches in time (0: none), looks in a batch
// reals: the first values; then for the whole, and for each batch: k sums, and those of the products i, j <= i
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

template <class T>
void sums(const Look<T>& at) {
  const int64_t k = at.sizes[0], which = at.sizes[1];
  const int64_t products = which == 2 ? k * (k + 1) / 2 : which * k;
  const int64_t batch = at.sizes[2] ? k + (k + products) * (1 + at.index / at.sizes[3]) : 0;
  at.each([&](auto e, int lane, int64_t particle) LF_INLINED {
    using E = decltype(e);
    const auto add = [&](int64_t row, E value) LF_INLINED {
      add_numbers(at.real_row(k + row) + particle, value);
      if (batch) add_numbers(at.real_row(batch + row) + particle, value);
    };
    const auto relative = [&](int64_t i) LF_INLINED {
      return at.template value<E>(static_cast<int>(i), lane) - load_numbers<E>(at.real_row(i) + particle);
    };
    int64_t product = k;
    for (int64_t i = 0; i < k; ++i) {
      if (at.index == 0) store_numbers(at.real_row(i) + particle, at.template value<E>(static_cast<int>(i), lane));
      const E a = relative(i);
      add(i, a);
      if (which == 1) add(product++, a * a);
      if (which == 2) {
        for (int64_t j = 0; j <= i; ++j) add(product++, a * relative(j));
      }
    }
  });
}

}  // namespace lf::LF_ISA
