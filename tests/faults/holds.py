"""The other end of the points: lets processes go on, but for those that a test holds."""

import contextlib
import json
import os
import re
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_MARK = re.compile(rb"taskyard-workspace-([0-9a-f-]{36})-\d+")
"""How a workspace's first processes are called; the agent is a child of theirs."""


@dataclass(slots=True)
class Hold:
    """A point at which the first process that comes there with that subject stays until it is let go."""

    point: str
    is_wanted: Callable[[str], bool]
    pid: int = 0
    subject: str = ""
    _end: socket.socket | None = field(default=None, repr=False)
    _reached: threading.Event = field(default_factory=threading.Event, repr=False)
    _let_go: bool = False

    @property
    def is_reached(self) -> bool:
        """Whether a process is, or was, there."""
        return self._reached.is_set()

    def take(self, end: socket.socket, pid: int) -> None:
        """A process is there."""
        self._end, self.pid = end, pid
        self._reached.set()
        if self._let_go:
            self.let_go()

    def let_go(self) -> None:
        """The process goes on, and no other one is held here."""
        self._let_go = True
        if self._end is not None:
            self._end.close()
            self._end = None


class Holds:
    """Listens on sockets that processes tell their points to."""

    def __init__(self) -> None:
        self._holds: list[Hold] = []
        self._lock = threading.Lock()
        self._listening: list[tuple[Path, socket.socket]] = []
        self.seen: list[tuple[str, str, int]] = []

    def listen(self, path: Path, mode: int) -> None:
        """From now on whoever may use the socket is heard."""
        listening = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        listening.bind(str(path))
        path.chmod(mode)
        listening.listen(256)
        self._listening.append((path, listening))
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()

    def close(self) -> None:
        """Nobody is held or heard any more."""
        self.let_all_go()
        for path, listening in self._listening:
            path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()

    def hold(self, point: str, is_wanted: Callable[[str], bool]) -> Hold:
        """The next process that comes to this point for a wanted subject is held there."""
        found = Hold(point, is_wanted)
        with self._lock:
            self._holds.append(found)
        return found

    def let_all_go(self) -> None:
        """Whoever is held goes on, and nobody else is held."""
        with self._lock:
            holds, self._holds = self._holds, []
        for one in holds:
            one.let_go()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                end, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=self._hear, args=(end,), daemon=True).start()

    def _hear(self, end: socket.socket) -> None:
        pid = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        with end.makefile("rb") as file:
            line = file.readline()
        if not line:
            end.close()
            return
        told = json.loads(line)
        subject = told["subject"] or workspace_of(pid)
        hold = self._taken(told["point"], subject)
        self.seen.append((told["point"], subject, pid))
        if hold is None:
            end.close()
        else:
            hold.take(end, pid)

    def _taken(self, point: str, subject: str) -> Hold | None:
        with self._lock:
            for hold in self._holds:
                if hold.point == point and hold.is_wanted(subject):
                    self._holds.remove(hold)
                    hold.subject = subject  # so that no other hold wants it
                    return hold
        return None


def workspace_of(pid: int) -> str:
    """The workspace that a process is in, by the name of those above it; empty for none."""
    while pid > 1:
        try:
            found = _MARK.match(Path(f"/proc/{pid}/cmdline").read_bytes())
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            return ""
        if found is not None:
            return found[1].decode()
        pid = int(parent)
    return ""


def strike(pid: int, number: int) -> None:
    """Signals a process, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
