"""Template versions: made of an archive by an import job, found, read, canceled."""

import re
import secrets
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import msgspec
from asyncpg import UniqueViolationError

from taskyard.control import audit
from taskyard.control.actors import Actor
from taskyard.control.files import store_file
from taskyard.control.services import Services
from taskyard.control.template_examples import starters
from taskyard.control.templates import version_missing
from taskyard.control.templates_view import version_view
from taskyard.control.viewers import viewer_for
from taskyard.db import files, jobs, template_imports
from taskyard.db import templates as db
from taskyard.errors import Forbidden, Invalid, Missing, NotFound, QueryInvalid, RequestRefused
from taskyard.errors.templates import ImportUnfinished, VersionNameTaken, VersionNotReady
from taskyard.lifecycle.job import is_active
from taskyard.lifecycle.names import ADJECTIVES, SURNAMES
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire.base import NIL_UUID
from taskyard.wire.enums import AuditAction, AuditResource
from taskyard.wire.templates import (
    CreateTemplateVersionRequest,
    ListTemplateVersionsQuery,
    Provisioner,
    TemplateVersion,
)

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

MAX_NAME_CHARS = 64
"""Longest name of a version: clients make them of times and commits."""

MAX_MESSAGE_BYTES = 1_048_576
"""Longest message of a version. Source: supporting-api 8 row 50."""

BATCH = 10
"""Versions of a list that are in memory at once: each has a message and a README of a megabyte at most."""

MAX_TAGS = 64
"""Tags, and values for variables, of one version at most."""

MAX_TAG_CHARS = 256
"""Longest key or value of a tag, and name of a variable."""

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
    tags: Mapping[str, str] = field(default_factory=dict)
    variable_names: tuple[str, ...] = ()


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
    example = await _example(request.example_id) if request.example_id else None
    version = NewVersion(
        organization_id=organization_id,
        template_id=request.template_id,
        name=request.name or generated_name(),
        message=request.message,
        file_id=request.file_id or NIL_UUID,
        created_by=actor.user_id,
        provisioner=Provisioner(request.provisioner or Provisioner.TERRAFORM),
        tags=request.tags,
        variable_names=tuple(each.name for each in request.user_variable_values),
    )
    try:
        async with services.db.transaction() as conn:
            await _check_template(conn, actor, version)
            if example is not None:
                stored = await store_file(conn, actor.user_id, example, now=now)
                version = replace(version, file_id=stored.id)
            else:
                await _check_file(conn, actor, version.file_id)
            version_id = await insert_version(conn, version, now, actor=actor)
            created = await db.get_version(conn, viewer_for(actor, Verb.TEMPLATE_READ), version_id)
    except UniqueViolationError as error:
        raise VersionNameTaken(version.name) from error
    if created is None:
        raise NotFound(f"template version {version_id}")
    return created


async def insert_version(
    conn: "Connection", version: NewVersion, now: datetime, *, actor: Actor | None = None
) -> UUID:
    """The id of a new version whose import waits for a worker. Raises UniqueViolationError.

    actor null: the server makes it by itself.
    """
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
        variable_names=version.variable_names,
        now=now,
    )
    if version.tags:
        await db.tag_job(conn, job_id, msgspec.json.encode(version.tags))
    deed = audit.Deed(
        action=AuditAction.CREATE,
        resource_type=AuditResource.TEMPLATE_VERSION,
        resource_id=version_id,
        resource_name=version.name,
        organization_id=version.organization_id,
    )
    await audit.record(conn, actor, deed, now)
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


async def find_previous_version(
    services: Services, template: db.TemplateRow, version: db.VersionRow
) -> db.VersionRow | None:
    """The version of the template before this one; None for the first. Source: supporting-api 7 row 42."""
    async with services.db.connection() as conn:
        return await db.get_previous_version(conn, template.id, version.id)


