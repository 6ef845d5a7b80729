"""Where a workspace lives on disk, and the record by which any process of the server finds it again."""

import fcntl
import os
import re
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import msgspec

from taskyard.drivers.sandbox.process import Process, boot_id
from taskyard.errors import DriverError
from taskyard.lifecycle.walls import Backend

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOG_KEEP_BYTES = 256 * 1024
"""How much of the end of agent.log outlives a trim: some thousand lines, enough to see why."""
_LOG_MAX_BYTES = 4 * 1024 * 1024
"""agent.log is trimmed when it is seen larger, in bytes or on disk; the agent's real logs go over the link."""
_STATUS_MAX_BYTES = 4096
"""Both lines of a status file take some 200 bytes. Whoever writes more has no say here."""
_KEPT_S = 1.0
"""Seconds for the last lines of an ended workspace to reach its log: a millisecond, more on a machine that is nearly dead."""
_KEPT_POLL_S = 0.001
"""Between two looks whether they did."""
_BLOCK_BYTES = 512
"""In what stat(2) counts the space that a file takes, on every file system."""


class Record(msgspec.Struct, frozen=True):
    """What the driver knows of a workspace.

    monitor is the process we started: the launcher, which becomes bubblewrap, or the agent itself
    where it runs unconfined. init is process 1 of the workspace's pid namespace; the tree ends with
    it. agent is the workspace agent. Without an agent nothing runs, or a start was cut short when a
    monitor is named. uid is the host user of the workspace, None when it is the server's own.
    ended says how the last run ended, where the driver ended it. shape stands for what was asked for, in a workspace
    that may be frozen; it is empty in others.
    """

    generation: int
    confined: bool
    boot_id: str
    uid: int | None = None
    disk_bytes: int | None = None
    monitor: Process | None = None
    init: Process | None = None
    agent: Process | None = None
    ended: str = ""
    shape: str = ""
    backend: Backend = Backend.BWRAP

    def without_processes(self, ended: str) -> "Record":
        """The same record after everything of the workspace has ended."""
        return msgspec.structs.replace(self, monitor=None, init=None, agent=None, ended=ended)


class _Status(msgspec.Struct, frozen=True, rename="kebab"):
    """A line that bubblewrap writes to its status file; pids are those of the host."""

    child_pid: int | None = None
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one workspace; name is its id, or begins with a dot where the driver tries something."""

    root: Path
    name: str

    @property
    def folder(self) -> Path:
        """All that is kept of the workspace."""
        return self.root / self.name

    @property
    def about(self) -> str:
        """What work on it is about, for people to read."""
        return f"workspace {self.name}"

    @property
    def home(self) -> Path:
        """The workspace's home directory, outlives its processes."""
        return self.folder / "home"

    @property
    def overlay(self) -> Path:
        """What the workspace changed of /usr, where its template lets it."""
        return self.folder / "usr"

    @property
    def template(self) -> Path:
        """The template's files of the current generation."""
        return self.folder / "template"

    @property
    def hosts(self) -> Path:
        """The workspace's /etc/hosts."""
        return self.folder / "hosts"

    @property
    def log(self) -> Path:
        """What agent and bubblewrap wrote to stdout and stderr."""
        return self.folder / "agent.log"

    @property
    def status(self) -> Path:
        """What bubblewrap reports: the host's pid of process 1, then the agent's exit code."""
        return self.folder / "status"

    @property
    def record(self) -> Path:
        """The record; the last file to go when the workspace is destroyed."""
        return self.folder / "record.json"

    @property
    def lock(self) -> Path:
        """The file that a verb locks while it works on the workspace."""
        return self.root / ".locks" / self.name


def is_workspace(name: str) -> bool:
    """Whether a folder of that name is a workspace's."""
    return _UUID.fullmatch(name) is not None


def workspaces(root: Path) -> Sequence[UUID]:
    """The ids of all workspaces that have a folder here."""
    names = [path.name for path in root.iterdir()]
    return [UUID(name) for name in names if is_workspace(name)]


