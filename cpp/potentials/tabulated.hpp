#pragma once

#include "../core/gather.hpp"
#include "potential.hpp"

namespace lf::LF_ISA {

// A cubic spline through energies on a uniform grid, in one or two dimensions:
// U = sum_k b_k B(t - k), U = sum_jk b_jk B(s - j) B(t - k), with B six times the cubic B-spline and s, t in cells.
// p: for each component lower end, 1/h, number of cells n, 1/n, what is outside (0: clamp, 1: periodic, 2: harmonic),
//    stiffness h^2; then the coefficients, n + 3 along each axis, the last axis fastest.
template <class Real>
struct Tabulated : PotentialBase<Real> {
  LF_FROM_ENERGY_GRADIENT(Real)

 private:
  static constexpr int kAxis = 6;  // numbers per component

  // One component in the table.
  template <class T>
  struct Place {
    T t;             // in cells from the lower end
    T beyond;        // how far t is outside of the table, in cells
    T cell;          // 0 to n - 1
    T below, above;  // how much of the cell lies on either side
  };
  template <class T>
  LF_INLINE Place<T> place(const Real* axis, T x) const {
    const T zero = T(Real(0)), n = T(axis[2]);
    T t = (x - T(axis[0])) * T(axis[1]);
    if (axis[4] == 1) t = t - n * floor(t * T(axis[3]));
    const T inside = select(less(t, zero), zero, select(greater(t, n), n, t));
    // At a node the rounding may choose either cell, and both are right. NaN goes to cell 0.
    const T cell = minimum(maximum(round_to_even(inside - T(Real(0.5))), zero), n - T(Real(1)));
    const T below = inside - cell;
    return {t, t - inside, cell, below, T(Real(1)) - below};
  }

  // The slope of the spline in one cell is 3 times the sum of these times the differences of four coefficients.
  template <class T>
  struct Slopes {
    T s[3];
  };
  template <class T>
  LF_INLINE Slopes<T> slopes(const Place<T>& at) const {
    const T both = at.below * at.above;
    return {{at.above * at.above, (both + both) + T(Real(1)), at.below * at.below}};
  }
  template <class T>
  LF_INLINE T slope(const Slopes<T>& s, const T* b) const {
    return (s.s[0] * (b[1] - b[0]) + s.s[1] * (b[2] - b[1])) + s.s[2] * (b[3] - b[2]);
  }

  // Its value is the sum of these times the coefficients; outside of a harmonic end it goes on along its tangent.
  template <class T>
  struct Weights {
    T w[4];
  };
  template <class T>
  LF_INLINE Weights<T> weights(const Real* axis, const Place<T>& at, const Slopes<T>& s) const {
    const T one = T(Real(1)), three = T(Real(3)), four = T(Real(4));
    Weights<T> r = {{s.s[0] * at.above, four - (three * s.s[2]) * (one + at.above),
                     four - (three * s.s[0]) * (one + at.below), s.s[2] * at.below}};
    if (axis[4] == 2) {
      const T d = three * at.beyond;
      r.w[0] = r.w[0] - d * s.s[0];
      r.w[1] = r.w[1] + d * (s.s[0] - s.s[1]);
      r.w[2] = r.w[2] + d * (s.s[1] - s.s[2]);
      r.w[3] = r.w[3] + d * s.s[2];
    }
    return r;
  }
  template <class T>
  LF_INLINE T value(const Weights<T>& w, const T* b) const {
    return ((w.w[0] * b[0] + w.w[1] * b[1]) + w.w[2] * b[2]) + w.w[3] * b[3];
  }

  // What the spline's slope becomes outside, and per unit of x.
  template <class T>
  LF_INLINE T end(const Real* axis, const Place<T>& at, T slope) const {
    const T zero = T(Real(0));
    T r = T(Real(3)) * slope;
    if (axis[4] == 0) r = select(less(at.t, zero), zero, select(greater(at.t, T(axis[2])), zero, r));
    if (axis[4] == 2) r = r + T(axis[5]) * at.beyond;
    return r * T(axis[1]);
  }
  template <class T>
  LF_INLINE T wall(const Real* axis, const Place<T>& at) const {
    return (T(Real(0.5)) * T(axis[5])) * (at.beyond * at.beyond);
  }

  // The number of the second component. GCC must not see it: in a kernel for one component it would object to x[1].
  static LF_INLINE int hidden_one() {
    int one = 1;
    asm("" : "+r"(one));
    return one;
  }

  template <bool with_energy, class T>
  LF_INLINE T evaluate(const T* x, T* g, T*) const {
    return this->dim == 1 ? line<with_energy>(x, g) : plane<with_energy>(x, g);
  }
  template <bool with_energy, class E, int N>
  LF_INLINE Pack<E, N> evaluate(const Pack<E, N>* x, Pack<E, N>* g, Pack<E, N>*) const {
    if (this->dim == 1) return line<with_energy>(x, g);
    // vector by vector: what a wide pack needs would not fit into the registers
    const int other = hidden_one();
    Pack<E, N> u;
    for (int i = 0; i < N; ++i) {
      Pack<E, 1> at[2], slope[2];
      at[0].v[0] = x[0].v[i];
      at[1].v[0] = x[other].v[i];
      u.v[i] = plane<with_energy>(at, g ? slope : nullptr).v[0];
      if (!g) continue;
      g[0].v[i] = slope[0].v[0];
      g[other].v[i] = slope[1].v[0];
    }
    return u;
  }

  template <bool with_energy, class T>
  LF_INLINE T line(const T* x, T* g) const {
    const Real* axis = this->p;
    const Place<T> at = place(axis, x[0]);
    const Slopes<T> s = slopes(at);
    T b[4];
    gather4(axis + kAxis, to_index(at.cell), b);
    if (g) g[0] = end(axis, at, slope(s, b));
    if constexpr (!with_energy) return x[0];
    const T u = value(weights(axis, at, s), b);
    return axis[4] == 2 ? u + wall(axis, at) : u;
  }

  template <bool with_energy, class T>
  LF_INLINE T plane(const T* x, T* g) const {
    const Real *first = this->p, *second = first + kAxis, *table = second + kAxis;
    const int other = hidden_one();
    const Place<T> at = place(first, x[0]), at_2 = place(second, x[other]);
    const Slopes<T> s = slopes(at), s_2 = slopes(at_2);
    const Weights<T> w = weights(first, at, s), w_2 = weights(second, at_2, s_2);
    const int pitch = static_cast<int>(second[2]) + 3;
    const BitsOf<T> index = to_index(at.cell * T(Real(pitch)) + at_2.cell);
    T along[4], across[4];  // rows of the table: the spline in the second component, and its slope
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      T b[4];
      gather4(table + j * pitch, index, b);
      along[j] = value(w_2, b);
      if (g) across[j] = slope(s_2, b);
    }
    if (g) {
      g[0] = end(first, at, slope(s, along));
      g[other] = end(second, at_2, value(w, across));
    }
    if constexpr (!with_energy) return x[0];
    T u = value(w, along);
    if (first[4] == 2) u = u + wall(first, at);
    if (second[4] == 2) u = u + wall(second, at_2);
    return u;
  }
};

}  // namespace lf::LF_ISA
