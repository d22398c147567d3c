// C++ by hand, for one machine: blocks of particles that stay in the cache, one row per component, loops that the
// compiler vectorises (-O3 -march=native -ffast-math), xoshiro256++ in eight lanes and Box-Muller by rows.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace {

enum Potential { kWell, kMullerBrown, kGaussian, kMixture, kLogistic, kLennardJones, kNetwork };
enum Scheme { kUla, kBaoab, kMala, kNormals };

struct Settings {
  int32_t potential, scheme, dim, threads;
  double step_size, kT, friction;
};

// --- random numbers --------------------------------------------------------------------------------------------------

constexpr int kLanes = 8;

struct Xoshiro {
  alignas(64) uint64_t s[4][kLanes];

  explicit Xoshiro(uint64_t seed) {
    for (auto& word : s) {
      for (uint64_t& lane : word) {  // splitmix64
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        lane = z ^ (z >> 31);
      }
    }
  }

  static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }

  // `count` is a multiple of kLanes.
  void fill(uint64_t* out, int count) {
    alignas(64) uint64_t a[kLanes], b[kLanes], c[kLanes], d[kLanes];
    std::memcpy(a, s[0], sizeof a);
    std::memcpy(b, s[1], sizeof b);
    std::memcpy(c, s[2], sizeof c);
    std::memcpy(d, s[3], sizeof d);
    for (int i = 0; i < count; i += kLanes) {
#pragma omp simd
      for (int l = 0; l < kLanes; ++l) {
        out[i + l] = rotate(a[l] + d[l], 23) + a[l];
        const uint64_t t = b[l] << 17;
        c[l] ^= a[l];
        d[l] ^= b[l];
        b[l] ^= c[l];
        a[l] ^= d[l];
        c[l] ^= t;
        d[l] = rotate(d[l], 45);
      }
    }
    std::memcpy(s[0], a, sizeof a);
    std::memcpy(s[1], b, sizeof b);
    std::memcpy(s[2], c, sizeof c);
    std::memcpy(s[3], d, sizeof d);
  }
};

constexpr double kQuarterTurn = 1.5707963267948966;

// r cos and r sin of a full turn times v, |v| <= 1/2: polynomials for a quarter of the angle, doubled twice.
template <class Real>
inline void turn(Real r, Real v, Real& first, Real& second) {
  const Real t = Real(kQuarterTurn) * v, q = t * t;
  Real sine, cosine;
  if constexpr (sizeof(Real) == 8) {
    sine = -7.6471637318198164759e-13;
    sine = sine * q + 1.6059043836821614599e-10;
    sine = sine * q - 2.5052108385441718775e-8;
    sine = sine * q + 2.7557319223985890653e-6;
    sine = sine * q - 1.9841269841269841270e-4;
    cosine = 4.7794773323873852974e-14;
    cosine = cosine * q - 1.1470745597729724714e-11;
    cosine = cosine * q + 2.0876756987868098979e-9;
    cosine = cosine * q - 2.7557319223985890653e-7;
    cosine = cosine * q + 2.4801587301587301587e-5;
  } else {
    sine = 2.7557319e-6f;
    sine = sine * q - 1.98412698e-4f;
    cosine = -2.7557319e-7f;
    cosine = cosine * q + 2.48015873e-5f;
  }
  sine = ((sine * q + Real(8.3333333333333333333e-3)) * q - Real(0.16666666666666666667)) * q * t + t;
  cosine =
      (((cosine * q - Real(1.3888888888888888889e-3)) * q + Real(0.041666666666666666667)) * q - Real(0.5)) * q + 1;
  const Real sine2 = 2 * sine * cosine, cosine2 = 1 - 2 * sine * sine;
  first = r * (1 - 2 * sine2 * sine2);
  second = r * (2 * sine2 * cosine2);
}

constexpr int kFilled = 512;  // normals at a time

