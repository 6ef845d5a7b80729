"""Template versions: made of an archive by an import job, found, read, canceled."""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from asyncpg import UniqueViolationError

from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.templates import version_missing
from taskyard.control.viewers import viewer_for
from taskyard.db import jobs
from taskyard.db import templates as db
from taskyard.errors import (
    Forbidden,
    ImportUnfinished,
    Invalid,
    Missing,
    NotFound,
    RequestRefused,
    VersionNameTaken,
    VersionNotReady,
)
from taskyard.lifecycle.job import is_active
from taskyard.lifecycle.names import ADJECTIVES, SURNAMES
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire.base import NIL_UUID
from taskyard.wire.templates import CreateTemplateVersionRequest, Provisioner

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

MAX_NAME_CHARS = 64
"""Longest name of a version: clients make them of times and commits."""

MAX_MESSAGE_BYTES = 1_048_576
"""Longest message of a version. Source: supporting-api 8 row 50."""

MAX_DIGITS = 9
"""Digits of a limit or an offset at most: a number that the database's bigint holds with ease."""

WORDS = {"": False, "false": False, "0": False, "true": True, "1": True}
"""How yes and no are written in a query parameter; an empty one counts as absent."""

_NAME = re.compile(r"[a-zA-Z0-9]+(?:[_.-][a-zA-Z0-9]+)*")


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What a version is made of; template_id null: of no template yet."""

    organization_id: UUID
    template_id: UUID | None
    name: str
    message: str
    file_id: UUID
    created_by: UUID
    provisioner: Provisioner = Provisioner.TERRAFORM


async def create_version(
    services: Services,
    actor: Actor,
    organization_id: UUID,
    request: CreateTemplateVersionRequest,
    *,
    now: datetime,
) -> db.VersionRow:
    """The new version, its import pending. Source: supporting-api 8 row 50, U10.

    Raises Forbidden, RequestRefused, Invalid, Missing, VersionNameTaken.
    """
    if not can(actor, Verb.TEMPLATE_WRITE, None, organization_id):
        raise Forbidden("make template versions in this organization")
    _check(request)
    file_id = request.file_id or NIL_UUID
    version = NewVersion(
        organization_id=organization_id,
        template_id=request.template_id,
        name=request.name or generated_name(),
        message=request.message,
        file_id=file_id,
        created_by=actor.user_id,
        provisioner=Provisioner(request.provisioner or Provisioner.TERRAFORM),
    )
    try:
        async with services.db.transaction() as conn:
            await _check_parts(conn, actor, version)
            version_id = await insert_version(conn, version, now)
            created = await db.get_version(conn, viewer_for(actor, Verb.TEMPLATE_READ), version_id)
    except UniqueViolationError as error:
        raise VersionNameTaken(version.name) from error
    if created is None:
        raise NotFound(f"template version {version_id}")
    return created


async def insert_version(conn: "Connection", version: NewVersion, now: datetime) -> UUID:
    """The id of a new version whose import waits for a worker. Raises UniqueViolationError."""
    version_id, job_id = uuid4(), uuid4()
    await jobs.enqueue_job(
        conn,
        job_id=job_id,
        kind=jobs.JobKind.IMPORT,
        organization_id=version.organization_id,
        initiator_id=version.created_by,
        file_id=version.file_id,
        template_version_id=version_id,
        workspace_id=None,
        workspace_build_id=None,
        now=now,
    )
    await db.insert_version(
        conn,
        id=version_id,
        template_id=version.template_id,
        organization_id=version.organization_id,
        name=version.name,
        message=version.message,
        job_id=job_id,
        created_by=version.created_by,
        provisioner=version.provisioner,
        now=now,
    )
    return version_id


def generated_name() -> str:
    """A name for a version that was given none."""
    return f"{secrets.choice(ADJECTIVES)}-{secrets.choice(SURNAMES)}-{secrets.token_hex(3)}"


async def find_version(services: Services, actor: Actor, version_id: UUID) -> db.VersionRow:
    """A version; raises NotFound when it is absent or not visible."""
    async with services.db.connection() as conn:
        row = await db.get_version(conn, viewer_for(actor, Verb.TEMPLATE_READ), version_id)
    if row is None:
        raise NotFound(f"template version {version_id}")
    return row


async def find_version_by_name(
    services: Services, template: db.TemplateRow, name: str
) -> db.VersionRow:
    """A version of a template that was found to be visible; raises Missing."""
    row = None
    if "\0" not in name:
        async with services.db.connection() as conn:
            row = await db.get_version_by_name(conn, template.id, name)
    if row is None:
        raise version_missing(name)
    return row


async def list_versions(
    services: Services, template: db.TemplateRow, query: Mapping[str, str]
) -> list[db.VersionRow]:
    """Versions of a template, oldest first, one page of them. Raises Invalid. Source: supporting-api 7 row 47."""
    violations: list[tuple[str, str]] = []
    archived = WORDS.get(query.get("include_archived", "").lower())
    if archived is None:
        violations.append(("include_archived", "give true or false"))
    limit, offset = (_number(query, name, violations) for name in ("limit", "offset"))
    after_id = _uuid(query, "after_id", violations)
    async with services.db.connection() as conn:
        if after_id is not None and not await db.has_version(conn, template.id, after_id):
            violations.append(("after_id", f"this template has no version {after_id}"))
        if violations:
            raise Invalid("A query parameter is not right.", violations)
        return await db.list_versions(
            conn,
            template.id,
            include_archived=bool(archived),
            after_id=after_id,
            limit=limit or None,
            offset=offset,
        )


async def cancel_version(
    services: Services, actor: Actor, version: db.VersionRow, now: datetime
) -> None:
    """Ends the import of a version. Raises Forbidden, JobCompleted, JobCancelRequested."""
    if not can(actor, Verb.TEMPLATE_WRITE, None, version.organization_id):
        raise Forbidden("cancel this import")
    async with services.db.transaction() as conn:
        await jobs.cancel_job(conn, version.job_id, now)


async def list_presets(services: Services, version: db.VersionRow) -> list[db.PresetRow]:
    """The presets of a version; none while it is not imported. Source: U11."""
    async with services.db.connection() as conn:
        return await db.list_presets(conn, version.id)


async def list_parameters(services: Services, version: db.VersionRow) -> list[db.ParameterRow]:
    """What a version asks of a workspace; raises ImportUnfinished. Source: U12."""
    if is_active(version.import_status):
        raise ImportUnfinished(version.import_status)
    async with services.db.connection() as conn:
        return await db.list_parameters(conn, version.id)


def check_resources_known(version: db.VersionRow) -> None:
    """Nothing once the import is over; else raises RequestRefused. Source: supporting-api 8 row 57."""
    if is_active(version.import_status):
        raise RequestRefused(
            "import_unfinished",
            f"The import of this template version is {version.import_status}.",
            "Ask again when it is over.",
        )


def check_variables_known(version: db.VersionRow) -> None:
    """Nothing once the import is over; else raises VersionNotReady. Source: supporting-api 8 row 58."""
    if is_active(version.import_status):
        raise VersionNotReady(
            "import_unfinished",
            f"The import of this template version is {version.import_status}.",
            "Ask again when it is over.",
        )


def _check(request: CreateTemplateVersionRequest) -> None:
    """Nothing when the request says one archive and is well-formed; raises RequestRefused, Invalid."""
    if request.example_id and request.file_id is not None:
        raise RequestRefused(
            "example_and_file",
            "A version is made of a file or of an example, not of both.",
            "Leave example_id or file_id away.",
        )
    violations = []
    if request.example_id:
        violations.append(("example_id", "there are no examples here; upload an archive"))
    if request.storage_method not in ("", "file"):
        violations.append(("storage_method", "give file"))
    if request.provisioner not in ("", *Provisioner):
        violations.append(("provisioner", f"give one of {', '.join(Provisioner)}"))
    if request.name and (len(request.name) > MAX_NAME_CHARS or not _NAME.fullmatch(request.name)):
        violations.append(
            ("name", f"use letters and digits with single _ . - between, {MAX_NAME_CHARS} at most")
        )
    if len(request.message.encode()) > MAX_MESSAGE_BYTES:
        violations.append(("message", f"a message has at most {MAX_MESSAGE_BYTES} bytes"))
    if violations:
        raise Invalid("A template version cannot be made of this.", violations)


async def _check_parts(conn: "Connection", actor: Actor, version: NewVersion) -> None:
    """Nothing when the template and the file are there; raises Missing."""
    if version.template_id is not None:
        viewer = viewer_for(actor, Verb.TEMPLATE_READ)
        template = await db.get_template(conn, viewer, version.template_id)
        if template is None or template.organization_id != version.organization_id:
            raise Missing(
                "template_not_found",
                f"There is no template {version.template_id} in this organization.",
            )
    writer = viewer_for(actor, Verb.TEMPLATE_WRITE)
    if not await db.may_use_file(conn, writer, version.file_id):
        raise Missing(
            "file_not_found",
            f"There is no file {version.file_id}, or you may not use it. Upload the archive first.",
        )


def _number(query: Mapping[str, str], name: str, violations: list[tuple[str, str]]) -> int:
    text = query.get(name) or "0"
    if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return int(text)
    violations.append((name, "give a whole number, 0 or more"))
    return 0


def _uuid(query: Mapping[str, str], name: str, violations: list[tuple[str, str]]) -> UUID | None:
    text = query.get(name)
    if not text:
        return None
    try:
        value = UUID(text)
    except ValueError:
        violations.append((name, f'"{text}" is not a UUID'))
        return None
    return None if value == NIL_UUID else value
