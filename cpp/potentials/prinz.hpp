#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = 4 (x^8 + 0.8 e^{-80 x^2} + 0.2 e^{-80 (x-1/2)^2} + 0.5 e^{-40 (x+1/2)^2}), one-dimensional.
template <class Real>
struct Prinz : PotentialBase<Real> {
  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const T u = x[0], l = u - T(Real(0.5)), r = u + T(Real(0.5));
    const T e1 = exp(T(Real(-80)) * (u * u));
    const T e2 = exp(T(Real(-80)) * (l * l));
    const T e3 = exp(T(Real(-40)) * (r * r));
    const T u2 = u * u, u4 = u2 * u2;
    if (g) {
      const T wells = (T(Real(128)) * (u * e1) + T(Real(32)) * (l * e2)) + T(Real(40)) * (r * e3);
      g[0] = T(Real(4)) * (T(Real(8)) * ((u4 * u2) * u) - wells);
    }
    if constexpr (!with_energy) return u;
    return T(Real(4)) * (u4 * u4 + ((T(Real(0.8)) * e1 + T(Real(0.2)) * e2) + T(Real(0.5)) * e3));
  }
};

}  // namespace lf::LF_ISA
