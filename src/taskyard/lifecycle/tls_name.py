"""Whether a tunnel to a name is used for that name: TLS that begins in it has to ask for the same one.

What is not TLS is nobody's business here. A client may say hello twice, when the server asks it to; the
second one is held to the same, as servers differ in which of them they believe. So all is watched until
something comes that no server takes while it still waits for a hello.
"""

from enum import Enum, auto
from typing import assert_never

from taskyard.lifecycle.client_hello import (
    ALERT,
    APPLICATION_DATA,
    CERTIFICATE,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
    CLIENT_KEY_EXCHANGE,
    HANDSHAKE,
    RECORD_HEAD,
    Hello,
    HelloReader,
    Kind,
    Unreadable,
    kind_of,
)
from taskyard.lifecycle.egress import Reason

EARLY_BYTES = 64 * 1024
"""Bytes that may come early, before a second hello: servers take sixteen thousand."""

MAX_HELLOS = 2
"""A server may ask for another hello once."""

MAX_BETWEEN = 32
"""Records that mean nothing, changes of cipher and alerts, around hellos: programs send one, servers give up at 32."""


class _Stage(Enum):
    FIRST = auto()
    HELLO = auto()
    RECORDS = auto()
    OVER = auto()


class NameWatch:
    """What a client says first, through which take() goes. problem: why it may not go on, null as long as it may."""

    def __init__(self, name: str) -> None:
        self.problem: Reason | None = None
        self._name = name
        self._held = bytearray()
        self._stage = _Stage.FIRST
        self._reader = HelloReader()
        self._hellos = 0
        self._skip = 0
        self._early = 0
        self._between = 0
        self._has_changed = False

    @property
    def is_over(self) -> bool:
        """Nothing more is to be seen: all that comes may go on, or nothing."""
        return self._stage is _Stage.OVER or self.problem is not None

    @property
    def waits(self) -> bool:
        """Whether something is held up until more comes."""
        return bool(self._held)

    def take(self, data: bytes) -> bytes:
        """What may go on of all that came."""
        self._held += data
        passed = bytearray()
        while not self.is_over and (count := self._step()) is not None:
            passed += self._held[:count]
            del self._held[:count]
        if self._stage is _Stage.OVER:
            passed += self._held
            self._held.clear()
        return b"" if self.problem is not None else bytes(passed)

    def late(self) -> None:
        """What is held up does not go on any more: the rest of it did not come in time."""
        if self._held:
            self.problem = Reason.HELLO_UNREADABLE
            self._held.clear()

    def end(self) -> bytes:
        """What goes on where the client sends no more; a hello that was begun does not."""
        if self._stage is _Stage.HELLO:
            self.problem = Reason.HELLO_UNREADABLE
        held = b"" if self.problem is not None else bytes(self._held)
        self._held.clear()
        self._stage = _Stage.OVER
        return held

    def _step(self) -> int | None:
        """How many of the held bytes may go on; None until more comes."""
        match self._stage:
            case _Stage.FIRST:
                return self._first()
            case _Stage.HELLO:
                return self._hello()
            case _Stage.RECORDS:
                return self._record()
            case _Stage.OVER:
                return None
        assert_never(self._stage)

    def _first(self) -> int | None:
        match kind_of(self._held[:RECORD_HEAD]):
            case Kind.UNKNOWN_YET:
                return None
            case Kind.TLS:
                self._stage = _Stage.HELLO
            case Kind.OLD_TLS:
                self.problem = Reason.SNI_MISSING
            case Kind.OTHER:
                self._stage = _Stage.OVER
        return 0

    def _hello(self) -> int | None:
        try:
            hello = self._reader.read(self._held)
        except Unreadable:
            self.problem = Reason.HELLO_UNREADABLE
            return 0
        if hello is None:
            return None
        self.problem = self._judged(hello)
        self._hellos += 1
        self._early = EARLY_BYTES if hello.has_early_data else 0
        self._stage = _Stage.RECORDS
        return hello.size

    def _judged(self, hello: Hello) -> Reason | None:
        if hello.name is None:
            return Reason.SNI_MISSING
        return None if hello.name == self._name else Reason.SNI_DIFFERS

    def _record(self) -> int | None:
        """Passes records that do not tell, until one does."""
        if self._skip:
            count = min(self._skip, len(self._held))
            self._skip -= count
            return count or None
        if len(self._held) < RECORD_HEAD:
            return None
        size = int.from_bytes(self._held[3:RECORD_HEAD], "big")
        if not size:
            return self._unreadable()  # there are servers that look past an empty record
        kind = self._held[0]
        if kind == HANDSHAKE:
            return self._handshake()
        if kind in (CHANGE_CIPHER_SPEC, ALERT):
            return self._meaningless(size, is_change=kind == CHANGE_CIPHER_SPEC)
        return self._data(size) if kind == APPLICATION_DATA else self._unreadable()

    def _handshake(self) -> int | None:
        if len(self._held) <= RECORD_HEAD:
            return None
        kind = self._held[RECORD_HEAD]
        if kind == CLIENT_HELLO:
            if self._hellos == MAX_HELLOS:
                return self._unreadable()
            self._reader, self._stage = HelloReader(), _Stage.HELLO
        elif self._has_changed or kind in (CERTIFICATE, CLIENT_KEY_EXCHANGE):
            self._stage = _Stage.OVER
        else:
            return self._unreadable()
        return 0

    def _meaningless(self, size: int, *, is_change: bool) -> int:
        """A server may go on waiting for a hello after these: after an alert that only warns as well."""
        self._between += 1
        if self._between > MAX_BETWEEN:
            return self._unreadable()
        self._has_changed = self._has_changed or is_change
        self._skip = size
        return RECORD_HEAD

    def _data(self, size: int) -> int:
        """Data that comes early may be dropped by a server which asks for another hello; else it has keys."""
        if self._early <= 0:
            self._stage = _Stage.OVER
            return 0
        self._early -= size
        self._skip = size
        return RECORD_HEAD

    def _unreadable(self) -> int:
        self.problem = Reason.HELLO_UNREADABLE
        return 0
