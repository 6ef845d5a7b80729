"""What every client counts on. Source: C1-C9."""

import pytest

from tests.clients.caller import Answer, Caller
from tests.clients.go_cli import CLI
from tests.clients.go_sdk import NIL_UUID
from tests.clients.served import Served
from tests.clients.strict import UUID, Json

NULLABLE = ("workspace_id", "workspace_agent_id", "workspace_app_id")
ALWAYS = ("current_state", "workspace_agent_health", "workspace_agent_lifecycle")


@pytest.fixture
def caller(served: Served) -> Caller:
    """Plain requests of the first user."""
    return Caller(served.url, {"Coder-Session-Token": served.token})


def test_C1_a_task_id_comes_with_any_owner_in_front(caller: Caller, served: Served) -> None:
    """`me`, a username and the owner's name all lead to the task of somebody else by its id."""
    task = served.member("carl").task_create("echo carl", template="shell")
    for owner in ("me", "ada", "carl", task["owner_id"]):
        answer = caller.call("GET", f"/api/v2/tasks/{owner}/{task['id']}")
        assert (answer.status, answer.json()["id"]) == (200, task["id"])


def test_C2_nullable_ids_and_states_are_always_there(caller: Caller, served: Served) -> None:
    """From create to pause, in get and in list: a string or null, never away, never an object."""
    made = served.task("echo seen")
    seen = [made]
    while seen[-1]["status"] != "active":
        seen += caller.call("GET", "/api/v2/tasks?q=owner:me").json()["tasks"]
        seen.append(caller.call("GET", f"/api/v2/tasks/me/{made['id']}").json())
    served.idle(made["id"])
    served.paused(made["id"])
    seen.append(caller.call("GET", f"/api/v2/tasks/me/{made['id']}").json())
    for task in seen:
        assert all(task[key] is None or UUID.fullmatch(task[key]) for key in NULLABLE)
        assert all(key in task for key in ALWAYS)
    assert {task["workspace_agent_id"] is None for task in seen} == {True, False}


def test_C3_lists_are_never_null(caller: Caller, served: Served, cli: CLI) -> None:
    """No tasks, no log, no resources, no presets: each an empty list."""
    assert caller.call("GET", "/api/v2/tasks").json() == {"tasks": [], "count": 0}
    version = cli.template("default", "bare")["active_version_id"]
    assert caller.call("GET", f"/api/v2/templateversions/{version}/presets").json() == []
    task = served.task("echo later")
    build = caller.call("GET", f"/api/v2/workspaces/{task['workspace_id']}").json()["latest_build"]
    assert isinstance(build["resources"], list)
    served.idle(task["id"])
    pausing = caller.call("POST", f"/api/v2/tasks/me/{task['id']}/pause").json()["workspace_build"]
    assert pausing["resources"] == []
    cli.watch_build(pausing["id"])
    assert isinstance(
        caller.call("GET", f"/api/v2/tasks/me/{task['id']}/logs").json()["logs"], list
    )


def test_C4_success_is_exact(caller: Caller, served: Served, cli: CLI) -> None:
    """201, 204, 202, 204, 202, 202 and 200 for the rest; bodies only where they belong."""
    version = cli.template("default", "shell")["active_version_id"]
    body = {"template_version_id": version, "input": "echo exact"}
    made = caller.call("POST", "/api/v2/tasks/me", body)
    path = f"/api/v2/tasks/me/{made.json()['id']}"
    task = served.idle(made.json()["id"])
    token = served.agent_token(task["workspace_id"])
    snapshot = caller.call(
        "POST",
        f"/api/v2/workspaceagents/me/tasks/{task['id']}/log-snapshot?format=agentapi",
        {"messages": []},
        headers={"Coder-Session-Token": token},
    )
    sent = caller.call("POST", f"{path}/send", {"input": "echo again"})
    served.idle(task["id"])
    read = [caller.call("GET", target) for target in (path, f"{path}/logs", "/api/v2/tasks")]
    paused = caller.call("POST", f"{path}/pause")
    cli.watch_build(paused.json()["workspace_build"]["id"])
    changed = caller.call("PATCH", f"{path}/input", {"input": "echo new"})
    resumed = caller.call("POST", f"{path}/resume")
    served.idle(task["id"])
    deleted = caller.call("DELETE", path)
    assert [a.status for a in (made, paused, resumed, deleted)] == [201, 202, 202, 202]
    assert [a.status for a in read] == [200, 200, 200]
    assert [(a.status, a.body) for a in (snapshot, sent, changed)] == [(204, b"")] * 3
    assert deleted.body == b""


