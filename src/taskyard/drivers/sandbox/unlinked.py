"""Files that a workspace holds open and whose names are gone: they take disk, and no folder shows them."""

import ctypes
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from taskyard.drivers.sandbox.place import Place, Record
from taskyard.drivers.sandbox.process import Process

_PIDFD_GETFD = 438
"""The call's number, on every kind of processor. Linux has it since 5.6."""
_FD_SIZE = "FDSize:"
_LIBC = ctypes.CDLL(None, use_errno=True)


def unlinked(place: Place, record: Record) -> Iterator[os.stat_result | None]:
    """What the workspace's user owns on the disk and keeps by an open file alone; null where there was none to see.

    A file that several have open comes several times. Those on other disks are left out: in the image of a home, and in
    memory, they are bounded there.
    """
    top = record.init or record.agent
    if top is None:
        return
    owner = os.geteuid() if record.uid is None else record.uid
    disks = {place.folder.stat().st_dev, *_overlays(top)}
    for pid in _family(top.pid):
        for info in _opened(pid):
            counts = info.st_nlink == 0 and info.st_uid == owner and info.st_dev in disks
            yield info if counts and stat.S_ISREG(info.st_mode) else None
        yield None


def _overlays(process: Process) -> Iterable[int]:
    """The devices that files in the process's overlays seem to be on."""
    with suppress(OSError):
        for line in Path(f"/proc/{process.pid}/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            if after.startswith("overlay "):
                major, _, minor = before.split()[2].partition(":")
                yield os.makedev(int(major), int(minor))


def _family(pid: int) -> Iterator[int]:
    """The process and all below it, as they are at that moment: in a workspace with walls that is everybody."""
    pending = [pid]
    while pending:
        pid = pending.pop()
        yield pid
        with suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    pending += map(int, (task / "children").read_text().split())


def _opened(pid: int) -> Iterator[os.stat_result]:
    """What a process has open, as far as this process may know."""
    folder = f"/proc/{pid}/fd"
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    yield entry.stat()
    except PermissionError:
        yield from _taken(pid)
    except OSError:
        return


def _taken(pid: int) -> Iterator[os.stat_result]:
    """The same of a process that hides from its own user, by a copy of each: who made its user namespace may take them."""
    size = 0
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        size = next((int(line.split()[1]) for line in lines if line.startswith(_FD_SIZE)), 0)
    with suppress(OSError):
        handle = os.pidfd_open(pid)
        try:
            for number in range(size):
                if (copy := _LIBC.syscall(_PIDFD_GETFD, handle, number, 0)) >= 0:
                    try:
                        yield os.fstat(copy)
                    finally:
                        os.close(copy)
        finally:
            os.close(handle)
