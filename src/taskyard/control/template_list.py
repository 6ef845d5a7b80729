"""The list of templates and its query."""

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec.structs import replace

from taskyard.control.actors import Actor
from taskyard.control.services import Services
from taskyard.control.task_list import organization_of_query, owner_of_query
from taskyard.control.viewers import viewer_for
from taskyard.db import templates as db
from taskyard.errors import QueryInvalid
from taskyard.lifecycle.permissions import Verb
from taskyard.lifecycle.search import explain, parse_query

if TYPE_CHECKING:
    from taskyard.db.pool import Connection

BARE = "search"
"""The key that words without one mean: a part of the name, or of the name for people."""

TEXTS = ("exact_name", "name", "display_name")
FLAGS = ("has-ai-task", "has_external_agent", "deprecated", "deleted")
KEYS = (BARE, *TEXTS, *FLAGS, "organization", "author", "author_id")
"""What a search for templates may name. Source: supporting-api 7."""

WORDS = {"true": True, "1": True, "false": False, "0": False}
"""How yes and no are written in a query."""

Violations = list[tuple[str, str]]


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
    found = parse_query(q.replace("\0", "\ufffd"), KEYS, bare=BARE)
    if isinstance(found, list):
        raise QueryInvalid([(violation.field, explain(violation, KEYS)) for violation in found])
    violations: Violations = []
    flags = {key: _flag(key, found[key], violations) for key in FLAGS if key in found}
    author_id = await _author(conn, actor, found, violations)
    organization_id = None
    if "organization" in found:
        organization_id = await organization_of_query(
            conn, actor, found["organization"], violations
        )
    if violations:
        raise QueryInvalid(violations)
    if flags.get("has_external_agent"):
        return None
    return db.TemplateFilter(
        organization_id=organization_id,
        exact_name=found.get("exact_name"),
        name=found.get("name"),
        display_name=found.get("display_name"),
        text=found.get(BARE),
        author_id=author_id,
        has_ai_task=flags.get("has-ai-task"),
        deprecated=flags.get("deprecated", False),
        deleted=flags.get("deleted", False),
    )


async def _author(
    conn: "Connection", actor: Actor, found: dict[str, str], violations: Violations
) -> UUID | None:
    if "author_id" in found:
        try:
            return UUID(found["author_id"])
        except ValueError:
            violations.append(("author_id", f'"{found["author_id"]}" is not a UUID'))
            return None
    if "author" not in found:
        return None
    # A filter names its key: the user is looked up like the owner of a task.
    author_violations: Violations = []
    author_id = await owner_of_query(conn, actor, found["author"], author_violations)
    violations += [("author", sentence) for _, sentence in author_violations]
    return author_id


def _flag(key: str, value: str, violations: Violations) -> bool:
    if value not in WORDS:
        violations.append((key, f'"{value}" is neither true nor false'))
    return WORDS.get(value, False)