inline void fill(Xoshiro& rng, double* out) {
  alignas(64) uint64_t bits[kFilled];
  alignas(64) double radius[kFilled / 2], angle[kFilled / 2];
  constexpr int half = kFilled / 2;
  rng.fill(bits, kFilled);
  for (int i = 0; i < half; ++i) {
    radius[i] = (static_cast<double>(static_cast<int64_t>(bits[i] >> 11)) + 0.5) * 0x1p-53;
    angle[i] = static_cast<double>(static_cast<int64_t>(bits[half + i])) * 0x1p-64;
  }
  for (int i = 0; i < half; ++i) radius[i] = std::log(radius[i]);
  for (int i = 0; i < half; ++i) turn(std::sqrt(-2 * radius[i]), angle[i], out[i], out[half + i]);
}

inline void fill(Xoshiro& rng, float* out) {
  alignas(64) uint64_t words[kFilled / 2];
  alignas(64) uint32_t bits[kFilled];
  alignas(64) float radius[kFilled / 2], angle[kFilled / 2];
  constexpr int half = kFilled / 2;
  rng.fill(words, half);
  std::memcpy(bits, words, sizeof bits);
  for (int i = 0; i < half; ++i) {
    // 31 bits, rounded to 24 of their own: the tails reach to 6.6
    radius[i] = (static_cast<float>(static_cast<int32_t>(bits[i] >> 1)) + 0.5f) * 0x1p-31f;
    angle[i] = static_cast<float>(static_cast<int32_t>(bits[half + i])) * 0x1p-32f;
  }
  for (int i = 0; i < half; ++i) radius[i] = std::log(std::min(radius[i], 1 - 0x1p-24f));
  for (int i = 0; i < half; ++i) turn(std::sqrt(-2 * radius[i]), angle[i], out[i], out[half + i]);
}

// Normals in a row, as many as are asked for.
template <class Real>
class Normals {
 public:
  Normals(uint64_t seed, int most)
      : rng_(seed), buffer_((most + kFilled - 1) / kFilled * kFilled + kFilled), at_(0), end_(0) {}

  const Real* take(int count) {
    if (end_ - at_ < count) {
      std::memmove(buffer_.data(), buffer_.data() + at_, (end_ - at_) * sizeof(Real));
      end_ -= at_;
      at_ = 0;
      for (; end_ < count; end_ += kFilled) fill(rng_, buffer_.data() + end_);
    }
    at_ += count;
    return buffer_.data() + at_ - count;
  }

  // In (0, 1].
  void uniforms(Real* out, int count) {
    for (int i = 0; i < count; i += kLanes) {
      uint64_t bits[kLanes];
      rng_.fill(bits, kLanes);
      for (int l = 0; l < std::min(kLanes, count - i); ++l) out[i + l] = Real((bits[l] >> 40) + 1) * Real(0x1p-24);
    }
  }

 private:
  Xoshiro rng_;
  std::vector<Real> buffer_;
  int at_, end_;
};

// --- vectors, where the compiler does not keep sums in registers by itself
// ---------------------------------------------

template <class Real>
struct Vector {
  typedef Real type __attribute__((vector_size(64)));
  static constexpr int kSize = 64 / sizeof(Real);

  static type load(const Real* p) {
    type v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  static void store(Real* p, type v) { std::memcpy(p, &v, sizeof v); }
};

// out[r] = first[r] + sum of w[r][i] in[i] for four rows and two vectors of columns; rows of `in` are B apart.
template <class Real>
inline void products(const Real* const w[4], const Real first[4], const Real* in, Real* out, int n, int B, int out_B) {
  using V = Vector<Real>;
  typename V::type sum[4][2];
  for (int r = 0; r < 4; ++r) sum[r][0] = sum[r][1] = first[r] - typename V::type{};
  for (int i = 0; i < n; ++i) {
    const typename V::type a = V::load(in + i * B), b = V::load(in + i * B + V::kSize);
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) {
      sum[r][0] += w[r][i] * a;
      sum[r][1] += w[r][i] * b;
    }
  }
  for (int r = 0; r < 4; ++r) {
    V::store(out + r * out_B, sum[r][0]);
    V::store(out + r * out_B + V::kSize, sum[r][1]);
  }
}

// --- potentials: row c of a block of B particles is x[c * B ...]
// ------------------------------------------------------

template <class Real>
struct Well {
  static constexpr bool kElementwise = true;
  static Real slope(Real x) { return 4 * x * (x * x - 1); }
  static Real height(Real x) { return (x * x - 1) * (x * x - 1); }
  void gradient(const Real*, Real*, int) const {}
};

