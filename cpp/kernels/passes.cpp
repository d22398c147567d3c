#include "passes.hpp"

#include <stdexcept>

namespace lf {

namespace {

Operation operation(char letter) {
  for (int i = 0; i < kOperationCount; ++i) {
    if (kOperations[i].letter == letter) return static_cast<Operation>(i);
  }
  throw std::invalid_argument(std::string("no operation is called '") + letter + "'");
}

// A pass has one vector of normals, and what it computes from the gradient uses the one at its start. Operations on
// positions alone have passes of their own.
bool joins(const Pass& pass, unsigned properties) {
  return (pass.properties & properties & kUsesVelocities) && !(pass.properties & properties & kDrawsNormals) &&
         !((pass.properties & kMoves) && (properties & kReadsGradient));
}

}  // namespace

Parsed parse(const std::string& letters) {
  if (letters.empty() || letters.size() > kMaxInstructions) {
    throw std::invalid_argument("a program has 1 to " + std::to_string(kMaxInstructions) + " operations");
  }
  Parsed result;
  for (int i = 0; i < static_cast<int>(letters.size()); ++i) {
    const Operation o = operation(letters[static_cast<std::size_t>(i)]);
    const unsigned properties = properties_of(o);
    int draw = 0;
    if (properties & kDrawsNormals) draw = result.normals_per_step++;
    if (properties & kDrawsUniform) draw = result.uniforms_per_step++;
    result.operations.push_back(o);
    result.draws.push_back(draw);
    result.properties |= properties;
    if (result.passes.empty() || !joins(result.passes.back(), properties)) result.passes.push_back({i, i, 0, 0});
    Pass& pass = result.passes.back();
    pass.end = i + 1;
    pass.properties |= properties;
    if (properties & (kDrawsNormals | kDrawsUniform)) pass.draw = draw;
  }
  // What it looks ahead to is the next vector of normals, which is the next step's only if a step has one.
  if ((result.properties & kLooksAhead) && result.normals_per_step > 1) {
    throw std::invalid_argument("an operation that looks ahead must be the only one that draws");
  }
  return result;
}

}  // namespace lf
