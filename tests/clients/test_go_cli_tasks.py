"""The CLI's `task` commands: what each sends, in which order, and what it needs of the answers. Source: clients 2.3, 2.4."""

import pytest

from tests.clients.go_cli import CLI, Refused
from tests.clients.served import Served
from tests.clients.strict import UUID

pytestmark = pytest.mark.client("CLI")

WATCH = [
    "GET /api/v2/workspacebuilds/<id>",
    "SOCKET /api/v2/workspacebuilds/<id>/logs?follow",
    "GET /api/v2/workspacebuilds/<id>",
]
"""What watching a build comes to when its job has begun at the first look."""


def once(script: list[str]) -> list[str]:
    """A script with each repetition of a line in a row taken out: looks are repeated as often as it takes."""
    return [line for place, line in enumerate(script) if place == 0 or script[place - 1] != line]


def test_create_finds_the_template_by_itself(cli: CLI, served: Served) -> None:
    """Organizations, then templates with tasks: several of them are a question; a named one is taken."""
    with pytest.raises(Refused, match="sized"):
        cli.task_create("echo hello")
    assert cli.script == [
        "GET /api/v2/users/me/organizations",
        "GET /api/v2/templates?q=organization%3A%22<id>%22%20has-ai-task%3Atrue",
    ]
    task = cli.task_create("echo hello", template="shell")
    assert UUID.fullmatch(task["id"])
    assert cli.script == [
        "GET /api/v2/users/me/organizations",
        "GET /api/v2/organizations/<id>/templates/shell",
        "POST /api/v2/tasks/me",
    ]


def test_create_with_version_preset_and_name(cli: CLI, served: Served) -> None:
    """A version is asked for by name, a preset by Name; the build carries the preset."""
    version = cli.version(served.sized["active_version_id"])["name"]
    cli.sent.clear()
    task = cli.task_create(
        "echo hello", template="sized", version=version, preset="Small", name="named"
    )
    assert cli.script == [
        "GET /api/v2/users/me/organizations",
        f"GET /api/v2/organizations/<id>/templates/sized/versions/{version}",
        "GET /api/v2/templateversions/<id>/presets",
        "POST /api/v2/tasks/me",
    ]
    assert (task["name"], task["owner_name"]) == ("named", "ada")
    small = next(p for p in cli.presets(task["template_version_id"]) if p["Name"] == "Small")
    build = cli.workspace(task["workspace_id"])["latest_build"]
    assert build["template_version_preset_id"] == small["ID"]


def test_create_refuses_by_itself(cli: CLI) -> None:
    """An empty input and an absent preset never reach the server as a create."""
    with pytest.raises(Refused):
        cli.task_create("")
    with pytest.raises(Refused):
        cli.task_create("echo", template="sized", preset="Huge")
    assert not any("/tasks/" in line for line in cli.script)


def test_list_filters(cli: CLI, served: Served) -> None:
    """One's own by default, everybody's with --all, by status; nothing is an empty list."""
    other = served.member("lister")
    theirs = other.task_create("echo theirs", template="shell")
    mine = served.task("echo mine")
    served.idle(mine["id"])
    assert [t["id"] for t in cli.task_list()] == [mine["id"]]
    assert {t["id"] for t in cli.task_list(everybody=True)} == {mine["id"], theirs["id"]}
    assert [t["id"] for t in cli.task_list(user="lister")] == [theirs["id"]]
    assert [t["id"] for t in cli.task_list(status="active")] == [mine["id"]]
    assert cli.task_list(status="error") == []
    assert [t["id"] for t in other.task_list()] == [theirs["id"]]
    assert [t["id"] for t in other.task_list(everybody=True)] == [theirs["id"]]


def test_status_watches_until_the_task_has_settled(cli: CLI, served: Served) -> None:
    """With --watch the task is read by id until its agent is healthy and it does not work any more."""
    task = served.task("echo settled", name="watched")
    seen = cli.task_status("watched", watch=True)
    assert seen[-1]["workspace_agent_health"] == {"healthy": True}
    assert seen[-1]["workspace_agent_lifecycle"] == "ready"
    assert seen[-1]["current_state"]["state"] == "idle"
    assert {t["status"] for t in seen} <= {"pending", "initializing", "active"}
    assert once(cli.script) == ["GET /api/v2/tasks/me/watched", "GET /api/v2/tasks/me/<id>"]
    served.paused(task["id"])
    assert [t["workspace_status"] for t in cli.task_status("watched", watch=True)] == ["stopped"]


