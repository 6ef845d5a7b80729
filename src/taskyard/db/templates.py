"""Templates and their versions: row types and one function a statement of sql/templates.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.jobs import IdRow, JobKind, JobRow, TurnRow
from taskyard.db.locks import STARTERS
from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer
from taskyard.lifecycle.job import job_status
from taskyard.wire.enums import JobStatus
from taskyard.wire.templates import CorsBehavior, Provisioner
from taskyard.wire.workspaces import SharingLevel

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class FoundRow(msgspec.Struct, frozen=True):
    """Whether something is so."""

    found: bool


class TemplateRow(msgspec.Struct, frozen=True, kw_only=True):
    """A template. has_ai_task is of its active version, active_user_count who has a workspace of it.

    build_times is a JSON object: transition to median and 95th percentile in milliseconds.
    """

    id: UUID
    organization_id: UUID
    organization_name: str
    organization_display_name: str
    organization_icon: str
    name: str
    display_name: str
    description: str
    icon: str
    provisioner: Provisioner
    active_version_id: UUID
    has_ai_task: bool
    active_user_count: int
    default_ttl_ms: int
    activity_bump_ms: int
    failure_ttl_ms: int
    dormant_ttl_ms: int
    delete_ttl_ms: int
    allow_user_cancel_workspace_jobs: bool
    allow_user_autostart: bool
    allow_user_autostop: bool
    require_active_version: bool
    deprecation_message: str
    deleted: bool
    created_by: UUID
    created_by_name: str
    created_at: datetime
    updated_at: datetime
    autostop_days: list[str]
    autostop_weeks: int
    autostart_days: list[str]
    max_port_share_level: SharingLevel
    cors_behavior: CorsBehavior
    use_classic_parameter_flow: bool
    disable_module_cache: bool
    build_times: bytes


class TemplateFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of templates is narrowed to; null means any. Texts are in lower case.

    text is a part of the name or of the name for people.
    """

    organization_id: UUID | None = None
    exact_name: str | None = None
    name: str | None = None
    display_name: str | None = None
    text: str | None = None
    author_id: UUID | None = None
    has_ai_task: bool | None = None
    deprecated: bool | None = False
    deleted: bool = False


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A template version with its import job, whose columns begin with `job_`.

    template_* is null while it belongs to no template. warnings is a JSON array of sentences, requires_env one of
    entries as the template has them, null until the import succeeded. workers_* tell of those who could take the job.
    """

    id: UUID
    template_id: UUID | None
    template_name: str | None
    template_display_name: str | None
    template_icon: str | None
    organization_id: UUID
    name: str
    message: str
    readme: str
    archived: bool
    warnings: bytes
    variable_names: list[str]
    created_by: UUID
    created_by_username: str
    created_by_name: str
    created_by_avatar_url: str
    created_at: datetime
    updated_at: datetime
    job_id: UUID
    job_type: JobKind
    job_organization_id: UUID
    job_initiator_id: UUID
    job_file_id: UUID
    job_template_version_id: UUID | None
    job_workspace_id: UUID | None
    job_workspace_build_id: UUID | None
    job_tags: bytes
    job_attempt: int
    job_run_at: datetime
    job_worker_id: UUID | None
    job_worker_name: str | None
    job_lease_expires_at: datetime | None
    job_created_at: datetime
    job_updated_at: datetime
    job_started_at: datetime | None
    job_canceled_at: datetime | None
    job_completed_at: datetime | None
    job_error: str | None
    job_error_code: str | None
    job_queue_position: int
    job_queue_size: int
    workers_count: int
    workers_available: int
    workers_seen_at: datetime | None
    requires_env: bytes | None

    @property
    def job(self) -> JobRow:
        """The import job."""
        return JobRow(**{name: getattr(self, f"job_{name}") for name in JobRow.__struct_fields__})

    @property
    def import_status(self) -> JobStatus:
        """Where the import is."""
        return job_status(
            self.job_started_at, self.job_completed_at, self.job_canceled_at, self.job_error
        )


class LockedVersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose row is locked."""

    id: UUID
    organization_id: UUID
    template_id: UUID | None
    archived: bool


class ArchivedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was archived just now."""

    id: UUID
    name: str


class StarterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A template that may have come from a starter; version_name is of its active version."""

    id: UUID
    deleted: bool
    version_name: str


