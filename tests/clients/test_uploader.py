"""The shutdown script that keeps the end of a conversation, and the reporter in the workspace. Source: clients 4."""

import json

import pytest

from tests.clients.caller import Caller
from tests.clients.served import Served
from tests.clients.strict import Json
from tests.clients.uploader import (
    KEPT_BYTES,
    KEPT_CHARACTERS,
    KEPT_MESSAGES,
    NOTICE,
    payload_of,
    upload,
)

pytestmark = pytest.mark.client("Snapshot uploader")


def conversation(*texts: str) -> Json:
    """What GET /messages of a task's app gives, odd keys included."""
    messages = [
        {
            "id": number,
            "content": text,
            "role": "agent" if number % 2 else "user",
            "time": "2026-01-02T03:04:05.678Z",
        }
        for number, text in enumerate(texts)
    ]
    return {
        "$schema": "http://localhost:3284/schemas/MessagesResponseBody.json",
        "messages": messages,
    }


def test_the_last_ten_messages_are_kept() -> None:
    """More than ten: the newest ten, and the odd keys stay."""
    kept = json.loads(payload_of(conversation(*map(str, range(25)))) or b"")
    assert [m["content"] for m in kept["messages"]] == [str(n) for n in range(15, 25)]
    assert "$schema" in kept
    assert len(kept["messages"]) == KEPT_MESSAGES


def test_the_oldest_go_until_it_fits() -> None:
    """Messages are dropped from the front while the JSON is too long; a single one is cut with a notice."""
    payload = payload_of(conversation("a" * 40_000, "b" * 40_000, "c" * 10)) or b""
    assert len(payload) <= KEPT_BYTES
    assert [m["content"][0] for m in json.loads(payload)["messages"]] == ["b", "c"]
    alone = json.loads(payload_of(conversation("x" + "d" * 70_000)) or b"")
    assert alone["messages"][0]["content"] == NOTICE + "d" * KEPT_CHARACTERS


def test_nothing_is_uploaded_of_nothing() -> None:
    """An empty conversation sends no request."""
    assert upload("http://127.0.0.1:1", "", "", conversation()) is None


@pytest.mark.parametrize("slash", ["", "/"])
def test_upload_while_the_task_is_paused(served: Served, slash: str) -> None:
    """The old token is good while the stop build runs: 204, also where the URL ended in a slash; then it is 401."""
    task = served.task("echo spoken", template="sized")
    active = served.idle(task["id"])
    token = served.agent_token(active["workspace_id"])
    build = served.pausing(task["id"])
    long = conversation(*(f"{number} " + "e" * 9_000 for number in range(12)))
    answer = upload(served.url + slash, token, task["id"], long)
    assert answer is not None
    assert (answer.status, answer.body) == (204, b"")
    served.goes_on(task["id"])
    served.cli().watch_build(build["id"])
    late = upload(served.url + slash, token, task["id"], long)
    assert late is not None
    assert late.status == 401


def test_reports_of_the_agent_are_200(served: Served) -> None:
    """The reporter looks for 200 only; what it said is the state of the task."""
    task = served.idle(served.task("echo spoken")["id"])
    token = served.agent_token(task["workspace_id"])
    agent = Caller(served.url, {"Coder-Session-Token": token})
    resources = served.cli().workspace(task["workspace_id"])["latest_build"]["resources"]
    apps = [app for resource in resources for a in resource["agents"] for app in a["apps"]]
    slug = next(app["slug"] for app in apps if app["id"] == task["workspace_app_id"])
    report = {"app_slug": slug, "state": "failure", "message": "It broke.", "uri": ""}
    assert agent.call("PATCH", "/api/v2/workspaceagents/me/app-status", report).status == 200
    state = served.cli().task_by_id(task["id"])["current_state"]
    assert (state["state"], state["message"]) == ("failed", "It broke.")
