#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = sum_{k<4} A_k exp(a_k (x-X_k)^2 + b_k (x-X_k)(y-Y_k) + c_k (y-Y_k)^2).   p: A[4], a[4], b[4], c[4], X[4], Y[4]
template <class Real>
struct MullerBrown : PotentialBase<Real> {
  static constexpr int kSmallestDim = 2;

  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const Real* p = this->p;
    T sum = T(Real(0)), gx = T(Real(0)), gy = T(Real(0));
    for (int k = 0; k < 4; ++k) {
      const T a = T(p[4 + k]), b = T(p[8 + k]), c = T(p[12 + k]);
      const T dx = x[0] - T(p[16 + k]), dy = x[1] - T(p[20 + k]);
      const T ax = a * dx, bx = b * dx, cy = c * dy;
      const T term = T(p[k]) * exp(ax * dx + (bx + cy) * dy);
      if (with_energy) sum += term;
      if (g) {
        gx += term * ((ax + ax) + b * dy);
        gy += term * (bx + (cy + cy));
      }
    }
    if (g) {
      g[0] = gx;
      g[1] = gy;
    }
    return sum;
  }
};

}  // namespace lf::LF_ISA
