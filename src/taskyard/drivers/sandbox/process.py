"""Processes as a pair of pid and start time, so that a reused pid is never taken for ours.

A process that is dead but not yet reaped counts as gone everywhere here.
"""

import os
import select
import signal
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STOP_TIMEOUT_S = 1.0
"""A SIGSTOP takes effect within a scheduler tick; a second is for a machine under heavy load."""
_STOP_POLL_S = 0.0005
"""Half a millisecond: short beside the few milliseconds that a start takes."""


class Process(msgspec.Struct, frozen=True):
    """A process of this boot; started is in clock ticks since boot (field 22 of its stat file)."""

    pid: int
    started: int


class ProcessStat(NamedTuple):
    """What /proc says about a process: its state letter, session id and start time in ticks."""

    state: str
    session: int
    started: int


def boot_id() -> str:
    """The identity of this boot of the machine; a pid of another boot means nothing."""
    return _BOOT_ID.read_text().strip()


def read_stat(pid: int) -> ProcessStat | None:
    """What /proc says about a pid now; None when there is none or it is only unreaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in the second field may hold spaces and brackets; what follows its last one may not.
    fields = text[text.rindex(b")") + 2 :].split()
    state = fields[0].decode()
    return None if state in "ZX" else ProcessStat(state, int(fields[3]), int(fields[19]))


def identify(pid: int) -> Process | None:
    """The process that has this pid now; None when there is none or it is only unreaped."""
    stat = read_stat(pid)
    return None if stat is None else Process(pid=pid, started=stat.started)


def is_alive(process: Process | None) -> bool:
    """Whether exactly this process still runs."""
    return process is not None and identify(process.pid) == process


def first_child(pid: int) -> Process | None:
    """The oldest living child of a process; None when it has none or is gone itself."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return next((child for child in map(identify, map(int, text.split())) if child), None)


def all_pids() -> list[int]:
    """Every pid that this process can see."""
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]


def open_handle(process: Process) -> int | None:
    """A pidfd of exactly this process, readable once it has ended; None when it is gone.

    The start time is read after the handle was opened, so that the handle cannot be of a later one.
    """
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if is_alive(process):
        return handle
    os.close(handle)
    return None


def send(process: Process, number: signal.Signals) -> None:
    """Nothing; the process got the signal unless it was gone already."""
    handle = open_handle(process)
    if handle is None:
        return
    try:
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def freeze(process: Process) -> bool:
    """True once the process is stopped and can start no other; False when it is gone.

    Raises TimeoutError when it does not stop.
    """
    send(process, signal.SIGSTOP)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while (stat := read_stat(process.pid)) is not None and stat.started == process.started:
        if stat.state in "Tt":
            return True
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {process.pid} did not stop")
        time.sleep(_STOP_POLL_S)
    return False


def wait_gone(process: Process, timeout_s: float) -> bool:
    """True once the process has ended, False when the time was up first. Blocks."""
    handle = open_handle(process)
    if handle is None:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(handle)
