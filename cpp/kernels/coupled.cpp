// The coupled loop: one call computes the gradient of all particles, so the updates go through the whole crowd between
// the calls. Arrays are (n, dim); every operation is the one of the block loop. Compiled as kernels.cpp is.
#include "../core/streams.hpp"
#include "../schemes/operations.hpp"
#include "cells.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

using Real = LF_REAL;

namespace {

using Wide = Pack<Real, kWidePack>;
using Narrow = Pack<Real, 1>;

// The value of a coefficient for elements i, i + 1, ...: one for all, or an array as long as the state.
template <class T>
LF_INLINE T coefficient(const Coefficient<Real>& c, int64_t i) {
  return c.component_stride ? load_cell<T>(c.value + i) : T(*c.value);
}

// The coefficients of an operation for elements i, i + 1, ...
template <class T>
struct AtElement {
  const Coefficient<Real>* k;
  int64_t i;
  LF_INLINE T operator[](int which) const { return coefficient<T>(k[which], i); }
};

// Calls work(a T, i) for elements i, i + 1, ... of n.
template <class Work>
LF_INLINE void for_elements(int64_t n, Work work) {
  using Cell = Pack<Real, 4>;  // what an operation takes of it stays in registers
  int64_t i = 0;
  for (; i + kLanesOf<Cell> <= n; i += kLanesOf<Cell>) work(Cell(), i);
  for (; i < n; ++i) work(Real(), i);
}

// Operations that use velocities.
void update_velocities(const Update<Real>& u) {
  for_elements(u.n, [&](auto t, int64_t i) LF_INLINED {
    using T = decltype(t);
    const auto given = [&](const Real* a) LF_INLINED { return a ? load_cell<T>(a + i) : T(Real(0)); };
    Component<T> s;
    s.x = load_cell<T>(u.x_in + i);
    s.v = load_cell<T>(u.v_in + i);
    s.gradient = given(u.g);
    s.xi = given(u.xi);
    for (int k = 0; k < u.n_instructions; ++k) {
      apply<kUsesVelocities>(u.program[k].operation, s, AtElement<T>{u.program[k].coefficients, i});
    }
    if (u.x_out) store_cell(u.x_out + i, s.x);
    store_cell(u.v_out + i, s.v);
  });
}

// One operation on positions alone.
template <unsigned properties, class Operate>
void update_positions(const Update<Real>& u, Operate operate) {
  for_elements(u.n, [&](auto t, int64_t i) LF_INLINED {
    using T = decltype(t);
    Component<T> s;
    s.x = load_cell<T>(u.x_in + i);
    s.gradient = load_cell<T>(u.g + i);
    s.xi = load_cell<T>(u.xi + i);
    if constexpr (properties & kLooksAhead) s.next_xi = load_cell<T>(u.next_xi + i);
    operate(s, AtElement<T>{u.program[0].coefficients, i});
    store_cell(u.x_out + i, s.x);
  });
}

// The first number of each of some particles, which lie `dim` apart.
LF_INLINE Wide gather(const Real* a, int64_t i, int dim, int valid) {
  if (dim == 1 && valid == kLanesOf<Wide>) return load_cell<Wide>(a + i);
  Wide r = Wide(Real(0));
  for (int lane = 0; lane < valid; ++lane) set_lane(r, lane, a[(i + lane) * dim]);
  return r;
}
LF_INLINE Wide first_component(const Coefficient<Real>& k, int64_t i, int dim, int valid) {
  return k.component_stride ? gather(k.value, i, dim, valid) : Wide(*k.value);
}

}  // namespace

void update(const Update<Real>& u) {
  switch (u.program[0].operation) {
#define LF_ROW(name, letter, properties, ...)                                  \
  case Operation::name:                                                        \
    if constexpr ((properties) & kUsesVelocities) return update_velocities(u); \
    return update_positions<properties>(u, [](auto& s, const auto& k) LF_INLINED { name(s, k); });
    LF_COMPONENT_OPERATIONS(LF_ROW)
#undef LF_ROW
    case Operation::metropolis:
      break;  // metropolis() below
  }
}

bool all_finite(const Real* x, int64_t n) {
  Narrow sum = Narrow(Real(0));
  int64_t i = 0;
  for (; i + kLanesOf<Narrow> <= n; i += kLanesOf<Narrow>) sum += load_cell<Narrow>(x + i) * Narrow(Real(0));
  Real rest = 0;
  for (; i < n; ++i) rest += x[i] * Real(0);
  for (int lane = 0; lane < kLanesOf<Narrow>; ++lane) rest += reinterpret_cast<const Real*>(&sum)[lane];
  return rest == Real(0);
}

