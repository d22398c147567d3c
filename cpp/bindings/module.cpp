// The Python module: checks arrays, releases the GIL, calls. No mathematics here.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "../core/cholesky.hpp"
#include "../core/tags.hpp"
#include "../kernels/levels.hpp"
#include "../kernels/run.hpp"
#include "../potentials/list.hpp"

namespace py = pybind11;

namespace {

using lf::int64_t;
using lf::uint64_t;
using Addresses = std::map<std::string, std::uintptr_t>;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

#define LF_NAME(name) #name,
const char* const kPotentialNames[] = {LF_POTENTIALS(LF_NAME)};
const char* const kAllPotentialNames[] = {LF_POTENTIALS(LF_NAME) LF_EXTERNAL_POTENTIALS(LF_NAME)
                                              LF_OTHER_POTENTIALS(LF_NAME)};
#undef LF_NAME

int potential_number(const std::string& name) {
  int i = 0;
  for (const char* candidate : kAllPotentialNames) {
    if (name == candidate) return i;
    ++i;
  }
  throw py::value_error("no compiled potential is called '" + name + "'");
}

// The functions of a potential that was compiled elsewhere: addresses by name, 0 where there is none.
template <class Real>
lf::External<Real> external(const Addresses& addresses) {
  const auto address = [&](const char* name) {
    const auto found = addresses.find(name);
    return found == addresses.end() ? 0 : found->second;
  };
  const auto group = [&](const char* name) { return reinterpret_cast<lf::GroupFunction<Real>>(address(name)); };
  return {{group("gradient"), group("energy"), group("energy_gradient")},
          {group("single_gradient"), group("single_energy"), group("single_energy_gradient")},
          reinterpret_cast<void (*)(const double*, double*)>(address("point_gradient")),
          reinterpret_cast<double (*)(const double*)>(address("point_energy"))};
}

// --- instruction-set level
// --------------------------------------------------------------------------------------------

std::atomic<const lf::Level*> current_level{nullptr};

const lf::Level& level() { return *current_level.load(); }

void use_isa(const std::string& name) {
  std::string known;
  for (const lf::Level& candidate : lf::levels()) {
    if (name == candidate.name) {
      if (!candidate.supported()) throw py::value_error("this processor does not support the level '" + name + "'");
      current_level = &candidate;
      return;
    }
    known += std::string(known.empty() ? "" : ", ") + candidate.name;
  }
  throw py::value_error("unknown level '" + name + "'; this build has: " + known);
}

py::list isa_levels() {
  py::list result;
  for (const lf::Level& l : lf::levels()) {
    py::dict entry;
    entry["name"] = l.name;
    entry["supported"] = l.supported();
    // as the kernels themselves report it
    entry["reported"] = py::make_tuple(l.double_kernels->name, l.float_kernels->name);
    entry["vector_bytes"] = l.double_kernels->vector_bytes;
    result.append(entry);
  }
  return result;
}

// --- arrays
// -----------------------------------------------------------------------------------------------------------

template <class T>
void require_shape(const Array<T>& a, const char* name, std::initializer_list<int64_t> shape) {
  bool same = a.ndim() == static_cast<py::ssize_t>(shape.size());
  int axis = 0;
  for (const int64_t n : shape) {
    if (same && a.shape(axis++) != n) same = false;
  }
  if (!same) throw py::value_error(std::string(name) + " has the wrong shape");
}

bool signals_pending() {
  const py::gil_scoped_acquire acquire;
  return PyErr_CheckSignals() != 0;
}

template <class Real>
Array<Real> evaluate(const std::string& kind, int dim, const Array<Real>& parameters, const Array<Real>& x,
                     const Addresses& functions, bool want_gradient) {
  if (x.ndim() != 2 || x.shape(1) != dim) throw py::value_error("x must have the shape (n, dim)");
  const int64_t n = x.shape(0);
  Array<Real> out = want_gradient ? Array<Real>({n, static_cast<int64_t>(dim)}) : Array<Real>(n);
  Real* to = out.mutable_data();
  const lf::Evaluation<Real> e{
      potential_number(kind),       external<Real>(functions),   parameters.data(), dim, n, x.data(),
      want_gradient ? nullptr : to, want_gradient ? to : nullptr};
  const auto& kernels = lf::kernels_of<Real>(level());
  bool finished = false;
  {
    py::gil_scoped_release release;
    finished = lf::evaluate(kernels, e, lf::default_threads(), &signals_pending);
  }
  if (!finished) throw py::error_already_set();
  return out;
}

template <class Real>
Array<Real> draw_as(bool uniform, uint64_t seed, const Array<uint64_t>& particles, int tag, uint64_t start,
                    int64_t count) {
  Array<Real> out({static_cast<int64_t>(particles.size()), count});
  Real* to = out.mutable_data();
  const auto& kernels = lf::kernels_of<Real>(level());
  py::gil_scoped_release release;
  // The lanes of a vector are different particles, or different numbers of one particle: what there is more of.
  if (0 < count && count < particles.size()) {
    kernels.draw_crowd(to, uniform, seed, particles.data(), particles.size(), static_cast<int>(count), tag, start,
                       count);
    return out;
  }
  for (int64_t i = 0; i < particles.size(); ++i) {
    kernels.draw(to + i * count, uniform, seed, particles.data()[i], tag, start, count);
  }
  return out;
}

// Numbers start .. start + count - 1 of each particle's stream, (len(particles), count).
py::array draw(bool uniform, uint64_t seed, const Array<uint64_t>& particles, int tag, uint64_t start, int64_t count,
               bool single) {
  if (particles.ndim() != 1) throw py::value_error("particles must be one-dimensional");
  if (single) return draw_as<float>(uniform, seed, particles, tag, start, count);
  return draw_as<double>(uniform, seed, particles, tag, start, count);
}

// Normals start .. start + out.shape[0] - 1 of every particle, a row for each number, into `out`.
template <class Real>
void draw_rows(Array<Real>& out, uint64_t seed, const Array<uint64_t>& particles, uint64_t start) {
  if (out.ndim() != 2) throw py::value_error("out must have the shape (count, len(particles))");
  require_shape(particles, "particles", {out.shape(1)});
  Real* to = out.mutable_data();
  const auto& kernels = lf::kernels_of<Real>(level());
  py::gil_scoped_release release;
  kernels.draw_rows(to, seed, particles.data(), particles.size(), start, out.shape(0));
}

template <class Real>
Array<Real> function(const std::string& name, const Array<Real>& x) {
  int which = 0;
  for (const char* candidate : lf::kFunctionNames) {
    if (name == candidate) break;
    ++which;
  }
  if (which == static_cast<int>(std::size(lf::kFunctionNames))) throw py::value_error("no function '" + name + "'");
  Array<Real> out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  lf::kernels_of<Real>(level()).function(which, x.data(), out.mutable_data(), x.size());
  return out;
}

py::tuple spd_inverse(const Array<double>& a) {
  const int n = a.ndim() == 2 ? static_cast<int>(a.shape(0)) : 0;
  require_shape(a, "matrix", {n, n});
  Array<double> inverse({n, n}), diagonal(n);
  if (!lf::spd_inverse(a.data(), n, inverse.mutable_data(), diagonal.mutable_data())) {
    throw py::value_error("the matrix is not positive definite");
  }
  const Array<double> logarithms = function<double>("log", diagonal);
  double log_determinant = 0;
  for (int i = 0; i < n; ++i) log_determinant += 2.0 * logarithms.at(i);
  return py::make_tuple(inverse, log_determinant);
}

// --- running
// ----------------------------------------------------------------------------------------------------------

lf::Operation operation(char letter) {
  switch (letter) {
    case 'A':
      return lf::Operation::drift;
    case 'B':
      return lf::Operation::kick;
    case 'O':
      return lf::Operation::ornstein_uhlenbeck;
    case 'E':
      return lf::Operation::euler_maruyama;
    case 'L':
      return lf::Operation::leimkuhler_matthews;
    case 'P':
      return lf::Operation::propose;
    case 'M':
      return lf::Operation::metropolis;
  }
  throw py::value_error(std::string("no operation is called '") + letter + "'");
}

template <class Real>
Array<Real> checked_array(const py::object& array, const char* name, std::initializer_list<int64_t> shape) {
  if (!py::isinstance<Array<Real>>(array)) throw py::type_error(std::string(name) + " has the wrong type or layout");
  auto a = py::reinterpret_borrow<Array<Real>>(array);
  require_shape(a, name, shape);
  return a;
}

// The memory of an array that is read (written), or null for None.
template <class Real>
const Real* input_or_null(const py::object& array, const char* name, std::initializer_list<int64_t> shape) {
  return array.is_none() ? nullptr : checked_array<Real>(array, name, shape).data();
}
template <class Real>
Real* output_or_null(const py::object& array, const char* name, std::initializer_list<int64_t> shape) {
  return array.is_none() ? nullptr : checked_array<Real>(array, name, shape).mutable_data();
}

// `program` is a list of (letter, draw, coefficients), coefficients arrays of shape (1 or n, 1 or dim).
template <class Real>
void run(const std::string& kind, const Addresses& functions, const Array<Real>& parameters, const py::list& program,
         int normals_per_step, int uniforms_per_step, bool looks_ahead, uint64_t seed, const Array<uint64_t>& streams,
         const Array<Real>& positions_in, const py::object& velocities_in, Array<Real>& positions_out,
         const py::object& velocities_out, int64_t first_step, int64_t n_steps, int64_t next_frame, int64_t stride,
         const py::object& frame_positions, const py::object& frame_velocities, Array<int64_t>& accepted,
         Array<int64_t>& diverged, int threads) {
  if (positions_in.ndim() != 2) throw py::value_error("positions_in must have the shape (n, dim)");
  const int64_t n = positions_in.shape(0), dim = positions_in.shape(1);
  require_shape(positions_out, "positions_out", {n, dim});
  require_shape(streams, "streams", {n});
  require_shape(accepted, "accepted", {n});
  require_shape(diverged, "diverged", {n});
  const int64_t frames =
      stride > 0 && next_frame <= first_step + n_steps ? (first_step + n_steps - next_frame) / stride + 1 : 0;

  lf::Problem<Real> problem{};
  problem.potential = potential_number(kind);
  problem.external = external<Real>(functions);
  problem.parameters = parameters.data();
  problem.dim = static_cast<int>(dim);
  problem.n_particles = n;
  problem.normals_per_step = normals_per_step;
  problem.uniforms_per_step = uniforms_per_step;
  problem.looks_ahead = looks_ahead;
  problem.seed = seed;
  problem.streams = streams.data();
  problem.positions_in = positions_in.data();
  problem.positions_out = positions_out.mutable_data();
  problem.velocities_in = input_or_null<Real>(velocities_in, "velocities_in", {n, dim});
  problem.velocities_out = output_or_null<Real>(velocities_out, "velocities_out", {n, dim});
  problem.has_velocities = problem.velocities_in != nullptr;
  problem.first_step = first_step;
  problem.n_steps = n_steps;
  problem.next_frame = next_frame;
  problem.stride = frames > 0 ? stride : 0;
  if (frames > 0) {
    problem.frame_positions = output_or_null<Real>(frame_positions, "frame_positions", {frames, n, dim});
    problem.frame_velocities = output_or_null<Real>(frame_velocities, "frame_velocities", {frames, n, dim});
    if (!problem.frame_positions || (problem.has_velocities && !problem.frame_velocities)) {
      throw py::value_error("frames are asked for, but there is no array to hold them");
    }
  }
  problem.accepted = accepted.mutable_data();
  problem.diverged = diverged.mutable_data();

  std::vector<lf::Instruction<Real>> instructions;
  std::vector<Array<Real>> keep;  // the coefficient arrays live as long as the run
  for (const py::handle item : program) {
    const auto entry = py::cast<py::tuple>(item);
    lf::Instruction<Real> instruction{operation(py::cast<char>(entry[0])), py::cast<int>(entry[1]), {}};
    const bool tests = instruction.operation == lf::Operation::metropolis;
    const bool draws =
        tests || !(instruction.operation == lf::Operation::drift || instruction.operation == lf::Operation::kick);
    if (draws && (instruction.draw < 0 || instruction.draw >= (tests ? uniforms_per_step : normals_per_step))) {
      throw py::value_error("an operation draws what a step does not have");
    }
    int k = 0;
    for (const py::handle coefficient : py::cast<py::tuple>(entry[2])) {
      if (k == lf::kMaxCoefficients) throw py::value_error("an operation has too many coefficients");
      if (!py::isinstance<Array<Real>>(coefficient)) throw py::type_error("a coefficient has the wrong type or layout");
      auto a = py::reinterpret_borrow<Array<Real>>(coefficient);
      if (a.ndim() != 2 || (a.shape(0) != 1 && a.shape(0) != n) || (a.shape(1) != 1 && a.shape(1) != dim)) {
        throw py::value_error("a coefficient must have the shape (1 or n, 1 or dim)");
      }
      instruction.coefficients[k++] = {a.data(), a.shape(0) > 1 ? a.shape(1) : 0, a.shape(1) > 1 ? 1 : 0};
      keep.push_back(a);
    }
    instructions.push_back(instruction);
  }
  problem.program = instructions.data();
  problem.n_instructions = static_cast<int>(instructions.size());
  if (problem.n_instructions > lf::kMaxInstructions) throw py::value_error("the program is too long");

  const auto& kernels = lf::kernels_of<Real>(level());
  bool finished = false;
  {
    py::gil_scoped_release release;
    finished = lf::run(kernels, problem, threads, &signals_pending);
  }
  if (!finished) throw py::error_already_set();
}

// --- the coupled loop
// ---------------------------------------------------------------------------------------------

template <class Real>
lf::Coefficient<Real> whole_coefficient(const py::handle& object, int64_t n, std::vector<Array<Real>>& keep) {
  if (!py::isinstance<Array<Real>>(object)) throw py::type_error("a coefficient has the wrong type or layout");
  keep.push_back(py::reinterpret_borrow<Array<Real>>(object));
  const Array<Real>& a = keep.back();
  if (a.size() != 1 && a.size() != n) throw py::value_error("a coefficient must have 1 or n x dim values");
  return {a.data(), 0, a.size() == 1 && n != 1 ? 0 : 1};
}

// `program` is a list of (letter, coefficients).
template <class Real>
void update(const py::list& program, const Array<Real>& x_in, const py::object& v_in, const py::object& g,
            const py::object& xi, const py::object& next_xi, const py::object& x_out, const py::object& v_out) {
  if (x_in.ndim() != 2) throw py::value_error("x_in must have the shape (n, dim)");
  const int64_t n = x_in.shape(0), dim = x_in.shape(1);
  std::vector<lf::Instruction<Real>> instructions;
  std::vector<Array<Real>> keep;
  for (const py::handle item : program) {
    const auto entry = py::cast<py::tuple>(item);
    lf::Instruction<Real> instruction{operation(py::cast<char>(entry[0])), 0, {}};
    int k = 0;
    for (const py::handle c : py::cast<py::tuple>(entry[1])) {
      if (k == lf::kMaxCoefficients) throw py::value_error("an operation has too many coefficients");
      instruction.coefficients[k++] = whole_coefficient<Real>(c, n * dim, keep);
    }
    instructions.push_back(instruction);
  }
  const lf::Update<Real> u{n * dim,
                           instructions.data(),
                           static_cast<int>(instructions.size()),
                           x_in.data(),
                           input_or_null<Real>(v_in, "v_in", {n, dim}),
                           input_or_null<Real>(g, "g", {n, dim}),
                           input_or_null<Real>(xi, "xi", {n, dim}),
                           input_or_null<Real>(next_xi, "next_xi", {n, dim}),
                           output_or_null<Real>(x_out, "x_out", {n, dim}),
                           output_or_null<Real>(v_out, "v_out", {n, dim})};
  const auto& kernels = lf::kernels_of<Real>(level());
  py::gil_scoped_release release;
  kernels.update(u);
}

template <class Real>
void metropolis(const py::tuple& coefficients, const Array<Real>& old_x, const Array<Real>& new_g,
                const Array<Real>& new_energy, const Array<Real>& uniforms, Array<Real>& x, Array<Real>& g,
                Array<Real>& energy, Array<int64_t>& accepted) {
  if (x.ndim() != 2) throw py::value_error("x must have the shape (n, dim)");
  const int64_t n = x.shape(0), dim = x.shape(1);
  require_shape(old_x, "old_x", {n, dim});
  require_shape(new_g, "new_g", {n, dim});
  require_shape(g, "g", {n, dim});
  require_shape(new_energy, "new_energy", {n});
  require_shape(energy, "energy", {n});
  require_shape(uniforms, "uniforms", {n});
  require_shape(accepted, "accepted", {n});
  lf::Metropolis<Real> m{n,
                         static_cast<int>(dim),
                         {},
                         old_x.data(),
                         new_g.data(),
                         new_energy.data(),
                         uniforms.data(),
                         x.mutable_data(),
                         g.mutable_data(),
                         energy.mutable_data(),
                         accepted.mutable_data()};
  std::vector<Array<Real>> keep;
  if (coefficients.size() != 3) throw py::value_error("a Metropolis test has three coefficients");
  for (int k = 0; k < 3; ++k) m.coefficients[k] = whole_coefficient<Real>(coefficients[k], n * dim, keep);
  const auto& kernels = lf::kernels_of<Real>(level());
  py::gil_scoped_release release;
  kernels.metropolis(m);
}

template <class Real>
bool all_finite(const Array<Real>& x) {
  return lf::kernels_of<Real>(level()).all_finite(x.data(), x.size());
}

// Numbers `start` ... of every particle's stream into `out`, (rows, n, dim).
template <class Real>
void draw_crowd(Array<Real>& out, bool uniform, uint64_t seed, const Array<uint64_t>& particles, int tag,
                uint64_t start) {
  if (out.ndim() != 3) throw py::value_error("out must have the shape (rows, n, dim)");
  require_shape(particles, "particles", {out.shape(1)});
  Real* to = out.mutable_data();
  const int dim = static_cast<int>(out.shape(2));
  const auto& kernels = lf::kernels_of<Real>(level());
  py::gil_scoped_release release;
  kernels.draw_crowd(to, uniform, seed, particles.data(), particles.size(), dim, tag, start, out.shape(0) * dim);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Compiled kernels of langevin_fast; private.";
  for (const lf::Level& candidate : lf::levels()) {
    if (candidate.supported()) current_level = &candidate;
  }

  m.def("use_isa", &use_isa);
  m.def("isa", [] { return level().double_kernels->name; });
  m.def("isa_levels", &isa_levels);
  m.def("has_openmp", &lf::has_openmp);
  m.def("default_threads", &lf::default_threads);
  m.def("potential_names",
        [] { return std::vector<std::string>(std::begin(kPotentialNames), std::end(kPotentialNames)); });
  m.attr("MAX_INSTRUCTIONS") = lf::kMaxInstructions;
  m.attr("STREAM_BITS") = lf::kStreamBits;
  py::dict tags;
  tags["thermal"] = static_cast<int>(lf::Tag::thermal);
  tags["metropolis"] = static_cast<int>(lf::Tag::metropolis);
  tags["initial"] = static_cast<int>(lf::Tag::initial);
  tags["other"] = static_cast<int>(lf::Tag::other);
  m.attr("TAGS") = tags;

#define LF_FOR_BOTH(NAME, FUNCTION) \
  m.def(NAME, FUNCTION(double));    \
  m.def(NAME, FUNCTION(float));
#define LF_ENERGY(Real)                                                                                          \
  [](const std::string& kind, int dim, const Array<Real>& p, const Array<Real>& x, const Addresses& functions) { \
    return evaluate<Real>(kind, dim, p, x, functions, false);                                                    \
  },                                                                                                             \
      py::arg("kind"), py::arg("dim"), py::arg("parameters").noconvert(), py::arg("x").noconvert(),              \
      py::arg("functions") = Addresses()
#define LF_GRADIENT(Real)                                                                                        \
  [](const std::string& kind, int dim, const Array<Real>& p, const Array<Real>& x, const Addresses& functions) { \
    return evaluate<Real>(kind, dim, p, x, functions, true);                                                     \
  },                                                                                                             \
      py::arg("kind"), py::arg("dim"), py::arg("parameters").noconvert(), py::arg("x").noconvert(),              \
      py::arg("functions") = Addresses()
#define LF_FUNCTION(Real) &function<Real>, py::arg("name"), py::arg("x").noconvert()
#define LF_RUN(Real)                                                                                                  \
  &run<Real>, py::kw_only(), py::arg("kind"), py::arg("functions"), py::arg("parameters").noconvert(),                \
      py::arg("program"), py::arg("normals_per_step"), py::arg("uniforms_per_step"), py::arg("looks_ahead"),          \
      py::arg("seed"), py::arg("streams").noconvert(), py::arg("positions_in").noconvert(), py::arg("velocities_in"), \
      py::arg("positions_out").noconvert(), py::arg("velocities_out"), py::arg("first_step"), py::arg("n_steps"),     \
      py::arg("next_frame"), py::arg("stride"), py::arg("frame_positions"), py::arg("frame_velocities"),              \
      py::arg("accepted").noconvert(), py::arg("diverged").noconvert(), py::arg("threads")
#define LF_DRAW_ROWS(Real)                                                                                        \
  &draw_rows<Real>, py::kw_only(), py::arg("out").noconvert(), py::arg("seed"), py::arg("particles").noconvert(), \
      py::arg("start")
  LF_FOR_BOTH("energy", LF_ENERGY)
  LF_FOR_BOTH("gradient", LF_GRADIENT)
  LF_FOR_BOTH("function", LF_FUNCTION)
  LF_FOR_BOTH("run", LF_RUN)
  LF_FOR_BOTH("draw_rows", LF_DRAW_ROWS)
#define LF_UPDATE(Real)                                                                                         \
  &update<Real>, py::arg("program"), py::arg("x_in").noconvert(), py::arg("v_in"), py::arg("g"), py::arg("xi"), \
      py::arg("next_xi"), py::arg("x_out"), py::arg("v_out")
#define LF_METROPOLIS(Real)                                                                             \
  &metropolis<Real>, py::kw_only(), py::arg("coefficients"), py::arg("old_x").noconvert(),              \
      py::arg("new_g").noconvert(), py::arg("new_energy").noconvert(), py::arg("uniforms").noconvert(), \
      py::arg("x").noconvert(), py::arg("g").noconvert(), py::arg("energy").noconvert(),                \
      py::arg("accepted").noconvert()
#define LF_ALL_FINITE(Real) &all_finite<Real>, py::arg("x").noconvert()
#define LF_DRAW_CROWD(Real)                                                                          \
  &draw_crowd<Real>, py::kw_only(), py::arg("out").noconvert(), py::arg("uniform"), py::arg("seed"), \
      py::arg("particles").noconvert(), py::arg("tag"), py::arg("start")
  LF_FOR_BOTH("update", LF_UPDATE)
  LF_FOR_BOTH("metropolis", LF_METROPOLIS)
  LF_FOR_BOTH("all_finite", LF_ALL_FINITE)
  LF_FOR_BOTH("draw_crowd", LF_DRAW_CROWD)

  m.def("log", [](const Array<double>& x) { return function<double>("log", x); });
  m.def("exp", [](const Array<double>& x) { return function<double>("exp", x); });
  m.def("expm1", [](const Array<double>& x) { return function<double>("expm1", x); });
  m.def("spd_inverse", &spd_inverse);
  m.def("draw", &draw, py::kw_only(), py::arg("uniform"), py::arg("seed"), py::arg("particles").noconvert(),
        py::arg("tag"), py::arg("start"), py::arg("count"), py::arg("single"));
}
