"""setup-fleet-mcp 0.12.1 of PyPI, as it is: each of its tools, on workspaces and tasks of ours."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archives import tar_of
from tests.clients.foreign import Foreign, running
from tests.clients.served import Served
from tests.clients.strict import Json
from tests.waiting import until

pytestmark = [pytest.mark.client("setup-fleet-mcp 0.12.1"), pytest.mark.all_tier]

TOOLS = [
    "cancel_agent_task",
    "create_agent",
    "delete_agent",
    "list_agent_projects",
    "list_agent_roles",
    "list_agents",
    "restart_agent",
    "show_agent",
    "show_agent_log",
    "show_agent_task_history",
    "start_agent_task",
]

FLEET = """
[template]
display_name = "Fleet"
description = "What the fleet takes for a project: two prompts, roles, and an app of its name."

[task]
app = "ccw"

[agent]
type = "shell"

[[parameter]]
name = "AI Prompt"
default = ""
mutable = true

[[parameter]]
name = "system_prompt"
default = "Be brief."
mutable = true

[[preset]]
name = "coder"
default = true
parameters = { system_prompt = "Write code." }

[[preset]]
name = "manager"
parameters = { system_prompt = "Manage." }
"""


class Fleet:
    """Its tools, called by name."""

    def __init__(self, foreign: Foreign) -> None:
        self._foreign = foreign
        self.tools = foreign.read()

    def call(self, tool: str, /, **arguments: Json) -> Json:
        """What a tool gives."""
        answer = self.answer(tool, **arguments)
        assert "data" in answer, (tool, answer)
        return answer["data"]

    def answer(self, tool: str, /, **arguments: Json) -> Json:
        """What a tool says, well or not."""
        return self._foreign.ask(tool=tool, arguments=arguments)

    def agent(self, name: str, *statuses: str) -> Json:
        """One of its agents, once it has one of these statuses."""

        def look() -> Json:
            agent = self.call("show_agent", agent_name=name)["agent"]
            return agent if agent["status"] in statuses else None

        return until(f"{name} to be {statuses}", look)


@pytest.fixture
def fleet(served: Served, tmp_path: Path) -> Iterator[Fleet]:
    """The MCP server on the shared server, with a project for it."""
    served.cli().template_push("fleet", tar_of({"taskyard.toml": FLEET}))
    place = {"CODER_URL": served.url, "CODER_SESSION_TOKEN": served.token}
    with running("setup-fleet-mcp", "fleet_mcp_tools.py", tmp_path, **place) as foreign:
        yield Fleet(foreign)


def test_all_tools_are_here(fleet: Fleet) -> None:
    """It has the tools that these tests call, and no other."""
    assert fleet.tools == TOOLS


def test_projects_and_roles(fleet: Fleet) -> None:
    """A template with a display name and both prompts is a project; its presets are roles."""
    projects = fleet.call("list_agent_projects")["projects"]
    assert [p["name"] for p in projects] == ["Fleet"]
    roles = fleet.call("list_agent_roles", project="fleet")["roles"]
    assert [(r["name"], r["default"]) for r in roles] == [("coder", True), ("manager", False)]


def test_an_agent_from_its_making_to_its_end(fleet: Fleet, served: Served) -> None:
    """Created in a role, listed, shown, restarted, deleted; an agent is a workspace."""
    made = fleet.call(
        "create_agent", name="Papi", project="Fleet", task="look around", role="manager"
    )
    assert made["agent"]["name"].lower() == "papi"
    agent = fleet.agent("papi", "idle")
    assert (agent["role"], agent["project"]) == ("manager", "Fleet")
    listed = fleet.call("list_agents", status_filter="idle", project_filter="fleet")["agents"]
    assert [one["name"].lower() for one in listed] == ["papi"]
    no_task = fleet.answer("start_agent_task", agent_name="papi", task_description="look again")
    assert "error" in no_task
    fleet.call("restart_agent", agent_name="papi")
    fleet.agent("papi", "idle")
    fleet.call("delete_agent", agent_name="papi")
    until("the end of the workspace", lambda: None if served.cli().workspaces() else True)
    assert "not found" in fleet.answer("show_agent", agent_name="papi")["error"]


def test_tasks_of_an_agent(fleet: Fleet, served: Served) -> None:
    """A task goes by its workspace's id: told what to do, its history and its log read."""
    task = served.task("echo ready", name="sony", template="fleet")
    served.idle(task["id"])
    fleet.agent("sony", "idle")
    fleet.call("start_agent_task", agent_name="Sony", task_description="echo from the fleet")

    def answered() -> Json:
        shown = fleet.call("show_agent_log", agent_name="sony", page_size=10)
        return shown if "from the fleet" in shown["logs"][0]["content"] else None

    assert until("the answer", answered)["total_count"] >= 4
    history = fleet.call("show_agent_task_history", agent_name="sony")
    assert history["total_count"] > 0
    assert {entry["state"] for entry in raw_history(served, task)} <= {"working", "idle"}


def test_a_busy_agent_cannot_be_interrupted(fleet: Fleet, served: Served) -> None:
    """It interrupts through the app's own address below `/@owner`, which is not served: an error, and the task works on."""
    task = served.task("sleep 60", name="busy", template="fleet")
    fleet.agent("busy", "busy")
    assert "error" in fleet.answer("cancel_agent_task", agent_name="busy")
    app = f"/@ada/busy.{task['workspace_id']}/apps/ccw"
    for method, end in (("POST", "message"), ("GET", "metadata")):
        assert served.cli().call(method, f"{app}/{end}", raw=b"{}").status == 404
    assert served.cli().task_by_id(task["id"])["current_state"]["state"] == "working"


def raw_history(served: Served, task: Json) -> list[Json]:
    """What the task's app reported, newest first."""
    build = served.cli().workspace(task["workspace_id"])["latest_build"]
    apps = [app for r in build["resources"] for a in r["agents"] for app in a["apps"]]
    return [status for app in apps if app["slug"] == "ccw" for status in app["statuses"]]
