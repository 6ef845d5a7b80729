"""A caller in a shell of a workspace: a WebSocket on one side, a stream to the workspace's agent on the other."""

import asyncio
import contextlib
from uuid import UUID, uuid4

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from taskyard.control.actors import Who
from taskyard.control.terminal import Shell, may_enter, open_shell
from taskyard.errors import BodyInvalid, NotFound, RequestRefused, TaskyardError
from taskyard.server.call import Call, SocketHandler
from taskyard.server.deps import task_param
from taskyard.server.errors import explain
from taskyard.server.following import NORMAL_CLOSE, still_signed_in
from taskyard.wire import link
from taskyard.wire import terminal as wire
from taskyard.wire.base import encode
from taskyard_agent.mux import LinkError, LinkLost

MAX_TYPED_BYTES = 64 * 1024
"""Most that is typed at once: a pasted page. What is longer belongs into a file."""

AWAY = "The workspace is away: it was stopped, or it is coming up again."
"""What is told of a link that is gone."""

_RESIZE: msgspec.json.Decoder[wire.FromClient] = msgspec.json.Decoder(wire.FromClient)


async def open_terminal(call: Call, socket: WebSocket) -> None:
    """Carries bytes between a caller and a shell until either side ends it; what forbids it is answered before."""
    task = task_param(call)
    shell = await open_shell(call.services, call.actor, task, _order(call))
    async with shell.stream:
        await socket.accept()
        await _Session(socket, shell, still_signed_in(call)).run()


def _order(call: Call) -> link.ShellOpen:
    """The shell that the query asks for. Raises QueryInvalid, RequestRefused."""
    query = call.query(wire.TerminalQuery)
    try:
        shell_id = UUID(query.id) if query.id else uuid4()
    except ValueError as error:
        raise RequestRefused(
            "invalid_id", "A shell has a UUID for an id.", "Leave it out for a new shell."
        ) from error
    command = ["bash", "-lc", query.command] if query.command else []
    return link.ShellOpen(shell_id, query.cols, query.rows, command)


class _Session:
    """One caller in a shell."""

    def __init__(self, socket: WebSocket, shell: Shell, who: Who) -> None:
        self._socket = socket
        self._shell = shell
        self._who = who

    async def run(self) -> None:
        """Returns when the caller is gone or the shell is."""
        opened = wire.TerminalOpened(id=self._shell.id, fresh=self._shell.fresh)
        async with asyncio.TaskGroup() as group:
            showing = group.create_task(self._show(opened))
            typing = group.create_task(self._type())
            await asyncio.wait({showing, typing}, return_when=asyncio.FIRST_COMPLETED)
            showing.cancel()
            typing.cancel()

    async def _show(self, opened: wire.TerminalOpened) -> None:
        # A caller that left is noticed by the reader, or here by whichever send comes first.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            try:
                await self._send(opened)
                while data := await self._shell.stream.read():
                    await self._check()
                    await self._socket.send_bytes(data)
                ended = wire.TerminalEnded(reason="ended", message="The shell ended.")
            except LinkLost:
                ended = wire.TerminalEnded(reason="agent_unreachable", message=AWAY)
            except LinkError as error:
                ended = wire.TerminalEnded(reason="shell_broke_off", message=str(error))
            except TaskyardError as error:
                ended = _told(error)
            await self._end(ended)

    async def _type(self) -> None:
        """Returns once the client is gone, or may not go on."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, LinkError):
            try:
                while (message := await self._socket.receive())["type"] != "websocket.disconnect":
                    await self._check()
                    await self._pass_on(message.get("bytes"), message.get("text"))
            except TaskyardError as error:
                await self._end(_told(error))

    async def _pass_on(self, data: bytes | None, text: str | None) -> None:
        """Raises BodyInvalid, RequestRefused, AppRefused, LinkError."""
        if text is not None:
            try:
                size = _RESIZE.decode(text)
            except (msgspec.MsgspecError, ValueError, RecursionError) as error:
                raise BodyInvalid(f"the message cannot be read: {error}") from error
            await self._shell.resize(size.cols, size.rows)
        elif data:
            if len(data) > MAX_TYPED_BYTES:
                raise BodyInvalid(f"more than {MAX_TYPED_BYTES} bytes cannot be typed at once")
            await self._shell.stream.write(data)

    async def _check(self) -> None:
        """Raises NotFound when a right was taken away meanwhile, Unauthenticated, UserSuspended."""
        if not may_enter(await self._who(), self._shell.task):
            raise NotFound

    async def _send(self, message: wire.FromServer) -> None:
        await self._socket.send_text(encode(message).decode())

    async def _end(self, ended: wire.TerminalEnded) -> None:
        await self._send(ended)
        await self._socket.close(NORMAL_CLOSE)


def _told(error: TaskyardError) -> wire.TerminalEnded:
    reason, message, detail = explain(error)
    return wire.TerminalEnded(reason=reason, message=f"{message} {detail}".rstrip())


SOCKETS: dict[str, SocketHandler] = {"open_terminal": open_terminal}
