"""A server as workspace agents see it: the link and the snapshot route on one Unix socket, all in memory."""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
from websockets.asyncio.server import Server, ServerConnection, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from taskyard.control.appclient import AppAddress, AppResponse, app_request
from taskyard.control.links import Links
from taskyard.errors import AgentUnreachable
from taskyard_agent.mux import CallFailed, Handlers, LinkError, LinkLost, Mux
from taskyard_agent.protocol import (
    AUTH_HEADER,
    App,
    AppHealthReport,
    CodingAgent,
    Hello,
    ItemKind,
    Items,
    ItemsStored,
    LifecycleReport,
    LogLines,
    Manifest,
    Nothing,
    SentItem,
    Welcome,
)
from tests.waiting import DEADLINE_S

PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to whoever asks for any: no neighbour gets one between a look and its use."""

_tries = itertools.count(os.getpid() * 101)

SHELL = ["python", "-m", "taskyard_agent.shell"]
PUPPET = [sys.executable, str(Path(__file__).with_name("acp_puppet.py"))]

TASK = UUID("11111111-2222-4333-8444-555555555555")


async def until(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Nothing, once the condition holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(deadline_s):
        while not condition():
            await asyncio.sleep(0.002)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    for number in _tries:
        port = PORTS[number % len(PORTS)]
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError


def manifest(command: list[str] | None = None, **changes: object) -> Manifest:
    """A task's workspace with a coding agent, its bridge on a free port."""
    port = free_port()
    made = Manifest(
        workspace_id=uuid4(),
        workspace_name="w",
        owner_name="o",
        task_id=TASK,
        generation=1,
        env={},
        start_script=None,
        stop_script=None,
        apps=[App("agent", f"http://127.0.0.1:{port}", None, None)],
        bridge_slug="agent",
        task_slug="agent",
        coding_agent=CodingAgent("custom", "acp", command or SHELL, "allow"),
    )
    return msgspec.structs.replace(made, **changes)


class OneLink(Links):
    """The link of the only agent there is."""

    mux: Mux | None = None

    async def get(self, agent_id: UUID) -> Mux:
        """The open link; raises AgentUnreachable when there is none."""
        if self.mux is None:
            raise AgentUnreachable(agent_id)
        return self.mux


