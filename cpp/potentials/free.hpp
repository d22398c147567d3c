#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = 0
template <class Real>
struct Free : PotentialBase<Real> {
  static constexpr bool kCheap = true;
  template <class T>
  LF_INLINE void gradient(const T*, T* g, T*) const {
    for (int c = 0; c < this->dim; ++c) g[c] = T(Real(0));
  }
  template <class T>
  LF_INLINE T energy(const T*, T*) const {
    return T(Real(0));
  }
  LF_ENERGY_THEN_GRADIENT
};

}  // namespace lf::LF_ISA
