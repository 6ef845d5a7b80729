"""A real server that holds something of everything, and what a program must know to find it by chance."""

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import asyncpg

from taskyard.control.keys import hash_agent_token
from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from taskyard.wire import identity
from taskyard.wire.enums import JobStatus, TaskStatus
from taskyard.wire.tasks import CreateTaskRequest, Task
from taskyard.wire.templates import (
    CreateTemplateRequest,
    CreateTemplateVersionRequest,
    TemplateVersion,
)
from tests.archives import tar_of
from tests.waiting import until

PASSWORD = "a throw-away password"

TOML = """
[template]
display_name = "Echo"

[workspace]
driver = "echo"

[task]
app = "agent"

[agent]
type = "shell"

[[parameter]]
name = "size"
type = "number"
default = 3
mutable = true
validation.min = 1
validation.max = 9

[[preset]]
name = "small"
default = true
parameters = { size = 1 }
"""

WELL = {
    "agent": {
        "lifecycle": ["starting", "ready"],
        "apps": {"agent": "healthy"},
        "agentapi": {"replies": ["Done."]},
    }
}
BUSY = {"agent": {**WELL["agent"], "agentapi": {"status": "running"}}}
BROKEN = {"ensure": [{"log": "trying"}, {"fail": "There is no room."}]}
SILENT: dict[str, object] = {"ensure": [{"log": "made"}]}


@dataclass(slots=True)
class Stock:
    """A server and the words that lead to what it holds, by the name of the parameter that takes them."""

    url: str
    owner: str
    member: str
    agent: str = ""
    words: dict[str, set[str]] = field(default_factory=dict)

    def add(self, **words: object) -> None:
        """Keeps one more word for each of these parameters."""
        for name, word in words.items():
            self.words.setdefault(name, set()).add(str(word))


@contextmanager
def stocked(postgres_url: str, log: Path) -> Iterator[Stock]:
    """A server on a database of its own, with tasks, workspaces and templates in many states."""
    name = f"fuzz_{uuid4().hex}"
    home = Path(tempfile.mkdtemp(prefix="taskyard-fuzz-"))
    home.chmod(0o711)
    url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
    options = ["--postgres-url", url, "--no-starter-templates", "--max-running", "500"]
    try:
        asyncio.run(execute(postgres_url, f'create database "{name}"'))
        with LocalServer(home / "data", log=log, options=options) as server:
            yield _stock(server.url, url)
    finally:
        asyncio.run(execute(postgres_url, f'drop database if exists "{name}" with (force)'))
        shutil.rmtree(home, ignore_errors=os.geteuid() != 0)


