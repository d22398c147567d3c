// The workspace of a group of particles.
#pragma once

#include "../core/simd.hpp"

namespace lf::LF_ISA {

// Gives out pieces of a block of memory; with memory = nullptr it only counts.
class Arena {
 public:
  explicit Arena(void* memory) : base_(static_cast<char*>(memory)) {}
  template <class T>
  T* take(int64_t n) {
    const std::size_t offset = used_;
    // The odd number of cache lines in between keeps the same component of different arrays from sharing the low
    // address bits, by which the processor looks for conflicts between loads and stores.
    used_ += (static_cast<std::size_t>(n) * sizeof(T) + 63) / 64 * 64 + 13 * 64;
    return base_ ? reinterpret_cast<T*>(base_ + offset) : nullptr;
  }
  std::size_t used() const { return used_; }

 private:
  char* base_;
  std::size_t used_ = 0;
};

}  // namespace lf::LF_ISA