_NAME_IN_USE = statement("templates", "template_name_in_use", FoundRow)
_INSERT = statement("templates", "insert_template", NoRow)
_GET = statement("templates", "get_template", TemplateRow)
_GET_BY_NAME = statement("templates", "get_template_by_name", TemplateRow)
_LIST = statement("templates", "list_templates", TemplateRow)
_UPDATE = statement("templates", "update_template", NoRow)
_LOCK = statement("templates", "lock_template", IdRow)
_HOLD = statement("templates", "hold_template_of", IdRow)
_HAS_WORKSPACES = statement("templates", "has_workspaces", FoundRow)
_DELETE = statement("templates", "delete_template", NoRow)
_INSERT_VERSION = statement("templates", "insert_version", NoRow)
_GET_VERSION = statement("templates", "get_version", VersionRow)
_GET_VERSION_BY_NAME = statement("templates", "get_version_by_name", VersionRow)
_LIST_VERSIONS = statement("templates", "list_versions", VersionRow)
_GET_PREVIOUS_VERSION = statement("templates", "get_previous_version", VersionRow)
_UPDATE_VERSION = statement("templates", "update_version", NoRow)
_SET_ARCHIVED = statement("templates", "set_archived", NoRow)
_IS_VERSION_USED = statement("templates", "is_version_used", FoundRow)
_ARCHIVE_UNUSED = statement("templates", "archive_unused", ArchivedRow)
_TAG_JOB = statement("templates", "tag_job", NoRow)
_HAS_VERSION = statement("templates", "has_version", FoundRow)
_LOCK_VERSION = statement("templates", "lock_version", LockedVersionRow)
_ATTACH_VERSION = statement("templates", "attach_version", NoRow)
_PROMOTE_VERSION = statement("templates", "promote_version", NoRow)
_STARTERS_TURN = statement("templates", "take_starters_turn", TurnRow)
_FIRST_OWNER = statement("templates", "get_first_owner_as_system", IdRow)
_STARTER = statement("templates", "get_starter_as_system", StarterRow)


async def template_name_in_use(conn: "Connection", organization_id: UUID, name: str) -> bool:
    """Whether a live template of the organization has this name, whatever its case."""
    row = await _NAME_IN_USE.one(conn, organization_id=organization_id, name=name)
    return row is not None and row.found


async def insert_template(conn: "Connection", **values: object) -> None:
    """Adds a template around a version. Raises UniqueViolationError for a name in use."""
    await _INSERT.execute(conn, **values)


async def update_template(conn: "Connection", **values: object) -> None:
    """Gives a template these settings. Raises UniqueViolationError for a name in use."""
    await _UPDATE.execute(conn, **values)


async def lock_template(conn: "Connection", template_id: UUID) -> bool:
    """Whether the template lives; nobody else changes it until the transaction ends."""
    return await _LOCK.one(conn, template_id=template_id) is not None


async def hold_template_of(conn: "Connection", version_id: UUID) -> None:
    """Who changes the template of this version waits until the transaction ends; others go on using it."""
    await _HOLD.one(conn, version_id=version_id)


async def has_workspaces(conn: "Connection", template_id: UUID) -> bool:
    """Whether a live workspace is of the template."""
    row = await _HAS_WORKSPACES.one(conn, template_id=template_id)
    return row is not None and row.found


async def delete_template(conn: "Connection", template_id: UUID, now: datetime) -> None:
    """Nobody sees the template from now on, and its name is free."""
    await _DELETE.execute(conn, template_id=template_id, now=now)


async def get_template(conn: "Connection", viewer: Viewer, template_id: UUID) -> TemplateRow | None:
    """A live template that the viewer may see."""
    return await _GET.one(conn, template_id=template_id, **viewer.values())


async def get_template_by_name(
    conn: "Connection", viewer: Viewer, organization_id: UUID, name: str
) -> TemplateRow | None:
    """A live template of an organization by name, if the viewer may see it."""
    return await _GET_BY_NAME.one(
        conn, organization_id=organization_id, name=name, **viewer.values()
    )


async def list_templates(
    conn: "Connection", viewer: Viewer, only: TemplateFilter
) -> list[TemplateRow]:
    """Templates that the viewer may see, those with most users first."""
    return await _LIST.many(conn, **msgspec.structs.asdict(only), **viewer.values())


async def insert_version(conn: "Connection", **values: object) -> None:
    """Adds a version. Raises UniqueViolationError for a name that its template has already."""
    await _INSERT_VERSION.execute(conn, **values)


