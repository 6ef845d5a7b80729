"""Logs that are followed: what a message holds, where to take up again, when to give up. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from taskyard.sdk.calls import Address, Query, Request
from taskyard.sdk.errors import AnswerInvalid
from taskyard.wire.workspace_details import WatchEvent

T = TypeVar("T")

NORMAL_CLOSE: Final = 1000
"""The close code that says: the log is whole."""

TAKE_UP_PAUSES_S: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Pauses before a broken connection is taken up; a server that restarts is back within their sum."""


class Patience:
    """Pauses before a log is taken up again: none when it never began, all of them after each line."""

    def __init__(self, pauses_s: Sequence[float] = TAKE_UP_PAUSES_S) -> None:
        self._pauses_s = pauses_s
        self._left: Iterator[float] = iter(())
        self._began = False

    def began(self) -> None:
        """A connection came about."""
        if not self._began:
            self.went_on()

    def went_on(self) -> None:
        """A message came."""
        self._began = True
        self._left = iter(self._pauses_s)

    def next_s(self) -> float | None:
        """Seconds until the next try; None when there shall be none."""
        return next(self._left, None)


class LineId(msgspec.Struct):
    """The one thing that all log lines have."""

    id: int


class Position(Generic[T]):
    """How far a log was read. A message is one line or, from agents, a list of lines."""

    def __init__(self, wanted: type[T], after: int | None) -> None:
        self._decoder = msgspec.json.Decoder(wanted)
        self._lines = msgspec.json.Decoder(list[msgspec.Raw])
        self._ids = msgspec.json.Decoder(LineId)
        self._after = after

    @property
    def query(self) -> Query:
        """The query that goes on from here."""
        return {"follow": "", "after": self._after}

    def take(self, message: str | bytes, request: Request, url: str) -> Iterator[T]:
        """The new lines of a message; raises AnswerInvalid."""
        raw = message.encode() if isinstance(message, str) else message
        try:
            for line in self._lines.decode(raw) if raw.lstrip()[:1] == b"[" else [raw]:
                line_id = self._ids.decode(line).id
                if self._after is not None and line_id <= self._after:
                    continue
                self._after = line_id
                yield self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise AnswerInvalid(request.operation, url, str(error)) from error


def decoded_event(message: str | bytes, url: str) -> WatchEvent:
    """One message of a watch; raises AnswerInvalid."""
    try:
        return msgspec.json.decode(message, type=WatchEvent)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise AnswerInvalid("watch_workspace_ws", url, str(error)) from error


def socket_url(address: Address, request: Request) -> str:
    """The address of a WebSocket."""
    scheme = "wss" if address.secure else "ws"
    return f"{scheme}://{address.host_header}:{address.port}{request.target}"


def socket_headers(request: Request) -> dict[str, str]:
    """The headers that the library does not set itself."""
    return {k: v for k, v in request.headers.items() if k not in ("User-Agent", "Accept")}
