"""Starting and ending the process tree of a workspace. Everything here blocks; run it in a thread."""

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from taskyard.drivers.sandbox.cgroups.groups import written_groups
from taskyard.drivers.sandbox.frozen import let_die
from taskyard.drivers.sandbox.launchers import Launchers
from taskyard.drivers.sandbox.orders import MARKER_NAME, marker
from taskyard.drivers.sandbox.place import (
    Place,
    Record,
    log_tail,
    make_record_last,
    reported_exit_code,
    reported_pid,
    save_record,
    wait_for_log,
)
from taskyard.drivers.sandbox.process import (
    Process,
    all_pids,
    boot_id,
    first_child,
    freeze,
    identify,
    is_alive,
    read_stat,
    send,
    wait_gone,
)
from taskyard.drivers.sandbox.runc_state import contained_init, forget
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Backend
from taskyard_agent import points

_START_TIMEOUT_S = 20.0
"""From the orders to a running agent: some 30 ms; more only on a machine that is nearly dead."""
_KILL_TIMEOUT_S = 10.0
"""A killed process is gone within milliseconds unless the kernel holds it in a file system call."""
_REPORT_TIMEOUT_S = 1.0
"""bubblewrap needs a moment to write the agent's exit code; then it ends by itself."""
_KILL_POLL_S = 0.002
"""Between two looks for marked processes; a look costs some milliseconds itself."""
_TAIL_BYTES = 2048
"""How much of the log an error quotes: a screenful."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a launcher is told: its first orders, and how the others are made while it carries those out."""

    first: bytes
    rest: Callable[[], bytes]


def start_tree(place: Place, record: Record, told: Told, launchers: Launchers) -> None:
    """Nothing; the workspace runs, and its record says so. Raises DriverError, then nothing of it runs.

    The launcher is in the record before it gets its last orders, and bubblewrap reports process 1 before
    that runs anything, so whoever dies at whatever line, the next one finds all that was started.
    """
    logged = place.log.stat().st_size if place.log.exists() else 0
    with _launcher(place, launchers) as (process, pipe, ready):
        record = msgspec.structs.replace(record, monitor=process)
        begun = _give(pipe, told.first)
        orders = told.rest()
        save_record(place, record, lasting=False)
        points.passed("start.spawned", place.name)
        given = begun and _give(pipe, orders)
        # While those are carried out: it may be the first that names the workspace's user.
        make_record_last(place)
        started = given and _says_ready(ready)
    points.passed("start.ordered", place.name)
    record = _with_processes(place, record)
    if started and is_alive(record.agent):
        save_record(place, record, lasting=False)
        return
    end_tree(place, record)
    save_record(place, record.without_processes("its agent could not be started"))
    tail = log_tail(place, logged, _TAIL_BYTES) or "nothing"
    raise DriverError(f"The workspace's agent did not start; it left in {place.log}: {tail}")


def run_once(place: Place, told: Told, launchers: Launchers) -> int | None:
    """The exit code of a confined program that ends by itself, None when it did not come so far."""
    with _launcher(place, launchers) as (process, pipe, _):
        if _give(pipe, told.first):
            _give(pipe, told.rest())
        pipe.close()
        if process is not None and not wait_gone(process, _START_TIMEOUT_S):
            freeze(process)
            if (child := first_child(process.pid)) is not None:
                send(child, signal.SIGKILL)
            send(process, signal.SIGKILL)
    wait_for_log(place)
    return reported_exit_code(place)


def end_tree(place: Place, record: Record) -> None:
    """Nothing; no process of the workspace is left. Raises DriverError when one does not end."""
    if record.boot_id != boot_id():
        forget(place)  # what runc wrote down of a container that ended with the machine
        return
    let_die(place, record)
    if record.confined:
        _end_confined(place, record)
        wait_for_log(place)
        forget(place)
    else:
        _end_marked(place, record)
    written_groups(place.root).remove(place.name)


@contextmanager
def _pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    read, write = os.pipe()
    with (
        os.fdopen(read, "rb", buffering=0) as reader,
        os.fdopen(write, "wb", buffering=0) as writer,
    ):
        yield reader, writer


@contextmanager
def _launcher(
    place: Place, launchers: Launchers
) -> Iterator[tuple[Process | None, BinaryIO, BinaryIO]]:
    """A launcher in a session of its own, where it takes orders, what says when it is done.

    It ends by itself when it gets no orders.
    """
    with _pipe() as (orders_read, orders), _pipe() as (ready, ready_write), ExitStack() as files:
        log = _appended(files, place.log)
        status = _appended(files, place.status, os.O_TRUNC)
        pid = launchers.fork([orders_read.fileno(), log, ready_write.fileno(), status])
        files.close()
        orders_read.close()
        ready_write.close()
        # It cannot end before the pipe does, so its number is nobody else's yet.
        yield identify(pid), orders, ready


