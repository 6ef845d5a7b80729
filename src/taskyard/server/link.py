"""Where workspace agents connect: one WebSocket each, held as long as it lives."""

import asyncio
import contextlib
from collections.abc import Iterator
from functools import partial

import structlog
from starlette.websockets import WebSocket, WebSocketDisconnect

from taskyard.control import agents, prompts, transcript
from taskyard.control.actors import AgentActor
from taskyard.control.services import Services
from taskyard.errors import AgentUnreachable, ItemsMissing, StaleGeneration
from taskyard.server.call import Call, SocketHandler
from taskyard.wire import link
from taskyard_agent.mux import CallFailed, Handlers, LinkError, LinkLost, Mux, ProtocolError

log = structlog.get_logger()

STALE = "stale_generation"
"""Code of calls from an agent that was replaced; it ends its workspace when it reads it."""

RETRY_S = 2.0
"""Pause before an input is tried again after something unexpected went wrong with it."""


class Session:
    """One agent's connection: its calls, and the courier that brings it the task's input."""

    def __init__(self, services: Services, actor: AgentActor) -> None:
        self._services = services
        self._actor = actor
        self._changed = asyncio.Event()

    def handlers(self) -> Handlers:
        """The calls an agent may make."""
        handlers = Handlers()
        handlers.add("hello", link.Hello, self._hello, ordered=True)
        handlers.add("heartbeat", link.Nothing, self._heartbeat, ordered=True)
        handlers.add("lifecycle", link.LifecycleReport, self._lifecycle, ordered=True)
        handlers.add("app_health", link.AppHealthReport, self._app_health, ordered=True)
        handlers.add("logs", link.LogLines, self._logs, ordered=True)
        handlers.add("items", link.Items, self._items, ordered=True)
        return handlers

    async def courier(self) -> None:
        """Delivers the task's input whenever something changed that may allow it."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await prompts.deliver_input(self._services, self._actor)
            except AgentUnreachable:
                return
            except Exception as error:
                log.exception("input.not_delivered", agent_id=self._actor.agent_id, exc_info=error)
                await asyncio.sleep(RETRY_S)
                self._changed.set()

    async def _hello(self, hello: link.Hello) -> link.Welcome:
        if hello.protocol != link.PROTOCOL:
            raise CallFailed(
                link.PROTOCOL_MISMATCH,
                f"the server speaks protocol {link.PROTOCOL}, the agent {hello.protocol}: use one release for both",
            )
        now = self._services.now()
        with _refusing_stale():
            welcome = await agents.welcome(self._services, self._actor, hello.agent_version, now)
        self._changed.set()
        return welcome

    async def _heartbeat(self, _: link.Nothing) -> link.Nothing:
        with _refusing_stale():
            await agents.heard(self._services, self._actor, self._services.now())
        return link.Nothing()

    async def _lifecycle(self, report: link.LifecycleReport) -> link.Nothing:
        with _refusing_stale():
            await agents.report_lifecycle(self._services, self._actor, report, self._services.now())
        self._changed.set()
        return link.Nothing()

    async def _app_health(self, report: link.AppHealthReport) -> link.Nothing:
        with _refusing_stale():
            await agents.report_app_health(self._services, self._actor, report)
        self._changed.set()
        return link.Nothing()

    async def _logs(self, lines: link.LogLines) -> link.Nothing:
        with _refusing_stale():
            await agents.append_logs(self._services, self._actor, lines, self._services.now())
        return link.Nothing()

    async def _items(self, items: link.Items) -> link.ItemsStored:
        with _refusing_stale():
            acked = await transcript.store_items(
                self._services, self._actor, items.items, self._services.now()
            )
        return link.ItemsStored(acked)


async def agent_link(call: Call, socket: WebSocket) -> None:
    """Serves one agent until either side hangs up."""
    await socket.accept()
    session = Session(call.services, call.agent)
    mux: Mux | None = None
    with contextlib.suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as group:
            mux = Mux(partial(_send, socket), group, session.handlers())
            await _hold(call, mux)
            courier = group.create_task(session.courier())
            try:
                await _feed(socket, mux)
            finally:
                mux.end("the agent hung up")
                courier.cancel()
    if mux is not None and call.services.links.drop(call.agent.agent_id, mux):
        await agents.disconnected(call.services, call.agent, call.services.now())
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close()


async def _hold(call: Call, mux: Mux) -> None:
    older = await call.services.links.put(call.agent.agent_id, mux)
    if older is not None:
        older.end("the agent connected again")


async def _send(socket: WebSocket, frame: bytes) -> None:
    try:
        await socket.send_bytes(frame)
    except (WebSocketDisconnect, RuntimeError) as error:
        raise LinkLost("the agent is gone") from error


async def _feed(socket: WebSocket, mux: Mux) -> None:
    try:
        async for frame in socket.iter_bytes():
            await mux.feed(frame)
    except ProtocolError as error:
        log.warning("link.protocol_error", cause=str(error))
    except LinkError:
        return


@contextlib.contextmanager
def _refusing_stale() -> Iterator[None]:
    """What the agent did wrong becomes the answer to its call."""
    try:
        yield
    except StaleGeneration as error:
        raise CallFailed(STALE, "a newer generation of this workspace is running") from error
    except ItemsMissing as error:
        raise CallFailed("items_missing", str(error)) from error
    except ValueError as error:
        raise CallFailed("bad_params", str(error)) from error


SOCKETS: dict[str, SocketHandler] = {"agent_link": agent_link}
