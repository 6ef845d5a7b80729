"""A scripted task app behind a real link, as a workspace would have it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import h11
import msgspec

from taskyard_agent.ports import serve_port
from taskyard_agent.stream import Stream
from tests.control.agent_kit import Seat
from tests.link.pair import linked

APP_PORT = 3284
"""The port of the app's URL; the link leads to where the scripted app really listens."""

HANG_UP = 0
"""In place of a status: the app takes the request and hangs up without an answer."""


class _Message(msgspec.Struct):
    content: str
    type: str


@dataclass
class ScriptedApp:
    """An AgentAPI server that answers a message by the next of its answers: a status and a code.

    The last answer stays. got are the messages that it was given, with the prompt's id, whatever it
    answered; statuses are what it says of itself, the last one stays too. after is what each message said of an
    earlier try; fate is what the bridge's record says of any prompt.
    """

    answers: list[tuple[int, str]] = field(default_factory=lambda: [(200, "")])
    statuses: list[str] = field(default_factory=lambda: ["stable"])
    got: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None
    after: list[str] = field(default_factory=list)
    fate: tuple[int, str, bytes] = (404, "unknown", b"{}")

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request."""
        with contextlib.suppress(OSError):
            request, body = await _request(reader)
            status, code, answer = await self._answer(request, body)
            if status != HANG_UP:
                head = f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nConnection: close\r\n"
                head += f"X-Agentapi-Code: {code}\r\n" if code else ""
                writer.write(f"{head}Content-Length: {len(answer)}\r\n\r\n".encode() + answer)
                await writer.drain()
        writer.close()

    async def _answer(self, request: h11.Request, body: bytes) -> tuple[int, str, bytes]:
        if request.target == b"/status":
            self.asked += 1
            word = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
            return 200, "", b'{"status":"%s"}' % word.encode()
        if request.target.startswith(b"/v2/prompts/"):
            return self.fate
        message = msgspec.json.decode(body, type=_Message)
        assert message.type == "user"
        headers = dict(request.headers)
        prompt_id = headers.get(b"x-taskyard-prompt-id", b"").decode()
        self.after.append(headers.get(b"x-taskyard-prompt-after", b"").decode())
        self.got.append((message.content, prompt_id))
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        status, code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return status, code, b'{"ok":true}'


@asynccontextmanager
async def reached(
    seat: Seat, app: ScriptedApp, folder: Path, *, listens: Callable[[], bool] = lambda: True
) -> AsyncIterator[None]:
    """The app behind the seat's link, until the block ends. listens: asked at each connection; nobody is there else."""
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
    moved = {APP_PORT: server.sockets[0].getsockname()[1]}
    links, agent_id = seat.world.services.links, seat.actor.agent_id

    async def accept(stream: Stream) -> None:
        await serve_port(stream, moved if listens() else {APP_PORT: 1})

    try:
        async with linked(folder, accept=partial(accept)) as pair:
            await links.put(agent_id, pair.server)
            try:
                yield
            finally:
                links.drop(agent_id, pair.server)
    finally:
        server.close()
        if app.hold is not None:
            app.hold.set()
        await server.wait_closed()


async def _request(reader: asyncio.StreamReader) -> tuple[h11.Request, bytes]:
    conn, body = h11.Connection(h11.SERVER), b""
    request: h11.Request | None = None
    while True:
        event = conn.next_event()
        match event:
            case h11.NEED_DATA:
                conn.receive_data(await reader.read(65536))
            case h11.Request():
                request = event
            case h11.Data():
                body += bytes(event.data)
            case _:
                assert request is not None
                return request, body
