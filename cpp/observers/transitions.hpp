// From which core set to which: a particle belongs to the set in which it was last. Value i says whether it is in set
// i.
//
// sizes: sets, looks in a lag, particles in a batch
// marks: the set of the particle, and the one at the last multiple of the lag; -1: none yet
// counts: for each batch (from, to)
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

template <class T>
void transitions(const Look<T>& at) {
  const int64_t sets = at.sizes[0], lag = at.sizes[1], phase = at.series.index % lag;
  const int first_counted = static_cast<int>(phase ? (lag - phase < at.series.n ? lag - phase : at.series.n) : 0);
  int64_t *const now = at.mark_row(0), *const before = at.mark_row(1);
  at.each_lane([&](int lane, int64_t particle) LF_INLINED {
    int64_t to = now[particle], counted = first_counted;
    for (int look = 0; look < at.series.n; ++look) {
      for (int64_t i = 0; i < sets; ++i) {
        if (at.template value<double>(static_cast<int>(i), look, lane) > 0.0) to = i;
      }
      if (look != counted) continue;
      counted += lag;
      const int64_t from = before[particle];
      if (from >= 0 && to >= 0) at.counts[(particle / at.sizes[2] * sets + from) * sets + to] += at.seen.weight;
      before[particle] = to;
    }
    now[particle] = to;
  });
}

}  // namespace lf::LF_ISA
