"""The density of Langevin dynamics on a grid: what every sampler should agree with.

:class:`Overdamped` solves the Fokker-Planck equation in one and two dimensions, :class:`KleinKramers` the one with
velocities in one dimension. Needs SciPy (extra ``fokker-planck``).
"""

from .comparison import Comparison
from .klein_kramers import KleinKramers
from .overdamped import Overdamped, Relaxation

__all__ = ["Comparison", "KleinKramers", "Overdamped", "Relaxation"]
