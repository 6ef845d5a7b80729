"""Names inside a workspace: answers to DNS questions that are made up here, from what the template lists.

Nobody is ever asked, so a question carries nothing out. A listed name gets an address of a range that
no machine has; whoever connects to it is taken to the name by the server's relay.
"""

import re
import struct
from collections.abc import Callable, Iterable
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network

import msgspec

MADE_UP = IPv4Network("198.18.0.0/15")
"""Set aside for measurements between machines: no host on the internet has an address of it."""

LISTENERS = 200
"""Ports of names that have an address at once: a build asks for some ten names, and most have one port."""

TTL_S = 30
"""Seconds that a program may keep an address; its name has the same one far longer, unless many others are asked for."""

MAX_NAME_BYTES = 255
"""A name's length on the wire; longer ones are no names."""

_LOCALHOST = "localhost"
_RULE = re.compile(r"(?P<below>\*\.)?(?P<host>[^*:\[\]/]+):(?P<port>[0-9]{1,5})")
_HEADER = struct.Struct("!6H")
_QUESTION_END = struct.Struct("!2H")
_ANSWER = struct.Struct("!3HIH")
_POINTER_TO_QUESTION = 0xC000 | _HEADER.size
_IS_ANSWER = 0x8000
_AUTHORITATIVE = 0x0400
_RECURSION = 0x0100
_RECURSION_OFFERED = 0x0080
_OPCODE = 0x7800
_MAX_LABEL_BYTES = 63
_CLASS_IN = 1
_TYPE_A = 1
_TYPE_ANY = 255


class Code(IntEnum):
    """What an answer says of its question."""

    FINE = 0
    MALFORMED = 1
    FAILED = 2
    NO_SUCH_NAME = 3
    NOT_DONE = 4


class NoAddress(Exception):
    """A listed name cannot have an address now; str() says why, as a clause."""


class Place(msgspec.Struct, eq=False):
    """A name that was asked for, the address made up for it, and the ports that are listed with it.

    lines counts the connections to it, which keep it from being forgotten.
    """

    name: str
    address: str
    ports: tuple[int, ...]
    lines: int = 0


class Names:
    """What the template lists, and the names asked for so far.

    on_forgotten is told of each name that has lost its address. literals are listed addresses and ports of IPv4.
    """

    def __init__(self, rules: Iterable[str], on_forgotten: Callable[[Place], None]) -> None:
        self._on_forgotten = on_forgotten
        self._exact: dict[str, set[int]] = {}
        self._below: dict[str, set[int]] = {}
        self.literals: list[tuple[str, int]] = []
        self.places: dict[str, Place] = {}
        self._made = 0
        for rule in rules:
            self._add(rule)

    def _add(self, rule: str) -> None:
        found = _RULE.fullmatch(rule)
        if found is None:
            return  # IPv6: there is none in here, so such places are reached by the proxy only
        host, port = found["host"].lower(), int(found["port"])
        if found["below"]:
            self._below.setdefault(f".{host}", set()).add(port)
        elif _is_address(host):
            self.literals.append((host, port))
        elif host != _LOCALHOST:
            self._exact.setdefault(host, set()).add(port)

    def ports(self, name: str) -> tuple[int, ...]:
        """The ports that are listed with the name, none when it is not listed itself nor below one that is."""
        found = set(self._exact.get(name, ()))
        for below, ports in self._below.items():
            if name.endswith(below):
                found |= ports
        return tuple(sorted(found))

    def place(self, name: str) -> Place | None:
        """The place of a listed name, made where it has none; None for others. Raises NoAddress."""
        if (known := self.places.pop(name, None)) is not None:
            self.places[name] = known  # last in line to be forgotten
            return known
        if not (ports := self.ports(name)):
            return None
        self._make_room(len(ports))
        made = Place(name, self._next_address(), ports)
        self.places[name] = made
        return made

    def place_at(self, address: str) -> Place | None:
        """The place for which that address was made up."""
        return next((place for place in self.places.values() if place.address == address), None)

    def forget(self, place: Place) -> None:
        """Nothing; the name has no address any more."""
        del self.places[place.name]
        self._on_forgotten(place)

    def _make_room(self, ports: int) -> None:
        """Nothing, after the names that were asked for longest ago were forgotten, if there are too many."""
        while (
            self.places
            and sum(len(place.ports) for place in self.places.values()) + ports > LISTENERS
        ):
            oldest = next((place for place in self.places.values() if not place.lines), None)
            if oldest is None:
                raise NoAddress("connections to too many other names are open")
            self.forget(oldest)

    def _next_address(self) -> str:
        """An address that no name has had for 131,000 names."""
        taken = {place.address for place in self.places.values()}
        while True:
            self._made = self._made % (MADE_UP.num_addresses - 2) + 1
            address = str(MADE_UP.network_address + self._made)
            if address not in taken:
                return address


