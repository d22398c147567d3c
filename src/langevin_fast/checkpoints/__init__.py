"""Runs on the disk: exact restarts."""

from .container import flush_directory, path_of, replacing
from .contents import Contents, differences_of_runs, identities_of, unpacked
from .frames_file import FramesFile
from .keeping import FAR, Interval, Keeper, save
from .locks import Lock
from .signals import uninterrupted

__all__ = [
    "FAR",
    "Contents",
    "FramesFile",
    "Interval",
    "Keeper",
    "Lock",
    "differences_of_runs",
    "flush_directory",
    "identities_of",
    "path_of",
    "replacing",
    "save",
    "uninterrupted",
    "unpacked",
]
