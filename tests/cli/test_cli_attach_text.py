"""What is shown and sent while one is attached, without a terminal: filters, keys, and a conversation's lines."""

import json
from itertools import count

import msgspec
import pytest

from taskyard.cli.attach_talk import Transcript, Typing
from taskyard.cli.terminal import HELD_BYTES, Filter, before_leaving
from taskyard.wire.attached import (
    AttachAnswer,
    AttachInterrupt,
    AttachPrompt,
    AttachRefused,
    FromClient,
)
from taskyard.wire.link import Item

_numbers = count(1)

QUESTIONS = (
    b"\x1b[c", b"\x1b[>c", b"\x1b[6n", b"\x1b[?6n", b"\x1b[5n", b"\x1b]11;?\x07", b"\x1b]4;1;?\x1b\\",
    b"\x1b[?2026$p", b"\x1b[?u", b"\x1b[>0q", b"\x1bP+q544e\x1b\\", b"\x1b[18t", b"\x1b[14;2t",
    b"\x1b]52;c;?\x07", b"\x1b]52;c;c2VjcmV0\x07",
)  # fmt: skip
"""What would make the caller's terminal type, or touch its clipboard."""

DRAWING = b"\x1b[2J\x1b[1;1H\x1b[1;31mred\x1b[0m\x1b]0;title\x07\x1b]8;;https://x\x1b\\link\x1b]8;;\x1b\\\x1b[?25l ok\r\n"
"""What makes up a screen."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_to_the_terminal_are_left_out(question: bytes) -> None:
    """However the bytes are cut, no question comes through and nothing else is touched."""
    stream = DRAWING + question + DRAWING
    for size in (1, 2, 3, 7, len(stream)):
        questions = Filter()
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        assert b"".join(questions.feed(piece) for piece in pieces) == DRAWING * 2


def test_a_sequence_without_an_end_is_dropped() -> None:
    """A program cannot make the filter keep everything for ever."""
    questions = Filter()
    shown = questions.feed(b"\x1b]52;c;" + b"A" * (HELD_BYTES + 1))
    assert shown == b""
    assert questions.feed(b"\x07ok").endswith(b"ok")


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (b"abc", (b"abc", False)),
        (b"\x03", (b"\x03", False)),
        (b"\x1d", (b"", True)),
        (b"ab\x1dcd", (b"ab", True)),
        (b"ab\x1b[93;5ucd", (b"ab", True)),
        (b"\x1b[27;5;93~", (b"", True)),
    ],
)
def test_the_key_that_leaves(keys: bytes, found: tuple[bytes, bool]) -> None:
    """Ctrl-] leaves in every way a terminal sends it, Ctrl-C goes to the program."""
    assert before_leaving(keys) == found


def said(transcript: Transcript, *items: tuple[str, dict[str, object]]) -> list[str]:
    """The lines of these items."""
    for kind, data in items:
        body = {"seq": next(_numbers), "time": "2026-01-31T12:00:00Z", "turn": 1, "kind": kind}
        text = json.dumps({**body, "data": data})
        transcript.take(msgspec.json.decode(text, type=Item))
    return transcript.printed()


ASKED: tuple[str, dict[str, object]] = (
    "permission_request",
    {
        "id": "p1",
        "title": "rm -rf \x1b[2Kbuild",
        "options": [
            {"option_id": "once", "name": "Allow once", "kind": "allow_once"},
            {"option_id": "no", "name": "Reject", "kind": "reject_once"},
        ],
    },
)


def test_a_turn_as_it_is_read() -> None:
    """Messages, pieces of text, tools, reports and errors come as lines; thoughts and figures do not."""
    transcript = Transcript()
    lines = said(
        transcript,
        ("user_message", {"text": "two\nlines"}),
        ("agent_text", {"message_id": 1, "text": "I co"}),
        ("thought", {"text": "hm"}),
        ("agent_text", {"message_id": 2, "text": "unt.\nAnd"}),
        ("agent_text", {"message_id": 2, "text": " more"}),
        ("agent_message", {"message_id": 2, "text": "unt.\nAnd more"}),
        ("usage", {"used": 1}),
        ("agent_text", {"message_id": 3, "text": "It"}),
        ("usage", {"used": 2}),
        ("agent_text", {"message_id": 3, "text": " is"}),
        (
            "tool_call",
            {
                "tool_call_id": "t",
                "title": "Terminal",
                "kind": "execute",
                "status": "pending",
                "raw_input": {},
            },
        ),
        (
            "tool_call",
            {"tool_call_id": "t", "title": "wc", "kind": "execute", "status": "in_progress"},
        ),
        ("tool_call", {"tool_call_id": "t", "title": "wc", "kind": "execute", "status": "failed"}),
        ("report", {"summary": "Counted", "link": None, "outcome": "complete"}),
        ("error", {"level": "error", "message": "no \x1b[31mdisk"}),
        ("turn_end", {"reason": "end_turn", "error": None}),
    )
    assert lines == [
        "> two", "> lines", "I co", "unt.", "And more", "It is", "[execute] wc", "[execute] failed: wc", "* Counted",
        "! no disk", "",
    ]  # fmt: skip


def test_a_message_that_was_joined_in_the_middle() -> None:
    """Of a message whose pieces were missed the whole is shown."""
    whole: dict[str, object] = {"message_id": 7, "text": "All of it"}
    assert said(Transcript(), ("agent_message", whole)) == ["All of it"]


def type_all(typing: Typing, *keys: str) -> list[FromClient]:
    """What is sent for these keys."""
    return [message for key in keys for message in typing.type(key)]


def test_typing_a_message() -> None:
    """A line goes out with Enter; Backspace, Ctrl-U and Ctrl-C edit it, and arrows do nothing."""
    typing = Typing(Transcript())
    assert type_all(typing, "h", "x", "\x7f", "i", "\x1b[A", "\r") == [AttachPrompt(text="hi")]
    assert type_all(typing, "abc", "\x15", "\r") == []
    assert type_all(typing, "abc", "\x03") == []
    assert type_all(typing, "\x03") == [AttachInterrupt()]
    assert type_all(typing, "one\rtwo\r") == [AttachPrompt(text="one\ntwo")]


def test_a_refused_message_can_be_sent_again() -> None:
    """The text is back in the line, unless something new was typed meanwhile."""
    typing = Typing(Transcript())
    type_all(typing, "hi\r")
    refused = AttachRefused(reason="busy", message="It works.", detail="")
    assert typing.refused(refused) == "! It works."
    assert typing.buffer == "hi"


def test_answering_a_request() -> None:
    """While something is asked, a number answers it and 0 cancels it; a text is a message all the same."""
    transcript = Transcript()
    typing = Typing(transcript)
    lines = said(transcript, ASKED)
    assert lines == ["? rm -rf build", "  1  Allow once", "  2  Reject", "  0  Cancel it"]
    assert typing.line(80) == "[waiting for you] > "
    assert type_all(typing, "3", "\r") == []
    assert type_all(typing, "\x15", "2", "\r") == [AttachAnswer(id="p1", option_id="no")]
    assert type_all(typing, "0", "\r") == [AttachAnswer(id="p1", option_id="")]
    assert type_all(typing, "no!", "\r") == [AttachPrompt(text="no!")]
    answered: dict[str, object] = {"id": "p1", "option_id": "no", "by": "person", "name": "ada"}
    assert said(transcript, ("permission_response", answered)) == ["= Reject, by ada"]
    assert type_all(typing, "2", "\r") == [AttachPrompt(text="2")]


def test_the_line_fits() -> None:
    """Whatever is typed, the line is shorter than the terminal, wide characters counted as two."""
    typing = Typing(Transcript())
    for text in ("x" * 300, "\u6f22" * 300, "a\nb" * 100):
        typing.buffer = text
        line = typing.line(40)
        assert "\n" not in line
        assert len(line) < 40