async def list_versions(
    services: Services, template: db.TemplateRow, query: ListTemplateVersionsQuery
) -> AsyncGenerator[list[TemplateVersion], None]:
    """Versions of a template, oldest first, one page of them, of which BATCH at most are in memory.

    The first batch comes also when it is empty. Raises QueryInvalid before it. Source: supporting-api 7 row 47.
    """
    after_id, offset, left = query.after_id, query.offset, query.limit or sys.maxsize
    if after_id is not None:
        async with services.db.connection() as conn:
            if not await db.has_version(conn, template.id, after_id):
                raise QueryInvalid([("after_id", f"this template has no version {after_id}")])
    while left:
        size = min(left, BATCH)
        async with services.db.connection() as conn:
            rows = await db.list_versions(
                conn,
                template.id,
                include_archived=query.include_archived,
                after_id=after_id,
                limit=size,
                offset=offset,
            )
        yield [version_view(row) for row in rows]
        if len(rows) < size:
            return
        after_id, offset, left = rows[-1].id, 0, left - size


async def list_presets(
    services: Services, version: db.VersionRow
) -> list[template_imports.PresetRow]:
    """The presets of a version; none while it is not imported. Source: U11."""
    async with services.db.connection() as conn:
        return await template_imports.list_presets(conn, version.id)


async def list_parameters(
    services: Services, version: db.VersionRow
) -> list[template_imports.ParameterRow]:
    """What a version asks of a workspace; raises ImportUnfinished. Source: U12."""
    if is_active(version.import_status):
        raise ImportUnfinished(version.import_status)
    async with services.db.connection() as conn:
        return await template_imports.list_parameters(conn, version.id)


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
    if request.storage_method not in ("", "file"):
        violations.append(("storage_method", "give file"))
    if request.provisioner not in ("", *Provisioner):
        violations.append(("provisioner", f"give one of {', '.join(Provisioner)}"))
    if request.name:
        violations += name_violations(request.name)
    violations += message_violations(request.message)
    violations += _lists_violations(request)
    if violations:
        raise Invalid("A template version cannot be made of this.", violations)


def name_violations(name: str) -> list[tuple[str, str]]:
    """What is wrong with the name of a version."""
    if len(name) <= MAX_NAME_CHARS and _NAME.fullmatch(name):
        return []
    return [("name", f"use letters and digits with single _ . - between, {MAX_NAME_CHARS} at most")]


def message_violations(message: str) -> list[tuple[str, str]]:
    """What is wrong with the message of a version."""
    if len(message.encode()) <= MAX_MESSAGE_BYTES:
        return []
    return [("message", f"a message has at most {MAX_MESSAGE_BYTES} bytes")]


def _lists_violations(request: CreateTemplateVersionRequest) -> list[tuple[str, str]]:
    """What is wrong with tags and variables: how many, how long, a name twice."""
    violations = []
    texts = [*request.tags, *request.tags.values()]
    if len(request.tags) > MAX_TAGS or any(len(text) > MAX_TAG_CHARS for text in texts):
        sentence = f"give at most {MAX_TAGS} tags of {MAX_TAG_CHARS} characters"
        violations.append(("tags", sentence))
    names = [each.name for each in request.user_variable_values]
    if "" in names or any(len(name) > MAX_TAG_CHARS for name in names):
        sentence = f"each needs a name of at most {MAX_TAG_CHARS} characters"
        violations.append(("user_variable_values", sentence))
    elif len(set(names)) < len(names) or len(names) > MAX_TAGS:
        sentence = f"give at most {MAX_TAGS}, each name once"
        violations.append(("user_variable_values", sentence))
    return violations


async def _example(example_id: str) -> bytes:
    """The archive of an example; raises Missing."""
    found = (await starters()).get(example_id)
    if found is None:
        have = ", ".join(await starters())
        raise Missing(
            "example_not_found", f'There is no example "{example_id}"; there are: {have}.'
        )
    return found.archive


async def _check_template(conn: "Connection", actor: Actor, version: NewVersion) -> None:
    """Nothing when the template of a new version is there; raises Missing."""
    if version.template_id is None:
        return
    viewer = viewer_for(actor, Verb.TEMPLATE_READ)
    template = await db.get_template(conn, viewer, version.template_id)
    if template is None or template.organization_id != version.organization_id:
        raise Missing(
            "template_not_found",
            f"There is no template {version.template_id} in this organization.",
        )


async def _check_file(conn: "Connection", actor: Actor, file_id: UUID) -> None:
    """Nothing when there is a file that the actor may use; raises Missing."""
    if not await files.may_use_file(conn, viewer_for(actor, Verb.TEMPLATE_WRITE), file_id):
        raise Missing(
            "file_not_found",
            f"There is no file {file_id}, or you may not use it. Upload the archive first.",
        )
