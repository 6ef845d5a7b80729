"""Who did what: rows are written and never changed."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done, as audit_logs holds it; changes is the JSON text of field: {old, new}.

    key_id is the API key in use, null where there was none.
    """

    id: UUID
    at: datetime
    user_id: UUID | None
    username: str
    action: str
    resource_type: str
    resource_id: str
    resource_name: str
    organization_id: UUID | None
    succeeded: bool
    changes: bytes
    request_id: str | None
    ip: str | None
    user_agent: str | None
    key_id: str | None


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of the audit is narrowed to; null: not by this. Texts are in lower case, since and until a span."""

    user_id: UUID | None = None
    username: str | None = None
    action: str | None = None
    resource_type: str | None = None
    resource: str | None = None
    organization_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    request_id: str | None = None
    ip: str | None = None
    succeeded: bool | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a row stands in the order of the audit."""

    id: UUID
    at: datetime


class CountRow(msgspec.Struct, frozen=True):
    """How many rows there are."""

    rows: int


_INSERT = statement("audit", "insert_audit_log", NoRow)
_LIST = statement("audit", "list_audit_logs", AuditRow)
_COUNT = statement("audit", "count_audit_logs", CountRow)
_GET = statement("audit", "get_audit_log", Place)


async def insert_audit_log(conn: "Connection", row: AuditRow) -> None:
    """Keeps a row."""
    await _INSERT.execute(conn, **msgspec.structs.asdict(row))


async def list_audit_logs(
    conn: "Connection",
    viewer: Viewer,
    only: AuditFilter,
    *,
    limit: int,
    offset: int = 0,
    after: Place | None = None,
) -> list[AuditRow]:
    """Rows that the viewer may read, newest first, behind that place."""
    given = {name: value for name, value in viewer.values().items() if name != "viewer_id"}
    return await _LIST.many(
        conn,
        **given,
        **msgspec.structs.asdict(only),
        after_at=None if after is None else after.at,
        after_id=None if after is None else after.id,
        offset=offset,
        limit=limit,
    )


async def count_audit_logs(
    conn: "Connection", viewer: Viewer, only: AuditFilter, *, most: int
) -> int:
    """How many rows the viewer may read; most is counted to."""
    given = {name: value for name, value in viewer.values().items() if name != "viewer_id"}
    row = await _COUNT.one(conn, **given, **msgspec.structs.asdict(only), most=most)
    return 0 if row is None else row.rows


async def get_audit_place(conn: "Connection", viewer: Viewer, log_id: UUID) -> Place | None:
    """Where a row stands that the viewer may read."""
    given = {name: value for name, value in viewer.values().items() if name != "viewer_id"}
    return await _GET.one(conn, **given, log_id=log_id)
