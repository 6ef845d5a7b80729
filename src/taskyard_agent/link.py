"""The agent's end of the link: dials the server, keeps the lease, reconnects, connects streams to local ports.

link = Link(LinkTarget("unix:/run/link/agent.sock", token), __version__, handlers, push_items)
await link.run()  # until close(); raises TokenRefused, LeaseLapsed, ProtocolMismatch
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import SystemRandom
from types import MappingProxyType
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from taskyard_agent.mux import (
    CALL_TIMEOUT_S,
    CallFailed,
    Handlers,
    LinkError,
    LinkLost,
    Mux,
    ProtocolError,
    Send,
    Stream,
)
from taskyard_agent.ports import serve_port
from taskyard_agent.protocol import (
    AUTH_HEADER,
    LINK_PATH,
    MAX_FRAME_BYTES,
    PROTOCOL,
    PROTOCOL_MISMATCH,
    Hello,
    Nothing,
    Welcome,
)

FIRST_LEASE_S = 120.0
"""Seconds to reach the server for the first time; the lease that every Welcome grants (answered per generation)."""

REFUSED_AFTER_S = 10.0
"""Seconds of nothing but 401 before the token counts as dead; a new one may become valid a moment after start."""

RETRY_FIRST_S = 0.05
"""Ceiling of the first wait before dialing again: a restarted server is back at once for its workspaces."""

RETRY_MAX_S = 5.0
"""Ceiling of all later waits; many agents then cost a returning server 0.4 tries a second each at most."""

SETTLED_S = 1.0
"""Seconds that a connection must last for the waits to start small again; else a server that drops each
agent right after its Welcome would be dialed 40 times a second by every one."""

DIAL_TIMEOUT_S = 10.0
"""Seconds for connecting and upgrading, then again for `hello`."""

CLOSE_TIMEOUT_S = 1.0
"""Seconds to wait for the other side's closing handshake; nothing depends on it."""

HEARTBEAT_TIMEOUT_MIN_S = 5.0
"""Least seconds that a heartbeat's answer may take before the connection counts as dead: a busy server's pause."""

_RANDOM = SystemRandom()

Result = TypeVar("Result", bound=msgspec.Struct)


class TokenRefused(LinkError):
    """The server keeps refusing the agent token: this generation of the workspace is over."""


class LeaseLapsed(LinkError):
    """No heartbeat was answered for the whole lease: another copy may be running, so this one must end."""


class ProtocolMismatch(LinkError):
    """Server and agent speak different versions of the protocol."""


@dataclass(frozen=True, slots=True)
class LinkTarget:
    """Where to dial and as whom. url is `unix:/path/to.sock`, or http(s)://host[:port][/prefix]."""

    url: str
    token: str

    def dial(self) -> connect:
        """A connection to be made to LINK_PATH. Raises ValueError when the URL is of no known kind."""
        parts = urlsplit(self.url)
        match parts.scheme:
            case "unix":
                return self._connect(f"ws://localhost{LINK_PATH}", parts.path)
            case "http" | "https":
                scheme = "wss" if parts.scheme == "https" else "ws"
                return self._connect(
                    f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{LINK_PATH}"
                )
            case _:
                raise ValueError(
                    f"cannot link to {self.url!r}: use unix:/path, http://… or https://…"
                )

    def _connect(self, uri: str, socket_path: str | None = None) -> connect:
        dial = partial(
            _Dial,
            uri,
            additional_headers={AUTH_HEADER: self.token},
            compression=None,  # costs more CPU and memory than it saves on a local link
            proxy=None,  # proxy variables are meant for the coding agent, not for the way home
            open_timeout=DIAL_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # the heartbeat call proves more and is the only timer
            max_size=MAX_FRAME_BYTES,
        )
        return dial() if socket_path is None else dial(unix=True, path=socket_path)