template <class Real>
struct Gaussian {
  static constexpr bool kElementwise = true;
  static Real slope(Real x) { return x; }
  static Real height(Real x) { return x * x / 2; }
  void gradient(const Real*, Real*, int) const {}
};

template <class Real>
struct Rows {
  static constexpr bool kElementwise = false;
  static Real slope(Real) { return 0; }
  static Real height(Real) { return 0; }
  static constexpr int kWide = 128 / sizeof(Real);  // two vectors: the sums stay in registers
};

template <class Real>
struct MullerBrown : Rows<Real> {
  const Real* p;
  explicit MullerBrown(const Real* p) : p(p) {}
  void gradient(const Real* __restrict x, Real* __restrict g, int B) const {
    for (int j = 0; j < B; ++j) {
      Real gx = 0, gy = 0;
#pragma GCC unroll 4
      for (int k = 0; k < 4; ++k) {
        const Real A = p[6 * k], a = p[6 * k + 1], b = p[6 * k + 2], c = p[6 * k + 3];
        const Real dx = x[j] - p[6 * k + 4], dy = x[B + j] - p[6 * k + 5];
        const Real e = A * std::exp((a * dx + b * dy) * dx + c * dy * dy);
        gx += e * (2 * a * dx + b * dy);
        gy += e * (b * dx + 2 * c * dy);
      }
      g[j] = gx;
      g[B + j] = gy;
    }
  }
};

template <class Real>
struct Mixture : Rows<Real> {
  using Rows<Real>::kWide;
  const Real* p;
  explicit Mixture(const Real* p) : p(p) {}
  void gradient(const Real* __restrict x, Real* __restrict g, int B) const {  // in two dimensions
    int j = 0;
    for (; j + kWide <= B; j += kWide) tile<kWide>(x + j, x + B + j, g + j, g + B + j);
    for (; j < B; ++j) tile<1>(x + j, x + B + j, g + j, g + B + j);
  }

 private:
  template <int W>
  void tile(const Real* X, const Real* Y, Real* __restrict gx, Real* __restrict gy) const {
    const int n = static_cast<int>(p[0]);
    const Real half = p[1] / -2, *mean = p + 2;
    Real nearest[W], sum[W], ax[W], ay[W];
#pragma omp simd
    for (int l = 0; l < W; ++l) {
      nearest[l] = (X[l] - mean[0]) * (X[l] - mean[0]) + (Y[l] - mean[1]) * (Y[l] - mean[1]);
      sum[l] = ax[l] = ay[l] = 0;
    }
    for (int k = 1; k < n; ++k) {
#pragma omp simd
      for (int l = 0; l < W; ++l) {
        const Real dx = X[l] - mean[2 * k], dy = Y[l] - mean[2 * k + 1];
        nearest[l] = std::min(nearest[l], dx * dx + dy * dy);
      }
    }
    for (int k = 0; k < n; ++k) {
#pragma omp simd
      for (int l = 0; l < W; ++l) {
        const Real dx = X[l] - mean[2 * k], dy = Y[l] - mean[2 * k + 1];
        // far below, exp would leave its fast path
        const Real e = std::exp(std::max(half * (dx * dx + dy * dy - nearest[l]), Real(-80)));
        sum[l] += e;
        ax[l] += e * dx;
        ay[l] += e * dy;
      }
    }
    for (int l = 0; l < W; ++l) {
      gx[l] = p[1] * ax[l] / sum[l];
      gy[l] = p[1] * ay[l] / sum[l];
    }
  }
};

template <class Real>
struct Logistic : Rows<Real> {
  using Rows<Real>::kWide;
  const Real* p;
  int dim;
  std::vector<Real> columns;  // X transposed, for a few chains
  Logistic(const Real* p, int dim) : p(p), dim(dim), columns(static_cast<int>(p[0]) * dim) {
    const int n = static_cast<int>(p[0]);
    for (int i = 0; i < n; ++i) {
      for (int c = 0; c < dim; ++c) columns[c * n + i] = p[2 + i * dim + c];
    }
  }

