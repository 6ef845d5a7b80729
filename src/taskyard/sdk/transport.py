"""Requests of the blocking client: connections that are kept, and what is sent again."""

import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from taskyard.sdk.calls import Address, Reply, Request, Tries
from taskyard.sdk.errors import Unreachable
from taskyard.sdk.http1 import Answer, Connection

if TYPE_CHECKING:
    import ssl

MAX_IDLE = 8
"""Connections kept for the next call; more than that many threads at once open new ones."""


REASONS: Final = {
    TimeoutError: "it did not answer in time",
    ConnectionRefusedError: "nothing listens there",
    FileNotFoundError: "nothing listens there",
    ConnectionResetError: "it ended the connection without an answer",
    BrokenPipeError: "it ended the connection without an answer",
    socket.gaierror: "its host name is not known",
}
"""Why no answer came, for the errors whose own text says too little."""


class Transport:
    """Requests to one server; may be used by several threads at once."""

    def __init__(self, address: Address, timeout_s: float, tls: "ssl.SSLContext | None") -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._tls = tls
        self._idle: deque[Connection] = deque(maxlen=MAX_IDLE)

    def exchange(self, request: Request) -> Reply:
        """The answer, whatever its status; what may be sent again is, on a new connection. Raises Unreachable."""
        tries = Tries(request)
        while True:
            try:
                reply = self._once(request)
            except OSError as error:
                pause = None if is_final(error) else tries.broken()
                if pause is None:
                    raise Unreachable(self._address.url, reason(error)) from error
            else:
                if (pause := tries.answered(reply)) is None:
                    return reply
            time.sleep(pause)

    @contextmanager
    def opened(self, request: Request, silence_s: float) -> Iterator[Answer]:
        """The answer to a read while it still comes, over a connection of its own; no byte for so long is an error."""
        connection = Connection(self._address, self._tls, silence_s)
        try:
            yield connection.ask(request)
        finally:
            connection.close()

    def close(self) -> None:
        """Ends the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _once(self, request: Request) -> Reply:
        connection = self._take()
        try:
            answer = connection.ask(request)
            reply = Reply(answer.status, answer.headers, answer.read())
        except BaseException:
            connection.close()
            raise
        if not answer.keeps_alive or len(self._idle) == MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)
        return reply

    def _take(self) -> Connection:
        """A kept connection that the server has not ended, or a new one."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if not is_over(connection.sock):
                return connection
            connection.close()
        return Connection(self._address, self._tls, self._timeout_s)


def reason(error: BaseException) -> str:
    """Why no answer came, in words."""
    for kind, words in REASONS.items():
        if isinstance(error, kind):
            return words
    if (distrust := _distrust(error)) is not None:
        return f"its certificate is not trusted ({distrust})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def is_final(error: BaseException) -> bool:
    """Whether another try would only waste time."""
    return isinstance(error, TimeoutError | socket.gaierror) or _distrust(error) is not None


def _distrust(error: BaseException) -> str | None:
    """Why a certificate is not trusted, None where that is not the error; without `ssl`, which is slow to import."""
    return getattr(error, "verify_message", None)


def is_over(sock: socket.socket) -> bool:
    """Whether the server ended a connection: there is something to read though nothing was asked."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
