"""How many statements each route sends to Postgres: a read more than it needs is a round trip for every request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import httpx2
import pytest

from bench.seed import seed
from taskyard.control.services import Services
from tests.api.agent_seat import started
from tests.api.conftest import serving
from tests.api.seed import Api, connected
from tests.api.stream_kit import Writer, events_of, streaming
from tests.statement_log import logged

pytestmark = pytest.mark.anyio

CROWD = 500
"""Tasks of others: so many that the newest ten are in every state."""

LIST = 7
"""Of a list of tasks: the key, the transaction it is read in, the tasks, their places in the queue, why some failed."""

COUNTS = {
    "users/me": 2,
    "a task by its id": 1,
    "a task by its name": 1,
    "15 tasks": LIST,
    "50 tasks": LIST,
    "templates": 2,
    "template versions": 3,
    "a workspace": 9,
    "a page of the transcript": 3,
    "another name": 7,
    "a prompt for later": 11,
    "pause": 16,
    "logs of a paused task": 2,
    "resume": 17,
    "a new task": 17,
    "events up to the status": 4,
}
"""Round trips of a request: its statements, and what begins and ends a transaction around some."""


@dataclass
class Walk:
    """Requests one after the other, and the statements that each of them was."""

    api: Api
    seen: list[str]
    found: dict[str, list[str]] = field(default_factory=dict)

    async def ask(self, name: str, method: str, path: str, body: object = None) -> None:
        """Sends a request, which must go well."""
        await self._note(name, lambda: self._sent(method, path, body))

    async def follow(self, name: str, path: str) -> None:
        """Reads a stream until it says what the task is; what comes after that waits for something to happen."""
        await self._note(name, lambda: self._standing(path))

    async def _note(self, name: str, request: Callable[[], Awaitable[object]]) -> None:
        self.seen.clear()
        await request()
        self.found[name] = list(self.seen)

    async def _sent(self, method: str, path: str, body: object) -> None:
        answer: httpx2.Response = await self.api.call(method, path, body)
        assert answer.status_code < 300, f"{method} {path}: {answer.text}"

    async def _standing(self, path: str) -> None:
        async with streaming(self.api, path) as stream:
            await stream.until("status")


async def test_each_route_has_its_count(services: Services, database_url: str) -> None:
    """Each request is as many statements as the table says, on one connection, however many rows it lists."""
    await seed(database_url, CROWD)
    async with logged(database_url) as (database, seen):
        counting = replace(services, db=database)
        async with serving(counting) as url, connected(counting, url) as api:
            await walked(
                Walk(api, seen)
            )  # asyncpg asks for the types of each column, once for the connection
            walk = Walk(api, seen)
            await walked(walk)
    wrong = [
        f"{name}: {len(sql)}, not {COUNTS.get(name)}\n  "
        + "\n  ".join(" ".join(s.split())[:160] for s in sql)
        for name, sql in walk.found.items()
        if len(sql) != COUNTS.get(name)
    ]
    assert not wrong, "\n".join(wrong)
    assert walk.found.keys() == COUNTS.keys()


async def walked(walk: Walk) -> None:
    """Asks each of the routes once, of a task of its own."""
    seat = await started(walk.api)
    await (await Writer.of(seat)).thoughts(["one", "two"])
    task = f"/api/v2/tasks/me/{seat.task['id']}"
    template = f"/api/v2/templates/{seat.task['template_id']}"
    await walk.ask("users/me", "GET", "/api/v2/users/me")
    await walk.ask("a task by its id", "GET", task)
    await walk.ask("a task by its name", "GET", f"/api/v2/tasks/me/{seat.task['name']}")
    await walk.ask("15 tasks", "GET", "/api/v2/tasks?page_size=15")
    await walk.ask("50 tasks", "GET", "/api/v2/tasks?page_size=50")
    await walk.ask("templates", "GET", "/api/v2/templates")
    await walk.ask("template versions", "GET", f"{template}/versions")
    await walk.ask("a workspace", "GET", f"/api/v2/workspaces/{seat.task['workspace_id']}")
    await walk.ask("a page of the transcript", "GET", f"{task}/transcript")
    await walk.ask("another name", "PATCH", task, {"display_name": "Login"})
    await walk.ask("a prompt for later", "POST", f"{task}/send", {"input": "go", "when": "queue"})
    await walk.ask("pause", "POST", f"{task}/pause")
    await walk.api.succeed(seat.task["workspace_id"])
    await walk.api.snapshot(seat.task, {"messages": []})
    await walk.ask("logs of a paused task", "GET", f"{task}/logs")
    await walk.ask("resume", "POST", f"{task}/resume")
    await walk.ask(
        "a new task",
        "POST",
        "/api/v2/tasks/me",
        {"template_version_id": seat.task["template_version_id"], "input": "do it"},
    )
    await walk.follow("events up to the status", events_of(seat.task))