class _Dial(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """The error itself: following a redirect would hand the token to another place."""
        return exc


class Link:
    """One agent's link to the server over any number of connections, one at a time."""

    def __init__(
        self,
        target: LinkTarget,
        agent_version: str,
        handlers: Handlers,
        on_connected: Callable[[Welcome], Coroutine[None, None, None]],
        *,
        refused_after_s: float = REFUSED_AFTER_S,
        first_lease_s: float = FIRST_LEASE_S,
        moved_ports: Mapping[int, int] = MappingProxyType({}),
        look_for_news: Callable[[], None] = lambda: None,
        serve: Callable[[Stream], Coroutine[None, None, None]] | None = None,
    ) -> None:
        """look_for_news: is called before the link is given up; it calls take_over() when there is another token.

        moved_ports: for ports that the server may open, where their programs really listen. serve: connects streams
        in the place of that.

        on_connected runs beside each connection after its Welcome and is cancelled when that ends.

        It re-sends what is above `welcome.acked_seq` and may stay to send what comes; a LinkError that it
        lets through only ends the connection, which then is made again.
        """
        self._target = target
        self._hello = Hello(PROTOCOL, agent_version)
        self._handlers = handlers
        self._on_connected = on_connected
        self._accept = serve or partial(serve_port, moved=moved_ports)
        self._refused_after_s = refused_after_s
        self._lease_s = first_lease_s
        self._look_for_news = look_for_news
        self._taken_over = False
        self._mux: Mux | None = None
        self._lease: asyncio.Timeout | None = None
        self._refused_since: float | None = None
        self._failure: Exception | None = None
        self._closing = False
        self._ended = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether calls can be made now: the server said Welcome and the connection has not ended."""
        return self._mux is not None

    async def run(self) -> None:
        """Keep the link up until close(). Raises TokenRefused, LeaseLapsed, ProtocolMismatch.

        An exception of a handler or of on_connected that is no LinkError comes out as an ExceptionGroup.
        """
        try:
            while not self._closing:
                await self._run_as_target()
        finally:
            self._ended.set()

    def take_over(self, token: str) -> None:
        """Nothing; the link is made anew with this token and a fresh lease, whatever became of the last one."""
        self._target = replace(self._target, token=token)
        self._taken_over = True
        if self._lease is not None and not self._lease.expired():
            self._lease.reschedule(asyncio.get_running_loop().time())

    @property
    def is_taken_over(self) -> bool:
        """Whether there is another token, with which no connection was begun so far."""
        self._look_for_news()
        return self._taken_over

    async def _run_as_target(self) -> None:
        """Returns when the link was closed, or is to be made anew with another token."""
        self._taken_over, self._refused_since = False, None
        lease = asyncio.timeout(self._lease_s)
        try:
            async with lease:
                self._lease = lease
                await self._keep_up()
        except (TimeoutError, TokenRefused) as error:
            # Whoever stood still could neither beat nor read meanwhile: the lease is over before the news is seen.
            self._look_for_news()
            if self._closing or self._taken_over:
                return
            if isinstance(error, TokenRefused):
                raise
            last = self._failure or "it stopped answering"
            message = f"the server answered no heartbeat for {self._lease_s:g} s: {last}"
            raise LeaseLapsed(message) from self._failure

    async def call(
        self,
        method: str,
        params: msgspec.Struct,
        result_type: type[Result],
        *,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> Result:
        """What the server answers. Raises LinkLost at once while there is no connection, else as Mux.call."""
        if self._mux is None:
            raise LinkLost("there is no connection to the server at the moment")
        return await self._mux.call(method, params, result_type, timeout_s=timeout_s)

    async def close(self) -> None:
        """Nothing, when the connection is closed and run() is about to return."""
        self._closing = True
        if self._lease is None:
            return
        if not self._lease.expired() and not self._ended.is_set():
            self._lease.reschedule(asyncio.get_running_loop().time())
        await self._ended.wait()

    async def _keep_up(self) -> None:
        clock = asyncio.get_running_loop().time
        cancels = _cancels()
        attempt = 0
        while True:
            began = clock()
            await self._connect_once()
            # A task group that fails while its task is being cancelled keeps the failure and loses the
            # cancellation (Python 3.11), which here would outlive a lapsed lease.
            if _cancels() > cancels:
                raise asyncio.CancelledError
            attempt = 0 if clock() - began >= SETTLED_S else attempt + 1
            await asyncio.sleep(_retry_delay_s(attempt))

    async def _connect_once(self) -> None:
        """One connection from dialing to its end; only what makes another try pointless is raised."""
        try:
            async with self._target.dial() as websocket:
                self._refused_since = None
                await self._converse(websocket)
        except InvalidStatus as error:
            self._judge(error)
        except (OSError, InvalidHandshake, LinkLost, CallFailed, ProtocolError) as error:
            self._refused_since = None
            self._failure = error

    def _judge(self, error: InvalidStatus) -> None:
        self._failure = error
        if error.response.status_code == 426:
            raise ProtocolMismatch(
                f"the server does not take this agent, version {self._hello.agent_version}: "
                "start the workspace again, so that it gets the server's own"
            ) from error
        if error.response.status_code != 401:
            self._refused_since = None
            return
        now = asyncio.get_running_loop().time()
        if self._refused_since is None:
            self._refused_since = now
        if now - self._refused_since >= self._refused_after_s:
            raise TokenRefused(
                f"the server refused the agent token for {self._refused_after_s:g} s: "
                "this run of the workspace is over"
            ) from error

    async def _converse(self, websocket: ClientConnection) -> None:
        """One connection's calls and streams. Raises the LinkError that ended it."""
        failure: LinkError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                mux = Mux(_sender(websocket), group, self._handlers, accept=self._accept)
                try:
                    group.create_task(_receive(websocket, mux))
                    welcome = await self._greet(mux)
                    self._mux = mux
                    group.create_task(self._on_connected(welcome))
                    await self._beat(mux, welcome)
                finally:
                    self._mux = None
                    mux.end("the link to the server ended")
        except* LinkError as errors:
            failure = _worst(errors)
        if failure is not None:
            raise failure

    async def _greet(self, mux: Mux) -> Welcome:
        sent = asyncio.get_running_loop().time()
        try:
            welcome = await mux.call("hello", self._hello, Welcome, timeout_s=DIAL_TIMEOUT_S)
        except CallFailed as error:
            if error.code == PROTOCOL_MISMATCH:
                raise ProtocolMismatch(str(error)) from error
            raise
        self._lease_s = welcome.lease_s
        self._renew(sent)
        return welcome

    async def _beat(self, mux: Mux, welcome: Welcome) -> None:
        """Heartbeats for ever. Raises LinkLost, or CallFailed when one is not answered."""
        clock = asyncio.get_running_loop().time
        timeout_s = max(welcome.heartbeat_s, HEARTBEAT_TIMEOUT_MIN_S)
        while True:
            await asyncio.sleep(welcome.heartbeat_s)
            sent = clock()
            await mux.call("heartbeat", Nothing(), Nothing, timeout_s=timeout_s)
            self._renew(sent)

    def _renew(self, sent: float) -> None:
        """Count the lease from the sending: the server, which counts from the arrival, never lapses first."""
        if self._lease is not None and not self._closing and not self._lease.expired():
            self._lease.reschedule(sent + self._lease_s)


async def _receive(websocket: ClientConnection, mux: Mux) -> None:
    try:
        async for message in websocket:
            if isinstance(message, str):
                raise ProtocolError("the server sent a text message; frames are binary")
            await mux.feed(message)
    except ConnectionClosed as error:
        raise LinkLost(f"the connection to the server broke: {error}") from error
    raise LinkLost("the server closed the connection")


def _sender(websocket: ClientConnection) -> Send:
    async def send(frame: bytes) -> None:
        try:
            await websocket.send(frame)
        except ConnectionClosed as error:
            raise LinkLost(f"the connection to the server broke: {error}") from error

    return send


def _worst(errors: BaseExceptionGroup[LinkError]) -> LinkError:
    """The error that decides what happens next: a mismatch is final, a broken rule is worth naming."""
    for kind in (ProtocolMismatch, ProtocolError, LinkError):
        found = errors.subgroup(kind)
        if found is not None:
            return _leaf(found)
    return LinkLost("the link to the server ended")


def _leaf(error: BaseExceptionGroup[LinkError]) -> LinkError:
    first = error.exceptions[0]
    return _leaf(first) if isinstance(first, BaseExceptionGroup) else first


def _retry_delay_s(attempt: int) -> float:
    """Seconds until the next try after so many quick failures: exponential with full jitter."""
    ceiling = min(RETRY_MAX_S, RETRY_FIRST_S * 2 ** min(attempt, 16))
    return _RANDOM.uniform(0, ceiling)


def _cancels() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
