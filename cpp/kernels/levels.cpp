#include "levels.hpp"

namespace lf {

#define LF_DECLARE(level)                      \
  extern const Kernels<double> level##_double; \
  extern const Kernels<float> level##_float;

LF_DECLARE(baseline)
#if defined(LF_LEVEL_avx2)
LF_DECLARE(avx2)
#endif
#if defined(LF_LEVEL_avx512)
LF_DECLARE(avx512)
#endif

const std::vector<Level>& levels() {
  static const std::vector<Level> all = {
      {"baseline", [] { return true; }, &baseline_double, &baseline_float},
#if defined(LF_LEVEL_avx2)
      {"avx2", [] { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; }, &avx2_double,
       &avx2_float},
#endif
#if defined(LF_LEVEL_avx512)
      {"avx512",
       [] {
         return __builtin_cpu_supports("fma") != 0 && __builtin_cpu_supports("avx512f") != 0 &&
                __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                __builtin_cpu_supports("avx512vl") != 0;
       },
       &avx512_double, &avx512_float},
#endif
  };
  return all;
}

}  // namespace lf
