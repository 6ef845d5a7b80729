"""One server answers people, another one on a data directory of its own runs their workspaces."""

import json
import urllib.request
from uuid import UUID

import pytest

from taskyard.sdk import ApiError
from taskyard.wire.enums import TaskStatus
from taskyard.wire.repository import PushTaskRequest
from taskyard.wire.tasks import TaskSendRequest
from tests.servers.kit import SHORT_LEASE, Yard, joined
from tests.system.kit import World
from tests.waiting import until

pytestmark = pytest.mark.all_tier


def send_once(world: World, task_id: UUID, text: str) -> int:
    """The status of a message that is sent under one key."""
    request = urllib.request.Request(
        f"{world.server.url}/api/v2/tasks/me/{task_id}/send",
        data=json.dumps({"input": text}).encode(),
        headers={"Coder-Session-Token": world.token, "Idempotency-Key": "the-same"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.status)


def test_everything_works_through_a_server_that_holds_no_link(shared_yard: Yard) -> None:
    """Send, logs, diff, push, attach: by a server whose data directory never saw the workspace.

    A request that is made twice by its key is done once, and what is done is written down as the first server's.
    """
    front = shared_yard.started("front", "--roles", "api")
    shared_yard.started("works", *joined("worker"), "--peer-listen", "127.0.0.1:0")
    world = shared_yard.world(front)
    task = world.create("echo made here")
    world.says(task.id, "made here")
    world.owner.send_task_input("me", task.id, TaskSendRequest(input="echo sent through"))
    world.says(task.id, "sent through")
    assert [send_once(world, task.id, "echo once") for _ in range(2)] == [204, 204]
    assert world.says(task.id, "\nonce").count("\nonce") == 1
    for call in (
        lambda: world.owner.get_task_diff("me", task.id),
        lambda: world.owner.push_task("me", task.id, PushTaskRequest()),
    ):
        with pytest.raises(ApiError) as refused:
            call()
        assert (refused.value.status, refused.value.reason) == (400, "no_repository")
    with world.owner.attach_task("me", task.id) as socket:
        assert json.loads(socket.recv(60))["may_type"] is True
        socket.send(json.dumps({"type": "prompt", "text": "echo typed through"}))
        world.says(task.id, "typed through")
    world.owner.pause_task("me", task.id)
    until("a paused task", lambda: world.status(task.id, TaskStatus.PAUSED))
    assert "typed through" in world.text(task.id)
    place = f"workspaces/{task.workspace_id}"
    assert [name for name in ("front", "works") if (shared_yard.home / name / place).exists()] == [
        "works"
    ]


async def test_a_task_whose_server_is_gone_says_so_and_goes_on_with_it(shared_yard: Yard) -> None:
    """kill -9 of the server that holds a workspace: the others name it; started again, all goes on."""
    shared_yard.environment |= SHORT_LEASE
    works = shared_yard.started("works")
    world = shared_yard.world(works)
    task = world.create("echo before")
    world.says(task.id, "before")
    front = shared_yard.client(world, shared_yard.started("front", *joined()))
    elsewhere = shared_yard.host_id("works")
    works.kill()
    await shared_yard.rows("update servers set seen_at = now() - interval '1 minute'")
    await shared_yard.rows(
        "update hosts set seen_at = now() - interval '1 minute' where id = $1::text::uuid",
        elsewhere,
    )
    with pytest.raises(ApiError) as gone:
        front.send_task_input("me", task.id, TaskSendRequest(input="echo lost"))
    assert (gone.value.status, gone.value.reason) == (502, "agent_unreachable")

    def told() -> str | None:
        state = front.get_task("me", task.id).current_state
        return state.message if state and "is away since" in state.message else None

    assert "task with --force" in until("the task to tell of it", told)
    works.start()

    def linked() -> bool | None:
        try:
            front.get_task_logs("me", task.id)
        except ApiError as error:
            return None if error.reason == "agent_unreachable" else pytest.fail(str(error))
        return True

    until("the workspace to call again", linked)
    world.says(task.id, "before", client=front)
    front.send_task_input("me", task.id, TaskSendRequest(input="echo back again"))
    world.says(task.id, "back again", client=front)


async def test_three_servers_share_the_work(shared_yard: Yard) -> None:
    """Nine starts at once on three servers: each is made once, lives in one of them, and is reached from all."""
    first = shared_yard.started("first", "--max-running", "3")
    others = [shared_yard.started(n, *joined(), "--max-running", "3") for n in ("second", "third")]
    world = shared_yard.world(first)
    tasks = [world.create(f"echo number {n}") for n in range(9)]
    clients = [world.owner, *(shared_yard.client(world, server) for server in others)]
    for n, task in enumerate(tasks):
        world.says(task.id, f"number {n}", client=clients[n % 3])
    rows = await shared_yard.rows(
        "select w.id, w.host_id, w.generation, j.attempt from workspaces w"
        " join provisioner_jobs j on j.workspace_id = w.id"
    )
    assert [(row["generation"], row["attempt"]) for row in rows] == [(1, 1)] * 9
    for name in ("first", "second", "third"):
        here = {UUID(p.name) for p in (shared_yard.home / name / "workspaces").glob("*-*-*-*-*")}
        wanted = UUID(shared_yard.host_id(name))
        assert here == {row["id"] for row in rows if row["host_id"] == wanted}
        assert len(here) == 3
