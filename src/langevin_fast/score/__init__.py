"""Scores, s(x) = grad log p(x): estimated from data, judged by score matching, sampled by annealed dynamics."""

from .annealed import Annealed, annealed_langevin, geometric_levels
from .diffusion import Schedule, VarianceExploding, VariancePreserving, diffuse, reverse
from .functions import Score
from .kernel_density import KernelDensity
from .linear_models import ExponentialFamily, GaussianModel, fourier_model, rbf_model
from .network import ScoreNetwork
from .network_potential import NetworkPotential
from .objectives import Estimate, denoise, denoising, explicit, implicit, sliced
from .training import fit_network

__all__ = [
    "Annealed",
    "Estimate",
    "ExponentialFamily",
    "GaussianModel",
    "KernelDensity",
    "NetworkPotential",
    "Schedule",
    "Score",
    "ScoreNetwork",
    "VarianceExploding",
    "VariancePreserving",
    "annealed_langevin",
    "denoise",
    "denoising",
    "diffuse",
    "explicit",
    "fit_network",
    "fourier_model",
    "geometric_levels",
    "implicit",
    "rbf_model",
    "reverse",
    "sliced",
]
