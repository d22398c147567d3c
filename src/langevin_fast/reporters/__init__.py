"""What is told of a run while it goes on: frames and logs on the disk, functions that are called."""

from .base import Reporter
from .callback import Callback
from .h5md import export_h5md
from .log import StateLog
from .reporting import Reporting
from .stored import StoredRun, open_run
from .zarr import Zarr

__all__ = ["Callback", "Reporter", "Reporting", "StateLog", "StoredRun", "Zarr", "export_h5md", "open_run"]
