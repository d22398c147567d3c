// Inverse and determinant of a symmetric positive definite matrix, in a fixed order of operations: LAPACK's bits depend
// on the processor, and these numbers become parameters of potentials.
#pragma once

#include <cmath>
#include <vector>

namespace lf {

// On success `inverse` holds A^{-1} (exactly symmetric) and `diagonal` the diagonal of the Cholesky factor L, so that
// log det A = 2 sum log L_ii. Returns false where A is not positive definite.
inline bool spd_inverse(const double* a, int n, double* inverse, double* diagonal) {
  const auto at = [n](int i, int j) { return static_cast<std::size_t>(i) * n + j; };
  std::vector<double> l(static_cast<std::size_t>(n) * n, 0.0);
  for (int j = 0; j < n; ++j) {
    for (int i = j; i < n; ++i) {
      double sum = a[at(i, j)];
      for (int k = 0; k < j; ++k) sum -= l[at(i, k)] * l[at(j, k)];
      if (i == j) {
        if (!(sum > 0) || !std::isfinite(sum)) return false;
        diagonal[j] = l[at(j, j)] = std::sqrt(sum);
      } else {
        l[at(i, j)] = sum / l[at(j, j)];
      }
    }
  }
  // m = L^{-1}, stored by columns in the lower triangle; then A^{-1} = m^T m.
  std::vector<double> m(static_cast<std::size_t>(n) * n, 0.0);
  for (int j = 0; j < n; ++j) {
    m[at(j, j)] = 1.0 / l[at(j, j)];
    for (int i = j + 1; i < n; ++i) {
      double sum = 0;
      for (int k = j; k < i; ++k) sum -= l[at(i, k)] * m[at(k, j)];
      m[at(i, j)] = sum / l[at(i, i)];
    }
  }
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j <= i; ++j) {
      double sum = 0;
      for (int k = i; k < n; ++k) sum += m[at(k, i)] * m[at(k, j)];
      inverse[at(i, j)] = inverse[at(j, i)] = sum;
    }
  }
  return true;
}

}  // namespace lf
