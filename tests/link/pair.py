"""Two linked Muxes over a real WebSocket, and the simplest handlers for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.asyncio.server import ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed

from taskyard_agent.mux import (
    Handlers,
    LinkError,
    LinkLost,
    Mux,
    Stream,
)
from taskyard_agent.protocol import (
    MAX_FRAME_BYTES,
)
from tests.waiting import DEADLINE_S

Acceptor = Callable[[Stream], Coroutine[None, None, None]]
Connection = ClientConnection | ServerConnection


async def until(condition: Callable[[], bool]) -> None:
    """Nothing, once the condition holds; TimeoutError when it does not within DEADLINE_S."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.002)


def sender(websocket: Connection) -> Callable[[bytes], Awaitable[None]]:
    async def send(frame: bytes) -> None:
        try:
            await websocket.send(frame)
        except ConnectionClosed as error:
            raise LinkLost("closed") from error

    return send


async def attend(websocket: Connection, mux: Mux) -> None:
    """Feed until the connection ends; LinkLost then, ProtocolError when the peer misbehaves."""
    try:
        async for message in websocket:
            assert isinstance(message, bytes)
            await mux.feed(message)
    except ConnectionClosed:
        pass
    finally:
        mux.end("closed")
    raise LinkLost("closed")


def leaf(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@dataclass
class Peer:
    """The server's side of one connection of Pair, and how it ended."""

    mux: Mux | None = None
    ended_by: list[BaseException] = field(default_factory=list)


@dataclass
class Pair:
    """A server's Mux and an agent's, or the agent's bare socket, over a real WebSocket."""

    server: Mux
    agent: Mux
    socket: ClientConnection
    peer: Peer


@asynccontextmanager
async def linked(
    folder: Path,
    *,
    server: Handlers | None = None,
    agent: Handlers | None = None,
    accept: Acceptor | None = None,
    tcp: bool = False,
    bare: bool = False,
) -> AsyncIterator[Pair]:
    """Both ends linked; bare: nobody reads the agent's socket, for a test that plays a bad agent."""
    peer = Peer()

    async def handle(websocket: ServerConnection) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                peer.mux = Mux(sender(websocket), group, server or Handlers())
                await attend(websocket, peer.mux)
        except* LinkError as error:
            peer.ended_by.append(leaf(error))

    path = str(folder / "pair.sock")
    max_size = MAX_FRAME_BYTES + 100  # so that the Mux itself sees what is too large
    listen = partial(unix_serve, path=path)
    dial = partial(unix_connect, path)
    if tcp:
        listen = partial(serve, host="127.0.0.1", port=0)
    async with listen(
        handle, max_size=max_size, compression=None, ping_interval=None, close_timeout=0.5
    ) as running:
        if tcp:
            port = running.sockets[0].getsockname()[1]
            dial = partial(connect, f"ws://127.0.0.1:{port}", proxy=None)
        async with dial(
            max_size=max_size, compression=None, ping_interval=None, close_timeout=0.2
        ) as socket:
            await until(lambda: peer.mux is not None)
            assert peer.mux is not None
            over = False

            async def read(mux: Mux) -> None:
                try:
                    await attend(socket, mux)
                except LinkLost:
                    if not over:  # what the test found wrong would be lost for this
                        raise

            try:
                async with asyncio.TaskGroup() as group:
                    mux = Mux(sender(socket), group, agent or Handlers(), accept=accept)
                    if not bare:
                        group.create_task(read(mux))
                    try:
                        yield Pair(peer.mux, mux, socket, peer)
                    finally:
                        over = True
                        mux.end("the test is over")
                        await socket.close()
            except* LinkLost:
                pass


class Number(msgspec.Struct, frozen=True):
    n: int


async def echo(stream: Stream) -> None:
    await stream.accept()
    while data := await stream.read():
        await stream.write(data)
    await stream.write_eof()
    await stream.wait_closed()


def numbers(handler: Callable[[Number], Awaitable[Number]], *, ordered: bool = False) -> Handlers:
    handlers = Handlers()
    handlers.add("number", Number, handler, ordered=ordered)
    return handlers


async def double(question: Number) -> Number:
    return Number(question.n * 2)


async def forever(_: Number) -> Number:
    await asyncio.Event().wait()
    raise AssertionError
