"""Connections that never agree on TLS: few, not for long, and in nobody's way."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from taskyard.daemon import tls_accept
from taskyard.daemon.listen import listen_tcp
from taskyard.daemon.tls import Certificate
from tests.daemon.certificates import ONE, ONE_KEY
from tests.daemon.test_guard import listening

MOST = 5

CLIENT = ssl.create_default_context(cadata=ONE)


@pytest.fixture
def held() -> Iterator[contextlib.ExitStack]:
    """What stays open until the listener of a test has ended."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
async def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a listener for TLS that takes MOST connections."""
    monkeypatch.setattr(tls_accept, "max_connections", lambda: MOST)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_text(ONE)
    key.write_text(ONE_KEY)
    sock = listen_tcp("127.0.0.1", 0)
    async with listening(sock, Certificate(cert, key).context):
        yield sock.getsockname()[1]


async def asked(port: int) -> bytes:
    """The answer to a request; raises OSError."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=CLIENT)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    try:
        return await reader.read()
    finally:
        writer.close()


async def answered(port: int) -> bool:
    """Whether a request is answered, tried until the listener's tests are out of time."""
    while True:
        with contextlib.suppress(OSError):
            if b"200 OK" in await asked(port):
                return True


async def test_there_are_few(port: int) -> None:
    """Beyond what one listener takes, a connection is closed before TLS; places come back with those who leave."""
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""
    writer.close()
    for _, writer in silent:
        writer.close()
    assert await answered(port)


async def test_not_for_long(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing loses the connection."""
    monkeypatch.setattr(tls_accept, "HEAD_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""
    writer.close()
    assert await answered(port)


async def test_what_is_no_tls(port: int) -> None:
    """Plain HTTP and junk end that connection, and no other."""
    for words in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\0" * 100, b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(words)
        writer.write_eof()
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in await reader.read()
        writer.close()
    assert await answered(port)


async def test_who_is_silent_does_not_keep_a_server_from_stopping(
    held: contextlib.ExitStack, port: int
) -> None:
    """A listener ends although somebody is about to agree; its fixture waits for that, and has a deadline."""
    held.enter_context(socket.create_connection(("127.0.0.1", port)))
    assert await answered(port)
