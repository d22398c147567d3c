// Instruction-set levels and threads.
#include <atomic>

#include "../kernels/runner.hpp"
#include "arrays.hpp"

namespace lf::bindings {

namespace {

std::atomic<const Level*> current_level{nullptr};

void use_isa(const std::string& name) {
  std::string known;
  for (const Level& candidate : levels()) {
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
  for (const Level& l : levels()) {
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

}  // namespace

const Level& level() { return *current_level.load(); }

bool signals_pending() {
  const py::gil_scoped_acquire acquire;
  return PyErr_CheckSignals() != 0;
}

void register_levels(py::module_& m) {
  for (const Level& candidate : levels()) {
    if (candidate.supported()) current_level = &candidate;
  }
  m.def("use_isa", &use_isa);
  m.def("isa", [] { return level().double_kernels->name; });
  m.def("isa_levels", &isa_levels);
  m.def("has_openmp", &has_openmp);
  m.def("default_threads", &default_threads);
}

}  // namespace lf::bindings
