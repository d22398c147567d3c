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

template <class Real>
bool run(const Kernels<Real>& kernels, const Problem<Real>& problem, int threads, bool (*interrupted)()) {
  using Clock = std::chrono::steady_clock;
  const int64_t n_blocks = kernels.block_count(problem);
  if (n_blocks == 0) return true;
  if (threads > n_blocks) threads = static_cast<int>(n_blocks);
#if defined(_OPENMP)
  watch_forks();
  if (must_be_serial) threads = 1;
#else
  threads = 1;
#endif
  // Rounded up so that no two threads share a cache line.
  const std::size_t bytes = (kernels.workspace_bytes(problem) + 4095) / 4096 * 4096;
  const AlignedMemory memory(bytes * static_cast<std::size_t>(threads));

  std::atomic<bool> stop{false};
  auto last_look = Clock::now();  // used by the calling thread only
  const auto run_block = [&](int64_t block, int thread) {
    if (stop) return;
    kernels.run_block(problem, block, memory.get() + bytes * static_cast<std::size_t>(thread));
    if (thread == 0 && Clock::now() - last_look > std::chrono::milliseconds(50)) {
      if (interrupted()) stop = true;
      last_look = Clock::now();
    }
  };

  if (threads == 1) {
    for (int64_t block = 0; block < n_blocks && !stop; ++block) run_block(block, 0);
    return !stop;
  }
#if defined(_OPENMP)
  ran_in_parallel = true;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
  for (int64_t block = 0; block < n_blocks; ++block) run_block(block, omp_get_thread_num());
#endif
  return !stop;
}

template bool run(const Kernels<double>&, const Problem<double>&, int, bool (*)());
template bool run(const Kernels<float>&, const Problem<float>&, int, bool (*)());

}  // namespace lf
