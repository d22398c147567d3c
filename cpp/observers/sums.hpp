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
  const int64_t k = at.sizes[0], which = at.sizes[1], length = at.sizes[2] ? at.sizes[3] : 0;
  const int64_t products = which == 2 ? k * (k + 1) / 2 : which * k;
  for (int i = 0; at.series.index == 0 && i < k; ++i) {
    at.each([&](auto e, int lane, int64_t particle)
                LF_INLINED { store_numbers(at.real_row(i) + particle, at.template value<decltype(e)>(i, 0, lane)); });
  }
  // The looks of one batch at a time.
  for (int begin = 0, end = at.series.n; begin < at.series.n; begin = end) {
    int64_t batch = 0;
    if (length) {
      const int64_t number = (at.series.index + begin) / length, next = (number + 1) * length - at.series.index;
      batch = (k + products) * (1 + number);
      end = next < at.series.n ? static_cast<int>(next) : at.series.n;
    }
    // Adds a(an E, look, lane, particle) of all looks to a row, lane by lane.
    const auto add = [&](int64_t row, const auto& a) LF_INLINED {
      double* const sum = at.real_row(k + row);
      double* const sum_of_batch = at.real_row(k + batch + row);
      at.each([&](auto e, int lane, int64_t particle) LF_INLINED {
        using E = decltype(e);
        E total = load_numbers<E>(sum + particle);
        for (int look = begin; look < end; ++look) {
          const E value = a(e, look, lane, particle);
          total += value;
          if (batch) add_numbers(sum_of_batch + particle, value);
        }
        store_numbers(sum + particle, total);
      });
    };
    const auto relative = [&](auto e, int i, int look, int lane, int64_t particle) LF_INLINED {
      using E = decltype(e);
      return at.template value<E>(i, look, lane) - load_numbers<E>(at.real_row(i) + particle);
    };
    int64_t product = k;
    for (int i = 0; i < k; ++i) {
      add(i, [&](auto e, int look, int lane, int64_t particle)
                 LF_INLINED { return relative(e, i, look, lane, particle); });
      for (int j = which == 2 ? 0 : i; which && j <= i; ++j) {
        add(product++, [&](auto e, int look, int lane, int64_t particle) LF_INLINED {
          const auto b = relative(e, j, look, lane, particle);
          return relative(e, i, look, lane, particle) * b;
        });
      }
    }
  }
}

}  // namespace lf::LF_ISA
