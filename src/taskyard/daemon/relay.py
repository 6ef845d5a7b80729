"""The way out of workspaces: tunnels and HTTP on a Unix socket, to what the workspace's template lists.

Programs of a workspace talk to a proxy of their own, in the workspace agent; that one comes here with
the agent's token. What comes is hostile until proven otherwise: heads, numbers and times have bounds.
"""

import asyncio
import contextlib
import os
import socket
from collections import Counter
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from uuid import UUID

import structlog

from taskyard.control import egress
from taskyard.control.egress import Grant, Resolve
from taskyard.control.egress_book import Attempt, Book
from taskyard.control.services import Services
from taskyard.daemon.guard import is_stranger, max_connections, peer_name
from taskyard.daemon.relay_http import Outside, Patience, Requests
from taskyard.daemon.relay_seats import HANDS, Line, Seat
from taskyard.daemon.relay_tls import Inside
from taskyard.daemon.relay_wire import OK, STATUS, Asked, Word, read_request, refused
from taskyard.db.jobs import WORKSPACES
from taskyard.errors import TaskyardError, Unauthenticated
from taskyard.lifecycle.egress import (
    ONLY_TCP,
    Address,
    Reason,
    Refusal,
    Target,
    closed_targets,
    judge_name,
    judge_target,
    read_target,
)
from taskyard.lifecycle.template_model import Egress
from taskyard_agent.splice import End, HeadTooLong, splice

log = structlog.get_logger()

HEAD_BYTES = 8 * 1024
"""Most bytes of a request: a target and a token need two hundred."""

HEAD_S = 10.0
"""Seconds until a head must be here whole: it comes from this machine."""

CONNECT_S = 10.0
"""Seconds to connect to all addresses of a target; a quarter of them for each that is not the last."""

WORKSPACE_CONNECTIONS = 64
"""Connections that one workspace may have through here; a package manager opens some twenty."""

PEER_CONNECTIONS = WORKSPACE_CONNECTIONS + 16
"""Connections of one peer, those included whose token is not known yet."""

LOOKUPS = 4
"""Statements of the relay's own at once, for all workspaces: others wait for the same database."""

LOOK_S = 30.0
"""Seconds between looks for idle connections and for workspaces that are over; the doorbell is faster."""


