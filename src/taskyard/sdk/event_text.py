"""Streams of events that are followed: what their text says, where to take up again, when to give up. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final, Generic, TypeVar

import msgspec

from taskyard.sdk.errors import AnswerInvalid, ApiError
from taskyard.sdk.following import Patience

T = TypeVar("T")

SILENCE_S: Final = 45.0
"""Seconds without a byte until a stream counts as lost: a server says every fifteen that it is there."""

AGAIN_S: Final = (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, *(5.0,) * 12)
"""Pauses before a stream is taken up again: over a minute in all, for a server that is upgraded meanwhile."""

PASSING: Final = frozenset({429, 502, 503, 504})
"""Statuses of refusals that may be over in a moment; any other is the answer."""


class Followed(msgspec.Struct, Generic[T], frozen=True):
    """Something that a stream told. id is where to go on behind it, on whatever server."""

    id: str
    news: T


class EventText(Generic[T]):
    """Reads the text of a stream, piece by piece; last_id is that of the last event that came whole."""

    def __init__(self, kinds: Mapping[str, type[T]], last_id: str = "") -> None:
        self.last_id = last_id
        self._kinds = kinds
        self._text = bytearray()

    def restart(self) -> None:
        """A new connection: what came of an event over the last one comes again."""
        self._text.clear()

    def take(self, piece: bytes, operation: str, url: str) -> Iterator[Followed[T]]:
        """The events that are whole now; those of kinds that this client does not know are passed over.

        Raises AnswerInvalid.
        """
        self._text += piece.replace(b"\r\n", b"\n")
        *blocks, rest = bytes(self._text).split(b"\n\n")
        self._text = bytearray(rest)
        for block in blocks:
            fields = [line.partition(b": ") for line in block.split(b"\n")]
            found = {name: value for name, _, value in fields if name}
            self.last_id = found.get(b"id", self.last_id.encode()).decode()
            kind = self._kinds.get(found.get(b"event", b"").decode())
            if kind is None:
                continue
            try:
                news = msgspec.json.decode(found.get(b"data", b""), type=kind)
            except msgspec.DecodeError as error:
                raise AnswerInvalid(operation, url, str(error)) from error
            yield Followed(self.last_id, news)


def patience() -> Patience:
    """How often a stream is taken up again."""
    return Patience(AGAIN_S)


def is_passing(error: Exception) -> bool:
    """Whether another try may go better."""
    return not isinstance(error, ApiError) or error.status in PASSING