def test_C5_C6_a_build_can_be_followed_at_once_and_is_over_at_the_close(
    served: Served, cli: CLI
) -> None:
    """The build of pause and of resume is read and followed as soon as it is answered; at the close its job is terminal."""
    task = served.idle(served.task("echo followed")["id"])
    for turn in (cli.pause, cli.resume):
        build = turn("me", task["id"])
        assert cli.build(build["id"])["id"] == build["id"]
        cli.follow(f"/api/v2/workspacebuilds/{build['id']}/logs?follow")
        assert cli.build(build["id"])["job"]["status"] == "succeeded"


def refusals(caller: Caller, path: str) -> dict[str, Answer]:
    """What each verb of a task says now, by verb."""
    return {
        "send": caller.call("POST", f"{path}/send", {"input": "echo"}),
        "input": caller.call("PATCH", f"{path}/input", {"input": "echo"}),
        "pause": caller.call("POST", f"{path}/pause"),
        "resume": caller.call("POST", f"{path}/resume"),
    }


def test_C7_C8_conflicts_are_409_or_400_and_only_absence_is_404(
    caller: Caller, served: Served, cli: CLI
) -> None:
    """While a pause runs everything is refused as `later` or `never`; what is not there is 404."""
    task = served.idle(served.task("echo busy", template="sized")["id"])
    path = f"/api/v2/tasks/me/{task['id']}"
    assert caller.call("POST", f"{path}/resume").status in (400, 409)
    build = served.pausing(task["id"])
    met = {verb: answer.status for verb, answer in refusals(caller, path).items()}
    assert set(met.values()) <= {400, 409}
    assert (met["pause"], met["resume"]) == (409, 409)
    served.goes_on(task["id"])
    cli.watch_build(build["id"])
    assert caller.call("POST", f"{path}/send", {"input": "echo"}).status == 409
    absent = refusals(caller, f"/api/v2/tasks/me/{NIL_UUID[:-1]}1")
    assert {answer.status for answer in absent.values()} == {404}


def test_C9_every_error_is_json_with_a_message(caller: Caller, served: Served) -> None:
    """Whatever goes wrong, the body is JSON and says it."""
    wrong: list[Answer] = [
        caller.call("GET", "/api/v2/absent"),
        caller.call("GET", "/api/experimental/absent"),
        caller.call("GET", "/api/v2/tasks/me"),
        caller.call("PUT", "/api/v2/tasks"),
        caller.call("GET", "/api/v2/tasks?q=owner:"),
        caller.call("POST", "/api/v2/tasks/me", raw=b"{"),
        caller.call("POST", "/api/v2/tasks/me", {"input": "no version"}),
        caller.call("GET", "/api/v2/templateversions/none"),
        caller.call("GET", "/api/v2/workspaces/none"),
        caller.call("GET", "/api/v2/tasks", headers={"Coder-Session-Token": "none"}),
        caller.call("POST", "/api/v2/files", raw=b"x", headers={"Content-Type": "text/plain"}),
    ]
    for answer in wrong:
        body: Json = answer.json()
        assert 400 <= answer.status < 500
        assert answer.media_type.startswith("application/json")
        assert isinstance(body["message"], str)
        assert body["message"]
