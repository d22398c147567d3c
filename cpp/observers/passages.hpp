// The first step after which the value of a particle is positive.
//
// sizes: 2: particles start anew where they arrive
// marks: the first such step, or -1; then, if they start anew, the last one, and how many there were
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

template <class T>
void passages(const Look<T>& at) {
  if (!at.any_positive(0)) return;  // as a rule
  int64_t* const steps = at.mark_row(0);
  at.each_lane([&](int lane, int64_t particle) LF_INLINED {
    if (!(at.template value<double>(0, lane) > 0.0)) return;
    if (steps[particle] < 0) steps[particle] = at.seen.step;
    if (at.sizes[0] == 2) {
      at.mark_row(1)[particle] = at.seen.step;
      ++at.mark_row(2)[particle];
    }
  });
}

}  // namespace lf::LF_ISA
