"""Markdown around other people's text: whatever is in it, what comes behind it is what it was meant to be."""

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import msgspec
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from taskyard.control.markdown import difference, fenced, folded, literal, prose, quoted
from taskyard.control.transcript_text import OPEN_BYTES, OPEN_TOOLS, TranscriptText
from taskyard.wire.link import ItemKind
from taskyard.wire.transcript import TaskItem
from tests.effort import costs_at_most

PIECES = (
    *("```", "````", "~~~", "   ```", "    ```", "```py", "``` `", "> ```", "- ```", "1. ~~~", "  - x"),
    *("<!--", "-->", "  <pre>", "<script>", "<details>", "<div>", "<![CDATA[", "<?php", "</details>", "> <!--"),
    *("text", "", "\t", "# head", "`a <!-- b`", "` <!--", "a\r```", "[x]: <y>", "***", "===", "| a | b |", "&lt;"),
    *("\0", "\u2028```", "* * *", "- a", "  ```", "\\", "\\```", "    code", "\t```", "+ <pre>"),
    *("a ` <b> `", "` <i> ` b `", "\\<b>", "\\\\<i>", "\\` <b> `", "| ` | <b> ` |", "|-|-|", "`` ` <b> ``", "a `\\` <i>"),
)  # fmt: skip

READER = MarkdownIt("commonmark").enable("table")

WRAPPED: dict[str, Callable[[str], str]] = {
    "prose": prose,
    "quoted": quoted,
    "fenced": lambda text: fenced(text, "diff"),
    "difference": lambda text: difference(text, text, f"{text}\nmore"),
    "folded": lambda text: folded(text, quoted(text)),
    "literal": lambda text: f"{literal(text)}\n",
}


def read(text: str) -> list[Token]:
    """What a reader of CommonMark makes of it."""
    return READER.parse(text)


@pytest.mark.parametrize("kind", WRAPPED)
def test_nothing_reaches_behind_its_place(kind: str) -> None:
    """After any text, open fences, comments, tags and lists in it, a heading is a heading, and HTML is only ours."""
    chance = random.Random(11)
    for _ in range(800):
        text = "\n".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 9)))
        tokens = read(f"{WRAPPED[kind](text)}\n## The end\n")
        last = tokens[-3:]
        assert [t.type for t in last] == ["heading_open", "inline", "heading_close"], text
        assert (last[0].level, last[1].content) == (0, "The end"), text
        inside = [t for token in tokens for t in token.children or []]
        assert not [t.content for t in inside if t.type == "html_inline"], text
        html = [t.content.strip() for t in tokens if t.type == "html_block"]
        assert all(h.startswith(("<details>", "</details>")) for h in html), (text, html)
        assert len(html) == (2 if kind == "folded" else 0), (text, html)


def test_what_is_plain_stays_as_it_is() -> None:
    """Text with whole fences and lists is shown as its author wrote it."""
    text = "Look:\n\n```py\nif a < b:\n    pass\n```\n\n- one\n- two, `a <b>`"
    assert prose(text) == f"{text}\n"


@pytest.mark.parametrize("text", ["a ``` b", "`" * 12, "~~~\n```\n````\n", "", "x\n\n", "\ta"])
def test_a_fence_holds_its_text(text: str) -> None:
    """What stands between fences is read as it was, but for the ends of its last lines."""
    [token] = read(fenced(text))
    assert token.type == "fence"
    assert token.content == f"{text.rstrip()}\n"


def test_a_large_difference_is_quick() -> None:
    """Of thousands of lines only what differs is shown, with a little around it."""
    before = [str(n) for n in range(50_000)]
    after = [*before[:40_000], "new", *before[40_002:]]
    shown = difference("a.txt", "\n".join(before), "\n".join(after)).splitlines()
    assert shown[3:-1] == [
        "@@ line 40001 @@",
        " 39997",
        " 39998",
        " 39999",
        "-40000",
        "-40001",
        "+new",
    ]


def test_a_difference_of_lines_that_are_all_alike_is_quick() -> None:
    """Many small differences of which each line is like each other take no more than others of their size."""
    before, after = "\n".join(["x"] * 198), "\n".join(["x", "y"] * 99)
    other = "\n".join(f"x{n}" for n in range(198)), "\n".join(f"x{n}\ny{n}" for n in range(99))
    assert difference("a", before, after).count("\n") > 300

    def compare(one: str, two: str) -> None:
        for _ in range(10):
            difference("a", one, two)

    costs_at_most(10, partial(compare, before, after), partial(compare, *other))  # line by line: 50


@pytest.mark.parametrize("make", [prose, quoted])
def test_backticks_without_end_are_quick(make: Callable[[str], str]) -> None:
    """Runs of backticks that nothing ends, of one length or of many, cost no more than other text of their size."""
    many = " ".join("`" * n for n in range(1, 1000))
    ticks = (f"{'`' * 2001}{'a' * 500_000}", "` " * 250_001, f"{many} <b>", "`" * 500_000)

    def make_all(texts: Sequence[str]) -> None:
        for text in texts:
            make(f"a {text} <b>")

    plain = [text.replace("`", "b") for text in ticks]
    # It costs four times as much; the first alone took minutes.
    costs_at_most(100, partial(make_all, ticks), partial(make_all, plain))


def test_code_is_left_alone_where_it_is_certain() -> None:
    """In code `<` stays as it is; where a run of backticks is open from the line before, nothing is taken for code."""
    assert prose("a `x <b> y`, ``z ` <i>``") == "a `x <b> y`, ``z ` <i>``\n"
    assert prose("one `\n` <b> `\n\n`<i>`") == "one `\n` \\<b> `\n\n`<i>`\n"
    assert prose("| ` | <b> ` |") == "| ` | \\<b> ` |\n"


def call(name: str, raw_input: bytes, status: str = "completed") -> TaskItem:
    """A tool call."""
    data = b'{"tool_call_id":"%b","status":"%b","raw_input":%b}' % (
        name.encode(),
        status.encode(),
        raw_input,
    )
    at = datetime(2025, 1, 1, tzinfo=UTC)
    return TaskItem(
        number=1,
        kind=ItemKind.TOOL_CALL,
        turn=1,
        time=at,
        stored_at=at,
        data=msgspec.Raw(data),
    )


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 400 + b"1" + b",1" * 7000 + b"]" * 400,
        b"[" * 200 + b"1" + b",1" * 250_000 + b"]" * 200,
        b"[" * 250_000 + b"]" * 250_000,
        b"[%b1]" % (b'{"a":1},' * 60_000),
    ],
)
def test_a_value_of_any_shape_becomes_no_larger_than_it_is(value: bytes) -> None:
    """What a tool was given is indented where that is small and shallow, else shown as it came."""
    assert len(TranscriptText("x").add(call("t", value))) < len(value) + 200
    assert '{\n  "a": [' in TranscriptText("x").add(call("t", b'{"a":[{"b":1}]}'))


def test_open_tool_calls_are_bounded() -> None:
    """Of tool calls that do not end, few are kept, by number and by size; each is told once, the newest of it."""
    text = TranscriptText("x")
    large = b'"%b"' % (b"y" * (OPEN_BYTES // 3))
    told = [text.add(call(str(n % 5), large, "pending")) for n in range(12)]
    assert max(map(len, told)) < OPEN_BYTES
    assert len(text.end()) < OPEN_BYTES + 1000
    told = [text.add(call(f"s{n}", b"1", "pending")) for n in range(3 * OPEN_TOOLS)]
    told.append(text.end())
    assert sum(part.count("(pending)") for part in told) == 3 * OPEN_TOOLS
