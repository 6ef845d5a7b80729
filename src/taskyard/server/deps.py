"""From a request to the rows it speaks of: who asks, and what the path names, or the one 404."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from starlette.requests import HTTPConnection

from taskyard.control import keys
from taskyard.control.actors import Actor, AgentActor, Origin
from taskyard.control.services import Services
from taskyard.control.tasks import find_task
from taskyard.control.template_versions import find_version
from taskyard.control.templates import find_template, find_template_by_name
from taskyard.control.viewers import may_read_user
from taskyard.db import identity as db
from taskyard.db.tasks import TaskRow
from taskyard.db.templates import TemplateRow, VersionRow
from taskyard.errors import Forbidden, NotFound
from taskyard.server.call import Call
from taskyard.wire.base import NIL_UUID

COOKIE = "coder_session_token"
HEADER = "Coder-Session-Token"

MAX_USER_AGENT = 512
"""Characters of a User-Agent that are kept: browsers send some 120."""


async def session_actor(services: Services, connection: HTTPConnection, now: datetime) -> Actor:
    """The signed-in user; raises Unauthenticated, UserSuspended, Forbidden for the page of another origin."""
    if COOKIE in connection.cookies:
        refuse_foreign_page(connection)
    actor = await keys.authenticate(services, token_of(connection), now)
    return replace(actor, origin=origin_of(connection))


def origin_of(connection: HTTPConnection) -> Origin:
    """Where a request came from, for the audit."""
    return Origin(
        request_id=connection.state.request_id,
        ip=connection.client.host if connection.client else None,
        user_agent=connection.headers.get("user-agent", "")[:MAX_USER_AGENT],
    )


async def agent_actor(services: Services, connection: HTTPConnection, _now: datetime) -> AgentActor:
    """The workspace agent; raises Unauthenticated."""
    return await keys.authenticate_agent(services, token_of(connection))


def token_of(connection: HTTPConnection) -> str | None:
    """The first token sent, in the contract's order. Source: tasks-api 2.1, T3, T4."""
    bearer = connection.headers.get("authorization", "")
    scheme, _, value = bearer.partition(" ")
    return (
        connection.cookies.get(COOKIE)
        or connection.query_params.get(COOKIE)
        or connection.headers.get(HEADER)
        or (value.strip() if scheme.lower() == "bearer" else "")
        or connection.query_params.get("access_token")
        or None
    )


async def user_param(call: Call, name: str = "user") -> db.UserRow:
    """The user of a path segment: `me`, an id, or a name; raises NotFound when absent or not visible."""
    raw = call.path(name)
    async with call.services.db.connection() as conn:
        user = None
        if raw == "me":
            user = await db.get_user_as_system(conn, call.actor.user_id)
        elif (user_id := _uuid_or_none(raw)) is not None:
            user = await db.get_user_as_system(conn, user_id)
        user = user or await db.get_user_by_username_as_system(conn, raw)
    if user is None or not may_read_user(call.actor, user):
        raise NotFound
    return user


async def task_param(call: Call) -> TaskRow:
    """The live task of a path segment, after the user of the segment before it; raises NotFound."""
    owner = await user_param(call)
    raw = call.path("task")
    return await find_task(
        call.services, call.actor, owner.id, name=raw, task_id=_uuid_or_none(raw)
    )


async def template_param(call: Call) -> TemplateRow:
    """The template of a path segment, by its id; raises UuidInvalid, NotFound."""
    return await find_template(call.services, call.actor, call.uuid("template"))


async def template_by_name_param(call: Call) -> TemplateRow:
    """The template of a path segment, by its name in the organization before it; raises NotFound."""
    organization = await organization_param(call)
    return await find_template_by_name(
        call.services, call.actor, organization.id, call.path("name")
    )


async def template_version_param(call: Call) -> VersionRow:
    """The template version of a path segment, by its id; raises UuidInvalid, NotFound."""
    return await find_version(call.services, call.actor, call.uuid("version"))


async def organization_param(call: Call, name: str = "organization") -> db.OrganizationRow:
    """The organization of a path segment: `default`, the nil UUID, an id, or a name; else NotFound."""
    raw = call.path(name)
    wanted = _uuid_or_none(raw)
    async with call.services.db.connection() as conn:
        for row in await db.list_organizations(conn, call.actor.viewer):
            is_default = raw.lower() == "default" or wanted == NIL_UUID
            if (
                (is_default and row.is_default)
                or row.id == wanted
                or row.name.lower() == raw.lower()
            ):
                return row
    raise NotFound


def _uuid_or_none(raw: str) -> UUID | None:
    try:
        return UUID(raw)
    except ValueError:
        return None


def refuse_foreign_page(connection: HTTPConnection) -> None:
    """Nothing, unless a page of another origin acts by somebody's browser; then raises Forbidden.

    Such a page can change things, or open a WebSocket and read it, but not read what a plain GET answers.
    """
    if connection.scope["type"] == "http" and connection.scope["method"] in ("GET", "HEAD"):
        return
    site = connection.headers.get("sec-fetch-site", "same-origin")
    origin = connection.headers.get("origin")
    host = connection.headers.get("host", "")
    if site not in ("same-origin", "none") or (origin and origin.partition("://")[2] != host):
        raise Forbidden("act from a page of another origin")
