"""Uploaded archives: row type and one function a statement of sql/files.sql."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from taskyard.db.jobs import IdRow
from taskyard.db.statements import NoRow, statement
from taskyard.db.viewer import Viewer

if TYPE_CHECKING:
    from taskyard.db.pool import Connection


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """An archive as it was uploaded."""

    id: UUID
    mimetype: str
    data: bytes


class UsableRow(msgspec.Struct, frozen=True):
    """Whether a file is there for somebody."""

    found: bool


class BytesRow(msgspec.Struct, frozen=True):
    """How many bytes there are."""

    bytes: int


_INSERT_FILE = statement("files", "insert_file", NoRow)
_FIND_FILE = statement("files", "find_file", IdRow)
_TOUCH_FILE = statement("files", "touch_file", NoRow)
_SUM_FILES = statement("files", "sum_files_as_system", BytesRow)
_GET_FILE = statement("files", "get_file", FileRow)
_MAY_USE_FILE = statement("files", "may_use_file", UsableRow)
_USE_FILE = statement("files", "use_file", NoRow)


async def insert_file(conn: "Connection", **values: object) -> bool:
    """Whether the file is new; False when its user has one of the same bytes."""
    return await _INSERT_FILE.execute(conn, **values) > 0


async def find_file(conn: "Connection", created_by: UUID, sha256: bytes) -> UUID | None:
    """The id of the user's file of these bytes; None when they have none."""
    row = await _FIND_FILE.one(conn, created_by=created_by, sha256=sha256)
    return None if row is None else row.id


async def touch_file(conn: "Connection", file_id: UUID, now: datetime) -> bool:
    """Whether the file is still there; its bytes were uploaded again."""
    return await _TOUCH_FILE.execute(conn, file_id=file_id, now=now) > 0


async def sum_files_as_system(conn: "Connection", created_by: UUID) -> int:
    """How many bytes a user's files have."""
    row = await _SUM_FILES.one(conn, created_by=created_by)
    return 0 if row is None else row.bytes


async def get_file(conn: "Connection", viewer: Viewer, file_id: UUID) -> FileRow | None:
    """A file that the viewer may read."""
    return await _GET_FILE.one(conn, file_id=file_id, **viewer.values())


async def may_use_file(conn: "Connection", viewer: Viewer, file_id: UUID) -> bool:
    """Whether there is such a file and the viewer may read it."""
    row = await _MAY_USE_FILE.one(conn, file_id=file_id, **viewer.values())
    return row is not None and row.found


async def use_file(conn: "Connection", job_id: UUID, file_id: UUID) -> None:
    """The version that the job imports is made from this file from now on."""
    await _USE_FILE.execute(conn, job_id=job_id, file_id=file_id)
