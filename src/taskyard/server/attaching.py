"""A caller attached to a coding agent: a WebSocket on one side, the workspace's bridge on the other."""

import asyncio
import contextlib

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from taskyard.control.actors import Who
from taskyard.control.attach import (
    Attachment,
    check_reader,
    items_of,
    may_type,
    open_attachment,
)
from taskyard.errors import AgentUnreachable, BodyInvalid, Refused, TaskyardError
from taskyard.server.call import Call, SocketHandler
from taskyard.server.deps import task_param
from taskyard.server.errors import explain
from taskyard.server.following import NORMAL_CLOSE, still_signed_in
from taskyard.wire import attached as wire
from taskyard.wire.base import encode
from taskyard.wire.enums import AuditAction

MAX_MESSAGE_BYTES = 1024 * 1024
"""Largest message of a client; a prompt of that size is a book."""

LAST_WORDS_S = 5.0
"""Seconds that what a caller sent before leaving has to be passed on: a bridge answers keys in milliseconds."""

AWAY = "The workspace is away: it was stopped, or it is coming up again."
"""What is told of a link that is gone."""

_MESSAGES: msgspec.json.Decoder[wire.FromClient] = msgspec.json.Decoder(wire.FromClient)


async def attach_task(call: Call, socket: WebSocket) -> None:
    """Shows what the coding agent does and passes on what the caller sends, until either side ends it.

    What forbids it is answered before the socket is accepted.
    """
    task = task_param(call)
    attachment = await open_attachment(call.services, task)
    await attachment.note(call.actor, AuditAction.ATTACH)
    session = _Session(socket, attachment, still_signed_in(call))
    await socket.accept()
    await session.run(
        wire.Attached(
            transport=attachment.transport,
            agent=attachment.agent,
            may_type=may_type(call.actor, task),
            cols=attachment.size[0],
            rows=attachment.size[1],
        )
    )


class _Session:
    """One attached caller."""

    def __init__(self, socket: WebSocket, attachment: Attachment, who: Who) -> None:
        self._socket = socket
        self._attachment = attachment
        self._who = who

    async def run(self, first: wire.Attached) -> None:
        """Returns when the caller is gone or there is nothing more to show."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._send(first)
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(self._show())
            doing = group.create_task(self._do())
            await asyncio.wait({showing, doing}, return_when=asyncio.FIRST_COMPLETED)
            showing.cancel()
            await asyncio.wait({doing}, timeout=LAST_WORDS_S)
            doing.cancel()

    async def _show(self) -> None:
        # A caller that left is noticed by the reader, or here by whichever send comes first.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            try:
                await self._pass_on()
                ended = wire.AttachEnded(reason="ended", message="The coding agent's output ended.")
            except AgentUnreachable:
                ended = wire.AttachEnded(reason="agent_unreachable", message=AWAY)
            except TaskyardError as error:
                reason, message, _ = explain(error)
                ended = wire.AttachEnded(reason=reason, message=message)
            await self._send(ended)
            await self._socket.close(NORMAL_CLOSE)

    async def _pass_on(self) -> None:
        """Raises TaskyardError when the workspace is gone, or the caller may no longer look."""
        async with self._attachment.output() as output:
            if output.status != 200:
                raise Refused(
                    output.code or "attach_failed",
                    f"The workspace shows nothing: it answered with status {output.status}.",
                )
            if self._attachment.transport is wire.AttachTransport.TERMINAL:
                async for piece in output.pieces():
                    await self._look()
                    await self._socket.send_bytes(piece)
                return
            async for item in items_of(output.pieces()):
                await self._look()
                await self._send(wire.AttachedItem(item=item))

    async def _look(self) -> None:
        check_reader(await self._who(), self._attachment.task)

    async def _do(self) -> None:
        """Returns once the client is gone."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            while (message := await self._socket.receive())["type"] != "websocket.disconnect":
                try:
                    await self._attachment.act(await self._who(), _read(message.get("text")))
                except TaskyardError as error:
                    reason, said, detail = explain(error)
                    await self._send(wire.AttachRefused(reason=reason, message=said, detail=detail))

    async def _send(self, message: wire.FromServer) -> None:
        await self._socket.send_text(encode(message).decode())


def _read(text: str | None) -> wire.FromClient:
    """A client's message; raises BodyInvalid for one that is none."""
    if text is None or len(text) > MAX_MESSAGE_BYTES:
        raise BodyInvalid(f"a message is a JSON text of at most {MAX_MESSAGE_BYTES} characters")
    try:
        return _MESSAGES.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BodyInvalid(f"the message cannot be read: {error}") from error


SOCKETS: dict[str, SocketHandler] = {"attach_task": attach_task}
