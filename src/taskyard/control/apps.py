"""Who may see an app of a workspace in a browser: tickets that are good once, and the visits they begin."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit
from uuid import UUID, uuid4

from taskyard.control.actors import Actor
from taskyard.control.appclient import LOOPBACK
from taskyard.control.audit import deed_of, record
from taskyard.control.previews import AppHost
from taskyard.control.services import Services
from taskyard.db import apps as db
from taskyard.errors import AppFailed, AppUrlScheme, NotFound, RequestRefused
from taskyard.lifecycle.permissions import Verb, can
from taskyard.lifecycle.template_model import Share
from taskyard.wire import apps as wire
from taskyard.wire.enums import AuditAction, AuditResource, UserStatus

TICKET_LIFE: Final = timedelta(seconds=60)
"""How long a ticket may wait for its browser: it travels in an address, which histories keep."""

VISIT_LIFE: Final = timedelta(hours=12)
"""How long a visit lasts: a working day. It ends sooner with the key, the workspace's start, or the right to see it."""

MOST_VISITS: Final = 32
"""Tickets and visits of one key at one app: more browsers than anybody has. The oldest ends when another is begun."""

TOKEN_BYTES: Final = 32
"""Random bytes of a ticket or cookie; nobody guesses 256 bits, so a plain hash of them is kept."""

ENTER: Final = "/.taskyard/enter"
"""The one path on an app's host that is ours: where a ticket becomes a cookie."""

MAX_PATH_CHARS: Final = 4096
"""Longest path to begin at; the rest of a request's head has 60 KiB left."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An app that its visitor may see. port is on the loopback of its workspace. actor None: it is public."""

    agent_id: UUID
    port: int
    share: Share
    actor: Actor | None


async def make_ticket(
    services: Services,
    actor: Actor,
    host: AppHost,
    request: wire.AppTicketRequest,
    *,
    now: datetime,
) -> wire.AppTicket:
    """A ticket to the app, at the server that holds the link of its workspace.

    Raises NotFound for an app that is not there, does not run or is not for them; RequestRefused, AppFailed,
    AppUrlScheme, AgentUnreachable, HeldElsewhere.
    """
    async with services.db.connection() as conn:
        app = await db.get_running_app_as_system(
            conn, host.workspace_id, host.slug, cookie_hash=None
        )
    if app is None or not may_open(actor, app):
        raise NotFound
    path = request.path or start_path(app)
    _check(services, path)
    port_of(app)
    # The server that holds the link is the one that shows the app.
    await services.links.get(app.agent_id)
    ticket, ends = secrets.token_urlsafe(TOKEN_BYTES), now + TICKET_LIFE
    async with services.db.transaction() as conn:
        await db.reap_app_visits_as_system(conn, now)
        await db.remove_old_app_visits_as_system(
            conn, app, key_id=actor.key_id, kept=MOST_VISITS - 1
        )
        await db.insert_app_ticket_as_system(
            conn,
            app,
            visit_id=uuid4(),
            key_id=actor.key_id,
            ticket_hash=_hash(ticket),
            now=now,
            expires_at=ends,
        )
        changes = {"app": {"old": None, "new": app.slug}}
        deed = deed_of(AuditResource.WORKSPACE, app, AuditAction.ATTACH, changes)
        await record(conn, actor, deed, now)
    origin = services.previews.origin(host)
    return wire.AppTicket(
        url=f"{origin}{ENTER}?ticket={ticket}&path={quote(path, safe='/')}", expires_at=ends
    )


def _check(services: Services, path: str) -> None:
    """Nothing when such a ticket can be made; raises RequestRefused."""
    if not services.previews.is_on:
        raise RequestRefused(
            "no_previews",
            "This server shows no apps.",
            "Whoever runs it can give it a place for them with --apps-listen and --apps-url.",
        )
    if not is_local_path(path):
        raise RequestRefused(
            "invalid_path",
            "The app cannot be shown from there on.",
            f'A path begins with one slash and has at most {MAX_PATH_CHARS} visible characters, like "/docs?page=1".',
        )


def is_local_path(path: str) -> bool:
    """Whether a browser that is sent there stays on the host where it is, and nothing else is told to it."""
    if not path.startswith("/") or path.startswith("//") or "\\" in path:
        return False
    return len(path) <= MAX_PATH_CHARS and all("!" <= sign <= "~" for sign in path)


async def enter(services: Services, host: AppHost, ticket: str, *, now: datetime) -> str | None:
    """The cookie for a ticket of this app; None for one that is not good, or was used before."""
    cookie = secrets.token_urlsafe(TOKEN_BYTES)
    async with services.db.transaction() as conn:
        used = await db.use_app_ticket_as_system(
            conn,
            host.workspace_id,
            host.slug,
            ticket_hash=_hash(ticket),
            cookie_hash=_hash(cookie),
            now=now,
            expires_at=now + VISIT_LIFE,
        )
    return cookie if used else None


async def visit(
    services: Services, host: AppHost, cookie: str | None, *, now: datetime
) -> Seen | None:
    """The app, for whoever has this cookie; None for whoever may not see it, also when there is no such app.

    Raises AppFailed, AppUrlScheme for an app whose URL leads nowhere.
    """
    async with services.db.connection() as conn:
        app = await db.get_running_app_as_system(
            conn,
            host.workspace_id,
            host.slug,
            cookie_hash=None if cookie is None else _hash(cookie),
        )
    if app is None:
        return None
    actor = _visitor(app, now)
    if app.sharing_level is not Share.PUBLIC and (actor is None or not may_open(actor, app)):
        return None
    return Seen(app.agent_id, port_of(app), app.sharing_level, actor)


def _visitor(app: db.RunningAppRow, now: datetime) -> Actor | None:
    """Who visits; None for nobody who is known, in this generation, by a key that is good."""
    if app.user_id is None or app.username is None or app.key_id is None:
        return None
    if app.visit_generation != app.generation or app.status is UserStatus.SUSPENDED:
        return None
    if min(app.visit_ends_at or now, app.key_ends_at or now) <= now:
        return None
    return Actor(
        user_id=app.user_id,
        username=app.username,
        roles=frozenset(app.roles or ()),
        member_of=frozenset(app.member_of or ()),
        admin_of=frozenset(app.admin_of or ()),
        key_id=app.key_id,
    )


def may_open(actor: Actor, app: db.RunningAppRow) -> bool:
    """Whether somebody signed in may see the app: those who may change its workspace, and whom it is shared with."""
    if can(actor, Verb.WORKSPACE_WRITE, app.owner_id, app.organization_id):
        return True
    match app.sharing_level:
        case Share.OWNER:
            return False
        case Share.ORGANIZATION:
            return app.organization_id in actor.member_of
        case Share.AUTHENTICATED | Share.PUBLIC:
            return True


def port_of(app: db.RunningAppRow) -> int:
    """The port of the app's URL. Raises AppUrlScheme, AppFailed for any host but the workspace's own loopback."""
    try:
        parts = urlsplit(app.url)
        port = parts.port or 80
    except ValueError as error:
        raise AppFailed(f"the URL of the app {app.slug} cannot be used: {error}") from error
    if parts.scheme != "http":
        raise AppUrlScheme(parts.scheme)
    if parts.hostname not in LOOPBACK:
        raise AppFailed(f"the app {app.slug} is not on its workspace's loopback")
    return port


def start_path(app: db.RunningAppRow) -> str:
    """Where in the app its URL begins."""
    parts = urlsplit(app.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return path if is_local_path(path) else "/"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="replace")).digest()
