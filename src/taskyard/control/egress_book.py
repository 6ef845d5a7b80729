"""What was decided about workspaces' connections, counted: in the log at once, in the database a second later.

A workspace can try as often as it likes and as many places as it can think of: it gets so many rows of each
verdict, so many lines, and one of each for all the rest. Allowed ones have rows of their own, so that no flood of
refused ones hides where something went.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import anyio
import structlog

from taskyard.control.actors import AgentActor
from taskyard.control.services import Services
from taskyard.db import network as db
from taskyard.errors import TaskyardError
from taskyard.lifecycle.egress import MAX_NAME_CHARS, Reason
from taskyard.wire.network import NetworkVerdict

log = structlog.get_logger()

FLUSH_S = 1.0
"""Seconds that counts wait for others, which go to the database with them: what a crash loses."""

LAST_FLUSH_S = 2.0
"""Seconds for the counts that are left when the server ends."""

TELL_S = 60.0
"""Seconds between the log's lines that count what came again."""

KEEP_S = 600.0
"""Seconds without any attempt after which nothing is remembered of a workspace here."""

ROWS = 200
"""Places of each verdict that are told apart for one workspace; package managers with mirrors know some twenty."""

MAX_PATH_CHARS = 200
"""Characters of a path that are kept."""

_VERDICTS = {
    Reason.LISTED: NetworkVerdict.ALLOWED,
    Reason.NAME_UNKNOWN: NetworkVerdict.FAILED,
    Reason.UNREACHABLE: NetworkVerdict.FAILED,
    Reason.TIMEOUT: NetworkVerdict.FAILED,
    Reason.ANSWER_INVALID: NetworkVerdict.FAILED,
}
"""What became of an attempt; all other reasons refuse it."""


class Attempt(NamedTuple):
    """What was tried, and the end of it. Port 0 and empty texts: none."""

    host: str
    port: int
    reason: Reason
    method: str = ""
    path: str = ""

    @property
    def verdict(self) -> NetworkVerdict:
        """What became of it."""
        return _VERDICTS.get(self.reason, NetworkVerdict.REFUSED)


class _Kind(NamedTuple):
    """What is counted together; without a host, everything of a verdict that is not told apart."""

    verdict: NetworkVerdict
    host: str = ""
    port: int = 0
    method: str = ""
    path: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Count:
    first_at: datetime
    last_at: datetime
    count: int = 1


@dataclass(slots=True)
class _Page:
    """A workspace. stored: rows that it has, null before somebody looked. again: attempts that were not told yet."""

    task_id: UUID | None
    stored: set[_Kind] | None = None
    told: set[_Kind] = field(default_factory=set)
    pending: dict[_Kind, _Count] = field(default_factory=dict)
    again: Counter[NetworkVerdict] = field(default_factory=Counter)
    idle_s: float = 0.0

    def kind_for(self, kind: _Kind) -> _Kind:
        """The kind itself, or the one for the rest where there is no row left for it."""
        known = self.stored or set()
        if kind in known or kind in self.pending:
            return kind
        rows = {each for each in (*known, *self.pending) if each.verdict is kind.verdict}
        return kind if len(rows) < ROWS else _Kind(kind.verdict)

    def add(self, kind: _Kind, count: _Count) -> None:
        """Counts in what is to be written."""
        there = self.pending.get(kind)
        if there is None:
            self.pending[kind] = count
            return
        there.count += count.count
        there.first_at = min(there.first_at, count.first_at)
        there.last_at = max(there.last_at, count.last_at)


