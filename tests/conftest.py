"""Fixtures that several test files share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Threads that wait by spinning make runs of a few microseconds take milliseconds where processors are shared. To be set
# before the extension, and with it the OpenMP library, is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from cases import LEVELS

from langevin_fast import _core
from langevin_fast.backends import cpp


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Several processes for whole folders; a few tests alone start faster in this one."""
    few = config.option.keyword or not any(Path(argument).is_dir() for argument in config.args)
    return 0 if few else min(len(os.sched_getaffinity(0)), 8)


@pytest.fixture(params=LEVELS)
def isa(request):
    """Each instruction-set level of this machine in turn; the one that was in use comes back afterwards."""
    before = _core.isa()
    _core.use_isa(request.param)
    yield request.param
    _core.use_isa(before)


@pytest.fixture
def use_isa():
    """A function that changes the level within a test; undone afterwards."""
    before = _core.isa()
    yield _core.use_isa
    _core.use_isa(before)


@pytest.fixture(autouse=True)
def parallel_however_short(monkeypatch):
    """Short runs would stay on one thread; the tests are short and want to see the others at work."""
    monkeypatch.setattr(cpp, "_SERIAL_SECONDS", -1.0)
