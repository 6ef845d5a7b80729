"""What a connection may cost before anybody knows who is at its other end.

uvicorn's protocols trust their peers: they keep headers of any length, wait for them for ever, answer
pings without looking whether the answers are read, and take connections until no descriptor is left.
Programs in a workspace reach these sockets too, so each of these has a bound here.
"""

import asyncio
import os
import resource
import socket
import struct
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from taskyard.drivers.sandbox.uids import FIRST_UID, INNER_ROOT
from taskyard.server.draining import stopping
from taskyard.server.edge import OURS
from taskyard.server.errors import problem

log = structlog.get_logger()

HEAD_BYTES = 64 * 1024
"""Most bytes of a request's line and headers, of its trailers, and of a chunk's header: what others take too."""

HEAD_S = 20.0
"""Seconds a request's line and headers may take; a new connection gets as long to begin."""

PEER_CONNECTIONS = 8
"""Connections of one workspace at once: its agent needs one or two, a program that reports one more. Each may have
a request under way, which others wait behind for the database."""

SPARE_FILES = 256
"""Descriptors kept back from connections: for the database, for workspaces being started, for files."""

FEWEST_CONNECTIONS = 64
"""Connections of one listener where hardly any descriptors are to be had."""

MAX_FILES = 65536
"""Descriptors that a server asks for; more would only make programs slow that close all they might have."""

UNREAD_BYTES = 1024 * 1024
"""Most bytes of unread answers to pings; who lets more pile up is not listening."""

ANSWER_S = 30.0
"""Seconds in which some of an answer must have been read, while there is more of it than the kernel takes."""

ANSWER_BYTES = 512 * 1024
"""Bytes of it that must have been: what one part of a long answer holds. Who reads more slowly would keep our memory
of an answer for as long as they like, also of one that its handler is done with."""

MAX_FRAGMENTS = 4096
"""Frames one message may come in; its size has a bound already, but empty frames have none."""


def _last_words(response: Response) -> bytes:
    """A response as it goes over the wire, after which the connection ends."""
    head = f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}\r\n".encode()
    headers = [*response.raw_headers, *OURS, (b"connection", b"close")]
    lines = b"".join(b"%s: %s\r\n" % line for line in headers)
    return head + lines + b"\r\n" + bytes(response.body)


_TOO_LARGE = _last_words(
    problem(431, "head_too_large", f"The request line and the headers exceed {HEAD_BYTES} bytes.")
)
_NOT_HTTP = _last_words(problem(400, "invalid_http", "The request is not valid HTTP."))


