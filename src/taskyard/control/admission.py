"""How many workspaces may run at once: on a server, of an organization, of a user."""

import os
from pathlib import Path

from taskyard.config import Settings
from taskyard.db.jobs import Limits
from taskyard.errors import Invalid

BYTES_PER_WORKSPACE = 64 * 1024 * 1024
"""Memory of an idle workspace: agent, bridge and shell take 45 MB together, the rest is the system's."""

WORKSPACES_PER_CORE = 100
"""Idle ones cost a core nothing but heartbeats; more of them than this, and one burst of work slows all the others."""

MOST_RUNNING = 500
"""More than this on one server is decided by a person, not by arithmetic."""

MOST_LIMIT = 1_000_000
"""The highest limit of a user or an organization: more than any database of ours has workspaces."""

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's memory limit stands, by cgroup version 2 and 1."""


def max_running(settings: Settings) -> int:
    """How many workspaces may run at once: the setting, else as many as memory and cores are good for."""
    if settings.max_running is not None:
        return settings.max_running
    cores = len(os.sched_getaffinity(0))
    return min(workspaces_in(memory_bytes()), cores * WORKSPACES_PER_CORE)


def limits(settings: Settings) -> Limits:
    """How many workspaces users and organizations may have running that have no limit of their own."""
    return Limits(settings.max_running_per_user, settings.max_running_per_organization)


def check_limit(most: int | None) -> None:
    """Nothing for a limit that somebody may have, 0 for none of their own. Raises Invalid."""
    if most is not None and not 0 <= most <= MOST_LIMIT:
        problem = f"give 1 to {MOST_LIMIT}, or 0 for no limit of its own"
        raise Invalid("A field is not valid.", [("max_running", problem)])


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
