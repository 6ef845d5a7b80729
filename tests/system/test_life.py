"""The main job with everything real: server, Postgres, sandbox, agent, bridge, shell."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from taskyard.sdk import ApiError
from taskyard.wire.enums import LogEntryType, TaskStatus
from taskyard.wire.tasks import TaskSendRequest, UpdateTaskInputRequest
from tests.system.kit import World, processes_of, until


def test_a_task_through_its_whole_life(world: World, data_dir: Path) -> None:
    """Created, answered, sent to, paused, read, changed, resumed, answered, deleted; nothing is left."""
    task = world.create("echo first answer; echo kept > ~/kept.txt")
    assert task.status is TaskStatus.PENDING
    world.active(task.id)
    world.says(task.id, "first answer")
    world.owner.send_task_input("me", task.id, TaskSendRequest(input="echo second answer"))
    world.says(task.id, "second answer")
    world.owner.pause_task("me", task.id)
    until("a paused task", lambda: world.status(task.id, TaskStatus.PAUSED))
    snapshot = world.owner.get_task_logs("me", task.id)
    assert snapshot.snapshot is True
    assert [entry.type for entry in snapshot.logs] == [LogEntryType.INPUT, LogEntryType.OUTPUT] * 2
    changed = UpdateTaskInputRequest(input="cat ~/kept.txt; echo third answer")
    world.owner.update_task_input("me", task.id, changed)
    world.owner.resume_task("me", task.id)
    world.active(task.id)
    text = world.says(task.id, "third answer")
    assert text.index("first answer") < text.index("second answer") < text.index("kept\n")
    assert processes_of(data_dir / "workspaces") != {}
    world.owner.delete_task("me", task.id)
    with pytest.raises(ApiError) as gone:
        world.owner.get_task("me", task.id)
    assert gone.value.status == 404
    folder = data_dir / "workspaces" / str(task.workspace_id)
    until("the workspace's files to be gone", lambda: None if folder.exists() else True)
    assert processes_of(folder) == {}


def test_an_unchanged_input_is_not_run_again(world: World) -> None:
    """A resume delivers the input only when it was changed while the task was paused."""
    task = world.create("echo run >> ~/runs.txt; echo done once")
    world.says(task.id, "done once")
    for _ in range(2):
        world.owner.pause_task("me", task.id)
        until("a paused task", lambda: world.status(task.id, TaskStatus.PAUSED))
        world.owner.resume_task("me", task.id)
        world.active(task.id)
        world.says(task.id, "done once")
    world.owner.send_task_input("me", task.id, TaskSendRequest(input="wc -l < ~/runs.txt"))
    assert "\n1\n" in world.says(task.id, "\n1\n")


def test_two_users_do_not_see_each_other(world: World) -> None:
    """Another member's task is 404 for every verb and absent from the list; the owner sees both."""
    bob, eve = world.member("bob"), world.member("eve")
    task = world.create("echo secret of bob", client=bob, name="mine")
    world.says(task.id, "secret of bob", client=bob)
    verbs = (
        lambda: eve.get_task("me", task.id),
        lambda: eve.get_task("bob", "mine"),
        lambda: eve.get_task_logs("me", task.id),
        lambda: eve.send_task_input("me", task.id, TaskSendRequest(input="echo hi")),
        lambda: eve.update_task_input("me", task.id, UpdateTaskInputRequest(input="echo hi")),
        lambda: eve.pause_task("me", task.id),
        lambda: eve.resume_task("me", task.id),
        lambda: eve.delete_task("me", task.id),
    )
    for verb in verbs:
        with pytest.raises(ApiError) as refused:
            verb()
        assert refused.value.status == 404
    assert eve.list_tasks().tasks == []
    assert [t.id for t in world.owner.list_tasks().tasks] == [task.id]
    assert bob.get_task("me", "MINE").id == task.id


def test_ten_tasks_at_once(world: World) -> None:
    """Ten tasks started together all answer, each with its own."""

    def one(number: int) -> str:
        task = world.create(f"echo answer {number} of ten")
        return world.says(task.id, f"answer {number} of ten")

    with ThreadPoolExecutor(10) as pool:
        texts = list(pool.map(one, range(10)))
    for number, text in enumerate(texts):
        others = [f"answer {other} of ten" for other in range(10) if other != number]
        assert not any(other in text for other in others)


def test_workspaces_cannot_reach_each_other_or_the_server(world: World, data_dir: Path) -> None:
    """From inside: no network, no server files, no other home, no secret in the environment."""
    probe = (
        f"ls {data_dir} 2>&1; ls /root 2>&1; env | grep -i -c -E 'token|password|secret'; "
        "ip addr 2>/dev/null | grep -c -v -E 'lo|127|inet6 ::1|valid_lft' ; "
        f"(echo > /dev/tcp/127.0.0.1/{world.server.url.rpartition(':')[2]}) 2>&1; echo probed"
    )
    task = world.create(probe)
    text = world.says(task.id, "probed")
    assert f"cannot access '{data_dir}'" in text
    assert "Connection refused" in text
    assert "\n0\n" in text