class Peers:
    """How many connections each workspace has, by what the kernel says of the other end of a Unix socket."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    def enter(self, transport: asyncio.BaseTransport) -> str | None:
        """Whose connection this is, empty for one that is not counted; None when its peer may have no more."""
        if is_stranger(transport):
            return None
        name = peer_name(transport)
        if name and self._open[name] >= PEER_CONNECTIONS:
            return None
        self._open[name] += 1
        return name

    def enter_unnamed(self) -> str:
        """A place that is counted with those of nobody."""
        self._open[""] += 1
        return ""

    def leave(self, name: str) -> None:
        """One connection less of the one that `enter` named."""
        self._open[name] -= 1
        if self._open[name] <= 0:
            del self._open[name]


_PEERS: WeakKeyDictionary[ServerState, Peers] = WeakKeyDictionary()
"""The peers of each listener, whose connections share one state."""


class GuardedHttp(HttpToolsProtocol):
    """uvicorn's HTTP with bounds on heads, on unread answers and on connections."""

    counts_peers = True

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._peers = _PEERS.setdefault(server_state, Peers())
        self._peer: str | None = None
        self._unparsed = 0
        self._head_bytes = 0
        self._moved = False
        self._in_head = True
        self._slow: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Takes the connection, or hangs up at once where there are too many."""
        super().connection_made(transport)
        is_full = len(self.connections) > max_connections()
        self._peer = None if is_full else self._enter(transport)
        if self._peer is None:
            transport.abort()
            return
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives the place free."""
        super().connection_lost(exc)
        self._head_came()
        self._was_read()
        self._leave()

    def pause_writing(self) -> None:
        """The client reads more slowly than we write: from here on it must go on reading."""
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        """It has read nearly all."""
        super().resume_writing()
        self._was_read()

    def data_received(self, data: bytes) -> None:
        """Parses; ends a connection whose bytes have led to nothing for too long."""
        self._moved = False
        super().data_received(data)
        self._unparsed = 0 if self._moved else self._unparsed + len(data)
        if self._unparsed > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's text for it
        """Says that this is no HTTP, or too much of it, in the shape that all our errors have, and hangs up."""
        self.transport.write(_TOO_LARGE if self._head_bytes > HEAD_BYTES else _NOT_HTTP)
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Hands the connection over, with its place among those of its peer."""
        self._head_came()
        self._was_read()
        peer, self._peer = self._peer, None
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        if peer is not None and isinstance(protocol, GuardedWebSocket):
            protocol.take_place(self._peers, peer)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._moved = self._in_head = True
        self._head_bytes = 0
        self._wait_for_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keeps a header; a trailer is dropped, as nobody here reads one."""
        if self._in_head:
            self._measure(len(name) + len(value))
            super().on_header(name, value)

    def on_url(self, url: bytes) -> None:
        """Keeps a piece of the path."""
        self._measure(len(url))
        super().on_url(url)

    def on_headers_complete(self) -> None:
        """The head is here."""
        self._moved, self._in_head = True, False
        self._head_came()
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._moved = True

    def on_body(self, body: bytes) -> None:
        """Takes a piece of the body."""
        self._moved = True
        super().on_body(body)

    def _measure(self, size: int) -> None:
        """Counts bytes of a head; raises ValueError, on which the parser gives up, when they are too many."""
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            raise ValueError(self._head_bytes)

    def _wait_for_head(self) -> None:
        if self._slow is None:
            self._slow = self.loop.call_later(HEAD_S, self._hang_up)

    def _head_came(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _wait_for_reader(self) -> None:
        self._was_read()
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(ANSWER_S, self._look_at_reader, left)

    def _look_at_reader(self, before: int) -> None:
        if self.transport.get_write_buffer_size() > before - ANSWER_BYTES:
            log.warning("connection.cut", cause="the client read too slowly")
            self.transport.abort()
        else:
            self._wait_for_reader()

    def _was_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _hang_up(self) -> None:
        self._slow = None
        self.transport.abort()

    def _enter(self, transport: asyncio.BaseTransport) -> str | None:
        return self._peers.enter(transport) if self.counts_peers else self._peers.enter_unnamed()

    def _leave(self) -> None:
        if self._peer is not None:
            self._peers.leave(self._peer)
            self._peer = None


class PublicHttp(GuardedHttp):
    """The same for people and proxies, of which one may have as many connections as there are."""

    counts_peers = False


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket with bounds on what control frames and fragments may cost."""

    _peers: Peers | None = None
    _peer = ""

    def take_place(self, peers: Peers, peer: str) -> None:
        """Keeps the connection's place among those of its peer until it is lost."""
        self._peers, self._peer = peers, peer

    def connection_lost(self, exc: Exception | None) -> None:
        """Gives the place free."""
        super().connection_lost(exc)
        if self._peers is not None:
            self._peers.leave(self._peer)
            self._peers = None

    def shutdown(self) -> None:
        """Says that the server stops, also to who is not let in yet."""
        if self.handshake_initiated and not self.handshake_complete:
            reply = stopping()
            answer = self.conn.reject(reply.status_code, bytes(reply.body).decode())
            for name, value in reply.headers.items():
                if name not in ("content-length", "content-type", "connection"):
                    answer.headers[name] = value
            self.conn.send_response(answer)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.handshake_complete = self.close_sent = True
        super().shutdown()

    def handle_ping(self) -> None:
        """Answers, unless the answers are not read."""
        super().handle_ping()
        if self.transport.get_write_buffer_size() > UNREAD_BYTES:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """Adds a fragment, unless the message comes in absurdly many."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.transport.abort()
            return
        super().handle_cont(event)


def max_connections() -> int:
    """Connections of one listener at once: all of them together leave descriptors for the rest.

    There are two at least, one of them for workspaces; one more counts as soon as somebody has used it.
    """
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_FILES
    return max(FEWEST_CONNECTIONS, files // max(2, len(_PEERS)))


def raise_file_limit() -> None:
    """Nothing; this process may open as many files as it is allowed to ask for, within reason."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def peer_name(transport: asyncio.BaseTransport) -> str:
    """The workspace at the other end of a Unix socket; empty for TCP and for what runs beside the server.

    As root each workspace has a user id of its own; otherwise it is known by its pid namespace. A peer that
    ended already is counted with all others that did.
    """
    process = _peer(transport)
    if process is None:
        return ""
    pid, uid = process
    if uid != os.geteuid():
        return f"uid {uid}"
    try:
        namespace = Path(f"/proc/{pid}/ns/pid").readlink()
        return "" if namespace == Path("/proc/self/ns/pid").readlink() else str(namespace)
    except OSError:
        return "gone"


def is_stranger(transport: asyncio.BaseTransport) -> bool:
    """Whether another user of the machine is at the other end of a Unix socket: neither root, nor we, nor a workspace.

    As root the folder of the agents' sockets is open to the users of workspaces, and so to everybody.
    """
    process = _peer(transport)
    return process is not None and not (
        process[1] in (0, os.geteuid()) or FIRST_UID <= process[1] < INNER_ROOT
    )


def _peer(transport: asyncio.BaseTransport) -> tuple[int, int] | None:
    """Process and user at the other end of a Unix socket, as the kernel knows them; None for TCP."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family != socket.AF_UNIX:
        return None
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return pid, uid
