// Elementary functions, and the inverse of a covariance matrix.
#include "../core/cholesky.hpp"
#include "arrays.hpp"

namespace lf::bindings {

namespace {

template <class Real>
Array<Real> function(const std::string& name, const Array<Real>& x) {
  int which = 0;
  for (const char* candidate : kFunctionNames) {
    if (name == candidate) break;
    ++which;
  }
  if (which == static_cast<int>(std::size(kFunctionNames))) throw py::value_error("no function '" + name + "'");
  Array<Real> out(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
  kernels<Real>().function(which, x.data(), out.mutable_data(), x.size());
  return out;
}

// The energy-like function of a group at an address, for columns of x of shape (rows, lanes).
template <class Real>
Array<Real> call_group(std::uintptr_t address, const Array<Real>& x) {
  if (x.ndim() != 2) throw py::value_error("x must have the shape (rows, lanes)");
  Array<Real> out(x.shape(1));
  const auto function = reinterpret_cast<GroupFunction<Real>>(address);  // NOLINT
  function(x.data(), nullptr, out.mutable_data(), nullptr, x.shape(1));
  return out;
}

py::tuple inverse_and_diagonal(const Array<double>& a) {
  const int n = a.ndim() == 2 ? static_cast<int>(a.shape(0)) : 0;
  require_shape(a, "matrix", {n, n});
  Array<double> inverse({n, n}), diagonal(n);
  if (!spd_inverse(a.data(), n, inverse.mutable_data(), diagonal.mutable_data())) {
    throw py::value_error("the matrix is not positive definite");
  }
  return py::make_tuple(inverse, diagonal);
}

}  // namespace

void register_functions(py::module_& m) {
  m.def("function", &function<double>, py::arg("name"), py::arg("x").noconvert());
  m.def("function", &function<float>, py::arg("name"), py::arg("x").noconvert());
  m.def("call_group", &call_group<double>, py::arg("address"), py::arg("x").noconvert());
  m.def("call_group", &call_group<float>, py::arg("address"), py::arg("x").noconvert());
  for (const char* name : {"log", "exp", "expm1"}) {
    m.def(name, [name](const Array<double>& x) { return function<double>(name, x); });
  }
  m.def("spd_inverse", &inverse_and_diagonal);
}

}  // namespace lf::bindings
