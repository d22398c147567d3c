// The first step after which one of the values of a particle is positive.
//
// sizes: 2 if particles start anew where they arrive; how many values there are
// marks: that step, or -1; if they start anew, the last such step, and how many there were; which value it was
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

// The first of the looks at which a particle arrives for the first time, or, if they start anew, at which one arrives;
// the number of looks: there is none.
template <class T>
int first_arrival(const Look<T>& at) {
  using Real = RealOf<T>;
  const int n = at.series.n;
  if (!at.any_above(T(Real(0)), 0, n)) return n;  // as a rule
  const bool anew = at.sizes[0] == 2;
  const int64_t* const first = at.mark_row(0);
  T bound = T(static_cast<Real>(__builtin_inf()));
  at.each_lane([&](int lane, int64_t particle) LF_INLINED {
    if (anew || first[particle] < 0) set_lane(bound, lane, Real(0));
  });
  if (!at.any_above(bound, 0, n)) return n;
  int look = 0;
  while (!at.any_above(bound, look, look + 1)) ++look;
  return look;
}

template <class T>
void passages(const Look<T>& at) {
  const int n_values = static_cast<int>(at.sizes[1]);
  const bool anew = at.sizes[0] == 2;
  int64_t *const first = at.mark_row(0), *const last = at.mark_row(1), *const which = at.mark_row(anew ? 3 : 1);
  for (int look = first_arrival(at); look < at.series.n; ++look) {
    const int64_t step = at.step(look);
    at.each_lane([&](int lane, int64_t particle) LF_INLINED {
      if (!anew && first[particle] >= 0) return;
      int i = 0;
      while (i < n_values && !(at.template value<double>(i, look, lane) > 0.0)) ++i;
      if (i == n_values) return;
      *at.seen.arrived = true;
      if (first[particle] < 0) {
        first[particle] = step;
        which[particle] = i;
      }
      if (anew) {
        last[particle] = step;
        ++at.mark_row(2)[particle];
      }
    });
  }
}

}  // namespace lf::LF_ISA
