"""The main job with everything real: server, Postgres, sandbox, agent, bridge, shell."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from taskyard.sdk import ApiError
from taskyard.wire.enums import LogEntryType, TaskStatus
from taskyard.wire.tasks import TaskSendRequest, UpdateTaskInputRequest
from tests.system.kit import World, processes_of
from tests.waiting import until


def test_a_task_through_its_whole_life(shared: World) -> None:
    """Created, answered, sent to, paused, read, changed, resumed, answered, deleted; nothing is left."""
    task = shared.create("echo first answer; echo kept > ~/kept.txt")
    assert task.status is TaskStatus.PENDING
    shared.active(task.id)
    shared.says(task.id, "first answer")
    shared.owner.send_task_input("me", task.id, TaskSendRequest(input="echo second answer"))
    shared.says(task.id, "second answer")
    shared.owner.pause_task("me", task.id)
    until("a paused task", lambda: shared.status(task.id, TaskStatus.PAUSED))
    snapshot = shared.owner.get_task_logs("me", task.id)
    assert snapshot.snapshot is True
    assert [entry.type for entry in snapshot.logs] == [LogEntryType.INPUT, LogEntryType.OUTPUT] * 2
    changed = UpdateTaskInputRequest(input="cat ~/kept.txt; echo third answer")
    shared.owner.update_task_input("me", task.id, changed)
    shared.owner.resume_task("me", task.id)
    shared.active(task.id)
    text = shared.says(task.id, "third answer")
    assert text.index("first answer") < text.index("second answer") < text.index("kept\n")
    assert processes_of(shared.server.data_dir / "workspaces") != {}
    shared.owner.delete_task("me", task.id)
    with pytest.raises(ApiError) as gone:
        shared.owner.get_task("me", task.id)
    assert gone.value.status == 404
    folder = shared.server.data_dir / "workspaces" / str(task.workspace_id)
    until("the workspace's files to be gone", lambda: None if folder.exists() else True)
    assert processes_of(folder) == {}


def test_an_unchanged_input_is_not_run_again(shared: World) -> None:
    """A resume delivers the input only when it was changed while the task was paused."""
    task = shared.create("echo run >> ~/runs.txt; echo done once")
    shared.says(task.id, "done once")
    for _ in range(2):
        shared.owner.pause_task("me", task.id)
        until("a paused task", lambda: shared.status(task.id, TaskStatus.PAUSED))
        shared.owner.resume_task("me", task.id)
        shared.active(task.id)
        shared.says(task.id, "done once")
    shared.owner.send_task_input("me", task.id, TaskSendRequest(input="wc -l < ~/runs.txt"))
    assert "\n1\n" in shared.says(task.id, "\n1\n")


def test_two_users_do_not_see_each_other(shared: World) -> None:
    """Another member's task is 404 for every verb and absent from the list; the owner sees both."""
    bob, eve = shared.member("bob"), shared.member("eve")
    task = shared.create("echo secret of bob", client=bob, name="mine")
    shared.says(task.id, "secret of bob", client=bob)
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
    assert [t.id for t in shared.owner.list_tasks().tasks] == [task.id]
    assert bob.get_task("me", "MINE").id == task.id


def test_ten_tasks_at_once(shared: World) -> None:
    """Ten tasks started together all answer, each with its own."""

    def one(number: int) -> str:
        task = shared.create(f"echo answer {number} of ten")
        return shared.says(task.id, f"answer {number} of ten")

    with ThreadPoolExecutor(10) as pool:
        texts = list(pool.map(one, range(10)))
    for number, text in enumerate(texts):
        others = [f"answer {other} of ten" for other in range(10) if other != number]
        assert not any(other in text for other in others)


def test_workspaces_cannot_reach_each_other_or_the_server(shared: World) -> None:
    """From inside: no network, no server files, no other home, no secret in the environment."""
    probe = (
        f"ls {shared.server.data_dir} 2>&1; ls /root 2>&1; env | grep -i -c -E 'token|password|secret'; "
        "ip addr 2>/dev/null | grep -c -v -E 'lo|127|inet6 ::1|valid_lft' ; "
        f"(echo > /dev/tcp/127.0.0.1/{shared.server.url.rpartition(':')[2]}) 2>&1; echo probed"
    )
    task = shared.create(probe)
    text = shared.says(task.id, "probed")
    assert f"cannot access '{shared.server.data_dir}'" in text
    assert "Connection refused" in text
    assert "\n0\n" in text
