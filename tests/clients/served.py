"""A server that clients share: its first user made by the CLI, its templates, and people to act as."""

import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from tests.archives import tar_of
from tests.clients.caller import Caller
from tests.clients.go_cli import CLI, FirstUser
from tests.clients.go_sdk import SDKError
from tests.clients.strict import Json
from tests.system.kit import agents_of, turns_are_over
from tests.waiting import until

PASSWORD = "a throw-away password"

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
"""A random UUID as text, as agents' tokens are."""

FIRST = FirstUser("ada", "ada@example.com", PASSWORD, "Ada of the tests", trial=True)

SIZED = """
[template]
display_name = "Sized"
description = "Runs each message in bash, in one of two sizes."

[task]
app = "agent"

[agent]
type = "shell"

[scripts]
start = "start.sh"
stop = "stop.sh"

[[parameter]]
name = "size"
type = "number"
default = 1
mutable = true

[[preset]]
name = "Small"
parameters = { size = 1 }

[[preset]]
name = "Large"
default = true
parameters = { size = 9 }
"""
"""A template with presets, of which the second is the default."""

FILES = {
    "taskyard.toml": SIZED,
    "start.sh": "echo getting ready\nrm -f wait\n",
    "stop.sh": "for i in $(seq 500); do test -e wait || exit 0; sleep 0.05; done\n",
}
"""All of it: its start says something, its stop waits for as long as a file `wait` is there."""

GRACE = {"TASKYARD_STOP_GRACE_S": "30"}
"""A setting of the server: longer than a stop waits."""


BARE = FILES | {"taskyard.toml": SIZED.partition("[[preset]]")[0]}
"""The same without presets."""


class Served:
    """The server, and what was sent to make its first user."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self.url = server.url
        cli = CLI(server.url)
        self.first_user = cli.login_first(FIRST)
        self.first_login = cli.script
        self.token = cli.token_create("all tests", 10**9 * 3600)
        self.sized = cli.template_push("sized", tar_of(FILES))
        self.bare = cli.template_push("bare", tar_of(BARE))
        until("the starter templates", lambda: self._has_starters(cli) or None)

    @staticmethod
    def _has_starters(cli: CLI) -> bool:
        names = {one["name"] for one in cli.templates("has-ai-task:true")}
        return {"shell", "custom"} <= names

    def cli(self, token: str | None = None) -> CLI:
        """The command line of the first user, or of whose token it is."""
        return CLI(self.url, self.token if token is None else token)

    def member(self, name: str, **more: Json) -> CLI:
        """The command line of a new member."""
        organization = self.cli().organization()["id"]
        body = {
            "username": name,
            "email": f"{name}@example.com",
            "password": PASSWORD,
            "organization_ids": [organization],
            **more,
        }
        self.cli().ask("POST", "/api/v2/users", 201, {}, body=body)
        cli = CLI(self.url)
        cli.login_password(body["email"], PASSWORD)
        return cli

    def task(self, text: str, *, name: str = "", template: str = "shell", **how: str) -> Json:
        """A new task of the first user."""
        return self.cli().task_create(text, name=name, template=template, **how)

    def when(self, task_id: str, what: str, look: Callable[[Json], bool]) -> Json:
        """The task, once it is so."""
        cli = self.cli()

        def seen() -> Json:
            task = cli.task_by_id(task_id)
            return task if look(task) else None

        return until(what, seen)

    def idle(self, task_id: str) -> Json:
        """The task, once it is active, its coding agent waits, and each message has had its turn."""
        with Client(self.url, self.token) as client:
            return self.when(
                task_id,
                "an idle task",
                lambda task: (
                    task["status"] == "active"
                    and (task["current_state"] or {}).get("state") == "idle"
                    and turns_are_over(client, UUID(task_id))
                ),
            )

    def pausing(self, task_id: str) -> Json:
        """The build of a pause that lasts until goes_on is called; for an idle task of the template `sized`."""
        cli = self.cli()
        cli.send("me", task_id, "touch wait")
        held = self._held(cli.task_by_id(task_id))
        until("the file that holds the stop", lambda: held.exists() or None)
        self.idle(task_id)
        return cli.pause("me", task_id)

    def goes_on(self, task_id: str) -> None:
        """The pause comes to its end."""
        self._held(self.cli().task_by_id(task_id)).unlink()

    def _held(self, task: Json) -> Path:
        return self.server.data_dir / "workspaces" / str(task["workspace_id"]) / "home" / "wait"

    def paused(self, task_id: str) -> Json:
        """The task, paused by whoever wants it paused here."""
        cli = self.cli()
        cli.watch_build(cli.pause("me", task_id)["id"])
        return cli.task_by_id(task_id)

    def agent_token(self, workspace_id: str) -> str:
        """The token that the agent of a running workspace has, looked up where only this machine's owner can."""
        folder = self.server.data_dir / "workspaces" / workspace_id
        for pid in agents_of(folder, "taskyard_agent"):
            for text in sorted(_uuids_in_memory(pid)):
                agent = Caller(self.url, {"Coder-Session-Token": text})
                target = "/api/v2/workspaceagents/me/app-status"
                if agent.call("PATCH", target, {}).status != 401:
                    return text
        raise AssertionError(f"no agent runs in workspace {workspace_id}")

    def tidy(self) -> None:
        """Deletes every task and workspace, whoever made it."""
        cli = self.cli()

        def none_left() -> bool | None:
            tasks, workspaces = cli.task_list(everybody=True), cli.workspaces("")
            for task in tasks:
                with suppress(SDKError):  # a build is at work: asked again
                    cli.delete_task("me", task["id"])
            for workspace in workspaces if not tasks else []:
                target = f"/api/v2/workspaces/{workspace['id']}/builds"
                with suppress(SDKError):
                    cli.ask("POST", target, 201, None, body={"transition": "delete"})
            return None if tasks or workspaces else True

        until("nothing to be left", none_left)


def _uuids_in_memory(pid: int) -> set[str]:
    """Every random UUID that a process holds as text; for root only, as agents close themselves to others."""
    found: set[str] = set()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            where, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in where.split("-"))
            memory.seek(begin)
            with suppress(OSError):  # pages that nothing may read
                found |= {text.decode() for text in _UUID.findall(memory.read(end - begin))}
    return found
