"""The agent's end of a stream: a TCP connection to a port on the workspace's loopback, pumped both ways."""

import asyncio
import errno
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from taskyard_agent.protocol import MAX_DATA_BYTES
from taskyard_agent.stream import LinkError, Stream

LOOPBACK = "127.0.0.1"

LAST_PORT: Final = 65535
"""The largest port of TCP."""

OURS: Final[set[int]] = set()
"""Ports on the loopback from which this process connects right now for the server: no other program has them."""

CONNECT_TIMEOUT_S = 5.0
"""Seconds for connecting to a port on the loopback; below the opener's own limit, so that it hears why."""

LINGER_S = 5.0
"""Seconds that a program may take to read the last bytes sent to it before its connection is reset."""


async def serve_port(stream: Stream, moved: Mapping[int, int] = MappingProxyType({})) -> None:
    """Nothing, when the stream is over. Connects it to its port, or closes it with the reason.

    moved: where a port's program really listens, when it could not have the port that is asked for.
    """
    try:
        reader, writer = await _connect(moved.get(stream.port, stream.port))
    except OSError as error:
        await stream.close(f"cannot connect to port {stream.port}: {_reason(error)}")
        return
    port: int = writer.get_extra_info("sockname")[1]
    OURS.add(port)
    try:
        await stream.accept()
        await _pump(stream, reader, writer)
        await stream.close()
        await _linger(writer)
    finally:
        OURS.discard(port)
        writer.transport.abort()


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not 0 < port <= LAST_PORT:
        raise OSError(f"{port} is not a TCP port")
    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        return await asyncio.open_connection(LOOPBACK, port, limit=MAX_DATA_BYTES)


async def _pump(stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            outward = group.create_task(_outward(reader, stream))
            await _inward(stream, writer)
            # The opener ends every stream. Until it does, the port's program may still be answering.
            await stream.wait_closed()
            outward.cancel()
    except* OSError as errors:
        await stream.close(f"port {stream.port} broke the connection: {_reason(errors)}")
    except* LinkError:
        pass  # the other side closed the stream, or the link is gone: there is nobody to tell


async def _outward(reader: asyncio.StreamReader, stream: Stream) -> None:
    while data := await reader.read(MAX_DATA_BYTES):
        await stream.write(data)
    await stream.write_eof()


async def _inward(stream: Stream, writer: asyncio.StreamWriter) -> None:
    while data := await stream.read():
        _check(writer)
        writer.write(data)
        await writer.drain()
    if not stream.closed_by_peer:
        _check(writer)
        writer.write_eof()


def _check(writer: asyncio.StreamWriter) -> None:
    """Nothing while the port takes bytes; loops differ in what they raise once it does not."""
    if writer.is_closing():
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


async def _linger(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        async with asyncio.timeout(LINGER_S):
            await writer.wait_closed()
    except OSError:
        pass  # includes the timeout; the caller resets the connection


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error) or "no answer in time"
