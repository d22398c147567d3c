// The coupled loop: one pass, or one Metropolis test, of the whole crowd between calls of the user's function.
#include "../kernels/passes.hpp"
#include "arrays.hpp"

namespace lf::bindings {

namespace {

template <class Real>
Coefficient<Real> whole_coefficient(const py::handle& object, int64_t n, std::vector<Array<Real>>& keep) {
  keep.push_back(exactly<Real>(object, "a coefficient"));
  const Array<Real>& a = keep.back();
  if (a.size() != 1 && a.size() != n) throw py::value_error("a coefficient must have 1 or n x dim values");
  return {a.data(), 0, 0, a.size() == 1 && n != 1 ? 0 : 1};
}

// Operations begin .. end - 1 of a program; `coefficients` has those of all.
template <class Real>
void update(const Parsed& parsed, int begin, int end, const py::sequence& coefficients, const Array<Real>& x_in,
            const py::object& v_in, const py::object& g, const py::object& xi, const py::object& next_xi,
            const py::object& x_out, const py::object& v_out) {
  if (x_in.ndim() != 2) throw py::value_error("x_in must have the shape (n, dim)");
  const int64_t n = x_in.shape(0), dim = x_in.shape(1);
  std::vector<Instruction<Real>> instructions;
  std::vector<Array<Real>> keep;
  for (int i = begin; i < end; ++i) {
    Instruction<Real> instruction{parsed.operations.at(static_cast<std::size_t>(i)), {}};
    int k = 0;
    for (const py::handle c : py::cast<py::sequence>(coefficients[static_cast<std::size_t>(i)])) {
      if (k == kMaxCoefficients) throw py::value_error("an operation has too many coefficients");
      instruction.coefficients[k++] = whole_coefficient<Real>(c, n * dim, keep);
    }
    instructions.push_back(instruction);
  }
  const Update<Real> u{n * dim,
                       instructions.data(),
                       static_cast<int>(instructions.size()),
                       x_in.data(),
                       input_or_null<Real>(v_in, "v_in", {n, dim}),
                       input_or_null<Real>(g, "g", {n, dim}),
                       input_or_null<Real>(xi, "xi", {n, dim}),
                       input_or_null<Real>(next_xi, "next_xi", {n, dim}),
                       output_or_null<Real>(x_out, "x_out", {n, dim}),
                       output_or_null<Real>(v_out, "v_out", {n, dim})};
  const auto& k = kernels<Real>();
  py::gil_scoped_release release;
  k.update(u);
}

template <class Real>
void metropolis(const py::sequence& coefficients, const Array<Real>& old_x, const Array<Real>& new_g,
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
  Metropolis<Real> m{n,
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
  if (py::len(coefficients) != 3) throw py::value_error("a Metropolis test has three coefficients");
  for (std::size_t k = 0; k < 3; ++k) m.coefficients[k] = whole_coefficient<Real>(coefficients[k], n * dim, keep);
  const auto& k = kernels<Real>();
  py::gil_scoped_release release;
  k.metropolis(m);
}

template <class Real>
bool all_finite(const Array<Real>& x) {
  return kernels<Real>().all_finite(x.data(), x.size());
}

template <class Real>
void register_for(py::module_& m) {
  m.def("update", &update<Real>, py::arg("parsed"), py::arg("begin"), py::arg("end"), py::arg("coefficients"),
        py::arg("x_in").noconvert(), py::arg("v_in"), py::arg("g"), py::arg("xi"), py::arg("next_xi"), py::arg("x_out"),
        py::arg("v_out"));
  m.def("metropolis", &metropolis<Real>, py::kw_only(), py::arg("coefficients"), py::arg("old_x").noconvert(),
        py::arg("new_g").noconvert(), py::arg("new_energy").noconvert(), py::arg("uniforms").noconvert(),
        py::arg("x").noconvert(), py::arg("g").noconvert(), py::arg("energy").noconvert(),
        py::arg("accepted").noconvert());
  m.def("all_finite", &all_finite<Real>, py::arg("x").noconvert());
}

}  // namespace

void register_coupled(py::module_& m) {
  register_for<double>(m);
  register_for<float>(m);
}

}  // namespace lf::bindings
