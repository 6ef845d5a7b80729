"""A task whose workspace has shells, and somebody who looks at one."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from taskyard_agent.link import Link, LinkTarget
from taskyard_agent.mux import Handlers
from taskyard_agent.programs import Surroundings
from taskyard_agent.protocol import ShellOpen, ShellResize, Welcome
from taskyard_agent.pty_shell import Shells
from taskyard_agent.stream import Stream
from tests.api.agent_seat import AgentSeat, started
from tests.api.link_kit import until
from tests.api.seed import Api, Json, Person
from tests.waiting import DEADLINE_S


@dataclass
class Room:
    """A task whose workspace has shells."""

    api: Api
    seat: AgentSeat
    link: Link

    def door(
        self,
        *,
        by: Person | None = None,
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> connect:
        """A WebSocket to a shell, to be opened; headers in place of the token of whoever asks."""
        keys = "&".join(f"{name}={value}" for name, value in query.items())
        url = f"ws{self.api.url.removeprefix('http')}/api/v2/tasks/me/{self.seat.task['id']}/terminal?{keys}"
        if by is not None:
            url = url.replace("/tasks/me/", f"/tasks/{self.api.owner.username}/")
        token = (by or self.api.owner).token
        sent = {"Coder-Session-Token": token} if headers is None else headers
        return connect(url, additional_headers=sent, proxy=None)


@dataclass
class Screen:
    """What somebody in a shell sees."""

    socket: ClientConnection
    text: str = ""
    told: list[Json] = field(default_factory=list)

    async def until(self, pattern: str) -> str:
        """What was shown, once it has this."""
        async with asyncio.timeout(DEADLINE_S):
            while not (found := re.search(pattern, self.text)):
                await self.next()
        return found[0]

    async def next(self) -> None:
        """The next message."""
        message = await self.socket.recv()
        if isinstance(message, bytes):
            self.text += message.decode(errors="replace")
        else:
            self.told.append(json.loads(message))

    async def ended(self) -> Json:
        """The last thing that is told."""
        async with asyncio.timeout(DEADLINE_S):
            while not (self.told and self.told[-1]["type"] == "ended"):
                await self.next()
        return self.told[-1]


@asynccontextmanager
async def room(
    api: Api,
    home: Path,
    *,
    handlers: Handlers | None = None,
    serve: Callable[[Stream, Shells], Coroutine[None, None, None]] | None = None,
) -> AsyncIterator[Room]:
    """A running task, and an agent that has shells and nothing else, or does in place of that what it is told."""
    seat = await started(api, task=await api.task(await api.template(f"s-{uuid4().hex[:8]}")))
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "PS1": "> "}
    welcomes: list[Welcome] = []

    async def connected(welcome: Welcome) -> None:
        welcomes.append(welcome)

    async with asyncio.TaskGroup() as group:
        shells = Shells(group, lambda: Surroundings(str(home), env))
        if handlers is None:
            handlers = Handlers()
            handlers.add("shell_open", ShellOpen, shells.open, ordered=True)
            handlers.add("shell_resize", ShellResize, shells.resize, ordered=True)
        served = shells.serve if serve is None else lambda stream: serve(stream, shells)
        link = Link(LinkTarget(api.url, seat.token), "1", handlers, connected, serve=served)
        group.create_task(link.run())

        async def is_linked() -> bool:
            return bool(welcomes)

        try:
            await until(is_linked)
            yield Room(api, seat, link)
        finally:
            await shells.end()
            await link.close()
