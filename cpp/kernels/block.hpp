// The step loop of one group of particles: a program of operations, interpreted while the state stays in the cache.
//
// T holds one component of every particle of the group. A step costs one switch per operation and group; the gradient is
// kept until the positions change, so that the last kick of a step and the first of the next share it.
#pragma once

#include "../core/streams.hpp"
#include "../schemes/operations.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

// Gives out pieces of a block of memory; with memory = nullptr it only counts.
class Arena {
 public:
  explicit Arena(void* memory) : base_(static_cast<char*>(memory)) {}
  template <class T>
  T* take(int64_t n) {
    char* p = base_ + used_;
    used_ += (static_cast<std::size_t>(n) * sizeof(T) + 63) / 64 * 64;
    return reinterpret_cast<T*>(p);
  }
  std::size_t used() const { return used_; }

 private:
  char* base_;
  std::size_t used_ = 0;
};

template <class T>
LF_INLINE RealOf<T> get_lane(const T& x, int lane) {
  RealOf<T> r;
  __builtin_memcpy(&r, reinterpret_cast<const char*>(&x) + lane * sizeof(r), sizeof(r));
  return r;
}
template <class T>
LF_INLINE void set_lane(T& x, int lane, RealOf<T> value) {
  __builtin_memcpy(reinterpret_cast<char*>(&x) + lane * sizeof(value), &value, sizeof(value));
}

template <class Real, class T, class Potential>
class Block {
 public:
  static constexpr int kLanes = kLanesOf<T>;
  using Normals = Window<T, Law::normal>;
  using Uniforms = Window<T, Law::uniform>;

  // Lays out the workspace; a null memory only measures it.
  Block(const Problem<Real>& problem, void* memory)
      : problem_(problem), potential_{{problem.parameters, problem.dim}}, dim_(problem.dim), arena_(memory) {
    x_ = arena_.take<T>(dim_);
    v_ = arena_.take<T>(dim_);
    g_ = arena_.take<T>(dim_);
    xi_ = arena_.take<T>(dim_);
    saved_x_ = arena_.take<T>(dim_);
    saved_g_ = arena_.take<T>(dim_);
    last_x_ = arena_.take<T>(dim_);
    last_v_ = arena_.take<T>(dim_);
    scratch_ = arena_.take<T>(Potential::scratch(problem.parameters, dim_));
    normal_rows_ = arena_.take<T>(Normals::kRows);
    uniform_rows_ = arena_.take<T>(Uniforms::kRows);
    for (int i = 0; i < problem.n_instructions; ++i) {
      for (int k = 0; k < kMaxCoefficients; ++k) {
        const Coefficient<Real>& c = problem.program[i].coefficients[k];
        if (!c.value) continue;
        const int n = c.component_stride ? dim_ : 1;
        coefficients_[i][k] = {arena_.take<T>(n), c.component_stride ? 1 : 0};
      }
    }
  }
  std::size_t workspace_bytes() const { return arena_.used(); }

  // Particles first .. first + valid - 1; the other lanes repeat the last one and are not stored.
  void run(int64_t first, int valid) {
    first_ = first;
    valid_ = valid;
    key_ = philox_key(problem_.seed);
    load_streams();
    load_coefficients();
    load_state();
    advance(false);
    if (any_divergence()) {
      // Rare, so it may be slow: once more from the start, looking at every step.
      load_state();
      advance(true);
    }
    store_state();
  }

 private:
  int64_t particle(int lane) const { return first_ + (lane < valid_ ? lane : valid_ - 1); }

  void load_streams() {
    if constexpr (kLanes == 1) {
      lanes_.particle = problem_.streams[first_];
    } else {
      uint64_t ids[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) ids[lane] = problem_.streams[particle(lane)];
      lanes_.set(ids);
    }
  }

  void load_coefficients() {
    for (int i = 0; i < problem_.n_instructions; ++i) {
      for (int k = 0; k < kMaxCoefficients; ++k) {
        const Coefficient<Real>& c = problem_.program[i].coefficients[k];
        if (!c.value) continue;
        T* out = const_cast<T*>(coefficients_[i][k].value);
        const int n = c.component_stride ? dim_ : 1;
        for (int component = 0; component < n; ++component) {
          for (int lane = 0; lane < kLanes; ++lane) {
            set_lane(out[component], lane,
                     c.value[particle(lane) * c.particle_stride + component * c.component_stride]);
          }
        }
      }
    }
  }

