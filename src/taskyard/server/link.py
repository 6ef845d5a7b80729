"""Where workspace agents connect: one WebSocket each, held as long as it lives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial

import structlog
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from taskyard.control import agents, inbox, prompts, queue, transcript
from taskyard.control.actors import AgentActor
from taskyard.control.services import Services
from taskyard.errors import (
    AgentUnreachable,
    DatabaseAway,
    DatabaseBusy,
    ItemsMissing,
    StaleGeneration,
    WorkspaceBusy,
)
from taskyard.server.call import Call, SocketHandler
from taskyard.wire import link
from taskyard_agent.mux import CallFailed, Handlers, LinkError, LinkLost, Mux, ProtocolError

log = structlog.get_logger()

STALE = "stale_generation"
"""Code of calls from an agent that was replaced; it ends its workspace when it reads it."""

LOOK_S = 5.0
LOOK_SELDOM_S = 60.0
"""Seconds after which the queue is looked at though nothing was heard: while a prompt waits, and while none does. Rings
may be lost, and a prompt that our bridge gave back has no other sign."""

RETRY_S = 2.0
"""Pause before an input is tried again after something unexpected went wrong with it."""


TELLING = frozenset({link.ItemKind.STATE, link.ItemKind.USER_MESSAGE})
"""Items after which a queued prompt may be due."""


class Session:
    """One agent's connection: its calls, and the courier that brings it the task's input."""

    def __init__(
        self, services: Services, actor: AgentActor, hold: Callable[[], Awaitable[None]]
    ) -> None:
        """Calls `hold` once the agent has said hello: by this connection it is reached from then on."""
        self._hold = hold
        self._services = services
        self._actor = actor
        self._changed = asyncio.Event()
        self._waits = False

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
        """Delivers the task's input, and what is queued, whenever something changed that may allow it."""
        async with self._services.doorbell.on(inbox.INBOX, self._rung):
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S if self._waits else LOOK_SELDOM_S):
                        await self._changed.wait()
                self._changed.clear()
                try:
                    await prompts.deliver_input(self._services, self._actor)
                    self._waits = await queue.deliver_queue(self._services, self._actor)
                except AgentUnreachable:
                    return
                except Exception as error:
                    log.exception(
                        "input.not_delivered", agent_id=self._actor.agent_id, exc_info=error
                    )
                    await asyncio.sleep(RETRY_S)
                    self._changed.set()

    def _rung(self, task_id: str) -> None:
        if task_id in ("", str(self._actor.task_id)):
            self._changed.set()

    @contextlib.asynccontextmanager
    async def _turn(self, size_bytes: int = 0) -> AsyncIterator[None]:
        """A turn at the database, as its workspace may have; what goes wrong is the answer to the call."""
        with _refusing_stale():
            async with self._services.throttle.turn(self._actor.workspace_id, size_bytes):
                yield

    async def _hello(self, hello: link.Hello) -> link.Welcome:
        if hello.protocol != link.PROTOCOL:
            now = self._services.now()
            sentence = await agents.refused(self._services, self._actor, hello, now)
            raise CallFailed(link.PROTOCOL_MISMATCH, sentence)
        # Held before the welcome is written: see agents.disconnected. A connection that cannot even say
        # hello takes the place of none.
        await self._hold()
        now = self._services.now()
        async with self._turn():
            welcome = await agents.welcome(self._services, self._actor, hello.agent_version, now)
        self._changed.set()
        return welcome

    async def _heartbeat(self, _: link.Nothing) -> link.Nothing:
        async with self._turn():
            await agents.heard(self._services, self._actor, self._services.now())
        return link.Nothing()

    async def _lifecycle(self, report: link.LifecycleReport) -> link.Nothing:
        async with self._turn():
            await agents.report_lifecycle(self._services, self._actor, report, self._services.now())
        self._changed.set()
        return link.Nothing()

    async def _app_health(self, report: link.AppHealthReport) -> link.Nothing:
        async with self._turn():
            await agents.report_app_health(self._services, self._actor, report)
        self._changed.set()
        return link.Nothing()

    async def _logs(self, lines: link.LogLines) -> link.Nothing:
        async with self._turn(sum(len(line.text) for line in lines.lines)):
            await agents.append_logs(self._services, self._actor, lines, self._services.now())
        return link.Nothing()

    async def _items(self, items: link.Items) -> link.ItemsStored:
        async with self._turn(sum(len(item.data) for item in items.items)):
            acked = await transcript.store_items(
                self._services, self._actor, items.items, self._services.now()
            )
        if self._waits and any(item.kind in TELLING for item in items.items):
            self._changed.set()
        return link.ItemsStored(acked)


