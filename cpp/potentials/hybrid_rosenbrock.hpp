#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = a (x_1 - mu)^2 + sum_{j,i} b_{j,i} (x_{j,i} - x_{j,i-1}^2)^2, x_{j,1} = x_1; x = (x_1, x_{1,2} .. x_{1,n1},
// x_{2,2} ..). p: a, mu, n1 - 1, b[n2][n1 - 1]
template <class Real>
struct HybridRosenbrock : PotentialBase<Real> {
  static constexpr bool kCheap = true;
  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const Real *p = this->p, *b = p + 3;
    const int length = static_cast<int>(p[2]);
    const T d = x[0] - T(p[1]);
    const T ad = T(p[0]) * d;
    T sum = ad * d;
    if (g) g[0] = ad + ad;
    for (int start = 1; start < this->dim; start += length) {
      for (int i = start; i < start + length; ++i) {
        const int previous = i == start ? 0 : i - 1;
        const T t = x[i] - x[previous] * x[previous];
        const T bt = T(b[i - 1]) * t;
        if (with_energy) sum += bt * t;
        if (g) {
          g[i] = bt + bt;
          g[previous] = g[previous] - T(Real(4)) * (x[previous] * bt);
        }
      }
    }
    return sum;
  }
};

}  // namespace lf::LF_ISA
