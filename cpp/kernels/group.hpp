// A group of particles and all that its step loops share: state, noise, coefficients; what is loaded before, looked at
// in between and stored after. Independent of the potential.
#pragma once

#include "../core/streams.hpp"
#include "../schemes/operations.hpp"
#include "alarm.hpp"
#include "arena.hpp"
#include "boundary.hpp"
#include "coefficients.hpp"
#include "looks.hpp"
#include "observing.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

// In one dimension a wide group has so many vectors: position, velocity and gradient stay in registers. With more
// components they are in memory, and kWidePack vectors share what the loop costs.
inline constexpr int kLinePack = 4;

// What T is used for: groups in one dimension, in more. A potential that is called by address takes the state from
// memory anyway.
template <class T, class Potential>
constexpr bool on_line() {
  return Potential::kSmallestDim == 1 && !Potential::kExternal && sizeof(T) <= kLinePack * kVectorBytes;
}
// Where energies are accounted for, operations are made one by one, and where there are walls, positions are folded:
// both on the state in memory.
template <class Real>
bool in_line(const Problem<Real>& problem) {
  return problem.dim == 1 && problem.accountant < 0 && !problem.bounded();
}
template <class T>
constexpr bool off_line() {
  return sizeof(T) != kLinePack * kVectorBytes || kLinePack == kWidePack;
}

// T holds one component of every particle of the group.
template <class Real, class T>
class Group {
 public:
  static constexpr int kLanes = kLanesOf<T>;

  std::size_t workspace_bytes() const { return arena_.used(); }

 protected:
  using Normals = Window<T, Law::normal>;
  using Uniforms = Window<T, Law::uniform>;

  // An instruction as the loops want it.
  struct Step {
    Operation operation;
    unsigned properties;
    const PackedCoefficient<T>* coefficients;
  };

  // Lays out the workspace; a null memory only measures it. `scratch` is how many T the potential wants.
  Group(const Problem<Real>& problem, void* memory, int64_t scratch)
      : problem_(problem), dim_(problem.dim), arena_(memory) {
    x_ = arena_.take<T>(dim_);
    v_ = arena_.take<T>(dim_);
    g_ = arena_.take<T>(dim_);
    xi_ = arena_.take<T>(dim_);
    old_x_ = arena_.take<T>(dim_);
    old_g_ = arena_.take<T>(dim_);
    last_x_ = arena_.take<T>(dim_);
    last_v_ = arena_.take<T>(dim_);
    scratch_ = arena_.take<T>(scratch);
    const int folded = problem.bounded() ? dim_ : 0;
    signs_ = arena_.take<T>(folded);
    for (T*& folded_array : folded_) folded_array = arena_.take<T>(folded);
    const int together = in_line(problem) ? kLooksTogether : 0;
    kept_x_ = arena_.take<T>(together);
    kept_v_ = arena_.take<T>(problem.has_velocities() ? together : 0);
    kept_u_ = arena_.take<T>(together > 0 ? together : 1);
    normal_rows_ = arena_.take<T>(Normals::kRows);
    uniform_rows_ = arena_.take<T>(Uniforms::kRows);
    coefficients_.take(problem, arena_);
    observing_.take(problem, arena_);
    for (int i = 0; i < problem.n_instructions; ++i) {
      const Operation o = problem.program[i].operation;
      program_[i] = {o, properties_of(o), coefficients_[i]};
    }
  }

  // --- before the first step and after the last

  // Particles first .. first + valid - 1; the other lanes repeat the last one and are not stored.
  void load(const Stretch<Real>& stretch, int64_t first, int valid) {
    stretch_ = &stretch;
    first_ = first;
    valid_ = valid;
    key_ = philox_key(problem_.seed);
    load_streams();
    row_ = first_row();
    load_coefficients();
    load_state();
    weight_ = 1;
  }

  // Once more from the start.
  void reload() {
    use_row(first_row());
    load_state();
  }

  void store() {
    write(stretch_->positions_out, x_, last_x_);
    if (problem_.has_velocities()) write(stretch_->velocities_out, v_, last_v_);
    store_kept();
    if (problem_.uniforms_per_step) {
      for (int lane = 0; lane < valid_; ++lane) {
        stretch_->accepted[particle(lane)] += int64_t(get_lane(frozen_[lane] ? last_accepted_ : accepted_, lane));
      }
    }
  }

