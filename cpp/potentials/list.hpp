// Every built-in potential, one line each, in the order of BUILTIN in langevin_fast/potentials (a test compares them).
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
  X(LogisticRegression)  \
  X(Tabulated)

// Those whose functions come by address (external.hpp).
#define LF_EXTERNAL_POTENTIALS(X) X(GroupFunctions) X(PointFunctions)

// Those that Python classes outside langevin_fast.potentials are made of.
#define LF_OTHER_POTENTIALS(X) X(NetworkPotential)