  // Energy and gradient at once: the products are the work.
  void both(const Real* x, Real* g, Real* u, int B) const {
    int j = 0;
    for (; j + kWide <= B; j += kWide) tile(x + j, g + j, u + j, B);
    for (; j < B; ++j) chain(x + j, g + j, u + j, B);
  }
  void gradient(const Real* x, Real* g, int B) const {
    std::vector<Real> u(B);
    both(x, g, u.data(), B);
  }

 private:
  // One chain: vectors of observations.
  void chain(const Real* x, Real* g, Real* u, int B) const {
    const int n = static_cast<int>(p[0]);
    const Real prior = p[1], *y = p + 2 + n * dim;
    thread_local std::vector<Real> room;
    room.assign(n, 0);
    Real* __restrict z = room.data();
    for (int c = 0; c < dim; ++c) {
      const Real f = x[c * B], *X = columns.data() + c * n;
      for (int i = 0; i < n; ++i) z[i] += f * X[i];
    }
    Real total = 0;
    for (int i = 0; i < n; ++i) {
      const Real e = std::exp(-std::abs(z[i])), inverse = 1 / (1 + e);
      total += std::max(z[i], Real(0)) - std::log(inverse) - y[i] * z[i];
      z[i] = (z[i] > 0 ? inverse : e * inverse) - y[i];
    }
    for (int c = 0; c < dim; ++c) {
      const Real* X = columns.data() + c * n;
      Real sum = prior * x[c * B];
      for (int i = 0; i < n; ++i) sum += z[i] * X[i];
      g[c * B] = sum;
      total += prior * x[c * B] * x[c * B] / 2;
    }
    *u = total;
  }

  // Vectors of chains, four observations at a time.
  void tile(const Real* __restrict x, Real* __restrict g, Real* u, int B) const {
    const int n = static_cast<int>(p[0]);
    const Real prior = p[1], *X = p + 2, *y = X + n * dim;
    Real total[kWide] = {}, z[4][kWide];
    for (int c = 0; c < dim; ++c) {
      for (int l = 0; l < kWide; ++l) {
        g[c * B + l] = prior * x[c * B + l];
        total[l] += prior * x[c * B + l] * x[c * B + l] / 2;
      }
    }
    for (int i = 0; i < n; i += 4) {
      const Real* rows[4];
      Real weight[4];
      for (int r = 0; r < 4; ++r) {  // what is beyond the last row counts nothing
        rows[r] = X + std::min(i + r, n - 1) * dim;
        weight[r] = i + r < n ? 1 : 0;
      }
      const Real zeros[4] = {0, 0, 0, 0};
      products(rows, zeros, x, z[0], dim, B, kWide);
      Real product[kWide];  // one logarithm for four observations
      for (int l = 0; l < kWide; ++l) product[l] = 1;
      for (int r = 0; r < 4; ++r) {
        const Real label = y[std::min(i + r, n - 1)], w = weight[r];
#pragma omp simd
        for (int l = 0; l < kWide; ++l) {
          const Real e = std::exp(-std::abs(z[r][l])), inverse = 1 / (1 + e);
          total[l] += w * (std::max(z[r][l], Real(0)) - label * z[r][l]);
          product[l] *= 1 + w * e;
          z[r][l] = w * ((z[r][l] > 0 ? inverse : e * inverse) - label);
        }
      }
#pragma omp simd
      for (int l = 0; l < kWide; ++l) total[l] += std::log(product[l]);
      using V = Vector<Real>;
      for (int half = 0; half < kWide; half += V::kSize) {
        typename V::type r[4];
        for (int k = 0; k < 4; ++k) r[k] = V::load(z[k] + half);
        for (int c = 0; c < dim; ++c) {
          Real* to = g + c * B + half;
          V::store(to,
                   V::load(to) + ((rows[0][c] * r[0] + rows[1][c] * r[1]) + (rows[2][c] * r[2] + rows[3][c] * r[3])));
        }
      }
    }
    for (int l = 0; l < kWide; ++l) u[l] = total[l];
  }
};

