// The registry of stream tags: what a particle's random numbers are for. A tag is the top byte of the Philox counter,
// so streams with different tags never share a block. Python reads these values from the extension; they live only
// here. Tags stay below kSinglePrecision.
#pragma once

#include <cstdint>

namespace lf {

enum class Tag : std::uint8_t {
  thermal = 0,     // the normals of the integrator
  metropolis = 1,  // the uniforms of accept/reject tests
  initial = 2,     // initial velocities
  other = 3,       // anything drawn outside a run
};

// Added to the tag in single precision, whose numbers thus share no block with those of double precision.
inline constexpr int kSinglePrecision = 128;

// A particle's stream index has this many bits.
inline constexpr int kStreamBits = 56;

}  // namespace lf
