"""Runs on the disk: exact restarts."""

from .container import path_of
from .contents import Contents, differences_of_runs, unpacked
from .frames_file import FramesFile
from .keeping import Interval, Keeper, save
from .locks import Lock

__all__ = ["Contents", "FramesFile", "Interval", "Keeper", "Lock", "differences_of_runs", "path_of", "save", "unpacked"]
