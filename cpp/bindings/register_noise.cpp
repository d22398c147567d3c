// The noise, by stream or by crowd.
#include "../core/tags.hpp"
#include "arrays.hpp"

namespace lf::bindings {

namespace {

template <class Real>
Array<Real> draw_as(bool uniform, uint64_t seed, const Array<uint64_t>& particles, int tag, uint64_t start,
                    int64_t count) {
  Array<Real> out({static_cast<int64_t>(particles.size()), count});
  Real* to = out.mutable_data();
  const auto& k = kernels<Real>();
  py::gil_scoped_release release;
  // The lanes of a vector are different particles, or different numbers of one particle: what there is more of.
  if (0 < count && count < particles.size()) {
    k.draw_crowd(to, uniform, seed, particles.data(), particles.size(), static_cast<int>(count), tag, start, count);
    return out;
  }
  for (int64_t i = 0; i < particles.size(); ++i) {
    k.draw(to + i * count, uniform, seed, particles.data()[i], tag, start, count);
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
  const auto& k = kernels<Real>();
  py::gil_scoped_release release;
  k.draw_rows(to, seed, particles.data(), particles.size(), start, out.shape(0));
}

// Numbers `start` ... of every particle's stream into `out`, (rows, n, dim).
template <class Real>
void draw_crowd(Array<Real>& out, bool uniform, uint64_t seed, const Array<uint64_t>& particles, int tag,
                uint64_t start) {
  if (out.ndim() != 3) throw py::value_error("out must have the shape (rows, n, dim)");
  require_shape(particles, "particles", {out.shape(1)});
  Real* to = out.mutable_data();
  const int dim = static_cast<int>(out.shape(2));
  const auto& k = kernels<Real>();
  py::gil_scoped_release release;
  k.draw_crowd(to, uniform, seed, particles.data(), particles.size(), dim, tag, start, out.shape(0) * dim);
}

template <class Real>
void register_for(py::module_& m) {
  m.def("draw_rows", &draw_rows<Real>, py::kw_only(), py::arg("out").noconvert(), py::arg("seed"),
        py::arg("particles").noconvert(), py::arg("start"));
  m.def("draw_crowd", &draw_crowd<Real>, py::kw_only(), py::arg("out").noconvert(), py::arg("uniform"), py::arg("seed"),
        py::arg("particles").noconvert(), py::arg("tag"), py::arg("start"));
}

}  // namespace

void register_noise(py::module_& m) {
  m.attr("STREAM_BITS") = kStreamBits;
  m.attr("SINGLE_PRECISION_TAG") = kSinglePrecision;
  py::dict tags;
  tags["thermal"] = static_cast<int>(Tag::thermal);
  tags["metropolis"] = static_cast<int>(Tag::metropolis);
  tags["initial"] = static_cast<int>(Tag::initial);
  tags["other"] = static_cast<int>(Tag::other);
  m.attr("TAGS") = tags;
  m.def("draw", &draw, py::kw_only(), py::arg("uniform"), py::arg("seed"), py::arg("particles").noconvert(),
        py::arg("tag"), py::arg("start"), py::arg("count"), py::arg("single"));
  register_for<double>(m);
  register_for<float>(m);
}

}  // namespace lf::bindings
