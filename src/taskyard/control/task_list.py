"""The list of tasks: its query, and pages for those who ask for them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import replace

from taskyard.control.actors import Actor, Who
from taskyard.control.services import Services
from taskyard.control.tasks_view import task_view
from taskyard.control.viewers import may_read_user
from taskyard.db import identity
from taskyard.db import tasks as db
from taskyard.errors import QueryInvalid
from taskyard.lifecycle.search import explain, parse_query
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
    if size is None and len(rows) == limit:
        return TaskPage(_views(rows, now), _rest(services, who, only, rows[-1], now=now))
    if size is None or len(rows) <= size:
        return TaskPage(_views(rows, now))
    return TaskPage(_views(rows[:size], now), next_token=_token(rows[size - 1]))


def _views(rows: list[db.TaskRow], now: datetime) -> list[Task]:
    return [task_view(row, now) for row in rows]


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
        if rows:
            yield _views(rows, now)


async def _filter(conn: "Connection", actor: Actor, q: str) -> db.TaskFilter:
    found = parse_query(q, KEYS, bare="owner")
    if isinstance(found, list):
        raise QueryInvalid([(violation.field, explain(violation, KEYS)) for violation in found])
    violations: list[tuple[str, str]] = []
    owner_id = organization_id = status = None
    if "owner" in found:
        owner_id = await owner_of_query(conn, actor, found["owner"], violations)
    if "organization" in found:
        organization_id = await organization_of_query(
            conn, actor, found["organization"], violations
        )
    if "status" in found:
        status = _status(found["status"], violations)
    if violations:
        raise QueryInvalid(violations)
    return db.TaskFilter(owner_id=owner_id, organization_id=organization_id, status=status)


async def owner_of_query(
    conn: "Connection", actor: Actor, value: str, violations: list[tuple[str, str]]
) -> UUID | None:
    """The user that a query names: `me`, a UUID that may match nobody, or a name that must be visible."""
    if value == "me":
        return actor.user_id
    user_id = _uuid_or_none(value)
    if user_id is not None:
        return user_id
    user = None
    if "\0" not in value:
        user = await identity.get_user_by_username_as_system(conn, value)
    if user is None or not may_read_user(actor, user):
        violations.append(("owner", f'there is no user "{value}", or you may not see them'))
        return None
    return user.id


async def organization_of_query(
    conn: "Connection", actor: Actor, value: str, violations: list[tuple[str, str]]
) -> UUID | None:
    """The organization that a query names: a UUID that may match none, or a name that must be visible."""
    organization_id = _uuid_or_none(value)
    if organization_id is not None:
        return organization_id
    for row in await identity.list_organizations(conn, actor.viewer):
        if row.name.lower() == value:
            return row.id
    violations.append(
        ("organization", f'there is no organization "{value}", or you may not see it')
    )
    return None


def _status(value: str, violations: list[tuple[str, str]]) -> TaskStatus | None:
    if value in set(TaskStatus):
        return TaskStatus(value)
    violations.append(("status", f'"{value}" is no status; give one of {", ".join(TaskStatus)}'))
    return None


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


def _uuid_or_none(raw: str) -> UUID | None:
    try:
        return UUID(raw)
    except ValueError:
        return None
