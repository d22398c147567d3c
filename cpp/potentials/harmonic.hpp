#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = 1/2 sum_i k_i (x_i - c_i)^2.   p: k[dim], c[dim]
template <class Real>
struct Harmonic : PotentialBase<Real> {
  static constexpr bool kCheap = true;
  template <class T>
  LF_INLINE void gradient(const T* x, T* g, T*) const {
    const Real *k = this->p, *center = k + this->dim;
    for (int c = 0; c < this->dim; ++c) g[c] = T(k[c]) * (x[c] - T(center[c]));
  }
  template <class T>
  LF_INLINE T energy(const T* x, T*) const {
    const Real *k = this->p, *center = k + this->dim;
    T sum = T(Real(0));
    for (int c = 0; c < this->dim; ++c) {
      const T d = x[c] - T(center[c]);
      sum += (T(k[c]) * d) * d;
    }
    return T(Real(0.5)) * sum;
  }
  template <class T>
  LF_INLINE T energy_gradient(const T* x, T* g, T*) const {
    const Real *k = this->p, *center = k + this->dim;
    T sum = T(Real(0));
    for (int c = 0; c < this->dim; ++c) {
      const T d = x[c] - T(center[c]);
      g[c] = T(k[c]) * d;
      sum += g[c] * d;
    }
    return T(Real(0.5)) * sum;
  }
};

}  // namespace lf::LF_ISA
