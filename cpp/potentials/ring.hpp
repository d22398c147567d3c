#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = (|x| - r)^2 / (2 w^2); the gradient at the origin is set to 0.   p: r, 1/w^2
template <class Real>
struct Ring : PotentialBase<Real> {
  static constexpr bool kCheap = true;
  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const Real* p = this->p;
    T squares = x[0] * x[0];
    for (int c = 1; c < this->dim; ++c) squares += x[c] * x[c];
    const T length = sqrt(squares);
    const T excess = length - T(p[0]);
    if (g) {
      const T over_length = select(equal(length, T(Real(0))), T(Real(0)), (T(p[1]) * excess) / length);
      for (int c = 0; c < this->dim; ++c) g[c] = over_length * x[c];
    }
    if constexpr (!with_energy) return excess;
    return T(Real(0.5)) * ((T(p[1]) * excess) * excess);
  }
};

}  // namespace lf::LF_ISA
