#include "runner.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <new>
#include <utility>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace lf {

namespace {

// At least so many bytes, aligned to a cache line.
char* ensure(Workspace& workspace, std::size_t bytes) {
  if (workspace.bytes < bytes) {
    workspace.memory.reset();
    workspace.bytes = 0;
    void* p = nullptr;
    if (posix_memalign(&p, 64, bytes) != 0) throw std::bad_alloc();
    workspace.memory.reset(static_cast<char*>(p));
    workspace.bytes = bytes;
  }
  return workspace.memory.get();
}

#if defined(_OPENMP)
// The threads of libgomp do not survive a fork, and the child's next parallel region would wait for them for ever. A
// child of a process that has run in parallel therefore runs serially; the results are the same.
std::atomic<bool> ran_in_parallel{false};
std::atomic<bool> must_be_serial{false};

void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
  static const int registered = pthread_atfork(nullptr, nullptr, [] { must_be_serial = ran_in_parallel.load(); });
  (void)registered;
#endif
}

#if defined(__unix__) || defined(__APPLE__)
// Holds until all threads of a probe have been started.
struct Gate {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
  bool open = false;
};

void* wait_at(void* p) {
  Gate& gate = *static_cast<Gate*>(p);
  pthread_mutex_lock(&gate.mutex);
  while (!gate.open) pthread_cond_wait(&gate.opened, &gate.mutex);
  pthread_mutex_unlock(&gate.mutex);
  return nullptr;
}

// How many of `wanted` threads can exist beside those that there are.
int startable(int wanted) {
  Gate gate;
  std::vector<pthread_t> started;
  started.reserve(static_cast<std::size_t>(wanted));
  while (static_cast<int>(started.size()) < wanted) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, &wait_at, &gate) != 0) break;
    started.push_back(thread);
  }
  pthread_mutex_lock(&gate.mutex);
  gate.open = true;
  pthread_cond_broadcast(&gate.opened);
  pthread_mutex_unlock(&gate.mutex);
  for (const pthread_t thread : started) pthread_join(thread, nullptr);
  return static_cast<int>(started.size());
}
#else
int startable(int wanted) { return wanted; }
#endif

// libgomp ends the process when it cannot start a thread. So before a team that is larger than the last one of the
// calling thread, as many are started here for a moment; of those that could be, one is left over for what else needs
// memory.
int affordable(int threads) {
  thread_local int had = 1;
  if (threads > had) {
    const int wanted = threads - had, could = startable(wanted);
    if (could < wanted) threads = had + (could > 0 ? could - 1 : 0);
  }
  if (threads > 1) had = threads;  // libgomp ends those that a smaller team leaves over
  return threads;
}
#endif

}  // namespace

bool has_openmp() {
#if defined(_OPENMP)
  return true;
#else
  return false;
#endif
}

int default_threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return 1;
#endif
}

namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(50);

// Calls body(i, workspace, thread) for i = 0 .. n - 1; false if it was interrupted.
template <class Body>
bool for_all(int64_t n, int threads, Workspace& workspace, std::size_t workspace_bytes, bool (*interrupted)(),
             const Body& body) {
  using Clock = std::chrono::steady_clock;
  if (n == 0) return true;
  if (threads > n) threads = static_cast<int>(n);
#if defined(_OPENMP)
  watch_forks();
  threads = must_be_serial ? 1 : affordable(threads);
#else
  threads = 1;
#endif
  // Rounded up so that no two threads share a cache line.
  const std::size_t bytes = (workspace_bytes + 4095) / 4096 * 4096;
  char* const memory = ensure(workspace, bytes * static_cast<std::size_t>(threads));

  std::atomic<bool> stop{false};
  auto last_look = Clock::now();  // used by the calling thread only
  const auto run_one = [&](int64_t i, int thread) {
    if (stop) return;
    body(i, memory + bytes * static_cast<std::size_t>(thread), thread);
    if (thread == 0 && Clock::now() - last_look > kBetweenLooks) {
      if (interrupted()) stop = true;
      last_look = Clock::now();
    }
  };

  if (threads == 1) {
    for (int64_t i = 0; i < n && !stop; ++i) run_one(i, 0);
    return !stop;
  }
#if defined(_OPENMP)
  ran_in_parallel = true;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t i = 0; i < n; ++i) run_one(i, omp_get_thread_num());
#endif
  return !stop;
}

}  // namespace

// Calls work(index) for the looks of a recording that fall among the steps of a stretch.
template <class Real, class Work>
void for_looks(const Recording<Real>& recording, const Stretch<Real>& stretch, const Work& work) {
  const int64_t past = stretch.first_step - recording.first;
  int64_t look = past < 0 ? 0 : past / recording.every + 1;
  for (; recording.first + look * recording.every <= stretch.first_step + stretch.n_steps; ++look) work(look);
}

