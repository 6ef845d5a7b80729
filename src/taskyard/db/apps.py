"""Apps of running workspaces and who may see them: row types and one function a statement of sql/apps.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.statements import NoRow, statement
from taskyard.lifecycle.template_model import Share
from taskyard.wire.enums import UserStatus

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class RunningAppRow(msgspec.Struct, frozen=True, kw_only=True):
    """An app of a workspace that runs. From visit_generation on: who visits it by a cookie, null for nobody."""

    workspace_id: UUID
    workspace_name: str
    owner_id: UUID
    organization_id: UUID
    generation: int
    agent_id: UUID
    slug: str
    url: str
    sharing_level: Share
    visit_generation: int | None
    visit_ends_at: datetime | None
    key_id: str | None
    user_id: UUID | None
    username: str | None
    status: UserStatus | None
    roles: list[str] | None
    member_of: list[UUID] | None
    admin_of: list[UUID] | None
    key_ends_at: datetime | None

    @property
    def id(self) -> UUID:
        """The workspace's id, for the audit."""
        return self.workspace_id

    @property
    def name(self) -> str:
        """The workspace's name, for the audit."""
        return self.workspace_name


_GET = statement("apps", "get_running_app_as_system", RunningAppRow)
_INSERT = statement("apps", "insert_app_ticket_as_system", NoRow)
_REMOVE = statement("apps", "remove_old_app_visits_as_system", NoRow)
_REAP = statement("apps", "reap_app_visits_as_system", NoRow)
_USE = statement("apps", "use_app_ticket_as_system", NoRow)


async def get_running_app_as_system(
    conn: "Connection", workspace_id: UUID, slug: str, *, cookie_hash: bytes | None
) -> RunningAppRow | None:
    """The app, with whom the cookie of this hash lets in; None while it does not run."""
    return await _GET.one(conn, workspace_id=workspace_id, slug=slug, cookie_hash=cookie_hash)


async def insert_app_ticket_as_system(
    conn: "Connection",
    app: RunningAppRow,
    *,
    visit_id: UUID,
    key_id: str,
    ticket_hash: bytes,
    now: datetime,
    expires_at: datetime,
) -> None:
    """A ticket for the app in its workspace's generation, good as long as the key."""
    await _INSERT.execute(
        conn,
        id=visit_id,
        workspace_id=app.workspace_id,
        generation=app.generation,
        slug=app.slug,
        key_id=key_id,
        ticket_hash=ticket_hash,
        now=now,
        expires_at=expires_at,
    )


async def remove_old_app_visits_as_system(
    conn: "Connection", app: RunningAppRow, *, key_id: str, kept: int
) -> None:
    """Of the key's tickets and visits at the app so many are left, the newest."""
    await _REMOVE.execute(
        conn, key_id=key_id, workspace_id=app.workspace_id, slug=app.slug, kept=kept
    )


async def reap_app_visits_as_system(conn: "Connection", now: datetime) -> None:
    """Some visits that are over by now are forgotten."""
    await _REAP.execute(conn, now=now)


async def use_app_ticket_as_system(
    conn: "Connection",
    workspace_id: UUID,
    slug: str,
    *,
    ticket_hash: bytes,
    cookie_hash: bytes,
    now: datetime,
    expires_at: datetime,
) -> bool:
    """Whether the ticket was good for this app, which it is no longer; now the cookie is, until then."""
    used = await _USE.execute(
        conn,
        workspace_id=workspace_id,
        slug=slug,
        ticket_hash=ticket_hash,
        cookie_hash=cookie_hash,
        now=now,
        expires_at=expires_at,
    )
    return used == 1
