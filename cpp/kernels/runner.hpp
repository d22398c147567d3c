// All groups of particles of a problem, or all points of an evaluation, spread over threads.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "passes.hpp"

namespace lf {

bool has_openmp();
int default_threads();

struct Free {
  void operator()(char* p) const { std::free(p); }
};

// Memory of the threads, kept between calls.
struct Workspace {
  std::unique_ptr<char, Free> memory;
  std::size_t bytes = 0;
};

// Makes the steps of one problem. It keeps what is prepared once, and gradients and energies at the positions where it
// stopped; results never depend on what it kept.
template <class Real>
class Runner {
 public:
  // The arrays that `problem` points to must outlive the runner.
  Runner(const Kernels<Real>& kernels, const Problem<Real>& problem, const Parsed& parsed);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // The numbers of the steps that follow; the arrays must live as long as they are used. `same`: the parameters are
  // those before.
  void set_rows(const Real* parameters, int64_t row_stride, std::vector<Instruction<Real>> program, bool same);

  // Before anything else.
  void set_boundary(const Boundary<Real>& boundary) { problem_.boundary = boundary; }

  // The observers of the steps that follow; what they point to must live as long as they are used.
  void set_observations(std::vector<Observation<Real>> observations);

  // `goes_on`: the positions are those at which the last call ended. Returns false when `interrupted` (asked every 50
  // ms, by the calling thread alone) said so; the output arrays then hold nothing of use, the input arrays are as they
  // were.
  bool advance(Stretch<Real>& stretch, bool goes_on, int threads, bool (*interrupted)());

  const Problem<Real>& problem() const { return problem_; }

 private:
  void prepare();
  void list_moving(Stretch<Real>& stretch);
  bool run_all(const Stretch<Real>& stretch, int threads, bool (*interrupted)());

  const Kernels<Real>& kernels_;
  Problem<Real> problem_;
  std::vector<Pass> passes_;
  std::vector<Instruction<Real>> program_;
  std::vector<Observation<Real>> observations_;
  int64_t block_count_ = 0;
  std::size_t workspace_bytes_ = 0;  // of a thread; not known before there are coefficients
  Workspace workspace_;
  std::vector<int64_t> counts_;  // of the observers, of each thread but the first
  std::vector<int64_t> moving_;  // particles, where some do not
  std::vector<Real> gradient_, energy_;
  bool known_ = false;     // that these belong to the positions at which the last call ended, ...
  int32_t known_row_ = 0;  // ... and to this row of the parameters
};

// Energies or gradients at many points; false as above.
template <class Real>
bool evaluate(const Kernels<Real>& kernels, const Evaluation<Real>& all, int threads, bool (*interrupted)());

}  // namespace lf
