"""The list of workspaces: its query and its pages."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.task_list import organization_of_query, owner_of_query
from taskyard.control.viewers import viewer_for
from taskyard.control.workspace_view import agents_of
from taskyard.control.workspaces import workspace_views
from taskyard.db import workspaces as db
from taskyard.errors import QueryInvalid
from taskyard.lifecycle.permissions import Verb
from taskyard.lifecycle.search import explain, parse_query
from taskyard.wire import workspaces as wire
from taskyard.wire.enums import AgentStatus, WorkspaceStatus
from taskyard.wire.workspace_requests import ListWorkspacesQuery

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

KEYS = (
    "owner",
    "template",
    "name",
    "status",
    "organization",
    "has-agent",
    "dormant",
    "has-ai-task",
    "healthy",
    "last_used_after",
    "last_used_before",
)
"""What a search for workspaces may name. Source: supporting-api 9 row 61."""

BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
"""The words for yes and no in a query."""

Word = TypeVar("Word", bound=StrEnum)

Violations = list[tuple[str, str]]

Check = Callable[[wire.Workspace], bool]


@dataclass(frozen=True, slots=True)
class _Search:
    """A query: what the database decides, and what is seen only once a workspace is put together."""

    only: db.WorkspaceFilter
    checks: list[Check]


async def list_workspaces(
    services: Services, actor: Actor, query: ListWorkspacesQuery, now: datetime
) -> wire.WorkspacesResponse:
    """A page of the live workspaces that the actor may see; raises QueryInvalid."""
    viewer = viewer_for(actor, Verb.WORKSPACE_READ)
    limit, offset = query.limit or None, query.offset
    async with services.db.connection() as conn:
        search = await _search(conn, actor, query.q)
        if search.checks:
            all_rows = await db.list_workspaces(conn, viewer, search.only, limit=None, offset=0)
            views = await workspace_views(conn, all_rows, now)
            kept = [view for view in views if all(check(view) for check in search.checks)]
            end = None if limit is None else offset + limit
            return wire.WorkspacesResponse(workspaces=kept[offset:end], count=len(kept))
        rows = await db.list_workspaces(conn, viewer, search.only, limit=limit, offset=offset)
        views = await workspace_views(conn, rows, now)
        total = rows[0].total if rows else 0
        if not rows and offset:
            first = await db.list_workspaces(conn, viewer, search.only, limit=1, offset=0)
            total = first[0].total if first else 0
    return wire.WorkspacesResponse(workspaces=views, count=total)


async def _search(conn: "Connection", actor: Actor, q: str) -> _Search:
    found = parse_query(q, KEYS, bare="name")
    if isinstance(found, list):
        raise QueryInvalid([(violation.field, explain(violation, KEYS)) for violation in found])
    violations: Violations = []
    owner, name = _owner_and_name(found)
    owner_id = organization_id = None
    if owner:
        owner_id = await owner_of_query(conn, actor, owner, violations)
    if "organization" in found:
        organization_id = await organization_of_query(
            conn, actor, found["organization"], violations
        )
    only = db.WorkspaceFilter(
        owner_id=owner_id,
        organization_id=organization_id,
        template=_text(found.get("template")),
        name=_text(name),
        status=_word(found, "status", WorkspaceStatus, violations),
        has_ai_task=_boolean(found, "has-ai-task", violations),
        dormant=_boolean(found, "dormant", violations),
        used_after=_time(found, "last_used_after", violations),
        used_before=_time(found, "last_used_before", violations),
    )
    checks = _checks(found, violations)
    if violations:
        raise QueryInvalid(violations)
    return _Search(only, checks)


def _owner_and_name(found: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Owner and part of a name; bare `a/b` says both."""
    owner, name = found.get("owner"), found.get("name")
    if name and "/" in name and owner is None:
        owner, _, name = name.partition("/")
    return owner, name


def _checks(found: Mapping[str, str], violations: Violations) -> list[Check]:
    checks: list[Check] = []
    status = _word(found, "has-agent", AgentStatus, violations)
    if status is not None:
        checks.append(
            lambda view: any(agent.status == status for agent in agents_of(view.latest_build))
        )
    healthy = _boolean(found, "healthy", violations)
    if healthy is not None:
        checks.append(lambda view: view.health.healthy is healthy)
    return checks


def _text(value: str | None) -> str | None:
    """A text that the database can compare with; U+0000 is in no stored one."""
    return value.replace("\0", "\ufffd") if value else None


def _word(
    found: Mapping[str, str], key: str, words: type[Word], violations: Violations
) -> Word | None:
    value = found.get(key)
    if value is None:
        return None
    if value in set(words):
        return words(value)
    violations.append((key, f'"{value}" is not known here; give one of {", ".join(words)}'))
    return None


def _boolean(found: Mapping[str, str], key: str, violations: Violations) -> bool | None:
    value = found.get(key)
    if value is not None and value not in BOOLEANS:
        violations.append((key, f'"{value}" is neither true nor false'))
    return None if value is None else BOOLEANS.get(value)


def _time(found: Mapping[str, str], key: str, violations: Violations) -> datetime | None:
    value = found.get(key)
    if value is None:
        return None
    at = None
    with suppress(ValueError, OverflowError):
        found_at = datetime.fromisoformat(value.upper())
        # A time that UTC has no year for is none that the database could compare with.
        at = found_at.astimezone(UTC) if found_at.tzinfo else None
    if at is None:
        violations.append((key, f'"{value}" is no time such as "2026-01-31T12:00:00Z", in quotes'))
        return None
    return at