class Relay:
    """All connections that workspaces have through this server."""

    def __init__(
        self,
        services: Services,
        resolve: Resolve = egress.resolve,
        *,
        head_s: float = HEAD_S,
        hands: int = HANDS,
    ) -> None:
        self._services = services
        self._head_s = head_s
        self._resolve = resolve
        self._book = Book(services)
        self._seats: dict[tuple[UUID, int], Seat] = {}
        self._peers: Counter[str] = Counter()
        self._lookups = asyncio.Semaphore(LOOKUPS)
        self._hands = asyncio.Semaphore(hands)
        self._rung: set[str] = set()
        self._wake = asyncio.Event()

    async def run(self, sock: socket.socket) -> None:
        """Relays until it is cancelled, which ends every connection."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as self._group:
            self._group.create_task(self._book.run())
            server = await loop.create_unix_server(lambda: Inside(self._came), sock=sock)
            try:
                async with self._services.doorbell.on(WORKSPACES, self._ring):
                    await self._watch()
            finally:
                server.close()

    def _came(self, end: End) -> None:
        """A connection was made."""
        assert isinstance(end, Inside)  # as run() makes them
        peer = peer_name(end.transport)
        full = self._peers[peer] >= PEER_CONNECTIONS if peer else False
        if is_stranger(end.transport) or full or self._peers.total() >= max_connections() // 4:
            end.abort()
            return
        self._peers[peer] += 1
        self._group.create_task(self._serve(end, peer))

    async def _serve(self, end: Inside, peer: str) -> None:
        """Returns when the connection is over."""
        try:
            await self._answer(end)
            end.close()
            async with asyncio.timeout(HEAD_S):
                await end.over.wait()
        except TimeoutError:
            pass  # it does not even read why it was refused
        except Exception as error:  # the edge of one connection: the others go on
            log.exception("egress.failed", exc_info=error)
        finally:
            end.abort()
            self._peers[peer] -= 1
            if not self._peers[peer]:
                del self._peers[peer]

    async def _answer(self, end: Inside) -> None:
        """Answers one request, and carries what follows."""
        try:
            async with asyncio.timeout(self._head_s):
                asked = read_request(await end.head(HEAD_BYTES))
            async with self._lookups:
                grant = await egress.grant_of(self._services, asked.token)
        except (TimeoutError, HeadTooLong, ConnectionError, ValueError) as error:
            said = f"a request takes {HEAD_BYTES} bytes and {self._head_s:g} s at most"
            said = str(error) or said
            end.write(
                refused(HTTPStatus.BAD_REQUEST, "invalid_request", f"This is the way out: {said}.")
            )
        except Unauthenticated as error:
            status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
            end.write(refused(status, error.code, "No running workspace has this agent token."))
        except TaskyardError as error:
            status = HTTPStatus.SERVICE_UNAVAILABLE
            end.write(refused(status, "busy", f"The server cannot look up the rules: {error}"))
        else:
            await self._relay(Line(end), asked, grant)

    async def _relay(self, line: Line, asked: Asked, grant: Grant) -> None:
        """Refuses with the reason, or carries what is to be carried until either side is done."""
        seat = self._sit(line, asked, grant)
        try:
            if asked.word not in {Word.CONNECT, Word.HTTP}:
                self._note_told(line, grant, asked)
                return
            target = _target(seat, asked)
            refusal = (
                target
                if isinstance(target, Refusal)
                else await self._carry(line, seat, target, is_http=asked.word is Word.HTTP)
            )
            if refusal is not None:
                self._note(grant, target, refusal.reason, asked.target)
                line.inside.write(refused(STATUS[refusal.reason], refusal.reason, refusal.sentence))
        finally:
            seat.lines.discard(line)
            self._leave(seat)

    async def _carry(
        self, line: Line, seat: Seat, target: Target, *, is_http: bool
    ) -> Refusal | None:
        """Returns when it is over, or why it was not begun."""
        if is_http:
            refusal = judge_target(target, seat.grant.rules)
            if refusal is None:
                line.inside.write(OK)
                await self._requests(line, seat, target)
            return refusal
        found = await egress.decide(seat.grant, target, partial(self._look_up, seat))
        made = found if isinstance(found, Refusal) else await connect(target, found)
        if isinstance(made, Refusal):
            return made
        self._note(seat.grant, target, Reason.LISTED)
        line.outside = made
        line.inside.write(OK)
        if target.address is None:
            told = partial(self._note, seat.grant, target)
            line.inside.watch(target.host, told, self._head_s)
        await splice(line.inside, made)
        return None

    async def _requests(self, line: Line, seat: Seat, target: Target) -> None:
        """Carries requests of plain HTTP until either side is done."""

        async def dial() -> Outside | Refusal:
            look_up = partial(self._look_up, seat)
            found = await egress.decide(seat.grant, target, look_up, is_http=True)
            if isinstance(found, Refusal):
                return found
            made = await connect(target, found)
            if isinstance(made, Refusal):
                return made
            return Outside(made, closed_targets(target, found))

        def note(reason: Reason, method: str, path: str) -> None:
            attempt = Attempt(target.host, target.port, reason, method, path)
            self._book.note(seat.grant.actor, attempt, self._services.now())

        times = Patience(head_s=self._head_s)
        rules = seat.grant.rules
        await Requests(line, target, rules=rules, dial=dial, note=note, patience=times).serve()

    def _note(self, grant: Grant, target: Target | Refusal, reason: Reason, text: str = "") -> None:
        """Counts a decision; text: what was asked for where that is no target."""
        if isinstance(target, Refusal):
            host, port = _place(text)
        else:
            host, port = target.host, target.port
        self._book.note(grant.actor, Attempt(host, port, reason), self._services.now())

    def _note_told(self, line: Line, grant: Grant, asked: Asked) -> None:
        """Counts what ended in the workspace, if it is not listed, and says so. A name has no port."""
        refusal = _judge_told(asked, grant.rules)
        if refusal is None:
            line.inside.write(OK)
            return
        host, port = (asked.target, 0) if asked.word is Word.NAME else _place(asked.target)
        self._book.note(grant.actor, Attempt(host, port, refusal.reason), self._services.now())
        line.inside.write(refused(STATUS[refusal.reason], refusal.reason, refusal.sentence))

    def _leave(self, seat: Seat) -> None:
        """The workspace has no place here any more, if there is nothing left of it."""
        if not seat.lines and not seat.looking:
            self._seats.pop(seat.key, None)

    def _sit(self, line: Line, asked: Asked, grant: Grant) -> Seat:
        """The place of the workspace, in which the line counts from now on."""
        fresh = Seat(asked.token or "", grant)
        seat = self._seats.setdefault(fresh.key, fresh)
        seat.lines.add(line)
        if len(self._seats) == 1:
            self._wake.set()  # there is something to watch
        return seat

    async def _look_up(self, seat: Seat, host: str, port: int) -> list[str]:
        """As the resolver; who stops waiting for it does not get its hand back. Raises OSError, UnicodeError."""
        await seat.names.acquire()
        seat.looking += 1
        found: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._group.create_task(self._resolve_for(seat, (host, port), found))
        return await found

    async def _resolve_for(
        self, seat: Seat, place: tuple[str, int], found: asyncio.Future[list[str]]
    ) -> None:
        """Sets found, if anybody waits for it still; in turns with other workspaces."""
        try:
            async with self._hands:
                addresses = [] if found.done() else await self._resolve(*place)
        except (OSError, UnicodeError) as error:
            if not found.done():
                found.set_exception(error)
        else:
            if not found.done():
                found.set_result(addresses)
        finally:
            seat.names.release()
            seat.looking -= 1
            self._leave(seat)

    def _ring(self, subject: str) -> None:
        """Something changed about a workspace; about any, when subject is empty."""
        if self._seats:
            self._rung.add(subject)
            self._wake.set()

    async def _watch(self) -> None:
        """Ends connections that are idle, and those of workspaces that are over."""
        clock = asyncio.get_running_loop().time
        looked = clock()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if self._seats else None):
                    await self._wake.wait()
            rung, self._rung = self._rung, set()
            by_time = not self._wake.is_set() or "" in rung
            self._wake.clear()
            for seat in list(self._seats.values()):
                if by_time or str(seat.grant.actor.workspace_id) in rung:
                    await self._look_at(seat)
                for line in seat.lines:
                    line.look(clock() - looked)
            looked = clock()

    async def _look_at(self, seat: Seat) -> None:
        """Ends the workspace's connections when its token is not good any more."""
        try:
            await egress.grant_of(self._services, seat.token)
        except Unauthenticated:
            log.info(
                "egress.ended",
                workspace_id=str(seat.grant.actor.workspace_id),
                connections=len(seat.lines),
            )
            seat.end()
        except TaskyardError as error:
            log.warning("egress.not_checked", cause=str(error))


