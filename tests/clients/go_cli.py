"""What each command of the CLI sends, in its order. Source: clients 2, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from tests.clients import shapes
from tests.clients.go_sdk import SDK, SDKError
from tests.clients.strict import Json

AGENT = "coder-cli/v2.34.0 (linux/amd64; +https://example.com)"
"""How the CLI names itself."""

POLL_S = 0.05
"""Seconds between two looks, where the real one takes 1 or 5."""

PATIENCE_S = 60.0
"""Seconds after which these scripts give up; the real one waits for people to do that."""


class Refused(Exception):
    """The CLI itself says no, before or after it asked."""


def looks() -> Iterator[None]:
    """One look after the other, at once and then with a pause, until patience is at its end."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        yield
        time.sleep(POLL_S)
    raise Refused("waited in vain")


@dataclass(frozen=True, slots=True)
class FirstUser:
    """What `login` takes from its --first-user-… flags."""

    username: str
    email: str
    password: str
    full_name: str = ""
    trial: bool = False


class CLI(SDK):
    """The commands, one method each; what they print is what they return."""

    def __init__(self, url: str, token: str = "") -> None:
        super().__init__(url, token, AGENT)
        self.headers["Coder-CLI-Telemetry"] = "eyJjb21tYW5kIjoidGFzayJ9"

    def signed_in(self, token: str) -> None:
        """Uses this token from now on."""
        self.headers["Coder-Session-Token"] = token

    # login

    def login_first(self, first: FirstUser) -> Json:
        """login, on a server that nobody has used: makes the first user and signs in."""
        if self.has_first_user():
            raise Refused("there is a first user already")
        body = {
            "email": first.email,
            "username": first.username,
            "name": first.full_name,
            "password": first.password,
            "trial": first.trial,
        }
        self.ask("POST", "/api/v2/users/first", 201, None, body=body)
        return self.login_password(first.email, first.password)

    def login_password(self, email: str, password: str) -> Json:
        """The second half of a first login."""
        body = {"email": email, "password": password}
        self.signed_in(self.ask("POST", "/api/v2/users/login", 201, {}, body=body)["session_token"])
        return self.user("me")

    def login_token(self, token: str, *, as_session: bool = False) -> Json:
        """login with a token that a person pasted; unless told otherwise it makes a key of its own."""
        if not self.has_first_user():
            raise Refused("there is no first user yet")
        self.signed_in(token)
        if not as_session:
            self.signed_in(self.ask("POST", "/api/v2/users/me/keys", 201, {})["key"])
        return self.user("me")

    def warn_of_version(self, own: str) -> str | None:
        """What the server runs, asked for when its header differs from the CLI's own version."""
        seen = self.call("GET", "/api/v2/users/first").headers["x-coder-build-version"]
        if seen == own:
            return None
        info = self.ask("GET", "/api/v2/buildinfo", 200, shapes.BUILD_INFO)
        return str(info["version"])

    # organization

    def organization(self, wanted: str = "") -> Json:
        """The organization of -O by name or id, else the only one, else the default one."""
        found = self.organizations()
        if wanted:
            named = [o for o in found if wanted in (o["name"], o["id"])]
            if not named:
                raise Refused(f"no organization {wanted}")
            return named[0]
        return found[0] if len(found) == 1 else next(o for o in found if o["is_default"])

    # task

    def task_create(
        self,
        text: str,
        *,
        template: str = "",
        version: str = "",
        preset: str = "",
        name: str = "",
        owner: str = "me",
    ) -> Json:
        """task create."""
        if not text:
            raise Refused("a task cannot start without input")
        organization = self.organization()["id"]
        found = None
        if not template:
            offered = self.templates(f'organization:"{organization}" has-ai-task:true')
            if len(offered) != 1:
                raise Refused(f"which template? {sorted(t['name'] for t in offered)}")
            found = offered[0]
            template = found["name"]
        if version:
            target = f"/api/v2/organizations/{organization}/templates/{template}/versions/{version}"
            version_id = self.ask("GET", target, 200, shapes.VERSION)["id"]
        else:
            found = found or self.template(organization, template)
            version_id = found["active_version_id"]
        request = {"template_version_id": version_id, "input": text, "name": name}
        if preset and preset != "none":
            chosen = [p["ID"] for p in self.presets(version_id) if p["Name"] == preset]
            if not chosen:
                raise Refused(f"no preset {preset}")
            request["template_version_preset_id"] = chosen[0]
        return self.create_task(owner, request)

    def task_list(self, *, everybody: bool = False, user: str = "me", status: str = "") -> Json:
        """task list."""
        return self.tasks(owner="" if everybody else user, status=status)

    def task_status(self, identifier: str, *, watch: bool = False) -> list[Json]:
        """task status: the task, and with --watch each state it was seen in until it has settled."""
        seen = [self.task_by_identifier(identifier)]
        for _ in looks():
            if not watch or self._settled(seen[-1]):
                break
            seen.append(self.task_by_id(seen[-1]["id"]))
        return seen

    @staticmethod
    def _settled(task: Json) -> bool:
        if task["workspace_status"] == "stopped":
            return True
        health, state = task["workspace_agent_health"], task["current_state"]
        starting = task["workspace_agent_lifecycle"] in (None, "created", "starting")
        working = state is None or state["state"] == "working"
        return bool(health and health["healthy"]) and not starting and not working

    def task_send(self, identifier: str, text: str) -> None:
        """task send: resumes a paused task, waits for one that starts, then sends."""
        task = self.task_by_identifier(identifier)
        match task["status"]:
            case "active":
                pass
            case "paused":
                self.watch_build(self.resume(task["owner_name"], task["id"])["id"])
            case "initializing":
                self.watch_build(self.workspace(task["workspace_id"])["latest_build"]["id"])
            case other:
                raise Refused(f"task has status {other}")
        self._wait_until_idle(task["id"])
        self.send("me", task["id"], text)

    def _wait_until_idle(self, task_id: str) -> None:
        for _ in looks():
            task = self.task_by_id(task_id)
            match task["status"]:
                case "paused" | "unknown":
                    raise Refused(f"task has status {task['status']}")
                case "active":
                    state = task["current_state"]
                    if state is not None and state["state"] in ("idle", "complete", "failed"):
                        return

    def task_logs_of(self, identifier: str) -> Json:
        """task logs."""
        return self.task_logs("me", self.task_by_identifier(identifier)["id"])

    def task_pause(self, identifier: str) -> None:
        """task pause --yes."""
        task = self.task_by_identifier(identifier)
        if task["status"] == "paused":
            raise Refused("task is paused already")
        self.watch_build(self.pause(task["owner_name"], task["id"])["id"])

    def task_resume(self, identifier: str, *, wait: bool = True) -> None:
        """task resume --yes, with --no-wait when told."""
        task = self.task_by_identifier(identifier)
        if task["status"] != "paused":
            raise Refused("task is not paused")
        build = self.resume(task["owner_name"], task["id"])
        if wait:
            self.watch_build(build["id"])

    def task_delete(self, *identifiers: str) -> None:
        """task delete --yes: all are found before the first goes."""
        for task in [self.task_by_identifier(one) for one in identifiers]:
            self.delete_task(task["owner_name"], task["id"])

    # builds

    def watch_build(self, build_id: str) -> list[Json]:
        """The lines of a build's log. Raises Refused unless it succeeded."""
        for _ in looks():
            if self.build(build_id)["job"]["status"] != "pending":
                break
        lines = self.follow(f"/api/v2/workspacebuilds/{build_id}/logs?follow")
        job = self.build(build_id)["job"]
        if job["status"] != "succeeded":
            raise Refused(f"the build is {job['status']}: {job.get('error', '')}")
        return lines

    # templates

    def template_push(self, name: str, archive: bytes) -> Json:
        """templates push --yes: the template, with the new version active."""
        organization = self.organization()["id"]
        try:
            known = self.template(organization, name)["id"]
        except SDKError as error:
            if error.status != 404:
                raise
            known = None
        answer = self.call(
            "POST", "/api/v2/files", raw=archive, headers={"Content-Type": "application/x-tar"}
        )
        if answer.status not in (200, 201):
            raise SDKError(answer)
        request = {
            "name": "",
            "message": "Uploaded from the CLI",
            "storage_method": "file",
            "file_id": answer.json()["hash"],
            "provisioner": "terraform",
            "tags": {},
            "user_variable_values": [],
        }
        if known:
            request["template_id"] = known
        target = f"/api/v2/organizations/{organization}/templateversions"
        version = self.ask("POST", target, 201, shapes.VERSION, body=request)
        self._watch_import(version["id"])
        if known:
            target = f"/api/v2/templates/{known}/versions"
            self.ask("PATCH", target, 200, None, body={"id": version["id"]})
        else:
            body = {"name": name, "template_version_id": version["id"], "default_ttl_ms": None}
            target = f"/api/v2/organizations/{organization}/templates"
            self.ask("POST", target, 201, shapes.TEMPLATE, body=body)
        return self.template(organization, name)

    def _watch_import(self, version_id: str) -> None:
        for _ in looks():
            if self.version(version_id)["job"]["status"] != "pending":
                break
        self.follow(f"/api/v2/templateversions/{version_id}/logs?follow&after=0")
        job = self.version(version_id)["job"]
        if job["status"] != "succeeded":
            raise Refused(f"the import is {job['status']}: {job.get('error', '')}")

    # tokens

    def token_create(self, name: str, lifetime_ns: int = 0) -> str:
        """tokens create."""
        self.ask("GET", "/api/v2/users/me/keys/tokens/tokenconfig", 200, {})
        body = {"lifetime": lifetime_ns, "scope": "", "token_name": name}
        return str(self.ask("POST", "/api/v2/users/me/keys/tokens", 201, {}, body=body)["key"])

    def token_list(self) -> list[Json]:
        """tokens list."""
        target = "/api/v2/users/me/keys/tokens?include_all=false&include_expired=false"
        found: list[Json] = self.ask("GET", target, 200, [shapes.API_KEY])
        return found

    def token_remove(self, name: str, *, delete: bool = False) -> None:
        """tokens remove: expires it, or deletes it when told."""
        key = self.ask("GET", f"/api/v2/users/me/keys/tokens/{name}", 200, shapes.API_KEY)
        target = f"/api/v2/users/me/keys/{key['id']}"
        if delete:
            self.ask("DELETE", target, 204, None)
        else:
            self.ask("PUT", f"{target}/expire", 204, None)

    # workspaces

    def workspaces(self, query: str = "owner:me") -> list[Json]:
        """list."""
        target = f"/api/v2/workspaces?q={quote(query)}"
        found: list[Json] = self.ask("GET", target, 200, shapes.WORKSPACES)["workspaces"]
        return found

    def named_workspace(self, name: str) -> Json:
        """show."""
        owner, slash, rest = name.partition("/")
        owner, rest = (owner, rest) if slash else ("me", owner)
        return self.ask("GET", f"/api/v2/users/{owner}/workspace/{rest}", 200, shapes.WORKSPACE)

    def workspace_start(self, name: str) -> Json:
        """start: asks what the template wants to know, then builds."""
        workspace = self.named_workspace(name)
        template = self.ask(
            "GET", f"/api/v2/templates/{workspace['template_id']}", 200, shapes.TEMPLATE
        )
        version_id = template["active_version_id"]
        target = f"/api/v2/templateversions/{version_id}/rich-parameters"
        self.ask("GET", target, 200, [shapes.PARAMETER])
        return self._built(workspace["id"], {"transition": "start", "reason": "cli"})

    def workspace_stop(self, name: str) -> Json:
        """stop."""
        return self._built(self.named_workspace(name)["id"], {"transition": "stop"})

    def workspace_delete(self, name: str) -> Json:
        """delete."""
        return self._built(self.named_workspace(name)["id"], {"transition": "delete"})

    def _built(self, workspace_id: str, body: Json) -> Json:
        target = f"/api/v2/workspaces/{workspace_id}/builds"
        build = self.ask("POST", target, 201, shapes.BUILD, body=body)
        self.watch_build(build["id"])
        return build

    def cancel(self, build_id: str) -> None:
        """Ctrl-C while a build is watched."""
        self.ask("PATCH", f"/api/v2/workspacebuilds/{build_id}/cancel", 200, None)
