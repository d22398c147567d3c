// The step loop of one group of particles: a program of operations, interpreted while the state stays in the cache.
//
// T holds one component of every particle of the group. The operations come gathered into passes over the components:
// as many operations on positions and velocities as need no new gradient in between (BAOAB is BAOA and B). The gradient
// is kept until the positions change, so that the last kick of a step and the first of the next share it.
#pragma once

#include "../core/streams.hpp"
#include "../schemes/operations.hpp"
#include "arena.hpp"
#include "coefficients.hpp"
#include "looks.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

template <class Real, class T, class Potential>
class Block {
 public:
  static constexpr int kLanes = kLanesOf<T>;
  using OfOperation = const PackedCoefficient<T>*;
  using AtComponent = CoefficientsAt<T>;
  using Normals = Window<T, Law::normal>;
  using Uniforms = Window<T, Law::uniform>;

  // Lays out the workspace; a null memory only measures it.
  Block(const Problem<Real>& problem, void* memory) : problem_(problem), dim_(problem.dim), arena_(memory) {
    x_ = arena_.take<T>(dim_);
    v_ = arena_.take<T>(dim_);
    g_ = arena_.take<T>(dim_);
    xi_ = arena_.take<T>(dim_);
    old_x_ = arena_.take<T>(dim_);
    old_g_ = arena_.take<T>(dim_);
    last_x_ = arena_.take<T>(dim_);
    last_v_ = arena_.take<T>(dim_);
    scratch_ = arena_.take<T>(Potential::scratch(problem.parameters, dim_));
    normal_rows_ = arena_.take<T>(Normals::kRows);
    uniform_rows_ = arena_.take<T>(Uniforms::kRows);
    coefficients_.take(problem, arena_);
  }
  std::size_t workspace_bytes() const { return arena_.used(); }

