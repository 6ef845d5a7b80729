"""The way out for programs that know no proxy: names that lead here, and listeners in the name of their hosts.

In the workspace's network every address is the workspace itself. So a program that connects to an
address that was made up for a name, or to one that the template lists, comes here and is taken there.
Listeners are on those addresses alone: a program's own servers on the loopback are not in the way.
"""

import asyncio
import errno
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from functools import partial
from typing import cast

from taskyard_agent.attempts import Attempt, Attempts
from taskyard_agent.resolver import (
    Code,
    Malformed,
    Names,
    NoAddress,
    Place,
    answer,
    complaint,
    is_local,
    read_question,
)
from taskyard_agent.splice import End
from taskyard_agent.unlisted import Unlisted

LOOPBACK = "127.0.0.1"
DNS_PORT = 53

BACKLOG = 64
"""Connections to a listener that the kernel makes before they are taken."""

TCP_QUESTIONS = 16
"""Connections with questions by TCP at once; more are ended. Programs use them for long answers, which we never give."""

TCP_S = 5.0
"""Seconds that a connection with questions may take."""

_SIZE = struct.Struct("!H")
_LOCALHOST = "localhost"
_NAME, _TCP, _OTHER = "NAME", "TCP", "OTHER"

REMEMBERED = 100
"""Names and places that are told of in the log, each once."""

Carry = Callable[[End, str], Awaitable[None]]
"""Takes a connection to a target, `host:port`, and returns when it is over."""
Serve = Callable[[Coroutine[None, None, None], End], None]
"""Does work for a connection in a task of its own, and ends the connection after it."""
Ask = Callable[[str, str], Awaitable[None]]
"""Tells the server of something that is not listed: NAME and a name, TCP and a place, OTHER and a place of other protocols."""
Log = Callable[[str, str], None]
"""Takes the level and the text of a line."""


