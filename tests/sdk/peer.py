"""The other end of a connection, which does exactly what a test wants, over a real socket."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import parse_headers
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

HANG_UP = b""
"""An answer that is none: the connection ends."""

SAY_NOTHING = b"\0"
"""An answer that never comes."""


@dataclass(slots=True)
class Peer:
    """What was asked, as pairs of the connection's number and the request, and where to ask."""

    url: str
    asked: list[tuple[int, bytes]] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def lines(self) -> list[str]:
        """The first line of each request."""
        return [request.split(b"\r\n")[0].decode() for _, request in self.asked]


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """An HTTP answer."""
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


@contextmanager
def peer(
    answers: Sequence[bytes], *, path: Path | None = None, ends_idle: bool = False
) -> Iterator[Peer]:
    """A peer that gives these answers, one for each request; with ends_idle it hangs up after each."""
    listening = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listening.bind(str(path) if path else ("127.0.0.1", 0))
    listening.listen()
    found = Peer(f"unix://{path}" if path else f"http://127.0.0.1:{listening.getsockname()[1]}")
    left = iter(answers)
    lock = threading.Lock()

    def serve(connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as reader:
            while request := read_request(reader):
                with lock:
                    found.asked.append((number, request))
                    reply = next(left)
                if reply == SAY_NOTHING:
                    found.over.wait()
                if reply in (HANG_UP, SAY_NOTHING):
                    return
                connection.sendall(reply)
                if ends_idle:
                    return

    def accept() -> None:
        number = 0
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            number += 1
            threading.Thread(target=serve, args=(connection, number), daemon=True).start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield found
    finally:
        found.over.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        accepting.join(5)


def read_request(reader: BinaryIO) -> bytes:
    """One request, whole; nothing when the connection ended."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = reader.readline()
        if not line:
            return b""
        head += line
    length = parse_headers(BytesIO(head.split(b"\r\n", 1)[1])).get("content-length", "0")
    return head + reader.read(int(length))