  // The numbers of another row of the schedule.
  __attribute__((noinline)) void use_row(int32_t row) {
    if (row == row_) return;
    row_ = row;
    load_coefficients();
    if (problem_.parameter_row_stride) positions_changed();
  }

  const Real* parameters() const { return problem_.parameters + row_ * problem_.parameter_row_stride; }

  void positions_changed() { gradient_is_current_ = energy_is_current_ = false; }

  // What was summed over the operations of a step, to the observers that ask for it; and the kinetic energies they sum.
  void account(const T (&sums)[3]) { observing_.account(sums, seen(x_, v_, nullptr), *stretch_); }
  T kinetic_energy() {
    T room;
    const Source<Real>& source = problem_.observations[problem_.accountant].sources[0];
    return T(Real(0.5)) * *observing_.values_of(source, Series{0, 0, 1}, seen(x_, v_, nullptr), &room);
  }

  // The planned looks, at the states that were kept, or the one at the present state; U is there if it is read. Whether
  // that moved a particle.
  __attribute__((noinline)) bool look(bool kept) {
    const T *const x = kept ? kept_x_ : x_, *const v = kept ? kept_v_ : v_;
    const auto store = [&](int i, const Series& series) {
      const Recording<Real>& r = stretch_->recordings[i];
      for (int k = 0; k < series.n; ++k) {
        const int64_t offset = (series.index + k) * problem_.n_particles * dim_;
        write(r.positions + offset, x + (series.begin + k), last_x_);
        if (r.velocities) write(r.velocities + offset, v + (series.begin + k), last_v_);
      }
    };
    bool moved = false, changed = rang_;
    // Up to where a particle is stopped, whom nobody sees from then on.
    for (int begin = 0, end; begin < looks_.planned(); begin = end) {
      const Seen<T> now = seen(x, v, kept_u_);
      end = looks_.planned();
      bool stops = false;
      for (int i = 0; i < problem_.n_observations; ++i) {
        if (!problem_.observations[i].stops) continue;
        looks_.foresee(i, begin, end, [&](const Series& series) LF_INLINED {
          if (series.begin >= end) return;
          const int first = observing_.first_arrival(i, series, now, *stretch_);
          if (first == series.n) return;
          end = series.begin + first + 1;
          stops = true;
        });
      }
      arrived_ = false;
      looks_.look(begin, end, store, [&](int i, const Series& series) LF_INLINED {
        if (stops || !problem_.observations[i].stops) observing_.look(i, series, now, *stretch_);
      });
      if (!arrived_) continue;
      changed = true;
      moved = move_arrived(looks_.steps()[end - 1], x + (end - 1), v + (end - 1)) || moved;
    }
    if (waiting_ && changed) set_alarm();
    return moved;
  }

  // Before the first step; `waiting`: whether observers that wait for something are told by the alarm.
  void begin_looks(bool waiting) {
    waiting_ = rang_ = false;
    looks_.begin(problem_, *stretch_, [&](const Observation<Real>& o) {
      const bool waits = waiting && Alarm<Real, T>::waits(o, *stretch_);
      waiting_ = waiting_ || waits;
      return waits;
    });
    if (waiting_) set_alarm();
  }

  // Makes good what the observers saw since the start, in a stretch that is to be run once more from there: `take_back`
  // makes every count of it one less.
  void forget_looks(bool take_back) {
    for (int lane = 0; lane < valid_; ++lane) observing_.reset(*stretch_, particle(lane));
    weight_ = take_back ? -1 : 1;
  }
  bool counts() const { return observing_.counts(); }

  // --- divergence: a state that is not finite stays so, hence a look at the end of a run is enough

  bool any_divergence() const {
    const T bad = not_finite(x_, v_);
    for (int lane = 0; lane < valid_; ++lane) {
      if (!frozen_[lane] && get_lane(bad, lane) != Real(0)) return true;
    }
    return false;
  }

  // Freezes the lanes that step number `step` made non-finite; the others go on.
  void freeze_diverged(int64_t step) {
    const T bad = not_finite(x_, v_);
    for (int lane = 0; lane < valid_; ++lane) {
      if (frozen_[lane]) continue;
      if (get_lane(bad, lane) != Real(0)) {
        frozen_[lane] = any_frozen_ = true;
        stretch_->diverged[particle(lane)] = step;
        continue;
      }
      show(lane, x_, v_);
    }
  }

