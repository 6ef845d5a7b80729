"""Requests with an Idempotency-Key at a server that dies in the middle, or is frozen and replaced."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from tests.faults.holds import Holds
from tests.system.kit import World, open_folder, serving
from tests.waiting import until

CREATED = "create.committed"
"""Where a task is in the database, and nobody has been told yet."""


@contextmanager
def holding(folder: Path) -> Iterator[tuple[World, Holds]]:
    """A server whose steps a test can hold."""
    holds, path = Holds(), folder / "points.sock"
    with open_folder() as home:
        holds.listen(path, 0o600)
        try:
            environment = {"TASKYARD_POINTS": str(path)}
            with serving(home / "data", folder / "server.log", environment) as world:
                yield world, holds
                holds.let_all_go()
        finally:
            holds.close()


def ask(world: World, path: str, body: object, key: str) -> httpx2.Response | None:
    """The answer to a POST with this key; None when the connection broke."""
    headers = {"Coder-Session-Token": world.token, "Idempotency-Key": key}
    try:
        return httpx2.post(world.server.url + path, json=body, headers=headers, timeout=60)
    except httpx2.TransportError:
        return None


@pytest.mark.anyio
async def test_a_task_is_made_once_by_a_server_that_is_killed_before_it_answers(
    tmp_path: Path,
) -> None:
    """kill -9 between commit and answer: the same request at the next server is answered with that task."""
    with holding(tmp_path) as (world, holds), ThreadPoolExecutor() as threads:
        body = {"template_version_id": str(world.version_id), "input": "echo hello", "name": "once"}
        hold = holds.hold(CREATED, lambda _: True)
        first = threads.submit(ask, world, "/api/v2/tasks/me", body, "once")
        until("the task to be there", lambda: hold.is_reached or None)
        [made] = await world.query("select id from tasks")
        world.server.kill()
        hold.let_go()
        assert first.result() is None
        world.restart()
        again = [threads.submit(ask, world, "/api/v2/tasks/me", body, "once") for _ in range(3)]
        for one in again:
            answer = one.result()
            assert answer is not None
            assert (answer.status_code, answer.json()["id"]) == (201, str(made["id"]))
            assert answer.headers["Idempotency-Replayed"] == "true"
        assert len(await world.query("select from tasks")) == 1
        [row] = await world.query("select count(*) from audit_logs where resource_type = 'task'")
        assert row["count"] == 1
        world.active(made["id"])
