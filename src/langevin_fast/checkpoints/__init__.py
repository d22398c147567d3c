"""Runs on the disk: exact restarts."""

from .container import flush_directory, path_of, replacing
from .contents import Contents, differences_of_runs, identity_of, unpacked
from .frames_file import FramesFile
from .keeping import FAR, Interval, Keeper, save
from .locks import Lock

__all__ = [
    "FAR",
    "Contents",
    "FramesFile",
    "Interval",
    "Keeper",
    "Lock",
    "differences_of_runs",
    "flush_directory",
    "identity_of",
    "path_of",
    "replacing",
    "save",
    "unpacked",
]
