"""Fixtures that several test files share."""

from __future__ import annotations

import pytest

from langevin_fast import _core

LEVELS = [level["name"] for level in _core.isa_levels() if level["supported"]]


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
