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

template <class Real>
class Looks {
 public:
  // Before the first step of the stretch.
  void begin(const Stretch<Real>& stretch) {
    stretch_ = &stretch;
    next_ = kNever;
    for (int i = 0; i < stretch.n_recordings; ++i) {
      const Recording<Real>& r = stretch.recordings[i];
      // the first of first, first + every, ... after the first step
      const int64_t past = stretch.first_step - r.first;
      done_[i] = past < 0 ? 0 : past / r.every + 1;
      sooner(step_of(i));
    }
  }

  // The step after which somebody looks next.
  int64_t next() const { return next_; }

  // Calls store(recording, index of the look) for those that look after step number `step`, the next one.
  template <class Store>
  void look(int64_t step, Store store) {
    next_ = kNever;
    for (int i = 0; i < stretch_->n_recordings; ++i) {
      if (step_of(i) == step) store(stretch_->recordings[i], done_[i]++);
      sooner(step_of(i));
    }
  }

 private:
  static constexpr int64_t kNever = int64_t(1) << 62;

  int64_t step_of(int i) const { return stretch_->recordings[i].first + done_[i] * stretch_->recordings[i].every; }
  void sooner(int64_t step) { next_ = step < next_ ? step : next_; }

  const Stretch<Real>* stretch_;
  int64_t done_[kMaxRecordings], next_;  // how many looks of each lie behind; the step of the next
};

}  // namespace lf::LF_ISA
