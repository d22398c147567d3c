// The step loops of one group of particles: a program of operations, interpreted while the state stays close.
//
// In one dimension the state is in registers: along_line(). Otherwise it is in the workspace, and the operations come
// gathered into passes over the components: as many as need no new gradient in between (BAOAB is BAOA and B). The
// gradient is kept until the positions change, so that the last kick of a step and the first of the next share it.
#pragma once

#include "cells.hpp"
#include "group.hpp"

namespace lf::LF_ISA {

template <class Real, class T, class Potential>
class Block : public Group<Real, T> {
 public:
  using Base = Group<Real, T>;

  Block(const Problem<Real>& problem, void* memory)
      : Base(problem, memory, Potential::scratch(problem.parameters, problem.dim)) {}

  // Particles first .. first + valid - 1.
  void run(const Stretch<Real>& stretch, int64_t first, int valid) {
    this->load(stretch, first, valid);
    advance(false);
    if (this->any_divergence()) {
      // Rare, so it may be slow: once more from the start, looking at every step.
      if (this->counts()) {
        this->forget_looks(true);
        this->reload();
        advance(false);
      }
      this->forget_looks(false);
      this->reload();
      advance(true);
    }
    this->store();
  }

 private:
  using Base::accepted_, Base::alarm_, Base::dim_, Base::energy_, Base::energy_is_current_, Base::forward_, Base::g_,
      Base::gradient_is_current_, Base::kept_u_, Base::kept_v_, Base::kept_x_, Base::key_, Base::lanes_, Base::looks_,
      Base::normals_, Base::old_energy_, Base::old_g_, Base::old_x_, Base::problem_, Base::program_, Base::rang_,
      Base::scratch_, Base::signs_, Base::stretch_, Base::uniforms_, Base::v_, Base::waiting_, Base::x_, Base::xi_;
  using Step = typename Base::Step;
  template <class Cell>
  using AtCell = CoefficientsAt<T, Cell>;

  // In pieces that end where something is to be done with the state.
  void advance(bool checked) {
    const int64_t end = stretch_->first_step + stretch_->n_steps;
    energy_is_accounted_ = false;
    this->begin_looks(!checked && keeps());
    plan_looks(checked);
    for (int64_t step = stretch_->first_step; step < end;) {
      int64_t stop = looks_.last() < end ? looks_.last() : end;
      if (problem_.accountant >= 0) {
        stop = step + 1;
        if (!this->all_frozen()) make_accounted_step(step);
      } else if (stretch_->rows) {
        this->use_row(row_of(*stretch_, step));
        stop = end_of_row(*stretch_, step, stop);
      }
      if (checked) stop = step + 1;
      if (problem_.accountant >= 0 || this->all_frozen()) {
        step = stop;
      } else {
        step = make_steps(step, stop);
      }
      if (checked) this->freeze_diverged(step);
      if (problem_.accountant >= 0) this->account(sums_);
      if (rang_) looks_.ring(step);
      if (step == looks_.last()) {
        look();
        plan_looks(checked);
      }
    }
  }

  // Whether states are in registers, and kept for looks that are planned.
  bool keeps() const {
    if constexpr (on_line<T, Potential>()) return in_line(problem_);
    return false;
  }

  void plan_looks(bool checked) {
    looks_.plan(keeps() && !checked ? kLooksTogether : 1);
    n_kept_ = 0;
    rang_ = false;
  }

  void look() {
    const int last = looks_.planned() - 1;
    // What the next step would compute first, so that it costs nothing; the energy has a sum of its own.
    if ((looks_.reads(last) & kReadsGradient) && !gradient_is_current_) {
      evaluate(kReadsGradient);
      gradient_is_current_ = true;
    }
    for (int i = 0; i <= last; ++i) {
      if (!(looks_.reads(i) & kReadsEnergy)) continue;
      if (i == last) {
        kept_u_[i] = energy_is_current_ ? energy_ : evaluate(kReadsEnergy);
      } else {
        kept_u_[i] = evaluate(kReadsEnergy, kept_x_ + i);
      }
    }
    if (Base::look(keeps())) energy_is_accounted_ = false;
  }

  // The last step that was made: `stop`, or one at which the alarm rings.
  int64_t make_steps(int64_t step, int64_t stop) {
    if constexpr (on_line<T, Potential>()) {
      if (keeps()) {
        if (problem_.properties & kTests) return along_line<true>(step, stop);
        return along_line<false>(step, stop);
      }
    }
    if constexpr (off_line<T>()) {
      const Potential potential = this->potential(dim_);
      for (; step < stop; ++step) step_in_passes(potential);
    }
    return stop;
  }

