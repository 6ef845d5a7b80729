"""Each route for each role, asked for one's own things, another's, and what is not there: a table that only grows.

The table is roles.txt. TASKYARD_WRITE_ROLES=1 writes what is found there, to be read as a difference: a cell that
turns from 404 to 200 gives somebody something.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from taskyard.control.services import Services
from taskyard.server.handlers import HANDLERS
from taskyard.wire.routes import Route
from tests.api.conftest import serving
from tests.api.seed import Person, connected
from tests.api.test_other_people import SWEPT, World

pytestmark = pytest.mark.anyio

TABLE = Path(__file__).with_name("roles.txt")
ROLES = (
    "member",
    "auditor",
    "user-admin",
    "template-admin",
    "admin-elsewhere",
    "admin-here",
    "owner",
)
"""admin-here administers the organization in which the things are, admin-elsewhere another one."""
SITE_ROLES = {"auditor", "user-admin", "template-admin", "owner"}
METHODS = ("GET", "PUT", "PATCH", "POST", "DELETE")
"""What reads is asked before what changes, and that before what takes away."""
LAST = (
    *(
        "create_workspace_build",
        "delete_task",
        "delete_template",
        "expire_key",
        "delete_key",
        "update_member_roles",
    ),
    *(
        "remove_member",
        "update_user_roles",
        "update_user_password",
        "suspend_user",
        "activate_user",
        "delete_user",
    ),
)
"""After these there may be nobody, or nothing, left to ask for: they come last, in this order."""
ROUTES = sorted(
    (r for r in SWEPT if r.operation in HANDLERS),
    key=lambda r: (
        LAST.index(r.operation) + 1 if r.operation in LAST else 0,
        METHODS.index(r.method),
    ),
)
BODIES = {"update_user_profile": {"username": "victim"}}
"""In place of those of the sweep: the name stays what the next routes call it by."""


@pytest.fixture
async def seeded(services: Services) -> AsyncIterator[World]:
    """A running task of a person, with all that belongs to it."""
    async with serving(services) as url, connected(services, url) as api:
        yield await World.seeded(api)


async def asker(world: World, role: str, whose: str) -> Person:
    """Who asks: the person whose things they are, or somebody else, with this role."""
    api = world.api
    if whose == "own":
        await api.execute(
            "update users set roles = $2 where id = $1",
            world.victim.id,
            [role] if role in SITE_ROLES else [],
        )
        if role == "admin-here":
            await api.execute(
                "update organization_members set roles = '{organization-admin}' where user_id = $1",
                world.victim.id,
            )
        made = await api.post(
            "/api/v2/users/me/keys/tokens", {"token_name": "second"}, by=world.victim
        )
        # The first token is one of the things that are asked for.
        return replace(world.victim, token=made.json()["key"])
    roles = ("organization-admin",) if role.startswith("admin") else ()
    here = await api.value("select id from organizations where name = 'elsewhere'")
    site = (role,) if role in SITE_ROLES else ()
    place = here if role == "admin-here" else None
    return await api.person("asker", *site, organization=place, organization_roles=roles)


async def status(world: World, route: Route, ids: dict[str, str], by: Person) -> int:
    """The status of an answer, of which nothing else is read."""
    headers = {"Coder-Session-Token": by.token}
    target = world.target(route, ids)
    async with world.api.client.stream(
        route.method, target, json=BODIES.get(route.operation) or world.body(route), headers=headers
    ) as answer:
        return answer.status_code


def read_table() -> dict[tuple[str, str], dict[str, str]]:
    """Role and whose, then operation and statuses."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in TABLE.read_text().splitlines() if TABLE.exists() else ():
        operation, *cells = line.split()
        for column, cell in zip(COLUMNS, cells, strict=True):
            found.setdefault(column, {})[operation] = cell
    return found


COLUMNS = [(role, whose) for role in ROLES for whose in ("own", "others")]


def write_table(table: dict[tuple[str, str], dict[str, str]]) -> None:
    """The table as a file: an operation a line, a role and whose a column."""
    width = max(len(route.operation) for route in ROUTES)
    lines = [
        " ".join(
            [
                f"{route.operation:{width}}",
                *(f"{table.get(c, {}).get(route.operation, '-'):>7}" for c in COLUMNS),
            ]
        )
        for route in sorted(ROUTES, key=lambda r: r.operation)
    ]
    TABLE.write_text("".join(f"{line.rstrip()}\n" for line in lines))


@pytest.mark.all_tier
@pytest.mark.parametrize(("role", "whose"), COLUMNS)
@pytest.mark.attack(
    "Every role asks every route for its own things, another's, and what is not there",
    wall="one table of roles; what one may not see is like what is not there",
)
async def test_every_cell(seeded: World, role: str, whose: str) -> None:
    """The answers are those of the table; a member gets nothing of others."""
    person = await asker(seeded, role, whose)
    found: dict[str, str] = {}
    for route in ROUTES:
        cell = [await status(seeded, route, seeded.ids, person)]
        if whose == "others":
            cell.append(await status(seeded, route, seeded.nothing(), person))
        assert 500 not in cell, route.operation
        found[route.operation] = "/".join(map(str, cell))
        if role == "member" and whose == "others":
            assert cell[0] == cell[1], route.operation
            assert cell[0] in (403, 404), route.operation
    table = read_table()
    if os.environ.get("TASKYARD_WRITE_ROLES"):
        write_table(table | {(role, whose): found})
    else:
        assert found == table.get((role, whose)), "see the top of this file"


@pytest.mark.attack(
    "A new route is added, and nobody says who may use it",
    wall="the table names every route that names anything",
)
def test_every_route_is_in_the_table() -> None:
    """No row is missing, and none is left of a route that is gone."""
    table = read_table()
    assert set(table) == set(COLUMNS)
    for column in table.values():
        assert set(column) == {route.operation for route in ROUTES}
        assert "-" not in column.values()
