#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// U = sum_n log(1 + e^{z_n}) - y_n z_n + |beta|^2 / (2 s^2), z = X beta.
// p: 1/s^2, n, X[n][dim], y[n]; n is a multiple of 4: the Python class pads with rows of zeros, whose energy (log 2
// each) p[2 + n dim + n] subtracts. Four rows at a time, so that their sums do not wait for each other when there are
// few chains.
template <class Real>
struct LogisticRegression : PotentialBase<Real> {
  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    const Real* p = this->p;
    const int dim = this->dim;
    const int64_t n = static_cast<int64_t>(p[1]);
    const Real *rows = p + 2, *labels = rows + n * dim;
    T squares = T(Real(0)), sum = T(Real(0));
    for (int c = 0; c < dim; ++c) {
      const T px = T(p[0]) * x[c];
      if (with_energy) squares += px * x[c];
      if (g) g[c] = px;
    }
    for (int64_t row = 0; row < n; row += 4) {
      const Real *r0 = rows + row * dim, *r1 = r0 + dim, *r2 = r1 + dim, *r3 = r2 + dim;
      T z[4] = {T(r0[0]) * x[0], T(r1[0]) * x[0], T(r2[0]) * x[0], T(r3[0]) * x[0]};
      for (int c = 1; c < dim; ++c) {
        z[0] += T(r0[c]) * x[c];
        z[1] += T(r1[c]) * x[c];
        z[2] += T(r2[c]) * x[c];
        z[3] += T(r3[c]) * x[c];
      }
      for (int k = 0; k < 4; ++k) {
        const T label = T(labels[row + k]);
        // e^{-|z|} never overflows: sigma(z) = 1 / (1 + e) or e / (1 + e)
        const auto positive = greater(z[k], T(Real(0)));
        const T e = exp(select(positive, -z[k], z[k]));
        const T one_plus = T(Real(1)) + e;
        if (with_energy) sum += (maximum(z[k], T(Real(0))) + log(one_plus)) - label * z[k];
        z[k] = select(positive, T(Real(1)), e) / one_plus - label;
      }
      if (g) {
        for (int c = 0; c < dim; ++c) {
          g[c] += (z[0] * T(r0[c]) + z[1] * T(r1[c])) + (z[2] * T(r2[c]) + z[3] * T(r3[c]));
        }
      }
    }
    return (sum - T(p[2 + n * dim + n])) + T(Real(0.5)) * squares;
  }
};

}  // namespace lf::LF_ISA
