"""Markdown around other people's text: whatever is in it, what comes behind it is what it was meant to be."""

import random
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from taskyard.control.markdown import difference, fenced, folded, literal, prose, quoted

PIECES = (
    *("```", "````", "~~~", "   ```", "    ```", "```py", "``` `", "> ```", "- ```", "1. ~~~", "  - x"),
    *("<!--", "-->", "  <pre>", "<script>", "<details>", "<div>", "<![CDATA[", "<?php", "</details>", "> <!--"),
    *("text", "", "\t", "# head", "`a <!-- b`", "` <!--", "a\r```", "[x]: <y>", "***", "===", "| a | b |", "&lt;"),
    *("\0", "\u2028```", "* * *", "- a", "  ```", "\\", "\\```", "    code", "\t```", "+ <pre>"),
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
