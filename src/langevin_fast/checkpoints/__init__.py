"""Runs on the disk: exact restarts."""

from .container import flush_directory, path_of, replacing, write
from .contents import Contents, differences_of_runs, identities_of, packed, unpacked
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
    "packed",
    "path_of",
    "replacing",
    "save",
    "uninterrupted",
    "unpacked",
    "write",
]
