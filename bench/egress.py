"""What the way out of workspaces costs: requests and bytes through the server's relay, beside a direct connection."""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.crowd import FEW
from bench.measure import Figure, amount, figure, interleave
from bench.seed import seed
from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.db.migrate import migrate

QUESTION = (
    "What does the server's half of the way out add to a request to a server on this machine, and how many bytes a second "
    "does it carry, in a tunnel and as HTTP that is read and judged, beside a direct connection?"
)

WARM = 5

LARGE = 256 * 1024 * 1024
"""Bytes of a large answer: a second at the goal of 300 MB/s."""

Connect = Callable[[], socket.socket]


def measure(*, quick: bool) -> list[Figure]:
    """Small requests on new and on kept connections, and large answers, in turns with the direct ones."""
    with _ways() as ways:
        new = {name: _Timed(_anew(connect)) for name, connect in ways.items()}
        kept = {name: _Timed(_again(connect())) for name, connect in ways.items()}
        large = {name: _Timed(_whole(connect)) for name, connect in ways.items()}
        interleave(WARM, *new.values(), *kept.values())
        for work in (*new.values(), *kept.values()):
            work.times.clear()
        interleave(50 if quick else 2000, *new.values(), *kept.values())
        interleave(1 if quick else 9, *large.values())
    return [
        *_times("request on a new connection", new),
        *_times("request on a kept connection", kept),
        *_rates(large),
    ]


class _Timed:
    """A work and how long it took each time."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.times: list[float] = []

    def __call__(self) -> None:
        began = time.perf_counter()
        self._work()
        self.times.append(time.perf_counter() - began)


def _times(what: str, works: dict[str, _Timed]) -> list[Figure]:
    direct = f"{what}, direct"
    floor = works["direct"].times
    return [
        figure(direct, floor),
        *(
            figure(f"{what}, {name}", work.times, (direct, floor))
            for name, work in works.items()
            if name != "direct"
        ),
    ]


def _rates(works: dict[str, _Timed]) -> list[Figure]:
    rates = {name: [LARGE / 1e6 / s for s in work.times] for name, work in works.items()}
    floor = ("large answer, direct", rates["direct"])
    return [
        amount(f"large answer, {name}", "MB/s", found, None if name == "direct" else floor)
        for name, found in rates.items()
    ]


def _anew(connect: Connect) -> Callable[[], None]:
    def work() -> None:
        with connect() as sock:
            _ask(sock, 2)

    return work


def _again(sock: socket.socket) -> Callable[[], None]:
    return lambda: _ask(sock, 2)


def _whole(connect: Connect) -> Callable[[], None]:
    def work() -> None:
        with connect() as sock:
            _ask(sock, LARGE)

    return work


def _ask(sock: socket.socket, size: int) -> None:
    sock.sendall(b"GET /%d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (size, PORT[0]))
    head = _head(sock)
    left = size - len(head.partition(b"\r\n\r\n")[2])
    buffer = memoryview(bytearray(1 << 20))
    while left:
        count = sock.recv_into(buffer)
        if not count:
            raise RuntimeError("the answer ended early")
        left -= count


def _head(sock: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            raise RuntimeError(f"no answer: {data!r}")
        data += piece
    if not data.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(data.decode())
    return data


PORT = [0]
"""Of the server at the other side, once it runs."""


@contextmanager
def _ways() -> Iterator[dict[str, Connect]]:
    """How to connect to the server: directly, by a tunnel, for requests."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-bench-"))
    home.chmod(0o711)
    try:
        with asyncio.Runner() as runner, _program() as port:
            PORT[0] = int(port)
            postgres = EmbeddedPostgres(home / "postgres")
            runner.run(postgres.start())
            try:
                runner.run(_fill(postgres.url))
                path = str(home / "relay.sock")
                with _program(postgres.url, path, port) as token:
                    yield {
                        "direct": lambda: socket.create_connection(("127.0.0.1", PORT[0])),
                        "tunnel": lambda: _through(path, "CONNECT", token),
                        "HTTP": lambda: _through(path, "HTTP", token),
                    }
            finally:
                runner.run(postgres.stop())
    finally:
        shutil.rmtree(home)


async def _fill(url: str) -> None:
    await migrate(url)
    await seed(url, FEW)


def _through(path: str, word: str, token: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    line = f"{word} 127.0.0.1:{PORT[0]} HTTP/1.1\r\nProxy-Authorization: Bearer {token}\r\n\r\n"
    sock.sendall(line.encode())
    _head(sock)
    return sock


@contextmanager
def _program(*arguments: str) -> Iterator[str]:
    """bench.relayed with these arguments, and what it prints first."""
    argv = [sys.executable, "-m", "bench.relayed", *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
