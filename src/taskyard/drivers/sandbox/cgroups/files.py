"""Reading and writing the kernel's small files of control groups."""

import os
from collections.abc import Iterable
from pathlib import Path

from taskyard.drivers.sandbox.cgroups.model import Write

CPU_PERIOD_US = 100_000
"""The time over which processor time is shared out: the kernel's own default, short enough not to be felt."""
NO_LIMIT = 1 << 60
"""The first kind writes no limit as almost 2**63 bytes; no machine has an exbibyte."""
_LEAST_QUOTA_US = 1000
"""The kernel refuses less than a millisecond."""


def quota_us(cores: float) -> int:
    """Processor time of one period for so many cores."""
    return max(_LEAST_QUOTA_US, round(cores * CPU_PERIOD_US))


def carry_out(writes: Iterable[Write]) -> None:
    """Nothing; each text was taken, in order. Raises OSError for one that was not."""
    for write in writes:
        try:
            # Never makes the file, and never reads it: cgroup.kill can only be written.
            handle = os.open(write.file, os.O_WRONLY | os.O_TRUNC)
        except FileNotFoundError:
            if write.optional:
                continue
            raise
        try:
            os.write(handle, write.text.encode())
        finally:
            os.close(handle)


def read_number(file: Path) -> int | None:
    """The number that the file holds; None for a word (`max`), and when the file is gone."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def refused_forks(pids: Path) -> int:
    """How often no process came to be because the group, or one in it (runc makes one), was full; 0 for never.

    Which of them counts depends on the kernel, so all do.
    """
    files = [pids / "pids.events", *pids.glob("*/pids.events")]
    return sum(count(file, "max") for file in files)


def count(file: Path, name: str) -> int:
    """The number behind a name, in a file of such lines; 0 when the file or the name is not there."""
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.split()[:1] == [name]), 0)