class Book:
    """All attempts that this server decides about. run() until it is cancelled, which writes what is left."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._pages: dict[UUID, _Page] = {}
        self._wake = asyncio.Event()

    def note(self, actor: AgentActor, attempt: Attempt, now: datetime) -> None:
        """Counts an attempt; the first of its kind is a line of the log, the others are told together."""
        page = self._pages.setdefault(actor.workspace_id, _Page(actor.task_id))
        kind = page.kind_for(_kind_of(attempt))
        page.idle_s = 0.0
        page.add(kind, _Count(now, now))
        self._wake.set()
        if kind in page.told or len(page.told) > len(NetworkVerdict) * (ROWS + 1):
            page.again[kind.verdict] += 1
            return
        page.told.add(kind)
        _tell(actor.workspace_id, page.task_id, kind)

    async def run(self) -> None:
        """Writes what is noted, until it is cancelled."""
        clock = asyncio.get_running_loop().time
        told = clock()
        try:
            while True:
                await self._wait()
                await self.flush()
                if clock() - told >= TELL_S:
                    self._tell_again(clock() - told)
                    told = clock()
        finally:
            with anyio.move_on_after(LAST_FLUSH_S, shield=True):
                await self.flush()

    async def _wait(self) -> None:
        """Returns a little after something was noted, and now and then where there is something to forget."""
        try:
            async with asyncio.timeout(TELL_S if self._pages else None):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()
        await asyncio.sleep(FLUSH_S)

    async def flush(self) -> None:
        """Writes everything that waits; what cannot be written waits on."""
        for workspace_id, page in list(self._pages.items()):
            if page.pending:
                try:
                    await self._write(workspace_id, page)
                except TaskyardError as error:
                    log.warning("egress.not_counted", cause=str(error))
                    self._wake.set()
                    return

    async def _write(self, workspace_id: UUID, page: _Page) -> None:
        async with self._services.db.connection() as conn:
            if page.stored is None:
                rows = await db.list_decisions_as_system(conn, workspace_id)
                page.stored = {_stored(row) for row in rows}
            pending, page.pending = page.pending, {}
            for kind, count in pending.items():
                page.add(page.kind_for(kind), count)
            taken, page.pending = page.pending, {}
            page.stored |= (
                taken.keys()
            )  # at once: meanwhile others come, and are limited by what there is
            try:
                rows = [_row(kind, count) for kind, count in taken.items()]
                await db.count_decisions_as_system(conn, workspace_id, rows)
            except BaseException:
                newer, page.pending = page.pending, taken
                for kind, count in newer.items():
                    page.add(kind, count)
                raise

    def _tell_again(self, passed_s: float) -> None:
        """Tells how often known attempts came again, and forgets workspaces that try nothing any more."""
        for workspace_id, page in list(self._pages.items()):
            if page.again:
                log.info(
                    "egress.counted",
                    workspace_id=str(workspace_id),
                    task_id=None if page.task_id is None else str(page.task_id),
                    **{str(verdict): page.again[verdict] for verdict in NetworkVerdict},
                )
                page.again.clear()
            page.idle_s += passed_s
            if page.idle_s >= KEEP_S and not page.pending:
                del self._pages[workspace_id]


def _kind_of(attempt: Attempt) -> _Kind:
    return _Kind(
        attempt.verdict,
        _plain(attempt.host, MAX_NAME_CHARS) or "?",
        attempt.port,
        _plain(attempt.method, 40),
        _plain(attempt.path, MAX_PATH_CHARS),
        attempt.reason,
    )


def _plain(text: str, most: int) -> str:
    """The text without anything but ASCII that can be seen: hostile ones go into logs and tables."""
    return "".join(char if "!" <= char <= "~" else "?" for char in text[:most])


def _stored(row: db.DecisionRow) -> _Kind:
    return _Kind(row.verdict, row.host, row.port, row.method, row.path, row.reason)


def _row(kind: _Kind, count: _Count) -> db.DecisionRow:
    return db.DecisionRow(
        verdict=kind.verdict,
        host=kind.host,
        port=kind.port,
        method=kind.method,
        path=kind.path,
        reason=kind.reason,
        count=count.count,
        first_at=count.first_at,
        last_at=count.last_at,
    )


def _tell(workspace_id: UUID, task_id: UUID | None, kind: _Kind) -> None:
    request = {"method": kind.method, "path": kind.path} if kind.method else {}
    log.info(
        "egress.decided",
        workspace_id=str(workspace_id),
        task_id=None if task_id is None else str(task_id),
        host=kind.host or "(and others)",
        port=kind.port or None,
        verdict=str(kind.verdict),
        reason=kind.reason or "many",
        **request,
    )
