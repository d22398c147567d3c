// The plain description of a run that the Python side makes and the kernels read. No behaviour; no instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lf {

using std::int64_t;
using std::uint64_t;

// What a step does, one operation after the other. docs/architecture.md, "A scheme is a program".
enum class Operation : std::int32_t {
  drift,                // A: x += first v
  kick,                 // B: v -= first grad U
  ornstein_uhlenbeck,   // O: v = first v + second xi
  euler_maruyama,       // E: x = x + second xi - first grad U
  leimkuhler_matthews,  // L: x = x + second (xi_n + xi_{n+1}) - first grad U
  propose,              // P: as E, but the old state is kept
  metropolis,           // M: accept, or go back to it; first 1/kT, second drag/(4 kT h), third h/drag
};

// One number, or one per particle and/or component: value[particle * particle_stride + component * component_stride].
template <class Real>
struct Coefficient {
  const Real* value = nullptr;
  int64_t particle_stride = 0;
  int64_t component_stride = 0;
};

inline constexpr int kMaxCoefficients = 3;
inline constexpr int kMaxInstructions = 64;

template <class Real>
struct Instruction {
  Operation operation;
  int draw;  // which of the step's normal vectors (or uniforms) it uses
  Coefficient<Real> coefficients[kMaxCoefficients];
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

template <class Real>
struct Problem {
  int potential;
  External<Real> external;
  const Real* parameters;
  int dim;
  int64_t n_particles;
  const Instruction<Real>* program;
  int n_instructions;
  int normals_per_step;   // vectors of dim normals
  int uniforms_per_step;  // Metropolis tests
  bool has_velocities;
  bool looks_ahead;  // the program uses the normals of the next step too
  uint64_t seed;
  const uint64_t* streams;  // one per particle

  // State before the first step and after the last, (n_particles, dim).
  const Real *positions_in, *velocities_in;
  Real *positions_out, *velocities_out;
  int64_t first_step, n_steps;

  // Frames are stored after steps next_frame, next_frame + stride, ...; frame_positions is (frames, n_particles, dim).
  int64_t next_frame, stride;
  Real *frame_positions, *frame_velocities;

  int64_t* accepted;  // per particle, added to
  // Per particle: the step after which it was first not finite, or -1. Such a particle keeps its last finite state.
  int64_t* diverged;
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
// an array of n (1). What the operations do not use or change may be null; outputs may be the inputs.
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
  void (*run_block)(const Problem<Real>&, int64_t block, void* workspace);
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
