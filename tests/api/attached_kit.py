"""A task whose workspace has a real bridge behind a real link, and its items as the agent would send them."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import msgspec
from websockets.asyncio.client import ClientConnection, connect

from taskyard.wire import attached
from taskyard.wire.base import encode
from taskyard_agent.protocol import Item, SentItem
from tests.agents.fake_server import PUPPET, free_port
from tests.api.agent_seat import AgentSeat, started
from tests.api.link_kit import Agent, running, until
from tests.api.seed import Api, Json, Person
from tests.waiting import DEADLINE_S

FAKE = str(Path(__file__).parents[1] / "agents" / "fake_terminal.py")
"""A coding agent with a screen."""

APP_PORT = 3284
"""The port of the task's app."""


RUN = """
import asyncio, os, sys
from pathlib import Path
from taskyard_agent.bridge.bridge import Bridge, BridgeOrder
from taskyard_agent.bridge.session import Place
from taskyard_agent.bridge.terminal_options import TerminalOptions
from taskyard_agent.protocol import CodingAgent

async def main():
    home, port, transport, *command = sys.argv[1:]
    bridge = Bridge(BridgeOrder(
        home=Path(home),
        url="http://127.0.0.1:" + port,
        place=Place(CodingAgent("custom", transport, command, "ask"), home, dict(os.environ)),
        floor=0,
        ports={},
        log=lambda _level, text: print(text, file=sys.stderr, flush=True),
        on_health=lambda health: print(health, flush=True),
        terminal=TerminalOptions(
            cols=80, rows=60, stable_after_s=0.3, reaction_s=1.0, repeat_s=0.2, echo_s=0.25, quiet_s=0.05
        ),
    ))
    await bridge.open()
    await bridge.run()

asyncio.run(main())
"""
"""A bridge as a process of its own: what serves these tests has another kind of loop than a workspace."""


class _Transcript(msgspec.Struct):
    items: list[Item]


@dataclass
class Bridged:
    """The task, its bridge, and how much of its transcript the server has."""

    api: Api
    seat: AgentSeat
    agent: Agent
    bridge: aiohttp.ClientSession
    pushed: int = 0

    @property
    def path(self) -> str:
        """The task's address."""
        return f"/api/v2/tasks/me/{self.seat.task['id']}"

    async def at_rest(self) -> bool:
        """Whether the coding agent takes a message."""
        await self.push()
        async with self.bridge.get("/status") as answer:
            return bool((await answer.json())["status"] == "stable")

    async def say(self, text: str) -> None:
        """Sends the coding agent a message, past the server."""
        async with self.bridge.post("/message", json={"content": text, "type": "user"}) as answer:
            assert answer.status == 200, await answer.text()

    async def push(self) -> list[Item]:
        """Sends the server what it does not have yet; all items so far."""
        async with self.bridge.get("/v2/transcript") as answer:
            items = msgspec.json.decode(await answer.read(), type=_Transcript).items
        fresh = [SentItem.of(item) for item in items if item.seq > self.pushed]
        if fresh:
            self.pushed = await self.agent.items(*fresh)
        return items

    async def asked(self, text: str = "ask allow_once,reject_once execute") -> Json:
        """What the coding agent asks once it was told to, as the server shows it."""
        await self.say(text)
        await until(self._has_asked)
        [found] = (await self.api.get(f"{self.path}/permissions")).json()["permissions"]
        return found

    async def _has_asked(self) -> bool:
        await self.push()
        got = await self.api.get(f"{self.path}/permissions")
        assert got.status_code == 200, got.text
        return bool(got.json()["permissions"])

    async def fresh(self) -> Json:
        """The task as it is now, once the server has all there is."""
        await self.push()
        return await self.api.fresh(self.seat.task)


@asynccontextmanager
async def bridge(home: Path, transport: str, command: Sequence[str]) -> AsyncIterator[int]:
    """The port of a running bridge whose coding agent is up."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, str(home), str(port), transport, *command),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(DEADLINE_S):
            assert await process.stdout.readline() == b"healthy\n"
        yield port
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def bridged(
    api: Api, home: Path, transport: str = "acp", command: Sequence[str] = PUPPET
) -> AsyncIterator[Bridged]:
    """A task at rest, whose coding agent does as it is told and asks before."""
    template = await api.template(f"shell-{uuid4().hex[:8]}")
    # Nothing is brought to it by the server, which would come between what a test says.
    seat = await started(api, task=await api.task(template, input=" "))
    async with (
        bridge(home, transport, command) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
        running(seat, ports={APP_PORT: port}) as agent,
    ):
        place = Bridged(api, seat, agent, client)
        await until(place.at_rest)
        yield place


@asynccontextmanager
async def typed_to(api: Api, home: Path) -> AsyncIterator[Bridged]:
    """A task whose coding agent has a terminal, says hello and answers the message `go`."""
    path = home / "script.json"
    steps = [
        {"expect": "", "reply": "Hello! I am ready."},
        {"expect": "go", "reply": "All of it is done."},
    ]
    path.write_text(json.dumps({"steps": steps, "paste": True}))
    async with bridged(api, home, "pty", (sys.executable, FAKE, str(path))) as place:
        yield place


@asynccontextmanager
async def attached_to(api: Api, path: str, *, by: Person | None = None) -> AsyncIterator["Seen"]:
    """A caller who is attached, the owner unless told."""
    url = f"ws{api.url.removeprefix('http')}{path}/attach"
    token = (by or api.owner).token
    async with connect(
        url, additional_headers={"Coder-Session-Token": token}, proxy=None, max_size=None
    ) as socket:
        yield Seen(socket)


class Seen:
    """What an attached caller sees: items, the terminal's bytes, and what was refused or ended."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.bytes = b""
        self.items: list[Item] = []

    async def next(self) -> attached.FromServer | bytes:
        """The next message."""
        message = await self._socket.recv()
        if isinstance(message, bytes):
            self.bytes += message
            return message
        found: attached.FromServer = msgspec.json.decode(message, type=attached.FromServer)
        if isinstance(found, attached.AttachedItem):
            self.items.append(msgspec.json.decode(found.item, type=Item))
        return found

    async def send(self, message: attached.FromClient | bytes) -> None:
        """Sends a message; bytes as the text they are."""
        data = message if isinstance(message, bytes) else encode(message)
        await self._socket.send(data.decode())
