#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = b ((x_1/w)^2 - 1)^2 + t x_1 + 1/2 k sum_{i>=2} x_i^2.   p: b, 1/w^2, t, k, 4 b/w^4, 4 b/w^2
template <class Real>
struct DoubleWell : PotentialBase<Real> {
  static constexpr bool kCheap = true;
  template <class T>
  LF_INLINE void gradient(const T* x, T* g, T*) const {
    const Real* p = this->p;
    // three operations deep: a single trajectory waits for this
    g[0] = (x[0] * x[0]) * (T(p[4]) * x[0]) - (T(p[5]) * x[0] - T(p[2]));
    for (int c = 1; c < this->dim; ++c) g[c] = T(p[3]) * x[c];
  }
  template <class T>
  LF_INLINE T energy(const T* x, T*) const {
    const Real* p = this->p;
    const T q = (x[0] * x[0]) * T(p[1]) - T(Real(1));
    T sum = T(Real(0));
    for (int c = 1; c < this->dim; ++c) sum += x[c] * x[c];
    return (T(p[0]) * (q * q) + T(p[2]) * x[0]) + (T(Real(0.5)) * T(p[3])) * sum;
  }
  LF_ENERGY_THEN_GRADIENT
};

}  // namespace lf::LF_ISA