def _appended(files: ExitStack, path: Path, flags: int = 0) -> int:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    files.callback(os.close, handle)
    return handle


def _give(pipe: BinaryIO, orders: bytes) -> bool:
    """Whether the launcher took its orders; it does not when it is dead."""
    try:
        rest = memoryview(orders)
        while rest:
            rest = rest[pipe.write(rest) :]
    except BrokenPipeError:
        return False
    return True


def _says_ready(pipe: BinaryIO) -> bool:
    """Whether the agent's program is being run; not when its process ended first, or never came to it."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    return bool(poll.poll(_START_TIMEOUT_S * 1000)) and pipe.read(1) != b""


def _with_processes(place: Place, record: Record) -> Record:
    """The record with what runs now, as far as it is there."""
    if not record.confined:
        return msgspec.structs.replace(record, agent=record.monitor)
    if record.backend is Backend.RUNC:
        init = contained_init(place)
        record = msgspec.structs.replace(record, monitor=init or record.monitor)
    else:
        pid = reported_pid(place)
        init = identify(pid) if pid else None
    return msgspec.structs.replace(record, init=init, agent=init and first_child(init.pid))


def _end_confined(place: Place, record: Record) -> None:
    """Nothing; process 1 of the pid namespace was killed, which ends all others in it."""
    if record.agent is not None and record.monitor is not None and not is_alive(record.agent):
        wait_gone(record.monitor, _REPORT_TIMEOUT_S)
    init = record.init or _unrecorded_init(place, record)
    if init is not None:
        send(init, signal.SIGKILL)
        _must_go(place, init)
    if record.monitor is None:
        return
    if record.init is None or not wait_gone(record.monitor, _REPORT_TIMEOUT_S):
        send(record.monitor, signal.SIGKILL)
    _must_go(place, record.monitor)


def _unrecorded_init(place: Place, record: Record) -> Process | None:
    """Process 1 of a start whose driver died before it had written it down.

    The one who makes it is frozen first, so that it cannot make it after we looked.
    """
    if record.monitor is not None and freeze(record.monitor):
        if record.backend is Backend.RUNC:
            _end_children(record.monitor)
            return contained_init(place)
        return first_child(record.monitor.pid)
    if record.backend is Backend.RUNC:
        return contained_init(place)
    pid = reported_pid(place)
    if pid is None or not _shows(pid, marker(place.name, record.generation)):
        return None
    return identify(pid)


def _end_children(parent: Process) -> None:
    """Nothing; what runc had begun to make a container of is gone. It is frozen, and makes no more."""
    while (child := first_child(parent.pid)) is not None:
        send(child, signal.SIGKILL)
        if not wait_gone(child, _KILL_TIMEOUT_S):
            return


def _shows(pid: int, name: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(name.encode() + b"\0")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _must_go(place: Place, process: Process) -> None:
    if not wait_gone(process, _KILL_TIMEOUT_S):
        raise DriverError(
            f"Process {process.pid} of workspace {place.name} was killed but does not go; the kernel "
            "holds it. Look at /proc/PID/stack and the disks, then run the command again."
        )


def _end_marked(place: Place, record: Record) -> None:
    deadline = time.monotonic() + _KILL_TIMEOUT_S
    while victims := _marked(place, record.monitor):
        if time.monotonic() > deadline:
            _must_go(place, victims[0])
        for victim in victims:
            send(victim, signal.SIGKILL)
        time.sleep(_KILL_POLL_S)


def _marked(place: Place, leader: Process | None) -> list[Process]:
    """Every process that carries the workspace's mark, and all in a session with one that does."""
    stats = {pid: stat for pid in all_pids() if (stat := read_stat(pid)) is not None}
    ours = {pid for pid in stats if _carries_mark(pid, place)}
    if leader is not None and is_alive(leader):
        ours.add(leader.pid)
    sessions = {stats[pid].session for pid in ours if pid in stats}
    return [
        Process(pid=pid, started=stat.started)
        for pid, stat in stats.items()
        if pid in ours or stat.session in sessions
    ]


def _carries_mark(pid: int, place: Place) -> bool:
    """Whether a process has the workspace's name in its environment, or writes to the workspace's log."""
    folder = Path(f"/proc/{pid}")
    try:
        if f"{MARKER_NAME}={place.name}".encode() in (folder / "environ").read_bytes().split(b"\0"):
            return True
        return place.log in {(folder / "fd" / number).readlink() for number in "12"}
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
