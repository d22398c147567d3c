// Every built-in potential, one line each. The position is its number in langevin_fast/potentials (checked at import).
#define LF_POTENTIALS(X) \
  X(Free)                \
  X(Harmonic)            \
  X(Gaussian)            \
  X(DoubleWell)          \
  X(Prinz)               \
  X(MullerBrown)         \
  X(Rosenbrock)          \
  X(HybridRosenbrock)    \
  X(NealFunnel)          \
  X(GaussianMixture)     \
  X(Ring)                \
  X(LennardJonesCluster) \
  X(LogisticRegression)
