"""WebSockets of the asyncio client."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from taskyard.sdk.calls import (
    CONNECT_TIMEOUT_S,
    USER_AGENT,
    Address,
    Query,
    Reply,
    Request,
    refusal,
)
from taskyard.sdk.errors import Unreachable
from taskyard.sdk.following import (
    NORMAL_CLOSE,
    Patience,
    Position,
    socket_headers,
    socket_url,
)
from taskyard.sdk.http1 import socket_file
from taskyard.sdk.transport import reason

T = TypeVar("T")


async def follow(
    address: Address,
    prepared: Callable[[Query], Request],
    wanted: type[T],
    after: int | None,
    *,
    tls: ssl.SSLContext | None,
) -> AsyncIterator[T]:
    """The lines of a log from after the given id to its end, over as many connections as it takes."""
    position = Position(wanted, after)
    patience = Patience()
    while True:
        request = prepared(position.query)
        try:
            async with await open_socket(address, request, tls) as connection:
                patience.began()
                async for message in _messages(connection):
                    patience.went_on()
                    for line in position.take(message, request, address.url):
                        yield line
                return
        except Unreachable:
            pause = patience.next_s()
            if pause is None:
                raise
        except ConnectionClosed as error:
            pause = patience.next_s()
            if pause is None:
                raise Unreachable(address.url, "the log that it sent broke off") from error
        await asyncio.sleep(pause)


async def open_socket(
    address: Address, request: Request, tls: ssl.SSLContext | None
) -> ClientConnection:
    """An open WebSocket. Raises ApiError, Unreachable."""
    try:
        return await connect(
            socket_url(address, request),
            sock=socket_file(address.socket) if address.socket is not None else None,
            ssl=tls if address.secure else None,
            proxy=None,
            additional_headers=socket_headers(request),
            user_agent_header=USER_AGENT,
            open_timeout=CONNECT_TIMEOUT_S,
            max_size=None,
            compression=None,
        )
    except InvalidStatus as error:
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        reply = Reply(answer.status_code, headers, bytes(answer.body))
        raise refusal(request, reply, address.url) from error
    except (OSError, InvalidHandshake) as error:
        raise Unreachable(address.url, reason(error)) from error


async def _messages(connection: ClientConnection) -> AsyncIterator[str | bytes]:
    """Every message until the server says that it was the last; raises ConnectionClosed otherwise."""
    while True:
        try:
            yield await connection.recv()
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == NORMAL_CLOSE:
                return
            raise
