"""A scripted agent: dials the server like a real one, reports what the script says, answers as its task app."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import h11
import msgspec
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from taskyard.drivers.echo.script import AgentApi, AgentScript, AgentStep, Message
from taskyard.drivers.echo.waiting import pause
from taskyard_agent.link import LinkTarget
from taskyard_agent.mux import Handlers, LinkError, LinkLost, Mux, Stream
from taskyard_agent.protocol import (
    PROTOCOL,
    AppHealthReport,
    Hello,
    LifecycleReport,
    LogLine,
    LogLines,
    Nothing,
    Welcome,
)

AGENT_VERSION = "echo"
"""What a scripted agent calls itself."""

REDIAL_S = 0.05
"""Seconds between tries to reach the server: it answers as soon as the build is recorded."""


class ScriptedAgent:
    """The agent of one generation of an echo workspace; its folder keeps the conversation."""

    def __init__(self, folder: Path, script: AgentScript, link_url: str, token: str) -> None:
        self._folder = folder
        self._script = script
        self._target = LinkTarget(link_url, token)
        self._todo = _steps(script)

    async def run(self) -> None:
        """Plays the script to its `exit` and returns; without one it lives until cancelled."""
        while True:
            try:
                async with self._target.dial() as websocket:
                    if await self._converse(websocket):
                        return
            except (OSError, TimeoutError, InvalidHandshake, LinkError, ConnectionClosed):
                pass  # the server is away, or does not know this generation yet
            await asyncio.sleep(REDIAL_S)

    async def _converse(self, websocket: ClientConnection) -> bool:
        """One connection; True once the script said exit."""

        async def send(frame: bytes) -> None:
            try:
                await websocket.send(frame)
            except ConnectionClosed as error:
                raise LinkLost("the server closed the link") from error

        ended = False
        try:
            async with asyncio.TaskGroup() as group:
                mux = Mux(send, group, Handlers(), accept=self._accept)
                try:
                    receiving = group.create_task(_receive(websocket, mux))
                    hello = Hello(protocol=PROTOCOL, agent_version=AGENT_VERSION)
                    welcome = await mux.call("hello", hello, Welcome)
                    beating = group.create_task(_beat(mux, welcome.heartbeat_s))
                    ended = await self._play(mux)
                    if not ended:
                        await receiving
                    beating.cancel()
                    receiving.cancel()
                finally:
                    mux.end("the scripted agent hung up")
        except* (LinkError, OSError):
            pass  # run dials again
        return ended

    async def _play(self, mux: Mux) -> bool:
        """Reports what is left of the script; True once it said exit. A lost link repeats a step."""
        while self._todo:
            step = self._todo[0]
            await pause(step.sleep_s, step.wait_for)
            if step.lifecycle is not None:
                report = LifecycleReport(state=step.lifecycle, at=datetime.now(UTC))
                await mux.call("lifecycle", report, Nothing)
            for slug, health in step.apps.items():
                await mux.call("app_health", AppHealthReport(slug=slug, health=health), Nothing)
            if step.log is not None:
                line = LogLine(at=datetime.now(UTC), level="info", text=step.log)
                await mux.call("logs", LogLines(source="agent", lines=[line]), Nothing)
            if step.exit:
                return True
            self._todo.pop(0)
        return False

    async def _accept(self, stream: Stream) -> None:
        """Serves the scripted task app on whatever port the server asks for."""
        if self._script.agentapi is None:
            await stream.close(f"nothing listens on port {stream.port}")
            return
        await stream.accept()
        with suppress(LinkError, h11.ProtocolError):  # the server hung up, or speaks no HTTP
            await _serve(stream, Conversation(self._folder, self._script.agentapi))
        await stream.close()


class Conversation:
    """The scripted task app: a conversation that is kept in the workspace's folder."""

    def __init__(self, folder: Path, script: AgentApi) -> None:
        self._file = folder / "messages.json"
        self._script = script

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, object]:
        """Status and JSON of an answer."""
        name = path.rstrip("/").rpartition("/")[2]
        if name in self._script.fail:
            return self._script.fail[name], {"detail": "the script says so"}
        match method, name:
            case "GET", "status":
                api = self._script
                return 200, {"status": api.status, "agent_type": api.agent_type, "transport": "acp"}
            case "GET", "messages":
                return 200, {"messages": self._messages()}
            case "POST", "message":
                self._say(msgspec.json.decode(body, type=dict[str, str]).get("content", ""))
                return 200, {"ok": True}
        return 404, {"detail": "the scripted app has no such route"}

    def _messages(self) -> list[Message]:
        if not self._file.exists():
            return []
        return msgspec.json.decode(self._file.read_bytes(), type=list[Message])

    def _say(self, content: str) -> None:
        messages = self._messages()
        replies = self._script.replies
        reply = replies[len(messages) // 2 % len(replies)] if replies else content
        time = datetime.now(UTC).isoformat()
        messages.append(Message(len(messages), content, "user", time))
        messages.append(Message(len(messages), reply, "agent", time))
        self._file.write_bytes(msgspec.json.encode(messages))


def _steps(script: AgentScript) -> list[AgentStep]:
    """The whole script as steps."""
    first = [AgentStep(lifecycle=state) for state in script.lifecycle]
    return [*first, AgentStep(apps=script.apps), *script.steps]


async def _receive(websocket: ClientConnection, mux: Mux) -> None:
    try:
        async for frame in websocket:
            if isinstance(frame, bytes):
                await mux.feed(frame)
    except ConnectionClosed as error:
        raise LinkLost("the server closed the link") from error
    raise LinkLost("the server closed the link")


async def _beat(mux: Mux, heartbeat_s: float) -> None:
    while True:
        await asyncio.sleep(heartbeat_s)
        await mux.call("heartbeat", Nothing(), Nothing)


async def _serve(stream: Stream, app: Conversation) -> None:
    """HTTP/1.1 on a stream, one request after another, until the other side ends."""
    http = h11.Connection(h11.SERVER)
    while http.our_state is not h11.CLOSED:
        request, body = await _request(stream, http)
        if request is None:
            return
        status, answer = app.answer(request.method.decode(), request.target.decode(), body)
        content = msgspec.json.encode(answer)
        headers: Mapping[str, str] = {
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
        }
        head = h11.Response(status_code=status, headers=list(headers.items()))
        for event in (head, h11.Data(data=content), h11.EndOfMessage()):
            await stream.write(http.send(event) or b"")
        if http.our_state is h11.MUST_CLOSE:
            return
        http.start_next_cycle()


async def _request(stream: Stream, http: h11.Connection) -> tuple[h11.Request | None, bytes]:
    """The next request with its body; None when there is no more."""
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.read())
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:
            return None, b""