  // Particles first .. first + valid - 1; the other lanes repeat the last one and are not stored.
  void run(const Stretch<Real>& stretch, int64_t first, int valid) {
    stretch_ = &stretch;
    first_ = first;
    valid_ = valid;
    key_ = philox_key(problem_.seed);
    row_ = stretch.rows ? stretch.rows[0] : 0;
    load_streams();
    load_coefficients();
    load_state();
    advance(false);
    if (any_divergence()) {
      // Rare, so it may be slow: once more from the start, looking at every step.
      if (stretch.rows) use_row(stretch.rows[0]);
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
    coefficients_.load(problem_, row_, [this](int lane) { return particle(lane); });
  }

  // The numbers of another row of the schedule.
  __attribute__((noinline)) void use_row(int32_t row) {
    if (row == row_) return;
    row_ = row;
    load_coefficients();
  }

  void load_state() {
    read(x_, stretch_->positions_in);
    if (problem_.has_velocities()) read(v_, stretch_->velocities_in);
    for (int c = 0; c < dim_; ++c) {
      last_x_[c] = x_[c];
      if (problem_.has_velocities()) last_v_[c] = v_[c];
    }
    load_kept();
    // One that diverged in an earlier run stays at the state it came with.
    any_frozen_ = false;
    for (int lane = 0; lane < kLanes; ++lane) {
      frozen_[lane] = lane >= valid_ || stretch_->diverged[first_ + lane] >= 0;
      any_frozen_ = any_frozen_ || (lane < valid_ && frozen_[lane]);
    }
    accepted_ = T(Real(0));
  }

  void store_state() {
    write(stretch_->positions_out, x_, last_x_);
    if (problem_.has_velocities()) write(stretch_->velocities_out, v_, last_v_);
    store_kept();
    if (problem_.uniforms_per_step) {
      for (int lane = 0; lane < valid_; ++lane) stretch_->accepted[first_ + lane] += int64_t(get_lane(accepted_, lane));
    }
  }

  // What is known at the positions outlives a stretch. The layout is the group's own: no one else reads it.
  void load_kept() {
    gradient_is_current_ = stretch_->gradient && stretch_->gradient_known;
    energy_is_current_ = stretch_->energy && stretch_->energy_known;
    if (gradient_is_current_) copy(g_, stretch_->gradient + first_ * dim_, dim_);
    if (energy_is_current_) copy(&energy_, stretch_->energy + first_, 1);
  }
  void store_kept() const {
    if (stretch_->gradient) copy(stretch_->gradient + first_ * dim_, g_, dim_);
    if (stretch_->energy) copy(stretch_->energy + first_, &energy_, 1);
  }
  static void copy(void* to, const void* from, int n) {
    __builtin_memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
  }

  void read(T* to, const Real* from) const {
    if (dim_ == 1 && valid_ == kLanes) {
      __builtin_memcpy(to, from + first_, sizeof(T));
      return;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int c = 0; c < dim_; ++c) set_lane(to[c], lane, from[particle(lane) * dim_ + c]);
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

  // Where the components of the state are: in the workspace, or, for a single particle in one dimension, in local
  // variables that the compiler keeps in registers. There the time of a step is the latency of the recursion, and
  // memory would add to it. kDim = 0 means the workspace.
  template <int kDim>
  struct Fields {
    T *x, *v, *g, *xi, *old_x, *old_g;
    int dim;
    Potential potential;
  };

  const Real* parameters() const { return problem_.parameters + row_ * problem_.parameter_row_stride; }
  Potential potential(int dim) const { return make_potential<Potential>(parameters(), dim, problem_.external); }

  void advance(bool checked) {
    if constexpr (kLanes == 1 && Potential::kSmallestDim == 1) {
      if (dim_ == 1) {
        T x = x_[0], v = v_[0], g = g_[0], xi, old_x, old_g;
        Fields<1> f{&x, &v, &g, &xi, &old_x, &old_g, 1, potential(1)};
        advance(checked, f);
        return;
      }
    }
    Fields<0> f{x_, v_, g_, xi_, old_x_, old_g_, dim_, potential(dim_)};
    advance(checked, f);
  }

  // Makes the workspace show the state.
  template <int kDim>
  LF_INLINE void settle(Fields<kDim>& f) {
    if constexpr (kDim == 1) {
      x_[0] = f.x[0];
      v_[0] = f.v[0];
      g_[0] = f.g[0];
    } else {
      // proposals exchange these pointers
      x_ = f.x;
      g_ = f.g;
      old_x_ = f.old_x;
      old_g_ = f.old_g;
    }
  }

  template <int kDim>
  LF_INLINE void advance(bool checked, Fields<kDim>& f) {
    const int64_t end = stretch_->first_step + stretch_->n_steps;
    const uint64_t dim = static_cast<uint64_t>(f.dim);
    const uint64_t last_set = static_cast<uint64_t>(end) * static_cast<uint64_t>(problem_.normals_per_step) +
                              (problem_.looks_ahead() ? 1 : 0);
    normals_.reset(normal_rows_, Tag::thermal, last_set * dim);
    uniforms_.reset(uniform_rows_, Tag::metropolis,
                    static_cast<uint64_t>(end) * static_cast<uint64_t>(problem_.uniforms_per_step));
    if (problem_.looks_ahead()) {
      with_normals(f, static_cast<uint64_t>(stretch_->first_step) * dim,
                   [&](int c, const T& xi) LF_INLINED { f.xi[c] = xi; });
    }
    int64_t step = stretch_->first_step;
    looks_.begin(*stretch_);
    while (step < end) {
      int64_t stop = looks_.next() < end ? looks_.next() : end;
      if (stretch_->rows) {
        turn_to_row(f, row_of(*stretch_, step));
        stop = end_of_row(*stretch_, step, stop);
      }
      for (; step < stop; ++step) {
        do_step(f, static_cast<uint64_t>(step));
        if (checked) {
          settle(f);
          freeze_diverged(step + 1);
        }
      }
      settle(f);
      if (step == looks_.next()) look(step);
    }
  }

  // Inlined, as everything that is given the fields: what they point to would live in memory otherwise.
  template <class F>
  LF_INLINE void turn_to_row(F& f, int32_t row) {
    if (row == row_) return;
    use_row(row);
    f.potential.p = parameters();
    if (problem_.parameter_row_stride) positions_changed();
  }

  // The state after step number `step` to those that look at it.
  void look(int64_t step) {
    looks_.look(step, [&](const Recording<Real>& r, int64_t index) {
      const int64_t offset = index * problem_.n_particles * dim_;
      write(r.positions + offset, x_, last_x_);
      if (r.velocities) write(r.velocities + offset, v_, last_v_);
    });
  }

  // Calls apply(c, xi_c) for every component c, with the normals from number `row` on.
  template <int kDim, class Apply>
  LF_INLINE void with_normals(const Fields<kDim>& f, uint64_t row, Apply apply) {
    if constexpr (kDim == 1) {
      apply(0, normals_.row(row, lanes_, key_));
      return;
    }
    for (int start = 0; start < f.dim;) {
      int n = f.dim - start;
      const T* xi = normals_.rows(row + static_cast<uint64_t>(start), n, lanes_, key_);
      for (int i = 0; i < n; ++i) apply(start + i, xi[i]);
      start += n;
    }
  }

  template <class F>
  LF_INLINE void need_gradient(F& f) {
    if (gradient_is_current_) return;
    f.potential.gradient(f.x, f.g, scratch_);
    gradient_is_current_ = true;
  }
  template <class F>
  LF_INLINE void need_energy_and_gradient(F& f) {
    if (gradient_is_current_ && energy_is_current_) return;
    energy_ = f.potential.energy_gradient(f.x, f.g, scratch_);
    gradient_is_current_ = energy_is_current_ = true;
  }
  LF_INLINE void positions_changed() { gradient_is_current_ = energy_is_current_ = false; }

  template <int kDim>
  LF_INLINE void do_step(Fields<kDim>& f, uint64_t step) {
    const uint64_t sets = static_cast<uint64_t>(problem_.normals_per_step);
    const uint64_t dim = static_cast<uint64_t>(f.dim);
    for (int i = 0; i < problem_.n_passes; ++i) {
      const Pass& pass = problem_.passes[i];
      const uint64_t row = (step * sets + static_cast<uint64_t>(pass.draw)) * dim;
      // Here and not in the cases below, so that the potential is compiled into one place.
      if (pass.properties & kReadsEnergy) {
        need_energy_and_gradient(f);
      } else if (pass.properties & kReadsGradient) {
        need_gradient(f);
      }
      if (pass.properties & kUsesVelocities) {
        if (pass.properties & kDrawsNormals) {
          with_normals(f, row, [&](int c, const T& xi) LF_INLINED { velocity_pass(f, pass, c, xi); });
        } else {
          for (int c = 0; c < f.dim; ++c) velocity_pass(f, pass, c, f.v[c]);
        }
      } else {
        switch (problem_.program[pass.begin].operation) {
#define LF_ROW(name, letter, properties, ...)                                                                        \
  case Operation::name:                                                                                              \
    if constexpr (!((properties) & kUsesVelocities)) {                                                               \
      position_pass<properties>(f, pass, row, [](Component<T>& s, const AtComponent& k) LF_INLINED { name(s, k); }); \
    }                                                                                                                \
    break;
          LF_COMPONENT_OPERATIONS(LF_ROW)
#undef LF_ROW
          case Operation::metropolis:
            test_proposals(f,
                           step * static_cast<uint64_t>(problem_.uniforms_per_step) + static_cast<uint64_t>(pass.draw),
                           coefficients_[pass.begin]);
            break;
        }
      }
      if (pass.properties & kMoves) positions_changed();
    }
  }

  // Operations on velocities, for component c: position and velocity stay in registers between them.
  template <class F>
  LF_INLINE void velocity_pass(F& f, const Pass& pass, int c, const T& xi) {
    Component<T> s;
    s.x = f.x[c];
    s.v = f.v[c];
    s.gradient = f.g[c];
    s.xi = xi;
    for (int i = pass.begin; i < pass.end; ++i) {
      apply<kUsesVelocities>(problem_.program[i].operation, s, AtComponent{coefficients_[i], c});
    }
    f.v[c] = s.v;
    if (pass.properties & kMoves) f.x[c] = s.x;
  }

  // One operation on positions alone.
  template <unsigned properties, int kDim, class Operate>
  LF_INLINE void position_pass(Fields<kDim>& f, const Pass& pass, uint64_t row, Operate operate) {
    OfOperation k = coefficients_[pass.begin];
    if constexpr (properties & kProposes) {
      make_proposals(f, row, k, operate);
    } else {
      constexpr bool ahead = properties & kLooksAhead;
      if (ahead) row += static_cast<uint64_t>(problem_.normals_per_step) * static_cast<uint64_t>(f.dim);
      with_normals(f, row, [&](int c, const T& xi) LF_INLINED {
        Component<T> s;
        s.x = f.x[c];
        s.gradient = f.g[c];
        s.xi = ahead ? f.xi[c] : xi;
        s.next_xi = xi;
        operate(s, AtComponent{k, c});
        f.x[c] = s.x;
        if (ahead) f.xi[c] = xi;
      });
    }
  }

  template <int kDim, class Operate>
  LF_INLINE void make_proposals(Fields<kDim>& f, uint64_t row, OfOperation k, Operate operate) {
    old_energy_ = energy_;
    if constexpr (kDim == 1) {
      f.old_x[0] = f.x[0];
      f.old_g[0] = f.g[0];
    } else {
      exchange(f.x, f.old_x);
      exchange(f.g, f.old_g);
    }
    T forward = T(Real(0));
    with_normals(f, row, [&](int c, const T& xi) LF_INLINED {
      Component<T> s;
      s.x = f.old_x[c];
      s.gradient = f.old_g[c];
      s.xi = xi;
      operate(s, AtComponent{k, c});
      f.x[c] = s.x;
      forward += squared_noise(f.old_x[c], s.gradient, s.x, k[of_propose::mobility][c]);
    });
    forward_ = forward;
  }

  template <class F>
  LF_INLINE void test_proposals(F& f, uint64_t number, OfOperation k) {
    using namespace of_metropolis;
    T backward = T(Real(0));
    for (int c = 0; c < f.dim; ++c) backward += squared_noise(f.x[c], f.g[c], f.old_x[c], k[mobility][c]);
    const T ratio =
        log_acceptance(energy_ - old_energy_, forward_, backward, k[inverse_kT][0], k[quarter_drag_over_kTh][0]);
    const auto accept = accepts(uniforms_.row(number, lanes_, key_), ratio);
    accepted_ += select(accept, T(Real(1)), T(Real(0)));
    energy_ = select(accept, energy_, old_energy_);
    for (int c = 0; c < f.dim; ++c) {
      f.x[c] = select(accept, f.x[c], f.old_x[c]);
      f.g[c] = select(accept, f.g[c], f.old_g[c]);
    }
  }

  static LF_INLINE void exchange(T*& a, T*& b) {
    T* const t = a;
    a = b;
    b = t;
  }

  // --- divergence: a state that is not finite stays so, hence a look at the end of a run is enough

  T not_finite() const {  // zero, or NaN
    T sum = T(Real(0));
    for (int c = 0; c < dim_; ++c) sum += x_[c] * T(Real(0));
    if (problem_.has_velocities()) {
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
        stretch_->diverged[first_ + lane] = step;
        continue;
      }
      for (int c = 0; c < dim_; ++c) {
        set_lane(last_x_[c], lane, get_lane(x_[c], lane));
        if (problem_.has_velocities()) set_lane(last_v_[c], lane, get_lane(v_[c], lane));
      }
    }
  }

  const Problem<Real>& problem_;
  const Stretch<Real>* stretch_;
  int dim_;
  Arena arena_;
  T *x_, *v_, *g_, *xi_, *old_x_, *old_g_, *last_x_, *last_v_, *scratch_, *normal_rows_, *uniform_rows_;
  Coefficients<Real, T> coefficients_;
  T energy_, old_energy_, forward_, accepted_;
  Normals normals_;
  Uniforms uniforms_;
  Lanes<T> lanes_;
  PhiloxKey key_;
  int64_t first_;
  Looks<Real> looks_;
  int32_t row_;  // of the schedule
  int valid_;
  bool frozen_[kLanes], any_frozen_, gradient_is_current_, energy_is_current_;
};

}  // namespace lf::LF_ISA
