#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = sum_{i<j} 4 epsilon ((sigma/r)^12 - (sigma/r)^6) + 1/2 k sum_i max(|r_i| - R, 0)^2.   p: 4 epsilon, sigma^2, R, k
template <class Real>
struct LennardJonesCluster : PotentialBase<Real> {
  static constexpr int kSmallestDim = 3;

  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const Real* p = this->p;
    const int dim = this->dim;
    T pairs = T(Real(0)), wall = T(Real(0));
    for (int i = 0; i < dim; i += 3) {
      const T length = sqrt((x[i] * x[i] + x[i + 1] * x[i + 1]) + x[i + 2] * x[i + 2]);
      const T excess = length - T(p[2]);
      const auto outside = greater(excess, T(Real(0)));
      const T k_excess = select(outside, T(p[3]) * excess, T(Real(0)));
      if (with_energy) wall += select(outside, k_excess * excess, T(Real(0)));
      if (g) {
        const T over_length = select(outside, k_excess / length, T(Real(0)));
        for (int c = 0; c < 3; ++c) g[i + c] = over_length * x[i + c];
      }
    }
    for (int i = 0; i < dim; i += 3) {
      for (int j = i + 3; j < dim; j += 3) {
        const T dx = x[i] - x[j], dy = x[i + 1] - x[j + 1], dz = x[i + 2] - x[j + 2];
        const T inverse = T(Real(1)) / ((dx * dx + dy * dy) + dz * dz);
        const T s2 = T(p[1]) * inverse;
        const T s6 = (s2 * s2) * s2;
        if (with_energy) pairs += s6 * s6 - s6;
        if (g) {
          // (dU/dr)/r = -6 (4 epsilon) (2 s^12 - s^6) / r^2
          const T f = ((T(Real(-6)) * T(p[0])) * ((s6 + s6) * s6 - s6)) * inverse;
          const T fx = f * dx, fy = f * dy, fz = f * dz;
          g[i] += fx;
          g[i + 1] += fy;
          g[i + 2] += fz;
          g[j] -= fx;
          g[j + 1] -= fy;
          g[j + 2] -= fz;
        }
      }
    }
    return T(p[0]) * pairs + T(Real(0.5)) * wall;
  }
};

}  // namespace lf::LF_ISA