// Decides between the old state and the proposal of each particle; x, g and energy become those of the one that stays.
void metropolis(const Metropolis<Real>& m) {
  using namespace of_metropolis;
  constexpr int kGroup = kLanesOf<Wide>;
  const int dim = m.dim;
  for (int64_t i = 0; i < m.n; i += kGroup) {
    const int valid = m.n - i < kGroup ? static_cast<int>(m.n - i) : kGroup;
    Wide forward = Wide(Real(0)), backward = Wide(Real(0));
    if (dim == 1 && valid == kGroup) {
      const Wide x = load_cell<Wide>(m.old_x + i), y = load_cell<Wide>(m.x + i);
      const Wide over_drag = coefficient<Wide>(m.coefficients[mobility], i);
      forward += squared_noise(x, load_cell<Wide>(m.g + i), y, over_drag);
      backward += squared_noise(y, load_cell<Wide>(m.new_g + i), x, over_drag);
    } else {
      for (int lane = 0; lane < valid; ++lane) {
        Real there = 0, back = 0;
        for (int64_t j = (i + lane) * dim; j < (i + lane + 1) * dim; ++j) {
          const Real over_drag = coefficient<Real>(m.coefficients[mobility], j);
          there += squared_noise(m.old_x[j], m.g[j], m.x[j], over_drag);
          back += squared_noise(m.x[j], m.new_g[j], m.old_x[j], over_drag);
        }
        set_lane(forward, lane, there);
        set_lane(backward, lane, back);
      }
    }
    // the first component's: these coefficients have a value per particle at most
    const Wide ratio = log_acceptance(gather(m.new_energy, i, 1, valid) - gather(m.energy, i, 1, valid), forward,
                                      backward, first_component(m.coefficients[inverse_kT], i, dim, valid),
                                      first_component(m.coefficients[quarter_drag_over_kTh], i, dim, valid));
    const auto accept = accepts(gather(m.uniforms, i, 1, valid), ratio);
    const Wide accepted = select(accept, Wide(Real(1)), Wide(Real(0)));
    for (int lane = 0; lane < valid; ++lane) m.accepted[i + lane] += static_cast<int64_t>(get_lane(accepted, lane));
    if (dim == 1 && valid == kGroup) {
      store_cell(m.x + i, select(accept, load_cell<Wide>(m.x + i), load_cell<Wide>(m.old_x + i)));
      store_cell(m.g + i, select(accept, load_cell<Wide>(m.new_g + i), load_cell<Wide>(m.g + i)));
      store_cell(m.energy + i, select(accept, load_cell<Wide>(m.new_energy + i), load_cell<Wide>(m.energy + i)));
      continue;
    }
    for (int lane = 0; lane < valid; ++lane) {
      const int64_t particle = i + lane, begin = particle * dim;
      const std::size_t bytes = static_cast<std::size_t>(dim) * sizeof(Real);
      if (get_lane(accepted, lane) != Real(0)) {
        m.energy[particle] = m.new_energy[particle];
        __builtin_memcpy(m.g + begin, m.new_g + begin, bytes);
      } else {
        __builtin_memcpy(m.x + begin, m.old_x + begin, bytes);
      }
    }
  }
}

namespace {

template <class T, Law law>
void draw_group(Real* out, const PhiloxKey& key, const uint64_t* particles, int valid, int64_t n, int dim, Tag tag,
                uint64_t start, int64_t count) {
  uint64_t ids[kLanesOf<T>];
  for (int lane = 0; lane < kLanesOf<T>; ++lane) ids[lane] = particles[lane < valid ? lane : valid - 1];
  Lanes<T> lanes;
  lanes.set(ids);
  Window<T, law> numbers;
  T memory[Window<T, law>::kRows];
  numbers.reset(memory, tag, start, start + static_cast<uint64_t>(count));
  for (int64_t row = 0; row < count; ++row) {
    const T& values = numbers.next(lanes, key);
    // out[row / dim][particle][row % dim]
    Real* to = out + (row / dim) * n * dim + row % dim;
    if (dim == 1 && valid == kLanesOf<T>) {
      store_cell(to, values);
      continue;
    }
    const Real* from = reinterpret_cast<const Real*>(&values);
    for (int lane = 0; lane < valid; ++lane) to[static_cast<int64_t>(lane) * dim] = from[lane];
  }
}

template <Law law>
void draw_crowd_of(Real* out, uint64_t seed, const uint64_t* particles, int64_t n, int dim, int tag, uint64_t start,
                   int64_t count) {
  const PhiloxKey key = philox_key(seed);
  for (int64_t i = 0; i < n;) {
    const bool wide = n - i >= kLanesOf<Wide>;
    const int most = wide ? kLanesOf<Wide> : kLanesOf<Narrow>;
    const int valid = n - i < most ? static_cast<int>(n - i) : most;
    const auto draw = wide ? &draw_group<Wide, law> : &draw_group<Narrow, law>;
    draw(out + i * dim, key, particles + i, valid, n, dim, static_cast<Tag>(tag), start, count);
    i += valid;
  }
}

}  // namespace

void draw_crowd(Real* out, bool uniform, uint64_t seed, const uint64_t* particles, int64_t n, int dim, int tag,
                uint64_t start, int64_t count) {
  if (uniform) {
    draw_crowd_of<Law::uniform>(out, seed, particles, n, dim, tag, start, count);
  } else {
    draw_crowd_of<Law::normal>(out, seed, particles, n, dim, tag, start, count);
  }
}

}  // namespace lf::LF_ISA