  // U at the present positions, its gradient, or both.
  T evaluate(unsigned what) {
    const T energy = evaluate(what, problem_.bounded() ? this->folded_positions() : x_);
    if (problem_.bounded() && (what & kReadsGradient)) {
      for (int c = 0; c < dim_; ++c) g_[c] = signs_[c] * g_[c];
    }
    return energy;
  }

  // At x; a call, for what is wanted now and then, or folded.
  __attribute__((noinline)) T evaluate(unsigned what, const T* x) {
    const Potential potential = this->potential(dim_);
    if (what == kReadsEnergy) return potential.energy(x, scratch_);
    if (what == (kReadsEnergy | kReadsGradient)) return potential.energy_gradient(x, g_, scratch_);
    potential.gradient(x, g_, scratch_);
    return T(Real(0));
  }

  Potential potential(int dim) const { return make_potential<Potential>(this->parameters(), dim, problem_.external); }

  // --- one dimension

  // All that a step changes is in local variables, which the compiler keeps in registers: with so few operations a
  // step, memory would cost as much as the arithmetic, and for a single particle, where the time of a step is the
  // latency of the recursion, more. `tests`: what only programs with a test need takes registers too.
  template <bool tests>
  __attribute__((noinline)) int64_t along_line(int64_t step, int64_t stop) {
    const Potential potential = this->potential(1);
    const Step* const begin = program_;
    const Step* const end = program_ + problem_.n_instructions;
    const bool ahead = problem_.looks_ahead(), waiting = waiting_;
    const T *normal = normals_.begin(), *last_normal = normals_.end();
    Component<T> s;
    s.x = x_[0];
    s.v = v_[0];
    s.gradient = g_[0];
    s.next_xi = xi_[0];
    T energy = energy_, old_x = s.x, old_gradient = s.gradient, old_energy = energy, forward = energy;
    bool gradient_is_current = gradient_is_current_, energy_is_current = energy_is_current_;
    for (;;) {
      int64_t look = n_kept_ < looks_.planned() ? looks_.steps()[n_kept_] : stop + 1;
      for (int64_t until = look < stop ? look : stop; step < until; ++step) {
        for (const Step* i = begin; i != end; ++i) {
          const unsigned properties = i->properties;
          if (tests && (properties & kReadsEnergy)) {
            if (!(gradient_is_current && energy_is_current)) {
              energy = potential.energy_gradient(&s.x, &s.gradient, scratch_);
              gradient_is_current = energy_is_current = true;
            }
          } else if ((properties & kReadsGradient) && !gradient_is_current) {
            potential.gradient(&s.x, &s.gradient, scratch_);
            gradient_is_current = true;
          }
          if (properties & kDrawsNormals) {
            if (normal == last_normal) {
              normals_.refill(lanes_, key_);
              normal = normals_.begin();
              last_normal = normals_.end();
            }
            s.xi = s.next_xi;
            s.next_xi = *normal++;
            if (!ahead) s.xi = s.next_xi;
          }
          const AtCell<T> k{i->coefficients, 0};
          if constexpr (tests) {
            if (properties & kProposes) {
              old_x = s.x;
              old_gradient = s.gradient;
              old_energy = energy;
            } else if (properties & kTests) {
              using namespace of_metropolis;
              const T backward = squared_noise(s.x, s.gradient, old_x, k[mobility]);
              const T ratio =
                  log_acceptance(energy - old_energy, forward, backward, k[inverse_kT], k[quarter_drag_over_kTh]);
              const auto accept = accepts(uniforms_.next(lanes_, key_), ratio);
              accepted_ += select(accept, T(Real(1)), T(Real(0)));
              energy = select(accept, energy, old_energy);
              s.x = select(accept, s.x, old_x);
              s.gradient = select(accept, s.gradient, old_gradient);
            }
          }
          apply<0>(i->operation, s, k);
          if (tests && (properties & kProposes)) {
            forward = squared_noise(old_x, old_gradient, s.x, k[of_propose::mobility]);
          }
          if (properties & kMoves) gradient_is_current = energy_is_current = false;
        }
        if (waiting && alarm_.rings(s.x)) {
          rang_ = true;
          look = stop = until = step + 1;
        }
      }
      if (step == look) {
        kept_x_[n_kept_] = s.x;
        if (problem_.has_velocities()) kept_v_[n_kept_] = s.v;
        ++n_kept_;
      }
      if (step == stop) break;
    }
    // Stores are what costs most where steps are few.
    x_[0] = s.x;
    if (problem_.has_velocities()) v_[0] = s.v;
    if (gradient_is_current) g_[0] = s.gradient;
    if (ahead) xi_[0] = s.next_xi;
    if (tests) energy_ = energy;
    gradient_is_current_ = gradient_is_current;
    energy_is_current_ = energy_is_current;
    normals_.drop_until(normal);
    return stop;
  }

