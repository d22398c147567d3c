// What falls on which step: the recordings of a stretch, and where they look next.
#pragma once

#include "../core/simd.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

// The row of the schedule that a step uses, and up to which step it stays so.
template <class Real>
int32_t row_of(const Stretch<Real>& stretch, int64_t step) {
  return stretch.rows[step - stretch.first_step];
}
template <class Real>
int64_t end_of_row(const Stretch<Real>& stretch, int64_t step, int64_t stop) {
  int64_t end = step + 1;
  while (end < stop && row_of(stretch, end) == row_of(stretch, step)) ++end;
  return end;
}

// So many looks are made together, at states that were kept meanwhile: to leave the step loop of one dimension for one,
// and to come back, takes a third of the time of a step.
inline constexpr int kLooksTogether = 16;

// Consecutive planned looks at which the same one looks.
struct Series {
  int64_t index;  // how often it has looked before
  int begin, n;   // planned looks begin .. begin + n - 1
};

// Recordings first, then observations.
template <class Real>
class Looks {
 public:
  // Before the first step of the stretch. Observations of which waits(observation) is true look where the alarm rings.
  template <class Waits>
  void begin(const Problem<Real>& problem, const Stretch<Real>& stretch, const Waits& waits) {
    n_ = n_recordings_ = stretch.n_recordings;
    n_planned_ = 0;
    end_ = stretch.first_step + stretch.n_steps;
    for (int i = 0; i < n_; ++i) {
      const Recording<Real>& r = stretch.recordings[i];
      due_[i] = {r.first, r.every, 0, false, false, 0, 0, 0};
    }
    for (int i = 0; i < problem.n_observations; ++i) {
      const Observation<Real>& o = problem.observations[i];
      const bool waiting = waits(o);
      due_[n_++] = {o.first, o.every, o.reads, waiting, !waiting && at_once(problem, o), 0, 0, 0};
    }
    for (int i = 0; i < n_; ++i) {
      // the first of first, first + every, ... after the first step
      Due& due = due_[i];
      const int64_t past = stretch.first_step - due.first;
      due.done = past < 0 ? 0 : past / due.every + 1;
      due.step = due.first + due.done * due.every;
    }
  }

  // Once those that were planned are made: plans the next looks of the stretch, `most` of them, if none of them but the
  // last has to be made at once.
  void plan(int most) {
    int64_t next = kNever;
    for (int i = 0; i < n_; ++i) {
      Due& due = due_[i];
      if (due.waits) due.step = kNever;
      due.unplanned = due.step;
      next = due.step < next ? due.step : next;
    }
    bool last = false;
    for (n_planned_ = 0; n_planned_ < most && next <= end_ && !last; ++n_planned_) {
      const int64_t step = next;
      unsigned reads = 0;
      next = kNever;
      for (int i = 0; i < n_; ++i) {
        Due& due = due_[i];
        if (due.unplanned == step) {
          due.unplanned += due.every;
          reads |= due.reads;
          last = last || due.at_once;
        }
        next = due.unplanned < next ? due.unplanned : next;
      }
      planned_[n_planned_] = step;
      reads_[n_planned_] = reads;
    }
  }

  // The alarm, after this step: it is the last of the planned looks, at which those that wait look too.
  void ring(int64_t step) {
    int last = 0;
    while (last < n_planned_ && planned_[last] < step) ++last;
    if (last == n_planned_ || planned_[last] > step) reads_[last] = 0;
    planned_[last] = step;
    n_planned_ = last + 1;
    for (int i = n_recordings_; i < n_; ++i) {
      Due& due = due_[i];
      if (!due.waits) continue;
      due.done = (step - due.first) / due.every;
      due.step = step;
      reads_[last] |= due.reads;
    }
  }

  // How many are planned, after which steps, and the last of these.
  int planned() const { return n_planned_; }
  const int64_t* steps() const { return planned_; }
  int64_t last() const { return n_planned_ ? planned_[n_planned_ - 1] : kNever; }

  // What those read that look at planned look i.
  unsigned reads(int i) const { return reads_[i]; }

  // Calls store(number of the recording, a Series) or observe(of the observation, a Series) for those that look between
  // planned looks `begin` and `end`.
  template <class Store, class Observe>
  LF_INLINE void look(int begin, int end, const Store& store, const Observe& observe) {
    for (int i = 0; i < n_; ++i) {
      for_series(due_[i].done, due_[i].step, due_[i].every, begin, end, [&](const Series& series) LF_INLINED {
        if (i < n_recordings_) {
          store(i, series);
        } else {
          observe(i - n_recordings_, series);
        }
      });
    }
  }

  // Calls observe(a Series) for those of an observation, which are still to come.
  template <class Observe>
  LF_INLINE void foresee(int observation, int begin, int end, const Observe& observe) const {
    const Due& due = due_[n_recordings_ + observation];
    int64_t done = due.done, step = due.step;
    for_series(done, step, due.every, begin, end, observe);
  }

 private:
  static constexpr int64_t kNever = int64_t(1) << 62;

  struct Due {
    int64_t first, every;
    unsigned reads;
    bool waits;         // for the alarm
    bool at_once;       // not to be put off
    int64_t done;       // how many looks lie behind
    int64_t step;       // after which it looks next
    int64_t unplanned;  // the first such step beyond those that are planned
  };

  // Kept are positions and velocities. U follows from them, unless it changes or a test has found it another way; the
  // gradient, which the next step wants too, is not to be computed twice; how many proposals were accepted until a
  // particle was stopped is not kept; and from a new beginning other states follow.
  static bool at_once(const Problem<Real>& problem, const Observation<Real>& o) {
    const bool tests = problem.uniforms_per_step;
    if ((o.reads & kReadsEnergy) && (tests || problem.parameter_row_stride)) return true;
    return (o.reads & kReadsGradient) || o.restart_x || (tests && o.stops);
  }

  template <class Work>
  LF_INLINE void for_series(int64_t& done, int64_t& step, int64_t every, int begin, int end, const Work& work) const {
    for (int i = begin; i < end; ++i) {
      if (planned_[i] != step) continue;
      const int first = i;
      const int64_t index = done;
      for (; i < end && planned_[i] == step; ++i) {
        ++done;
        step += every;
      }
      work(Series{index, first, i - first});
    }
  }

  Due due_[kMaxRecordings + kMaxObservations];
  int n_, n_recordings_, n_planned_;
  unsigned reads_[kLooksTogether];
  int64_t end_, planned_[kLooksTogether];
};

}  // namespace lf::LF_ISA
