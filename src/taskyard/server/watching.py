"""A workspace as it changes: server-sent events, or messages of a WebSocket."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress

from starlette.websockets import WebSocket

from taskyard.control.workspace_watch import watch_workspace as looks
from taskyard.errors import TaskyardError
from taskyard.server.call import Answer, Call, Handler, SocketHandler
from taskyard.server.following import send_all, still_signed_in
from taskyard.server.places import check_place, place_for
from taskyard.wire.base import encode
from taskyard.wire.workspace_details import WatchEvent, WatchEventType
from taskyard.wire.workspaces import Workspace

UNBUFFERED = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers that ask caches and proxies to pass each event on at once."""


async def watch_workspace(call: Call) -> object:
    """The workspace now and after each change, as events. Source: supporting-api 9 row 65."""
    check_place(call.actor.user_id)
    seen = looks(call.services, still_signed_in(call), call.uuid("workspace"))
    first = await anext(seen)
    return Answer(_stream(call, first, seen), headers=UNBUFFERED, media_type="text/event-stream")


async def watch_workspace_ws(call: Call, socket: WebSocket) -> None:
    """The same as messages. Source: U23."""
    seen = looks(call.services, still_signed_in(call), call.uuid("workspace"))
    await send_all(socket, _batches(seen), lambda batch: batch)


async def _stream(
    call: Call, first: Workspace | None, rest: AsyncIterator[Workspace | None]
) -> AsyncIterator[bytes]:
    """The events as text; ends when the workspace is no more, or can no longer be seen."""
    with suppress(TaskyardError), place_for(call.actor.user_id):
        yield _text(first)
        async with aclosing(_batches(rest)) as batches:
            async for [event] in batches:
                yield _text(event.data or None)


async def _batches(seen: AsyncIterator[Workspace | None]) -> AsyncGenerator[list[WatchEvent], None]:
    async for workspace in seen:
        if workspace is None:
            yield [WatchEvent(type=WatchEventType.PING)]
        else:
            yield [WatchEvent(type=WatchEventType.DATA, data=workspace)]


def _text(workspace: Workspace | None) -> bytes:
    if workspace is None:
        return b"event: ping\n\n"
    return b"event: data\ndata: " + encode(workspace) + b"\n\n"


HANDLERS: dict[str, Handler] = {"watch_workspace": watch_workspace}

SOCKETS: dict[str, SocketHandler] = {"watch_workspace_ws": watch_workspace_ws}
