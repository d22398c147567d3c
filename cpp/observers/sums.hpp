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
  const int64_t batch = at.sizes[2] ? (k + products) * (1 + at.index / at.sizes[3]) : 0;
  // Adds a(an E, lane, particle) to a row, lane by lane.
  const auto add = [&](int64_t row, const auto& a) LF_INLINED {
    double* const sum = at.real_row(k + row);
    double* const of_batch = at.real_row(k + batch + row);
    at.each([&](auto e, int lane, int64_t particle) LF_INLINED {
      const auto value = a(e, lane, particle);
      add_numbers(sum + particle, value);
      if (batch) add_numbers(of_batch + particle, value);
    });
  };
  int64_t product = k;
  for (int i = 0; i < k; ++i) {
    double* const first = at.real_row(i);
    if (at.index == 0) {
      at.each([&](auto e, int lane, int64_t particle)
                  LF_INLINED { store_numbers(first + particle, at.template value<decltype(e)>(i, lane)); });
    }
    const auto relative = [&](auto e, int lane, int64_t particle) LF_INLINED {
      return at.template value<decltype(e)>(i, lane) - load_numbers<decltype(e)>(first + particle);
    };
    add(i, relative);
    if (which == 1) {
      add(product++, [&](auto e, int lane, int64_t particle) LF_INLINED {
        const auto a = relative(e, lane, particle);
        return a * a;
      });
    }
    for (int j = 0; which == 2 && j <= i; ++j) {
      const double* const other = at.real_row(j);
      add(product++, [&](auto e, int lane, int64_t particle) LF_INLINED {
        const auto b = at.template value<decltype(e)>(j, lane) - load_numbers<decltype(e)>(other + particle);
        return relative(e, lane, particle) * b;
      });
    }
  }
}

}  // namespace lf::LF_ISA
