"""The templates that a new server brings, imported by itself."""

import asyncio
import hashlib

import pytest

from taskyard.control.identity import create_first_user
from taskyard.control.services import Services
from taskyard.control.starters import (
    HASH_DIGITS,
    VERSION_PREFIX,
    import_starters,
    keep_starters,
)
from taskyard.control.template_examples import load_starters
from taskyard.wire.identity import CreateFirstUserRequest
from tests.api.template_kit import importing
from tests.control.world_kit import background, eventually
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

NAMES = ["aider", "claude", "codex", "copilot", "custom", "gemini", "opencode", "shell"]


async def first_user(services: Services) -> None:
    request = CreateFirstUserRequest(
        email="ann@example.com", username="ann", password="correct horse staple"
    )
    await create_first_user(services, request, services.now())


async def run(services: Services) -> bool:
    return await import_starters(services, services.now())


async def execute(services: Services, sql: str) -> None:
    async with services.db.connection() as conn:
        await conn.execute(sql)


async def rows(services: Services, sql: str) -> list[tuple[object, ...]]:
    async with services.db.connection() as conn:
        return [tuple(record) for record in await conn.fetch(sql)]


async def active(services: Services) -> list[tuple[object, ...]]:
    """Each live template with the name of its active version and whether that runs tasks."""
    return await rows(
        services,
        "select t.name, v.name, v.has_ai_task from templates t"
        " join template_versions v on v.id = t.active_version_id where not t.deleted order by 1",
    )


def version_name(name: str) -> str:
    return VERSION_PREFIX + hashlib.sha256(load_starters()[name].archive).hexdigest()[:HASH_DIGITS]


async def test_nothing_is_imported_before_there_is_an_owner(services: Services) -> None:
    """A server without users keeps waiting."""
    assert not await run(services)
    assert await active(services) == []


async def test_the_starters_become_templates_of_the_first_owner(services: Services) -> None:
    """In the default organization, imported by a worker, with texts from their files; tasks can be made."""
    await first_user(services)
    assert await run(services)
    async with importing(services):

        async def done() -> list[tuple[object, ...]] | None:
            found = await active(services)
            return found if all(row[2] is not None for row in found) else None

        found = await eventually(done)
    assert found == [(name, version_name(name), True) for name in NAMES]
    texts = await rows(
        services,
        "select t.name, t.display_name <> '', t.description <> '', u.username, o.is_default from templates t"
        " join users u on u.id = t.created_by join organizations o on o.id = t.organization_id order by 1",
    )
    assert texts == [(name, True, True, "ann", True) for name in NAMES]


async def test_importing_again_changes_nothing(services: Services) -> None:
    """Any number of starts, and two servers at once, bring each starter once."""
    await first_user(services)
    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(run(services))
    assert await run(services)
    assert len(await active(services)) == len(NAMES)
    assert await rows(services, "select count(*) from template_versions") == [(len(NAMES),)]


async def test_a_deleted_starter_stays_deleted(services: Services) -> None:
    """Also when the server starts again."""
    await first_user(services)
    await run(services)
    await execute(services, "update templates set deleted = true where name = 'shell'")
    await run(services)
    assert [row[0] for row in await active(services)] == [n for n in NAMES if n != "shell"]


async def test_a_release_with_another_starter_brings_it_as_a_version(services: Services) -> None:
    """The template stays, its active version is the new one; a version that was here before does not come back."""
    await first_user(services)
    await run(services)
    await execute(services, "update template_versions set name = 'starter-000000000000' where true")
    await run(services)
    assert [row[1] for row in await active(services)] == [version_name(name) for name in NAMES]
    await execute(
        services,
        "update templates t set active_version_id = v.id from template_versions v"
        " where v.template_id = t.id and v.name = 'starter-000000000000'",
    )
    await run(services)
    assert {row[1] for row in await active(services)} == {"starter-000000000000"}


async def test_what_people_made_of_a_starter_is_left_alone(services: Services) -> None:
    """A template of that name whose active version is not ours stays as it is."""
    await first_user(services)
    await run(services)
    await execute(services, "update template_versions set name = 'mine'")
    await run(services)
    assert {row[1] for row in await active(services)} == {"mine"}
    assert await rows(services, "select count(*) from template_versions") == [(len(NAMES),)]


async def test_starters_come_as_soon_as_there_is_an_owner(services: Services) -> None:
    """The loop of a running server needs no restart for it, and ends then."""
    async with background(services.doorbell.run()), asyncio.TaskGroup() as group:
        keeping = group.create_task(keep_starters(services))
        await first_user(services)
        async with asyncio.timeout(DEADLINE_S):
            await keeping
    assert [row[0] for row in await active(services)] == NAMES


def test_the_archive_of_a_starter_is_always_the_same() -> None:
    """Scripts can be run, caches are left out, and two readings give the same bytes."""
    assert load_starters() == load_starters()
    assert list(load_starters()) == NAMES
    archives = [starter.archive for starter in load_starters().values()]
    assert b"__pycache__" not in b"".join(archives)
