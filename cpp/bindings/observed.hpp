// The observers of a run as Python describes them, and what keeps their numbers alive.
#pragma once

#include <list>

#include "arrays.hpp"

namespace lf::bindings {

template <class Real>
class Observed {
 public:
  void add(const Problem<Real>& problem, const py::tuple& item) {
    Observation<Real> o{};
    o.reduction = static_cast<Reduction>(number_of(kReductionNames, item[0]));
    o.first = py::cast<int64_t>(item[1]);
    o.every = py::cast<int64_t>(item[2]);
    if (o.every < 1) throw py::value_error("an observer looks after every so many steps, one at least");
    sources_.emplace_back();
    for (const py::handle source : py::cast<py::sequence>(item[3])) {
      sources_.back().push_back(source_of(problem, py::cast<py::tuple>(source), o.reads));
    }
    o.sources = sources_.back().data();
    o.n_sources = static_cast<int>(sources_.back().size());
    sizes_.push_back(exactly<int64_t>(item[4], "sizes of an observer"));
    numbers_.push_back(exactly<double>(item[5], "numbers of an observer"));
    o.sizes = sizes_.back().data();
    o.numbers = numbers_.back().data();
    o.n_reals = py::cast<int64_t>(item[6]);
    o.n_marks = py::cast<int64_t>(item[7]);
    o.n_counts = py::cast<int64_t>(item[8]);
    o.stops = py::cast<bool>(item[9]);
    if (!item[10].is_none()) o.restart_x = starts(problem, item[10]);
    if (!item[11].is_none()) o.restart_v = starts(problem, item[11]);
    if ((o.stops && o.n_marks < 1) || (o.restart_x && (o.n_marks < 2 || problem.has_velocities() != !!o.restart_v))) {
      throw py::value_error("an observer that stops or restarts particles lacks something");
    }
    observations_.push_back(o);
  }

  const std::vector<Observation<Real>>& observations() const { return observations_; }

 private:
  static constexpr const char* kReductionNames[] = {
#define LF_ROW(name) #name,
      LF_REDUCTIONS(LF_ROW)
#undef LF_ROW
  };

  template <std::size_t n>
  static int number_of(const char* const (&names)[n], const py::handle& name) {
    const auto wanted = py::cast<std::string>(name);
    for (std::size_t i = 0; i < n; ++i) {
      if (names[i] == wanted) return static_cast<int>(i);
    }
    throw py::value_error("there is no " + wanted);
  }

  Source<Real> source_of(const Problem<Real>& problem, const py::tuple& item, unsigned& reads) {
    const int64_t n = problem.n_particles, dim = problem.dim;
    Source<Real> source{};
    source.quantity = static_cast<Quantity>(number_of(kQuantityNames, item[0]));
    source.component = py::cast<int>(item[1]);
    if (source.component < 0 || source.component >= dim) throw py::value_error("there is no such component");
    const bool of_velocities = source.quantity == Quantity::velocity || source.quantity == Quantity::kinetic ||
                               source.quantity == Quantity::half_step_kinetic;
    if (of_velocities && !problem.has_velocities()) throw py::value_error("there are no velocities");
    const bool weighted = source.quantity == Quantity::kinetic || source.quantity == Quantity::half_step_kinetic ||
                          source.quantity == Quantity::virial;
    const bool interval = source.quantity == Quantity::interval;
    if (weighted || interval) {
      const auto weight = exactly<double>(item[2], "weight of an observer");
      if (interval && (weight.ndim() != 2 || weight.shape(0) != 1 || weight.shape(1) != 2)) {
        throw py::value_error("an interval has two ends");
      }
      if (weighted && (weight.ndim() != 2 || (weight.shape(0) != 1 && weight.shape(0) != n) ||
                       (weight.shape(1) != 1 && weight.shape(1) != dim))) {
        throw py::value_error("a weight must have the shape (1 or n, 1 or dim)");
      }
      source.weight = {weight.data(), 0, weight.shape(0) > 1 ? weight.shape(1) : 0, weight.shape(1) > 1 ? 1 : 0};
      numbers_.push_back(weight);
    }
    source.of_positions = py::cast<bool>(item[3]);
    const auto function = [&](int i) {
      return reinterpret_cast<GroupFunction<Real>>(py::cast<std::uintptr_t>(item[i]));  // NOLINT
    };
    source.vectors = function(5);
    source.single = function(6);
    if (source.quantity == Quantity::function && !(source.vectors && source.single)) {
      throw py::value_error("a function has no address");
    }
    if (py::cast<bool>(item[4])) reads |= kReadsEnergy;
    if (source.quantity == Quantity::half_step_kinetic || source.quantity == Quantity::virial) reads |= kReadsGradient;
    return source;
  }

  const Real* starts(const Problem<Real>& problem, const py::handle& item) {
    starts_.push_back(checked_array<Real>(item, "starts of an observer", {problem.n_particles, problem.dim}));
    return starts_.back().data();
  }

  std::list<Array<Real>> starts_;
  std::list<std::vector<Source<Real>>> sources_;
  std::list<Array<int64_t>> sizes_;
  std::list<Array<double>> numbers_;
  std::vector<Observation<Real>> observations_;
};

}  // namespace lf::bindings
