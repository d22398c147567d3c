// What the register_*.cpp files share: arrays with a fixed type and layout, and checks of their shapes.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "../kernels/levels.hpp"

namespace lf::bindings {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;

// Addresses of compiled functions by name.
using Addresses = std::map<std::string, std::uintptr_t>;

template <class T>
void require_shape(const Array<T>& a, const char* name, std::initializer_list<int64_t> shape) {
  bool same = a.ndim() == static_cast<py::ssize_t>(shape.size());
  int axis = 0;
  for (const int64_t n : shape) {
    if (same && a.shape(axis++) != n) same = false;
  }
  if (!same) throw py::value_error(std::string(name) + " has the wrong shape");
}

// The array itself, never a converted copy.
template <class T>
Array<T> exactly(const py::handle& object, const char* name) {
  if (!py::isinstance<Array<T>>(object)) throw py::type_error(std::string(name) + " has the wrong type or layout");
  return py::reinterpret_borrow<Array<T>>(object);
}

template <class T>
Array<T> checked_array(const py::handle& object, const char* name, std::initializer_list<int64_t> shape) {
  auto a = exactly<T>(object, name);
  require_shape(a, name, shape);
  return a;
}

// The memory of an array that is read (written), or null for None.
template <class T>
const T* input_or_null(const py::object& array, const char* name, std::initializer_list<int64_t> shape) {
  return array.is_none() ? nullptr : checked_array<T>(array, name, shape).data();
}
template <class T>
T* output_or_null(const py::object& array, const char* name, std::initializer_list<int64_t> shape) {
  return array.is_none() ? nullptr : checked_array<T>(array, name, shape).mutable_data();
}

// The instruction-set level in use (register_levels.cpp).
const Level& level();

template <class Real>
const Kernels<Real>& kernels() {
  return kernels_of<Real>(level());
}

// The number of a compiled potential, and its functions where they come by address (register_potentials.cpp).
int potential_number(const std::string& name);
template <class Real>
External<Real> external(const Addresses& addresses);

// Asked by running kernels, without the GIL.
bool signals_pending();

void register_levels(py::module_& m);
void register_potentials(py::module_& m);
void register_functions(py::module_& m);
void register_noise(py::module_& m);
void register_schemes(py::module_& m);
void register_runner(py::module_& m);
void register_coupled(py::module_& m);

}  // namespace lf::bindings
