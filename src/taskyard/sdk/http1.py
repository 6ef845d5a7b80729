"""HTTP/1.1 over one socket that waits, parsed by httptools: `http.client` takes longer to import than commands run."""

import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from httptools import HttpParserError, HttpResponseParser

from taskyard.sdk.calls import CONNECT_TIMEOUT_S, Address, Request

if TYPE_CHECKING:
    import ssl

CHUNK_BYTES: Final = 64 * 1024
"""Bytes of an answer that are read at once."""


class Connection:
    """A connection that requests are sent over, one after another; each is answered before the next."""

    def __init__(self, address: Address, tls: "ssl.SSLContext | None", silence_s: float) -> None:
        """Opens it; silence_s is how long to wait for a byte. Raises OSError."""
        self._host = address.authority
        self.sock = _opened(address, tls)
        self.sock.settimeout(silence_s)

    def ask(self, request: Request) -> "Answer":
        """Sends a request; the answer with its head read. Raises OSError, ValueError for a header with a line end."""
        self.sock.sendall(_text_of(request, self._host) + (request.body or b""))
        return Answer(self.sock)

    def close(self) -> None:
        """Ends it."""
        self.sock.close()


class Answer:
    """An answer while it comes: status and headers, whose names are in lower case, are there from the start."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parser = HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._pieces: list[bytes] = []
        self._began = self._is_headed = self._is_whole = False
        self.keeps_alive = False
        """Whether the connection can be asked again, once the body is read."""
        while not self._is_headed:
            self._receive()

    @property
    def status(self) -> int:
        """The status."""
        return self._parser.get_status_code()

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers; of those with the same name the last."""
        return self._headers

    def read(self) -> bytes:
        """The rest of the body. Raises OSError where it breaks off."""
        return b"".join(self.pieces())

    def pieces(self) -> Iterator[bytes]:
        """The rest of the body as it comes. Raises OSError where it breaks off."""
        while True:
            yield from self._pieces
            self._pieces.clear()
            if self._is_whole:
                return
            self._receive()

    def on_message_begin(self) -> None:
        """The parser's: an answer begins. What follows the whole one was not asked for."""
        if self._is_whole:
            self.keeps_alive = False
            raise OSError("it sent more than an answer")
        self._began = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser's: one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The parser's: the head is whole; one of 1xx only announces another."""
        self._is_headed = self.status >= 200
        if not self._is_headed:
            self._headers.clear()

    def on_body(self, piece: bytes) -> None:
        """The parser's: a piece of the body."""
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """The parser's: the body is whole."""
        if self._is_headed:
            self._is_whole = True
            self.keeps_alive = self._parser.should_keep_alive()

    def _receive(self) -> None:
        data = self._sock.recv(CHUNK_BYTES)
        if not data:
            self._end()
            return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self._is_whole:
                raise OSError("what it sent is no HTTP") from error

    def _end(self) -> None:
        """The connection ended, which is the end of a body only where nothing else tells that."""
        if not self._began:
            raise ConnectionResetError
        if not self._is_headed or self._headers.keys() & {"content-length", "transfer-encoding"}:
            raise OSError("its answer broke off")
        self._is_whole = True


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


def _opened(address: Address, tls: "ssl.SSLContext | None") -> socket.socket:
    if address.socket is not None:
        return socket_file(address.socket)
    sock = socket.create_connection((address.host, address.port), CONNECT_TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not address.secure:
        return sock
    try:
        return (tls or _trust()).wrap_socket(sock, server_hostname=address.host)
    except BaseException:
        sock.close()
        raise


def _trust() -> "ssl.SSLContext":
    # Imported on use: it takes as long as all else of a command, and most servers are asked without.
    import ssl

    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _text_of(request: Request, host: str) -> bytes:
    """A request up to its body."""
    headers = {"Host": host, "Accept-Encoding": "identity", **request.headers}
    if request.body is not None or request.method != "GET":
        headers["Content-Length"] = str(len(request.body or b""))
    lines = [f"{request.method} {request.target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("a header cannot hold the end of a line")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
