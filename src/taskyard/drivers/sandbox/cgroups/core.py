"""Freezing and killing a group: by the core of the second kind, or by the first kind's freezer."""

from pathlib import Path

from taskyard.drivers.sandbox.cgroups.files import count
from taskyard.drivers.sandbox.cgroups.model import Write

_FREEZER = "freezer.state"
"""The file that only groups of the first kind's freezer have."""


def freeze_write(folder: Path, *, frozen: bool) -> Write:
    """What stops, or continues, every process of the group."""
    if (folder / _FREEZER).exists():
        return Write(folder / _FREEZER, "FROZEN" if frozen else "THAWED")
    return Write(folder / "cgroup.freeze", "1" if frozen else "0")


def is_frozen(folder: Path) -> bool:
    """Whether every process stands still; the freezer says FREEZING as long as some do not."""
    if (folder / _FREEZER).exists():
        return (folder / _FREEZER).read_text().strip() == "FROZEN"
    return count(folder / "cgroup.events", "frozen") == 1


def kill_write(folder: Path) -> Write:
    """What ends every process of the group and of those below it at once, forks under way included."""
    return Write(folder / "cgroup.kill", "1")
