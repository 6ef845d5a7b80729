"""Blocking HTTP with connections that are kept, by http.client: it imports in a twentieth of a second."""

import http.client
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from taskyard.sdk.calls import CONNECT_TIMEOUT_S, Address, Reply, Request, Tries
from taskyard.sdk.errors import Unreachable

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

    def __init__(self, address: Address, timeout_s: float, tls: ssl.SSLContext | None) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._tls = tls
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=MAX_IDLE)

    def exchange(self, request: Request) -> Reply:
        """The answer, whatever its status; what may be sent again is, on a new connection. Raises Unreachable."""
        tries = Tries(request)
        while True:
            try:
                reply = self._once(request)
            except (OSError, http.client.HTTPException) as error:
                pause = None if is_final(error) else tries.broken()
                if pause is None:
                    raise Unreachable(self._address.url, reason(error)) from error
            else:
                if (pause := tries.answered(reply)) is None:
                    return reply
            time.sleep(pause)

    @contextmanager
    def opened(self, request: Request, silence_s: float) -> Iterator[http.client.HTTPResponse]:
        """The answer to a read while it still comes, over a connection of its own; no byte for so long is an error."""
        connection = self._connect()
        try:
            connection.sock.settimeout(silence_s)
            connection.request(request.method, request.target, request.body, request.headers)
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def close(self) -> None:
        """Ends the connections that are kept."""
        while self._idle:
            self._idle.pop().close()

    def _once(self, request: Request) -> Reply:
        connection = self._take()
        try:
            connection.request(request.method, request.target, request.body, request.headers)
            response = connection.getresponse()
            body = response.read()
        except BaseException:
            connection.close()
            raise
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close or len(self._idle) == MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)
        return Reply(response.status, headers, body)

    def _take(self) -> http.client.HTTPConnection:
        """A kept connection that the server has not ended, or a new one."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if not is_over(connection.sock):
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> http.client.HTTPConnection:
        address = self._address
        connection: http.client.HTTPConnection
        if address.socket is not None:
            connection = _SocketFile(address.socket)
        elif address.secure:
            connection = http.client.HTTPSConnection(
                address.host, address.port, timeout=CONNECT_TIMEOUT_S, context=self._tls
            )
        else:
            connection = http.client.HTTPConnection(
                address.host, address.port, timeout=CONNECT_TIMEOUT_S
            )
        connection.connect()
        connection.sock.settimeout(self._timeout_s)
        return connection


class _SocketFile(http.client.HTTPConnection):
    """A connection over a socket of the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Opens it."""
        self.sock = socket_file(self._path)


def socket_file(path: str) -> socket.socket:
    """A connection to a socket of the file system; raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(CONNECT_TIMEOUT_S)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def reason(error: BaseException) -> str:
    """Why no answer came, in words."""
    for kind, words in REASONS.items():
        if isinstance(error, kind):
            return words
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__


def is_final(error: BaseException) -> bool:
    """Whether another try would only waste time."""
    return isinstance(error, TimeoutError | ssl.SSLCertVerificationError | socket.gaierror)


def is_over(sock: socket.socket | None) -> bool:
    """Whether the server ended a connection: there is something to read though nothing was asked."""
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