template <class Real>
struct LennardJones : Rows<Real> {
  const Real* p;
  int dim;
  LennardJones(const Real* p, int dim) : p(p), dim(dim) {}
  void gradient(const Real* __restrict x, Real* __restrict g, int B) const {
    const Real wall = p[0], stiffness = p[1];
    for (int i = 0; i < dim; i += 3) {
      for (int j = 0; j < B; ++j) {
        const Real *at = x + i * B + j, a = at[0], b = at[B], c = at[2 * B], r = std::sqrt(a * a + b * b + c * c);
        const Real pull = r > wall ? stiffness * (r - wall) / r : 0;
        g[i * B + j] = pull * a;
        g[(i + 1) * B + j] = pull * b;
        g[(i + 2) * B + j] = pull * c;
      }
    }
    for (int i = 0; i < dim; i += 3) {
      for (int k = i + 3; k < dim; k += 3) {
        const Real *at = x + i * B, *other = x + k * B;
        Real *to = g + i * B, *from = g + k * B;
#pragma omp simd
        for (int j = 0; j < B; ++j) {
          const Real dx = at[j] - other[j], dy = at[B + j] - other[B + j], dz = at[2 * B + j] - other[2 * B + j];
          const Real inverse = 1 / (dx * dx + dy * dy + dz * dz), s6 = inverse * inverse * inverse;
          const Real f = 24 * (s6 - 2 * s6 * s6) * inverse;
          to[j] += f * dx;
          to[B + j] += f * dy;
          to[2 * B + j] += f * dz;
          from[j] -= f * dx;
          from[B + j] -= f * dy;
          from[2 * B + j] -= f * dz;
        }
      }
    }
  }
};

template <class Real>
struct Network : Rows<Real> {
  using Rows<Real>::kWide;
  const Real* p;
  int dim;
  Network(const Real* p, int dim) : p(p), dim(dim) {}
  void gradient(const Real* __restrict x, Real* __restrict g, int B) const {
    const int depth = static_cast<int>(p[0]);
    int widest = dim;
    for (int l = 0; l <= depth; ++l) widest = std::max(widest, static_cast<int>(p[1 + l]));
    thread_local std::vector<Real> a, b;
    a.assign(x, x + dim * B);
    a.resize(widest * B);
    b.resize(widest * B);
    const Real* w = p + 2 + depth;
    for (int l = 0; l < depth; ++l) {
      const int n_in = static_cast<int>(p[1 + l]), n_out = static_cast<int>(p[2 + l]);
      const Real* bias = w + n_in * n_out;
      for (int o = 0; o < n_out; o += 4) {  // four outputs share a load
        const int rows = std::min(4, n_out - o);
        for (int begin = 0; begin < B; begin += kWide) {
          dense(w + o * n_in, bias + o, a.data() + begin, b.data() + o * B + begin, n_in, rows,
                std::min(kWide, B - begin), B);
        }
      }
      if (l + 1 < depth) {
        for (int j = 0; j < n_out * B; ++j) b[j] /= 1 + std::exp(-b[j]);
      }
      w = bias + n_out;
      std::swap(a, b);
    }
    for (int j = 0; j < dim * B; ++j) g[j] = x[j] - a[j];
  }

 private:
  static void dense(const Real* w, const Real* bias, const Real* in, Real* out, int n_in, int rows, int columns,
                    int B) {
    if (rows == 4 && columns == kWide) {
      const Real* const w4[4] = {w, w + n_in, w + 2 * n_in, w + 3 * n_in};
      products(w4, bias, in, out, n_in, B, B);
      return;
    }
    for (int r = 0; r < rows; ++r) {
      for (int j = 0; j < columns; ++j) out[r * B + j] = bias[r];
      for (int i = 0; i < n_in; ++i) {
        for (int j = 0; j < columns; ++j) out[r * B + j] += w[r * n_in + i] * in[i * B + j];
      }
    }
  }
};

// --- a block of B particles through all the steps
// ---------------------------------------------------------------------

template <class Real, class P>
void ula(const Settings& s, const P& potential, Normals<Real>& normals, Real* __restrict x, int B, int64_t n_steps) {
  const int size = s.dim * B;
  const Real h = s.step_size, noise = std::sqrt(2 * s.kT * s.step_size);
  std::vector<Real> gradient(size);
  Real* __restrict g = gradient.data();
  for (int64_t step = 0; step < n_steps; ++step) {
    potential.gradient(x, g, B);
    const Real* __restrict xi = normals.take(size);
    for (int j = 0; j < size; ++j) x[j] += noise * xi[j] - h * (P::kElementwise ? P::slope(x[j]) : g[j]);
  }
}

