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

// Recordings first, then observations.
template <class Real>
class Looks {
 public:
  // Before the first step of the stretch.
  // Those of which waits(observation) is true look when something happens, and are not waited for.
  template <class Waits>
  void begin(const Problem<Real>& problem, const Stretch<Real>& stretch, Waits waits) {
    n_ = n_recordings_ = stretch.n_recordings;
    for (int i = 0; i < n_; ++i) due_[i] = {stretch.recordings[i].first, stretch.recordings[i].every, 0, 0, 0, false};
    for (int i = 0; i < problem.n_observations; ++i) {
      const Observation<Real>& o = problem.observations[i];
      due_[n_++] = {o.first, o.every, 0, o.reads, 0, waits(o)};
    }
    next_ = kNever;
    for (int i = 0; i < n_; ++i) {
      // the first of first, first + every, ... after the first step
      const int64_t past = stretch.first_step - due_[i].first;
      due_[i].done = past < 0 ? 0 : past / due_[i].every + 1;
      due_[i].step = due_[i].first + due_[i].done * due_[i].every;
      sooner(due_[i]);
    }
  }

  // The step after which somebody looks next.
  int64_t next() const { return next_; }

  // What those read that look after a step.
  unsigned reads(int64_t step) const {
    unsigned reads = 0;
    for (int i = n_recordings_; i < n_; ++i) reads |= due_[i].step == step ? due_[i].reads : 0;
    return reads;
  }

  // Calls store(number of the recording, index of the look) or observe(of the observation, index) for those that look
  // after step number `step`: the next one, or an earlier one after which something happened.
  template <class Store, class Observe>
  void look(int64_t step, Store store, Observe observe) {
    next_ = kNever;
    for (int i = 0; i < n_; ++i) {
      if (due_[i].waits) {  // after every step, of which many were of no interest
        due_[i].done += step - due_[i].step;
        due_[i].step = step;
      }
      if (due_[i].step == step) {
        const int64_t index = due_[i].done++;
        due_[i].step += due_[i].every;
        if (i < n_recordings_) {
          store(i, index);
        } else {
          observe(i - n_recordings_, index);
        }
      }
      sooner(due_[i]);
    }
  }

 private:
  static constexpr int64_t kNever = int64_t(1) << 62;

  struct Due {
    int64_t first, every;
    int64_t done;  // how many looks lie behind
    unsigned reads;
    int64_t step;  // after which it looks next
    bool waits;
  };

  void sooner(const Due& due) { next_ = !due.waits && due.step < next_ ? due.step : next_; }

  Due due_[kMaxRecordings + kMaxObservations];
  int n_, n_recordings_;
  int64_t next_;
};

}  // namespace lf::LF_ISA