  // --- any number of dimensions

  void step_in_passes(const Potential& potential) {
    for (int i = 0; i < problem_.n_passes; ++i) make_pass(potential, problem_.passes[i]);
  }

  // One step, and what becomes of the energy in it: work where the potential changes at fixed positions, heat where
  // noise is drawn, and what the other operations lose or gain (shadow work). Positions change U, velocities change K.
  void make_accounted_step(int64_t step) {
    for (T& sum : sums_) sum = T(Real(0));
    if constexpr (off_line<T>()) {
      if (!energy_is_accounted_) accounted_energy_ = evaluate(kReadsEnergy);
      if (stretch_->rows) {
        this->use_row(row_of(*stretch_, step));
        if (problem_.parameter_row_stride) {
          const T energy = evaluate(kReadsEnergy);
          sums_[0] = energy - accounted_energy_;
          accounted_energy_ = energy;
        }
      }
      const Potential potential = this->potential(dim_);
      T kinetic = problem_.has_velocities() ? this->kinetic_energy() : T(Real(0));
      for (int i = 0; i < problem_.n_instructions; ++i) {
        const unsigned properties = program_[i].properties;
        make_pass(potential, Pass{i, i + 1, 0, properties});
        if (!(properties & kUsesVelocities) || (properties & kMoves)) continue;
        const T after = this->kinetic_energy();
        sums_[properties & kDrawsNormals ? 1 : 2] += after - kinetic;
        kinetic = after;
      }
      const T energy = evaluate(kReadsEnergy);
      sums_[problem_.has_velocities() ? 2 : 1] += energy - accounted_energy_;
      accounted_energy_ = energy;
      energy_is_accounted_ = true;
    }
  }

  void make_pass(const Potential& potential, const Pass& pass) {
    // Here and not in the cases below, so that the potential is compiled into one place.
    if (pass.properties & kReadsEnergy) {
      if (!(gradient_is_current_ && energy_is_current_)) {
        energy_ =
            problem_.bounded() ? evaluate(kReadsEnergy | kReadsGradient) : potential.energy_gradient(x_, g_, scratch_);
        gradient_is_current_ = energy_is_current_ = true;
      }
    } else if ((pass.properties & kReadsGradient) && !gradient_is_current_) {
      if (problem_.bounded()) {
        evaluate(kReadsGradient);
      } else {
        potential.gradient(x_, g_, scratch_);
      }
      gradient_is_current_ = true;
    }
    if (pass.properties & kUsesVelocities) {
      on_velocities(pass);
    } else {
      on_positions(program_[pass.begin]);
    }
    if (pass.properties & kMoves) this->positions_changed();
  }

  // Calls apply(a cell, c) for components first .. first + n - 1, cell by cell.
  template <class Apply>
  LF_INLINE void for_cells(int first, int n, Apply apply) {
    int i = 0;
    if constexpr (kCellComponents<T> > 1) {
      for (; i + kCellComponents<T> <= n; i += kCellComponents<T>) apply(CellOf<T>(), first + i);
    }
    for (; i < n; ++i) apply(T(), first + i);
  }

  // Calls apply(a cell, c, normals of its components) for all components, with the next dim rows of normals.
  template <class Apply>
  LF_INLINE void with_normals(Apply apply) {
    for (int start = 0; start < dim_;) {
      int n = dim_ - start;
      const T* xi = normals_.next(n, lanes_, key_) - start;
      for_cells(start, n, [&](auto cell, int c) LF_INLINED { apply(cell, c, xi + c); });
      start += n;
    }
  }

  // Operations that use velocities: position and velocity stay in registers between them.
  LF_INLINE void on_velocities(const Pass& pass) {
    const auto operate = [&](auto cell, int c, const T* xi) LF_INLINED {
      using Cell = decltype(cell);
      Component<Cell> s;
      s.x = load_cell<Cell>(x_ + c);
      s.v = load_cell<Cell>(v_ + c);
      s.gradient = load_cell<Cell>(g_ + c);
      if (xi) s.xi = load_cell<Cell>(xi);
      for (int i = pass.begin; i < pass.end; ++i) {
        apply<kUsesVelocities>(program_[i].operation, s, AtCell<Cell>{program_[i].coefficients, c});
      }
      store_cell(v_ + c, s.v);
      if (pass.properties & kMoves) store_cell(x_ + c, s.x);
    };
    if (pass.properties & kDrawsNormals) {
      with_normals(operate);
    } else {
      for_cells(0, dim_, [&](auto cell, int c) LF_INLINED { operate(cell, c, nullptr); });
    }
  }