  void load_state() {
    any_frozen_ = false;
    for (int lane = 0; lane < kLanes; ++lane) {
      const int64_t offset = particle(lane) * dim_;
      for (int c = 0; c < dim_; ++c) {
        set_lane(x_[c], lane, problem_.positions_in[offset + c]);
        if (problem_.has_velocities) set_lane(v_[c], lane, problem_.velocities_in[offset + c]);
      }
      // One that diverged in an earlier run stays at the state it came with.
      frozen_[lane] = lane >= valid_ || problem_.diverged[first_ + lane] >= 0;
      any_frozen_ = any_frozen_ || (lane < valid_ && frozen_[lane]);
    }
    for (int c = 0; c < dim_; ++c) {
      last_x_[c] = x_[c];
      if (problem_.has_velocities) last_v_[c] = v_[c];
    }
    accepted_ = T(Real(0));
  }

  void store_state() {
    write(problem_.positions_out, x_, last_x_);
    if (problem_.has_velocities) write(problem_.velocities_out, v_, last_v_);
    if (problem_.uniforms_per_step) {
      for (int lane = 0; lane < valid_; ++lane) problem_.accepted[first_ + lane] += int64_t(get_lane(accepted_, lane));
    }
  }

  // In frozen lanes `last` is the state to show.
  void write(Real* out, const T* current, const T* last) const {
    if (dim_ == 1 && !any_frozen_) {
      __builtin_memcpy(out + first_, current, static_cast<std::size_t>(valid_) * sizeof(Real));
      return;
    }
    for (int lane = 0; lane < valid_; ++lane) {
      const T* from = frozen_[lane] ? last : current;
      for (int c = 0; c < dim_; ++c) out[(first_ + lane) * dim_ + c] = get_lane(from[c], lane);
    }
  }

  void advance(bool checked) {
    const int64_t end = problem_.first_step + problem_.n_steps;
    const uint64_t dim = static_cast<uint64_t>(dim_);
    const uint64_t last_set = static_cast<uint64_t>(end) * problem_.normals_per_step + (problem_.looks_ahead ? 1 : 0);
    normals_.reset(normal_rows_, Tag::thermal, last_set * dim);
    uniforms_.reset(uniform_rows_, Tag::metropolis, static_cast<uint64_t>(end) * problem_.uniforms_per_step);
    gradient_is_current_ = energy_is_current_ = false;
    if (problem_.looks_ahead) {
      const uint64_t row = static_cast<uint64_t>(problem_.first_step) * dim;
      for_each_part(row, [&](int c, int n, const T* xi) {
        for (int i = 0; i < n; ++i) xi_[c + i] = xi[i];
      });
    }
    int64_t step = problem_.first_step, next_frame = problem_.next_frame, frame = 0;
    while (step < end) {
      const bool to_frame = problem_.stride > 0 && next_frame <= end;
      const int64_t stop = to_frame ? next_frame : end;
      for (; step < stop; ++step) {
        do_step(static_cast<uint64_t>(step));
        if (checked) freeze_diverged(step + 1);
      }
      if (to_frame) {
        const int64_t offset = frame++ * problem_.n_particles * dim_;
        write(problem_.frame_positions + offset, x_, last_x_);
        if (problem_.has_velocities) write(problem_.frame_velocities + offset, v_, last_v_);
        next_frame += problem_.stride;
      }
    }
  }

  // Calls f(c, n, xi) for parts of the dim components whose normals are the rows from `row` on.
  template <class F>
  LF_INLINE void for_each_part(uint64_t row, F f) {
    for (int c = 0; c < dim_; c += Normals::kSpan) {
      const int n = dim_ - c < Normals::kSpan ? dim_ - c : Normals::kSpan;
      f(c, n, normals_.rows(row + static_cast<uint64_t>(c), n, lanes_, key_));
    }
  }

  LF_INLINE void need_gradient() {
    if (gradient_is_current_) return;
    potential_.gradient(x_, g_, scratch_);
    gradient_is_current_ = true;
  }
  LF_INLINE void need_energy_and_gradient() {
    if (gradient_is_current_ && energy_is_current_) return;
    energy_ = potential_.energy_gradient(x_, g_, scratch_);
    gradient_is_current_ = energy_is_current_ = true;
  }
  LF_INLINE void positions_changed() { gradient_is_current_ = energy_is_current_ = false; }

