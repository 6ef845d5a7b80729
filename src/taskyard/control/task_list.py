"""The list of tasks: its query, and pages for those who ask for them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import replace

from taskyard.control.actors import Actor, Who
from taskyard.control.search import Search
from taskyard.control.services import Services
from taskyard.control.task_failures import Failures, read_failures
from taskyard.control.task_queue import Places, read_places
from taskyard.control.tasks_view import listed_view
from taskyard.db import tasks as db
from taskyard.errors import QueryInvalid
from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import ListTasksQuery, Task

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

KEYS = ("owner", "organization", "status")
"""What a search for tasks may name. Source: tasks-api 8.1."""

BATCH = 250
"""Tasks that are in memory at once: some 300 kB with usual inputs. A list that has fewer is sent in one piece."""


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks, newest first.

    rest gives those after them; null when there are none. next_token is null unless pages were asked for and there
    is one more.
    """

    tasks: list[Task]
    rest: AsyncGenerator[list[Task], None] | None = None
    next_token: str | None = None


async def list_tasks(
    services: Services, who: Who, query: ListTasksQuery, now: datetime
) -> TaskPage:
    """The tasks that whoever asks may see, narrowed by `q`; raises QueryInvalid. Source: T44-T50."""
    size = query.page_size
    before_at, before_id = _read_token(query.page_token)
    limit = BATCH if size is None else size + 1
    actor = await who()
    async with services.db.reading() as conn:
        only = await _filter(conn, actor, query.q)
        only = replace(only, before_at=before_at, before_id=before_id)
        rows = await db.list_tasks(conn, actor.viewer, only, limit=limit)
        places = await read_places(conn, services, rows)
        failures = await read_failures(conn, rows)
    if size is None and len(rows) == limit:
        rest = _rest(services, who, only, rows[-1], now=now)
        return TaskPage(_views(rows, actor, places, failures, now=now), rest)
    if size is None or len(rows) <= size:
        return TaskPage(_views(rows, actor, places, failures, now=now))
    shown = _views(rows[:size], actor, places, failures, now=now)
    return TaskPage(shown, next_token=_token(rows[size - 1]))


def _views(
    rows: list[db.TaskRow], actor: Actor, places: Places, failures: Failures, *, now: datetime
) -> list[Task]:
    return [
        listed_view(
            row,
            actor,
            now,
            queue=places.get(row.workspace_id),
            failure=failures.get(row.workspace_id),
        )
        for row in rows
    ]


async def _rest(
    services: Services, who: Who, only: db.TaskFilter, last: db.TaskRow, *, now: datetime
) -> AsyncGenerator[list[Task], None]:
    """The tasks behind the last one, batch by batch. While a client takes its time, nothing is kept from others."""
    rows = [last]
    while rows:
        only = replace(only, before_at=rows[-1].created_at, before_id=rows[-1].id)
        actor = await who()
        async with services.db.reading() as conn:
            rows = await db.list_tasks(conn, actor.viewer, only, limit=BATCH)
            places = await read_places(conn, services, rows)
            failures = await read_failures(conn, rows)
        if rows:
            yield _views(rows, actor, places, failures, now=now)


async def _filter(conn: "Connection", actor: Actor, q: str) -> db.TaskFilter:
    search = Search(q, KEYS, bare="owner")
    only = db.TaskFilter(
        owner_id=await search.user(conn, actor, "owner"),
        organization_id=await search.organization(conn, actor),
        status=search.word("status", TaskStatus),
    )
    search.check()
    return only


def _token(row: db.TaskRow) -> str:
    """Where the next page begins: behind this task."""
    return urlsafe_b64encode(f"{row.created_at.isoformat()} {row.id}".encode()).decode()


def _read_token(raw: str) -> tuple[datetime | None, UUID | None]:
    if not raw:
        return None, None
    try:
        at, _, task_id = urlsafe_b64decode(raw.encode()).decode().partition(" ")
        return datetime.fromisoformat(at).astimezone(UTC), UUID(task_id)
    except (ValueError, OverflowError) as error:
        raise QueryInvalid(
            [("page_token", "give the X-Taskyard-Next-Page of the page before")]
        ) from error
