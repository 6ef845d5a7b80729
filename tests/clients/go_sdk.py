"""What the Go SDK does: one exact status a call, bodies read strictly, every failure one error. Source: clients 1."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from tests.clients import shapes
from tests.clients.caller import Answer, Caller
from tests.clients.strict import UUID, Json, Shape, decode_go

NIL_UUID = "00000000-0000-0000-0000-000000000000"


class SDKError(Exception):
    """An answer with another status than the one that the call wants; body is what the server said."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.body = decode_go(shapes.ERROR, answer.body, answer.media_type)
        super().__init__(f"unexpected status code {self.status}: {self.body['message']}")


class SDK(Caller):
    """A client with a session token; an empty one sends none."""

    def __init__(self, url: str, token: str = "", agent: str = "") -> None:
        headers = {"Coder-Session-Token": token} if token else {}
        super().__init__(url, headers | ({"User-Agent": agent} if agent else {}))

    def ask(self, method: str, target: str, wants: int, shape: Shape | None, **how: Json) -> Json:
        """The body of an answer; None where the call reads none. Raises SDKError and DecodeError."""
        headers = {"Content-Type": "application/json"} if "body" in how else {}
        answer = self.call(method, target, headers={**headers, **how.pop("headers", {})}, **how)
        if answer.status != wants:
            raise SDKError(answer)
        return None if shape is None else decode_go(shape, answer.body, answer.media_type)

    # Tasks.

    def create_task(self, user: str, request: Mapping[str, str]) -> Json:
        """CreateTask: the preset is always sent, nil when there is none."""
        body = {"template_version_preset_id": NIL_UUID, **request}
        return self.ask("POST", f"/api/v2/tasks/{user}", 201, shapes.TASK, body=body)

    def tasks(self, **filters: str) -> list[Json]:
        """Tasks: each filter that is set becomes a quoted term."""
        terms = " ".join(f'{key}:"{value}"' for key, value in filters.items() if value)
        query = "?" + urlencode({"q": terms}) if terms else ""
        found: list[Json] = self.ask("GET", f"/api/v2/tasks{query}", 200, shapes.TASKS)["tasks"]
        return found

    def task_by_id(self, task_id: str) -> Json:
        """TaskByID: `me` stands in the path whoever owns the task."""
        return self.ask("GET", f"/api/v2/tasks/me/{task_id}", 200, shapes.TASK)

    def task_by_identifier(self, identifier: str) -> Json:
        """TaskByIdentifier: an id, a name of one's own, or owner and name."""
        if UUID.fullmatch(identifier):
            return self.task_by_id(identifier)
        owner, slash, name = identifier.partition("/")
        path = f"{owner}/{name}" if slash else f"me/{owner}"
        return self.ask("GET", f"/api/v2/tasks/{path}", 200, shapes.TASK)

    def delete_task(self, user: str, task_id: str) -> None:
        """DeleteTask."""
        self.ask("DELETE", f"/api/v2/tasks/{user}/{task_id}", 202, None)

    def send(self, user: str, task_id: str, text: str) -> None:
        """TaskSend."""
        self.ask("POST", f"/api/v2/tasks/{user}/{task_id}/send", 204, None, body={"input": text})

    def update_input(self, user: str, task_id: str, text: str) -> None:
        """UpdateTaskInput."""
        self.ask("PATCH", f"/api/v2/tasks/{user}/{task_id}/input", 204, None, body={"input": text})

    def task_logs(self, user: str, task_id: str) -> Json:
        """TaskLogs."""
        return self.ask("GET", f"/api/v2/tasks/{user}/{task_id}/logs", 200, shapes.TASK_LOGS)

    def pause(self, user: str, task_id: str) -> Json:
        """PauseTask: the build that stops the workspace."""
        target = f"/api/v2/tasks/{user}/{task_id}/pause"
        return self.ask("POST", target, 202, shapes.BUILD_OF_TASK)["workspace_build"]

    def resume(self, user: str, task_id: str) -> Json:
        """ResumeTask: the build that starts the workspace."""
        target = f"/api/v2/tasks/{user}/{task_id}/resume"
        return self.ask("POST", target, 202, shapes.BUILD_OF_TASK)["workspace_build"]

    # What the CLI needs beside.

    def has_first_user(self) -> bool:
        """HasFirstUser: a 404 means no only from a server that says its version."""
        answer = self.call("GET", "/api/v2/users/first")
        if answer.status == 404 and "x-coder-build-version" in answer.headers:
            return False
        if answer.status != 200:
            raise SDKError(answer)
        return True

    def user(self, name: str) -> Json:
        """User."""
        return self.ask("GET", f"/api/v2/users/{name}", 200, shapes.USER)

    def organizations(self) -> list[Json]:
        """OrganizationsByUser, of oneself."""
        found: list[Json] = self.ask(
            "GET", "/api/v2/users/me/organizations", 200, [shapes.ORGANIZATION]
        )
        return found

    def template(self, organization: str, name: str) -> Json:
        """TemplateByName."""
        target = f"/api/v2/organizations/{organization}/templates/{name}"
        return self.ask("GET", target, 200, shapes.TEMPLATE)

    def templates(self, query: str) -> list[Json]:
        """Templates."""
        target = f"/api/v2/templates?q={quote(query)}"
        found: list[Json] = self.ask("GET", target, 200, [shapes.TEMPLATE])
        return found

    def presets(self, version_id: str) -> list[Json]:
        """TemplateVersionPresets."""
        target = f"/api/v2/templateversions/{version_id}/presets"
        found: list[Json] = self.ask("GET", target, 200, [shapes.PRESET])
        return found

    def version(self, version_id: str) -> Json:
        """TemplateVersion."""
        return self.ask("GET", f"/api/v2/templateversions/{version_id}", 200, shapes.VERSION)

    def workspace(self, workspace_id: str) -> Json:
        """Workspace."""
        return self.ask("GET", f"/api/v2/workspaces/{workspace_id}", 200, shapes.WORKSPACE)

    def build(self, build_id: str) -> Json:
        """WorkspaceBuild."""
        return self.ask("GET", f"/api/v2/workspacebuilds/{build_id}", 200, shapes.BUILD)

    def follow(self, target: str) -> list[Json]:
        """Every line of a job's log, read until the server closes the socket as it should."""
        with self.socket(target) as socket:
            return [
                decode_go(shapes.JOB_LOG, message.encode(), JSON)
                for message in self.messages(socket)
                if isinstance(message, str)
            ]


JSON = "application/json"
"""The media type of a message, which has none of its own."""
