"""What transcript items tell of a coding agent: its state, its own report, and what it asks people to permit.

Everything here happens in the transaction that stores the items. What clients are told is decided in
lifecycle/observed.py and written as a status of the task's app, which is where all clients look.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeVar
from uuid import UUID

import msgspec

from taskyard.db import agents as agents_db
from taskyard.db import observed as db
from taskyard.db import transcript as transcript_db
from taskyard.db.jobs import WORKSPACES
from taskyard.db.pool import ring
from taskyard.lifecycle.observed import (
    IN_SESSION,
    Observed,
    Outcome,
    Report,
    Told,
    is_before_work,
    one_line,
    shown_link,
    tell,
    whole_title,
)
from taskyard.wire.link import AgentState, ItemKind, StateNews, Waiting

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

T = TypeVar("T", bound=msgspec.Struct)

MOST_OPTIONS: Final = 32
"""Answers of one request that are kept; coding agents offer two to six."""

ID_CHARS: Final = 200
"""Longest id of a request or of an option: ours have 36 characters, those of coding agents some words."""

IN_TURN: Final = frozenset({AgentState.WORKING, AgentState.WAITING})
"""States of a turn: as long as one lasts, requests of it may be open."""

OF_INTEREST: Final = frozenset(
    {
        ItemKind.STATE,
        ItemKind.REPORT,
        ItemKind.USER_MESSAGE,
        ItemKind.TURN_END,
        ItemKind.PERMISSION_REQUEST,
        ItemKind.PERMISSION_RESPONSE,
    }
)
"""Kinds that tell anything; all others are passed over."""


class _TurnEnd(msgspec.Struct):
    reason: str = ""
    error: str | None = None


class _Report(msgspec.Struct):
    summary: str = ""
    link: str | None = None
    outcome: Outcome = Outcome.WORKING


class _Option(msgspec.Struct):
    option_id: str
    name: str = ""
    kind: str = ""


class _Request(msgspec.Struct):
    id: str = ""
    title: str = ""
    options: list[_Option] = msgspec.field(default_factory=list)
    expires_at: datetime | None = None


class _Response(msgspec.Struct):
    id: str = ""
    option_id: str | None = None
    by: Literal["policy", "person", "timeout", "cancel"] = "policy"


@dataclass(frozen=True, slots=True)
class Source:
    """Whose items these are: a workspace's, and the agent's that sent them; null for items of the server's own."""

    workspace_id: UUID
    agent_id: UUID | None


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was known right after an item: from it follows what clients are told."""

    number: int
    observed: Observed
    report: Report | None


class _Reader:
    """Takes items one by one, stores what each tells, and keeps what was known after each."""

    def __init__(
        self, conn: "Connection", task_id: UUID, stored: db.ObservationRow, now: datetime
    ) -> None:
        self.seen: list[_Seen] = []
        self._observed = stored.observed
        self._report = stored.report
        self._told_by = stored.generation  # the newest generation whose bridge told a state
        self._at = stored.generation
        self._conn = conn
        self._task_id = task_id
        self._now = now

    async def read(self, item: transcript_db.NewItem) -> None:
        """Stores what the item tells, if anything."""
        if item.generation not in (None, self._at):
            self._observed, self._at = None, item.generation  # what was seen before is over
        match ItemKind(item.kind):
            case ItemKind.STATE:
                await self._state(item)
            case ItemKind.REPORT:
                await self._reported(item)
            case ItemKind.USER_MESSAGE:
                await self._asked(item)
            case ItemKind.TURN_END:
                await self._ended(item)
            case ItemKind.PERMISSION_REQUEST:
                await self._request(item)
            case ItemKind.PERMISSION_RESPONSE:
                await self._response(item)
            case _:
                pass

    def _tells_states(self, item: transcript_db.NewItem) -> bool:
        """Whether the bridge of that generation has told a state; that of an older release tells none."""
        return item.generation is not None and item.generation == self._told_by

    def _see(self, item: transcript_db.NewItem, observed: Observed | None = None) -> None:
        self._observed = observed or self._observed
        if self._observed is not None:
            self.seen.append(_Seen(item.number, self._observed, self._report))

    async def _state(self, item: transcript_db.NewItem) -> None:
        news = _decoded(item, StateNews)
        if news is None:
            return
        observed = Observed(news.state, _text(news.session), _maybe(news.reason), _waiting(news))
        if item.generation is not None:
            self._told_by = item.generation
        if news.state not in IN_TURN:
            await db.close_permissions_as_system(self._conn, self._task_id, self._now)
        elif item.generation is not None:
            # A fresh start begins otherwise, so this coding agent was frozen and goes on.
            await db.keep_permissions_as_system(self._conn, self._task_id, item.generation)
        await db.upsert_observed_as_system(
            self._conn,
            self._task_id,
            item.number,
            observed,
            generation=self._told_by or 0,
            now=self._now,
        )
        self._see(item, observed)

    async def _reported(self, item: transcript_db.NewItem) -> None:
        said = _decoded(item, _Report)
        if said is not None:
            link = shown_link(said.link or "")
            await self._keep(item, Report(one_line(said.summary), link, said.outcome))
            self._see(item)

    async def _asked(self, item: transcript_db.NewItem) -> None:
        """A new message: what the coding agent said of its work before is void."""
        await self._keep(item, None)
        self._see(item, None if self._tells_states(item) else Observed(AgentState.WORKING))

    async def _ended(self, item: transcript_db.NewItem) -> None:
        await db.close_permissions_as_system(self._conn, self._task_id, self._now)
        if not self._tells_states(item):
            self._see(item, _ended(_decoded(item, _TurnEnd) or _TurnEnd()))

    async def _keep(self, item: transcript_db.NewItem, report: Report | None) -> None:
        self._report = report
        await db.upsert_report_as_system(
            self._conn, self._task_id, item.number, report, now=self._now
        )

    async def _request(self, item: transcript_db.NewItem) -> None:
        asked = _decoded(item, _Request)
        if asked is None or not _is_id(asked.id) or item.generation is None:
            return
        permission = db.NewPermission(
            number=item.number,
            id=asked.id,
            generation=item.generation,
            title=whole_title(asked.title),
            options=[
                db.PermissionOptionRow(o.option_id, whole_title(o.name), _text(o.kind))
                for o in asked.options[:MOST_OPTIONS]
                if _is_id(o.option_id)
            ],
            expires_at=_moment(asked.expires_at),
        )
        await db.insert_permission_as_system(self._conn, self._task_id, permission, self._now)

    async def _response(self, item: transcript_db.NewItem) -> None:
        said = _decoded(item, _Response)
        if said is None or not _is_id(said.id):
            return
        option_id = said.option_id if said.option_id and _is_id(said.option_id) else None
        # Whose answer it was is noted by who passed it on: a workspace could name anybody.
        answer = db.PermissionAnswer(
            id=said.id, option_id=option_id, answered_by=said.by, answerer=None
        )
        await db.answer_permission_as_system(self._conn, self._task_id, answer, self._now)


async def observe(
    conn: "Connection",
    source: Source,
    task_id: UUID,
    items: Sequence[transcript_db.NewItem],
    *,
    now: datetime,
) -> None:
    """Stores what new items tell of a coding agent, and what clients are told of it from then on."""
    telling = [item for item in items if item.kind in OF_INTEREST]
    if not telling:
        return
    stored = await db.get_observation_as_system(conn, task_id)
    reader = _Reader(conn, task_id, stored, now)
    for item in telling:
        await reader.read(item)
    told = await _told(conn, source, stored, reader.seen)
    if told is not None:
        await _show(conn, source, stored, told, number=reader.seen[-1].number, now=now)
    await ring(conn, "task", str(task_id))


async def show_idle(conn: "Connection", source: Source, task_id: UUID, now: datetime) -> None:
    """Tells clients what the coding agent does, now that nothing is on its way to it.

    A bridge that tells no states takes input by now, or nobody would look whether there is any.
    """
    stored = await db.get_observation_as_system(conn, task_id)
    observed = stored.observed or Observed(AgentState.IDLE)
    before = _shown(stored) if stored.of_this_start else None
    told = tell(observed, stored.report, shown=stored.shown_state, input_due=False)
    if told is not None and told != before:
        await _show(conn, source, stored, told, number=stored.number or 0, now=now)
        await ring(conn, "task", str(task_id))


async def _told(
    conn: "Connection", source: Source, stored: db.ObservationRow, seen: list[_Seen]
) -> Told | None:
    """What clients are told now; None when that is what they see already, and was all the time."""
    before = _shown(stored) if stored.of_this_start else None
    last, newest, is_news, due = stored.shown_state, None, False, None
    for step in seen:
        if due is None and is_before_work(step.observed):
            due = await _is_input_due(conn, source)
        told = tell(step.observed, step.report, shown=last, input_due=bool(due))
        if told is not None:
            last, newest, is_news = told.state, told, is_news or told != before
    return newest if is_news else None


async def _is_input_due(conn: "Connection", source: Source) -> bool:
    """Whether the first thing that this start's coding agent is to work on has not come to it yet."""
    if source.agent_id is None:
        return False
    row = await transcript_db.get_delivery_as_system(conn, source.agent_id)
    return row is not None and row.is_due and not row.has_report


