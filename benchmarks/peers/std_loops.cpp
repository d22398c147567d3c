// C++ as most people write it: a particle at a time, std::mt19937_64 and std::normal_distribution.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

enum Potential { kWell, kMullerBrown, kGaussian, kMixture, kLogistic, kLennardJones, kNetwork };
enum Scheme { kUla, kBaoab, kMala, kNormals };

struct Settings {
  int32_t potential, scheme, dim, threads;
  double step_size, kT, friction;
};

template <class Real>
struct Model {
  int potential, dim;
  const Real* p;
  mutable std::vector<Real> a, b;  // layers of the network

  Real energy(const Real* x) const {
    Real u = 0;
    if (potential == kGaussian) {
      for (int c = 0; c < dim; ++c) u += x[c] * x[c];
      return u / 2;
    }
    const int n = static_cast<int>(p[0]);
    const Real *X = p + 2, *y = X + n * dim;
    for (int i = 0; i < n; ++i) {
      Real z = 0;
      for (int c = 0; c < dim; ++c) z += X[i * dim + c] * x[c];
      u += std::max(z, Real(0)) + std::log1p(std::exp(-std::abs(z))) - y[i] * z;
    }
    for (int c = 0; c < dim; ++c) u += p[1] * x[c] * x[c] / 2;
    return u;
  }

  void gradient(const Real* x, Real* g) const {
    switch (potential) {
      case kWell:
        g[0] = 4 * x[0] * (x[0] * x[0] - 1);
        break;
      case kMullerBrown:
        g[0] = g[1] = 0;
        for (int k = 0; k < 4; ++k) {
          const Real* t = p + 6 * k;
          const Real dx = x[0] - t[4], dy = x[1] - t[5];
          const Real e = t[0] * std::exp(t[1] * dx * dx + t[2] * dx * dy + t[3] * dy * dy);
          g[0] += e * (2 * t[1] * dx + t[2] * dy);
          g[1] += e * (t[2] * dx + 2 * t[3] * dy);
        }
        break;
      case kGaussian:
        for (int c = 0; c < dim; ++c) g[c] = x[c];
        break;
      case kMixture: {
        const int n = static_cast<int>(p[0]);
        Real sum = 0, largest = 0, exponents[64];
        for (int k = 0; k < n; ++k) {
          Real square = 0;
          for (int c = 0; c < dim; ++c) square += (x[c] - p[2 + k * dim + c]) * (x[c] - p[2 + k * dim + c]);
          exponents[k] = -p[1] * square / 2;
          largest = k ? std::max(largest, exponents[k]) : exponents[k];
        }
        for (int c = 0; c < dim; ++c) g[c] = 0;
        for (int k = 0; k < n; ++k) {
          const Real e = std::exp(exponents[k] - largest);
          sum += e;
          for (int c = 0; c < dim; ++c) g[c] += e * (x[c] - p[2 + k * dim + c]);
        }
        for (int c = 0; c < dim; ++c) g[c] *= p[1] / sum;
        break;
      }
      case kLogistic: {
        const int n = static_cast<int>(p[0]);
        const Real *X = p + 2, *y = X + n * dim;
        for (int c = 0; c < dim; ++c) g[c] = p[1] * x[c];
        for (int i = 0; i < n; ++i) {
          Real z = 0;
          for (int c = 0; c < dim; ++c) z += X[i * dim + c] * x[c];
          const Real r = 1 / (1 + std::exp(-z)) - y[i];
          for (int c = 0; c < dim; ++c) g[c] += r * X[i * dim + c];
        }
        break;
      }
      case kLennardJones:
        for (int i = 0; i < dim; i += 3) {
          const Real r = std::sqrt(x[i] * x[i] + x[i + 1] * x[i + 1] + x[i + 2] * x[i + 2]);
          for (int c = 0; c < 3; ++c) g[i + c] = r > p[0] ? p[1] * (r - p[0]) * x[i + c] / r : 0;
        }
        for (int i = 0; i < dim; i += 3) {
          for (int j = i + 3; j < dim; j += 3) {
            Real d[3], square = 0;
            for (int c = 0; c < 3; ++c) {
              d[c] = x[i + c] - x[j + c];
              square += d[c] * d[c];
            }
            const Real inverse = 1 / square, s6 = inverse * inverse * inverse;
            const Real f = 24 * (s6 - 2 * s6 * s6) * inverse;
            for (int c = 0; c < 3; ++c) {
              g[i + c] += f * d[c];
              g[j + c] -= f * d[c];
            }
          }
        }
        break;
      case kNetwork: {
        const int depth = static_cast<int>(p[0]);
        const Real* w = p + 2 + depth;
        a.assign(x, x + dim);
        for (int l = 0; l < depth; ++l) {
          const int n_in = static_cast<int>(p[1 + l]), n_out = static_cast<int>(p[2 + l]);
          const Real* bias = w + n_in * n_out;
          b.assign(bias, bias + n_out);
          for (int o = 0; o < n_out; ++o) {
            for (int i = 0; i < n_in; ++i) b[o] += w[o * n_in + i] * a[i];
            if (l + 1 < depth) b[o] /= 1 + std::exp(-b[o]);
          }
          w = bias + n_out;
          std::swap(a, b);
        }
        for (int c = 0; c < dim; ++c) g[c] = x[c] - a[c];
        break;
      }
    }
  }
};

