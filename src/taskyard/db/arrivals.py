"""Rows that go to another installation with files beside them, and what has to change in rows that came from one."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class ToPauseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace that is to be paused, with what its newest build was made of."""

    id: UUID
    name: str
    owner_id: UUID
    organization_id: UUID
    template_version_id: UUID
    template_version_preset_id: UUID | None
    is_task: bool


class HomeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace that may have files somewhere; running: its newest build wants it to run."""

    workspace_id: UUID
    driver: str
    running: bool


_FORGET_LINKS = statement("arrivals", "forget_links", NoRow)
_PLACE = statement("arrivals", "place_workspaces", NoRow)
_DROP_REPAIRS = statement("arrivals", "drop_repairs", NoRow)
_FAIL_STARTS = statement("arrivals", "fail_starts", NoRow)
_BEGIN_ANEW = statement("arrivals", "begin_jobs_anew", NoRow)
_LIST = statement("arrivals", "list_to_pause_as_system", ToPauseRow)

_LIST_HOMES = statement("arrivals", "list_homes_as_system", HomeRow)


async def forget_links(conn: "Connection") -> None:
    """No server holds any agent's link."""
    await _FORGET_LINKS.execute(conn)


async def place_workspaces(conn: "Connection", host_id: UUID, homes: Collection[UUID]) -> None:
    """The files of these workspaces are this host's, those of all others nobody's."""
    await _PLACE.execute(conn, host_id=host_id, homes=list(homes))


async def settle_jobs(conn: "Connection", moved: str, now: datetime) -> None:
    """No job is anybody's: starts and repairs are over, moved says why; whatever else was at work waits again."""
    await _DROP_REPAIRS.execute(conn, now=now)
    await _FAIL_STARTS.execute(conn, error=moved, now=now)
    await _BEGIN_ANEW.execute(conn, now=now)


async def list_to_pause_as_system(conn: "Connection", moved: str) -> list[ToPauseRow]:
    """Workspaces that are to be paused: those that ran, were being started, or were not stopped well."""
    return await _LIST.many(conn, moved=moved)


async def list_homes_as_system(conn: "Connection") -> list[HomeRow]:
    """Every live workspace that was ever started, oldest first."""
    return await _LIST_HOMES.many(conn)
