// The instruction-set levels of this build, and the choice among them.
#pragma once

#include <vector>

#include "problem.hpp"

namespace lf {

struct Level {
  const char* name;
  bool (*supported)();  // by this processor and operating system
  const Kernels<double>* double_kernels;
  const Kernels<float>* float_kernels;
};

// From the plainest to the widest.
const std::vector<Level>& levels();

template <class Real>
const Kernels<Real>& kernels_of(const Level& level);
template <>
inline const Kernels<double>& kernels_of<double>(const Level& level) {
  return *level.double_kernels;
}
template <>
inline const Kernels<float>& kernels_of<float>(const Level& level) {
  return *level.float_kernels;
}

}  // namespace lf
