"""A database with many tasks, and a server of its own process on it that has no workers to disturb."""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.seed import fill
from taskyard.daemon.postgres import EmbeddedPostgres

TASKS = 100_000
"""Tasks of the whole site, when figures are to be kept."""

FEW = 2_000
"""Tasks of a quick run, which only shows that the benchmark works."""

ANSWER_S = 60.0
"""Seconds until an answer counts as lost."""


class Line:
    """One kept-alive connection that asks the same server again and again, with as little of its own as can be."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: bench\r\nCoder-Session-Token: {token}\r\n\r\n"

    def ask(self, path: str) -> None:
        """Sends a GET."""
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{self._head}".encode())

    def answer(self) -> bytes:
        """The body of the answer, which must be a 200 of known length. Raises RuntimeError for another."""
        raw = bytearray()
        while (end := raw.find(b"\r\n\r\n")) < 0:
            raw += self._receive()
        head = bytes(raw[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"the server answered {bytes(raw).decode()}")
        _, _, rest = head.partition(b"content-length:")
        whole = end + 4 + int(rest.split(b"\r\n", 1)[0])
        while len(raw) < whole:
            raw += self._receive()
        return bytes(raw[end + 4 :])

    def get(self, path: str) -> bytes:
        """The body of the answer to a GET."""
        self.ask(path)
        return self.answer()

    def fileno(self) -> int:
        """The descriptor of its socket."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()

    def _receive(self) -> bytes:
        part = self._socket.recv(1 << 16)
        if not part:
            raise RuntimeError("the server hung up")
        return part


@dataclass(frozen=True, slots=True)
class Site:
    """A server with a crowd: its process, the database behind it, a token of its owner, one of user7, a member."""

    port: int
    pid: int
    database: str
    owner: str
    member: str


@contextmanager
def crowded(tasks: int) -> Iterator[tuple[int, str, str]]:
    """The port of a server with so many tasks, a token of its owner, and one of a member, who is user7."""
    with crowded_site(tasks) as site:
        yield site.port, site.owner, site.member


@contextmanager
def crowded_site(tasks: int) -> Iterator[Site]:
    """A server with so many tasks, for who needs more of it than its answers."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    try:
        with asyncio.Runner() as runner:
            postgres = EmbeddedPostgres(home / "postgres")
            runner.run(postgres.start())
            try:
                owner, member = runner.run(fill(postgres.url, tasks))
                with _server(postgres.url) as (port, pid):
                    yield Site(port, pid, postgres.url, owner, member)
            finally:
                runner.run(postgres.stop())
    finally:
        shutil.rmtree(home)


@contextmanager
def _server(url: str) -> Iterator[tuple[int, int]]:
    argv = [sys.executable, "-m", "bench.served", url]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int((process.stdout and process.stdout.readline()) or 0), process.pid
        finally:
            process.terminate()
