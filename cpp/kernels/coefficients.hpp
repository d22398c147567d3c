// The coefficients of a program, for the particles of a group.
#pragma once

#include "arena.hpp"
#include "cells.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

// One T for all components (stride 0) or one for each (stride 1).
template <class T>
struct PackedCoefficient {
  T* value;
  int stride;
};

// Those of an operation, for the components from c on that a cell holds.
template <class T, class Cell>
struct CoefficientsAt {
  const PackedCoefficient<T>* k;
  int c;
  LF_INLINE Cell operator[](int i) const {
    if constexpr (sizeof(T) == sizeof(Cell)) {
      return k[i].value[c * k[i].stride];
    } else {
      return k[i].stride ? load_cell<Cell>(k[i].value + c) : repeat<Cell>(*k[i].value);
    }
  }
};

template <class Real, class T>
class Coefficients {
 public:
  // Their room in the workspace.
  void take(const Problem<Real>& problem, Arena& arena) {
    for_each(problem, [&](const Coefficient<Real>& c, PackedCoefficient<T>& packed, int n) {
      packed = {arena.take<T>(n), c.component_stride ? 1 : 0};
    });
  }

  // The numbers of one row of the schedule; lane i is that of particle(i).
  template <class Particle>
  void load(const Problem<Real>& problem, int32_t row, Particle particle) {
    for_each(problem, [&](const Coefficient<Real>& c, PackedCoefficient<T>& packed, int n) {
      for (int component = 0; component < n; ++component) {
        const Real* value = c.value + row * c.row_stride + component * c.component_stride;
        if (c.particle_stride == 0) {
          packed.value[component] = T(*value);
          continue;
        }
        for (int lane = 0; lane < kLanesOf<T>; ++lane) {
          set_lane(packed.value[component], lane, value[particle(lane) * c.particle_stride]);
        }
      }
    });
  }

  // Those of an operation.
  LF_INLINE const PackedCoefficient<T>* operator[](int operation) const { return packed_[operation]; }

 private:
  template <class Do>
  void for_each(const Problem<Real>& problem, Do work) {
    for (int i = 0; i < problem.n_instructions; ++i) {
      for (int k = 0; k < kMaxCoefficients; ++k) {
        const Coefficient<Real>& c = problem.program[i].coefficients[k];
        if (c.value) work(c, packed_[i][k], c.component_stride ? problem.dim : 1);
      }
    }
  }

  PackedCoefficient<T> packed_[kMaxInstructions][kMaxCoefficients];
};

}  // namespace lf::LF_ISA
