"""A server of one's own as a child process: for demos, benchmarks and tests of programs that use the API."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from taskyard.errors import StartupError

STOP_S = 60.0
"""Seconds a server may take to stop; it promises 10, on a machine that has a processor for it."""


class LocalServer:
    """`taskyard server` on a data directory; `url` is good once `start` returned.

    What the server logs goes to stderr, or to log when that is given. environment is added to ours.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        options: Sequence[str] = (),
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.url = ""
        self._options = options
        self._log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[str]:
        """The running server."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process

    def launcher(self) -> Sequence[str]:
        """A command that becomes the one behind it, for those who want the server in other surroundings."""
        return ()

    def start(self) -> str:
        """The address of the server, once it answers. Raises StartupError when it ends instead."""
        argv = [*self.launcher(), sys.executable, "-P", "-m", "taskyard.cli.main", "server"]
        argv += ["--port", "0"]
        argv += ["--data-dir", str(self.data_dir), "--log-level", "warning", *self._options]
        stderr = None if self._log is None else self._log.open("ab")
        try:
            self._process = subprocess.Popen(
                argv,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=self._environment,
                text=True,
                start_new_session=True,
            )
        finally:
            if stderr is not None:
                stderr.close()
        assert self._process.stdout is not None
        word, _, self.url = self._process.stdout.readline().strip().partition(" ")
        if word != "ready":
            status = self.wait()
            raise StartupError(f"the server did not start; it ended with status {status}")
        return self.url

    def stop(self, *, by_hand: bool = True) -> int:
        """The server's exit status. by_hand pauses workspaces first, as Ctrl-C does; else they go on."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT if by_hand else signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Ends the server without warning, as a crash would."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """The exit status, once the server has ended; one that does not end in time is killed."""
        try:
            status = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status