async def get_version(conn: "Connection", viewer: Viewer, version_id: UUID) -> VersionRow | None:
    """A version that the viewer may see."""
    return await _GET_VERSION.one(conn, version_id=version_id, **viewer.values())


async def get_version_by_name(
    conn: "Connection", template_id: UUID, name: str
) -> VersionRow | None:
    """A version of a template by name."""
    return await _GET_VERSION_BY_NAME.one(conn, template_id=template_id, name=name)


async def list_versions(
    conn: "Connection",
    template_id: UUID,
    *,
    include_archived: bool,
    after_id: UUID | None,
    limit: int | None,
    offset: int,
) -> list[VersionRow]:
    """Versions of a template, oldest first; limit null means all."""
    return await _LIST_VERSIONS.many(
        conn,
        template_id=template_id,
        include_archived=include_archived,
        after_id=after_id,
        limit=limit,
        offset=offset,
    )


async def get_previous_version(
    conn: "Connection", template_id: UUID, version_id: UUID
) -> VersionRow | None:
    """The version of the template that was made before this one; None for the first."""
    return await _GET_PREVIOUS_VERSION.one(conn, template_id=template_id, version_id=version_id)


async def update_version(
    conn: "Connection", version_id: UUID, *, name: str, message: str, now: datetime
) -> None:
    """Gives a version another name and message. Raises UniqueViolationError for a name in use."""
    await _UPDATE_VERSION.execute(conn, version_id=version_id, name=name, message=message, now=now)


async def set_archived(
    conn: "Connection", version_id: UUID, *, archived: bool, now: datetime
) -> None:
    """Archives a version, or takes it back."""
    await _SET_ARCHIVED.execute(conn, version_id=version_id, archived=archived, now=now)


async def is_version_used(conn: "Connection", template_id: UUID, version_id: UUID) -> bool:
    """Whether the version is the active one, or a live workspace of the template runs on it."""
    row = await _IS_VERSION_USED.one(conn, template_id=template_id, version_id=version_id)
    return row is not None and row.found


async def archive_unused(
    conn: "Connection", template_id: UUID, *, every_version: bool, now: datetime
) -> list[ArchivedRow]:
    """The versions that were archived now: unused ones whose import failed, or every unused one."""
    return await _ARCHIVE_UNUSED.many(
        conn, template_id=template_id, every_version=every_version, now=now
    )


async def tag_job(conn: "Connection", job_id: UUID, tags: bytes) -> None:
    """The import has these tags, a JSON object of texts."""
    await _TAG_JOB.execute(conn, job_id=job_id, tags=tags)


async def has_version(conn: "Connection", template_id: UUID, version_id: UUID) -> bool:
    """Whether the template has this version."""
    row = await _HAS_VERSION.one(conn, template_id=template_id, version_id=version_id)
    return row is not None and row.found


async def lock_version(
    conn: "Connection", viewer: Viewer, version_id: UUID
) -> LockedVersionRow | None:
    """A version that the viewer may see, locked until the transaction ends."""
    return await _LOCK_VERSION.one(conn, version_id=version_id, **viewer.values())


async def attach_version(
    conn: "Connection", version_id: UUID, template_id: UUID, now: datetime
) -> None:
    """The version belongs to the template from now on."""
    await _ATTACH_VERSION.execute(conn, version_id=version_id, template_id=template_id, now=now)


async def promote_version(
    conn: "Connection", template_id: UUID, version_id: UUID, now: datetime
) -> None:
    """New workspaces of the template are made of this version of it; nothing for a version of another."""
    await _PROMOTE_VERSION.execute(conn, template_id=template_id, version_id=version_id, now=now)


async def take_starters_turn(conn: "Connection") -> None:
    """Returns once no other server is at its starters; until the transaction ends."""
    await _STARTERS_TURN.one(conn, lock=STARTERS)


async def get_first_owner_as_system(conn: "Connection") -> UUID | None:
    """The live owner who was created first; None on a server without users."""
    row = await _FIRST_OWNER.one(conn)
    return None if row is None else row.id


async def get_starter_as_system(
    conn: "Connection", organization_id: UUID, name: str
) -> StarterRow | None:
    """The template of this name, live or deleted; None when there never was one."""
    return await _STARTER.one(conn, organization_id=organization_id, name=name)