template <class Real>
Runner<Real>::Runner(const Kernels<Real>& kernels, const Problem<Real>& problem, const Parsed& parsed)
    : kernels_(kernels), problem_(problem), passes_(parsed.passes) {
  problem_.n_moving = problem_.n_particles;
  problem_.accountant = -1;
  problem_.passes = passes_.data();
  problem_.n_passes = static_cast<int>(passes_.size());
  problem_.normals_per_step = parsed.normals_per_step;
  problem_.uniforms_per_step = parsed.uniforms_per_step;
  problem_.properties = parsed.properties;
  // Worth keeping is what no operation after the last reading makes invalid.
  bool gradient = false, energy = false;
  for (const Pass& pass : passes_) {
    gradient = (gradient || (pass.properties & kReadsGradient)) && !(pass.properties & kMoves);
    energy = (energy || (pass.properties & kReadsEnergy)) && !(pass.properties & kMoves);
  }
  if (gradient) gradient_.resize(static_cast<std::size_t>(kernels.kept_reals(problem_, problem_.dim)));
  if (energy) energy_.resize(static_cast<std::size_t>(kernels.kept_reals(problem_, 1)));
}

template <class Real>
void Runner<Real>::set_rows(const Real* parameters, int64_t row_stride, std::vector<Instruction<Real>> program,
                            bool same) {
  program_ = std::move(program);
  problem_.program = program_.data();
  problem_.n_instructions = static_cast<int>(program_.size());
  problem_.parameters = parameters;
  problem_.parameter_row_stride = row_stride;
  known_ = known_ && same;
  prepare();
}

template <class Real>
void Runner<Real>::set_observations(std::vector<Observation<Real>> observations) {
  observations_ = std::move(observations);
  problem_.observations = observations_.data();
  problem_.n_observations = static_cast<int>(observations_.size());
  const int accountant = problem_.accountant;
  problem_.accountant = -1;
  for (int i = 0; i < problem_.n_observations; ++i) {
    if (observations_[static_cast<std::size_t>(i)].reduction == Reduction::work) problem_.accountant = i;
  }
  known_ = known_ && accountant == problem_.accountant;  // on which the groups depend
  if (problem_.n_instructions) prepare();
}

template <class Real>
void Runner<Real>::prepare() {
  block_count_ = kernels_.block_count(problem_);
  workspace_bytes_ = kernels_.workspace_bytes(problem_);
}

// Every thread counts for itself, the first one where the result is to stand; the order of the sum shows in no bit.
template <class Real>
bool Runner<Real>::run_all(const Stretch<Real>& stretch, int threads, bool (*interrupted)()) {
  int64_t n = 0;
  for (const Observation<Real>& o : observations_) n += o.n_counts;
  threads = static_cast<int>(threads < block_count_ ? threads : block_count_);
  if (n == 0 || threads < 2) {
    return for_all(
        block_count_, threads, workspace_, workspace_bytes_, interrupted,
        [&](int64_t block, char* workspace, int) { kernels_.run_block(problem_, stretch, block, workspace); });
  }
  const std::size_t others = static_cast<std::size_t>(threads) - 1, observers = observations_.size();
  counts_.assign(others * static_cast<std::size_t>(n), 0);
  std::vector<Stretch<Real>> stretches(others, stretch);
  std::vector<Accumulators> accumulators(others * observers);
  int64_t* next = counts_.data();
  for (std::size_t thread = 0; thread < others; ++thread) {
    Accumulators* const own = &accumulators[thread * observers];
    stretches[thread].accumulators = own;
    for (std::size_t i = 0; i < observers; ++i) {
      own[i] = stretch.accumulators[i];
      own[i].counts = next;
      next += observations_[i].n_counts;
    }
  }
  const bool finished = for_all(block_count_, threads, workspace_, workspace_bytes_, interrupted,
                                [&](int64_t block, char* workspace, int thread) {
                                  const Stretch<Real>& own =
                                      thread ? stretches[static_cast<std::size_t>(thread) - 1] : stretch;
                                  kernels_.run_block(problem_, own, block, workspace);
                                });
  const int64_t* from = counts_.data();
  for (std::size_t thread = 0; thread < others; ++thread) {
    for (std::size_t i = 0; i < observers; ++i) {
      for (int64_t k = 0; k < observations_[i].n_counts; ++k) stretch.accumulators[i].counts[k] += *from++;
    }
  }
  return finished;
}

