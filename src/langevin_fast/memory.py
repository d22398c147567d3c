"""How much memory is there, so that too large an allocation can be refused before it is tried."""

from __future__ import annotations

import os
from pathlib import Path

# Asking the system takes longer than a short run.
_ALWAYS_THERE = 2**22


def check_memory(
    n_bytes: int,
    what: str,
    advice: str = 'use fewer particles or steps, a larger stride, stride=None, or precision="single"',
) -> None:
    """Raise MemoryError where `what` does not fit: many systems grant any allocation and kill the process later."""
    if n_bytes < _ALWAYS_THERE:
        return
    available = available_memory()
    if available is not None and n_bytes > available:
        raise MemoryError(
            f"{what} would take {n_bytes / 2**30:.3g} GiB, but {available / 2**30:.3g} GiB of memory are available; "
            + advice
        )


def available_memory() -> int | None:
    """Bytes that can still be allocated, or None where the system does not say."""
    limits = [limit for limit in (_from_meminfo(), _from_control_group()) if limit is not None]
    if limits:
        return min(limits)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def _from_meminfo() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _from_control_group() -> int | None:
    """The limit of a container or batch system (cgroup version 2)."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no such file, or the limit is "max"
        return None
