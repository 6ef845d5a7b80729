"""Which name a client asks for when it begins TLS: its ClientHello, read as it comes, piece by piece.

Only what decides is read; everything is bounded. What cannot be read is refused by whoever asks: a
server might read it after all. Source of the shapes: RFC 8446 4.1.2 and 5.1, RFC 6066 3.
"""

from dataclasses import dataclass
from enum import Enum, auto

MAX_HELLO_BYTES = 16 * 1024
"""Most bytes of a ClientHello: with keys that withstand quantum computers it has two thousand, tickets add some."""

RECORD_HEAD = 5
MAX_RECORD = 1 << 14
"""Bytes of a record's head, and the most that follow it in clear."""

MAJOR_VERSION = 3
"""First byte of the version in records since SSL 3."""

HANDSHAKE = 22
CHANGE_CIPHER_SPEC = 20
ALERT = 21
APPLICATION_DATA = 23
"""Kinds of records."""

CLIENT_HELLO = 1
"""The kind of message that a client begins with."""

CERTIFICATE = 11
CLIENT_KEY_EXCHANGE = 16
"""Kinds of messages with which a client of TLS 1.2 goes on once the server has chosen."""

_SERVER_NAME = 0
_EARLY_DATA = 42
_HOST_NAME = 0
_HELLO_HEAD = 4
_LONGEST_SESSION = 32


class Unreadable(Exception):
    """These bytes begin like TLS and go on otherwise, or with more than is taken."""


class Kind(Enum):
    """What somebody who connects says first."""

    UNKNOWN_YET = auto()
    TLS = auto()
    OLD_TLS = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Hello:
    """A ClientHello. name: of the server that is asked for, null when none is; size: bytes with all record heads.

    has_early_data: more may follow at once, before another hello that the server may ask for.
    """

    name: str | None
    has_early_data: bool
    size: int


def kind_of(first: bytes | bytearray) -> Kind:
    """What the first bytes of a connection begin: TLS, its form of before SSL 3 that some servers take still, or neither."""
    if not first:
        return Kind.UNKNOWN_YET
    if first[0] == HANDSHAKE:
        return Kind.TLS  # whatever version it says: there are servers that do not look at it
    if first[0] & 0x80:
        if len(first) < _HELLO_HEAD:
            return Kind.UNKNOWN_YET
        return Kind.OLD_TLS if first[2] == CLIENT_HELLO and first[3] in (0, 3) else Kind.OTHER
    return Kind.OTHER


class HelloReader:
    """A ClientHello that comes piece by piece; each byte is looked at once, however small the pieces are."""

    def __init__(self) -> None:
        self._message = bytearray()
        self._size = 0

    def read(self, data: bytes | bytearray) -> Hello | None:
        """The ClientHello with which these bytes begin, None while it is unfinished; raises Unreadable.

        data: all that came, with what was given before.
        """
        while not self._is_whole():
            piece = _record(data, self._size)
            if piece is None:
                return None
            self._message += piece
            self._size += RECORD_HEAD + len(piece)
        return _read(bytes(self._message[_HELLO_HEAD : _length(self._message)]), self._size)

    def _is_whole(self) -> bool:
        return len(self._message) >= _HELLO_HEAD and len(self._message) >= _length(self._message)


def _length(message: bytearray) -> int:
    """Bytes of a handshake message, its head included."""
    if message[0] != CLIENT_HELLO:
        raise Unreadable
    length = _HELLO_HEAD + int.from_bytes(message[1:_HELLO_HEAD], "big")
    if length > MAX_HELLO_BYTES:
        raise Unreadable
    return length


def _record(data: bytes | bytearray, at: int) -> bytes | None:
    """What the record at this place carries; None while it is unfinished."""
    if at > 2 * MAX_HELLO_BYTES:
        raise Unreadable  # a message in crumbs
    head = data[at : at + RECORD_HEAD]
    if head and head[0] != HANDSHAKE:
        raise Unreadable
    if len(head) > 1 and head[1] != MAJOR_VERSION:
        raise Unreadable
    if len(head) < RECORD_HEAD:
        return None
    length = int.from_bytes(head[3:], "big")
    if not 0 < length <= MAX_RECORD:
        raise Unreadable
    piece = data[at + RECORD_HEAD : at + RECORD_HEAD + length]
    return None if len(piece) < length else bytes(piece)


class _Bytes:
    """A message that is read from its front. Raises Unreadable where it ends too early."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def is_over(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: int) -> bytes:
        piece = self._data[self._at : self._at + count]
        if len(piece) < count:
            raise Unreadable
        self._at += count
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """What follows a length of so many bytes."""
        return self.take(self.number(size))


def _read(body: bytes, size: int) -> Hello:
    rest = _Bytes(body)
    rest.take(2 + 32)  # version and random
    session, suites, compressions = rest.vector(1), rest.vector(2), rest.vector(1)
    if len(session) > _LONGEST_SESSION or not suites or len(suites) % 2 or not compressions:
        raise Unreadable
    if rest.is_over():
        return Hello(None, has_early_data=False, size=size)
    extensions = _extensions(_Bytes(rest.vector(2)))
    if not rest.is_over():
        raise Unreadable
    named = extensions.get(_SERVER_NAME)
    name = None if named is None else _name(named)
    return Hello(name, has_early_data=_EARLY_DATA in extensions, size=size)


def _extensions(rest: _Bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while not rest.is_over():
        kind = rest.number(2)
        if kind in found:
            raise Unreadable  # who reads the first one and who the last would differ
        found[kind] = rest.vector(2)
    return found


def _name(extension: bytes) -> str:
    outer = _Bytes(extension)
    names = _Bytes(outer.vector(2))
    kind, name = names.number(1), names.vector(2)
    if kind != _HOST_NAME or not name or not names.is_over() or not outer.is_over():
        raise Unreadable
    try:
        return name.decode("ascii").lower().removesuffix(".")
    except UnicodeDecodeError as error:
        raise Unreadable from error
