"""What the editor extension does: the same routes, but it goes by truthiness and falls back on 404. Source: clients 5."""

import json
from urllib.parse import quote

from tests.clients.caller import Answer, Caller
from tests.clients.strict import Json


class EditorError(Exception):
    """What the editor shows: `later`, `not ready` or `failure`."""


class Editor(Caller):
    """A signed-in window."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, {"Coder-Session-Token": token, "Accept": "application/json"})
        self.has_pause = True

    def get(self, target: str) -> Json:
        """The body of an answer that is well."""
        answer = self.call("GET", target)
        if answer.status != 200:
            raise EditorError(f"GET {target}: {answer.status}")
        return answer.json()

    def tasks(self, *, owner: str = "me", status: str = "") -> list[Json] | None:
        """The list; two filters are joined by a comma and a blank. None: this server has no tasks."""
        terms = [f"owner:{owner}", *([f"status:{status}"] if status else [])]
        answer = self.call("GET", f"/api/v2/tasks?q={quote(', '.join(terms))}")
        if answer.status == 404:
            return None
        found: list[Json] = answer.json()["tasks"]
        return found

    def templates(self) -> list[tuple[Json, list[Json]]]:
        """Each template that runs tasks, with its presets."""
        found = self.get("/api/v2/templates?q=has-ai-task%3Atrue")
        return [
            (one, self.get(f"/api/v2/templateversions/{one['active_version_id']}/presets") or [])
            for one in found
        ]

    def create(self, version_id: str, text: str, preset_id: str | None = None) -> Json:
        """A new task; without a preset the key stays away."""
        body = {"template_version_id": version_id, "input": text}
        if preset_id:
            body["template_version_preset_id"] = preset_id
        answer = self.call("POST", "/api/v2/tasks/me", body)
        if answer.status != 201:
            raise EditorError("failure")
        return answer.json()

    def task(self, task_id: str) -> Json:
        """One task."""
        return self.get(f"/api/v2/tasks/me/{task_id}")

    def logs(self, task_id: str) -> list[Json]:
        """The conversation; 409 is shown as `later`."""
        answer = self.call("GET", f"/api/v2/tasks/me/{task_id}/logs")
        if answer.status == 409:
            raise EditorError("later")
        if answer.status != 200:
            raise EditorError("failure")
        found: list[Json] = answer.json()["logs"]
        return found

    def send(self, task: Json, text: str) -> None:
        """A message; it refuses a paused task by itself, and shows 400 and 409 as `not ready`."""
        if task["status"] == "paused":
            raise EditorError("paused")
        answer = self.call("POST", f"/api/v2/tasks/me/{task['id']}/send", {"input": text})
        if answer.status in (400, 409):
            raise EditorError("not ready")
        if answer.status != 204:
            raise EditorError("failure")

    def pause(self, task: Json) -> Json:
        """The build that stops the workspace."""
        return self._turn(task, "pause", "stop")

    def resume(self, task: Json) -> Json:
        """The build that starts the workspace."""
        return self._turn(task, "resume", "start")

    def _turn(self, task: Json, verb: str, transition: str) -> Json:
        """After the first 404 it takes the older way for good."""
        if self.has_pause:
            answer = self.call("POST", f"/api/v2/tasks/me/{task['id']}/{verb}")
            if answer.status == 202:
                return answer.json()["workspace_build"]
            if answer.status != 404:
                raise EditorError("failure")
            self.has_pause = False
        return self.build(task["workspace_id"], transition).json()

    def build(self, workspace_id: str, transition: str) -> Answer:
        """The older way: a build of the workspace."""
        target = f"/api/v2/workspaces/{workspace_id}/builds"
        return self.call("POST", target, {"transition": transition})

    def log_source(self, task: Json) -> str | None:
        """Which log it follows: the build's while the task is built, the agent's while that starts."""
        if task["workspace_id"] and task["workspace_status"] in ("pending", "starting"):
            workspace = self.get(f"/api/v2/workspaces/{task['workspace_id']}")
            return f"/api/v2/workspacebuilds/{workspace['latest_build']['id']}/logs?follow=true"
        if task["workspace_agent_id"]:
            return f"/api/v2/workspaceagents/{task['workspace_agent_id']}/logs?follow=true"
        return None

    def follow(self, target: str, *, until: str = "") -> list[Json]:
        """Messages of a log to its end, or to the first one with this in it."""
        found: list[Json] = []
        with self.socket(target) as socket:
            for message in self.messages(socket):
                found.append(json.loads(message))
                if until and until in str(message):
                    break
        return found
