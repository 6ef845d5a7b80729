"""Uploaded archives: stored once a user, as tar, whatever they came as."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import anyio.to_thread

from taskyard.control import audit
from taskyard.control.actors import Actor
from taskyard.control.archives import tar_to_zip, zip_to_tar
from taskyard.control.quotas import check_file_room
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.db import files as db
from taskyard.db.files import FileRow
from taskyard.errors import Forbidden, NotFound, RequestRefused
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire.enums import AuditAction, AuditResource

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

TAR = "application/x-tar"
ZIP = "application/zip"
ZIPS = frozenset({ZIP, "application/x-zip-compressed"})
"""Media types of uploads. Source: supporting-api 6."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is stored now; is_new is false when this user had uploaded the same bytes before."""

    id: UUID
    is_new: bool


def check_upload(actor: Actor, content_type: str) -> None:
    """Nothing when the actor may upload something of this type.

    Raises Forbidden for who can make no template of it, RequestRefused for other types.
    """
    organizations = {None, *actor.member_of, *actor.admin_of}
    if not any(can(actor, Verb.TEMPLATE_WRITE, None, each) for each in organizations):
        raise Forbidden("upload files")
    if content_type != TAR and content_type not in ZIPS:
        raise RequestRefused(
            "unsupported_content_type",
            f'A file of type "{content_type}" is not taken.',
            f"Send a tar as {TAR}, or a zip as {ZIP}.",
        )


async def upload_file(
    services: Services, actor: Actor, content_type: str, data: bytes, *, now: datetime
) -> Stored:
    """The archive as a stored file. Raises QuotaReached, ArchiveTooLarge, ArchiveInvalid for a zip. Source: U9."""
    if content_type in ZIPS:
        data = await anyio.to_thread.run_sync(zip_to_tar, data)
    sha256 = await anyio.to_thread.run_sync(_sha256, data)
    async with services.db.transaction() as conn:
        stored = await store_file(conn, actor.user_id, data, sha256=sha256, now=now)
        if stored.is_new:
            await check_file_room(conn, services.settings, actor.user_id)
            deed = audit.Deed(
                action=AuditAction.CREATE,
                resource_type=AuditResource.FILE,
                resource_id=stored.id,
                resource_name=sha256.hex(),
            )
            await audit.record(conn, actor, deed, now)
        return stored


async def store_file(
    conn: "Connection", user_id: UUID, data: bytes, *, sha256: bytes | None = None, now: datetime
) -> Stored:
    """A tar as a file of this user; the one that they have already when its bytes are the same."""
    digest = sha256 or _sha256(data)
    known = await db.find_file(conn, user_id, digest)
    # One that the reaper takes away in this moment is stored anew.
    if known is not None and await db.touch_file(conn, known, now):
        return Stored(known, is_new=False)
    file_id = uuid4()
    if await db.insert_file(
        conn, id=file_id, sha256=digest, created_by=user_id, mimetype=TAR, data=data, now=now
    ):
        return Stored(file_id, is_new=True)
    # Somebody else's transaction was faster by a moment; it is over now.
    known = await db.find_file(conn, user_id, digest)
    if known is None:
        raise NotFound("file")
    return Stored(known, is_new=False)


async def get_file(services: Services, actor: Actor, file_id: UUID, as_format: str) -> FileRow:
    """A stored file as it is or, for the format `zip`, as that.

    Raises RequestRefused for another format, NotFound, ArchiveInvalid for a tar that makes no zip.
    """
    if as_format not in ("", "zip"):
        raise RequestRefused(
            "unsupported_format",
            f'A file cannot be had in the format "{as_format}".',
            "Leave format away for the tar, or ask for zip.",
        )
    async with services.db.connection() as conn:
        file = await db.get_file(conn, viewer_for(actor, Verb.TEMPLATE_WRITE), file_id)
    if file is None:
        raise NotFound(f"file {file_id}")
    if not as_format:
        return file
    zipped = await anyio.to_thread.run_sync(partial(tar_to_zip, file.data))
    return FileRow(id=file.id, mimetype=ZIP, data=zipped)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()
