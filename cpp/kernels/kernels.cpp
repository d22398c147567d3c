// The kernels of one instruction-set level and precision. CMake compiles this file once for each pair, with
//   LF_ISA        the namespace and name of the level
//   LF_REAL       double or float
//   LF_SYMBOL     the name of the table that this object exports
#include "../potentials/double_well.hpp"
#include "../potentials/external.hpp"
#include "../potentials/free.hpp"
#include "../potentials/gaussian.hpp"
#include "../potentials/gaussian_mixture.hpp"
#include "../potentials/harmonic.hpp"
#include "../potentials/hybrid_rosenbrock.hpp"
#include "../potentials/lennard_jones_cluster.hpp"
#include "../potentials/list.hpp"
#include "../potentials/logistic_regression.hpp"
#include "../potentials/muller_brown.hpp"
#include "../potentials/neal_funnel.hpp"
#include "../potentials/network_potential.hpp"
#include "../potentials/prinz.hpp"
#include "../potentials/ring.hpp"
#include "../potentials/rosenbrock.hpp"
#include "../potentials/tabulated.hpp"
#include "block.hpp"

namespace lf::LF_ISA {

// coupled.cpp
void update(const Update<LF_REAL>& u);
void metropolis(const Metropolis<LF_REAL>& m);
bool all_finite(const LF_REAL* x, int64_t n);
void draw_crowd(LF_REAL* out, bool uniform, uint64_t seed, const uint64_t* particles, int64_t n, int dim, int tag,
                uint64_t start, int64_t count);

// Unnamed, because the objects of both precisions define these names, each for its own Real.
namespace {

using Real = LF_REAL;
using Wide = Pack<Real, kWidePack>;
using Line = Pack<Real, kLinePack>;
using Narrow = Pack<Real, 1>;

#define LF_STRING_(x) #x
#define LF_STRING(x) LF_STRING_(x)

// A crowd is cut into wide groups; what is left goes to groups of one vector, or, if it is a single particle, to one
// number at a time with the noise made along time. Where the work is mostly moving the state through the caches, all
// groups have one vector: a wide one in many dimensions would not fit.
struct Groups {
  int64_t wide, narrow;
  int wide_lanes;
  bool single;
};

template <class Potential>
constexpr bool kHasLine = on_line<Line, Potential>();

template <class Potential>
Groups groups_of(const Problem<Real>& problem) {
  Groups groups;
  groups.wide_lanes = kHasLine<Potential> && in_line(problem) ? kLanesOf<Line> : kLanesOf<Wide>;
  groups.wide = Potential::kCheap && problem.dim > 32 ? 0 : problem.n_moving / groups.wide_lanes;
  const int64_t rest = problem.n_moving - groups.wide * groups.wide_lanes;
  groups.single = rest == 1;
  groups.narrow = groups.single ? 0 : (rest + kLanesOf<Narrow> - 1) / kLanesOf<Narrow>;
  return groups;
}

template <class Potential>
int64_t block_count_of(const Problem<Real>& problem) {
  const Groups groups = groups_of<Potential>(problem);
  return groups.wide + groups.narrow + (groups.single ? 1 : 0);
}

// Calls work(a T, first particle of the group) for the T of group number `index`.
template <class Potential, class Work>
auto with_group(const Problem<Real>& problem, int64_t index, Work work) {
  const Groups groups = groups_of<Potential>(problem);
  const int64_t after_wide = groups.wide * groups.wide_lanes;
  if (index < groups.wide) {
    if constexpr (kHasLine<Potential>) {
      if (in_line(problem)) return work(Line(), index * kLanesOf<Line>);
    }
    return work(Wide(), index * kLanesOf<Wide>);
  }
  if (groups.single) return work(Real(), after_wide);
  return work(Narrow(), after_wide + (index - groups.wide) * kLanesOf<Narrow>);
}

template <class Potential>
void run_block_of(const Problem<Real>& problem, const Stretch<Real>& stretch, int64_t index, void* workspace) {
  with_group<Potential>(problem, index, [&](auto t, int64_t first) {
    using T = decltype(t);
    const int64_t rest = problem.n_moving - first;
    Block<Real, T, Potential>(problem, workspace)
        .run(stretch, first, rest < kLanesOf<T> ? static_cast<int>(rest) : kLanesOf<T>);
  });
}

// What the largest group needs: the first, or the last.
template <class Potential>
std::size_t workspace_bytes_of(const Problem<Real>& problem) {
  const auto bytes = [&](int64_t index) {
    return with_group<Potential>(problem, index, [&](auto t, int64_t) {
      return Block<Real, decltype(t), Potential>(problem, nullptr).workspace_bytes();
    });
  };
  const std::size_t first = bytes(0), last = bytes(block_count_of<Potential>(problem) - 1);
  return first > last ? first : last;
}

// Points first .. first + kLanesOf<T> - 1, as far as there are so many.
template <class T, class Potential>
void evaluate_group(const Evaluation<Real>& e, const Potential& potential, int64_t first, void* workspace) {
  Arena arena(workspace);
  T* x = arena.take<T>(e.dim);
  T* g = arena.take<T>(e.dim);
  T* scratch = arena.take<T>(Potential::scratch(e.parameters, e.dim));
  const int64_t rest = e.n_points - first;
  const int valid = rest < kLanesOf<T> ? static_cast<int>(rest) : kLanesOf<T>;
  for (int lane = 0; lane < kLanesOf<T>; ++lane) {
    const int64_t point = first + (lane < valid ? lane : valid - 1);
    for (int c = 0; c < e.dim; ++c) set_lane(x[c], lane, e.x[point * e.dim + c]);
  }
  if (e.gradient) {
    potential.gradient(x, g, scratch);
    for (int lane = 0; lane < valid; ++lane) {
      for (int c = 0; c < e.dim; ++c) e.gradient[(first + lane) * e.dim + c] = get_lane(g[c], lane);
    }
  }
  if (e.energy) {
    const T u = potential.energy(x, scratch);
    for (int lane = 0; lane < valid; ++lane) e.energy[first + lane] = get_lane(u, lane);
  }
}

template <class Potential>
void evaluate_with(const Evaluation<Real>& e, void* workspace) {
  const Potential potential = make_potential<Potential>(e.parameters, e.dim, e.external);
  int64_t first = 0;
  for (; first + kLanesOf<Wide> <= e.n_points; first += kLanesOf<Wide>) {
    evaluate_group<Wide>(e, potential, first, workspace);
  }
  for (; first < e.n_points; first += kLanesOf<Narrow>) evaluate_group<Narrow>(e, potential, first, workspace);
}

template <class Potential>
std::size_t evaluation_bytes_of(const Evaluation<Real>& e) {
  Arena arena(nullptr);
  arena.take<Wide>(e.dim);
  arena.take<Wide>(e.dim);
  arena.take<Wide>(Potential::scratch(e.parameters, e.dim));
  return arena.used();
}

// Potentials by number: the built-in ones, then those whose functions come by address.
#define LF_ALL(X) LF_POTENTIALS(X) LF_EXTERNAL_POTENTIALS(X) LF_OTHER_POTENTIALS(X)
#define LF_RUN(name) &run_block_of<name<Real>>,
#define LF_BLOCKS(name) &block_count_of<name<Real>>,
#define LF_WORKSPACE(name) &workspace_bytes_of<name<Real>>,
#define LF_EVALUATE(name) &evaluate_with<name<Real>>,
#define LF_EVALUATION(name) &evaluation_bytes_of<name<Real>>,

void run_block(const Problem<Real>& problem, const Stretch<Real>& stretch, int64_t index, void* workspace) {
  static constexpr void (*table[])(const Problem<Real>&, const Stretch<Real>&, int64_t, void*) = {LF_ALL(LF_RUN)};
  table[problem.potential](problem, stretch, index, workspace);
}
// The last group may be filled up with copies.
int64_t kept_reals(const Problem<Real>& problem, int components) {
  return (problem.n_particles + kLanesOf<Narrow> - 1) * components;
}
int64_t block_count(const Problem<Real>& problem) {
  static constexpr int64_t (*table[])(const Problem<Real>&) = {LF_ALL(LF_BLOCKS)};
  return table[problem.potential](problem);
}
std::size_t workspace_bytes(const Problem<Real>& problem) {
  static constexpr std::size_t (*table[])(const Problem<Real>&) = {LF_ALL(LF_WORKSPACE)};
  return table[problem.potential](problem);
}
void evaluate(const Evaluation<Real>& e, void* workspace) {
  static constexpr void (*table[])(const Evaluation<Real>&, void*) = {LF_ALL(LF_EVALUATE)};
  table[e.potential](e, workspace);
}
std::size_t evaluation_bytes(const Evaluation<Real>& e) {
  static constexpr std::size_t (*table[])(const Evaluation<Real>&) = {LF_ALL(LF_EVALUATION)};
  return table[e.potential](e);
}

template <Law law>
void draw_from(Real* out, uint64_t seed, uint64_t particle, Tag tag, uint64_t start, int64_t count) {
  using Numbers = Window<Real, law>;
  alignas(64) Real memory[Numbers::kRows];
  const PhiloxKey key = philox_key(seed);
  const Lanes<Real> lanes{particle};
  Numbers numbers;
  numbers.reset(memory, tag, start, start + static_cast<uint64_t>(count));
  for (int64_t done = 0; done < count;) {
    const int64_t rest = count - done;
    int n = rest < Numbers::kRows ? static_cast<int>(rest) : Numbers::kRows;
    const Real* rows = numbers.next(n, lanes, key);
    __builtin_memcpy(out + done, rows, static_cast<std::size_t>(n) * sizeof(Real));
    done += n;
  }
}

void draw(Real* out, bool uniform, uint64_t seed, uint64_t particle, int tag, uint64_t start, int64_t count) {
  if (uniform) {
    draw_from<Law::uniform>(out, seed, particle, static_cast<Tag>(tag), start, count);
  } else {
    draw_from<Law::normal>(out, seed, particle, static_cast<Tag>(tag), start, count);
  }
}

// Rows start .. start + count - 1 of the thermal noise of a crowd, (count, n): what a run over these particles
// consumes.
template <class T>
void draw_rows_of(Real* out, int64_t pitch, const PhiloxKey& key, const uint64_t* particles, int valid, uint64_t start,
                  int64_t count) {
  uint64_t ids[kLanesOf<T>];
  for (int lane = 0; lane < kLanesOf<T>; ++lane) ids[lane] = particles[lane < valid ? lane : valid - 1];
  Lanes<T> lanes;
  lanes.set(ids);
  constexpr int per_block = kPerBlock<Real>;
  int64_t done = 0;
  if (start % per_block == 0 && valid == kLanesOf<T>) {
    const int blocks = static_cast<int>(count / per_block);
    fill_rows<Law::normal>(out, pitch, start / per_block, blocks, lanes, Tag::thermal, key);
    done = int64_t(blocks) * per_block;
  }
  // What does not fill whole blocks and groups goes through a window.
  Window<T, Law::normal> numbers;
  T memory[Window<T, Law::normal>::kRows];
  numbers.reset(memory, Tag::thermal, start + static_cast<uint64_t>(done), start + static_cast<uint64_t>(count));
  for (; done < count; ++done) {
    const T& row = numbers.next(lanes, key);
    __builtin_memcpy(out + done * pitch, &row, static_cast<std::size_t>(valid) * sizeof(Real));
  }
}

void draw_rows(Real* out, uint64_t seed, const uint64_t* particles, int64_t n, uint64_t start, int64_t count) {
  const PhiloxKey key = philox_key(seed);
  int64_t first = 0;
  for (; first + kLanesOf<Wide> <= n; first += kLanesOf<Wide>) {
    draw_rows_of<Wide>(out + first, n, key, particles + first, kLanesOf<Wide>, start, count);
  }
  for (; first < n; first += kLanesOf<Narrow>) {
    const int valid = n - first < kLanesOf<Narrow> ? static_cast<int>(n - first) : kLanesOf<Narrow>;
    draw_rows_of<Narrow>(out + first, n, key, particles + first, valid, start, count);
  }
}

template <class T>
T function_of(int which, T x) {
  switch (which) {
    case 0:
      return exp(x);
    case 1:
      return expm1(x);
    case 2:
      return log(x);
    case 3:
      return sincos_eighth(x).sin;
    default:
      return sincos_eighth(x).cos;
  }
}

// Whole vectors where they fit, so that a test of the function is a test of its vector form.
void function(int which, const Real* x, Real* out, int64_t n) {
  int64_t i = 0;
  for (; i + kLanesOf<Narrow> <= n; i += kLanesOf<Narrow>) {
    Narrow pack;
    __builtin_memcpy(&pack, x + i, sizeof(pack));
    pack = function_of(which, pack);
    __builtin_memcpy(out + i, &pack, sizeof(pack));
  }
  for (; i < n; ++i) out[i] = function_of(which, x[i]);
}

}  // namespace
}  // namespace lf::LF_ISA

namespace lf {

extern const Kernels<LF_REAL> LF_SYMBOL;
const Kernels<LF_REAL> LF_SYMBOL = {
    LF_STRING(LF_ISA),   LF_ISA::kVectorBytes, &LF_ISA::block_count,      &LF_ISA::workspace_bytes,
    &LF_ISA::kept_reals, &LF_ISA::run_block,   &LF_ISA::evaluation_bytes, &LF_ISA::evaluate,
    &LF_ISA::draw,       &LF_ISA::draw_rows,   &LF_ISA::update,           &LF_ISA::metropolis,
    &LF_ISA::all_finite, &LF_ISA::draw_crowd,  &LF_ISA::function,
};

}  // namespace lf
