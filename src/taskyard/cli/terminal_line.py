"""The connection of whoever sits at a terminal: what the server says is collected while they type."""

import threading
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec
from websockets.exceptions import ConnectionClosed

from taskyard.cli.failures import Failure
from taskyard.cli.output import plain
from taskyard.cli.terminal import Wake
from taskyard.wire.attached import AttachEnded, AttachRefused
from taskyard.wire.base import encode
from taskyard.wire.terminal import TerminalEnded

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

WAITING: Final = 64
"""Messages that wait for the terminal; behind them the server is held up, and what it shows with it."""

RESTART_CLOSE: Final = 1012
"""WebSocket close code of a server that stops."""

LOST: Final = "lost"
"""The reason of an end that nobody told: what was shown may go on."""

First = TypeVar("First")
Told = TypeVar("Told")
End = TypeVar("End", bound=AttachEnded | TerminalEnded)


class Line(Generic[Told, End]):
    """What comes is collected by a thread, which rings for it; the last of it is an End."""

    def __init__(
        self,
        connection: "ClientConnection",
        wake: Wake,
        *,
        told: msgspec.json.Decoder[Told],
        end: type[End],
        restarts: str,
    ) -> None:
        """told: reads what the server says in text. restarts: what to do when it restarts, in a sentence."""
        self._connection = connection
        self._wake = wake
        self._told = told
        self._end = end
        self._restarts = restarts
        self._came: Queue[Told | End | bytes] = Queue(WAITING)

    def first(self, kind: type[First]) -> First:
        """What the server says first, of that kind; what follows is collected from then on. Raises Failure."""
        message = self._next()
        if isinstance(message, AttachEnded | AttachRefused | TerminalEnded):
            raise Failure(plain(message.message))
        if not isinstance(message, kind):
            raise Failure("the server did not say what this terminal shows.")
        threading.Thread(target=self._receive, daemon=True).start()
        return message

    def take(self) -> Told | End | bytes | None:
        """The next thing that came; None when there is none yet."""
        with suppress(Empty):
            return self._came.get_nowait()
        return None

    def send(self, message: bytes | msgspec.Struct) -> None:
        """Sends bytes as they are, all else as JSON, unless the connection is gone, which will be told."""
        with suppress(ConnectionClosed):
            if isinstance(message, bytes):
                self._connection.send(message)
            else:
                self._connection.send(encode(message).decode())

    def _receive(self) -> None:
        while True:
            message = self._next()
            self._came.put(message)
            self._wake.ring()
            if isinstance(message, self._end):
                return

    def _next(self) -> Told | End | bytes:
        try:
            message = self._connection.recv()
        except ConnectionClosed as error:
            is_restart = error.rcvd is not None and error.rcvd.code == RESTART_CLOSE
            why = self._restarts if is_restart else "The connection to the server is gone."
            return self._end(reason=LOST, message=why)
        if isinstance(message, bytes):
            return message
        try:
            return self._told.decode(message)
        except (msgspec.MsgspecError, ValueError):
            return self._end(reason="unknown", message="The server said what is not understood.")
