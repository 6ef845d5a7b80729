"""From a request to the rows it speaks of: who asks, and what the path names, or the one 404."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from starlette.requests import HTTPConnection

from taskyard.config import Settings
from taskyard.control import keys
from taskyard.control.actors import AgentActor, Origin
from taskyard.control.services import Services
from taskyard.control.template_versions import find_version
from taskyard.control.templates import find_template, find_template_by_name
from taskyard.control.tokens import check_keys_of
from taskyard.control.viewers import may_read_user, viewer_for
from taskyard.db import identity as db
from taskyard.db.tasks import TaskPath, TaskRow
from taskyard.db.templates import TemplateRow, VersionRow
from taskyard.errors import Forbidden, NotFound
from taskyard.lifecycle.permissions import Role, Verb, may_grant
from taskyard.wire.base import NIL_UUID, as_uuid

if TYPE_CHECKING:
    from taskyard.server.call import Call

COOKIE = "coder_session_token"
HEADER = "Coder-Session-Token"

MAX_USER_AGENT = 512
"""Characters of a User-Agent that are kept: browsers send some 120."""


async def session_of(services: Services, connection: HTTPConnection, now: datetime) -> keys.Session:
    """The signed-in user, with the task of the path; raises Unauthenticated, UserSuspended, Forbidden.

    Forbidden is for the page of another origin.
    """
    if COOKIE in connection.cookies:
        refuse_foreign_page(connection, services.settings)
    token, path = token_of(connection), _task_path(connection)
    if path is None:
        session = await keys.authenticate(services, token, now)
    else:
        session = await keys.authenticate_with_task(services, token, path, now)
    return replace(session, actor=replace(session.actor, origin=origin_of(connection)))


def _task_path(connection: HTTPConnection) -> TaskPath | None:
    """What a path says of a user and a task; None when it says nothing that anything can be named."""
    owner, task = (str(connection.path_params.get(name, "")) for name in ("user", "task"))
    if not (owner and task) or "\0" in owner + task:
        return None
    return TaskPath(owner=owner, owner_id=as_uuid(owner), task=task, task_id=as_uuid(task))


def origin_of(connection: HTTPConnection) -> Origin:
    """Where a request came from, for the audit."""
    return Origin(
        request_id=connection.state.request_id,
        ip=connection.client.host if connection.client else None,
        user_agent=connection.headers.get("user-agent", "")[:MAX_USER_AGENT],
        claim=getattr(connection.state, "claim", None),
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


async def user_param(call: "Call", name: str = "user") -> db.UserRow:
    """The user of a path segment: `me`, an id, or a name; raises NotFound when absent or not visible."""
    user = await _user_of_path(call, name)
    if user is None or not may_read_user(call.actor, user):
        raise NotFound
    return user


async def new_member_param(call: "Call", organization: UUID) -> db.UserRow:
    """The user of a path segment, for those who may add members even if they do not see the user yet.

    They must know the exact name or id, and learn from the answer only that there is such a user. Raises NotFound.
    """
    user = await _user_of_path(call, "user")
    if user is None or not (
        may_read_user(call.actor, user) or may_grant(call.actor, Role.MEMBER, organization)
    ):
        raise NotFound
    return user


async def key_owner_param(call: "Call", verb: Verb) -> db.UserRow:
    """The user of a path segment, whose keys the caller may read or write; raises NotFound, Forbidden."""
    user = await user_param(call)
    await check_keys_of(call.services, call.actor, user, verb)
    return user


async def _user_of_path(call: "Call", name: str) -> db.UserRow | None:
    raw = call.path(name)
    async with call.services.db.connection() as conn:
        user = None
        if raw == "me":
            user = await db.get_user_as_system(conn, call.actor.user_id)
        elif (user_id := as_uuid(raw)) is not None:
            user = await db.get_user_as_system(conn, user_id)
        return user or await db.get_user_by_username_as_system(conn, raw)


def task_param(call: "Call") -> TaskRow:
    """The live task of a path segment, found with who asks; raises NotFound for none, or its user unseen."""
    if call.session is None or call.session.task is None:
        raise NotFound
    return call.session.task


async def template_param(call: "Call") -> TemplateRow:
    """The template of a path segment, by its id; raises UuidInvalid, NotFound."""
    return await find_template(call.services, call.actor, call.uuid("template"))


async def template_by_name_param(call: "Call") -> TemplateRow:
    """The template of a path segment, by its name in the organization before it; raises NotFound."""
    organization = await organization_param(call)
    return await find_template_by_name(
        call.services, call.actor, organization.id, call.path("name")
    )


async def template_version_param(call: "Call") -> VersionRow:
    """The template version of a path segment, by its id; raises UuidInvalid, NotFound."""
    return await find_version(call.services, call.actor, call.uuid("version"))


async def organization_param(call: "Call", name: str = "organization") -> db.OrganizationRow:
    """The organization of a path segment: `default`, the nil UUID, an id, or a name; else NotFound."""
    raw = call.path(name)
    wanted = as_uuid(raw)
    async with call.services.db.connection() as conn:
        for row in await db.list_organizations(
            conn, viewer_for(call.actor, Verb.ORGANIZATION_READ)
        ):
            is_default = raw.lower() == "default" or wanted == NIL_UUID
            if (
                (is_default and row.is_default)
                or row.id == wanted
                or row.name.lower() == raw.lower()
            ):
                return row
    raise NotFound


def refuse_foreign_page(connection: HTTPConnection, settings: Settings) -> None:
    """Nothing, unless a page of another origin acts by somebody's browser; then raises Forbidden.

    Such a page can change things, or open a WebSocket and read it, but not read what a plain GET answers.
    """
    if connection.scope["type"] == "http" and connection.scope["method"] in ("GET", "HEAD"):
        return
    origin = connection.headers.get("origin")
    site = connection.headers.get("sec-fetch-site", "same-origin")
    is_ours = (
        site in ("same-origin", "none")
        if origin is None
        else _is_ours(origin, connection, settings)
    )
    if not is_ours:
        raise Forbidden("act from a page of another origin")


def _is_ours(origin: str, connection: HTTPConnection, settings: Settings) -> bool:
    """Whether pages of this origin may act: those of our own address, and those that the settings name.

    Behind a proxy that ends TLS we may not know that our own scheme is https; the access URL says it.
    """
    if origin in settings.cors_origins or origin == settings.access_url:
        return True
    host = origin.partition("://")[2]
    public = (settings.access_url or "").partition("://")[2]
    return host == connection.headers.get("host", "") and host != public


def is_private_line(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether the browser that asks reaches us by https, so that its cookie is for https only."""
    public = settings.access_url or ""
    return public.startswith("https:") or connection.url.scheme in ("https", "wss")
