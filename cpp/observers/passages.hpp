// The first step after which the value of a particle is positive.
//
// marks: that step, or -1
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

template <class T>
void passages(const Look<T>& at) {
  int64_t* const steps = at.mark_row(0);
  at.each_lane([&](int lane, int64_t particle) LF_INLINED {
    if (at.template value<double>(0, lane) > 0.0 && steps[particle] < 0) steps[particle] = at.step;
  });
}

}  // namespace lf::LF_ISA