async def agent_link(call: Call, socket: WebSocket) -> None:
    """Serves one agent until either side hangs up."""
    try:
        with call.services.throttle.link(call.agent.workspace_id):
            await _held_link(call, socket)
    except WorkspaceBusy:
        log.warning("link.too_many", agent_id=str(call.agent.agent_id))
        await socket.close()


async def _held_link(call: Call, socket: WebSocket) -> None:
    await socket.accept()
    try:
        async with asyncio.TaskGroup() as group:
            await _serve(call, socket, group)
    except* (DatabaseAway, DatabaseBusy) as errors:
        cause = repr(errors.exceptions[0])
        log.warning("link.no_database", agent_id=str(call.agent.agent_id), cause=cause)
    except* Exception as errors:  # the edge of one link: the agent dials again
        log.warning("link.failed", agent_id=str(call.agent.agent_id), exc_info=errors)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await socket.close()


async def _serve(call: Call, socket: WebSocket, group: asyncio.TaskGroup) -> None:
    """Returns when the link is over, which is then noted."""
    services, agent = call.services, call.agent

    async def hold() -> None:
        await services.links.put(agent.agent_id, mux, feeding.cancel)

    session = Session(services, agent, hold)
    mux = Mux(partial(_send, socket), group, session.handlers())
    feeding = group.create_task(_feed(socket, mux, services.settings.agent_lease_s))
    courier = group.create_task(session.courier())
    try:
        await asyncio.wait([feeding])
    finally:
        feeding.cancel()
        courier.cancel()
        mux.end("the agent hung up")
        if services.links.drop(agent.agent_id, mux):
            await agents.disconnected(services, agent, services.now())


async def _send(socket: WebSocket, frame: bytes) -> None:
    try:
        await socket.send_bytes(frame)
    except (WebSocketDisconnect, RuntimeError) as error:
        raise LinkLost("the agent is gone") from error


async def _feed(socket: WebSocket, mux: Mux, silence_s: float) -> None:
    """Returns when the agent hung up, broke the rules, or said nothing for as long as its lease."""
    clock = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(silence_s) as silence:
            while (message := await socket.receive())["type"] != "websocket.disconnect":
                await mux.feed(_frame(message))
                silence.reschedule(clock() + silence_s)
    except TimeoutError:
        log.warning("link.silent", silence_s=silence_s)
    except ProtocolError as error:
        log.warning("link.protocol_error", cause=str(error))
    except LinkError:
        return


def _frame(message: Message) -> bytes:
    """The bytes of a message; raises ProtocolError for a text."""
    frame: bytes | None = message.get("bytes")
    if frame is None:
        raise ProtocolError("the agent sent a text message; frames are binary")
    return frame


@contextlib.contextmanager
def _refusing_stale() -> Iterator[None]:
    """What the agent did wrong becomes the answer to its call."""
    try:
        yield
    except WorkspaceBusy as error:
        raise CallFailed("workspace_busy", str(error)) from error
    except StaleGeneration as error:
        raise CallFailed(STALE, "a newer generation of this workspace is running") from error
    except ItemsMissing as error:
        raise CallFailed("items_missing", str(error)) from error
    except ValueError as error:
        raise CallFailed("bad_params", str(error)) from error


SOCKETS: dict[str, SocketHandler] = {"agent_link": agent_link}
