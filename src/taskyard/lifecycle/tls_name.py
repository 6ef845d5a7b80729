"""Whether a tunnel to a name is used for that name: TLS that begins in it has to ask for the same one.

What is not TLS is nobody's business here. A client may say hello twice, when the server asks it to; the
second one is held to the same, as servers differ in which of them they believe.
"""

from enum import Enum, auto
from typing import assert_never

from taskyard.lifecycle.client_hello import (
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    CLIENT_HELLO,
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

    def end(self) -> bytes:
        """What goes on where no more comes; a hello that was begun does not."""
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
        self._stage = _Stage.RECORDS if self._hellos == 1 else _Stage.OVER
        return hello.size

    def _judged(self, hello: Hello) -> Reason | None:
        if hello.name is None:
            return Reason.SNI_MISSING
        return None if hello.name == self._name else Reason.SNI_DIFFERS

    def _record(self) -> int | None:
        """Passes records that do not tell, until one does."""
        if not self._held:
            return None
        if self._skip:
            count = min(self._skip, len(self._held))
            self._skip -= count
            return count
        kind = self._held[0]
        if kind == HANDSHAKE:
            return self._handshake()
        if kind == CHANGE_CIPHER_SPEC or (kind == APPLICATION_DATA and self._early > 0):
            return self._skipped()
        self._stage = _Stage.OVER
        return 0

    def _handshake(self) -> int | None:
        if len(self._held) <= RECORD_HEAD:
            return None
        if self._held[RECORD_HEAD] == CLIENT_HELLO:
            self._reader, self._stage = HelloReader(), _Stage.HELLO
        else:
            self._stage = _Stage.OVER
        return 0

    def _skipped(self) -> int | None:
        if len(self._held) < RECORD_HEAD:
            return None
        self._skip = int.from_bytes(self._held[3:RECORD_HEAD], "big")
        self._early -= self._skip
        return RECORD_HEAD
