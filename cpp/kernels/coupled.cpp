// The coupled loop: one call computes the gradient of all particles, so the updates go through the whole crowd between
// the calls. Arrays are (n, dim); every operation is the one of the block loop. Compiled as kernels.cpp is.
#include "../core/streams.hpp"
#include "../schemes/operations.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

using Real = LF_REAL;

namespace {

using Wide = Pack<Real, kWidePack>;
using Narrow = Pack<Real, 1>;

template <class T>
LF_INLINE T load(const Real* p) {
  T r;
  __builtin_memcpy(&r, p, sizeof(T));
  return r;
}
template <class T>
LF_INLINE void store(Real* p, const T& value) {
  __builtin_memcpy(p, &value, sizeof(T));
}

// The value of a coefficient for elements i, i + 1, ...: one for all, or an array as long as the state.
template <class T>
LF_INLINE T coefficient(const Coefficient<Real>& c, int64_t i) {
  return c.component_stride ? load<T>(c.value + i) : T(*c.value);
}

// The coefficients of an operation for elements i, i + 1, ...
template <class T>
struct AtElement {
  const Coefficient<Real>* k;
  int64_t i;
  LF_INLINE T operator[](int which) const { return coefficient<T>(k[which], i); }
};

template <class T>
LF_INLINE void update_at(const Update<Real>& u, int64_t i) {
  const auto given = [&](const Real* a) LF_INLINED { return a ? load<T>(a + i) : T(Real(0)); };
  Component<T> s{given(u.x_in), given(u.v_in), given(u.g), given(u.xi), given(u.next_xi)};
  for (int k = 0; k < u.n_instructions; ++k) {
    apply<0>(u.program[k].operation, s, AtElement<T>{u.program[k].coefficients, i});
  }
  if (u.x_out) store(u.x_out + i, s.x);
  if (u.v_out) store(u.v_out + i, s.v);
}

// The first number of each of some particles, which lie `dim` apart.
LF_INLINE Wide gather(const Real* a, int64_t i, int dim, int valid) {
  if (dim == 1 && valid == kLanesOf<Wide>) return load<Wide>(a + i);
  Wide r = Wide(Real(0));
  for (int lane = 0; lane < valid; ++lane) set_lane(r, lane, a[(i + lane) * dim]);
  return r;
}
LF_INLINE Wide first_component(const Coefficient<Real>& k, int64_t i, int dim, int valid) {
  return k.component_stride ? gather(k.value, i, dim, valid) : Wide(*k.value);
}

}  // namespace

void update(const Update<Real>& u) {
  int64_t i = 0;
  for (; i + kLanesOf<Wide> <= u.n; i += kLanesOf<Wide>) update_at<Wide>(u, i);
  for (; i < u.n; ++i) update_at<Real>(u, i);
}

bool all_finite(const Real* x, int64_t n) {
  Narrow sum = Narrow(Real(0));
  int64_t i = 0;
  for (; i + kLanesOf<Narrow> <= n; i += kLanesOf<Narrow>) sum += load<Narrow>(x + i) * Narrow(Real(0));
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
      const Wide x = load<Wide>(m.old_x + i), y = load<Wide>(m.x + i);
      const Wide over_drag = coefficient<Wide>(m.coefficients[mobility], i);
      forward += squared_noise(x, load<Wide>(m.g + i), y, over_drag);
      backward += squared_noise(y, load<Wide>(m.new_g + i), x, over_drag);
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
      store(m.x + i, select(accept, load<Wide>(m.x + i), load<Wide>(m.old_x + i)));
      store(m.g + i, select(accept, load<Wide>(m.new_g + i), load<Wide>(m.g + i)));
      store(m.energy + i, select(accept, load<Wide>(m.new_energy + i), load<Wide>(m.energy + i)));
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
      store(to, values);
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