@dataclass
class FakeServer:
    """Stores what agents tell; can be stopped and started again with all that it knows."""

    path: Path
    manifest: Manifest
    lifecycles: list[str] = field(default_factory=list)
    health: list[tuple[str, str]] = field(default_factory=list)
    logs: list[tuple[str, str]] = field(default_factory=list)
    items: list[SentItem] = field(default_factory=list)
    snapshots: list[tuple[str, bytes]] = field(default_factory=list)
    statuses: list[dict[str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    welcomes: int = 0
    beats: int = 0  # since the last welcome
    repeated: int = 0
    stale: bool = False
    refuse: bool = False
    mute_items: bool = False
    lease_s: float = 120.0
    links: OneLink = field(default_factory=OneLink)

    @property
    def url(self) -> str:
        return f"unix:{self.path}"

    @property
    def port(self) -> int:
        return int(self.manifest.apps[0].url.rpartition(":")[2])

    @property
    def acked(self) -> int:
        return self.items[-1].seq if self.items else 0

    def kinds(self) -> list[str]:
        """Of all items but those about the state."""
        return [item.kind.value for item in self.items if item.kind is not ItemKind.STATE]

    def data(self, kind: ItemKind) -> list[dict[str, object]]:
        return [msgspec.json.decode(item.data) for item in self.items if item.kind is kind]

    async def start(self) -> None:
        inner = f"{self.path}.ws"
        self._websockets: Server = await unix_serve(
            self._attend,
            path=inner,
            process_request=self._judge,
            compression=None,
            ping_interval=None,
            close_timeout=0.2,
        )
        self._connections: set[asyncio.StreamWriter] = set()
        self._front = await asyncio.start_unix_server(self._route, path=str(self.path))

    async def stop(self) -> None:
        """Everything is closed; harmless when it is already."""
        self._front.close()
        self._websockets.close()
        for writer in list(self._connections):
            writer.transport.abort()
        await self._websockets.wait_closed()
        await until(lambda: not self._connections)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> AppResponse:
        """A request to the task's app as our server makes it, over the link."""
        address = AppAddress(TASK, self.manifest.apps[0].url)
        raw = None if body is None else msgspec.json.encode(body)
        return await app_request(
            self.links, address, method, path, body=raw, headers=headers, timeout_s=DEADLINE_S
        )

    async def say(self, text: str, prompt_id: str | None = None) -> AppResponse:
        headers = {} if prompt_id is None else {"X-Taskyard-Prompt-Id": prompt_id}
        return await self.ask("POST", "message", {"content": text, "type": "user"}, **headers)

    async def status(self) -> str:
        return str(msgspec.json.decode((await self.ask("GET", "status")).body)["status"])

    async def messages(self) -> list[tuple[str, str]]:
        answer = msgspec.json.decode((await self.ask("GET", "messages")).body)
        return [(message["role"], message["content"]) for message in answer["messages"]]

    async def until_stable(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while await self.status() != "stable":
                await asyncio.sleep(0.005)

    async def _route(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Snapshots and statuses are answered here, everything else goes on to the WebSocket server."""
        self._connections.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith((b"POST ", b"PATCH ")):
                await self._take_body(head.decode(), reader, writer)
            else:
                await self._pass_on(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._connections.discard(writer)

    async def _take_body(
        self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        target = head.split(" ")[1]
        fields = dict(
            line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line
        )
        body = await reader.readexactly(int(fields["content-length"]))
        self.tokens.add(fields[AUTH_HEADER.lower()])
        if target.endswith("/app-status"):
            self.statuses.append(msgspec.json.decode(body))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnull")
        else:
            self.snapshots.append((target, body))
            writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async def _pass_on(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from_inner, to_inner = await asyncio.open_unix_connection(f"{self.path}.ws")
        to_inner.write(head)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()
            with contextlib.suppress(OSError):
                await sink.wait_closed()

        async with asyncio.TaskGroup() as group:
            group.create_task(pump(reader, to_inner))
            group.create_task(pump(from_inner, writer))

    def _judge(self, websocket: ServerConnection, request: Request) -> Response | None:
        self.tokens.add(request.headers.get(AUTH_HEADER, ""))
        return websocket.respond(401, "no") if self.refuse else None

    async def _attend(self, websocket: ServerConnection) -> None:
        async def send(frame: bytes) -> None:
            try:
                await websocket.send(frame)
            except ConnectionClosed as error:
                raise LinkLost("closed") from error

        try:
            async with asyncio.TaskGroup() as group:
                mux = Mux(send, group, self._handlers())
                self.links.mux = mux
                try:
                    async for message in websocket:
                        assert isinstance(message, bytes)
                        await mux.feed(message)
                finally:
                    self.links.mux = None
                    mux.end("closed")
        except* (LinkError, ConnectionClosed):
            pass

    def _handlers(self) -> Handlers:
        handlers = Handlers()
        handlers.add("hello", Hello, self._hello)
        handlers.add("heartbeat", Nothing, self._heartbeat)
        handlers.add("lifecycle", LifecycleReport, self._lifecycle, ordered=True)
        handlers.add("app_health", AppHealthReport, self._app_health, ordered=True)
        handlers.add("logs", LogLines, self._logs, ordered=True)
        handlers.add("items", Items, self._items, ordered=True)
        return handlers

    async def _hello(self, _: Hello) -> Welcome:
        self.welcomes += 1
        self.beats = 0
        return Welcome(
            self.manifest, self.acked, heartbeat_s=self.lease_s / 6, lease_s=self.lease_s
        )

    async def _heartbeat(self, _: Nothing) -> Nothing:
        self.beats += 1
        return Nothing()

    async def _lifecycle(self, report: LifecycleReport) -> Nothing:
        if self.stale:
            raise CallFailed("stale_generation", "stale")
        self.lifecycles.append(report.state)
        return Nothing()

    async def _app_health(self, report: AppHealthReport) -> Nothing:
        self.health.append((report.slug, report.health))
        return Nothing()

    async def _logs(self, lines: LogLines) -> Nothing:
        self.logs += [(lines.source, line.text) for line in lines.lines]
        return Nothing()

    async def _items(self, items: Items) -> ItemsStored:
        if self.stale:
            raise CallFailed("stale_generation", "stale")
        if self.mute_items:
            await asyncio.Event().wait()
        fresh = [item for item in items.items if item.seq > self.acked]
        self.repeated += len(items.items) - len(fresh)
        expected = range(self.acked + 1, self.acked + 1 + len(fresh))
        if [item.seq for item in fresh] != list(expected):
            raise CallFailed("items_missing", "gap")
        self.items += fresh
        return ItemsStored(self.acked)


@dataclass
class Process:
    """A workspace agent as a process in a session of its own."""

    process: asyncio.subprocess.Process
    home: Path

    async def stop(self) -> int:
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()

    def children(self) -> list[int]:
        """Pids of the processes that it started, which have sessions of their own."""
        found = []
        # Not by a glob, which fails where processes of others end meanwhile.
        for folder in Path("/proc").iterdir():
            try:
                number, _, rest = (folder / "stat").read_text().partition(" (")
            except OSError:
                continue
            if rest.rpartition(")")[2].split()[1] == str(self.process.pid):
                found.append(int(number))
        return found

    async def kill_all(self) -> None:
        """SIGKILL for the agent and the sessions of its children, as a machine's crash would."""
        children = self.children()
        if self.process.returncode is None:
            self.process.kill()
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        await self.process.wait()


@dataclass(frozen=True)
class Kit:
    """A server and the place where its workspace lives."""

    server: FakeServer
    home: Path
    template: Path
    grace_s: float = 30.0
    start_script_s: float = 600.0

    @asynccontextmanager
    async def agent(self, *, file_limit_kb: int | None = None) -> AsyncIterator[Process]:
        """A running agent; whatever is left of it is killed at the end. No file may get larger than the limit."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "TASKYARD_AGENT_URL": self.server.url,
            "TASKYARD_AGENT_TOKEN": "secret-token",
            "TASKYARD_TEMPLATE_DIR": str(self.template),
            "TASKYARD_STOP_GRACE_S": str(self.grace_s),
            "TASKYARD_START_SCRIPT_S": str(self.start_script_s),
        }
        limit = "unlimited" if file_limit_kb is None else str(file_limit_kb)
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            f'ulimit -f {limit}; exec "{sys.executable}" -m taskyard_agent run',
            env=env,
            cwd=self.home,
        )
        running = Process(process, self.home)
        try:
            yield running
        finally:
            await running.kill_all()

    def with_grace(self, grace_s: float) -> "Kit":
        return replace(self, grace_s=grace_s)


@asynccontextmanager
async def kit(folder: Path, made: Manifest) -> AsyncIterator[Kit]:
    """A started server with folders for one workspace."""
    home, template = folder / "home", folder / "template"
    home.mkdir()
    template.mkdir()
    server = FakeServer(folder / "s", made)
    await server.start()
    try:
        yield Kit(server, home, template)
    finally:
        await server.stop()
