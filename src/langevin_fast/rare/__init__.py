"""Rare events: rates, paths and free energies that plain runs would wait for too long."""

from .bias import Bias
from .forward_flux import ForwardFlux, ForwardFluxResult, Stage
from .hills import MetadynamicsResult
from .metadynamics import Metadynamics
from .profile import Profile
from .umbrella import Umbrella, UmbrellaResult
from .walkers import Path
from .weighted_ensemble import WeightedEnsemble, WeightedEnsembleResult

__all__ = [
    "Bias",
    "ForwardFlux",
    "ForwardFluxResult",
    "Metadynamics",
    "MetadynamicsResult",
    "Path",
    "Profile",
    "Stage",
    "Umbrella",
    "UmbrellaResult",
    "WeightedEnsemble",
    "WeightedEnsembleResult",
]
