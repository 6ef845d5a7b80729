"""How many workspaces may run at once when nobody said."""

import os
from pathlib import Path

from taskyard.config import Settings

BYTES_PER_WORKSPACE = 64 * 1024 * 1024
"""Memory of an idle workspace: agent, bridge and shell take 45 MB together, the rest is the system's."""

MOST_RUNNING = 500
"""More than this on one server is decided by a person, not by arithmetic."""

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's memory limit stands, by cgroup version 2 and 1."""


def max_running(settings: Settings) -> int:
    """How many workspaces may run at once: the setting, else as many as memory is good for."""
    if settings.max_running is not None:
        return settings.max_running
    return workspaces_in(memory_bytes())


def workspaces_in(size_bytes: int) -> int:
    """How many idle workspaces fit into so much memory: at least 1, at most MOST_RUNNING."""
    return max(1, min(MOST_RUNNING, size_bytes // BYTES_PER_WORKSPACE))


def memory_bytes() -> int:
    """The memory of this machine or, where that is less, of the container around this process."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(machine, *(_limit(path, machine) for path in CGROUP_LIMITS))


def _limit(path: Path, default: int) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return default
