#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = s ((a - x)^2 + b (y - x^2)^2).   p: s, a, s b
template <class Real>
struct Rosenbrock : PotentialBase<Real> {
  static constexpr int kSmallestDim = 2;

  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const Real* p = this->p;
    const T d = x[0] - T(p[1]);
    const T t = x[1] - x[0] * x[0];
    const T sd = T(p[0]) * d, bt = T(p[2]) * t;
    if (g) {
      g[0] = (sd + sd) - T(Real(4)) * (x[0] * bt);
      g[1] = bt + bt;
    }
    if constexpr (!with_energy) return d;
    return sd * d + bt * t;
  }
};

}  // namespace lf::LF_ISA
