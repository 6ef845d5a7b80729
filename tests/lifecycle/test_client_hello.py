"""Which name TLS asks for, read from what clients say first, whole, in pieces, and from hostile ones."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.lifecycle.client_hello import MAX_HELLO_BYTES, HelloReader, Unreadable
from taskyard.lifecycle.egress import Reason
from taskyard.lifecycle.tls_name import EARLY_BYTES, NameWatch
from tests.lifecycle.hello_kit import hello, message, python_hello, records, server_name, vector

NAME = "api.example.org"
EARLY = (42, b"")
CCS = records(b"\x01", kind=20)
DATA = records(b"x" * 200, kind=23)


def outcome(*pieces: bytes, ends: bool = False) -> tuple[bytes, Reason | None, bool]:
    """What goes on of these pieces, why the rest does not, and whether nothing more is watched."""
    watch = NameWatch(NAME)
    passed = b"".join(watch.take(piece) for piece in pieces)
    if ends:
        passed += watch.end()
    return passed, watch.problem, watch.is_over


@pytest.mark.parametrize("name", [NAME, "API.Example.ORG", f"{NAME}."])
def test_tls_for_the_name_goes_on_unchanged(name: str) -> None:
    """A real hello passes byte by byte, whatever the case of the name, and so does all that follows."""
    said = python_hello(name) + CCS + DATA + DATA
    assert outcome(said) == (said, None, True)
    assert outcome(*[bytes([byte]) for byte in said]) == (said, None, True)


@pytest.mark.parametrize("each", [1, 4, 5, 64, 1000])
def test_a_hello_may_come_in_many_records(each: int) -> None:
    """As some clients and tricks split it."""
    said = records(message(server_name(NAME.encode()), (21, bytes(1000))), each=each)
    assert outcome(said)[:2] == (said, None)
    other = records(message(server_name(b"evil.example"), (21, bytes(1000))), each=each)
    assert outcome(other)[:2] == (b"", Reason.SNI_DIFFERS)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (hello("evil.example"), Reason.SNI_DIFFERS),
        (hello(f"a.{NAME}"), Reason.SNI_DIFFERS),
        (hello(f"{NAME}\0.evil"), Reason.SNI_DIFFERS),
        (python_hello("evil.example"), Reason.SNI_DIFFERS),
        (python_hello(None), Reason.SNI_MISSING),
        (records(message(has_extensions=False)), Reason.SNI_MISSING),
        (b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00", Reason.SNI_MISSING),
        (b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00", Reason.SNI_MISSING),
        (records(message(server_name(b"a"), server_name(NAME.encode()))), Reason.HELLO_UNREADABLE),
        (
            records(message((0, vector(2, vector(2, b"\0a") + b"\0" + vector(2, NAME.encode()))))),
            Reason.HELLO_UNREADABLE,
        ),
        (records(message(server_name(NAME.encode(), kind=1))), Reason.HELLO_UNREADABLE),
        (records(message(server_name("é.example".encode()))), Reason.HELLO_UNREADABLE),
        (records(message(server_name(b""))), Reason.HELLO_UNREADABLE),
        (records(message(server_name(NAME.encode())), version=0x0203), Reason.HELLO_UNREADABLE),
        (records(b"\x02" + message()[1:]), Reason.HELLO_UNREADABLE),
        (b"\x16\x03\x01\x00\x00", Reason.HELLO_UNREADABLE),
        (b"\x16\x03\x01\xff\xff", Reason.HELLO_UNREADABLE),
        (records(b"\x01\xff\xff\xff" + bytes(100)), Reason.HELLO_UNREADABLE),
        (records(message(server_name(NAME.encode()))[:40]) + DATA, Reason.HELLO_UNREADABLE),
        (records(b"\x01" + vector(3, bytes(16000)), each=1), Reason.HELLO_UNREADABLE),
    ],
)
def test_what_asks_for_something_else_does_not_go_on(said: bytes, why: Reason) -> None:
    """Not a byte of it: other names, none, two, those that can be read in two ways, what never ends."""
    assert outcome(said)[:2] == (b"", why)


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-x\r\n", b"GET / HTTP/1.1\r\n", b"\0\0\0\x08\x04\xd2\x16/", b"\x80\0\0\0", b"x"],
)
def test_what_is_not_tls_goes_on_at_once(said: bytes) -> None:
    """SSH, HTTP, databases: nobody waits for more of it."""
    assert outcome(said) == (said, None, True)


def test_a_second_hello_is_held_to_the_same() -> None:
    """One that the server asks for, also behind data that came early."""
    first = records(message(server_name(NAME.encode()), EARLY))
    for between in (b"", CCS, CCS + DATA, DATA * 20):
        start = first + between
        assert outcome(start + hello(NAME) + DATA) == (start + hello(NAME) + DATA, None, True)
        passed, problem, _ = outcome(start, hello("evil.example"))
        assert (passed, problem) == (start, Reason.SNI_DIFFERS)
    late = first + records(bytes(EARLY_BYTES), kind=23)
    assert outcome(late + DATA) == (late + DATA, None, True)


EVIL = hello("evil.example")
WARNING = records(b"\x01\x5a", kind=21)
"""The alert user_canceled, after which servers go on."""


@pytest.mark.parametrize(
    "between",
    [
        *(WARNING, CCS + WARNING, WARNING + CCS, CCS * 3 + WARNING * 3),
        *(hello(NAME), CCS + hello(NAME), hello(NAME) + CCS + WARNING),
        *(records(b"\0\0\0\0"), b"\x16\x03\x03\0\0", b"\x17\x03\x03\0\0"),
        CCS + b"\x16\x03\x03\0\0",
        *(records(b"\x01\0\0", kind=24), records(b"x", kind=99), CCS * 40, WARNING * 40),
    ],
)
def test_nothing_hides_a_hello_that_comes_later(between: bytes) -> None:
    """Not records that servers look past, nor another hello; in one piece or byte by byte."""
    said = hello(NAME) + between + EVIL
    for pieces in ([said], [bytes([byte]) for byte in said]):
        passed, problem, _ = outcome(*pieces)
        assert problem is not None
        assert b"evil" not in passed


@pytest.mark.parametrize("held", [CCS + EVIL[:5], CCS + EVIL[:3], EVIL[:20], b"\x16"])
def test_what_is_held_up_too_long_does_not_go_on(held: bytes) -> None:
    """The rest of a hello could follow it; nor does what might be a hello of before SSL 3."""
    for start in (hello(NAME) + held, b"\x80", b"\x80\x2e\x01"):
        watch = NameWatch(NAME)
        watch.take(start)
        watch.late()
        assert watch.problem is Reason.HELLO_UNREADABLE
        assert watch.take(EVIL[5:]) == b""


def test_an_alert_of_a_client_that_gives_up_goes_on() -> None:
    """Its server is told why, before the end."""
    said = hello(NAME) + records(b"\x02\x30", kind=21)
    assert outcome(said, ends=True) == (said, None, True)


def test_other_messages_of_a_handshake_go_on() -> None:
    """The second flight of TLS 1.2 is no hello, nor what is encrypted after a change of cipher."""
    for flight in (
        records(b"\x10" + vector(3, bytes(66))),
        records(b"\x0b" + vector(3, bytes(66))) + records(b"\x10" + vector(3, bytes(66))),
        CCS + records(bytes(40)),
    ):
        said = hello(NAME) + flight
        assert outcome(said) == (said, None, True)


def test_an_end_within_a_hello() -> None:
    """Half a hello does not go on; half of anything else does."""
    assert outcome(hello(NAME)[:30], ends=True)[:2] == (b"", Reason.HELLO_UNREADABLE)
    assert outcome(b"\x80\x01", ends=True)[:2] == (b"\x80\x01", None)


def test_a_hello_is_small() -> None:
    """The largest that is read, and nothing larger."""
    rest = MAX_HELLO_BYTES - len(message(server_name(NAME.encode()), (21, b"")))
    fits = records(message(server_name(NAME.encode()), (21, bytes(rest))), each=9000)
    assert outcome(fits)[:2] == (fits, None)
    large = records(message(server_name(NAME.encode()), (21, bytes(rest + 1))), each=9000)
    assert outcome(large)[:2] == (b"", Reason.HELLO_UNREADABLE)


@given(
    st.binary(max_size=400),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=8),
    st.integers(1, 700),
)
def test_nothing_hostile_breaks_the_reader(
    tail: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    """Any bytes, and hellos with any of their bytes changed, are read or refused: and the same in pieces."""
    said = bytearray(hello(NAME) + tail)
    for at, value in changes:
        said[at % len(said)] = value
    whole = outcome(bytes(said))
    pieces = [bytes(said[at : at + cut]) for at in range(0, len(said), cut)]
    assert outcome(*pieces)[1] == whole[1]
    if whole[1] is None:
        assert bytes(said).startswith(outcome(*pieces)[0])
    with contextlib.suppress(Unreadable):
        HelloReader().read(tail)
