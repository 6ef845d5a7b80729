"""Launchers without an interpreter's start: they are forked from a process that is kept for it (launch_fork.py)."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from weakref import finalize

from taskyard.drivers.sandbox import launch_fork
from taskyard.errors import DriverError

_ANSWER_TIMEOUT_S = 20.0
"""A fork takes a millisecond, the first one twenty; more only on a machine that is nearly dead."""
_ANSWER_BYTES = 32
_FOLDER = str(Path(launch_fork.__file__).parents[3])
"""Where an interpreter that searches nothing by itself finds our packages."""
_COMMAND = (
    *("-I", "-S", "-c"),
    f"import sys; sys.path.append({_FOLDER!r}); from taskyard.drivers.sandbox.launch_fork import main; main()",
)
_TRIES = 2
"""How often a fork is asked for: what is kept for it may have been killed since, by whoever was short of memory."""
_DEFAULT_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD)
"""The server may ignore these, and what is ignored is inherited; the workspace starts afresh."""


class Launchers:
    """Where launchers come from. Any thread may ask; what is kept for it begins at the first request and ends with this object."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: _Kept | None = None

    def fork(self, files: Sequence[int]) -> int:
        """The pid of a launcher that waits for orders; files are its stdin, its outputs, launch.READY_FD and launch.STATUS_FD.

        It is nobody's to reap. Raises OSError where the machine refuses, DriverError when there is no answer.
        """
        with self._lock:
            for _ in range(_TRIES):
                if self._kept is None or not self._kept.is_ours:
                    self._kept = _Kept()
                try:
                    return self._kept.ask(files)
                except (ConnectionError, TimeoutError):
                    self._kept.end()
                    self._kept = None
        raise DriverError(
            f"The process that workspaces are started from does not answer. See in the server's own output why {sys.executable} "
            "ended, and whether memory is short. Then try again."
        )


class _Kept:
    """The process that is kept, and the socket to it."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(_ANSWER_TIMEOUT_S)
        self._owner = os.getpid()
        with theirs:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *_COMMAND],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=_DEFAULT_SIGNALS,
            )
        self.end = finalize(self, _end, self._channel, pid, self._owner)

    @property
    def is_ours(self) -> bool:
        """Whether this process started it; one that was forked from that must not use the same socket."""
        return self._owner == os.getpid()

    def ask(self, files: Sequence[int]) -> int:
        """The pid of a new launcher. Raises OSError: ConnectionError and TimeoutError when there is no answer."""
        socket.send_fds(self._channel, [b"1"], files)
        answer = self._channel.recv(_ANSWER_BYTES)
        if not answer:
            raise ConnectionResetError
        if (pid := int(answer)) < 0:
            raise OSError(-pid, os.strerror(-pid))
        return pid


def _end(channel: socket.socket, pid: int, owner: int) -> None:
    """Nothing; the process is gone. The launchers that came of it are not touched."""
    channel.close()
    if owner == os.getpid():
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
