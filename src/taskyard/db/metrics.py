"""What there is to count in the database, for whoever watches a server."""

from typing import TYPE_CHECKING

import msgspec

from taskyard.db.statements import statement

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class OpenJobsRow(msgspec.Struct, frozen=True):
    """How many jobs of a type wait, or are worked on."""

    type: str
    running: bool
    jobs: int


class WorkspacesRow(msgspec.Struct, frozen=True):
    """How many workspaces there are of a kind."""

    workspaces: int


_OPEN = statement("metrics", "count_open_jobs_as_system", OpenJobsRow)
_RUNNING = statement("metrics", "count_running_workspaces_as_system", WorkspacesRow)


async def count_open_jobs_as_system(conn: "Connection") -> list[OpenJobsRow]:
    """Jobs that are not over; a type without any has no row."""
    return await _OPEN.many(conn)


async def count_running_workspaces_as_system(conn: "Connection") -> int:
    """Workspaces that stand started."""
    row = await _RUNNING.one(conn)
    assert row is not None
    return row.workspaces