template <class Real, class P>
void baoab(const Settings& s, const P& potential, Normals<Real>& normals, Real* __restrict x, Real* __restrict v, int B,
           int64_t n_steps) {
  const int size = s.dim * B;
  const Real half = s.step_size / 2, decay = std::exp(-s.friction * s.step_size);
  const Real kick = std::sqrt(s.kT * -std::expm1(-2 * s.friction * s.step_size));
  std::vector<Real> gradient(size);
  Real* __restrict g = gradient.data();
  potential.gradient(x, g, B);
  if constexpr (P::kElementwise) {
    for (int j = 0; j < size; ++j) g[j] = P::slope(x[j]);
  }
  for (int64_t step = 0; step < n_steps; ++step) {
    const Real* __restrict xi = normals.take(size);
    if constexpr (P::kElementwise) {
      for (int j = 0; j < size; ++j) {
        const Real before = v[j] - half * g[j], after = decay * before + kick * xi[j];
        x[j] += half * (before + after);
        g[j] = P::slope(x[j]);
        v[j] = after - half * g[j];
      }
    } else {
      for (int j = 0; j < size; ++j) {
        const Real before = v[j] - half * g[j];
        v[j] = decay * before + kick * xi[j];
        x[j] += half * (before + v[j]);
      }
      potential.gradient(x, g, B);
      for (int j = 0; j < size; ++j) v[j] -= half * g[j];
    }
  }
}

// The energies of elementwise potentials are summed where the proposal is made.
template <class Real, class P>
void energies(const P& potential, const Real* x, Real* g, Real* u, int B, int dim) {
  if constexpr (P::kElementwise) {
    std::fill(u, u + B, Real(0));
    for (int c = 0; c < dim; ++c) {
      for (int j = 0; j < B; ++j) {
        g[c * B + j] = P::slope(x[c * B + j]);
        u[j] += P::height(x[c * B + j]);
      }
    }
  } else {
    potential.both(x, g, u, B);
  }
}

template <class Real, class P>
void mala(const Settings& s, const P& potential, Normals<Real>& normals, Real* __restrict x, int B, int64_t n_steps) {
  const int size = s.dim * B;
  const Real h = s.step_size, noise = std::sqrt(2 * s.kT * s.step_size), over_kT = 1 / s.kT;
  std::vector<Real> room(3 * size + 5 * B);
  Real* __restrict g = room.data(), * __restrict y = g + size, * __restrict gy = y + size, * __restrict u = gy + size;
  Real* __restrict uy = u + B, * __restrict squares = uy + B, * __restrict uniform = squares + B;
  Real* __restrict accept = uniform + B;
  energies(potential, x, g, u, B, s.dim);
  for (int64_t step = 0; step < n_steps; ++step) {
    const Real* __restrict xi = normals.take(size);
    std::fill(squares, squares + B, Real(0));
    if constexpr (P::kElementwise) {
      std::fill(uy, uy + B, Real(0));
      for (int c = 0; c < s.dim; ++c) {
#pragma omp simd
        for (int j = 0; j < B; ++j) {
          const int at = c * B + j;
          const Real there = noise * xi[at], to = x[at] - h * P::slope(x[at]) + there;
          const Real back = x[at] - to + h * P::slope(to);
          y[at] = to;
          uy[j] += P::height(to);
          squares[j] += there * there - back * back;
        }
      }
    } else {
      for (int j = 0; j < size; ++j) y[j] = x[j] - h * g[j] + noise * xi[j];
      energies(potential, y, gy, uy, B, s.dim);
      for (int c = 0; c < s.dim; ++c) {
#pragma omp simd
        for (int j = 0; j < B; ++j) {
          const int at = c * B + j;
          const Real there = noise * xi[at], back = x[at] - y[at] + h * gy[at];
          squares[j] += there * there - back * back;
        }
      }
    }
    normals.uniforms(uniform, B);
#pragma omp simd
    for (int j = 0; j < B; ++j) {
      accept[j] = std::log(uniform[j]) < over_kT * (u[j] - uy[j] + squares[j] / (4 * h)) ? Real(1) : Real(0);
      u[j] = accept[j] != 0 ? uy[j] : u[j];
    }
    for (int c = 0; c < s.dim; ++c) {
#pragma omp simd
      for (int j = 0; j < B; ++j) {
        const int at = c * B + j;
        x[at] = accept[j] != 0 ? y[at] : x[at];
        if constexpr (!P::kElementwise) g[at] = accept[j] != 0 ? gy[at] : g[at];
      }
    }
  }
}

