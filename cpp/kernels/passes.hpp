// What a program of operations amounts to: how much noise a step takes, and which operations go through the components
// together.
#pragma once

#include <string>
#include <vector>

#include "problem.hpp"

namespace lf {

struct Parsed {
  std::vector<Operation> operations;
  std::vector<int> draws;  // which of the step's vectors of normals (or uniforms) each one uses
  std::vector<Pass> passes;
  int normals_per_step = 0, uniforms_per_step = 0;
  unsigned properties = 0;  // of any operation
};

// Throws std::invalid_argument where a letter has no row in the table or there are too many.
Parsed parse(const std::string& letters);

}  // namespace lf