async def execute(url: str, sql: str, *values: object) -> None:
    """Runs one statement."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(sql, *values)
    finally:
        await conn.close()


def _stock(url: str, database: str) -> Stock:
    with Client(url) as nobody:
        nobody.create_first_user(
            identity.CreateFirstUserRequest(
                username="ada", email="ada@example.com", password=PASSWORD
            )
        )
    owner = _token(url, "ada")
    with Client(url, owner) as client:
        for name in ("ann", "bob", "carl"):
            user = client.create_user(
                identity.CreateUserRequest(
                    username=name, email=f"{name}@example.com", password=PASSWORD
                )
            )
            if name == "bob":  # whom the others may change as they like
                _spare(url, user, stock := Stock(url, owner, ""))
        stock.member = _token(url, "ann")
        stock.add(organization="default", organizationname="default", user="me")
        for organization in client.list_organizations():
            stock.add(organization=organization.id)
        with Client(url, stock.member) as member:
            _templates(stock, client, member)
    stock.agent = str(uuid4())
    asyncio.run(
        execute(
            database,
            "update workspace_agents set token_hash = $1 where id = (select agent_id from (select id as agent_id"
            " from workspace_agents order by created_at limit 1) as first)",
            hash_agent_token(stock.agent),
        )
    )
    return stock


def _spare(url: str, user: identity.User, stock: Stock) -> None:
    """A user whom nobody needs, with keys."""
    stock.add(user=user.username)
    stock.add(user=user.id)
    with Client(url, _token(url, user.username)) as client:
        stock.add(keyid=client.create_session_key("me").key.partition("-")[0])
        key = client.create_token("me", identity.CreateTokenRequest(token_name="deploy")).key
        stock.add(keyid=key.partition("-")[0], keyname="deploy")


def _templates(stock: Stock, owner: Client, member: Client) -> None:
    """Templates, and tasks of them in every state that the echo driver can play."""
    well = _pushed(stock, owner, "well", WELL)
    busy = _pushed(stock, owner, "busy", BUSY)
    broken = _pushed(stock, owner, "broken", BROKEN)
    silent = _pushed(stock, owner, "silent", SILENT)
    _pushed(stock, owner, "", WELL, toml="[template]\nno_such_key = 1\n")
    active = _task(stock, member, well, "active")
    for client, version, name in (
        (member, well, "paused"),
        (owner, well, "other"),
        (member, busy, "busy"),
        (member, broken, "broken"),
        (member, silent, "silent"),
        (member, well, "deleted"),
    ):
        _task(stock, client, version, name)
    until("an active task", lambda: _has(member, "paused", TaskStatus.ACTIVE))
    member.pause_task("me", "paused")
    until("a broken task", lambda: _has(member, "broken", TaskStatus.ERROR))
    until("a second active task", lambda: _has(member, "deleted", TaskStatus.ACTIVE))
    member.delete_task("me", "deleted")
    until("the agent", lambda: _has(member, "active", TaskStatus.ACTIVE))
    stock.add(task=active.id)


def _task(stock: Stock, client: Client, version: TemplateVersion, name: str) -> Task:
    """A new task, with the words that lead to it."""
    request = CreateTaskRequest(template_version_id=version.id, input="do it", name=name)
    task = client.create_task("me", request)
    assert task.workspace_id is not None
    workspace = client.get_workspace(task.workspace_id)
    stock.add(task=task.name, workspace=workspace.id, name=workspace.name, buildnumber=1)
    stock.add(build=workspace.latest_build.id, user="ann", workspacename=workspace.name)
    until("the build", lambda: _built(stock, client, workspace.latest_build.id))
    return task


def _built(stock: Stock, client: Client, build_id: UUID) -> bool | None:
    """True once a build has ended; the agents that it made are kept then."""
    build = client.get_workspace_build(build_id)
    if build.job.status in (JobStatus.PENDING, JobStatus.RUNNING):
        return None
    for resource in build.resources:
        for agent in resource.agents if isinstance(resource.agents, list) else []:
            stock.add(agent=agent.id)
    return True


def _has(client: Client, name: str, status: TaskStatus) -> bool | None:
    return True if client.get_task("me", name).status is status else None


def _pushed(
    stock: Stock, client: Client, name: str, script: Mapping[str, object], toml: str = TOML
) -> TemplateVersion:
    """An imported version, of a template of that name if there is one, with the words that lead to it."""
    archive = tar_of({"taskyard.toml": toml, "echo.json": json.dumps(script)})
    file_id = client.upload_file(archive, "application/x-tar").hash
    request = CreateTemplateVersionRequest(
        file_id=file_id, storage_method="file", provisioner="echo"
    )
    made = client.create_template_version("default", request)
    version = until("an import", lambda: _imported(client, made.id))
    stock.add(version=version.id, file=file_id)
    if name:
        template = client.create_template(
            "default", CreateTemplateRequest(name=name, template_version_id=version.id)
        )
        stock.add(template=template.id, name=name, template_version_id=version.id)
        for preset in client.list_presets(version.id):
            stock.add(template_version_preset_id=preset.id, preset=preset.id)
    return version


def _imported(client: Client, version_id: UUID) -> TemplateVersion | None:
    version = client.get_template_version(version_id)
    return None if version.job.status in (JobStatus.PENDING, JobStatus.RUNNING) else version


def _token(url: str, name: str) -> str:
    """A token of this user."""
    with Client(url) as nobody:
        login = identity.LoginRequest(email=f"{name}@example.com", password=PASSWORD)
        session = nobody.login(login).session_token
    with Client(url, session) as client:
        return client.create_token("me", identity.CreateTokenRequest()).key
