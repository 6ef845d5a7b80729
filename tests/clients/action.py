"""What `create-task-action` does, with its waits as parameters. Source: clients 3."""

import time
from dataclasses import dataclass, field
from typing import Literal

from tests.clients import shapes
from tests.clients.caller import Caller
from tests.clients.strict import Json, Shape, conform

LIMIT_S = 60.0
"""Seconds until it gives up; the real one waits 1200."""


class ActionFailed(Exception):
    """The run of the action is red."""

    def __init__(self, why: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(why)


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a workflow sets; exactly one of github_user_id and username."""

    template: str
    prompt: str
    issue: int
    preset: str = ""
    prefix: str = "gh"
    organization: str = "default"
    github_user_id: int | None = None
    username: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What it links in its comment on the issue."""

    task_id: str
    username: str
    how: Literal["created", "sent"]


@dataclass
class Action(Caller):
    """One run. idle_s is how long a task must be idle without a break (30 there), look_s the pause between looks (2)."""

    token: str = ""
    idle_s: float = 0.3
    look_s: float = 0.05
    seen: list[Json] = field(default_factory=list)

    def fetch(
        self, method: str, target: str, shape: Shape | None = None, body: Json = None
    ) -> Json:
        """A checked body; None for an empty one. Every status but 2xx fails, every odd value too."""
        headers = {"Coder-Session-Token": self.token, "Content-Type": "application/json"}
        answer = self.call(method, target, body, headers=headers)
        if not 200 <= answer.status < 300:
            raise ActionFailed(f"{method} {target}: {answer.status}", answer.status)
        if answer.status == 204 or answer.headers.get("content-length") == "0":
            return None
        value = answer.json()
        if shape is not None:
            conform(shape, value, null=False)
        return value

    def run(self, inputs: Inputs) -> Result:
        """The task that now works on the issue."""
        username = inputs.username or self.username_of(inputs.github_user_id)
        template = self.fetch(
            "GET",
            f"/api/v2/organizations/{inputs.organization}/templates/{inputs.template}",
            shapes.ACTION_TEMPLATE,
        )
        version_id = template["active_version_id"]
        presets = self.fetch(
            "GET", f"/api/v2/templateversions/{version_id}/presets", shapes.ACTION_PRESETS
        )
        name = f"{inputs.prefix}-{inputs.issue}"
        task = self.task_named(username, name)
        if task is not None and self.is_sent(task, username, inputs.prompt):
            return Result(task["id"], username, "sent")
        request = {"name": name, "template_version_id": version_id, "input": inputs.prompt}
        request |= self.preset_of(presets, inputs.preset)
        target = f"/api/experimental/tasks/{username}"
        made = self.fetch("POST", target, shapes.ACTION_TASK, request)
        return Result(made["id"], username, "created")

    def username_of(self, github_user_id: int | None) -> str:
        """Row 1: the one user with this number."""
        target = f"/api/v2/users?q=github_com_user_id%3A{github_user_id}"
        users = self.fetch("GET", target, shapes.ACTION_USERS)["users"]
        if len(users) != 1:
            raise ActionFailed(f"{len(users)} users have the number {github_user_id}")
        return str(users[0]["username"])

    @staticmethod
    def preset_of(presets: list[Json], wanted: str) -> dict[str, str]:
        """The key of the preset: the named one, else the first default, else none."""
        if wanted:
            named = [p["ID"] for p in presets if p["Name"] == wanted]
            if not named:
                raise ActionFailed(f"no preset {wanted}")
            return {"template_version_preset_id": named[0]}
        default = [p["ID"] for p in presets if p["Default"]]
        return {"template_version_preset_id": default[0]} if default else {}

    def task_named(self, username: str, name: str) -> Json:
        """Row 4: the task of exactly this name; one bad task in the list fails the run."""
        target = f"/api/experimental/tasks?q=owner%3A{username}"
        try:
            tasks = self.fetch("GET", target, shapes.ACTION_TASKS)["tasks"]
        except ActionFailed as error:
            if error.status == 404:
                return None
            raise
        return next((task for task in tasks if task["name"] == name), None)

    def is_sent(self, task: Json, username: str, prompt: str) -> bool:
        """Rows 5 and 6: waits until the task is idle for a while, then sends; False when it is gone."""
        target = f"/api/experimental/tasks/{username}/{task['id']}"
        try:
            self.wait_for_idle(target)
            self.fetch("POST", f"{target}/send", body={"input": prompt})
        except ActionFailed as error:
            if error.status == 404:
                return False
            raise
        return True

    def wait_for_idle(self, target: str) -> None:
        """Returns once the task was active and idle without a break; one 404 is forgiven."""
        began, idle_since, missing = time.monotonic(), None, 0
        while time.monotonic() - began < LIMIT_S:
            try:
                task = self.fetch("GET", target, shapes.ACTION_TASK)
            except ActionFailed as error:
                missing += 1
                if error.status != 404 or missing == 2:
                    raise
                continue
            missing = 0
            self.seen.append(task)
            if task["status"] == "error":
                raise ActionFailed("the task failed")
            state = task["current_state"]
            is_idle = task["status"] == "active" and state is not None and state["state"] == "idle"
            now = time.monotonic()
            idle_since = (idle_since or now) if is_idle else None
            if idle_since is not None and now - idle_since >= self.idle_s:
                return
            time.sleep(self.look_s)
        raise ActionFailed("the task was not idle in time")
