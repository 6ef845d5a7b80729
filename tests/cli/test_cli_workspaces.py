"""The life of a workspace without a task by commands, with a real one behind it."""

import json
from collections.abc import Callable

from taskyard.sdk import Client
from taskyard.wire.enums import AgentStatus, BuildReason
from taskyard.wire.workspace_requests import CreateWorkspaceRequest
from taskyard.wire.workspaces import Workspace
from tests.cli.conftest import Ended, Program
from tests.sdk.yard_kit import OWNER
from tests.waiting import until


def new_workspace(client: Client, name: str) -> Workspace:
    """A workspace of the shell template, once its agent has called."""

    def made() -> Workspace | None:
        shell = [t for t in client.list_templates() if t.name == "shell"]
        if not shell:
            return None
        request = CreateWorkspaceRequest(name=name, template_id=shell[0].id)
        return client.create_workspace("me", request)

    workspace = until("the template shell", made)

    def up() -> Workspace | None:
        seen = client.get_workspace(workspace.id)
        agents = [a for r in seen.latest_build.resources for a in r.agents or []]
        return seen if any(a.status is AgentStatus.CONNECTED for a in agents) else None

    return until(f"the workspace {name}", up)


def test_a_whole_life(owner: Program, client: Client) -> None:
    """Show, list, stop, start, restart and delete: each does it and says so on stdout."""
    workspace = new_workspace(client, "bench")
    name = f"{OWNER}/bench"
    assert workspace.task_id is None
    shown = owner.good("show", "bench")
    assert shown.startswith(f"{name} is running.\n")
    assert "agent main: connected" in shown
    assert json.loads(owner.good("show", name, "-o", "json"))["id"] == str(workspace.id)
    assert str(workspace.id) in owner.good("list", "-q").split()
    assert ["bench", "shell", "running"] in [
        row.split()[:3] for row in owner.good("list").splitlines()
    ]
    everybody = owner.good("list", "--all", "--status", "running")
    assert everybody.split()[0] == "OWNER"
    assert owner("start", "bench").status == 1
    assert owner("stop", "bench").status == 2
    stopped = owner("stop", "-y", name)
    assert (stopped.status, stopped.out.startswith(f"Workspace {name} was stopped at ")) == (
        0,
        True,
    )
    assert "stopping" in stopped.err
    assert client.get_workspace(workspace.id).latest_build.reason is BuildReason.CLI
    assert "was started at" in owner.good("start", "bench")
    again = owner.good("restart", "-y", str(workspace.id))
    assert [line.split()[3] for line in again.splitlines()] == ["stopped", "started"]
    assert "was deleted at" in owner.good("delete", "-y", "bench")
    gone = owner("show", "bench")
    assert (gone.status, gone.out) == (1, "")
    assert "bench" in gone.err


def test_what_is_not_there(quick: Callable[..., Ended]) -> None:
    """Names that lead nowhere, and parameters without a value, are said before anything is done."""
    for command in ("show", "start"):
        ended = quick(command, "nope")
        assert (ended.status, ended.out) == (1, "")
        assert "list --all" in ended.err
    assert quick("show", " ").status == 2
    assert quick("list", "--user", "nobody-here").status == 1
    assert json.loads(quick("list", "--status", "failed", "-o", "json").out) == []