def load_record(place: Place) -> Record | None:
    """The record of a workspace, None when it has none. Raises DriverError when it is damaged."""
    try:
        with _open_regular(place.record) as file:
            return msgspec.json.decode(file.read(), type=Record)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise DriverError(
            f"The record {place.record} of workspace {place.name} is damaged ({error}). End its "
            "processes by hand, remove the file and run the command again; the home stays."
        ) from error


def save_record(place: Place, record: Record, *, lasting: bool = True) -> None:
    """Nothing; afterwards the record is on disk whole, whatever happens to the machine.

    lasting: it is this one, not the one before; what only names processes need not outlive the machine's own end.
    Otherwise make_record_last() may come later.
    """
    fresh = place.record.with_name("record.new")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(record))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place.record)
    if lasting:
        make_record_last(place)


def make_record_last(place: Place) -> None:
    """Nothing; afterwards the record that was saved last is the one on disk, whatever happens to the machine."""
    folder = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_regular(path: Path) -> BinaryIO:
    """The file, to be read. Raises DriverError for what is no file: to open a pipe may take for ever."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise DriverError(f"{path} is no regular file. Remove it, then try again.")
    return os.fdopen(handle, "rb")


def reported_pid(place: Place) -> int | None:
    """The host's pid of process 1 as bubblewrap reported it, None when it did not come so far."""
    return next((line.child_pid for line in _statuses(place) if line.child_pid), None)


def reported_exit_code(place: Place) -> int | None:
    """The exit code of the agent (128 + signal when one killed it), None when it was not reported."""
    return next((line.exit_code for line in _statuses(place) if line.exit_code is not None), None)


def _statuses(place: Place) -> list[_Status]:
    try:
        with _open_regular(place.status) as file:
            lines = file.read(_STATUS_MAX_BYTES).splitlines(keepends=True)
    except FileNotFoundError:
        return []
    # A last line without its end was cut short by a crash.
    return [status for line in lines if line.endswith(b"}\n") and (status := _status(line))]


def _status(line: bytes) -> _Status | None:
    """What the line says, None when it is none that bubblewrap or runc.py writes."""
    try:
        return msgspec.json.decode(line, type=_Status)
    except msgspec.MsgspecError:
        return None


def how_it_ended(place: Place, record: Record) -> str:
    """One clause on how the agent ended, empty when nobody knows."""
    if record.boot_id != boot_id():
        return "the machine was restarted"
    match reported_exit_code(place):
        case None:
            return ""
        case code if code > 128:
            return f"the agent was ended by signal {code - 128}"
        case code:
            return f"the agent ended with exit code {code}"


def log_tail(place: Place, start: int, limit_bytes: int) -> str:
    """The end of agent.log, from byte start on at the earliest."""
    with _open_regular(place.log) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(start, size - limit_bytes))
        return file.read(limit_bytes).decode(errors="replace").strip()


def wait_for_log(place: Place) -> None:
    """Nothing; the last lines of a workspace that has ended are in its log: whoever writes them there has a lock on it."""
    deadline = time.monotonic() + _KEPT_S
    with suppress(FileNotFoundError, DriverError), _open_regular(place.log) as file:
        while time.monotonic() < deadline:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            time.sleep(_KEPT_POLL_S)


def trim_log(place: Place) -> None:
    """Nothing; an agent.log beyond its limit keeps only its end. Its writers append, so they go on."""
    try:
        info = place.log.stat()
    except FileNotFoundError:
        return
    if max(info.st_size, info.st_blocks * _BLOCK_BYTES) <= _LOG_MAX_BYTES:
        return
    with place.log.open("r+b") as file:
        file.seek(max(info.st_size - _LOG_KEEP_BYTES, 0))
        tail = file.read(_LOG_KEEP_BYTES)
        # To nothing first: space beyond the end, which was only allocated, stays with a file that grows to what it was.
        file.truncate(0)
        file.seek(0)
        file.write(tail)
