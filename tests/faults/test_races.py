"""Fifty clients on the same names and tasks at once: somebody wins, the others are told so, and nothing is in halves."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from taskyard.sdk import ApiError, SdkError
from taskyard.sdk.aio.client import AsyncClient
from taskyard.wire.tasks import CreateTaskRequest, SendWhen, TaskSendRequest
from tests.faults.invariants import INVARIANTS
from tests.system.kit import World, open_folder, pushed, serving
from tests.waiting import until

CLIENTS = 50
NAMES = 6
ROUNDS = int(os.environ.get("TASKYARD_RACE_ROUNDS", "12"))
"""Verbs of each client."""

SETTINGS = {
    "TASKYARD_RECONCILE_S": "0.3",
    "TASKYARD_STOP_GRACE_S": "1",
    "TASKYARD_MAX_RUNNING": "100",
}

SCRIPT = {
    "taskyard.toml": "[task]\napp = 'agent'\n[workspace]\ndriver = 'echo'\n[agent]\ntype = 'shell'\n",
    "echo.json": '{"agent": {"lifecycle": ["starting", "ready"], "apps": {"agent": "healthy"}, "agentapi": {}}}',
}

LEGAL = frozenset({400, 404, 409, 429, 502, 503})
"""Refusals that say that somebody else was faster, or that it is not the time."""


@pytest.fixture(scope="module")
def contested(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A server of this module's own."""
    log = tmp_path_factory.mktemp("races") / "log"
    with open_folder() as home, serving(home / "data", log, SETTINGS) as world:
        yield world


async def one_client(world: World, version: CreateTaskRequest, dice: random.Random) -> Counter[str]:
    """What a client that does anything to anything was answered."""
    told: Counter[str] = Counter()
    async with AsyncClient(world.server.url, world.token) as client:
        for _ in range(ROUNDS):
            await client.list_tasks()  # what happened meanwhile is known
            name = f"race-{dice.randrange(NAMES)}"
            verb = dice.choice(["create", "create", "send", "queue", "pause", "resume", "delete"])
            try:
                await act(client, verb, name, version)
            except ApiError as error:
                if error.status not in LEGAL:
                    raise
                told[f"{verb} {error.status}"] += 1
            else:
                told[verb] += 1
    return told


async def act(client: AsyncClient, verb: str, name: str, version: CreateTaskRequest) -> None:
    """One verb on the task of that name."""
    match verb:
        case "create":
            wanted = CreateTaskRequest(
                template_version_id=version.template_version_id, input="go", name=name
            )
            await client.create_task("me", wanted)
        case "send":
            await client.send_task_input("me", name, TaskSendRequest(input="hello"))
        case "queue":
            sent = TaskSendRequest(input="later", when=SendWhen.QUEUE)
            await client.send_task_input("me", name, sent)
        case "pause":
            await client.pause_task("me", name)
        case "resume":
            await client.resume_task("me", name)
        case _:
            await client.delete_task("me", name)


@pytest.mark.all_tier
@pytest.mark.anyio
async def test_fifty_clients(contested: World, figure: Callable[[str], None]) -> None:
    """No answer is an accident, and the database is whole once all is at rest."""
    version = pushed(contested, "raced", SCRIPT)
    request = CreateTaskRequest(template_version_id=version.id, input="go", name="any")
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    async with asyncio.TaskGroup() as group:
        clients = [
            group.create_task(one_client(contested, request, random.Random(seed + number)))
            for number in range(CLIENTS)
        ]
    told = sum((one.result() for one in clients), Counter[str]())
    figure(f"races: {CLIENTS} clients, {sum(told.values())} calls: {dict(sorted(told.items()))}")
    assert told["create"] >= NAMES
    await rest(contested)
    assert await broken(contested) == {}
    for task in contested.owner.list_tasks().tasks:
        ends(contested, task.name)
    await rest(contested)
    assert await broken(contested) == {}
    folder = contested.server.data_dir / "echo"
    assert [each.name for each in folder.iterdir()] == []


def ends(world: World, name: str) -> None:
    """Deletes the task, as soon as that can be."""

    def deleted() -> bool | None:
        try:
            world.owner.delete_task("me", name)
        except SdkError:
            return None
        return True

    until(f"{name} to be deleted", deleted)


async def rest(world: World) -> None:
    """Returns once no job is open and no prompt on its way: a build may be over before its input has arrived."""
    async with asyncio.timeout(100):
        for open_ones in ("no job without an end", "no prompt on its way for ever"):
            while await world.query(INVARIANTS[open_ones]):
                await asyncio.sleep(0.05)


async def broken(world: World) -> dict[str, list[dict[str, Any]]]:
    """What does not hold."""
    found = {
        what: [dict(row) for row in await world.query(sql)] for what, sql in INVARIANTS.items()
    }
    return {what: rows for what, rows in found.items() if rows}
