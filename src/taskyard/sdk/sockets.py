"""WebSockets of the blocking client."""

import ssl
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

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


def follow(
    address: Address,
    prepared: Callable[[Query], Request],
    wanted: type[T],
    after: int | None,
    *,
    tls: ssl.SSLContext | None,
) -> Iterator[T]:
    """The lines of a log from after the given id to its end, over as many connections as it takes."""
    position = Position(wanted, after)
    patience = Patience()
    while True:
        request = prepared(position.query)
        try:
            with open_socket(address, request, tls) as connection:
                patience.began()
                for message in _messages(connection):
                    patience.went_on()
                    yield from position.take(message, request, address.url)
                return
        except Unreachable:
            pause = patience.next_s()
            if pause is None:
                raise
        except ConnectionClosed as error:
            pause = patience.next_s()
            if pause is None:
                raise Unreachable(address.url, "the log that it sent broke off") from error
        time.sleep(pause)


def open_socket(address: Address, request: Request, tls: ssl.SSLContext | None) -> ClientConnection:
    """An open WebSocket. Raises ApiError, Unreachable."""
    try:
        return connect(
            socket_url(address, request),
            sock=socket_file(address.socket) if address.socket is not None else None,
            ssl=tls if address.secure else None,
            proxy=None,
            additional_headers=socket_headers(request),
            user_agent_header=USER_AGENT,
            open_timeout=CONNECT_TIMEOUT_S,
            max_size=None,
            compression=None,
            legacy=True,
        )
    except InvalidStatus as error:
        answer = error.response
        headers = {name.lower(): value for name, value in answer.headers.raw_items()}
        reply = Reply(answer.status_code, headers, bytes(answer.body))
        raise refusal(request, reply, address.url) from error
    except (OSError, InvalidHandshake) as error:
        raise Unreachable(address.url, reason(error)) from error


def _messages(connection: ClientConnection) -> Iterator[str | bytes]:
    """Every message until the server says that it was the last; raises ConnectionClosed otherwise."""
    while True:
        try:
            yield connection.recv()
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code == NORMAL_CLOSE:
                return
            raise
