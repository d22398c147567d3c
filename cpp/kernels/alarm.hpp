// For groups whose state is in registers: when observers that wait for particles to come into intervals have to look.
// Nothing happens as long as every particle stays between the intervals next to it, and that is cheap to see.
#pragma once

#include "coefficients.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

// Whether any lane is zero or more; NaN is not.
LF_INLINE bool any_non_negative(double x) { return x >= 0.0; }
LF_INLINE bool any_non_negative(float x) { return x >= 0.0f; }
template <class E>
LF_INLINE bool any_non_negative(const Vec<E>& x) {
  const auto found = x >= Vec<E>{};
  uint64_t words[kVectorBytes / 8], any = 0;
  __builtin_memcpy(words, &found, sizeof(words));
#pragma GCC unroll 8
  for (const uint64_t word : words) any |= word;
  return any != 0;
}

template <class Real, class T>
class Alarm {
 public:
  // Whether an observation makes nothing of a look at which nobody is in its intervals, and looks after every step.
  static bool waits(const Observation<Real>& o, const Stretch<Real>& stretch) {
    if (o.reduction != Reduction::passages || o.every != 1 || o.first > stretch.first_step + 1) return false;
    for (int i = 0; i < o.n_sources; ++i) {
      if (o.sources[i].quantity != Quantity::interval) return false;
    }
    return true;
  }

  // From these positions on; particle(lane) is the number of the particle.
  template <class Particle>
  void set(const Problem<Real>& problem, const Stretch<Real>& stretch, const T& x, const bool* frozen,
           Particle particle) {
    const Real infinity = static_cast<Real>(__builtin_inf());
    for (int lane = 0; lane < kLanesOf<T>; ++lane) {
      Real below = -infinity, above = infinity;  // ends of the intervals next to it
      for (int i = 0; !frozen[lane] && i < problem.n_observations; ++i) {
        const Observation<Real>& o = problem.observations[i];
        const bool arrived = !o.restart_x && stretch.accumulators[i].marks[particle(lane)] >= 0;
        if (arrived || !waits(o, stretch)) continue;
        for (int s = 0; s < o.n_sources; ++s) {
          const double* const ends = o.sources[s].weight.value;
          const Real lo = static_cast<Real>(ends[0]), hi = static_cast<Real>(ends[1]), at = get_lane(x, lane);
          if (at > lo && at < hi) {
            below = infinity;  // the next look is due
          } else if (at <= lo) {
            above = lo < above ? lo : above;
          } else {
            below = hi > below ? hi : below;
          }
        }
      }
      set_lane(below_, lane, below);
      set_lane(above_, lane, above);
    }
  }

  // Whether a particle has come to the end of an interval.
  LF_INLINE bool rings(const T& x) const {
    const T below = below_ - x, above = x - above_;
    if constexpr (kLanesOf<T> == 1) {
      return any_non_negative(below > above ? below : above);
    } else {
      // A lane that is NaN is never the further one, so that it hides no other: frozen and stopped lanes run on, and
      // may become so.
      Vec<Real> most = Vec<Real>{} - Real(1);
      constexpr int vectors = static_cast<int>(sizeof(T)) / kVectorBytes;
#pragma GCC unroll 8
      for (int i = 0; i < vectors; ++i) {
        const Vec<Real> further = below.v[i] > above.v[i] ? below.v[i] : above.v[i];
        most = further > most ? further : most;
      }
      return any_non_negative<Real>(most);
    }
  }

 private:
  T below_, above_;
};

}  // namespace lf::LF_ISA
