"""The audit as people see it: who did what to which thing, when, and from where."""

from typing import Annotated
from uuid import UUID

import msgspec

from taskyard.wire.base import PageNumber, Time
from taskyard.wire.enums import AuditAction, AuditResource

AnyValue = Annotated[object, msgspec.Meta(description="Any JSON value.", extra_json_schema={})]
"""What a field held, whatever its type."""


class AuditChange(msgspec.Struct, frozen=True):
    """What a field was before and after; null where there was nothing."""

    old: AnyValue
    new: AnyValue


class AuditLog(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done.

    user_id is null, and username empty, where the server acted by itself; after a sign-in that was refused, username
    is the name that was tried. key_id is the API key in use. resource_id is a UUID, or the id of an API key; empty
    for what is not there. organization_id is null for things of the whole server. changes are by field, never with a
    secret.
    """

    id: UUID
    at: Time
    user_id: UUID | None
    username: str
    key_id: str | None
    action: AuditAction
    resource_type: AuditResource
    resource_id: str
    resource_name: str
    organization_id: UUID | None
    succeeded: bool
    changes: dict[str, AuditChange]
    request_id: str | None
    ip: str | None
    user_agent: str | None


class AuditLogsResponse(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit, newest first. count is how many fit the search, 10,000 where it is more."""

    audit_logs: list[AuditLog]
    count: int


class ListAuditLogsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A search in the audit, and a page of what it finds: 100 unless told, 1,000 at most. after: older than this one.

    q takes user, action, resource_type, resource, organization, from, to, request_id, ip and succeeded; words without
    a colon are looked for in the names of things.
    """

    q: str = ""
    limit: PageNumber = 0
    offset: PageNumber = 0
    after: UUID | None = None


class ExportAuditLogsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A search in the audit, as for a list. format: jsonl, which is what there is."""

    q: str = ""
    format: str = "jsonl"
