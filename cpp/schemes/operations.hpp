// The operations that schemes are made of, for one component of a group of particles. The order of the arithmetic is
// part of their definition. table.hpp lists them.
#pragma once

#include "../core/math.hpp"
#include "table.hpp"

namespace lf::LF_ISA {

// One component: position, velocity, gradient, and the normals of this step and the next. An operation reads and
// changes those that its row of the table names.
template <class T>
struct Component {
  T x, v, gradient, xi, next_xi;
};

// In all of them k[i] is coefficient i of the operation.

// A: drift for a time t
template <class T, class K>
LF_INLINE void drift(Component<T>& s, const K& k) {
  s.x = s.x + k[of_drift::time] * s.v;
}

// B: kick for a time t
template <class T, class K>
LF_INLINE void kick(Component<T>& s, const K& k) {
  s.v = s.v - k[of_kick::time_over_mass] * s.gradient;
}

// O: exact Ornstein-Uhlenbeck for a time t; decay = e^{-gamma t}, noise = sqrt((1 - e^{-2 gamma t}) kT/m)
template <class T, class K>
LF_INLINE void ornstein_uhlenbeck(Component<T>& s, const K& k) {
  using namespace of_ornstein_uhlenbeck;
  s.v = k[decay] * s.v + k[noise] * s.xi;
}

// E: Euler-Maruyama; mobility = h/drag, noise = sqrt(2 kT h/drag). The noise is added first: it does not wait for the
// gradient.
template <class T, class K>
LF_INLINE void euler_maruyama(Component<T>& s, const K& k) {
  using namespace of_euler_maruyama;
  s.x = (s.x + k[noise] * s.xi) - k[mobility] * s.gradient;
}

// T: the same with the drift of each component kept below 1
template <class T, class K>
LF_INLINE void tamed_euler(Component<T>& s, const K& k) {
  using namespace of_tamed_euler;
  const T drift = k[mobility] * s.gradient;
  const T size = select(less(drift, T(RealOf<T>(0))), -drift, drift);
  s.x = (s.x + k[noise] * s.xi) - drift / (T(RealOf<T>(1)) + size);
}

// L: Leimkuhler-Matthews; mobility = h/drag, noise = sqrt(kT h/(2 drag))
template <class T, class K>
LF_INLINE void leimkuhler_matthews(Component<T>& s, const K& k) {
  using namespace of_leimkuhler_matthews;
  s.x = (s.x + k[noise] * (s.xi + s.next_xi)) - k[mobility] * s.gradient;
}

// P: as E, a proposal
template <class T, class K>
LF_INLINE void propose(Component<T>& s, const K& k) {
  using namespace of_propose;
  s.x = (s.x + k[noise] * s.xi) - k[mobility] * s.gradient;
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

// Whether a proposal is accepted. A gradient or position that is not finite makes the ratio -inf or NaN, and an energy
// of -inf makes it +inf: both comparisons are false for NaN.
template <class T>
LF_INLINE MaskOf<T> accepts(T uniform, T log_ratio) {
  return less(scaled_log<1, 0>(uniform), log_ratio) & less(log_ratio, T(RealOf<T>(__builtin_inf())));
}

// An operation on a component, chosen while the program is interpreted, among those whose properties hold `all`. The
// fewer these are, the better: their results have to meet in the same registers.
template <unsigned all, class T, class K>
LF_INLINE void apply(Operation o, Component<T>& s, const K& k) {
#define LF_ROW(name, letter, properties, ...)    \
  if constexpr (((properties) & all) == all) {   \
    if (o == Operation::name) return name(s, k); \
  }
  LF_COMPONENT_OPERATIONS(LF_ROW)
#undef LF_ROW
}

}  // namespace lf::LF_ISA