def test_send_to_a_task_that_starts(cli: CLI, served: Served) -> None:
    """A task that is being built is waited for by way of its build, then it gets the message."""
    task = served.task("echo first", name="young")
    served.when(task["id"], "a start", lambda t: t["status"] != "pending")
    cli.task_send("ada/young", "echo second")
    script = once(cli.script)
    assert script[0] == "GET /api/v2/tasks/ada/young"
    assert script[-2:] == ["GET /api/v2/tasks/me/<id>", "POST /api/v2/tasks/me/<id>/send"]
    served.idle(task["id"])
    assert cli.task_logs("me", task["id"])["logs"][0]["content"] == "echo first"


def test_send_to_a_paused_task_resumes_it(cli: CLI, served: Served) -> None:
    """Resume, its build to the end, then polls that never see `paused` or `unknown`, then the message."""
    task = served.task("echo first", name="sleeper")
    served.idle(task["id"])
    served.paused(task["id"])
    cli.task_send("sleeper", "echo woken")
    assert once(cli.script) == [
        "GET /api/v2/tasks/me/sleeper",
        "POST /api/v2/tasks/ada/<id>/resume",
        *WATCH,
        "GET /api/v2/tasks/me/<id>",
        "POST /api/v2/tasks/me/<id>/send",
    ]
    served.when(
        task["id"],
        "the answer",
        lambda t: "woken" in cli.task_logs("me", task["id"])["logs"][-1]["content"],
    )


def test_send_refuses_what_cannot_be_sent_to(cli: CLI, served: Served) -> None:
    """A task that is being paused is neither active nor paused: the CLI refuses it from its status alone."""
    task = served.task("echo first", name="leaving", template="sized")
    served.idle(task["id"])
    build = served.pausing(task["id"])
    with pytest.raises(Refused, match="unknown"):
        cli.task_send(task["id"], "echo too late")
    assert not any(line.endswith("/send") for line in cli.script)
    served.goes_on(task["id"])
    cli.watch_build(build["id"])


def test_logs_live_and_kept(cli: CLI, served: Served) -> None:
    """Live logs have no `snapshot`; those of a paused task say that they are one."""
    task = served.task("echo spoken", name="speaker")
    served.idle(task["id"])
    live = cli.task_logs_of("speaker")
    assert "snapshot" not in live
    assert cli.script == ["GET /api/v2/tasks/me/speaker", "GET /api/v2/tasks/me/<id>/logs"]
    served.paused(task["id"])
    kept = cli.task_logs_of("speaker")
    assert kept["snapshot"] is True
    assert [e["content"] for e in kept["logs"]] == [e["content"] for e in live["logs"]]


def test_pause_and_resume_watch_their_builds(cli: CLI, served: Served) -> None:
    """Each names the owner, gets a build, follows its log, and refuses by itself what makes no sense."""
    task = served.task("echo there", name="turned")
    served.idle(task["id"])
    with pytest.raises(Refused):
        cli.task_resume("turned")
    cli.sent.clear()
    cli.task_pause("turned")
    assert once(cli.script) == [
        "GET /api/v2/tasks/me/turned",
        "POST /api/v2/tasks/ada/<id>/pause",
        *WATCH,
    ]
    assert cli.task_by_id(task["id"])["status"] == "paused"
    with pytest.raises(Refused):
        cli.task_pause("turned")
    cli.task_resume("turned", wait=False)
    assert served.idle(task["id"])["workspace_build_number"] == 3


def test_delete_takes_several(cli: CLI, served: Served) -> None:
    """All are found before the first is deleted; then they are gone."""
    first, second = served.task("echo 1", name="gone-1"), served.task("echo 2", name="gone-2")
    for task in (first, second):
        served.idle(task["id"])
    cli.task_delete("gone-1", f"ada/{second['name']}")
    assert cli.script == [
        "GET /api/v2/tasks/me/gone-1",
        "GET /api/v2/tasks/ada/gone-2",
        "DELETE /api/v2/tasks/ada/<id>",
        "DELETE /api/v2/tasks/ada/<id>",
    ]
    assert cli.task_list() == []
