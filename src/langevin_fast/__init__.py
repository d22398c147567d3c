"""Fast, exactly reproducible Langevin dynamics."""

from . import config as _config
from . import distributed, fokker_planck, math, observers, potentials, rare, regions, reporters, score
from ._version import __version__
from .backends import explain_backend
from .boundaries import Periodic, Reflecting
from .config import show_config
from .cross_check import CrossCheck, cross_check
from .errors import AuditError, BackendUnavailableError, CheckpointError, DivergenceError, Interrupted
from .noise import noise
from .reporters import export_h5md
from .reporters import open_run as open
from .sampling import sample
from .schedules import Schedule
from .schemes import BAOAB, MALA, ULA, LeimkuhlerMatthews, Scheme, Splitting, TamedULA
from .simulation import Simulation
from .trajectory import Trajectory

_config.apply_environment()

__all__ = [
    "BAOAB",
    "MALA",
    "ULA",
    "AuditError",
    "BackendUnavailableError",
    "CheckpointError",
    "CrossCheck",
    "DivergenceError",
    "Interrupted",
    "LeimkuhlerMatthews",
    "Periodic",
    "Reflecting",
    "Schedule",
    "Scheme",
    "Simulation",
    "Splitting",
    "TamedULA",
    "Trajectory",
    "__version__",
    "cross_check",
    "distributed",
    "explain_backend",
    "export_h5md",
    "fokker_planck",
    "math",
    "noise",
    "observers",
    "open",
    "potentials",
    "rare",
    "regions",
    "reporters",
    "sample",
    "score",
    "show_config",
]
