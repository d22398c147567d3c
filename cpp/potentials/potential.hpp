// What a potential is to the kernels.
//
//   template <class Real> struct Name {
//     const Real* p;   // its numbers, laid out by the Python class of the same name
//     int dim;
//     static int64_t scratch(const Real* p, int dim);                         // how many T of scratch it wants
//     template <class T> void gradient(const T* x, T* g, T* scratch) const;   // g[0..dim) = gradient at x[0..dim)
//     template <class T> T energy(const T* x, T* scratch) const;
//     template <class T> T energy_gradient(const T* x, T* g, T* scratch) const;
//   };
//
// T is one number or a pack, one particle per lane. The order of the operations is part of the definition: it is the
// same for every T, and the Python twin repeats it.
#pragma once

#include "../core/math.hpp"

namespace lf::LF_ISA {

// Base of potentials that keep nothing between components.
template <class Real>
struct PotentialBase {
  const Real* p;
  int dim;
  static int64_t scratch(const Real*, int) { return 0; }
  static constexpr int kSmallestDim = 1;
  // Whether its functions come by address, with the problem.
  static constexpr bool kExternal = false;
  // Whether a component of the gradient costs only a few operations, so that in many dimensions the time goes into
  // moving the state through the caches.
  static constexpr bool kCheap = false;
};

template <class Potential, class Real, class External>
LF_INLINE Potential make_potential(const Real* p, int dim, const External& external) {
  if constexpr (Potential::kExternal) {
    return {{p, dim}, external};
  } else {
    return {{p, dim}};
  }
}

// For potentials whose gradient shares nothing with the energy.
#define LF_ENERGY_THEN_GRADIENT                                     \
  template <class T>                                                \
  LF_INLINE T energy_gradient(const T* x, T* g, T* scratch) const { \
    gradient(x, g, scratch);                                        \
    return energy(x, scratch);                                      \
  }

// For potentials whose energy comes with the gradient at no extra cost worth a second body.
#define LF_FROM_ENERGY_GRADIENT(Real)                               \
  template <class T>                                                \
  LF_INLINE void gradient(const T* x, T* g, T* scratch) const {     \
    evaluate<false>(x, g, scratch);                                 \
  }                                                                 \
  template <class T>                                                \
  LF_INLINE T energy(const T* x, T* scratch) const {                \
    return evaluate<true>(x, static_cast<T*>(nullptr), scratch);    \
  }                                                                 \
  template <class T>                                                \
  LF_INLINE T energy_gradient(const T* x, T* g, T* scratch) const { \
    return evaluate<true>(x, g, scratch);                           \
  }

}  // namespace lf::LF_ISA
