// The operations that schemes are made of, each on all components of a group of particles.
//
// x, v, g (the gradient) and xi (normals) are arrays of `n` components, one T each; a coefficient is one T for all
// components (stride 0) or one for each (stride 1).
#pragma once

#include "../core/simd.hpp"

namespace lf::LF_ISA {

template <class T>
struct PackedCoefficient {
  const T* value;
  int stride;
  LF_INLINE T operator[](int c) const { return value[c * stride]; }
  LF_INLINE PackedCoefficient from(int c) const { return {value + c * stride, stride}; }
};

// A: x += t v
template <class T>
LF_INLINE void drift(T* x, const T* v, PackedCoefficient<T> t, int n) {
  for (int c = 0; c < n; ++c) x[c] = x[c] + t[c] * v[c];
}

// B: v -= (t/m) grad U
template <class T>
LF_INLINE void kick(T* v, const T* g, PackedCoefficient<T> t_over_mass, int n) {
  for (int c = 0; c < n; ++c) v[c] = v[c] - t_over_mass[c] * g[c];
}

// O: v = e^{-gamma t} v + sqrt((1 - e^{-2 gamma t}) kT/m) xi
template <class T>
LF_INLINE void ornstein_uhlenbeck(T* v, const T* xi, PackedCoefficient<T> decay, PackedCoefficient<T> noise, int n) {
  for (int c = 0; c < n; ++c) v[c] = decay[c] * v[c] + noise[c] * xi[c];
}

// E: x = x - (h/drag) grad U + sqrt(2 kT h/drag) xi
template <class T>
LF_INLINE void euler_maruyama(T* x, const T* g, const T* xi, PackedCoefficient<T> mobility, PackedCoefficient<T> noise,
                              int n) {
  for (int c = 0; c < n; ++c) x[c] = (x[c] - mobility[c] * g[c]) + noise[c] * xi[c];
}

// L: x = x - (h/drag) grad U + sqrt(kT h/(2 drag)) (xi_n + xi_{n+1}); xi_n is replaced by xi_{n+1}
template <class T>
LF_INLINE void leimkuhler_matthews(T* x, const T* g, T* xi, const T* next_xi, PackedCoefficient<T> mobility,
                                   PackedCoefficient<T> noise, int n) {
  for (int c = 0; c < n; ++c) {
    x[c] = (x[c] - mobility[c] * g[c]) + noise[c] * (xi[c] + next_xi[c]);
    xi[c] = next_xi[c];
  }
}

// M: the logarithm of the Metropolis-Hastings ratio of an Euler-Maruyama proposal from x (gradient g) to y (gradient gy),
//   -(U(y) - U(x))/kT - drag/(4 kT h) (|x - y + (h/drag) gy|^2 - |y - x + (h/drag) g|^2)
template <class T>
LF_INLINE T log_acceptance(const T* x, const T* g, const T* y, const T* gy, T energy_difference, T inverse_kT,
                           T quarter_drag_over_kTh, PackedCoefficient<T> mobility, int n) {
  T forward = T(RealOf<T>(0)), backward = T(RealOf<T>(0));
  for (int c = 0; c < n; ++c) {
    const T d = y[c] - x[c];
    const T f = d + mobility[c] * g[c];
    const T b = mobility[c] * gy[c] - d;
    forward += f * f;
    backward += b * b;
  }
  return -(energy_difference * inverse_kT) - quarter_drag_over_kTh * (backward - forward);
}

}  // namespace lf::LF_ISA
