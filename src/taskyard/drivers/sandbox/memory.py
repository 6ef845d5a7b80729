"""What the kernel did to a workspace at its limits, in words for its owner: who was ended for memory, who never began."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from taskyard.drivers.sandbox.cgroups.files import read_number
from taskyard.drivers.sandbox.cgroups.groups import Cgroups
from taskyard.drivers.sandbox.cgroups.model import Can

_KERNEL_LOG = Path("/dev/kmsg")
_RECORD_BYTES = 8192
"""A record of the kernel's log is shorter; one that is not is refused whole."""
_MOST_RECORDS = 100_000
"""More than the kernel keeps, so that a log which grows while it is read has an end too."""
_GROUP = re.compile(r"oom-kill:constraint=\w+,.*?,task_memcg=([^,]*),task=(.*),pid=(\d+),uid=\d+")
_KILLED = re.compile(
    r"out of memory: Killed process (\d+) \((.*)\) .*?anon-rss:(\d+)kB, file-rss:(\d+)kB, shmem-rss:(\d+)kB"
)
_NAME_CHARS = 40
"""A process's name has at most 15 bytes; one that was made unprintable is longer when written out."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A process that the kernel ended for memory; rss_bytes is what it held."""

    pid: int
    name: str
    rss_bytes: int


def memory_kills(cgroups: Cgroups, name: str) -> int:
    """How many processes of the workspace the kernel ended for memory since its start."""
    usage = cgroups.usage(name)
    return 0 if usage is None else usage.memory_kills


def why_killed(cgroups: Cgroups, name: str, kills: int) -> str:
    """`out of memory, limit 4 GiB, largest process cc1plus with 3.9 GiB`; kills: how many there were so far.

    The process is left out where this user may not read the kernel's log.
    """
    folder = cgroups.folder_of(name, Can.MEMORY)
    return "" if folder is None else _why(str(folder), cgroups.memory_limit(name), kills)


def why_no_forks(cgroups: Cgroups, name: str) -> str:
    """`too many processes, limit 64`, where the workspace was refused one since its start; else empty."""
    usage, pids = cgroups.usage(name), cgroups.folder_of(name, Can.PROCESSES)
    if usage is None or pids is None or not usage.refused_forks:
        return ""
    limit = read_number(pids / "pids.max")
    return f"too many processes, limit {'of the machine' if limit is None else limit}"


@lru_cache(maxsize=1024)
def _why(folder: str, limit: int | None, kills: int) -> str:
    """The same, found once for so many kills: reading the kernel's log takes milliseconds."""
    del kills
    told = "out of memory" if limit is None else f"out of memory, limit {in_words(limit)}"
    victim = next(reversed(victims(_kernel_log(), folder)), None)
    if victim is None:
        return told
    return f"{told}, largest process {victim.name} with {in_words(victim.rss_bytes)}"


def victims(records: Iterator[str], folder: str) -> Sequence[Victim]:
    """Those ended in the group, the last one last. folder is the group's own, which the kernel names from its tree."""
    pid, found = None, []
    for record in records:
        if (group := _GROUP.match(record)) is not None:
            pid = group[3] if _is_in(group[1], folder) else None
        elif (killed := _KILLED.search(record)) is not None and killed[1] == pid:
            held = sum(int(killed[number]) for number in (3, 4, 5)) * 1024
            found.append(Victim(int(killed[1]), _printable(killed[2]), held))
            pid = None
    return found


def _is_in(group: str, folder: str) -> bool:
    """Whether the group, as the kernel names it, is that of the folder or one in it."""
    path = PurePosixPath(group)
    return any(folder.endswith(str(one)) for one in (path, *path.parents) if one.name)


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)[:_NAME_CHARS]


def _kernel_log() -> Iterator[str]:
    """The records that the kernel still has; none where they may not be read."""
    with suppress(OSError):
        handle = os.open(_KERNEL_LOG, os.O_RDONLY | os.O_NONBLOCK)
        try:
            for _ in range(_MOST_RECORDS):
                with suppress(BrokenPipeError):  # it was overwritten meanwhile; the next one comes
                    record = os.read(handle, _RECORD_BYTES).decode(errors="replace")
                    yield record.partition(";")[2].partition("\n")[0]
        finally:
            os.close(handle)


def in_words(size_bytes: int) -> str:
    """A size as people write it, with one decimal where that says more."""
    size, unit = float(size_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"
