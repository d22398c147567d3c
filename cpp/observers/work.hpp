// What becomes of the energy of each particle in a step: the work, the heat and the rest are values 0, 1 and 2.
//
// reals: their sums
#pragma once

#include "look.hpp"

namespace lf::LF_ISA {

template <class T>
void work(const Look<T>& at) {
  at.each([&](auto e, int lane, int64_t particle) LF_INLINED {
    using E = decltype(e);
    for (int i = 0; i < 3; ++i) add_numbers(at.real_row(i) + particle, at.template value<E>(i, 0, lane));
  });
}

}  // namespace lf::LF_ISA
