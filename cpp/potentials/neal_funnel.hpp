#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = v^2 / (2 sigma^2) + sum_{i>=2} (x_i^2 e^{-v} / 2 + v / 2), v = x_1.   p: 1/sigma^2, (dim - 1)/2
template <class Real>
struct NealFunnel : PotentialBase<Real> {
  static constexpr bool kCheap = true;
  static constexpr int kSmallestDim = 2;

  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const Real* p = this->p;
    const T scale = exp(-x[0]);
    T squares = T(Real(0));
    for (int c = 1; c < this->dim; ++c) {
      squares += x[c] * x[c];
      if (g) g[c] = x[c] * scale;
    }
    const T half = T(Real(0.5)) * (squares * scale);
    const T pv = T(p[0]) * x[0];
    if (g) g[0] = (pv - half) + T(p[1]);
    if constexpr (!with_energy) return half;
    return (T(Real(0.5)) * (pv * x[0]) + half) + T(p[1]) * x[0];
  }
};

}  // namespace lf::LF_ISA
