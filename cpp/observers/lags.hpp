// Sums over pairs of looks, a lag apart, of each particle: lags are dense where they are short, and twice as far apart
// from one level to the next (multiple tau, without averaging: every pair is one of true values).
//
// sizes: k values, lags per level p (even), levels, whether products are wanted (else squared displacements),
//        batches in time (0: none), looks in a batch
// reals: the first values, to which products are relative; the last p values of each level, (levels, p, k); then for
//        the whole, and for each batch, for each lag: the sum of products, and of both factors for each value, or the
//        sum of squared displacements alone. Lags are 0 .. p - 1 of the first level, p/2 .. p - 1 of each other; a
//        pair belongs to the batch of its later look.
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

// One of the looks.
template <class T>
LF_INLINE void add_pairs(const Look<T>& at, int look) {
  const int64_t k = at.sizes[0], p = at.sizes[1], levels = at.sizes[2];
  const int64_t index = at.series.index + look;
  const bool products = at.sizes[3];
  const int64_t sums = k + levels * p * k, rows = products ? 1 + k : 1;
  const int64_t all_rows = rows * (p + (levels - 1) * (p / 2));
  const int64_t batch = at.sizes[4] ? all_rows * (1 + index / at.sizes[5]) : 0;
  at.each([&](auto e, int lane, int64_t particle) LF_INLINED {
    using E = decltype(e);
    const auto now = [&](int64_t c) LF_INLINED {
      const E value = at.template value<E>(static_cast<int>(c), look, lane);
      return products ? value - load_numbers<E>(at.real_row(c) + particle) : value;
    };
    if (index == 0) {
      for (int64_t c = 0; c < k; ++c) {
        store_numbers(at.real_row(c) + particle, at.template value<E>(static_cast<int>(c), look, lane));
      }
    }
    const auto add = [&](int64_t row, const E& value) LF_INLINED {
      add_numbers(at.real_row(row) + particle, value);
      if (batch) add_numbers(at.real_row(row + batch) + particle, value);
    };
    int64_t sum = sums;
    for (int64_t level = 0; level < levels && index % (int64_t(1) << level) == 0; ++level) {
      const int64_t place = index >> level, slot = place % p;  // among those of this level
      const auto past = [&](int64_t lag, int64_t c) LF_INLINED {
        const int64_t its = slot - lag + (lag > slot ? p : 0);
        return at.real_row(k + (level * p + its) * k + c) + particle;
      };
      for (int64_t c = 0; c < k; ++c) store_numbers(past(0, c), now(c));
      for (int64_t lag = level ? p / 2 : 0; lag < p; ++lag, sum += rows) {
        if (lag > place) continue;
        E total = E();
        for (int64_t c = 0; c < k; ++c) {
          const E a = now(c), b = load_numbers<E>(past(lag, c));
          total += products ? a * b : (a - b) * (a - b);
          if (products) add(sum + 1 + c, a + b);
        }
        add(sum, total);
      }
    }
  });
}

template <class T>
void lags(const Look<T>& at) {
  for (int look = 0; look < at.series.n; ++look) add_pairs(at, look);
}

}  // namespace lf::LF_ISA
