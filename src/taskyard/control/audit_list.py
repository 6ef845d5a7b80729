"""The audit read: searched, by pages, or as a whole."""

import re
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from taskyard.control.actors import Actor, Who
from taskyard.control.search import Search
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.db import audit as db
from taskyard.db.audit import AuditFilter, AuditRow, Place
from taskyard.errors import Forbidden, QueryInvalid, RequestRefused
from taskyard.lifecycle.permissions import Verb, can
from taskyard.wire import audit as wire
from taskyard.wire.base import as_uuid
from taskyard.wire.enums import AuditAction, AuditResource

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

KEYS: Final = (
    *("user", "action", "resource_type", "resource", "organization", "from", "to"),
    *("request_id", "ip", "succeeded"),
)
"""What may be asked of the audit. A time has colons, so it stands in double quotes; a day does not."""

USUAL: Final = 100
"""Rows of a page that nobody gave a size for: two screens."""

MOST: Final = 1000
"""Rows of the largest page, some 500 kB; also what an export has in memory at once."""

COUNTED: Final = 10_000
"""How far rows are counted: beyond it nobody reads the number, and counting takes longer than the page."""

FORMATS: Final = ("jsonl",)
"""What an export can be had as."""

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


async def list_audit(
    services: Services, actor: Actor, query: wire.ListAuditLogsQuery
) -> wire.AuditLogsResponse:
    """A page of what the actor may read. Raises Forbidden, QueryInvalid."""
    _check_reader(actor)
    viewer = viewer_for(actor, Verb.AUDIT_READ)
    async with services.db.reading() as conn:
        only = await _filter(conn, actor, query.q)
        after = None
        if query.after is not None:
            after = await db.get_audit_place(conn, viewer, query.after)
            if after is None:
                raise QueryInvalid([("after", f"there is nothing by the id {query.after}")])
        limit = min(query.limit or USUAL, MOST)
        rows = await db.list_audit_logs(
            conn, viewer, only, limit=limit, offset=query.offset, after=after
        )
        count = await db.count_audit_logs(conn, viewer, only, most=COUNTED)
    return wire.AuditLogsResponse(audit_logs=[_view(row) for row in rows], count=count)


async def export_audit(
    services: Services, who: Who, query: wire.ExportAuditLogsQuery
) -> AsyncGenerator[list[wire.AuditLog], None]:
    """All that whoever asks may read, batch by batch; the first is read before this returns.

    Raises Forbidden, QueryInvalid, RequestRefused for a format that there is not.
    """
    actor = await who()
    _check_reader(actor)
    if query.format not in FORMATS:
        raise RequestRefused(
            "unsupported_format",
            f'The audit cannot be had in the format "{query.format}".',
            "Leave format away, or ask for jsonl.",
        )
    async with services.db.reading() as conn:
        only = await _filter(conn, actor, query.q)
    return _batches(services, who, only)


async def _batches(
    services: Services, who: Who, only: AuditFilter
) -> AsyncGenerator[list[wire.AuditLog], None]:
    after: Place | None = None
    while True:
        actor = await who()
        _check_reader(actor)
        async with services.db.reading() as conn:
            viewer = viewer_for(actor, Verb.AUDIT_READ)
            rows = await db.list_audit_logs(conn, viewer, only, limit=MOST, after=after)
        if rows:
            yield [_view(row) for row in rows]
        if len(rows) < MOST:
            return
        after = Place(rows[-1].id, rows[-1].at)


def _check_reader(actor: Actor) -> None:
    """Nothing for owners and auditors, and for who runs an organization and reads of what is in it."""
    organizations = {None, *actor.admin_of}
    if not any(can(actor, Verb.AUDIT_READ, None, each) for each in organizations):
        raise Forbidden("read the audit")


async def _filter(conn: "Connection", actor: Actor, q: str) -> AuditFilter:
    """What a search narrows the audit to. Raises QueryInvalid, which names every key that is wrong."""
    search = Search(q, KEYS, bare="resource")
    user = search.text("user")
    user_id = actor.user_id if user == "me" else as_uuid(user or "")
    only = AuditFilter(
        user_id=user_id,
        username=user if user_id is None else None,
        action=search.word("action", AuditAction),
        resource_type=search.word("resource_type", AuditResource),
        resource=search.text("resource"),
        organization_id=await search.organization(conn, actor),
        since=_moment(search, "from", timedelta(0)),
        until=_moment(search, "to", timedelta(days=1)),
        request_id=search.text("request_id"),
        ip=search.text("ip"),
        succeeded=search.flag("succeeded"),
    )
    search.check()
    return only


def _moment(search: Search, key: str, of_day: timedelta) -> datetime | None:
    """The time of a key, or for a day its beginning and so much more."""
    text = search.text(key)
    if text is not None and _DAY.fullmatch(text):
        try:
            return datetime.combine(date.fromisoformat(text), time(), UTC) + of_day
        except (ValueError, OverflowError):
            pass
    return search.time(key)


def _view(row: AuditRow) -> wire.AuditLog:
    return wire.AuditLog(
        id=row.id,
        at=row.at,
        user_id=row.user_id,
        username=row.username,
        key_id=row.key_id,
        action=AuditAction(row.action),
        resource_type=AuditResource(row.resource_type),
        resource_id=row.resource_id,
        resource_name=row.resource_name,
        organization_id=row.organization_id,
        succeeded=row.succeeded,
        changes=msgspec.json.decode(row.changes, type=dict[str, wire.AuditChange]),
        request_id=row.request_id,
        ip=row.ip,
        user_agent=row.user_agent,
    )
