// Several components of a group at once, where one takes so few vectors that the loop around the arithmetic would cost
// as much as the arithmetic.
#pragma once

#include "../core/simd.hpp"

namespace lf::LF_ISA {

// A vector anywhere in an array. Not a template: GCC forgets the alignment of a dependent type.
template <class E>
struct UnalignedVectorOf;
template <>
struct UnalignedVectorOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes), aligned(8)));
};
template <>
struct UnalignedVectorOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes), aligned(4)));
};
template <class E>
using UnalignedVec = typename UnalignedVectorOf<E>::type;

// How many vectors a cell has: x, v, the gradient and the noise of one fit into 16 registers.
inline constexpr int kCellVectors = 4;

template <class T>
struct Cells;  // a single particle: one vector of components
template <>
struct Cells<double> {
  using Cell = Pack<double, 1>;
};
template <>
struct Cells<float> {
  using Cell = Pack<float, 1>;
};
template <class Real, int N>
struct Cells<Pack<Real, N>> {
  using Cell = Pack<Real, (N < kCellVectors ? kCellVectors : N)>;
};

template <class T>
using CellOf = typename Cells<T>::Cell;
template <class T>
inline constexpr int kCellComponents = static_cast<int>(sizeof(CellOf<T>) / sizeof(T));

// Components c, c + 1, ... of an array lie side by side, as the vectors of a cell do. Cell may be T itself. Accessed as
// vectors and not by memcpy, which might change anything: what the loops keep in members would be read again each time.
template <class Cell, class T>
LF_INLINE Cell load_cell(const T* from) {
  if constexpr (sizeof(T) == sizeof(Cell)) {
    return *from;
  } else {
    const UnalignedVec<RealOf<T>>* vectors = reinterpret_cast<const UnalignedVec<RealOf<T>>*>(from);
    return Cell::make([&](int i) { return vectors[i]; });
  }
}
template <class Cell, class T>
LF_INLINE void store_cell(T* to, const Cell& cell) {
  if constexpr (sizeof(T) == sizeof(Cell)) {
    *to = cell;
  } else {
    UnalignedVec<RealOf<T>>* vectors = reinterpret_cast<UnalignedVec<RealOf<T>>*>(to);
#pragma GCC unroll 8
    for (int i = 0; i < static_cast<int>(sizeof(Cell)) / kVectorBytes; ++i) vectors[i] = cell.v[i];
  }
}

// The same number for all components of a cell.
template <class Cell, class T>
LF_INLINE Cell repeat(const T& x) {
  if constexpr (sizeof(T) == sizeof(RealOf<T>)) {
    return Cell(x);
  } else {
    constexpr int n = static_cast<int>(sizeof(T)) / kVectorBytes;
    return Cell::make([&](int i) { return x.v[i % n]; });
  }
}
template <class Cell>
LF_INLINE bool cell_mask(bool m) {
  return m;
}
template <class Cell, class E, int N>
LF_INLINE MaskOf<Cell> cell_mask(const PackMask<E, N>& m) {
  return {decltype(MaskOf<Cell>::m)::make([&](int i) { return m.m.v[i % N]; })};
}

// Adds the components of a cell, one after the other.
template <class T, class Cell>
LF_INLINE void add_components(T& sum, const Cell& cell) {
  if constexpr (sizeof(T) == sizeof(Cell)) {
    sum += cell;
  } else if constexpr (sizeof(T) == sizeof(RealOf<T>)) {
    for (int i = 0; i < kLanesOf<Cell>; ++i) sum += cell.v[0][i];
  } else {
    static_assert(sizeof(T) == kVectorBytes);
#pragma GCC unroll 8
    for (int i = 0; i < static_cast<int>(sizeof(Cell)) / kVectorBytes; ++i) sum.v[0] += cell.v[i];
  }
}

}  // namespace lf::LF_ISA
