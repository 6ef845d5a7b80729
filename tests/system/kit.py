"""A real server as a real process, used as people use it, and a look at what it leaves behind."""

import json
import os
import random
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import asyncpg

from taskyard.daemon.postgres import EmbeddedPostgres
from taskyard.sdk import ApiError, Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.enums import JobStatus, LogEntryType, TaskState, TaskStatus
from taskyard.wire.identity import (
    CreateFirstUserRequest,
    CreateTokenRequest,
    CreateUserRequest,
    LoginRequest,
)
from taskyard.wire.link import ItemKind
from taskyard.wire.tasks import CreateTaskRequest, Task
from taskyard.wire.templates import (
    CreateTemplateRequest,
    CreateTemplateVersionRequest,
    TemplateVersion,
)
from tests.archives import tar_of
from tests.control_groups import drop_groups
from tests.waiting import until

PASSWORD = "a throw-away password"
LOGS: set[Path] = set()
"""What the servers that run now have logged, for whoever wants to know why a test failed."""

LASTING = {"TASKYARD_RECONCILE_S": "0.2", "TASKYARD_STOP_GRACE_S": "2"}
"""Settings of the server that many tests share: its reconciler looks often, its grace is not the default."""


class World:
    """A server, its owner's client, and the template that tasks are made of."""

    def __init__(self, server: LocalServer) -> None:
        self.server = server
        self._clients: list[Client] = []
        self._token = first_user(server.url)
        self.owner = owner = self._keep(Client(server.url, self._token))
        self.version_id = until("the shell template", lambda: shell_version(owner))

    @property
    def token(self) -> str:
        """The owner's, good at every server of the database."""
        return self._token

    def create(self, text: str, *, client: Client | None = None, name: str = "") -> Task:
        """A new task of the shell template."""
        request = CreateTaskRequest(template_version_id=self.version_id, input=text, name=name)
        return (client or self.owner).create_task("me", request)

    def active(self, task_id: UUID, *, client: Client | None = None) -> Task:
        """The task, once it is active."""
        return until("an active task", lambda: self.status(task_id, TaskStatus.ACTIVE, client))

    def status(
        self, task_id: UUID, wanted: TaskStatus, client: Client | None = None
    ) -> Task | None:
        """The task if it has this status."""
        task = (client or self.owner).get_task("me", task_id)
        return task if task.status is wanted else None

    def text(self, task_id: UUID, *, client: Client | None = None) -> str:
        """The whole conversation."""
        logs = (client or self.owner).get_task_logs("me", task_id).logs
        return "\n".join(entry.content for entry in logs)

    def says(self, task_id: UUID, wanted: str, *, client: Client | None = None) -> str:
        """The conversation of an active task, once it holds this and the coding agent waits."""
        asks = client or self.owner

        def look() -> str | None:
            task = asks.get_task("me", task_id)
            state = task.current_state
            if (
                task.status is not TaskStatus.ACTIVE
                or state is None
                or state.state is not TaskState.IDLE
            ):
                return None
            try:
                text = self.text(task_id, client=client)
            except ApiError as error:
                if error.reason != "agent_unreachable":  # its server has just begun, or is about to
                    raise
                return None
            return text if wanted in text and turns_are_over(asks, task_id) else None

        return until(f"{wanted!r} in the log", look)

    def member(self, name: str) -> Client:
        """A client of a new member."""
        user = CreateUserRequest(username=name, email=f"{name}@example.com", password=PASSWORD)
        self.owner.create_user(user)
        token = signed_in(self.server.url, f"{name}@example.com")
        return self._keep(Client(self.server.url, token))

    def tidy(self) -> None:
        """Deletes every task, whoever made it."""

        def none_left() -> bool | None:
            left = self.owner.list_tasks().tasks
            for task in left:
                with suppress(ApiError):  # a build is at work, or somebody was faster: asked again
                    self.owner.delete_task("me", task.id)
            return None if left else True

        until("the tasks to be gone", none_left)

    def restart(self) -> None:
        """Starts the server again on its directory, after it ended in whatever way."""
        self.server.start()
        self.owner = self._keep(Client(self.server.url, self._token))

    def close(self) -> None:
        """Hangs up."""
        for client in self._clients:
            client.close()

    def _keep(self, client: Client) -> Client:
        self._clients.append(client)
        return client

    async def query(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Rows straight from the server's own Postgres, for what no route shows yet."""
        url = EmbeddedPostgres(self.server.data_dir / "postgres").url
        conn = await asyncpg.connect(url)
        try:
            return await conn.fetch(sql, *values)
        finally:
            await conn.close()


@contextmanager
def open_folder() -> Iterator[Path]:
    """A new folder that an ordinary account may pass; all that has to do with it must have ended at the end."""
    home = Path(tempfile.mkdtemp(prefix="taskyard-system-"))
    home.chmod(0o711)
    try:
        yield home
        left = processes_of(home)
        assert left == {}, f"left running: {left}"
    finally:
        roots = list(home.glob("*/workspaces"))
        shutil.rmtree(home, ignore_errors=os.geteuid() != 0)
        for root in roots:
            drop_groups(root)


@contextmanager
def serving(
    data_dir: Path,
    log: Path,
    environment: dict[str, str] | None = None,
    options: Sequence[str] = (),
) -> Iterator[World]:
    """A server with its first user and the starter templates; stopped by hand at the end."""
    server = LocalServer(data_dir, options=options, log=log, environment=environment)
    server.start()
    LOGS.add(log)
    try:
        world = World(server)
        try:
            yield world
        finally:
            world.close()
    finally:
        server.stop()
        LOGS.discard(log)
        print(log.read_text(errors="replace"))


def turns_are_over(client: Client, task_id: UUID) -> bool:
    """Whether each message of the conversation has had its turn.

    The conversation is the bridge's own, and so ahead of the state that the server knows: right after a message was
    taken a task may still be shown as idle.
    """
    lines = b"".join(client.export_task_transcript("me", task_id, kinds="user_message,turn_end"))
    kinds = [json.loads(line)["kind"] for line in lines.splitlines()]
    if not kinds:  # the app is not ours, and writes no transcript
        return True
    logs = client.get_task_logs("me", task_id).logs
    said = sum(entry.type is LogEntryType.INPUT for entry in logs)
    return kinds[-1] == ItemKind.TURN_END and kinds.count(ItemKind.USER_MESSAGE) >= said


def steady_port() -> int:
    """A port that is free now and that nobody is given by chance: for servers that come back to their address."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    def free() -> int | None:
        port = random.randrange(10_000, lowest)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            return None
        return port

    return until("a free port", free)


def first_user(url: str) -> str:
    """A token of the owner of a server that nobody has used yet."""
    request = CreateFirstUserRequest(username="ada", email="ada@example.com", password=PASSWORD)
    with Client(url, "") as nobody:
        nobody.create_first_user(request)
    return signed_in(url, "ada@example.com")


def signed_in(url: str, email: str) -> str:
    """A token of this user."""
    with Client(url, "") as nobody:
        session = nobody.login(LoginRequest(email=email, password=PASSWORD)).session_token
    with Client(url, session) as client:
        return client.create_token("me", CreateTokenRequest()).key


def shell_version(client: Client) -> UUID | None:
    """The active version of the starter template, once it is imported."""
    for template in client.list_templates("has-ai-task:true"):
        version = client.get_template_version(template.active_version_id)
        if template.name == "shell" and version.job.status is JobStatus.SUCCEEDED:
            return version.id
    return None


def pushed(world: World, name: str, files: dict[str, str]) -> TemplateVersion:
    """A version of a new template made of these files, once its import is over."""
    file_id = world.owner.upload_file(tar_of(files), "application/x-tar").hash
    request = CreateTemplateVersionRequest(
        file_id=file_id, storage_method="file", provisioner="echo"
    )
    version = world.owner.create_template_version("default", request)

    def over() -> TemplateVersion | None:
        found = world.owner.get_template_version(version.id)
        return found if found.job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED) else None

    found = until("the import to be over", over)
    if found.job.status is JobStatus.SUCCEEDED:
        world.owner.create_template(
            "default", CreateTemplateRequest(name=name, template_version_id=version.id)
        )
    return found


def processes_of(data_dir: Path) -> dict[int, str]:
    """Processes that have to do with a data directory: by their words, environment, or folder."""
    needle = str(data_dir).encode()
    found: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
            about = words + (entry / "environ").read_bytes() + bytes((entry / "cwd").readlink())
            about += (entry / "mountinfo").read_bytes() if b"taskyard_agent" in words else b""
        except OSError:
            continue
        if needle in about:
            found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace").strip()
    return found


def only_agent(data_dir: Path, *words: str) -> int:
    """The one pid that agents_of finds, once it is one: a child that is about to become another program looks alike."""

    def look() -> int | None:
        found = agents_of(data_dir, *words)
        return found[0] if len(found) == 1 else None

    return until(f"one process of {words}", look)


def agents_of(data_dir: Path, *words: str) -> list[int]:
    """Pids of Python programs in workspaces of a data directory whose command line has all these words."""
    return [
        pid
        for pid, line in processes_of(data_dir).items()
        if "python" in line.partition(" ")[0] and all(w in line for w in words)
    ]
