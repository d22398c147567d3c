// The step loop of one problem.
#include <algorithm>
#include <stdexcept>

#include "../kernels/runner.hpp"
#include "arrays.hpp"
#include "observed.hpp"

namespace lf::bindings {

namespace {

// Keeps the arrays that a runner reads.
template <class Real>
class BoundRunner {
 public:
  BoundRunner(const std::string& kind, const Addresses& functions, int dim, const Parsed& parsed, uint64_t seed,
              const Array<uint64_t>& streams)
      : parsed_(parsed), streams_(streams) {
    if (streams.ndim() != 1) throw py::value_error("streams must have the shape (n,)");
    Problem<Real> problem{};
    problem.potential = potential_number(kind);
    problem.external = external<Real>(functions);
    problem.dim = dim;
    problem.n_particles = streams.shape(0);
    problem.seed = seed;
    problem.streams = streams.data();
    runner_ = std::make_unique<Runner<Real>>(kernels<Real>(), problem, parsed);
  }

  // Walls of shape (dim,), and their numbers of shape (dim, 5).
  void set_boundary(const Array<int64_t>& walls, const Array<Real>& numbers) {
    const int64_t dim = runner_->problem().dim;
    require_shape(walls, "walls", {dim});
    require_shape(numbers, "numbers of the walls", {dim, kWallNumbers});
    walls_ = walls;
    wall_numbers_ = numbers;
    runner_->set_boundary({walls_.data(), wall_numbers_.data()});
  }

  // The numbers of the steps that follow: parameters of shape (1 or rows, p), and for each operation coefficients of
  // shape (1 or rows, 1 or n, 1 or dim).
  void set_rows(const Array<Real>& parameters, const py::sequence& coefficients) {
    if (busy_) throw std::runtime_error("this simulation is running already, in another thread");
    if (parameters.ndim() != 2) throw py::value_error("parameters must have the shape (rows, parameters)");
    int64_t rows = parameters.shape(0);
    std::vector<Array<Real>> keep;
    const auto program = instructions(coefficients, rows, keep);
    if (parameters.shape(0) != 1 && parameters.shape(0) != rows) {
      throw py::value_error("parameters and coefficients must have as many rows, or one");
    }
    const bool same = parameters_.data() == parameters.data();
    runner_->set_rows(parameters.data(), parameters.shape(0) > 1 ? parameters.shape(1) : 0, program, same);
    parameters_ = parameters;
    keep_ = std::move(keep);
    rows_ = rows;
  }

  // The observers of the steps that follow: (reduction, first, every, sources, sizes, numbers, real rows, mark rows,
  // counts, whether it stops particles, where it puts them: two arrays or None) each, a source being (quantity,
  // component, weight of shape (1 or n, 1 or dim) or None, of positions alone, whether it reads U, two addresses).
  void set_observations(const py::sequence& observations) {
    if (busy_) throw std::runtime_error("this simulation is running already, in another thread");
    if (py::len(observations) > kMaxObservations) throw py::value_error("too many observers");
    auto observed = std::make_unique<Observed<Real>>();
    for (const py::handle item : observations) observed->add(runner_->problem(), py::cast<py::tuple>(item));
    runner_->set_observations(observed->observations());
    observed_ = std::move(observed);
  }