class Redirect:
    """Resolver and listeners of one workspace, from start() to close()."""

    def __init__(
        self,
        rules: Iterable[str],
        carry: Carry,
        serve: Serve,
        *,
        ask: Ask,
        log: Log,
        attempts_fd: int | None = None,
    ) -> None:
        self._rules = frozenset(rules)
        self._names = Names(self._rules, self._let_go)
        self._unlisted = {word: Unlisted(partial(ask, word)) for word in (_NAME, _TCP, _OTHER)}
        self._carry = carry
        self._serve = serve
        self._log = log
        self._attempts_fd = attempts_fd
        self._told: set[str] = set()
        self._listeners: dict[str, list[_Listener]] = {}
        self._closers: list[Callable[[], object]] = []
        self._asking = 0

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Returns once names are answered and listed addresses taken.

        Raises OSError where the network does not lead here, or another program was first.
        """
        self._tasks = tasks
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Questions(self.reply), (LOOPBACK, DNS_PORT)
        )
        self._closers.append(transport.close)
        server = await loop.create_server(lambda: End(self._came), LOOPBACK, DNS_PORT)
        self._closers.append(server.close)
        for unlisted in self._unlisted.values():
            self._closers.append(tasks.create_task(unlisted.run()).cancel)
        self._watch()
        for host, port in self._names.literals:
            if host == LOOPBACK:
                continue  # the server's machine, which has a listener of its own
            try:
                self._listen(Place(host, host, (port,)))
            except (NoAddress, OSError) as error:
                self._tell(host, f"Nobody listens for {host}:{port} in here: {_reason(error)}.")

    def _watch(self) -> None:
        """Nothing; from now on it is seen where else programs try to go, if the driver could arrange for that."""
        attempts = Attempts(-1 if self._attempts_fd is None else self._attempts_fd, self._tried)
        try:
            attempts.start()
        except OSError:
            self._log(
                "info", "Attempts to reach addresses that are not listed leave no trace here."
            )
        else:
            self._closers.append(attempts.close)

    def _tried(self, attempt: Attempt) -> None:
        """Nothing; the server will be told of an attempt to reach what is not listed. Nobody listens there in here."""
        place = self._names.place_at(attempt.host)
        host = attempt.host if place is None else place.name
        listed = (host, attempt.port) in self._names.literals
        if attempt.is_tcp and (listed or (place is not None and attempt.port in place.ports)):
            return
        target = f"[{host}]" if ":" in host and attempt.port else host
        target += f":{attempt.port}" if attempt.port else ""
        if attempt.is_tcp and target in self._rules:
            self._tell(target, f"{target} is listed, but reached by the proxy only.")  # IPv6
            return
        self._unlisted[_TCP if attempt.is_tcp else _OTHER].add(target)
        why = "the template does not list it in workspace.network.egress"
        why = why if attempt.is_tcp else "only TCP leaves a workspace, and this was something else"
        self._tell(target, f"Nothing leads to {target!r}: {why}.")

    def close(self) -> None:
        """Takes no more; what was taken goes on."""
        for close in self._closers:
            close()
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.close()

    def reply(self, data: bytes) -> bytes:
        """What is answered to a message, empty for nothing."""
        try:
            question = read_question(data)
        except Malformed as error:
            return complaint(error)
        code, address = self._found(question.name if question.in_internet else "")
        return answer(question, code, address if question.wants_address else None)

    def _found(self, name: str) -> tuple[Code, str | None]:
        if is_local(name):
            return Code.FINE, LOOPBACK
        try:
            place = self._names.place(name)
            if place is not None:
                if place.address not in self._listeners:
                    self._listen(place)
                return Code.FINE, place.address
        except (NoAddress, OSError) as error:
            self._tell(name, f"The listed name {name!r} has no address now: {_reason(error)}.")
            return Code.FAILED, None
        self._unlisted[_NAME].add(name)
        self._tell(
            name,
            f"No address for {name[:256]!r}: the template does not list it in workspace.network.egress.",
        )
        return Code.NO_SUCH_NAME, None

    def _listen(self, place: Place) -> None:
        """Nothing, once connections to the place are taken. Raises NoAddress, OSError; then its name is forgotten."""
        made = self._listeners.setdefault(place.address, [])
        try:
            for port in place.ports:
                listener = _Listener(place.address, port, partial(self._through, place, port))
                made.append(listener)
                self._tasks.create_task(listener.serve())
        except OSError as error:
            if place.name in self._names.places:
                self._names.forget(place)
            else:
                self._let_go(place)
            if error.errno != errno.EADDRINUSE:
                raise
            why = f"a program in here listens on port {port} of all addresses"
            raise NoAddress(why) from error

    def _let_go(self, place: Place) -> None:
        for listener in self._listeners.pop(place.address, ()):
            listener.close()

    def _through(self, place: Place, port: int, end: End) -> None:
        """Carries a connection that was made to the place."""

        async def carry() -> None:
            place.lines += 1
            try:
                await self._carry(end, f"{place.name}:{port}")
            finally:
                place.lines -= 1

        self._serve(carry(), end)

    def _came(self, end: End) -> None:
        """A connection with questions."""
        if self._asking >= TCP_QUESTIONS:
            end.abort()
            return
        self._serve(self._answer_all(end), end)

    async def _answer_all(self, end: End) -> None:
        self._asking += 1
        try:
            async with asyncio.timeout(TCP_S):
                await self._answer_each(end)
        except TimeoutError:
            end.abort()
        finally:
            self._asking -= 1

    async def _answer_each(self, end: End) -> None:
        held = b""
        while piece := await end.read():
            held += piece
            while len(held) >= _SIZE.size:
                until = _SIZE.size + _SIZE.unpack_from(held)[0]
                if len(held) < until:
                    break
                if said := self.reply(held[_SIZE.size : until]):
                    end.write(_SIZE.pack(len(said)) + said)
                    await end.drain()
                held = held[until:]

    def _tell(self, name: str, sentence: str) -> None:
        """Nothing; the log has a sentence about a name once, and not about endlessly many."""
        if name and name not in self._told and len(self._told) < REMEMBERED:
            self._told.add(name)
            self._log("warn", sentence)


class _Listener:
    """A socket that takes connections to one port of an address. Raises OSError when it cannot be had.

    It listens at once: who asked for a name connects as soon as it has the answer.
    """

    def __init__(self, address: str, port: int, came: Callable[[End], None]) -> None:
        self._came = came
        self._over = asyncio.Event()
        self._socket = socket.socket()
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind((address, port))
            self._socket.listen(BACKLOG)
        except OSError:
            self._socket.close()
            raise

    async def serve(self) -> None:
        """Takes connections until close()."""
        with self._socket:
            if self._over.is_set():
                return
            loop = asyncio.get_running_loop()
            server = await loop.create_server(
                lambda: End(self._came), sock=self._socket, backlog=BACKLOG
            )
            try:
                await self._over.wait()
            finally:
                server.close()

    def close(self) -> None:
        """Takes no more connections."""
        self._over.set()


class _Questions(asyncio.DatagramProtocol):
    """The resolver's end of UDP."""

    def __init__(self, reply: Callable[[bytes], bytes]) -> None:
        self._reply = reply
        self._is_full = False
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None  # connection_made comes before anything else
        if not self._is_full and (said := self._reply(data)):
            self._transport.sendto(said, addr)

    def pause_writing(self) -> None:
        """Answers wait because nobody reads them: questions go unanswered, as DNS may."""
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno).lower()
    return str(error)
