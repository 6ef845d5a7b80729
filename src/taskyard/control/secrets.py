"""Secrets: set, listed without values, deleted; chosen for a workspace, and opened for it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, assert_never
from uuid import UUID

import structlog

from taskyard.control.actors import Actor
from taskyard.control.audit import Deed, record
from taskyard.control.services import Services
from taskyard.control.vault import Place
from taskyard.db import secrets as db
from taskyard.errors import Forbidden, Invalid, JobFailed, NotFound, RefusedNow, SecretUnreadable
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.secret_names import (
    MAX_OWNED,
    MAX_OWNED_BYTES,
    SecretChoice,
    SecretOwner,
    choose_secrets,
    missing_sentence,
    secret_name_problem,
    secret_value_problem,
)
from taskyard.lifecycle.template_model import Template
from taskyard.wire import secrets as wire
from taskyard.wire.enums import AuditAction, AuditResource

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose secrets are spoken of. organization_id is null for a user's."""

    kind: SecretOwner
    id: UUID
    name: str
    organization_id: UUID | None


async def list_secrets(services: Services, actor: Actor, owner: Owner) -> list[wire.Secret]:
    """The names of an owner's secrets; raises Forbidden."""
    _check_rights(actor, owner, Verb.SECRET_READ)
    async with services.db.connection() as conn:
        rows = await db.list_secrets_of_as_system(conn, owner.id)
    return [_secret(row) for row in rows]


async def set_secret(
    services: Services, actor: Actor, owner: Owner, name: str, *, value: str, now: datetime
) -> wire.Secret:
    """The secret with this value, new or not. Raises Forbidden, Invalid, RefusedNow, SecretKeyWrong."""
    _check_rights(actor, owner, Verb.SECRET_WRITE)
    problems = {"name": secret_name_problem(name), "value": secret_value_problem(value)}
    if violations := [(field, f"it {why}") for field, why in problems.items() if why]:
        raise Invalid(f"The secret {name[:40]} cannot be set.", violations)
    sealed = services.vault.seal(Place(owner.kind, owner.id, name), value)
    async with services.db.transaction() as conn:
        await db.lock_secrets_of(conn, owner.id)
        row = await db.put_secret(conn, sealed, now)
        _check_size(await db.measure_secrets_of_as_system(conn, owner.id))
        action = AuditAction.CREATE if row.created else AuditAction.WRITE
        await record(conn, actor, _deed(owner, row.id, name, action), now)
    return _secret(row)


async def delete_secret(
    services: Services, actor: Actor, owner: Owner, name: str, *, now: datetime
) -> None:
    """The secret is gone; workspaces that run keep what they were given. Raises Forbidden, NotFound."""
    _check_rights(actor, owner, Verb.SECRET_WRITE)
    async with services.db.transaction() as conn:
        secret_id = await db.delete_secret(conn, owner.id, name)
        if secret_id is None:
            raise NotFound(f"secret {name}")
        await record(conn, actor, _deed(owner, secret_id, name, AuditAction.DELETE), now)


async def check_required(conn: "Connection", build_id: UUID, template: Template) -> None:
    """Nothing when a workspace of this build would get all that its template needs; raises JobFailed."""
    if not template.requires_env:
        return
    choice = _choice(template, await db.list_build_secrets_as_system(conn, build_id))
    if choice.missing:
        raise JobFailed(missing_sentence(choice.missing))


async def open_secrets(
    conn: "Connection", services: Services, agent_id: UUID, template: Template
) -> tuple[dict[str, str], list[SecretUnreadable]]:
    """The values that the workspace of this agent gets, by name, and what could not be opened.

    Raises SecretKeyWrong.
    """
    rows = await db.list_agent_secrets_as_system(conn, agent_id)
    choice = _choice(template, rows)
    values: dict[str, str] = {}
    broken: list[SecretUnreadable] = []
    for row in rows:
        if choice.given.get(row.name) is not row.owner:
            continue
        try:
            values[row.name] = services.vault.open(row)
        except SecretUnreadable as error:
            log.warning("secret.unreadable", name=row.name, owner=row.owner, cause=str(error))
            broken.append(error)
    return values, broken


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> SecretOwner: ...


def _choice(template: Template, rows: Sequence[_Named]) -> SecretChoice:
    owned: Mapping[SecretOwner, set[str]] = defaultdict(set)
    for row in rows:
        owned[row.owner].add(row.name)
    return choose_secrets(template.requires_env, set(template.workspace.env), owned)


def _check_rights(actor: Actor, owner: Owner, verb: Verb) -> None:
    """Nothing when the actor may do this with secrets of the owner; raises Forbidden."""
    match owner.kind:
        case SecretOwner.USER:
            allowed = can(actor, verb, owner.id, None)
        case SecretOwner.TEMPLATE:
            allowed = can(actor, Verb.TEMPLATE_WRITE, None, owner.organization_id)
        case SecretOwner.ORGANIZATION:
            allowed = can(actor, Verb.ORGANIZATION_WRITE, None, owner.organization_id)
        case _:
            assert_never(owner.kind)
    if not allowed:
        what = "list" if verb is Verb.SECRET_READ else "change"
        raise Forbidden(f"{what} the secrets of the {owner.kind} {owner.name}")


def _check_size(size: db.SizeRow) -> None:
    if size.count <= MAX_OWNED and size.size <= MAX_OWNED_BYTES:
        return
    raise RefusedNow(
        "secrets_full",
        "There is no room for this secret.",
        f"One owner has at most {MAX_OWNED} secrets, and {MAX_OWNED_BYTES} bytes of values. Delete some of them.",
    )


def _deed(owner: Owner, secret_id: UUID, name: str, action: AuditAction) -> Deed:
    """What is kept of it: whose secret, by which name, and never the value."""
    return Deed(
        action=action,
        resource_type=AuditResource.SECRET,
        resource_id=secret_id,
        resource_name=f"{owner.kind} {owner.name}: {name}",
        organization_id=owner.organization_id,
    )


def _secret(row: db.SecretRow) -> wire.Secret:
    return wire.Secret(
        id=row.id, name=row.name, created_at=row.created_at, updated_at=row.updated_at
    )