  // One operation on positions alone.
  LF_INLINE void on_positions(const Step& step) {
    switch (step.operation) {
#define LF_ROW(name, letter, properties, ...)                                                                 \
  case Operation::name:                                                                                       \
    if constexpr ((properties) & kProposes) {                                                                 \
      make_proposals(step.coefficients);                                                                      \
    } else if constexpr (!((properties) & kUsesVelocities)) {                                                 \
      with_normals([&](auto cell, int c, const T* xi) LF_INLINED {                                            \
        move<properties, decltype(cell)>(step, c, xi, [](auto& s, const auto& k) LF_INLINED { name(s, k); }); \
      });                                                                                                     \
    }                                                                                                         \
    break;
      LF_COMPONENT_OPERATIONS(LF_ROW)
#undef LF_ROW
      case Operation::metropolis:
        test_proposals(step.coefficients);
        break;
    }
  }

  template <unsigned properties, class Cell, class Operate>
  LF_INLINE void move(const Step& step, int c, const T* xi, Operate operate) {
    Component<Cell> s;
    s.x = load_cell<Cell>(x_ + c);
    s.gradient = load_cell<Cell>(g_ + c);
    s.xi = s.next_xi = load_cell<Cell>(xi);
    if constexpr ((properties)&kLooksAhead) {
      s.xi = load_cell<Cell>(xi_ + c);
      store_cell(xi_ + c, s.next_xi);
    }
    operate(s, AtCell<Cell>{step.coefficients, c});
    store_cell(x_ + c, s.x);
  }

  LF_INLINE void make_proposals(const PackedCoefficient<T>* coefficients) {
    old_energy_ = energy_;
    exchange(x_, old_x_);
    exchange(g_, old_g_);
    T forward = T(Real(0));
    with_normals([&](auto cell, int c, const T* xi) LF_INLINED {
      using Cell = decltype(cell);
      const AtCell<Cell> k{coefficients, c};
      Component<Cell> s;
      const Cell x = s.x = load_cell<Cell>(old_x_ + c);
      s.gradient = load_cell<Cell>(old_g_ + c);
      s.xi = load_cell<Cell>(xi);
      propose(s, k);
      store_cell(x_ + c, s.x);
      add_components(forward, squared_noise(x, s.gradient, s.x, k[of_propose::mobility]));
    });
    forward_ = forward;
  }

  LF_INLINE void test_proposals(const PackedCoefficient<T>* coefficients) {
    using namespace of_metropolis;
    T backward = T(Real(0));
    for_cells(0, dim_, [&](auto cell, int c) LF_INLINED {
      using Cell = decltype(cell);
      add_components(backward, squared_noise(load_cell<Cell>(x_ + c), load_cell<Cell>(g_ + c),
                                             load_cell<Cell>(old_x_ + c), AtCell<Cell>{coefficients, c}[mobility]));
    });
    const AtCell<T> k{coefficients, 0};
    const T ratio = log_acceptance(energy_ - old_energy_, forward_, backward, k[inverse_kT], k[quarter_drag_over_kTh]);
    const auto accept = accepts(uniforms_.next(lanes_, key_), ratio);
    accepted_ += select(accept, T(Real(1)), T(Real(0)));
    energy_ = select(accept, energy_, old_energy_);
    for_cells(0, dim_, [&](auto cell, int c) LF_INLINED {
      using Cell = decltype(cell);
      const auto all = cell_mask<Cell>(accept);
      store_cell(x_ + c, select(all, load_cell<Cell>(x_ + c), load_cell<Cell>(old_x_ + c)));
      store_cell(g_ + c, select(all, load_cell<Cell>(g_ + c), load_cell<Cell>(old_g_ + c)));
    });
  }

  int n_kept_;          // states at planned looks
  T sums_[3];           // of the last step
  T accounted_energy_;  // U at the positions and the present row, where energies are accounted for
  bool energy_is_accounted_;

  static LF_INLINE void exchange(T*& a, T*& b) {
    T* const t = a;
    a = b;
    b = t;
  }
};

}  // namespace lf::LF_ISA
