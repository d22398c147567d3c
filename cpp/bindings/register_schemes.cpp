// The table of operations, and what a program of them amounts to.
#include "../kernels/passes.hpp"
#include "arrays.hpp"

namespace lf::bindings {

void register_schemes(py::module_& m) {
  m.attr("MAX_INSTRUCTIONS") = kMaxInstructions;

  py::dict properties;
  properties["draws_normals"] = static_cast<unsigned>(kDrawsNormals);
  properties["looks_ahead"] = static_cast<unsigned>(kLooksAhead);
  properties["draws_uniform"] = static_cast<unsigned>(kDrawsUniform);
  properties["reads_gradient"] = static_cast<unsigned>(kReadsGradient);
  properties["reads_energy"] = static_cast<unsigned>(kReadsEnergy);
  properties["moves"] = static_cast<unsigned>(kMoves);
  properties["uses_velocities"] = static_cast<unsigned>(kUsesVelocities);
  properties["proposes"] = static_cast<unsigned>(kProposes);
  properties["tests"] = static_cast<unsigned>(kTests);
  m.attr("PROPERTIES") = properties;

  py::list operations;
  for (const OperationRow& row : kOperations) {
    operations.append(
        py::make_tuple(py::str(std::string(1, row.letter)), row.name, row.properties, std::string(row.coefficients)));
  }
  m.attr("OPERATIONS") = operations;

  py::class_<Pass>(m, "Pass")
      .def_readonly("begin", &Pass::begin)
      .def_readonly("end", &Pass::end)
      .def_readonly("draw", &Pass::draw)
      .def_readonly("properties", &Pass::properties);
  py::class_<Parsed>(m, "Parsed")
      .def(py::init(&parse), py::arg("letters"))
      .def_readonly("draws", &Parsed::draws)
      .def_readonly("passes", &Parsed::passes)
      .def_readonly("normals_per_step", &Parsed::normals_per_step)
      .def_readonly("uniforms_per_step", &Parsed::uniforms_per_step)
      .def_readonly("properties", &Parsed::properties);
}

}  // namespace lf::bindings
