"""What looks at a simulation while it runs."""

from .acceptance import Acceptance
from .averages import Expectation, Moments, Temperature
from .base import Observer, Run
from .correlations import Autocorrelation, MeanSquaredDisplacement
from .frames import Frames
from .histogram import Histogram
from .passages import FirstPassage, Transitions, Trigger
from .watching import Watching
from .work import Work

__all__ = [
    "Acceptance",
    "Autocorrelation",
    "Expectation",
    "FirstPassage",
    "Frames",
    "Histogram",
    "MeanSquaredDisplacement",
    "Moments",
    "Observer",
    "Run",
    "Temperature",
    "Transitions",
    "Trigger",
    "Watching",
    "Work",
]