def _place(text: str) -> tuple[str, int]:
    """Host and port of what was asked for; the text and 0 where it is no target."""
    try:
        target = read_target(text)
    except ValueError:
        return text, 0
    return target.host, target.port


def _judge_told(asked: Asked, rules: Sequence[Egress]) -> Refusal | None:
    """Why what a workspace tells of did not get out; None where it may."""
    if asked.word is Word.NAME:
        return judge_name(asked.target, rules)
    if asked.word is Word.OTHER:
        return ONLY_TCP
    try:
        return judge_target(read_target(asked.target), rules)
    except ValueError as error:
        return Refusal(Reason.TARGET_INVALID, f"This is no target: {error}.")


def _target(seat: Seat, asked: Asked) -> Target | Refusal:
    """What is asked for, if the workspace may have one connection more."""
    try:
        target = read_target(asked.target)
    except ValueError as error:
        return Refusal(Reason.TARGET_INVALID, f"This is no target: {error}.")
    if len(seat.lines) > WORKSPACE_CONNECTIONS:
        return Refusal(
            Reason.TOO_MANY,
            f"The workspace has {WORKSPACE_CONNECTIONS} connections already. Close some.",
        )
    return target


async def connect(target: Target, addresses: Sequence[Address]) -> End | Refusal:
    """A connection to one of the addresses, tried in order, or why none could be made."""
    loop = asyncio.get_running_loop()
    end_at = loop.time() + CONNECT_S
    cause, timed_out = "", False
    for number, address in enumerate(addresses):
        is_last = number == len(addresses) - 1
        until = end_at if is_last else min(end_at, loop.time() + CONNECT_S / 4)
        try:
            # By address, never by name: what was checked is what is connected to.
            async with asyncio.timeout_at(until):
                _, end = await loop.create_connection(End, str(address), target.port)
        except TimeoutError:
            timed_out = True
        except OSError as error:
            cause = os.strerror(error.errno).lower() if error.errno else str(error)
        else:
            return end
    if cause and not timed_out:
        return Refusal(Reason.UNREACHABLE, f"{target} cannot be reached from the server: {cause}.")
    return Refusal(Reason.TIMEOUT, f"{target} did not answer the server within {CONNECT_S:g} s.")