template <class Real>
void particle(const Settings& s, const Model<Real>& model, std::mt19937_64& engine, Real* x, Real* v, int64_t n_steps) {
  std::normal_distribution<Real> normal;
  std::uniform_real_distribution<Real> uniform;
  const int dim = s.dim;
  const Real h = s.step_size, noise = std::sqrt(2 * s.kT * s.step_size);
  const Real decay = std::exp(-s.friction * s.step_size), kick = std::sqrt(s.kT * -std::expm1(-2 * s.friction * h));
  std::vector<Real> g(dim), y(dim), gy(dim);
  model.gradient(x, g.data());
  Real u = s.scheme == kMala ? model.energy(x) : 0;
  for (int64_t step = 0; step < n_steps; ++step) {
    if (s.scheme == kUla) {
      for (int c = 0; c < dim; ++c) x[c] += noise * normal(engine) - h * g[c];
      model.gradient(x, g.data());
    } else if (s.scheme == kBaoab) {
      for (int c = 0; c < dim; ++c) {
        v[c] -= h / 2 * g[c];
        x[c] += h / 2 * v[c];
        v[c] = decay * v[c] + kick * normal(engine);
        x[c] += h / 2 * v[c];
      }
      model.gradient(x, g.data());
      for (int c = 0; c < dim; ++c) v[c] -= h / 2 * g[c];
    } else {
      Real squares = 0, back = 0;
      for (int c = 0; c < dim; ++c) {
        const Real xi = noise * normal(engine);
        y[c] = x[c] - h * g[c] + xi;
        squares += xi * xi;
      }
      const Real uy = model.energy(y.data());
      model.gradient(y.data(), gy.data());
      for (int c = 0; c < dim; ++c) {
        const Real d = x[c] - y[c] + h * gy[c];
        back += d * d;
      }
      const Real ratio = (u - uy + (squares - back) / (4 * h)) / Real(s.kT);
      if (std::log(1 - uniform(engine)) < ratio) {
        std::copy(y.begin(), y.end(), x);
        std::swap(g, gy);
        u = uy;
      }
    }
  }
}

template <class Real>
void run(const Settings& s, const Real* parameters, Real* x, Real* v, int64_t n, int64_t n_steps, uint64_t seed) {
  if (s.scheme == kNormals) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<Real> normal;
    for (int64_t step = 0; step < n_steps; ++step) {
      for (int64_t i = 0; i < n; ++i) x[i] = normal(engine);
    }
    return;
  }
  constexpr int64_t kBlock = 64;  // an engine for so many particles: seeding costs as much as 300 numbers
#pragma omp parallel for schedule(static) num_threads(s.threads)
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const Model<Real> model{s.potential, s.dim, parameters, {}, {}};
    std::mt19937_64 engine(seed + begin);
    for (int64_t i = begin; i < std::min(n, begin + kBlock); ++i) {
      particle(s, model, engine, x + i * s.dim, v + i * s.dim, n_steps);
    }
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