  py::tuple advance(int64_t first_step, int64_t n_steps, const Array<Real>& x, const py::object& v,
                    const Array<int64_t>& accepted, const Array<int64_t>& diverged, const py::object& rows,
                    int32_t row_before, const py::sequence& recordings, const py::sequence& accumulators, bool goes_on,
                    int threads) {
    const int64_t n = runner_->problem().n_particles, dim = runner_->problem().dim;
    const bool has_velocities = runner_->problem().has_velocities();
    if (n_steps < 1) throw py::value_error("n_steps must be positive");
    if (rows_ == 0) throw py::value_error("set_rows comes first");
    require_shape(x, "x", {n, dim});
    require_shape(accepted, "accepted", {n});
    require_shape(diverged, "diverged", {n});
    if (v.is_none() == has_velocities) throw py::value_error("v goes with operations on velocities");

    Stretch<Real> stretch{};
    stretch.first_step = first_step;
    stretch.n_steps = n_steps;
    stretch.rows = input_or_null<int32_t>(rows, "rows", {n_steps});
    if (stretch.rows) {
      for (int64_t i = 0; i < n_steps; ++i) {
        if (stretch.rows[i] < 0 || stretch.rows[i] >= rows_) throw py::value_error("there is no such row");
      }
    }
    stretch.row_before = row_before;
    if (stretch.rows && (row_before < 0 || row_before >= rows_)) throw py::value_error("there is no such row");
    stretch.positions_in = x.data();
    stretch.velocities_in = input_or_null<Real>(v, "v", {n, dim});
    Array<Real> new_x({n, dim});
    stretch.positions_out = new_x.mutable_data();
    py::object new_v = py::none();
    if (has_velocities) {
      Array<Real> array({n, dim});
      stretch.velocities_out = array.mutable_data();
      new_v = array;
    }
    // pybind11 copies where no owner is named
    Array<int64_t> new_accepted = accepted, new_diverged(n, diverged.data());
    if (runner_->problem().uniforms_per_step) {
      new_accepted = Array<int64_t>(n, accepted.data());
      stretch.accepted = new_accepted.mutable_data();
    }
    stretch.diverged = new_diverged.mutable_data();
    for (const py::handle item : recordings) add_recording(stretch, py::cast<py::tuple>(item), n, dim, has_velocities);

    std::vector<Accumulators> observed;
    const py::tuple new_accumulators = copies_of(accumulators, observed);
    stretch.accumulators = observed.data();

    // The kernels run without the GIL, and what the runner keeps serves one call at a time.
    if (busy_) throw std::runtime_error("this simulation is running already, in another thread");
    const Busy busy(busy_);
    bool finished = false;
    {
      py::gil_scoped_release release;
      finished = runner_->advance(stretch, goes_on, threads, &signals_pending);
    }
    if (!finished) throw py::error_already_set();
    // The same object where nothing is new: who sees it need not look.
    const bool same = std::equal(diverged.data(), diverged.data() + n, new_diverged.data());
    return py::make_tuple(new_x, new_v, new_accepted, same ? diverged : new_diverged, new_accumulators);
  }

 private:
  struct Busy {
    explicit Busy(bool& flag) : flag_(flag) { flag_ = true; }
    ~Busy() { flag_ = false; }
    Busy(const Busy&) = delete;
    Busy& operator=(const Busy&) = delete;
    bool& flag_;  // read and written with the GIL
  };

  // `rows` becomes the number of rows where an array has more than one.
  std::vector<Instruction<Real>> instructions(const py::sequence& coefficients, int64_t& rows,
                                              std::vector<Array<Real>>& keep) const {
    const int64_t n = runner_->problem().n_particles, dim = runner_->problem().dim;
    if (py::len(coefficients) != parsed_.operations.size()) {
      throw py::value_error("coefficients must hold those of each operation");
    }
    std::vector<Instruction<Real>> program;
    for (std::size_t i = 0; i < parsed_.operations.size(); ++i) {
      Instruction<Real> instruction{parsed_.operations[i], {}};
      int k = 0;
      for (const py::handle item : py::cast<py::sequence>(coefficients[i])) {
        if (k == kMaxCoefficients) throw py::value_error("an operation has too many coefficients");
        const auto a = exactly<Real>(item, "a coefficient");
        if (a.ndim() == 3 && rows == 1) rows = a.shape(0);
        if (a.ndim() != 3 || (a.shape(0) != 1 && a.shape(0) != rows) || (a.shape(1) != 1 && a.shape(1) != n) ||
            (a.shape(2) != 1 && a.shape(2) != dim)) {
          throw py::value_error("a coefficient must have the shape (1 or rows, 1 or n, 1 or dim)");
        }
        const auto stride = [&](int axis, int64_t numbers) { return a.shape(axis) > 1 ? numbers : 0; };
        instruction.coefficients[k++] = {a.data(), stride(0, a.shape(1) * a.shape(2)), stride(1, a.shape(2)),
                                         stride(2, 1)};
        keep.push_back(a);
      }
      if (k != coefficient_count(instruction.operation)) throw py::value_error("a coefficient is missing");
      program.push_back(instruction);
    }
    return program;
  }

