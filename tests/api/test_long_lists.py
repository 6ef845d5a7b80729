"""Lists of any length: read in batches, sent while they are read, and nothing left behind by whoever hangs up."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from bench.seed import OWN, add_key, seed
from taskyard.control.services import Services
from taskyard.control.task_list import BATCH
from taskyard.control.template_versions import BATCH as MANY
from tests.api.conftest import serving
from tests.api.seed import Api, Json, Person, connected
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

TASKS = 3 * BATCH
"""Three full batches: the end of the list comes as a batch of its own."""


@pytest.fixture
async def crowd(services: Services, database_url: str) -> AsyncIterator[Api]:
    """A server with some hundred tasks of others than its owner."""
    await seed(database_url, TASKS)
    async with serving(services) as url, connected(services, url) as api:
        yield api


async def test_a_long_list_comes_in_parts(crowd: Api) -> None:
    """A list longer than what is kept in memory has every task once, newest first, as pages would give them."""
    whole = await crowd.get("/api/v2/tasks")
    assert whole.headers["Transfer-Encoding"] == "chunked"
    assert whole.headers["Content-Type"] == "application/json; charset=utf-8"
    body = whole.json()
    assert (len(body["tasks"]), body["count"]) == (TASKS, TASKS)
    assert list(body) == ["tasks", "count"]
    assert [task["name"] for task in body["tasks"]] == [f"crowd-{t}" for t in range(TASKS)]
    paged = []
    token = ""
    for _ in range(TASKS // 100 + 1):
        page = await crowd.get(f"/api/v2/tasks?page_size=100&page_token={token}")
        paged += page.json()["tasks"]
        token = page.headers.get("X-Taskyard-Next-Page", "")
    assert (paged, token) == (body["tasks"], "")


async def test_a_filter_narrows_a_long_list(crowd: Api) -> None:
    """The statuses that a list is narrowed to add up to the whole, and each task shows the one that was asked for."""
    counts = {}
    for status in ("active", "paused", "error", "pending", "initializing", "unknown"):
        tasks = (await crowd.get(f"/api/v2/tasks?q=status:{status}")).json()["tasks"]
        assert {task["status"] for task in tasks} <= {status}
        counts[status] = len(tasks)
    assert sum(counts.values()) == TASKS
    assert [counts[status] for status in ("initializing", "unknown")] == [0, 0]


async def test_a_short_list_has_a_length(crowd: Api) -> None:
    """A list that is in memory anyhow is sent in one piece; a member gets their own."""
    async with crowd.services.db.connection() as conn:
        member = Person(crowd.owner.id, "crowd-1", await add_key(conn, "user1"))
    for path in ("/api/v2/tasks", "/api/v2/tasks?q=owner:me"):
        response = await crowd.get(path, by=member)
        assert response.json()["count"] == OWN
        assert int(response.headers["Content-Length"]) == len(response.content)


async def test_errors_of_a_long_list_are_answers(crowd: Api) -> None:
    """What is wrong with a query is said before anything is sent."""
    response = await crowd.get("/api/v2/tasks?q=owner:nobody")
    assert response.status_code == 400


async def test_head_of_a_long_list(crowd: Api) -> None:
    """HEAD has no body, and gives back what it read with."""
    response = await crowd.call("HEAD", "/api/v2/tasks")
    assert (response.status_code, response.content) == (200, b"")
    await idle(crowd)


async def test_who_hangs_up_leaves_nothing_behind(crowd: Api) -> None:
    """A client that goes away in the middle of a list keeps no connection to Postgres."""
    await crowd.execute("update tasks set input = repeat('x', 4000)")
    parts = urlsplit(crowd.url)
    for _ in range(3):
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, limit=1024)
        head = f"GET /api/v2/tasks HTTP/1.1\r\nHost: x\r\nCoder-Session-Token: {crowd.owner.token}\r\n\r\n"
        writer.write(head.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.transport.abort()
    await idle(crowd)
    whole = await crowd.get("/api/v2/tasks")
    assert json.loads(whole.content)["count"] == TASKS


async def idle(api: Api) -> None:
    """Returns once no connection to Postgres is in use."""
    async with asyncio.timeout(DEADLINE_S):
        while api.services.db.connections[0]:
            await asyncio.sleep(0.005)


async def test_a_long_list_of_versions(api: Api) -> None:
    """Versions come in parts once there are many; pages of any size add up to the same list."""
    template = await api.template()
    made = [str(template.version_id), *[str(await api.version(template)) for _ in range(2 * MANY)]]
    path = f"/api/v2/templates/{template.id}/versions"
    whole = await api.get(path)
    assert whole.headers["Transfer-Encoding"] == "chunked"
    assert {version["id"] for version in whole.json()} == set(made)
    assert len(whole.json()) == len(made)
    for limit in (1, MANY - 1, MANY, MANY + 1, 2 * MANY, 5 * MANY):
        paged: list[Json] = []
        while page := (await api.get(f"{path}?limit={limit}&offset={len(paged)}")).json():
            assert len(page) <= limit
            paged += page
        assert paged == whole.json()
    behind = (await api.get(f"{path}?after_id={whole.json()[4]['id']}&offset=3")).json()
    assert behind == whole.json()[8:]
