"""The Go SDK's calls, with the one status that each wants. Source: clients 1."""

import pytest

from tests.clients import shapes
from tests.clients.go_cli import CLI
from tests.clients.go_sdk import NIL_UUID, SDK, SDKError
from tests.clients.served import Served
from tests.clients.strict import string

pytestmark = pytest.mark.client("Go SDK")


def test_a_life_in_calls(served: Served) -> None:
    """Create, get in three ways, list, send, logs, pause, update the input, resume, delete: each as the SDK wants it."""
    sdk = SDK(served.url, served.token)
    version = sdk.templates("has-ai-task:true name:shell")[0]["active_version_id"]
    task = sdk.create_task(
        "me", {"template_version_id": version, "input": "echo one", "name": "x1"}
    )
    served.idle(task["id"])
    assert sdk.task_by_identifier(task["id"])["id"] == task["id"]
    assert sdk.task_by_identifier("x1")["id"] == task["id"]
    assert sdk.task_by_identifier("ada/x1")["id"] == task["id"]
    assert [t["id"] for t in sdk.tasks()] == [task["id"]]
    sdk.send("me", task["id"], "echo two")
    served.idle(task["id"])
    assert [e["type"] for e in sdk.task_logs("ada", task["id"])["logs"]][:2] == ["input", "output"]
    served.cli().watch_build(sdk.pause("ada", task["id"])["id"])
    sdk.update_input("me", task["id"], "echo three")
    sdk.resume("me", task["id"])
    served.idle(task["id"])
    sdk.delete_task("me", task["id"])
    assert sdk.script == [
        "GET /api/v2/templates?q=has-ai-task%3Atrue%20name%3Ashell",
        "POST /api/v2/tasks/me",
        "GET /api/v2/tasks/me/<id>",
        "GET /api/v2/tasks/me/x1",
        "GET /api/v2/tasks/ada/x1",
        "GET /api/v2/tasks",
        "POST /api/v2/tasks/me/<id>/send",
        "GET /api/v2/tasks/ada/<id>/logs",
        "POST /api/v2/tasks/ada/<id>/pause",
        "PATCH /api/v2/tasks/me/<id>/input",
        "POST /api/v2/tasks/me/<id>/resume",
        "DELETE /api/v2/tasks/me/<id>",
    ]


def test_filters_are_quoted_terms(cli: CLI, served: Served) -> None:
    """Owner, organization and status come quoted and separated by blanks; each narrows the list."""
    task = served.task("echo filtered")
    organization = task["organization_id"]
    mine = cli.tasks(owner="me", organization=organization, status="")
    assert [t["id"] for t in mine] == [task["id"]]
    assert cli.tasks(owner="me", organization=organization, status="error") == []
    assert cli.script[0] == ("GET /api/v2/tasks?q=owner%3A%22me%22+organization%3A%22<id>%22")


def test_the_nil_preset_is_no_preset(cli: CLI, served: Served) -> None:
    """Without a preset the SDK sends the nil UUID, and no preset is taken, not even the default one."""
    version = served.sized["active_version_id"]
    request = {"template_version_id": version, "template_version_preset_id": NIL_UUID, "input": "x"}
    task = cli.create_task("me", request)
    build = cli.workspace(task["workspace_id"])["latest_build"]
    assert build["template_version_preset_id"] is None


def test_errors_say_what_is_wrong(cli: CLI, served: Served) -> None:
    """An error is JSON with a message; one of a field names it; 401 without a token."""
    with pytest.raises(SDKError) as absent:
        cli.task_by_identifier("nobody/nothing")
    request = {"template_version_id": served.sized["active_version_id"], "name": "Not A Name"}
    with pytest.raises(SDKError) as unnamed:
        cli.create_task("me", request | {"input": "x"})
    with pytest.raises(SDKError) as stranger:
        SDK(served.url).tasks()
    assert [e.value.status for e in (absent, unnamed, stranger)] == [404, 400, 401]
    assert "detail" in stranger.value.body


def test_what_programs_read_once(served: Served) -> None:
    """The list of experiments is a list, and an organization is found among one's own by its name."""
    sdk = SDK(served.url, served.token)
    assert isinstance(sdk.ask("GET", "/api/v2/experiments", 200, [string]), list)
    mine = sdk.organizations()[0]
    target = f"/api/v2/users/me/organizations/{mine['name']}"
    assert sdk.ask("GET", target, 200, shapes.ORGANIZATION) == mine
