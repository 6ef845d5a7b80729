"""What is kept of who did what."""

from uuid import uuid4

import msgspec
import pytest

from taskyard.control.actors import Actor, Origin
from taskyard.control.audit import Deed, changed, record, record_sign_in
from taskyard.control.services import Services
from taskyard.wire.enums import AuditAction, AuditResource

ORIGIN = Origin("request", "203.0.113.7", "curl/8")


class Thing(msgspec.Struct):
    name: str
    secret: str


@pytest.mark.anyio
async def test_a_deed_is_kept_with_who_what_and_where_from(services: Services) -> None:
    """Actor, thing, changes and origin are in the row; the server itself is nobody from nowhere."""
    actor = Actor(uuid4(), "ada", frozenset(), frozenset(), frozenset(), "k" * 10, ORIGIN)
    changes = changed(Thing("old", "a"), Thing("new", "b"), ("name",))
    deed = Deed(
        action=AuditAction.WRITE,
        resource_type=AuditResource.TEMPLATE,
        resource_id=uuid4(),
        resource_name="thing",
        changes=changes,
    )
    async with services.db.transaction() as conn:
        await record(conn, actor, deed, services.now())
        await record(conn, None, deed, services.now())
        await record_sign_in(conn, (None, "eve", ORIGIN), services.now(), succeeded=False)
        rows = await conn.fetch("select * from audit_logs order by username")
    server, by_ada, refused = rows
    assert by_ada["user_id"] == actor.user_id
    assert msgspec.json.decode(by_ada["changes"]) == {"name": {"old": "old", "new": "new"}}
    assert (by_ada["request_id"], by_ada["ip"], by_ada["user_agent"]) == (
        "request",
        "203.0.113.7",
        "curl/8",
    )
    assert (server["user_id"], server["username"], server["ip"]) == (None, "", None)
    assert (refused["action"], refused["succeeded"], refused["user_id"]) == ("login", False, None)
