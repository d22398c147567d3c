// The plain description of a run that the Python side makes and the kernels read. No behaviour; no instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../observers/list.hpp"
#include "../schemes/table.hpp"

namespace lf {

using std::int32_t;
using std::int64_t;
using std::uint64_t;

// One number, or one per particle and/or component, and perhaps a table of them for each row of a schedule:
// value[row * row_stride + particle * particle_stride + component * component_stride].
template <class Real>
struct Coefficient {
  const Real* value = nullptr;
  int64_t row_stride = 0;
  int64_t particle_stride = 0;
  int64_t component_stride = 0;
};

inline constexpr int kMaxInstructions = 64;

template <class Real>
struct Instruction {
  Operation operation;
  Coefficient<Real> coefficients[kMaxCoefficients];
};

// Consecutive operations that go through the components together.
struct Pass {
  int begin, end;       // in the program
  int draw;             // which of the step's vectors of normals (or uniforms) it uses
  unsigned properties;  // of any of its operations
};

// A function of a group of particles that was compiled elsewhere: from x (component c of lane i is x[c * lanes + i])
// and the parameters p it computes the gradient g, laid out as x is, and/or the energy u[lanes].
template <class Real>
using GroupFunction = void (*)(const Real* x, Real* g, Real* u, const Real* p, int64_t lanes);

template <class Real>
struct GroupTable {
  GroupFunction<Real> gradient, energy, energy_gradient;
};

// What a potential that is called by address consists of; what a run does not need may be null.
template <class Real>
struct External {
  GroupTable<Real> vectors;  // lanes is a multiple of what one vector holds
  GroupTable<Real> single;   // lanes is 1
  void (*point_gradient)(const double* x, double* g);
  double (*point_energy)(const double* x);
};

// What is at the ends of a component.
enum class Wall : int64_t { none, periodic, lower, upper, both };

// Of each component its wall, and as many numbers: lower and upper end, the origin from which is folded, the period (of
// a mirror image: twice the length) and one over it. Null where there are no walls.
inline constexpr int kWallNumbers = 5;
template <class Real>
struct Boundary {
  const int64_t* walls;
  const Real* numbers;
};

// What an observer reads of a particle.
enum class Quantity {
  position,           // a component
  velocity,           // a component, on-step
  energy,             // U
  kinetic,            // sum of m v^2, on-step
  half_step_kinetic,  // likewise, before the last kick of the step
  unwrapped,          // a component, not folded where it is periodic
  virial,             // sum of (x - center) dU/dx
  interval,           // 1 where a component is between the two weights, else 0
  function            // of the positions, or of positions, velocities and U, by address
};
inline constexpr const char* kQuantityNames[] = {"position",  "velocity", "energy",   "kinetic", "half_step_kinetic",
                                                 "unwrapped", "virial",   "interval", "function"};

template <class Real>
struct Source {
  Quantity quantity;
  int component;
  Coefficient<double> weight;           // the mass, the center, or the two ends
  bool of_positions;                    // all that the function takes
  GroupFunction<Real> vectors, single;  // its energy-like form: u from x
};

enum class Reduction {
#define LF_ROW(name) name,
  LF_REDUCTIONS(LF_ROW)
#undef LF_ROW
};

// An observer: what it reads after steps first, first + every, ..., and what is made of it. What `sizes` and `numbers`
// hold is said where the reduction is.
template <class Real>
struct Observation {
  Reduction reduction;
  int64_t first, every;
  unsigned reads;  // kReadsGradient, kReadsEnergy
  const Source<Real>* sources;
  int n_sources;
  const int64_t* sizes;
  const double* numbers;
  int64_t n_reals, n_marks, n_counts;  // rows, or numbers, of its accumulators
  bool stops;                          // a particle moves no more from the step on that stands in its first mark
  // Where particles go on after the step that stands in their second mark, (n_particles, dim); null: nowhere.
  const Real *restart_x, *restart_v;
};

// Its accumulators. A row has a number for each particle.
struct Accumulators {
  const double* reals_in;
  const int64_t* marks_in;
  double* reals;    // (n_reals, n_particles); begin as a copy of what comes in
  int64_t* marks;   // (n_marks, n_particles), likewise
  int64_t* counts;  // (n_counts,), of all particles: added to
};

inline constexpr int kMaxObservations = 32;

// What does not change while steps are made.
template <class Real>
struct Problem {
  int potential;
  External<Real> external;
  const Real* parameters;
  Boundary<Real> boundary;
  int64_t parameter_row_stride;  // how far apart the rows of a schedule are; 0: there is one
  int dim;
  int64_t n_particles;
  int64_t n_moving;  // that groups are made of: all, or those that stretches list
  const Instruction<Real>* program;
  int n_instructions;
  const Pass* passes;
  int n_passes;
  int normals_per_step;   // vectors of dim normals
  int uniforms_per_step;  // tests
  unsigned properties;    // of any operation
  const Observation<Real>* observations;
  int n_observations;
  int accountant;  // an observation that sums work, heat and the rest; -1: none does
  uint64_t seed;
  const uint64_t* streams;  // one per particle

