"""Who did what: rows are written and never changed."""

from typing import TYPE_CHECKING

import msgspec

from taskyard.db.statements import NoRow, statement

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from taskyard.db.pool import Connection

_INSERT = statement("audit", "insert_audit_log", NoRow)


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done, as audit_logs holds it; changes is the JSON text of field: {old, new}."""

    id: "UUID"
    at: "datetime"
    user_id: "UUID | None"
    username: str
    action: str
    resource_type: str
    resource_id: str
    resource_name: str
    organization_id: "UUID | None"
    succeeded: bool
    changes: bytes
    request_id: str | None
    ip: str | None
    user_agent: str | None


async def insert_audit_log(conn: "Connection", row: AuditRow) -> None:
    """Keeps a row."""
    await _INSERT.execute(conn, **msgspec.structs.asdict(row))
