#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = 1/2 (x - mu)^T P (x - mu), P the inverse covariance.   p: mu[dim], P[dim][dim]; scratch: x - mu
template <class Real>
struct Gaussian : PotentialBase<Real> {
  static int64_t scratch(const Real*, int dim) { return dim; }

  template <class T>
  LF_INLINE void gradient(const T* x, T* g, T* d) const {
    const int dim = this->dim;
    const Real *mean = this->p, *precision = mean + dim;
    for (int c = 0; c < dim; ++c) d[c] = x[c] - T(mean[c]);
    for (int i = 0; i < dim; ++i) {
      T sum = T(precision[i * dim]) * d[0];
      for (int j = 1; j < dim; ++j) sum += T(precision[i * dim + j]) * d[j];
      g[i] = sum;
    }
  }
  template <class T>
  LF_INLINE T energy(const T* x, T* d) const {
    const int dim = this->dim;
    const Real *mean = this->p, *precision = mean + dim;
    for (int c = 0; c < dim; ++c) d[c] = x[c] - T(mean[c]);
    T total = T(Real(0));
    for (int i = 0; i < dim; ++i) {
      T sum = T(precision[i * dim]) * d[0];
      for (int j = 1; j < dim; ++j) sum += T(precision[i * dim + j]) * d[j];
      total += sum * d[i];
    }
    return T(Real(0.5)) * total;
  }
  template <class T>
  LF_INLINE T energy_gradient(const T* x, T* g, T* d) const {
    gradient(x, g, d);
    T total = T(Real(0));
    for (int i = 0; i < this->dim; ++i) total += g[i] * d[i];
    return T(Real(0.5)) * total;
  }
};

}  // namespace lf::LF_ISA
