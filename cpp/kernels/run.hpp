// All groups of particles of a problem, or all points of an evaluation, spread over threads.
#pragma once

#include "problem.hpp"

namespace lf {

bool has_openmp();
int default_threads();

// Returns false when `interrupted` (asked every 50 ms, by the calling thread alone) said so; the output arrays then
// hold nothing of use, and the input arrays are as they were.
template <class Real>
bool run(const Kernels<Real>& kernels, const Problem<Real>& problem, int threads, bool (*interrupted)());

// The same for energies or gradients at many points.
template <class Real>
bool evaluate(const Kernels<Real>& kernels, const Evaluation<Real>& all, int threads, bool (*interrupted)());

}  // namespace lf