// Where observers stop particles, groups are made of those that still move. The state of the others is copied, and
// shown in recordings.
template <class Real>
void Runner<Real>::list_moving(Stretch<Real>& stretch) {
  moving_.clear();
  const int64_t n = problem_.n_particles, dim = problem_.dim;
  const bool velocities = problem_.has_velocities();
  const auto copy = [&](Real* to, const Real* from, int64_t i) {
    std::copy(from + i * dim, from + (i + 1) * dim, to + i * dim);
  };
  bool stops = false;
  for (const Observation<Real>& o : observations_) stops = stops || o.stops;
  for (int64_t i = 0; stops && i < n; ++i) {
    bool still = stretch.diverged[i] >= 0;
    for (std::size_t k = 0; k < observations_.size(); ++k) {
      still = still || (observations_[k].stops && stretch.accumulators[k].marks[i] >= 0);
    }
    if (!still) {
      moving_.push_back(i);
      continue;
    }
    copy(stretch.positions_out, stretch.positions_in, i);
    if (velocities) copy(stretch.velocities_out, stretch.velocities_in, i);
    for (int r = 0; r < stretch.n_recordings; ++r) {
      const Recording<Real>& recording = stretch.recordings[r];
      for_looks(recording, stretch, [&](int64_t look) {
        copy(recording.positions + look * n * dim, stretch.positions_in, i);
        if (velocities) copy(recording.velocities + look * n * dim, stretch.velocities_in, i);
      });
    }
  }
  const bool all = !stops || static_cast<int64_t>(moving_.size()) == n;
  stretch.particles = all ? nullptr : moving_.data();
  const int64_t n_moving = all ? n : static_cast<int64_t>(moving_.size());
  if (n_moving == problem_.n_moving) return;
  problem_.n_moving = n_moving;
  if (n_moving > 0) {
    prepare();
  } else {
    block_count_ = 0;
  }
}

template <class Real>
bool Runner<Real>::advance(Stretch<Real>& stretch, bool goes_on, int threads, bool (*interrupted)()) {
  const int32_t first_row = stretch.rows ? stretch.rows[0] : 0;
  const bool known = goes_on && known_ && (first_row == known_row_ || problem_.parameter_row_stride == 0);
  stretch.gradient = gradient_.empty() ? nullptr : gradient_.data();
  stretch.energy = energy_.empty() ? nullptr : energy_.data();
  list_moving(stretch);
  stretch.gradient_known = stretch.energy_known = known && !stretch.particles;
  known_ = false;  // groups overwrite what is kept, one after the other
  const bool finished = run_all(stretch, threads, interrupted);
  if (!finished) return false;
  // What is kept is laid out by groups, and belongs to where a particle was before it was put elsewhere.
  bool restarts = false;
  for (const Observation<Real>& o : observations_) restarts = restarts || o.restart_x;
  known_ = !stretch.particles && !restarts;
  known_row_ = stretch.rows ? stretch.rows[stretch.n_steps - 1] : 0;
  return true;
}

template <class Real>
bool evaluate(const Kernels<Real>& kernels, const Evaluation<Real>& all, int threads, bool (*interrupted)()) {
  using Clock = std::chrono::steady_clock;
  const auto part = [&](int64_t first, int64_t n, char* workspace) {
    Evaluation<Real> e = all;
    e.n_points = n;
    e.x += first * e.dim;
    if (e.energy) e.energy += first;
    if (e.gradient) e.gradient += first * e.dim;
    kernels.evaluate(e, workspace);
  };
  const std::size_t bytes = kernels.evaluation_bytes(all);
  Workspace workspace;
  // Waking threads costs more than short work saves, and what a point costs is known once a few have been computed.
  constexpr int64_t kFirst = 16, kPiece = 128;  // multiples of what one vector, and a group of vectors, holds
  constexpr double kSerialSeconds = 1e-3, kPieceSeconds = 2e-4;
  const int64_t first = all.n_points < kFirst ? all.n_points : kFirst, rest = all.n_points - first;
  const auto started = Clock::now();
  part(0, first, ensure(workspace, bytes));
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count() / kFirst;
  const double points = kPieceSeconds / (seconds > 0 ? seconds : 1e-9);
  const int64_t piece = kPiece * (points < kPiece ? 1 : static_cast<int64_t>(points / kPiece));
  if (seconds * static_cast<double>(rest) < kSerialSeconds) threads = 1;
  return for_all((rest + piece - 1) / piece, threads, workspace, bytes, interrupted,
                 [&](int64_t i, char* workspace, int) {
                   const int64_t begin = first + i * piece, left = all.n_points - begin;
                   part(begin, left < piece ? left : piece, workspace);
                 });
}

template class Runner<double>;
template class Runner<float>;
template bool evaluate(const Kernels<double>&, const Evaluation<double>&, int, bool (*)());
template bool evaluate(const Kernels<float>&, const Evaluation<float>&, int, bool (*)());

}  // namespace lf