  // Whether there is anything to do but to show what there was.
  bool all_frozen() const {
    if (!any_frozen_) return false;
    for (int lane = 0; lane < valid_; ++lane) {
      if (!frozen_[lane]) return false;
    }
    return true;
  }

 protected:
  // Positions in the box; signs_ are those of velocities and gradients there.
  const T* folded_positions() {
    for (int c = 0; c < dim_; ++c) folded_[0][c] = fold(problem_.boundary, c, x_[c], signs_[c]);
    return folded_[0];
  }

 private:
  int64_t particle(int lane) const {
    const int64_t i = first_ + (lane < valid_ ? lane : valid_ - 1);
    return stretch_->particles ? stretch_->particles[i] : i;
  }
  // The state as it is shown, in the box, or states that were kept.
  Seen<T> seen(const T* x, const T* v, const T* energy) {
    const PackedCoefficient<T>* last = program_[problem_.n_instructions - 1].coefficients;
    const bool together = whole() && !any_frozen_;
    Seen<T> s{x,      x,        v,       g_,      energy,   last, looks_.steps(), first_, stretch_->particles,
              valid_, together, frozen_, weight_, &arrived_};
    if (problem_.bounded()) {
      s.x = folded_positions();
      s.v = folded_[1];
      s.g = folded_[2];
      for (int c = 0; c < dim_; ++c) {
        if (problem_.has_velocities()) folded_[1][c] = signs_[c] * v_[c];
        folded_[2][c] = signs_[c] * g_[c];
      }
    }
    return s;
  }
  // All lanes, side by side.
  bool whole() const { return valid_ == kLanes && !stretch_->particles; }

  // This state of a lane is the one to show, whatever becomes of it.
  void show(int lane, const T* x, const T* v) {
    set_lane(last_accepted_, lane, get_lane(accepted_, lane));
    for (int c = 0; c < dim_; ++c) {
      set_lane(last_x_[c], lane, get_lane(x[c], lane));
      if (problem_.has_velocities()) set_lane(last_v_[c], lane, get_lane(v[c], lane));
    }
  }

  // What observers make of the particles that have arrived after this step, when all have looked: those that one stops
  // are not put elsewhere by another. x and v are the state there. Whether any was.
  bool move_arrived(int64_t step, const T* x, const T* v) {
    bool moved = false;
    const T bad = not_finite(x, v);
    for (int turn = 0; turn < 2; ++turn) {
      const bool stops = turn == 0;
      for (int i = 0; i < problem_.n_observations; ++i) {
        const Observation<Real>& o = problem_.observations[i];
        if (stops ? !o.stops : !o.restart_x) continue;
        const int64_t* const marks = stretch_->accumulators[i].marks + (stops ? 0 : problem_.n_particles);
        for (int lane = 0; lane < valid_; ++lane) {
          // what is not finite stays so, for the look at the end of the run
          if (frozen_[lane] || marks[particle(lane)] != step || get_lane(bad, lane) != Real(0)) continue;
          if (stops) {
            show(lane, x, v);
            frozen_[lane] = any_frozen_ = true;
            continue;
          }
          moved = true;
          for (int c = 0; c < dim_; ++c) {
            set_lane(x_[c], lane, o.restart_x[particle(lane) * dim_ + c]);
            if (problem_.has_velocities()) set_lane(v_[c], lane, o.restart_v[particle(lane) * dim_ + c]);
          }
          show(lane, x_, v_);  // where it stays if the next step is its last
        }
      }
    }
    if (moved) positions_changed();
    return moved;
  }

  bool stopped(int64_t particle) const {
    for (int i = 0; i < problem_.n_observations; ++i) {
      if (problem_.observations[i].stops && stretch_->accumulators[i].marks[particle] >= 0) return true;
    }
    return false;
  }
  int32_t first_row() const {
    if (!stretch_->rows) return 0;
    return problem_.accountant < 0 ? stretch_->rows[0] : stretch_->row_before;
  }

