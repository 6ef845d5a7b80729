"""What is kept of who did what, in the transaction that did it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol
from uuid import UUID, uuid4

import msgspec

from taskyard.control.actors import Actor, Origin
from taskyard.control.idempotency import mark
from taskyard.db.audit import AuditRow, insert_audit_log
from taskyard.wire.enums import AuditAction, AuditResource

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something done to one thing. organization_id null: the thing is of the whole server.

    resource_id is a UUID, or the id of an API key; empty for what was not found. changes is what
    `changed` gives; a new thing, or one that is gone, has none.
    """

    action: AuditAction
    resource_type: AuditResource
    resource_id: UUID | str
    resource_name: str
    organization_id: UUID | None = None
    changes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


class Thing(Protocol):
    """What belongs to an organization: a workspace, a task, a template or a version of one."""

    @property
    def id(self) -> UUID:
        """What it is known by for good."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def organization_id(self) -> UUID:
        """Where it is."""


def deed_of(
    resource: AuditResource,
    thing: Thing,
    action: AuditAction,
    changes: Mapping[str, Mapping[str, object]] | None = None,
) -> Deed:
    """Something done to a thing of an organization."""
    return Deed(
        action=action,
        resource_type=resource,
        resource_id=thing.id,
        resource_name=thing.name,
        organization_id=thing.organization_id,
        changes=changes or {},
    )


async def record(conn: "Connection", actor: Actor | None, deed: Deed, now: datetime) -> None:
    """Keeps that somebody did this; actor None is the server itself.

    Raises IdempotencyLost where another try of the same request took over: then the deed must not be done.
    """
    if actor is None:
        await _insert(conn, (None, "", Origin()), deed, now=now)
    else:
        who = (actor.user_id, actor.username, actor.origin)
        await _insert(conn, who, deed, now=now, key_id=actor.key_id or None)


async def record_sign_in(
    conn: "Connection", who: tuple[UUID | None, str, Origin], now: datetime, *, succeeded: bool
) -> None:
    """Keeps that somebody signed in, or tried to; the id is null where no user has that name."""
    user_id, name, _ = who
    deed = Deed(
        action=AuditAction.LOGIN,
        resource_type=AuditResource.USER,
        resource_id=user_id or "",
        resource_name=name,
    )
    await _insert(conn, who, deed, now=now, succeeded=succeeded)


def changed(
    before: msgspec.Struct, after: msgspec.Struct, names: tuple[str, ...]
) -> dict[str, dict[str, object]]:
    """What differs in these fields, by name: {old, new}. Never name a field that holds a secret."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {
        name: {"old": msgspec.to_builtins(old), "new": msgspec.to_builtins(new)}
        for name, (old, new) in pairs.items()
        if old != new
    }


async def _insert(
    conn: "Connection",
    who: tuple[UUID | None, str, Origin],
    deed: Deed,
    *,
    now: datetime,
    succeeded: bool = True,
    key_id: str | None = None,
) -> None:
    user_id, username, origin = who
    if origin.claim is not None and succeeded:
        told = (deed.action, deed.resource_type, str(deed.resource_id), deed.resource_name)
        await mark(conn, origin.claim, origin.request_id, told, now=now)
    row = AuditRow(
        id=uuid4(),
        at=now,
        user_id=user_id,
        username=username,
        action=deed.action,
        resource_type=deed.resource_type,
        resource_id=str(deed.resource_id),
        resource_name=deed.resource_name,
        organization_id=deed.organization_id,
        succeeded=succeeded,
        changes=msgspec.json.encode(deed.changes),
        request_id=origin.request_id,
        ip=origin.ip,
        user_agent=origin.user_agent,
        key_id=key_id,
    )
    await insert_audit_log(conn, row)
