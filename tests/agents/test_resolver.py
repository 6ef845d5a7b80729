"""Answers to questions for names: what is listed gets an address, nothing else, and no bytes do harm."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_agent.resolver import (
    LISTENERS,
    MADE_UP,
    Code,
    Malformed,
    Names,
    NoAddress,
    Place,
    answer,
    complaint,
    is_local,
    read_question,
)

A, AAAA, TXT, HTTPS, ANY = 1, 28, 16, 65, 255
RULES = (
    "one.example:443",
    "one.example:80",
    "*.many.example:443",
    "10.1.2.3:5000",
    "[2001:db8::1]:1",
)


def asked(name: str, kind: int = A, *, group: int = 1, flags: int = 0x0100) -> bytes:
    """A question as resolvers send it."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part)
    return struct.pack("!6H", 7, flags, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, group)


def names(*rules: str) -> tuple[Names, list[str]]:
    """A table, and the names that lost their address."""
    forgotten: list[str] = []
    return Names(rules or RULES, lambda place: forgotten.append(place.name)), forgotten


def placed(table: Names, name: str) -> Place:
    """The place of a listed name."""
    place = table.place(name)
    assert place is not None
    return place


def test_listed_names_have_ports_and_an_address_of_their_own() -> None:
    """The name itself, and all names below a listed one; the same address each time, from a range of nobody."""
    table, _ = names()
    one, below = placed(table, "one.example"), placed(table, "a.b.many.example")
    assert one.ports == (80, 443)
    assert below.ports == (443,)
    assert one.address != below.address
    assert one is table.place("one.example")
    assert MADE_UP.supernet_of(type(MADE_UP)(f"{one.address}/32"))
    assert table.literals == [("10.1.2.3", 5000)]


@pytest.mark.parametrize(
    "name",
    ["", "two.example", "many.example", "one.example.evil", "xone.example", "x.one.example", "10.1.2.3", "example"],
)  # fmt: skip
def test_other_names_are_not_there(name: str) -> None:
    """Neither neighbours nor what only looks alike."""
    assert names()[0].place(name) is None


def test_a_flood_of_names_forgets_the_oldest() -> None:
    """The table stays small; what was asked for again lately is kept, and so is what has connections."""
    table, forgotten = names()
    used = placed(table, "used.many.example")
    used.lines = 1
    for number in range(2 * LISTENERS):
        table.place(f"{number}.many.example")
        placed(table, "one.example")
    assert sum(len(place.ports) for place in table.places.values()) <= LISTENERS
    assert forgotten[0] == "0.many.example"
    assert {"one.example", "used.many.example"} <= table.places.keys()
    assert not {"one.example", "used.many.example"} & set(forgotten)


def test_a_table_of_names_in_use_is_full() -> None:
    """Where every name has connections, another gets no address."""
    table, _ = names("*.many.example:443")
    for number in range(LISTENERS):
        placed(table, f"{number}.many.example").lines = 1
    with pytest.raises(NoAddress):
        table.place("late.many.example")


def test_a_question_is_read_and_answered() -> None:
    """In any spelling; the answer repeats the question, and has one record."""
    question = read_question(asked("One.EXAMPLE"))
    assert (question.name, question.wants_address, question.in_internet) == (
        "one.example", True, True,
    )  # fmt: skip
    said = answer(question, Code.FINE, "198.18.0.1")
    assert struct.unpack_from("!6H", said) == (7, 0x8580, 1, 1, 0, 0)
    assert asked("One.EXAMPLE")[12:] in said
    assert said.endswith(bytes([0, 4, 198, 18, 0, 1]))


@pytest.mark.parametrize(("kind", "wanted"), [(A, True), (ANY, True), (AAAA, False), (TXT, False), (HTTPS, False)])  # fmt: skip
def test_only_ipv4_has_an_answer(kind: int, *, wanted: bool) -> None:
    """Whoever wants a text or IPv6 is told that the name has none."""
    assert read_question(asked("one.example", kind)).wants_address is wanted


def test_another_class_is_not_the_internet() -> None:
    """What BIND tells of itself in class CH is no business of names."""
    assert not read_question(asked("version.bind", TXT, group=3)).in_internet


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", None),
        (b"\0" * 11, None),
        (asked("one.example", flags=0x8100), None),
        (asked("one.example", flags=0x2800), Code.NOT_DONE),
        (struct.pack("!6H", 7, 0, 0, 0, 0, 0), Code.MALFORMED),
        (struct.pack("!6H", 7, 0, 2, 0, 0, 0) + asked("a")[12:] * 2, Code.MALFORMED),
        (struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1", Code.MALFORMED),
        (struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\xff" * 500, Code.MALFORMED),
        (struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\5one", Code.MALFORMED),
        (asked("one.example")[:-1], Code.MALFORMED),
        (asked(".".join(["a" * 63] * 4)), Code.MALFORMED),
        (asked("a" * 63 + ".b" * 100), Code.MALFORMED),
    ],
)
def test_what_is_no_question_is_said(data: bytes, code: Code | None) -> None:
    """Answers get none, so that two resolvers cannot keep each other busy; pointers are not followed."""
    with pytest.raises(Malformed) as caught:
        read_question(data)
    assert caught.value.code is code
    assert len(complaint(caught.value)) == (0 if code is None else 12)


def test_a_dot_in_a_label_parts_nothing() -> None:
    """A label `one.example` is not the name one.example."""
    data = struct.pack("!6H", 7, 0, 1, 0, 0, 0) + b"\x0bone.example\0\0\1\0\1"
    assert names()[0].place(read_question(data).name) is None


def test_the_machine_that_asks_is_itself() -> None:
    """localhost and what is below it, whatever is listed."""
    assert is_local("localhost")
    assert is_local("app.localhost")
    assert not is_local("localhost.example")


@given(st.binary(max_size=600) | st.binary(max_size=300).map(lambda tail: asked("a.b")[:12] + tail))
def test_no_bytes_do_harm(data: bytes) -> None:
    """Any message is a question, whose answer is not much longer, or is not."""
    try:
        question = read_question(data)
    except Malformed:
        return
    assert names()[0].place(question.name) is None or question.name.endswith("example")
    assert len(answer(question, Code.FINE, "198.18.0.1")) <= len(data) + 16
