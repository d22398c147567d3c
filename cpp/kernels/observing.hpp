// The observers of a group of particles: what each reads of the state, and the reduction that takes it.
#pragma once

#include "../observers/histogram.hpp"
#include "../observers/lags.hpp"
#include "../observers/passages.hpp"
#include "../observers/sums.hpp"
#include "../observers/transitions.hpp"
#include "../observers/work.hpp"
#include "arena.hpp"
#include "coefficients.hpp"

namespace lf::LF_ISA {

template <class Real, class T>
class Observing {
 public:
  // Room in the workspace.
  void take(const Problem<Real>& problem, Arena& arena) {
    problem_ = &problem;
    int64_t most = 0;
    bool all = false;
    for (int i = 0; i < problem.n_observations; ++i) {
      const Observation<Real>& o = problem.observations[i];
      most = o.n_sources > most ? o.n_sources : most;
      for (int s = 0; s < o.n_sources; ++s) {
        all = all || (o.sources[s].quantity == Quantity::function && !o.sources[s].of_positions);
      }
    }
    values_ = arena.take<T>(most);
    all_ = arena.take<T>(all ? 2 * problem.dim + 1 : 0);
  }

  // The look number `index` of observation i.
  void look(int i, int64_t index, const Seen<T>& seen, const Stretch<Real>& stretch) {
    const Observation<Real>& o = problem_->observations[i];
    for (int s = 0; s < o.n_sources; ++s) values_[s] = value_of(o.sources[s], seen);
    reduce(i, index, values_, seen, stretch);
  }

  // Sums over a step, which are no look at a state.
  void account(const T* sums, const Seen<T>& seen, const Stretch<Real>& stretch) const {
    for (int i = 0; i < problem_->n_observations; ++i) {
      if (problem_->observations[i].reduction == Reduction::work) reduce(i, 0, sums, seen, stretch);
    }
  }

  // What a source reads.
  T value_of(const Source<Real>& source, const Seen<T>& seen) {
    const int dim = problem_->dim;
    T sum = T(Real(0));
    switch (source.quantity) {
      case Quantity::position:
        return seen.x[source.component];
      case Quantity::unwrapped:
        return problem_->bounded() && problem_->boundary.walls[source.component] != static_cast<int64_t>(Wall::periodic)
                   ? seen.x[source.component]
                   : seen.unwrapped[source.component];
      case Quantity::velocity:
        return seen.v[source.component];
      case Quantity::energy:
        return *seen.energy;
      case Quantity::kinetic:
        for (int c = 0; c < dim; ++c) sum += weight(source, seen, c) * seen.v[c] * seen.v[c];
        return sum;
      case Quantity::half_step_kinetic:
        for (int c = 0; c < dim; ++c) {
          const T v = seen.v[c] + CoefficientsAt<T, T>{seen.last, c}[0] * seen.g[c];
          sum += weight(source, seen, c) * v * v;
        }
        return sum;
      case Quantity::virial:
        for (int c = 0; c < dim; ++c) sum += (seen.x[c] - weight(source, seen, c)) * seen.g[c];
        return sum;
      case Quantity::interval: {
        const T &x = seen.x[source.component], one = T(Real(1)), none = T(Real(0));
        const T lo = T(static_cast<Real>(source.weight.value[0])), hi = T(static_cast<Real>(source.weight.value[1]));
        return select(greater(x, lo), select(less(x, hi), one, none), none);
      }
      case Quantity::function:
        break;
    }
    const T* from = seen.x;
    if (!source.of_positions) {
      for (int c = 0; c < dim; ++c) {
        all_[c] = seen.x[c];
        all_[dim + c] = problem_->has_velocities() ? seen.v[c] : T(Real(0));
      }
      all_[2 * dim] = *seen.energy;
      from = all_;
    }
    const auto call = kLanesOf<T> == 1 ? source.single : source.vectors;
    call(reinterpret_cast<const Real*>(from), nullptr, reinterpret_cast<Real*>(&sum), nullptr, kLanesOf<T>);
    return sum;
  }

  // The accumulators of a particle are again what they were before the stretch.
  void reset(const Stretch<Real>& stretch, int64_t particle) const {
    for (int i = 0; i < problem_->n_observations; ++i) {
      const Accumulators& a = stretch.accumulators[i];
      copy(a.reals, a.reals_in, problem_->observations[i].n_reals, particle);
      copy(a.marks, a.marks_in, problem_->observations[i].n_marks, particle);
    }
  }

  // Whether anything is added to that all particles share.
  bool counts() const {
    for (int i = 0; i < problem_->n_observations; ++i) {
      if (problem_->observations[i].n_counts) return true;
    }
    return false;
  }

 private:
  template <class Number>
  void copy(Number* to, const Number* from, int64_t rows, int64_t particle) const {
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t at = row * problem_->n_particles + particle;
      to[at] = from[at];
    }
  }

  void reduce(int i, int64_t index, const T* values, const Seen<T>& seen, const Stretch<Real>& stretch) const {
    const Observation<Real>& o = problem_->observations[i];
    const Accumulators& a = stretch.accumulators[i];
    const Look<T> at{seen, index, values, o.sizes, o.numbers, a.reals, a.marks, a.counts, problem_->n_particles};
    switch (o.reduction) {
#define LF_ROW(name)    \
  case Reduction::name: \
    return name(at);
      LF_REDUCTIONS(LF_ROW)
#undef LF_ROW
    }
  }

  static T weight(const Source<Real>& source, const Seen<T>& seen, int c) {
    const double* value = source.weight.value + c * source.weight.component_stride;
    if (source.weight.particle_stride == 0) return T(static_cast<Real>(*value));
    T weights = T(Real(0));
    for (int lane = 0; lane < kLanesOf<T>; ++lane) {
      const int64_t i = seen.first + (lane < seen.valid ? lane : seen.valid - 1);
      const int64_t particle = seen.particles ? seen.particles[i] : i;
      set_lane(weights, lane, static_cast<Real>(value[particle * source.weight.particle_stride]));
    }
    return weights;
  }

  const Problem<Real>* problem_;
  T *values_, *all_;
};

}  // namespace lf::LF_ISA
