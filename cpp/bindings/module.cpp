// The Python module: checks arrays, releases the GIL, calls. No mathematics here.
#include "arrays.hpp"

PYBIND11_MODULE(_core, m) {
  using namespace lf::bindings;
  m.doc() = "Compiled kernels of langevin_fast; private.";
  register_levels(m);
  register_potentials(m);
  register_functions(m);
  register_noise(m);
  register_schemes(m);
  register_runner(m);
  register_coupled(m);
}
