"""Control groups of tests: those that root hands over, and those that are left when a folder is taken away."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from taskyard.drivers.sandbox.cgroups.groups import find_cgroups
from tests.waiting import until

TREES = ("memory", "cpu", "cpuacct", "pids", "freezer")


def can_hand_over() -> bool:
    """Whether this is root, on a kernel with control groups of the first kind."""
    return os.geteuid() == 0 and Path("/sys/fs/cgroup/memory").exists()


@contextmanager
def own_groups() -> Iterator[list[Path]]:
    """A group in each tree below that of this process, as a login session or a service is."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = {
        tree: path
        for _, trees, path in (line.split(":", 2) for line in lines)
        for tree in trees.split(",")
    }
    above = [Path("/sys/fs/cgroup", tree, own[tree].lstrip("/")) for tree in TREES]
    groups = [folder / f"ty-user-{os.getpid()}" for folder in above]
    for group in groups:
        group.mkdir()
    try:
        yield groups
    finally:
        for group in groups:
            # What was handed over stays when its server ends.
            for folder in (*(group / "taskyard").glob("*/"), group / "taskyard", group):
                until("an empty group", partial(_gone, folder))


def _gone(group: Path) -> bool | None:
    try:
        group.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return None
    return True


def drop_groups(root: Path) -> None:
    """Nothing; no workspace that was in root has a control group any more. A process in one of them fails the test."""
    found = find_cgroups(root)
    found.sweep()
    bases = [base.folder for base in found.found.bases]
    left = [str(folder) for base in bases if base.is_dir() for folder in base.glob("*/")]
    assert left == [], f"processes are left in {left}"
