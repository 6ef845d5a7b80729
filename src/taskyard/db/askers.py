"""Who API keys let in: row types and one function a statement of sql/askers.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.wire.enums import LoginType, UserStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class AskerRow(msgspec.Struct, frozen=True, kw_only=True):
    """An API key and its user; user_id, username, status and roles are null when they were deleted."""

    key_id: str
    secret_hash: bytes
    login_type: LoginType
    lifetime_s: int
    last_used_at: datetime
    expires_at: datetime
    user_id: UUID | None
    username: str | None
    status: UserStatus | None
    roles: list[str] | None
    member_of: list[UUID]
    admin_of: list[UUID]


_GET = statement("askers", "get_asker_as_system", AskerRow)
_USE = statement("askers", "use_api_key_as_system", NoRow)


async def get_asker_as_system(conn: "Connection", key_id: str) -> AskerRow | None:
    """Whom the key of this id lets in; None when there is no such key."""
    return await _GET.one(conn, key_id=key_id)


async def use_api_key_as_system(
    conn: "Connection",
    key_id: str,
    *,
    expires_at: datetime | None,
    before: datetime,
    now: datetime,
) -> None:
    """The key was used, unless it was written since `before`; it is prolonged when an expiry is given."""
    await _USE.execute(conn, key_id=key_id, expires_at=expires_at, before=before, now=now)
