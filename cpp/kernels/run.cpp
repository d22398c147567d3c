#include "run.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>

#if defined(_OPENMP)
#include <omp.h>
#endif
#if defined(_OPENMP) && (defined(__unix__) || defined(__APPLE__))
#include <pthread.h>
#endif

namespace lf {

namespace {

class AlignedMemory {
 public:
  explicit AlignedMemory(std::size_t bytes) {
    if (bytes && posix_memalign(&p_, 64, bytes) != 0) throw std::bad_alloc();
  }
  ~AlignedMemory() { std::free(p_); }
  AlignedMemory(const AlignedMemory&) = delete;
  AlignedMemory& operator=(const AlignedMemory&) = delete;
  char* get() const { return static_cast<char*>(p_); }

 private:
  void* p_ = nullptr;
};

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

// Calls body(i, workspace) for i = 0 .. n - 1; false if it was interrupted.
template <class Body>
bool for_all(int64_t n, int threads, std::size_t workspace_bytes, bool (*interrupted)(), const Body& body) {
  using Clock = std::chrono::steady_clock;
  if (n == 0) return true;
  if (threads > n) threads = static_cast<int>(n);
#if defined(_OPENMP)
  watch_forks();
  if (must_be_serial) threads = 1;
#else
  threads = 1;
#endif
  // Rounded up so that no two threads share a cache line.
  const std::size_t bytes = (workspace_bytes + 4095) / 4096 * 4096;
  const AlignedMemory memory(bytes * static_cast<std::size_t>(threads));

  std::atomic<bool> stop{false};
  auto last_look = Clock::now();  // used by the calling thread only
  const auto run_one = [&](int64_t i, int thread) {
    if (stop) return;
    body(i, memory.get() + bytes * static_cast<std::size_t>(thread));
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

template <class Real>
bool run(const Kernels<Real>& kernels, const Problem<Real>& problem, int threads, bool (*interrupted)()) {
  return for_all(kernels.block_count(problem), threads, kernels.workspace_bytes(problem), interrupted,
                 [&](int64_t block, char* workspace) { kernels.run_block(problem, block, workspace); });
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
  // Waking threads costs more than short work saves, and what a point costs is known once a few have been computed.
  constexpr int64_t kFirst = 16, kPiece = 128;  // multiples of what one vector, and a group of vectors, holds
  constexpr double kSerialSeconds = 1e-3, kPieceSeconds = 2e-4;
  const int64_t first = all.n_points < kFirst ? all.n_points : kFirst, rest = all.n_points - first;
  const auto started = Clock::now();
  {
    const AlignedMemory memory(bytes);
    part(0, first, memory.get());
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - started).count() / kFirst;
  const double points = kPieceSeconds / (seconds > 0 ? seconds : 1e-9);
  const int64_t piece = kPiece * (points < kPiece ? 1 : static_cast<int64_t>(points / kPiece));
  if (seconds * static_cast<double>(rest) < kSerialSeconds) threads = 1;
  return for_all((rest + piece - 1) / piece, threads, bytes, interrupted, [&](int64_t i, char* workspace) {
    const int64_t begin = first + i * piece, left = all.n_points - begin;
    part(begin, left < piece ? left : piece, workspace);
  });
}

template bool run(const Kernels<double>&, const Problem<double>&, int, bool (*)());
template bool run(const Kernels<float>&, const Problem<float>&, int, bool (*)());
template bool evaluate(const Kernels<double>&, const Evaluation<double>&, int, bool (*)());
template bool evaluate(const Kernels<float>&, const Evaluation<float>&, int, bool (*)());

}  // namespace lf
