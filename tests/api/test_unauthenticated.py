"""Nobody gets in without the right kind of token: every door of the table, over a real socket."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import httpx2
import msgspec
import pytest

from taskyard.config import Settings
from taskyard.control import keys
from taskyard.control.links import Links
from taskyard.control.services import Services
from taskyard.db.migrate import migrate
from taskyard.db.pool import Database, Doorbell
from taskyard.wire.base import Response
from taskyard.wire.routes import BY_OPERATION, ROUTES, Auth
from tests.api.conftest import serving
from tests.api.seed import Api, connected
from tests.api.sweep import DOORS, OPEN, Door, Reply, doors_of, knock
from tests.house.tree import ROOT

SESSION_DOORS = [door for door in DOORS if door.auth is Auth.SESSION]
AGENT_DOORS = [door for door in DOORS if door.auth is Auth.AGENT]


@dataclass(frozen=True, slots=True)
class Yard:
    """A running server with one good token of each kind."""

    client: httpx2.AsyncClient
    session_token: str
    agent_token: str


@pytest.fixture(scope="module")
async def yard(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Yard]:
    """One server for all tests here, which change nothing in it."""
    async with (
        _services(postgres_url, tmp_path_factory.mktemp("yard")) as services,
        serving(services) as url,
        connected(services, url) as api,
    ):
        yield Yard(api.client, api.owner.token, await _agent_token(api))


@asynccontextmanager
async def _services(postgres_url: str, folder: Path) -> AsyncIterator[Services]:
    """What a server works with, on a database that goes with it."""
    name = f"sweep_{uuid4().hex}"
    url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    admin = await asyncpg.connect(postgres_url)
    await admin.execute(f'create database "{name}"')
    try:
        await migrate(url)
        database = Database(url, size=4)
        await database.open()
        try:
            yield Services(
                settings=Settings(data_dir=str(folder)),
                db=database,
                doorbell=Doorbell(url),
                links=Links(),
                server_id=uuid4(),
                deployment_id=uuid4(),
                now=lambda: datetime.now(UTC),
            )
        finally:
            await database.close()
    finally:
        await admin.execute(f'drop database "{name}" with (force)')
        await admin.close()


async def _agent_token(api: Api) -> str:
    """The token of the agent of a task that runs."""
    task = await api.task(await api.template())
    agent_id = await api.start(task["workspace_id"])
    token = str(uuid4())
    await api.execute(
        "update workspace_agents set token_hash = $2 where id = $1",
        agent_id,
        keys.hash_agent_token(token),
    )
    return token


def refused(reply: Reply) -> str:
    """The code of a 401; checks that it says what is wrong, and how to authenticate."""
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"].startswith('Bearer realm="coder"')
    problem = msgspec.json.decode(reply.body, type=Response)
    assert problem.message
    assert problem.detail
    return reply.headers["X-Taskyard-Reason"]


@pytest.mark.parametrize("door", SESSION_DOORS, ids=str)
@pytest.mark.attack(
    "Every route of people is called without a token",
    wall="401 before anything is read",
)
async def test_session_route_refuses_a_stranger(yard: Yard, door: Door) -> None:
    """Without a token a session route is 401, whatever it would have been asked. Source: T2."""
    assert refused(await knock(yard.client, door, None)) == "key_missing"


@pytest.mark.parametrize("door", SESSION_DOORS, ids=str)
@pytest.mark.attack(
    "Every route of people is called with the token of an agent",
    wall="401: a token is for one kind of door",
)
async def test_session_route_refuses_an_agent(yard: Yard, door: Door) -> None:
    """A good agent token on a session route is 401. Source: tasks-api 2.2."""
    assert refused(await knock(yard.client, door, yard.agent_token)) == "key_malformed"


@pytest.mark.parametrize("door", AGENT_DOORS, ids=str)
@pytest.mark.attack(
    "Every route and WebSocket of agents is called without a token",
    wall="401 before anything is read",
)
async def test_agent_route_refuses_a_stranger(yard: Yard, door: Door) -> None:
    """Without a token an agent route is 401. Source: tasks-api 2.2."""
    assert refused(await knock(yard.client, door, None)) == "token_missing"


@pytest.mark.parametrize("door", AGENT_DOORS, ids=str)
@pytest.mark.attack(
    "Every route and WebSocket of agents is called with a person's token",
    wall="401: a token is for one kind of door",
)
async def test_agent_route_refuses_a_user(yard: Yard, door: Door) -> None:
    """A good session token on an agent route is 401. Source: T150."""
    assert refused(await knock(yard.client, door, yard.session_token)) == "token_malformed"


async def test_the_tokens_of_the_sweep_are_good(yard: Yard) -> None:
    """Each token opens a door of its own kind, so that the refusals are about the kind. Source: T3."""
    [session_door, _alias] = doors_of(BY_OPERATION["list_tasks"])
    [agent_door] = doors_of(BY_OPERATION["create_log_source"])
    assert (await knock(yard.client, session_door, yard.session_token)).status == 200
    # Let in, and then told that the body is missing.
    assert (await knock(yard.client, agent_door, yard.agent_token)).status == 400


@pytest.mark.parametrize("operation", sorted(OPEN))
async def test_open_route_lets_a_stranger_in(yard: Yard, operation: str) -> None:
    """A route that anybody may call never asks for a token."""
    [door] = doors_of(BY_OPERATION[operation])
    reply = await knock(yard.client, door, None)
    assert reply.status not in (401, 403, 404, 405, 500)


async def test_the_served_document_is_the_checked_in_one(yard: Yard) -> None:
    """What clients are given is the file that is read and diffed."""
    [door] = doors_of(BY_OPERATION["get_openapi"])
    reply = await knock(yard.client, door, None)
    kept = (ROOT / "src" / "taskyard" / "server" / "openapi.json").read_bytes()
    assert reply.headers["Content-Type"].startswith("application/json")
    assert msgspec.json.decode(reply.body) == msgspec.json.decode(kept)


def test_open_routes_are_listed() -> None:
    """The routes that ask for no token are those of the list, so that none gets so by mistake."""
    assert {route.operation for route in ROUTES if route.auth is Auth.NONE} == OPEN
