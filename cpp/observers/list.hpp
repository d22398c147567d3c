// What observers make of what they read, one line each: a name, and a header of the same name beside this one.
#pragma once

#define LF_REDUCTIONS(X) \
  X(sums)                \
  X(histogram)           \
  X(lags)                \
  X(passages)            \
  X(transitions)         \
  X(work)
