"""Control groups of the first kind: each controller is a tree of its own; beside them one of the second kind.

That second tree holds no controller on such a machine, but freezes and kills.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

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

TREES: Sequence[tuple[str, tuple[Can, ...]]] = (
    ("memory", (Can.MEMORY,)),
    ("cpu", (Can.CPU,)),
    ("cpuacct", ()),
    ("pids", (Can.PROCESSES,)),
    ("", (Can.FREEZE, Can.KILL)),
    ("freezer", (Can.FREEZE,)),
)
"""The trees that are used, and what each gives; one that comes later gives only what none before it gave.

cpuacct only counts. The tree without a name is the one of the second kind: a killed process goes although it is
frozen there; in the freezer it stays.
"""


def limit_writes(made: Made, limits: Limits) -> Iterator[Write]:
    """What is written for the limits that are set, in order: memory before memory with swap, which may not be less."""
    memory, cpu, pids = (made.folder(can) for can in (Can.MEMORY, Can.CPU, Can.PROCESSES))
    if limits.memory_bytes is not None and memory is not None:
        text = str(limits.memory_bytes)
        yield Write(memory / "memory.limit_in_bytes", text)
        yield Write(memory / "memory.memsw.limit_in_bytes", text, optional=True)
    if limits.cpu is not None and cpu is not None:
        yield Write(cpu / "cpu.cfs_period_us", str(CPU_PERIOD_US))
        yield Write(cpu / "cpu.cfs_quota_us", str(quota_us(limits.cpu)))
    if limits.processes is not None and pids is not None:
        yield Write(pids / "pids.max", str(limits.processes))


def usage(made: Made) -> Usage:
    """What the groups have counted."""
    memory, pids = made.folder(Can.MEMORY), made.folder(Can.PROCESSES)
    counted = next((folder for folder in made.folders if (folder / "cpuacct.usage").exists()), None)
    spent = None if counted is None else read_number(counted / "cpuacct.usage")
    return Usage(
        memory_bytes=None if memory is None else read_number(memory / "memory.usage_in_bytes"),
        cpu_s=None if spent is None else spent / 1e9,
        processes=None if pids is None else read_number(pids / "pids.current"),
        memory_kills=0 if memory is None else _kills(memory),
        refused_forks=0 if pids is None else refused_forks(pids),
    )


def _kills(memory: Path) -> int:
    """Each group counts its own, so those of groups in it (runc makes one) are added."""
    own = count(memory / "memory.oom_control", "oom_kill")
    return own + sum(_kills(path.parent) for path in memory.glob("*/memory.oom_control"))


def memory_limit(made: Made) -> int | None:
    """Bytes that the group may use; None for no limit."""
    memory = made.folder(Can.MEMORY)
    limit = None if memory is None else read_number(memory / "memory.limit_in_bytes")
    return limit if limit is not None and limit < NO_LIMIT else None