  void load_streams() {
    if constexpr (kLanes == 1) {
      lanes_.particle = problem_.streams[particle(0)];
    } else {
      uint64_t ids[kLanes];
      for (int lane = 0; lane < kLanes; ++lane) ids[lane] = problem_.streams[particle(lane)];
      lanes_.set(ids);
    }
  }

  void load_coefficients() {
    coefficients_.load(problem_, row_, [this](int lane) { return particle(lane); });
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
      frozen_[lane] = lane >= valid_ || stretch_->diverged[particle(lane)] >= 0 || stopped(particle(lane));
      any_frozen_ = any_frozen_ || (lane < valid_ && frozen_[lane]);
    }
    accepted_ = last_accepted_ = T(Real(0));
    if (!energy_is_current_) energy_ = T(Real(0));  // copied where it is not used
    for (int c = 0; c < dim_ && !gradient_is_current_; ++c) g_[c] = T(Real(0));
    load_noise();
  }

  // Every number is drawn once, one after the other, so the windows only go on from where the stretch begins.
  void load_noise() {
    const uint64_t first = static_cast<uint64_t>(stretch_->first_step);
    const uint64_t end = static_cast<uint64_t>(stretch_->first_step + stretch_->n_steps);
    const uint64_t normals = static_cast<uint64_t>(problem_.normals_per_step) * static_cast<uint64_t>(dim_);
    const uint64_t uniforms = static_cast<uint64_t>(problem_.uniforms_per_step);
    const uint64_t ahead = problem_.looks_ahead() ? static_cast<uint64_t>(dim_) : 0;
    normals_.reset(normal_rows_, Tag::thermal, first * normals, end * normals + ahead);
    uniforms_.reset(uniform_rows_, Tag::metropolis, first * uniforms, end * uniforms);
    for (int c = 0; ahead && c < dim_; ++c) xi_[c] = normals_.next(lanes_, key_);
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
    if (dim_ == 1 && whole()) {
      __builtin_memcpy(to, from + first_, sizeof(T));
      return;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      for (int c = 0; c < dim_; ++c) set_lane(to[c], lane, from[particle(lane) * dim_ + c]);
    }
  }

  void set_alarm() {
    alarm_.set(problem_, *stretch_, x_[0], frozen_, [this](int lane) { return particle(lane); });
  }

  // In frozen lanes `last` is the state to show.
  void write(Real* out, const T* current, const T* last) const {
    if (dim_ == 1 && !any_frozen_ && !stretch_->particles) {
      __builtin_memcpy(out + first_, current, static_cast<std::size_t>(valid_) * sizeof(Real));
      return;
    }
    for (int lane = 0; lane < valid_; ++lane) {
      const T* from = frozen_[lane] ? last : current;
      for (int c = 0; c < dim_; ++c) out[particle(lane) * dim_ + c] = get_lane(from[c], lane);
    }
  }

  T not_finite(const T* x, const T* v) const {  // zero, or NaN
    T sum = T(Real(0));
    for (int c = 0; c < dim_; ++c) sum += x[c] * T(Real(0));
    if (problem_.has_velocities()) {
      for (int c = 0; c < dim_; ++c) sum += v[c] * T(Real(0));
    }
    return sum;
  }

 protected:
  const Problem<Real>& problem_;
  const Stretch<Real>* stretch_;
  int dim_;
  T *x_, *v_, *g_, *xi_, *old_x_, *old_g_, *scratch_, *signs_;
  T *kept_x_, *kept_v_, *kept_u_;  // at planned looks, in one dimension
  T energy_, old_energy_, forward_, accepted_, last_accepted_;
  bool gradient_is_current_, energy_is_current_;
  Step program_[kMaxInstructions];
  Normals normals_;
  Uniforms uniforms_;
  Lanes<T> lanes_;
  PhiloxKey key_;
  Looks<Real> looks_;
  Alarm<Real, T> alarm_;
  bool waiting_, rang_;  // whether the alarm is listened to, and has been heard in the last step

 private:
  Arena arena_;
  T* folded_[3];  // positions, velocities, gradients
  T *last_x_, *last_v_, *normal_rows_, *uniform_rows_;
  Coefficients<Real, T> coefficients_;
  Observing<Real, T> observing_;
  int64_t first_, weight_;
  int32_t row_;  // of the schedule
  int valid_;
  bool frozen_[kLanes], any_frozen_, arrived_;
};

}  // namespace lf::LF_ISA
