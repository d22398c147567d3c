#pragma once

#include "potential.hpp"

namespace lf::LF_ISA {

// The hidden layers' activation functions, in the order of ACTIVATIONS in langevin_fast/score/network_potential.py.
enum class Activation { silu, tanh, softplus, relu, gelu, elu };

// tanh without cancellation for small x, from e^{-2|x|} - 1.
template <class T>
LF_INLINE T tanh(T x) {
  using Real = RealOf<T>;
  const auto negative = less(x, T(Real(0)));
  const T e = expm1(T(Real(-2)) * select(negative, -x, x));
  const T t = -e / (T(Real(2)) + e);
  return select(negative, -t, t);
}

template <Activation activation, class T>
LF_INLINE T activate(T x) {
  using Real = RealOf<T>;
  const T zero = T(Real(0)), one = T(Real(1));
  if constexpr (activation == Activation::silu) {
    return x / (one + exp(-x));
  } else if constexpr (activation == Activation::tanh) {
    return tanh(x);
  } else if constexpr (activation == Activation::softplus) {
    const T e = exp(select(less(x, zero), x, -x)), sum = one + e;
    // what rounding took off the sum, to first order, so that the tail does not end where 1 + e is 1
    return maximum(x, zero) + (log(sum) + (e - (sum - one)) / sum);
  } else if constexpr (activation == Activation::relu) {
    return select(less(x, zero), zero, x);
  } else if constexpr (activation == Activation::gelu) {
    // sqrt(2/pi) (x + 0.044715 x^3): Hendrycks and Gimpel 2016, as JAX and PyTorch ("tanh") have it
    const T inner = x * (T(Real(0.7978845608028654)) + T(Real(0.035677408136300125)) * (x * x));
    return (T(Real(0.5)) * x) * (one + tanh(inner));
  } else {
    return select(less(x, zero), expm1(x), x);
  }
}

// No energy; the gradient is slope z - factor N(z), z = (x - mean) / scale, of a multilayer perceptron N.
// p: layers, activation, scale, slope, factor, widths[layers + 1] (the first and the last are dim), mean[dim], and for
//    each layer bias[out], weight[out][in].
// scratch: the values of two layers
//
// Dense layers use fused multiply-adds where the level has them: here, and only here, bits depend on the level. They do
// not depend on T.
template <class Real>
struct NetworkPotential : PotentialBase<Real> {
  static constexpr int kSmallestDim = 2;  // its layers want their arguments in memory

  static int64_t scratch(const Real* p, int) {
    const int layers = static_cast<int>(p[0]);
    int64_t widest = 0;
    for (int i = 0; i <= layers; ++i) widest = p[5 + i] > widest ? static_cast<int64_t>(p[5 + i]) : widest;
    return 2 * widest;
  }

  template <class T>
  void gradient(const T* x, T* g, T* scratch) const {
    switch (static_cast<Activation>(static_cast<int>(this->p[1]))) {
      case Activation::silu:
        return propagate<Activation::silu>(x, g, scratch);
      case Activation::tanh:
        return propagate<Activation::tanh>(x, g, scratch);
      case Activation::softplus:
        return propagate<Activation::softplus>(x, g, scratch);
      case Activation::relu:
        return propagate<Activation::relu>(x, g, scratch);
      case Activation::gelu:
        return propagate<Activation::gelu>(x, g, scratch);
      case Activation::elu:
        return propagate<Activation::elu>(x, g, scratch);
    }
  }
  template <class T>
  LF_INLINE T energy(const T*, T*) const {
    return T(Real(__builtin_nan("")));
  }
  template <class T>
  T energy_gradient(const T* x, T* g, T* scratch) const {
    gradient(x, g, scratch);
    return T(Real(__builtin_nan("")));
  }

 private:
  // Four vectors at a time: the values of a layer fit the first-level cache, and enough sums are under way.
  template <class T>
  struct PartOf {
    using type = T;
  };
  template <int N>
  struct PartOf<Pack<Real, N>> {
    using type = Pack<Real, (N < 4 ? N : 4)>;
  };

  template <Activation activation, class T>
  void propagate(const T* x, T* g, T* scratch) const {
    using Part = typename PartOf<T>::type;
    for (int part = 0; part < static_cast<int>(sizeof(T) / sizeof(Part)); ++part) {
      propagate_part<activation>(x, g, part, reinterpret_cast<Part*>(scratch));
    }
  }

  template <class Part, class T>
  static LF_INLINE Part get_part(const T& x, int part) {
    Part value;
    __builtin_memcpy(&value, reinterpret_cast<const char*>(&x) + part * sizeof(Part), sizeof(Part));
    return value;
  }
  template <class Part, class T>
  static LF_INLINE void set_part(T& x, int part, Part value) {
    __builtin_memcpy(reinterpret_cast<char*>(&x) + part * sizeof(Part), &value, sizeof(Part));
  }

  template <Activation activation, class T, class Part>
  void propagate_part(const T* x, T* g, int part, Part* scratch) const {
    const int layers = static_cast<int>(this->p[0]);
    const Part scale = Part(this->p[2]), slope = Part(this->p[3]), factor = Part(this->p[4]);
    const Real *widths = this->p + 5, *mean = widths + layers + 1, *layer = mean + this->dim;
    Part *from = scratch, *to = scratch + this->scratch(this->p, this->dim) / 2;
    const auto z = [&](int c) LF_INLINED { return (get_part<Part>(x[c], part) - Part(mean[c])) / scale; };
    for (int c = 0; c < this->dim; ++c) from[c] = z(c);
    for (int i = 0; i < layers; ++i) {
      const int n_in = static_cast<int>(widths[i]), n_out = static_cast<int>(widths[i + 1]);
      dense(layer, from, n_in, to, n_out);
      layer += n_out + static_cast<int64_t>(n_out) * n_in;
      if (i + 1 < layers) {
        for (int k = 0; k < n_out; ++k) to[k] = activate<activation>(to[k]);
      } else {
        for (int c = 0; c < this->dim; ++c) set_part(g[c], part, slope * z(c) - factor * to[c]);
      }
      Part* const values = to;
      to = from;
      from = values;
    }
  }

  // Several rows of the weights at a time: a value that is loaded is used for several sums, which stay in registers and
  // are enough to hide the latency of an addition. The counts were measured; they change no bit.
  template <class T>
  static constexpr int rows_at_a_time() {
    if (sizeof(T) <= kVectorBytes) return 8;
    return kWidePack == 8 ? 4 : 3;
  }

  template <class T>
  static void dense(const Real* layer, const T* from, int n_in, T* to, int n_out) {
    constexpr int step = rows_at_a_time<T>();
    const Real *bias = layer, *weight = layer + n_out;
    int k = 0;
    for (; k + step <= n_out; k += step) {
      rows(weight + int64_t(k) * n_in, bias + k, from, n_in, to + k, IndicesTo<step>{});
    }
    for (; k < n_out; ++k) rows(weight + int64_t(k) * n_in, bias + k, from, n_in, to + k, IndicesTo<1>{});
  }

  template <class T, int... R>
  static LF_INLINE void rows(const Real* weight, const Real* bias, const T* from, int n_in, T* to, Indices<R...>) {
    T sum[sizeof...(R)] = {T(bias[R])...};
    for (int i = 0; i < n_in; ++i) {
      const T value = from[i];
      ((sum[R] = fused(T(weight[int64_t(R) * n_in + i]), value, sum[R])), ...);
    }
    ((to[R] = sum[R]), ...);
  }
};

}  // namespace lf::LF_ISA