def _shown(stored: db.ObservationRow) -> Told | None:
    if stored.shown_state is None:
        return None
    return Told(stored.shown_state, stored.shown_message or "", stored.shown_uri or "")


async def _show(
    conn: "Connection",
    source: Source,
    stored: db.ObservationRow,
    told: Told,
    *,
    number: int,
    now: datetime,
) -> None:
    """Writes the status that clients see; nothing where there is no app to show it of."""
    agent_id = source.agent_id or stored.shown_agent_id
    if agent_id is None:
        return
    app = await agents_db.get_task_app_as_system(conn, agent_id)
    if app is None and stored.shown_app_id is not None:
        app = agents_db.AppRefRow(stored.shown_app_id, source.workspace_id)
    if app is None:
        return
    await agents_db.insert_app_status_as_system(
        conn,
        app,
        agent_id,
        state=told.state,
        message=told.message,
        uri=told.uri,
        number=number,
        now=now,
    )
    await ring(conn, WORKSPACES, str(source.workspace_id))


def _ended(end: _TurnEnd) -> Observed:
    """What the end of a turn says of a coding agent whose bridge tells no states."""
    if end.error:
        return Observed(AgentState.FAILED, IN_SESSION, one_line(end.error))
    return Observed(AgentState.IDLE, IN_SESSION, one_line(end.reason) or "end_turn")


def _waiting(news: StateNews) -> Waiting | None:
    """What it waits for: there with state waiting and with no other."""
    if news.state is not AgentState.WAITING:
        return None
    waiting = news.waiting or Waiting("dialog", "", "")
    known = waiting.id if _is_id(waiting.id) else ""
    return Waiting(_text(waiting.kind), known, whole_title(waiting.title))


def _decoded(item: transcript_db.NewItem, kind: type[T]) -> T | None:
    """What the item says; None when it says nothing of its kind: a workspace may send anything."""
    try:
        return msgspec.json.decode(item.data, type=kind)
    except (ValueError, RecursionError):
        return None


def _is_id(text: str) -> bool:
    return 0 < len(text) <= ID_CHARS and text.isprintable()


def _text(text: str) -> str:
    return whole_title(text)[:ID_CHARS]


def _maybe(text: str | None) -> str | None:
    return None if text is None else whole_title(text)


def _moment(at: datetime | None) -> datetime | None:
    """A time that a column takes and gives back; none for one without a zone, or beyond all years."""
    try:
        return None if at is None or at.tzinfo is None else at.astimezone(UTC)
    except OverflowError:
        return None
