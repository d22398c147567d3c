"""Potentials: the built-in ones, one file and one C++ header each, and those that users bring."""

from __future__ import annotations

from .base import Potential
from .batch import Batch
from .c_function import CFunction
from .compiled import CompiledPotential
from .custom import Custom
from .double_well import DoubleWell
from .expression import Expression
from .free import Free
from .from_library import from_jax, from_torch
from .gaussian import Gaussian
from .gaussian_mixture import GaussianMixture
from .harmonic import Harmonic
from .hybrid_rosenbrock import HybridRosenbrock
from .lennard_jones_cluster import LennardJonesCluster
from .logistic_regression import LogisticRegression
from .muller_brown import MullerBrown
from .neal_funnel import NealFunnel
from .prinz import Prinz
from .ring import Ring
from .rosenbrock import Rosenbrock
from .sum import Sum
from .tabulated import Tabulated

# the order of cpp/potentials/list.hpp
BUILTIN: tuple[type[CompiledPotential], ...] = (
    Free,
    Harmonic,
    Gaussian,
    DoubleWell,
    Prinz,
    MullerBrown,
    Rosenbrock,
    HybridRosenbrock,
    NealFunnel,
    GaussianMixture,
    Ring,
    LennardJonesCluster,
    LogisticRegression,
    Tabulated,
)

__all__ = [
    "BUILTIN",
    "Batch",
    "CFunction",
    "CompiledPotential",
    "Custom",
    "DoubleWell",
    "Expression",
    "Free",
    "Gaussian",
    "GaussianMixture",
    "Harmonic",
    "HybridRosenbrock",
    "LennardJonesCluster",
    "LogisticRegression",
    "MullerBrown",
    "NealFunnel",
    "Potential",
    "Prinz",
    "Ring",
    "Rosenbrock",
    "Sum",
    "Tabulated",
    "from_jax",
    "from_torch",
]
