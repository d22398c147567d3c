// Walls and boxes. The state knows nothing of them: particles move in U continued beyond the walls, periodically or as
// in a mirror. So every scheme is what it is without walls, its noise, memory and tests included; where U is evaluated,
// and where the state is shown, it is folded back.
#pragma once

#include "../core/math.hpp"
#include "problem.hpp"

namespace lf::LF_ISA {

// Component c of a position in the box, and the sign that velocities and gradients have there. What is in the box stays
// as it is, to the bit.
template <class T>
LF_INLINE T fold(const Boundary<RealOf<T>>& boundary, int c, const T& x, T& sign) {
  using Real = RealOf<T>;
  const Real* n = boundary.numbers + kWallNumbers * c;
  const T lo = T(n[0]), hi = T(n[1]), origin = T(n[2]), one = T(Real(1));
  sign = one;
  const Wall wall = static_cast<Wall>(boundary.walls[c]);
  if (wall == Wall::none) return x;
  T z = x - origin;
  if (wall == Wall::periodic || wall == Wall::both) z = z - T(n[3]) * round_to_even(z * T(n[4]));
  if (wall == Wall::periodic) {
    T y = origin + z;
    y = select(less(y, lo), lo, select(less(y, hi), y, select(equal(y, y), lo, y)));  // NaN stays
    return select(less(x, lo), y, select(less(x, hi), x, y));
  }
  const auto mirrored = wall == Wall::upper ? greater(z, T(Real(0))) : less(z, T(Real(0)));
  const T turned = select(mirrored, T(Real(-1)), one);
  T y = origin + z * turned;
  if (wall == Wall::both) y = select(greater(y, hi), hi, y);
  sign = select(less(x, lo), turned, select(greater(x, hi), turned, one));
  return select(less(x, lo), y, select(greater(x, hi), y, x));
}

}  // namespace lf::LF_ISA
