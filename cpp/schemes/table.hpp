// The table of operations: what a letter of a scheme means, said once. operations.hpp has the arithmetic. The passes,
// both step loops and, through the bindings, the Python side (parser, coefficients, GPU source, docs) read it.
#pragma once

#include <cstdint>

namespace lf {

// What an operation does, as bits.
enum Property : unsigned {
  kDrawsNormals = 1,  // one vector of dim normals
  kLooksAhead = 2,    // and the one of the next step
  kDrawsUniform = 4,
  kReadsGradient = 8,
  kReadsEnergy = 16,
  kMoves = 32,           // changes positions
  kUsesVelocities = 64,  // the state has velocities
  kProposes = 128,       // keeps the old state for a test
  kTests = 256,          // accepts, or goes back
};

// X(name, letter, properties, names of the coefficients...). Those that act on one component after the other:
#define LF_COMPONENT_OPERATIONS(X)                                                                    \
  X(drift, 'A', kMoves | kUsesVelocities, time)                                                       \
  X(kick, 'B', kReadsGradient | kUsesVelocities, time_over_mass)                                      \
  X(ornstein_uhlenbeck, 'O', kDrawsNormals | kUsesVelocities, decay, noise)                           \
  X(euler_maruyama, 'E', kDrawsNormals | kReadsGradient | kMoves, mobility, noise)                    \
  X(tamed_euler, 'T', kDrawsNormals | kReadsGradient | kMoves, mobility, noise)                       \
  X(leimkuhler_matthews, 'L', kDrawsNormals | kLooksAhead | kReadsGradient | kMoves, mobility, noise) \
  X(propose, 'P', kDrawsNormals | kReadsGradient | kReadsEnergy | kMoves | kProposes, mobility, noise)

#define LF_OPERATIONS(X)                                                                                        \
  LF_COMPONENT_OPERATIONS(X)                                                                                    \
  X(metropolis, 'M', kDrawsUniform | kReadsGradient | kReadsEnergy | kTests, inverse_kT, quarter_drag_over_kTh, \
    mobility)

enum class Operation : std::int32_t {
#define LF_ROW(name, letter, properties, ...) name,
  LF_OPERATIONS(LF_ROW)
#undef LF_ROW
};

// Which coefficient is which: of_kick::time_over_mass, ...
#define LF_ROW(name, letter, properties, ...) \
  namespace of_##name {                       \
    enum : int { __VA_ARGS__ };               \
  }
LF_OPERATIONS(LF_ROW)
#undef LF_ROW

struct OperationRow {
  char letter;
  const char* name;
  unsigned properties;
  const char* coefficients;  // names, with commas between them
};

inline constexpr OperationRow kOperations[] = {
#define LF_ROW(name, letter, properties, ...) {letter, #name, (properties), #__VA_ARGS__},
    LF_OPERATIONS(LF_ROW)
#undef LF_ROW
};
inline constexpr int kOperationCount = static_cast<int>(sizeof(kOperations) / sizeof(kOperations[0]));

constexpr unsigned properties_of(Operation o) { return kOperations[static_cast<int>(o)].properties; }

inline constexpr int kMaxCoefficients = 3;

constexpr int coefficient_count(Operation o) {
  int n = 1;
  for (const char* c = kOperations[static_cast<int>(o)].coefficients; *c; ++c) n += *c == ',';
  return n;
}

}  // namespace lf