class Question(msgspec.Struct, frozen=True):
    """What was asked. body is the question as it came, which is repeated in the answer."""

    number: int
    flags: int
    name: str
    kind: int
    in_internet: bool
    body: bytes

    @property
    def wants_address(self) -> bool:
        """Whether an IPv4 address answers it."""
        return self.kind in (_TYPE_A, _TYPE_ANY)


class Malformed(Exception):
    """Bytes that are no question; code says what a program is told, None when it is told nothing."""

    def __init__(self, code: Code | None, number: int = 0, flags: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.number = number
        self.flags = flags


def read_question(data: bytes) -> Question:
    """The only question of a message. Raises Malformed; never reads a byte twice."""
    if len(data) < _HEADER.size:
        raise Malformed(None)
    number, flags, questions, *_ = _HEADER.unpack_from(data)
    if flags & _IS_ANSWER:
        raise Malformed(None)
    if flags & _OPCODE:
        raise Malformed(Code.NOT_DONE, number, flags)
    if questions != 1:
        raise Malformed(Code.MALFORMED, number, flags)
    try:
        name, end = _read_name(data)
        kind, group = _QUESTION_END.unpack_from(data, end)
    except (ValueError, struct.error) as error:
        raise Malformed(Code.MALFORMED, number, flags) from error
    body = data[_HEADER.size : end + _QUESTION_END.size]
    return Question(number, flags, name, kind, group == _CLASS_IN, body)


def _read_name(data: bytes) -> tuple[str, int]:
    """The name in small letters, and where it ends. A question has no pointers: they are refused."""
    labels, at = [], _HEADER.size
    while at < len(data) and (size := data[at]):
        label = data[at + 1 : at + 1 + size]
        at += 1 + size
        if size > _MAX_LABEL_BYTES or len(label) < size or at - _HEADER.size >= MAX_NAME_BYTES:
            raise ValueError("no name")
        # A dot within a label would read as two.
        labels.append(label.decode("latin-1").replace(".", "\\.").lower())
    if at >= len(data):
        raise ValueError("no end")
    return ".".join(labels), at + 1


def answer(question: Question, code: Code, address: str | None = None) -> bytes:
    """The answer with that address, or with none."""
    records = b""
    if address is not None:
        fixed = (_POINTER_TO_QUESTION, _TYPE_A, _CLASS_IN, TTL_S, 4)
        records = _ANSWER.pack(*fixed) + IPv4Address(address).packed
    head = _head(question.number, question.flags, code, questions=1, answers=1 if records else 0)
    return head + question.body + records


def complaint(error: Malformed) -> bytes:
    """What is said about a message that is no question; empty for nothing."""
    return (
        b""
        if error.code is None
        else _head(error.number, error.flags, error.code, questions=0, answers=0)
    )


def _head(number: int, flags: int, code: Code, *, questions: int, answers: int) -> bytes:
    said = _IS_ANSWER | _AUTHORITATIVE | _RECURSION_OFFERED | flags & (_OPCODE | _RECURSION)
    return _HEADER.pack(number, said | code, questions, answers, 0, 0)


def is_local(name: str) -> bool:
    """Whether the name is that of the machine that asks, whatever is listed."""
    return name == _LOCALHOST or name.endswith(f".{_LOCALHOST}")


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
