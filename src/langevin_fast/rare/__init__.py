"""Rare events: rates and paths from A to B that plain runs would wait for too long."""

from .forward_flux import ForwardFlux, ForwardFluxResult, Stage
from .walkers import Path
from .weighted_ensemble import WeightedEnsemble, WeightedEnsembleResult

__all__ = ["ForwardFlux", "ForwardFluxResult", "Path", "Stage", "WeightedEnsemble", "WeightedEnsembleResult"]
