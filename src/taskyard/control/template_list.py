"""The list of templates and its query."""

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import replace

from taskyard.control.actors import Actor
from taskyard.control.search import Search
from taskyard.control.services import Services
from taskyard.control.viewers import viewer_for
from taskyard.db import templates as db
from taskyard.lifecycle.permissions import Verb

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

BARE = "search"
"""The key that words without one mean: a part of the name, or of the name for people."""

TEXTS = ("exact_name", "name", "display_name")
FLAGS = ("has-ai-task", "has_external_agent", "deprecated", "deleted")
KEYS = (BARE, *TEXTS, *FLAGS, "organization", "author", "author_id")
"""What a search for templates may name. Source: supporting-api 7."""


async def list_templates(
    services: Services, actor: Actor, q: str, *, organization_id: UUID | None = None
) -> list[db.TemplateRow]:
    """Templates that the actor may see, those with most users first, narrowed by `q`.

    Deprecated ones only when asked for. Raises QueryInvalid. Source: U13.
    """
    async with services.db.connection() as conn:
        only = await _filter(conn, actor, q)
        if only is None:
            return []
        if organization_id is not None:
            if only.organization_id not in (None, organization_id):
                return []
            only = replace(only, organization_id=organization_id)
        return await db.list_templates(conn, viewer_for(actor, Verb.TEMPLATE_READ), only)


async def _filter(conn: "Connection", actor: Actor, q: str) -> db.TemplateFilter | None:
    """What the query asks for; None when no template can be it."""
    search = Search(q, KEYS, bare=BARE)
    flags = {key: search.flag(key) for key in FLAGS}
    author_id = search.uuid("author_id")
    only = db.TemplateFilter(
        organization_id=await search.organization(conn, actor),
        exact_name=search.text("exact_name"),
        name=search.text("name"),
        display_name=search.text("display_name"),
        text=search.text(BARE),
        author_id=author_id or await search.user(conn, actor, "author"),
        has_ai_task=flags["has-ai-task"],
        deprecated=flags["deprecated"] or False,
        deleted=flags["deleted"] or False,
    )
    search.check()
    return None if flags["has_external_agent"] else only
