// Compiled potentials: their names, and energies and gradients of many points.
#include "../kernels/runner.hpp"
#include "../potentials/list.hpp"
#include "arrays.hpp"

namespace lf::bindings {

namespace {

#define LF_NAME(name) #name,
const char* const kPotentialNames[] = {LF_POTENTIALS(LF_NAME)};
const char* const kAllPotentialNames[] = {LF_POTENTIALS(LF_NAME) LF_EXTERNAL_POTENTIALS(LF_NAME)
                                              LF_OTHER_POTENTIALS(LF_NAME)};
#undef LF_NAME

enum class Wanted { energy, gradient };

template <class Real, Wanted wanted>
Array<Real> evaluate_points(const std::string& kind, int dim, const Array<Real>& parameters, const Array<Real>& x,
                            const Addresses& functions) {
  if (x.ndim() != 2 || x.shape(1) != dim) throw py::value_error("x must have the shape (n, dim)");
  const int64_t n = x.shape(0);
  Array<Real> out = wanted == Wanted::gradient ? Array<Real>({n, static_cast<int64_t>(dim)}) : Array<Real>(n);
  Real* to = out.mutable_data();
  const Evaluation<Real> e{potential_number(kind),
                           external<Real>(functions),
                           parameters.data(),
                           dim,
                           n,
                           x.data(),
                           wanted == Wanted::energy ? to : nullptr,
                           wanted == Wanted::gradient ? to : nullptr};
  bool finished = false;
  {
    py::gil_scoped_release release;
    finished = evaluate(kernels<Real>(), e, default_threads(), &signals_pending);
  }
  if (!finished) throw py::error_already_set();
  return out;
}

template <class Real>
void register_for(py::module_& m) {
  const auto define = [&](const char* name, auto function) {
    m.def(name, function, py::arg("kind"), py::arg("dim"), py::arg("parameters").noconvert(), py::arg("x").noconvert(),
          py::arg("functions") = Addresses());
  };
  define("energy", &evaluate_points<Real, Wanted::energy>);
  define("gradient", &evaluate_points<Real, Wanted::gradient>);
}

}  // namespace

int potential_number(const std::string& name) {
  int i = 0;
  for (const char* candidate : kAllPotentialNames) {
    if (name == candidate) return i;
    ++i;
  }
  throw py::value_error("no compiled potential is called '" + name + "'");
}

template <class Real>
External<Real> external(const Addresses& addresses) {
  const auto address = [&](const char* name) {
    const auto found = addresses.find(name);
    return found == addresses.end() ? 0 : found->second;
  };
  const auto group = [&](const char* name) { return reinterpret_cast<GroupFunction<Real>>(address(name)); };
  return {{group("gradient"), group("energy"), group("energy_gradient")},
          {group("single_gradient"), group("single_energy"), group("single_energy_gradient")},
          reinterpret_cast<void (*)(const double*, double*)>(address("point_gradient")),
          reinterpret_cast<double (*)(const double*)>(address("point_energy"))};
}

template External<double> external(const Addresses&);
template External<float> external(const Addresses&);

void register_potentials(py::module_& m) {
  m.def("potential_names",
        [] { return std::vector<std::string>(std::begin(kPotentialNames), std::end(kPotentialNames)); });
  register_for<double>(m);
  register_for<float>(m);
}

}  // namespace lf::bindings
