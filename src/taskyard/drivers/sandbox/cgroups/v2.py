"""Control groups of the second kind: one tree for all controllers, with kill and freeze in its core."""

from collections.abc import Iterator

from taskyard.drivers.base import Limits
from taskyard.drivers.sandbox.cgroups.files import (
    CPU_PERIOD_US,
    NO_LIMIT,
    count,
    quota_us,
    read_number,
    refused_forks,
)
from taskyard.drivers.sandbox.cgroups.model import Can, Made, Usage, Write

CONTROLLERS = {"memory": Can.MEMORY, "cpu": Can.CPU, "pids": Can.PROCESSES}
"""The controllers that are used, and what each gives."""


def limit_writes(made: Made, limits: Limits) -> Iterator[Write]:
    """What is written for the limits that are set.

    memory.oom.group stays 0: the kernel ends the one process that is largest, so that a compiler which takes too
    much gives the coding agent an error instead of ending everything.
    """
    memory, cpu, pids = (made.folder(can) for can in (Can.MEMORY, Can.CPU, Can.PROCESSES))
    if limits.memory_bytes is not None and memory is not None:
        yield Write(memory / "memory.max", str(limits.memory_bytes))
        yield Write(memory / "memory.swap.max", "0", optional=True)
        yield Write(memory / "memory.oom.group", "0", optional=True)
    if limits.cpu is not None and cpu is not None:
        yield Write(cpu / "cpu.max", f"{quota_us(limits.cpu)} {CPU_PERIOD_US}")
    if limits.processes is not None and pids is not None:
        yield Write(pids / "pids.max", str(limits.processes))


def usage(made: Made) -> Usage:
    """What the group has counted."""
    memory, cpu, pids = (made.folder(can) for can in (Can.MEMORY, Can.CPU, Can.PROCESSES))
    return Usage(
        memory_bytes=None if memory is None else read_number(memory / "memory.current"),
        cpu_s=None if cpu is None else count(cpu / "cpu.stat", "usage_usec") / 1e6,
        processes=None if pids is None else read_number(pids / "pids.current"),
        memory_kills=0 if memory is None else count(memory / "memory.events", "oom_kill"),
        refused_forks=0 if pids is None else refused_forks(pids),
    )


def memory_limit(made: Made) -> int | None:
    """Bytes that the group may use; None for no limit."""
    memory = made.folder(Can.MEMORY)
    limit = None if memory is None else read_number(memory / "memory.max")
    return limit if limit is not None and limit < NO_LIMIT else None
