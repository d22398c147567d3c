// The operations that schemes are made of, for one component of a group of particles. The order of the arithmetic is
// part of their definition.
#pragma once

#include "../core/simd.hpp"

namespace lf::LF_ISA {

// A: drift for a time t
template <class T>
LF_INLINE T drift(T x, T v, T t) {
  return x + t * v;
}

// B: kick for a time t
template <class T>
LF_INLINE T kick(T v, T gradient, T t_over_mass) {
  return v - t_over_mass * gradient;
}

// O: exact Ornstein-Uhlenbeck for a time t; decay = e^{-gamma t}, noise = sqrt((1 - e^{-2 gamma t}) kT/m)
template <class T>
LF_INLINE T ornstein_uhlenbeck(T v, T xi, T decay, T noise) {
  return decay * v + noise * xi;
}

// E: Euler-Maruyama; mobility = h/drag, noise = sqrt(2 kT h/drag). The noise is added first: it does not wait for the
// gradient.
template <class T>
LF_INLINE T euler_maruyama(T x, T gradient, T xi, T mobility, T noise) {
  return (x + noise * xi) - mobility * gradient;
}

// L: Leimkuhler-Matthews; mobility = h/drag, noise = sqrt(kT h/(2 drag))
template <class T>
LF_INLINE T leimkuhler_matthews(T x, T gradient, T xi, T next_xi, T mobility, T noise) {
  return (x + noise * (xi + next_xi)) - mobility * gradient;
}

// M: what the Metropolis-Hastings ratio of an Euler-Maruyama proposal sums over components: the squared displacement
// from x to y less the drift at x. The reverse move is the same with x and y exchanged.
template <class T>
LF_INLINE T squared_noise(T x, T gradient, T y, T mobility) {
  const T d = (y - x) + mobility * gradient;
  return d * d;
}

// The logarithm of that ratio, -(U(y) - U(x))/kT - drag/(4 kT h) (backward - forward).
template <class T>
LF_INLINE T log_acceptance(T energy_difference, T forward, T backward, T inverse_kT, T quarter_drag_over_kTh) {
  return -(energy_difference * inverse_kT) - quarter_drag_over_kTh * (backward - forward);
}

}  // namespace lf::LF_ISA
