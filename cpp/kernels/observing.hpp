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
#include "looks.hpp"

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
    const int together = problem.dim == 1 ? kLooksTogether : 1;
    values_ = arena.take<const T*>(most);
    computed_ = arena.take<T>(most * together);
    all_ = arena.take<T>(all ? (2 * problem.dim + 1) * together : 0);
  }

  // Looks of observation i.
  void look(int i, const Series& series, const Seen<T>& seen, const Stretch<Real>& stretch) {
    const Look<T> at = look_of(i, series, read(i, series, seen), seen, stretch);
    switch (problem_->observations[i].reduction) {
#define LF_ROW(name)    \
  case Reduction::name: \
    return name(at);
      LF_REDUCTIONS(LF_ROW)
#undef LF_ROW
    }
  }

  // The first of these looks at which a particle arrives, for an observation of passages; series.n: none does.
  int first_arrival(int i, const Series& series, const Seen<T>& seen, const Stretch<Real>& stretch) {
    return LF_ISA::first_arrival(look_of(i, series, read(i, series, seen), seen, stretch));
  }

  // Sums over a step, which are no look at a state.
  void account(const T (&sums)[3], const Seen<T>& seen, const Stretch<Real>& stretch) const {
    const T* const values[] = {sums, sums + 1, sums + 2};
    const Series one{0, 0, 1};
    for (int i = 0; i < problem_->n_observations; ++i) {
      if (problem_->observations[i].reduction != Reduction::work) continue;
      work(look_of(i, one, values, seen, stretch));
    }
  }

  // What a source reads, one T for each look; `to` has room for it.
  const T* values_of(const Source<Real>& source, const Series& series, const Seen<T>& seen, T* to) {
    const int dim = problem_->dim, n = series.n;
    const T *const x = seen.x + series.begin, *const v = seen.v + series.begin;
    T sum = T(Real(0));
    switch (source.quantity) {
      case Quantity::position:
        return x + source.component;
      case Quantity::unwrapped:
        return (problem_->bounded() &&
                        problem_->boundary.walls[source.component] != static_cast<int64_t>(Wall::periodic)
                    ? seen.x
                    : seen.unwrapped) +
               series.begin + source.component;
      case Quantity::velocity:
        return v + source.component;
      case Quantity::energy:
        return seen.energy + series.begin;
      case Quantity::kinetic:
        for (int look = 0; look < n; ++look) to[look] = T(Real(0));
        for (int c = 0; c < dim; ++c) {
          const T m = weight(source, seen, c);
          for (int look = 0; look < n; ++look) to[look] += m * v[look * dim + c] * v[look * dim + c];
        }
        return to;
      case Quantity::half_step_kinetic:
        for (int c = 0; c < dim; ++c) {
          const T before = v[c] + CoefficientsAt<T, T>{seen.last, c}[0] * seen.g[c];
          sum += weight(source, seen, c) * before * before;
        }
        *to = sum;
        return to;
      case Quantity::virial:
        for (int c = 0; c < dim; ++c) sum += (x[c] - weight(source, seen, c)) * seen.g[c];
        *to = sum;
        return to;
      case Quantity::interval: {
        const T one = T(Real(1)), none = T(Real(0));
        const T lo = T(static_cast<Real>(source.weight.value[0])), hi = T(static_cast<Real>(source.weight.value[1]));
        for (int look = 0; look < n; ++look) {
          const T& at = x[look * dim + source.component];
          to[look] = select(greater(at, lo), select(less(at, hi), one, none), none);
        }
        return to;
      }
      case Quantity::function:
        break;
    }
    const T* from = x;
    if (!source.of_positions) {
      for (int look = 0; look < n; ++look) {
        for (int c = 0; c < dim; ++c) {
          all_[c * n + look] = x[look * dim + c];
          all_[(dim + c) * n + look] = problem_->has_velocities() ? v[look * dim + c] : T(Real(0));
        }
        all_[2 * dim * n + look] = seen.energy[series.begin + look];
      }
      from = all_;
    }
    const auto call = kLanesOf<T> == 1 ? source.single : source.vectors;
    call(reinterpret_cast<const Real*>(from), nullptr, reinterpret_cast<Real*>(to), nullptr, n * kLanesOf<T>);
    return to;
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

  // What the sources of observation i read.
  const T* const* read(int i, const Series& series, const Seen<T>& seen) {
    const Observation<Real>& o = problem_->observations[i];
    for (int s = 0; s < o.n_sources; ++s) values_[s] = values_of(o.sources[s], series, seen, computed_ + s * series.n);
    return values_;
  }

  Look<T> look_of(int i, const Series& series, const T* const* values, const Seen<T>& seen,
                  const Stretch<Real>& stretch) const {
    const Observation<Real>& o = problem_->observations[i];
    const Accumulators& a = stretch.accumulators[i];
    return {seen, series, values, o.sizes, o.numbers, a.reals, a.marks, a.counts, problem_->n_particles, o.n_sources};
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
  const T** values_;
  T *computed_, *all_;
};

}  // namespace lf::LF_ISA