template <class Real, class P>
void blocks(const Settings& s, const P& potential, Real* x, Real* v, int64_t n, int64_t n_steps, uint64_t seed) {
  const int rows = s.potential == kNetwork ? 32 : s.dim;
  int64_t B = std::max(16, 1024 / rows / 16 * 16);
  B = std::min(B, n < 8 ? n : (n + 7) / 8 * 8);
  const int64_t count = (n + B - 1) / B;
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t block = 0; block < count; ++block) {
    const int64_t begin = block * B, size = s.dim * B;
    std::vector<Real> here(2 * size);
    Real *hx = here.data(), *hv = hx + size;
    for (int c = 0; c < s.dim; ++c) {
      for (int64_t j = 0; j < B; ++j) {  // what is left over is filled up with copies
        hx[c * B + j] = x[c * n + std::min(begin + j, n - 1)];
        hv[c * B + j] = v[c * n + std::min(begin + j, n - 1)];
      }
    }
    Normals<Real> normals(seed + 0x632be59bd9b4e019u * block, static_cast<int>(size));
    if (s.scheme == kUla) {
      ula(s, potential, normals, hx, static_cast<int>(B), n_steps);
    } else if (s.scheme == kBaoab) {
      baoab(s, potential, normals, hx, hv, static_cast<int>(B), n_steps);
    } else if constexpr (P::kElementwise || std::is_same_v<P, Logistic<Real>>) {
      mala(s, potential, normals, hx, static_cast<int>(B), n_steps);
    }
    for (int c = 0; c < s.dim; ++c) {
      const int64_t used = std::min(B, n - begin);
      std::copy(hx + c * B, hx + c * B + used, x + c * n + begin);
      std::copy(hv + c * B, hv + c * B + used, v + c * n + begin);
    }
  }
}

template <class Real>
void run(const Settings& s, const Real* p, Real* x, Real* v, int64_t n, int64_t n_steps, uint64_t seed) {
  if (s.scheme == kNormals) {  // n is a multiple of kFilled
    Xoshiro rng(seed);
    for (int64_t step = 0; step < n_steps; ++step) {
      for (int64_t i = 0; i < n; i += kFilled) fill(rng, x + i);
    }
    return;
  }
  switch (s.potential) {
    case kWell:
      return blocks(s, Well<Real>{}, x, v, n, n_steps, seed);
    case kMullerBrown:
      return blocks(s, MullerBrown<Real>(p), x, v, n, n_steps, seed);
    case kGaussian:
      return blocks(s, Gaussian<Real>{}, x, v, n, n_steps, seed);
    case kMixture:
      return blocks(s, Mixture<Real>(p), x, v, n, n_steps, seed);
    case kLogistic:
      return blocks(s, Logistic<Real>(p, s.dim), x, v, n, n_steps, seed);
    case kLennardJones:
      return blocks(s, LennardJones<Real>(p, s.dim), x, v, n, n_steps, seed);
    case kNetwork:
      return blocks(s, Network<Real>(p, s.dim), x, v, n, n_steps, seed);
  }
}

}  // namespace

extern "C" {

void run_double(const Settings* s, const double* p, double* x, double* v, int64_t n, int64_t n_steps, uint64_t seed) {
  run<double>(*s, p, x, v, n, n_steps, seed);
}

void run_single(const Settings* s, const float* p, float* x, float* v, int64_t n, int64_t n_steps, uint64_t seed) {
  run<float>(*s, p, x, v, n, n_steps, seed);
}
}