  bool bounded() const { return boundary.walls; }
  bool has_velocities() const { return properties & kUsesVelocities; }
  bool looks_ahead() const { return properties & kLooksAhead; }
};

// Where states are stored: those after steps first, first + every, ..., as (looks, n_particles, dim).
template <class Real>
struct Recording {
  int64_t first, every;
  Real *positions, *velocities;
};

inline constexpr int kMaxRecordings = 8;

// Some steps of a problem: where they begin, and what is to come out.
template <class Real>
struct Stretch {
  int64_t first_step, n_steps;
  const int64_t* particles;  // those that move, or null: all do
  const int32_t* rows;       // which row of the schedule each step uses, or null: the first
  int32_t row_before;        // that of the step before the first, where somebody asks for work
  // State before the first step and after the last, (n_particles, dim).
  const Real *positions_in, *velocities_in;
  Real *positions_out, *velocities_out;
  Recording<Real> recordings[kMaxRecordings];
  int n_recordings;
  const Accumulators* accumulators;  // of each observation
  int64_t* accepted;                 // per particle, added to
  // Per particle: the step after which it was first not finite, or -1. Such a particle keeps its last finite state.
  int64_t* diverged;
  // Gradient and energy at the positions, laid out as the groups have them (kept_reals); null if not worth keeping.
  Real *gradient, *energy;
  bool gradient_known, energy_known;  // whether they are those of positions_in
};

template <class Real>
struct Evaluation {
  int potential;
  External<Real> external;
  const Real* parameters;
  int dim;
  int64_t n_points;
  const Real* x;
  Real* energy;    // or null
  Real* gradient;  // or null
};

// One pass of the coupled loop over n = particles x dim elements. Coefficients are one number (component_stride 0) or
// an array of n (1); there are no rows. What the operations do not use or change may be null; outputs may be the
// inputs.
template <class Real>
struct Update {
  int64_t n;
  const Instruction<Real>* program;
  int n_instructions;
  const Real *x_in, *v_in, *g, *xi, *next_xi;
  Real *x_out, *v_out;
};

// Its Metropolis test; the arrays without "old_" hold the proposal, and then what stays.
template <class Real>
struct Metropolis {
  int64_t n;
  int dim;
  Coefficient<Real> coefficients[kMaxCoefficients];  // of n x dim elements
  const Real *old_x, *new_g, *new_energy, *uniforms;
  Real *x, *g, *energy;  // the proposals, and what belongs to the old positions
  int64_t* accepted;
};

// What one instruction-set level offers.
template <class Real>
struct Kernels {
  const char* name;  // as the code itself reports it
  int vector_bytes;
  int64_t (*block_count)(const Problem<Real>&);
  std::size_t (*workspace_bytes)(const Problem<Real>&);
  // How many numbers the kept gradients (components = dim) or energies (1) of all groups take.
  int64_t (*kept_reals)(const Problem<Real>&, int components);
  void (*run_block)(const Problem<Real>&, const Stretch<Real>&, int64_t block, void* workspace);
  std::size_t (*evaluation_bytes)(const Evaluation<Real>&);
  void (*evaluate)(const Evaluation<Real>&, void* workspace);
  void (*draw)(Real* out, bool uniform, uint64_t seed, uint64_t particle, int tag, uint64_t start, int64_t count);
  void (*draw_rows)(Real* out, uint64_t seed, const uint64_t* particles, int64_t n, uint64_t start, int64_t count);
  void (*update)(const Update<Real>&);
  void (*metropolis)(const Metropolis<Real>&);
  bool (*all_finite)(const Real* x, int64_t n);
  // Numbers start .. start + count - 1 of every particle's stream, as (count / dim, n, dim).
  void (*draw_crowd)(Real* out, bool uniform, uint64_t seed, const uint64_t* particles, int64_t n, int dim, int tag,
                     uint64_t start, int64_t count);
  // Elementary functions by number (see kFunctionNames), for tests and for the coefficients computed in Python.
  void (*function)(int which, const Real* x, Real* out, int64_t n);
};

inline constexpr const char* kFunctionNames[] = {"exp", "expm1", "log", "sin_eighth", "cos_eighth"};

}  // namespace lf
