// Potentials whose functions were compiled elsewhere and are called by address.
#pragma once

#include "../kernels/problem.hpp"
#include "potential.hpp"

namespace lf::LF_ISA {

// Functions that take a whole group of particles (the Numba backend makes them).
template <class Real>
struct GroupFunctions : PotentialBase<Real> {
  static constexpr bool kExternal = true;
  static constexpr int kSmallestDim = 2;  // functions by address want their arguments in memory
  const External<Real>& external;

  template <class T>
  LF_INLINE void gradient(const T* x, T* g, T*) const {
    call<T>(&GroupTable<Real>::gradient, x, g, nullptr);
  }
  template <class T>
  LF_INLINE T energy(const T* x, T*) const {
    T u;
    call<T>(&GroupTable<Real>::energy, x, nullptr, &u);
    return u;
  }
  template <class T>
  LF_INLINE T energy_gradient(const T* x, T* g, T*) const {
    T u;
    call<T>(&GroupTable<Real>::energy_gradient, x, g, &u);
    return u;
  }

 private:
  template <class T>
  LF_INLINE void call(GroupFunction<Real> GroupTable<Real>::* which, const T* x, T* g, T* u) const {
    const GroupTable<Real>& table = kLanesOf<T> == 1 ? external.single : external.vectors;
    (table.*which)(reinterpret_cast<const Real*>(x), reinterpret_cast<Real*>(g), reinterpret_cast<Real*>(u), this->p,
                   kLanesOf<T>);
  }
};

// Functions that take one point in double precision, whatever the precision of the run.
template <class Real>
struct PointFunctions : PotentialBase<Real> {
  static constexpr bool kExternal = true;
  static constexpr int kSmallestDim = 2;
  const External<Real>& external;

  // two points of doubles
  static int64_t scratch(const Real*, int dim) { return 4 * static_cast<int64_t>(dim); }

  template <class T>
  LF_INLINE void gradient(const T* x, T* g, T* scratch) const {
    each_point<T, true, false>(x, g, scratch);
  }
  template <class T>
  LF_INLINE T energy(const T* x, T* scratch) const {
    return each_point<T, false, true>(x, nullptr, scratch);
  }
  template <class T>
  LF_INLINE T energy_gradient(const T* x, T* g, T* scratch) const {
    return each_point<T, true, true>(x, g, scratch);
  }

 private:
  template <class T, bool want_gradient, bool want_energy>
  T each_point(const T* x, T* g, T* scratch) const {
    const int dim = this->dim;
    double *point = reinterpret_cast<double*>(scratch), *out = point + dim;
    const Real* from = reinterpret_cast<const Real*>(x);
    Real* to = reinterpret_cast<Real*>(g);
    T energies = T(Real(0));
    for (int lane = 0; lane < kLanesOf<T>; ++lane) {
      for (int c = 0; c < dim; ++c) point[c] = from[c * kLanesOf<T> + lane];
      if (want_gradient) {
        external.point_gradient(point, out);
        for (int c = 0; c < dim; ++c) to[c * kLanesOf<T> + lane] = static_cast<Real>(out[c]);
      }
      if (want_energy) reinterpret_cast<Real*>(&energies)[lane] = static_cast<Real>(external.point_energy(point));
    }
    return energies;
  }
};

}  // namespace lf::LF_ISA