  // (first, every, positions, velocities or None), with room for all looks of the stretch
  static void add_recording(Stretch<Real>& stretch, const py::tuple& item, int64_t n, int64_t dim,
                            bool has_velocities) {
    if (stretch.n_recordings == kMaxRecordings) throw py::value_error("too many recordings");
    const auto first = py::cast<int64_t>(item[0]), every = py::cast<int64_t>(item[1]);
    auto positions = exactly<Real>(item[2], "positions of a recording");
    if (every < 1) throw py::value_error("a recording looks after every so many steps, one at least");
    const int64_t end = stretch.first_step + stretch.n_steps;
    const int64_t looks = end < first ? 0 : (end - first) / every + 1;
    if (positions.ndim() != 3 || positions.shape(0) < looks) {
      throw py::value_error("a recording has no room for its looks");
    }
    require_shape(positions, "positions of a recording", {positions.shape(0), n, dim});
    Recording<Real> recording{first, every, positions.mutable_data(), nullptr};
    if (has_velocities) {
      recording.velocities =
          checked_array<Real>(item[3], "velocities of a recording", {positions.shape(0), n, dim}).mutable_data();
    }
    stretch.recordings[stretch.n_recordings++] = recording;
  }

  // What goes in, (reals, marks, counts) for each observer, stays as it is; what comes out begins as a copy.
  py::tuple copies_of(const py::sequence& accumulators, std::vector<Accumulators>& out) const {
    const int64_t n = runner_->problem().n_particles;
    const int n_observations = runner_->problem().n_observations;
    if (static_cast<int>(py::len(accumulators)) != n_observations) {
      throw py::value_error("there must be accumulators for each observer");
    }
    py::tuple copies(n_observations);
    for (int i = 0; i < n_observations; ++i) {
      const Observation<Real>& o = runner_->problem().observations[i];
      const auto given = py::cast<py::tuple>(accumulators[i]);
      const auto reals = checked_array<double>(given[0], "real numbers of an observer", {o.n_reals, n});
      const auto marks = checked_array<int64_t>(given[1], "marks of an observer", {o.n_marks, n});
      const auto counts = checked_array<int64_t>(given[2], "counts of an observer", {o.n_counts});
      Array<double> new_reals({o.n_reals, n}, reals.data());
      Array<int64_t> new_marks({o.n_marks, n}, marks.data()), new_counts(o.n_counts, counts.data());
      out.push_back(
          {reals.data(), marks.data(), new_reals.mutable_data(), new_marks.mutable_data(), new_counts.mutable_data()});
      copies[i] = py::make_tuple(new_reals, new_marks, new_counts);
    }
    return copies;
  }

  Parsed parsed_;
  std::unique_ptr<Observed<Real>> observed_;
  Array<Real> parameters_, wall_numbers_;
  Array<int64_t> walls_;
  Array<uint64_t> streams_;
  std::vector<Array<Real>> keep_;
  int64_t rows_ = 0;  // none yet
  bool busy_ = false;
  std::unique_ptr<Runner<Real>> runner_;
};

template <class Real>
void register_for(py::module_& m, const char* name) {
  using Bound = BoundRunner<Real>;
  py::class_<Bound>(m, name)
      .def(py::init<const std::string&, const Addresses&, int, const Parsed&, uint64_t, const Array<uint64_t>&>(),
           py::kw_only(), py::arg("kind"), py::arg("functions"), py::arg("dim"), py::arg("parsed"), py::arg("seed"),
           py::arg("streams").noconvert())
      .def("set_rows", &Bound::set_rows, py::arg("parameters").noconvert(), py::arg("coefficients"))
      .def("advance", &Bound::advance, py::arg("first_step"), py::arg("n_steps"), py::arg("x").noconvert(),
           py::arg("v"), py::arg("accepted").noconvert(), py::arg("diverged").noconvert(), py::arg("rows"),
           py::arg("row_before"), py::arg("recordings"), py::arg("accumulators"), py::arg("goes_on"),
           py::arg("threads"))
      .def("set_boundary", &Bound::set_boundary, py::arg("walls").noconvert(), py::arg("numbers").noconvert())
      .def("set_observations", &Bound::set_observations, py::arg("observations"));
}

}  // namespace

void register_runner(py::module_& m) {
  m.attr("MAX_RECORDINGS") = kMaxRecordings;
  m.attr("MAX_OBSERVATIONS") = kMaxObservations;
  register_for<double>(m, "DoubleRunner");
  register_for<float>(m, "SingleRunner");
}

}  // namespace lf::bindings
