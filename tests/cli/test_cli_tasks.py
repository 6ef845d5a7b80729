"""A task's whole life by commands, with a real shell behind it."""

import json
from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from taskyard.sdk import Client
from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import Task
from tests.cli.conftest import DEADLINE_S, Ended, Program
from tests.sdk.yard_kit import OWNER
from tests.waiting import until


def new_task(program: Program, client: Client, text: str) -> Task:
    """A task that waits for input."""

    def ready() -> bool | None:
        return "shell" in program.good("templates", "list", "-c", "name").split() or None

    until("the template shell", ready)
    created = program.good("task", "create", "-q", "--template", "shell", text)
    task_id = UUID(created.strip())
    program.good("task", "status", "--watch", str(task_id))
    return client.get_task("me", task_id)


def test_a_whole_life(owner: Program, client: Client) -> None:
    """Create, talk, pause, read, talk on, delete: each command does it and says so on stdout."""
    task = new_task(owner, client, "echo one")
    name = f"{OWNER}/{task.name}"
    assert task.status is TaskStatus.ACTIVE
    sent = owner("task", "send", task.name, "--stdin", stdin="echo two")
    assert (sent.status, sent.out) == (0, f"Sent to {name}.\n")
    until("the answer", lambda: "\ntwo\n" in owner.good("task", "logs", task.name) or None)
    with owner.started("task", "logs", "-f", name) as following:
        paused = owner("task", "pause", "-y", name)
        out, err = following.communicate(timeout=DEADLINE_S)
    assert (paused.status, paused.out.startswith(f"Task {name} was paused at ")) == (0, True)
    assert "pausing" in paused.err
    assert (following.returncode, f"The task {name} is paused.\n") == (0, err)
    for said in ("> echo one\n", "\none\n", "> echo two\n", "\ntwo\n"):
        assert out.count(said) == 1, out
    logs = owner("task", "logs", task.name)
    assert logs.out == out
    assert "4 messages" in logs.err
    again = owner("task", "send", task.name, "echo three")
    assert again.status == 0
    assert "resuming" in again.err
    kept = json.loads(owner.good("task", "logs", "-o", "json", str(task.id)))
    assert [entry["id"] for entry in kept] == sorted({entry["id"] for entry in kept})
    deleted = owner.good("tasks", "delete", "-y", task.name, str(task.id))
    assert deleted.count(f"Task {name} was deleted at ") == 1
    gone = owner("task", "status", task.name)
    assert (gone.status, gone.out) == (1, "")
    assert task.name in gone.err


def test_pause_and_resume(owner: Program, client: Client) -> None:
    """Verbs that make no sense now are refused before anything is asked; --no-wait does not wait; a name always can change."""
    task = new_task(owner, client, "true")
    assert "'Other words'" in owner.good("task", "rename", task.name, "Other words")
    assert client.get_task("me", task.id).display_name == "Other words"
    assert owner("task", "resume", "-y", task.name).status == 1
    unasked = owner("task", "pause", task.name)
    assert (unasked.status, unasked.out) == (2, "")
    assert "--yes" in unasked.err
    assert client.get_task("me", task.id).status is TaskStatus.ACTIVE
    owner.good("task", "pause", "-y", task.name)
    # One more pause is no error: it ends a task that the first one froze.
    assert "was paused at" in owner.good("task", "pause", "-y", task.name)
    assert client.get_task("me", task.id).status is TaskStatus.PAUSED
    quick = owner("task", "resume", "-y", "--no-wait", task.name)
    assert (quick.status, quick.err) == (0, "")
    until(
        "the task to be active",
        lambda: client.get_task("me", task.id).status is TaskStatus.ACTIVE or None,
    )
    owner.good("task", "delete", "-y", task.name)


def test_lists(owner: Program, client: Client) -> None:
    """The table has the columns asked for, -q only ids, JSON the tasks as the API has them."""
    task = new_task(owner, client, "echo listed")
    assert str(task.id) in owner.good("task", "list", "-q").split()
    table = owner.good("task", "ls", "-c", "name,status,id").splitlines()
    assert table[0].split() == ["NAME", "STATUS", "ID"]
    assert [task.name, "active", str(task.id)] in [row.split() for row in table]
    found = json.loads(owner.good("task", "list", "-o", "json", "--user", OWNER))
    assert str(task.id) in {entry["id"] for entry in found}
    everybody = owner.good("task", "list", "--all", "--status", "active")
    assert everybody.split()[0] == "OWNER"
    nothing = owner("task", "list", "--status", "error")
    assert (nothing.status, nothing.out, nothing.err != "") == (0, "", True)
    assert json.loads(owner.good("task", "list", "--status", "error", "-o", "json")) == []
    owner.good("task", "delete", "-y", task.name)


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("create", ""), 2, "--stdin"),
        (("create", "x", "--stdin"), 2, "not both"),
        (("create", "x", "--template", "nope"), 1, "nope"),
        (("create", "x", "--template", "shell", "--template-version", "nope"), 1, "nope"),
        (("create", "x", "--template", "shell", "--preset", "nope"), 1, "nope"),
        (("create", "x", "--org", "nope"), 1, "nope"),
        (("status", "nope"), 1, "task list --all"),
        (("status", f"{OWNER}/nope"), 1, "nope"),
        (("status", str(uuid4())), 1, "task list --all"),
        (("send", "nope", ""), 2, "--stdin"),
        (("logs", "-f", "-o", "json", "nope"), 1, "nope"),
        (("list", "-c", "nope"), 2, "display_name"),
        (("list", "--user", "nope"), 1, "nope"),
        (("delete",), 2, "TASK"),
    ],
)
def test_what_cannot_be_done(
    quick: Callable[..., Ended], arguments: tuple[str, ...], status: int, word: str
) -> None:
    """Each refusal names the thing, goes to stderr alone, and has the right status."""
    ended = quick("task", *arguments)
    assert (ended.status, ended.out) == (status, ""), ended
    assert word in ended.err


def test_the_input_of_a_choice(owner: Program) -> None:
    """With several templates, creating a task asks which, and names them."""
    until(
        "the starter templates",
        lambda: len(owner.good("templates", "list").splitlines()) > 2 or None,
    )
    ended = owner("task", "create", "x")
    assert (ended.status, ended.out) == (1, "")
    assert "custom" in ended.err
    assert "shell" in ended.err