  LF_INLINE void do_step(uint64_t step) {
    const uint64_t sets = static_cast<uint64_t>(problem_.normals_per_step);
    const uint64_t dim = static_cast<uint64_t>(dim_);
    for (int i = 0; i < problem_.n_instructions; ++i) {
      const Instruction<Real>& instruction = problem_.program[i];
      const PackedCoefficient<T>* k = coefficients_[i];
      const uint64_t row = (step * sets + static_cast<uint64_t>(instruction.draw)) * dim;
      // Here and not in the cases below, so that the potential is compiled into one place.
      if (needs_gradient(instruction.operation)) {
        need_gradient();
      } else if (needs_energy(instruction.operation)) {
        need_energy_and_gradient();
      }
      switch (instruction.operation) {
        case Operation::drift:
          drift(x_, v_, k[0], dim_);
          positions_changed();
          break;
        case Operation::kick:
          kick(v_, g_, k[0], dim_);
          break;
        case Operation::ornstein_uhlenbeck:
          for_each_part(row, [&](int c, int n, const T* xi) {
            ornstein_uhlenbeck(v_ + c, xi, k[0].from(c), k[1].from(c), n);
          });
          break;
        case Operation::euler_maruyama:
          for_each_part(row, [&](int c, int n, const T* xi) {
            euler_maruyama(x_ + c, g_ + c, xi, k[0].from(c), k[1].from(c), n);
          });
          positions_changed();
          break;
        case Operation::leimkuhler_matthews:
          for_each_part(row + sets * dim, [&](int c, int n, const T* next_xi) {
            leimkuhler_matthews(x_ + c, g_ + c, xi_ + c, next_xi, k[0].from(c), k[1].from(c), n);
          });
          positions_changed();
          break;
        case Operation::save:
          for (int c = 0; c < dim_; ++c) {
            saved_x_[c] = x_[c];
            saved_g_[c] = g_[c];
          }
          saved_energy_ = energy_;
          break;
        case Operation::metropolis:
          metropolis(step, instruction.draw, k);
          break;
      }
    }
  }

  LF_INLINE void metropolis(uint64_t step, int test, const PackedCoefficient<T>* k) {
    const T ratio = log_acceptance(saved_x_, saved_g_, x_, g_, energy_ - saved_energy_, k[0][0], k[1][0], k[2], dim_);
    const uint64_t number = step * static_cast<uint64_t>(problem_.uniforms_per_step) + static_cast<uint64_t>(test);
    const T u = *uniforms_.rows(number, 1, lanes_, key_);
    // A gradient or position that is not finite makes the ratio -inf or NaN, and an energy of -inf makes it +inf: both
    // comparisons are false for NaN.
    const auto accept = less(scaled_log<1, 0>(u), ratio) & less(ratio, T(Real(__builtin_inf())));
    accepted_ += select(accept, T(Real(1)), T(Real(0)));
    energy_ = select(accept, energy_, saved_energy_);
    for (int c = 0; c < dim_; ++c) {
      x_[c] = select(accept, x_[c], saved_x_[c]);
      g_[c] = select(accept, g_[c], saved_g_[c]);
    }
  }

  // --- divergence: a state that is not finite stays so, hence a look at the end of a run is enough ---------------------

  T not_finite() const {  // zero, or NaN
    T sum = T(Real(0));
    for (int c = 0; c < dim_; ++c) sum += x_[c] * T(Real(0));
    if (problem_.has_velocities) {
      for (int c = 0; c < dim_; ++c) sum += v_[c] * T(Real(0));
    }
    return sum;
  }

  bool any_divergence() const {
    const T bad = not_finite();
    for (int lane = 0; lane < valid_; ++lane) {
      if (!frozen_[lane] && get_lane(bad, lane) != Real(0)) return true;
    }
    return false;
  }

  // Freezes the lanes that step number `step` made non-finite; the others go on.
  void freeze_diverged(int64_t step) {
    const T bad = not_finite();
    for (int lane = 0; lane < valid_; ++lane) {
      if (frozen_[lane]) continue;
      if (get_lane(bad, lane) != Real(0)) {
        frozen_[lane] = any_frozen_ = true;
        problem_.diverged[first_ + lane] = step;
        continue;
      }
      for (int c = 0; c < dim_; ++c) {
        set_lane(last_x_[c], lane, get_lane(x_[c], lane));
        if (problem_.has_velocities) set_lane(last_v_[c], lane, get_lane(v_[c], lane));
      }
    }
  }

  const Problem<Real>& problem_;
  Potential potential_;
  int dim_;
  Arena arena_;
  T *x_, *v_, *g_, *xi_, *saved_x_, *saved_g_, *last_x_, *last_v_, *scratch_, *normal_rows_, *uniform_rows_;
  PackedCoefficient<T> coefficients_[kMaxInstructions][kMaxCoefficients];
  T energy_, saved_energy_, accepted_;
  Normals normals_;
  Uniforms uniforms_;
  Lanes<T> lanes_;
  PhiloxKey key_;
  int64_t first_;
  int valid_;
  bool frozen_[kLanes], any_frozen_, gradient_is_current_, energy_is_current_;
};

}  // namespace lf::LF_ISA
