"""What the session is and has done: session, transcript, screen, snapshot. Source: agentapi 10."""

import asyncio
import hashlib
from typing import TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from taskyard_agent.acp_messages import NONE, present
from taskyard_agent.bridge.events import screen_of
from taskyard_agent.bridge.record import SessionState
from taskyard_agent.bridge.served import Served
from taskyard_agent.bridge.session import TerminalLike
from taskyard_agent.bridge.v2.reading import invalid, json, number
from taskyard_agent.bridge.v2.shapes import (
    AcpShape,
    AgentShape,
    CheckpointResponse,
    LimitsShape,
    SessionResponse,
    TerminalShape,
    TurnShape,
)
from taskyard_agent.journal import READ_BYTES
from taskyard_agent.protocol import Item, ItemKind
from taskyard_agent.snapshot import SNAPSHOT_BYTES, SnapshotMessage, fit

T = TypeVar("T")

TRANSCRIPT_ITEMS = 1_000
"""Items in an answer, at most and when no number is asked for. Source: agentapi 10."""

PAGE_ITEMS = 500
"""Items read between two chances for others to run."""

SNAPSHOT_MIN_BYTES = 1_024
"""Smallest snapshot that may be asked for: the marker of a cut message must fit in."""

MAX_SNAPSHOT_BYTES = 64 * 1024 * 1024
"""Largest snapshot: as much of a conversation as is read in one piece anywhere."""


class View:
    """Handlers that only look."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._record = served.session.record
        self._screen = screen_of(served.session)

    async def session(self, _: Request) -> Response:
        """The session as it is."""
        return json(self._session())

    def _session(self) -> SessionResponse:
        record, known = self._record, self._record.overview
        state = (
            SessionState.STARTING if record.state is None else SessionState(record.state.session)
        )
        turn = self._served.session.turn
        return SessionResponse(
            state=state,
            since=record.state_since,
            transport=self._served.session.transport,
            agent=self._agent(),
            acp=self._acp() if self._served.session.transport == "acp" else None,
            terminal=self._terminal(),
            turn=None if turn is None else TurnShape(turn.id, turn.started, turn.prompt_id),
            plan=self._plan(),
            usage=known.usage or None,
            title=self._text("title"),
            last_seq=record.journal.last_seq,
            queue_length=self._served.prompts.queue_length,
            limits=LimitsShape.of(self._served.options.limits),
        )

    def _agent(self) -> AgentShape:
        told = self._record.overview.info.get("agent")
        named = (None if told is None else _value(told, _Agent)) or _Agent()
        pid = self._number("pid")
        return AgentShape(self._served.agent_type, named.name, named.version, pid)

    def _acp(self) -> AcpShape:
        mode = self._text("currentModeId")
        return AcpShape(
            protocol=self._number("protocol"),
            session_id=self._text("session_id"),
            capabilities=self._record.overview.info.get("capabilities"),
            modes=self._record.overview.info.get("modes"),
            mode=mode or self._text("mode"),
        )

    def _terminal(self) -> TerminalShape | None:
        session = self._served.session
        if session.transport != "pty":
            return None
        return TerminalShape(*cast(TerminalLike, session).size)  # told by the transport

    def _plan(self) -> msgspec.Raw | None:
        raw = self._record.overview.plan
        plan = None if raw is None else _value(raw, _Plan)
        return None if plan is None else present(plan.entries)

    def _text(self, name: str) -> str | None:
        raw = self._record.overview.info.get(name)
        return None if raw is None else _value(raw, str)

    def _number(self, name: str) -> int | None:
        raw = self._record.overview.info.get(name)
        return None if raw is None else _value(raw, int)

    async def transcript(self, request: Request) -> Response:
        """Items after a number, some kinds of them or all."""
        asked = request.query_params
        after = number(asked.get("after"), "query.after", 0)
        limit = number(asked.get("limit"), "query.limit", TRANSCRIPT_ITEMS, TRANSCRIPT_ITEMS)
        items = await self._items(after, limit, _kinds(asked.get("kinds")))
        journal = self._record.journal
        found = _Transcript(items, journal.last_seq, journal.first_seq)
        return json(found)

    async def _items(self, after: int, limit: int, kinds: frozenset[str]) -> list[Item]:
        """Up to limit items, and about 1 MiB of them; fewer than one only at the end."""
        found: list[Item] = []
        size = 0
        while len(found) < limit and size < READ_BYTES:
            page = self._record.journal.read(after, PAGE_ITEMS)
            if not page:
                break
            for item in page:
                after = item.seq
                if item.kind in kinds:
                    found.append(item)
                    size += len(bytes(item.data))
                    if len(found) == limit or size >= READ_BYTES:
                        break
            await asyncio.sleep(0)
        return found

    async def screen(self, request: Request) -> Response:
        """The screen; 304 when the caller has it."""
        text = self._screen().encode(errors="replace")
        tag = f'"{hashlib.blake2b(text, digest_size=8).hexdigest()}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        known = request.headers.get("if-none-match", "")
        if tag in {part.strip().removeprefix("W/") for part in known.split(",")}:
            return Response(status_code=304, headers=headers)
        return Response(text, headers=headers, media_type="text/plain")

    async def snapshot(self, request: Request) -> Response:
        """The newest messages that fit. Source: N21."""
        given = request.query_params.get("max_bytes")
        most = number(given, "query.max_bytes", SNAPSHOT_BYTES, MAX_SNAPSHOT_BYTES)
        if most < SNAPSHOT_MIN_BYTES:
            raise invalid(f"This must be at least {SNAPSHOT_MIN_BYTES}.", "query.max_bytes")
        messages = [
            SnapshotMessage(message.id, message.content, message.role, message.time.isoformat())
            for message in self._record.conversation.messages
        ]
        return Response(fit(messages, most), media_type="application/json")

    async def checkpoint(self, _: Request) -> Response:
        """Everything so far is on stable storage. Source: N20."""
        last = self._record.journal.last_seq
        await self._record.journal.sync()
        return json(CheckpointResponse(last))


class _Transcript(msgspec.Struct):
    """A TranscriptResponse whose items are as they are on disk."""

    items: list[Item]
    last_seq: int
    first_seq: int


class _Agent(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class _Plan(msgspec.Struct):
    entries: msgspec.Raw = NONE


def _value(raw: msgspec.Raw, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError:
        return None


def _kinds(words: str | None) -> frozenset[str]:
    """The kinds that are asked for; without any, all. Raises Problem."""
    if not words:
        return frozenset(ItemKind)
    asked = frozenset(word.strip() for word in words.split(","))
    strange = sorted(asked - set(ItemKind))
    if strange:
        raise invalid(f"There is no kind {strange[0]!r} of items.", "query.kinds")
    return asked
