// The first step after which one of the values of a particle is positive.
//
// sizes: 2 if particles start anew where they arrive; how many values there are
// marks: that step, or -1; if they start anew, the last such step, and how many there were; which value it was
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

template <class T>
void passages(const Look<T>& at) {
  const int n = static_cast<int>(at.sizes[1]);
  bool any = false;
  for (int i = 0; i < n; ++i) any = any || at.any_positive(i);
  if (!any) return;  // as a rule
  const bool anew = at.sizes[0] == 2;
  int64_t *const first = at.mark_row(0), *const last = at.mark_row(1), *const which = at.mark_row(anew ? 3 : 1);
  at.each_lane([&](int lane, int64_t particle) LF_INLINED {
    int i = 0;
    while (i < n && !(at.template value<double>(i, lane) > 0.0)) ++i;
    if (i == n) return;
    *at.seen.arrived = true;
    if (first[particle] < 0) {
      first[particle] = at.seen.step;
      which[particle] = i;
    }
    if (anew) {
      last[particle] = at.seen.step;
      ++at.mark_row(2)[particle];
    }
  });
}

}  // namespace lf::LF_ISA
