#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = -log sum_k w_k N(x; mu_k, Sigma_k).
// p: K, isotropic (0 or 1), log weight[K] (w_k over the normalisation of its Gaussian), mu[K][dim], then
//    1/variance[K] (isotropic) or Sigma_k^{-1}[K][dim][dim].
// scratch: the logarithm of every term, and for full covariances Sigma_k^{-1} (x - mu_k) and x - mu_k
template <class Real>
struct GaussianMixture : PotentialBase<Real> {
  static int64_t scratch(const Real* p, int dim) {
    const int64_t n = static_cast<int64_t>(p[0]);
    return p[1] != 0 ? n : n + (n + 1) * dim;
  }

  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T* terms) const {
    const int dim = this->dim;
    const int n = static_cast<int>(this->p[0]);
    const bool isotropic = this->p[1] != 0;
    const Real *log_weight = this->p + 2, *mean = log_weight + n, *precision = mean + n * dim;
    T *weighted = terms + n, *d = weighted + n * dim;

    T largest = T(Real(-__builtin_inf()));
    for (int k = 0; k < n; ++k) {
      T q = T(Real(0));
      if (isotropic) {
        for (int c = 0; c < dim; ++c) {
          const T dc = x[c] - T(mean[k * dim + c]);
          q += dc * dc;
        }
        q = q * T(precision[k]);
      } else {
        const Real* matrix = precision + static_cast<int64_t>(k) * dim * dim;
        for (int c = 0; c < dim; ++c) d[c] = x[c] - T(mean[k * dim + c]);
        for (int i = 0; i < dim; ++i) {
          T row = T(matrix[i * dim]) * d[0];
          for (int j = 1; j < dim; ++j) row += T(matrix[i * dim + j]) * d[j];
          weighted[k * dim + i] = row;
          q += row * d[i];
        }
      }
      terms[k] = T(log_weight[k]) - T(Real(0.5)) * q;
      largest = maximum(largest, terms[k]);
    }

    T sum = T(Real(0));
    if (g) {
      for (int c = 0; c < dim; ++c) g[c] = T(Real(0));
    }
    for (int k = 0; k < n; ++k) {
      const T e = exp(terms[k] - largest);
      sum += e;
      if (!g) continue;
      if (isotropic) {
        const T ep = e * T(precision[k]);
        for (int c = 0; c < dim; ++c) g[c] += ep * (x[c] - T(mean[k * dim + c]));
      } else {
        for (int c = 0; c < dim; ++c) g[c] += e * weighted[k * dim + c];
      }
    }
    if (g) {
      const T inverse = T(Real(1)) / sum;
      for (int c = 0; c < dim; ++c) g[c] = g[c] * inverse;
    }
    if constexpr (!with_energy) return sum;
    return -(largest + log(sum));
  }
};

}  // namespace lf::LF_ISA
