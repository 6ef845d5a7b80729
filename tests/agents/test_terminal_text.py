"""From screens to what was said: what is new, echoes, input boxes, report-tool blocks, long replies."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_agent.terminal.boxes import amp, codex, generic, opencode
from taskyard_agent.terminal.reply import GAP, Look, Reply
from taskyard_agent.terminal.rules import rules_of
from taskyard_agent.terminal.screen import Screen
from taskyard_agent.terminal.text import (
    EchoRule,
    ToolBlock,
    diff,
    echo_end,
    first_new,
    hide_tools,
    joined,
    trimmed,
)
from tests.agents.recorded import Turn, recorded, turns

BORDER = "─" * 20
CUSTOM = rules_of("custom")


def look(*rows: str, cursor: tuple[int, int] | None = None, **more: object) -> Look:
    shown = None if cursor is None else (*cursor, True)
    wrapped = more.get("wrapped", frozenset())
    assert isinstance(wrapped, frozenset)
    return Look(rows, shown, wrapped, alternate=bool(more.get("alternate")))


def said(*rows: str, prompt: str = "hi", before: tuple[str, ...] = ("> ",)) -> str:
    """The reply on a screen with the cursor behind the last row."""
    reply = Reply(CUSTOM, prompt, look(*before))
    return reply.text(look(*rows, cursor=(len(rows[-1]), len(rows) - 1)))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("123", "123\n  \n \n42", "42"),
        ("89", "42", "42"),
        ("a\nb", "a\nb", ""),
        ("a\nb", "b\na", ""),
        ("a\n", "\n\na\n\nnew\n a\n\n", "new\n a"),
    ],
)
def test_A26_diff(old: str, new: str, expected: str) -> None:
    """Everything from the first line that the old screen does not have, without blank lines at the ends."""
    assert diff(old, new) == expected


def test_A26_D7_a_header_is_skipped_and_the_cut_is_right() -> None:
    """Header lines that count tokens are not taken for news, and the cut is at the new line, not above it."""
    old = "tokens 1\n\nrule\nhello"
    assert diff(old, "tokens 2\n\nrule\nhello\nnew", header=3) == "new"
    assert diff(old, "tokens 2\n\nrule\nhello\nnew") == "tokens 2\n\nrule\nhello\nnew"


def test_D6_a_reply_that_reads_like_the_one_before_is_seen() -> None:
    """The same prompt with the same answer again is new: rows are counted, not only known."""
    old = ["> hi", "hello", "> "]
    new = ["> hi", "hello", "> hi", "hello", "> "]
    assert diff("\n".join(old), "\n".join(new)) == ""
    assert first_new(old, new) == 2
    assert said(*new, before=tuple(old)) == "hello"


@given(
    old=st.lists(st.sampled_from("abcd ")), new=st.lists(st.sampled_from("abcdef "), max_size=12)
)
def test_A26_counting_never_finds_less(old: list[str], new: list[str]) -> None:
    """What the definition takes for new is new for the counting of rows too, at the same row or above."""
    known = {line.rstrip() for line in old} | {""}
    by_definition = next(
        (at for at, line in enumerate(new) if line.rstrip() not in known), len(new)
    )
    assert first_new(old, new) <= by_definition


@pytest.mark.parametrize(
    ("text", "prompt", "left"),
    [
        ("> fix the bug\nOn it.", "fix the bug", "On it."),
        ("│ > fix the  │\n│   bug      │\nOn it.", "fix the bug", "On it."),
        ("> f-i-x the bug\nOn it.", "fix the bug", "> f-i-x the bug\nOn it."),
        ("> fix the ·· bug\nOn it.", "fix the bug", "On it."),
        ("\n\n\n\n\n\n\n\n> fix the bug\nOn it.", "fix the bug", "On it."),
        ("1\n2\n3\n4\n5\n6 a long line of other words\n> fix the bug\nx", "fix the bug", None),
        ("No echo here.", "fix the bug", "No echo here."),
        ("> ok\nFine.", "ok", "Fine."),
        ("> one\n  two\nFine.", "one\ntwo", "Fine."),
        ("Fine.", "", "Fine."),
    ],
)
def test_A37_A38_echo(text: str, prompt: str, left: str | None) -> None:
    """The prompt's first characters near the top begin the echo, which is followed over small differences."""
    lines = text.split("\n")
    rest = lines[echo_end(lines, prompt, EchoRule()) :]
    assert "\n".join(rest) == (text if left is None else left)


def test_A38_frames_of_an_echo() -> None:
    """A closing frame goes with the echo for the types that draw one, two more lines for opencode."""
    lines = ["> hi", "╰──╯", "text"]
    assert echo_end(lines, "hi", EchoRule()) == 1
    assert echo_end(lines, "hi", EchoRule(closing="╰╯")) == 2
    assert echo_end(["> hi", "text"], "hi", EchoRule(closing="╰╯")) == 1
    assert echo_end(lines, "hi", EchoRule(more=2)) == 3
    assert echo_end(["> hi"], "hi", EchoRule(more=2)) == 1
    for kind, closing in (("gemini", "╰╯"), ("copilot", "╰╯"), ("cursor", "└┘")):
        assert rules_of(kind).file.echo.closing == closing
    assert rules_of("opencode").file.echo.more == 2


@pytest.mark.parametrize("before", ["", "• "])
def test_N35_a_reply_with_the_words_of_the_prompt_stays(before: str) -> None:
    """A first line that begins like the prompt and goes on is the reply, not an echo."""
    text = f"{before}Explain the map: it has two roads.\nAnd a river."
    assert said(*text.split("\n"), prompt="Explain the map") == text


def test_N35_rows_that_were_typed_are_the_echo() -> None:
    """Where the echo stands is known from the rows before the CR; a reply that repeats the prompt stays whole."""
    reply = Reply(CUSTOM, "hi there", look("$ "))
    reply.typed(look("$ hi there"))
    assert reply.text(look("$ hi there", "hi there", cursor=(0, 2))) == "hi there"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("answer\n> ", "answer"),
        (f"answer\n{BORDER}\n> \n{BORDER}", "answer"),
        (f"answer\n{'╌' * 15}\n> ", "answer"),
        (f"answer\n{'─' * 14}\n> ", f"answer\n{'─' * 14}"),
        (f"answer\n{BORDER}\n│ type │\n{BORDER}\na\nb\nc\nd\ne", "answer"),
        (f"answer\n{BORDER}\n\u276f\n{BORDER}", "answer"),
        (f"answer\n{BORDER}\nplain\n{BORDER}", None),
        ("> far\na\nb\nc\nd\ne\nf", None),
    ],
)
def test_A27_generic_box(text: str, left: str | None) -> None:
    """A prompt in the last six lines with the border above it, else a line between two borders."""
    cut = generic(text.split("\n"))
    assert (None if cut is None else "\n".join(cut)) == left


def test_A27_other_boxes() -> None:
    """The boxes of codex, opencode and amp, and none where there is none."""
    assert codex(["text", "\u203a ask", "", "footer"]) == ["text", "footer"]
    assert codex(["text", "footer"]) is None
    edge = "  ╹" + "▀" * 17
    assert opencode(["text", "┃", "┃", "┃", "┃ mode", edge, "footer"]) == ["text"]
    assert opencode(["text"]) is None
    assert amp(["text", "╭─╮", "│x│", "╰─╯"]) == ["text"]
    assert amp(["", "╭─╮", "│x│", "╰─╯"]) == ["Welcome to Amp"]
    assert amp(["text"]) is None


def test_A27_clean_does_all_in_order() -> None:
    """Echo, input box, blank lines and report blocks go; what is between them stays."""
    block = 'coder - coder_report_task (MCP)\n{\n"message": "Thanks for reporting!"\n}'
    text = f"> hi\n\nHello.\n\n{block}\n\nDone.\n\n{BORDER}\n\u276f\n{BORDER}\n"
    assert rules_of("claude").clean(text, "hi") == "Hello.\n\nDone."


@pytest.mark.parametrize(
    "text",
    [
        "Here is the map:\na -> b\nc\nd",
        "It holds that x > 3",
        "Quoted:\n> an old line\nand more",
        "if a > b:\n    pass",
    ],
)
def test_N35_what_only_looks_like_a_prompt_stays(text: str) -> None:
    """A `>` in the tail of a reply is no input box unless the cursor is in it."""
    lines = text.split("\n")
    assert said(*lines, "", prompt="draw") == text
    assert said(*lines, "> ", prompt="draw") == text
    at = (len(lines), 2)
    assert CUSTOM.clean(f"{text}\n> ", "draw", cursor=at) == text


@pytest.mark.parametrize("prompt", ["mysql> ", "(gdb 1)> ", ">>> ", "  > typed already"])
def test_N35_the_prompt_at_the_cursor_goes(prompt: str) -> None:
    """A prompt of any shape is cut where the cursor stands behind it."""
    assert said("answer > all", prompt) == "answer > all"


def test_N35_a_prompt_of_several_rows_goes() -> None:
    """The box is cut where it begins, though the cursor is in a later row of it."""
    assert said("answer", "> one", "  two") == "answer"
    assert said("answer", BORDER, "| one", "| two", BORDER, "footer", prompt="x") != "answer"
    seen = look("answer", BORDER, "| one", "| two", BORDER, "footer", cursor=(5, 3))
    assert Reply(CUSTOM, "x", look("> ")).text(seen) == "answer"


def test_N35_nothing_published_is_taken_back() -> None:
    """A rule that later takes rows for a box does not shorten the message; a redraw of these rows does."""
    reply = Reply(CUSTOM, "hi", look("$"))
    assert reply.text(look("one", "> two", cursor=(0, 5))) == "one\n> two"
    assert reply.text(look("one", "> two", cursor=(5, 1))) == "one\n> two"
    assert reply.text(look("one", "> new", cursor=(5, 1))) == "one"
    assert reply.text(look("one", "> new", "three", cursor=(5, 2))) == "one\n> new\nthree"


CLAUDE_BLOCK = [
    "● coder - coder_report_task (MCP)(summary: x)",
    "  ⎿ {",
    '      "message": "Thanks for reporting!"',
    "    }",
]


def test_A39_claude_blocks() -> None:
    """Closed blocks go and are told, the last first; an open one goes to the last blank line, untold."""
    rules = rules_of("claude")
    second = [CLAUDE_BLOCK[0].replace("x", "y"), *CLAUDE_BLOCK[1:]]
    text = "\n".join(["a", *CLAUDE_BLOCK, "", "b", *second, "c"])
    assert rules.clean(text, "") == "a\nb\nc"
    assert rules.hidden(text) == ["\n".join(second), "\n".join(CLAUDE_BLOCK)]
    unclosed = "\n".join(["a", *CLAUDE_BLOCK[:2], "x", "", "b"])
    assert rules.clean(unclosed, "") == "a\nb"
    assert rules.clean("\n".join(["a", *CLAUDE_BLOCK[:2]]), "") == "a"
    assert rules.hidden(unclosed) == []
    other = "\n".join([CLAUDE_BLOCK[0], "  ⎿ {", '      "message": "No."', "    }", "", "b"])
    assert rules.hidden(other) == []


def test_A39_codex_blocks() -> None:
    """Called over two lines, as it was, or in one, as it is; blank lines behind it go too."""
    rules = rules_of("codex")
    old = '• Called\n  └ Coder.coder_report_task({"x":1})\n    {"message": "Thanks for reporting!"}'
    now = '• Called Coder.coder_report_task\n  └ {"message": "Thanks for reporting!"}\n    + Show'
    for block in (old, now):
        assert rules.clean(f"a\n\n{block}\n\n\n• b", "") == "a\n\n• b"
        assert rules.hidden(f"a\n\n{block}\n\n\n• b") == [block]
    unclosed = "• Called\n  └ Coder.coder_report_task(\nb"
    assert rules.clean(unclosed, "") == unclosed


def test_A39_other_types_are_untouched() -> None:
    """Where no block is known to look so, it is text."""
    text = "\n".join(CLAUDE_BLOCK)
    assert CUSTOM.clean(text, "") == text
    assert CUSTOM.hidden(text) == []


def test_N36_further_tools_are_hidden_by_name() -> None:
    """A name given by hand hides that tool's calls, and no other's."""
    rules = rules_of("claude", hide=("add_note",))
    block = ["● notes - add_note (MCP)(text: x)", "  ⎿  Added."]
    other = ["● notes - drop_note (MCP)(text: x)", "  ⎿  Dropped."]
    text = "\n".join(["a", "", *block, "", *other, "", "● b"])
    assert rules.clean(text, "") == "\n".join(["a", "", *other, "", "● b"])
    assert rules.hidden(text) == ["\n".join(block)]
    assert rules_of("custom", hide=("add_note",)).clean(text, "") == text
    codex_text = "• Called notes.add_note\n  └ ok\n\n• b"
    assert rules_of("codex", hide=("add_note",)).clean(codex_text, "") == "• b"


def test_A39_blocks_by_hand() -> None:
    """An end that belongs to the next block does not close this one."""
    block = ToolBlock((re.compile("^start"),), (re.compile("^end"),), open_too=True)
    kept, hidden = hide_tools(["start 1", "", "x", "start 2", "end", "y"], [block])
    assert kept == ["x", "y"]
    assert hidden == ["start 2\nend"]


def test_A25_the_first_message_is_the_whole_screen() -> None:
    """Before a user message nothing was there: the greeting is everything but the box."""
    reply = Reply(CUSTOM)
    assert reply.text(look("", "")) == ""
    assert reply.text(look("", "Hello.", "", "> ", "")) == "Hello."


def test_A28_the_same_look_says_the_same() -> None:
    """The text depends on what is seen, not on how often."""
    reply = Reply(CUSTOM, "hi", look("> "))
    seen = look("> hi", "Hello.", "> ", cursor=(2, 2))
    assert [reply.text(seen) for _ in range(3)] == ["Hello."] * 3


def test_A29_prose_and_tools_are_one_text() -> None:
    """One message a turn: tool output and prose come in the order of the screen."""
    assert (
        said("> hi", "Looking.", "$ ls", "a b", "Two files.", "> ")
        == "Looking.\n$ ls\na b\nTwo files."
    )


def test_N34_a_reply_longer_than_the_screen_is_whole() -> None:
    """3,000 lines through a screen of 20 rows: every line is there, once, in order."""
    lines = [f"line {number}" for number in range(3000)]
    document = ["> hi", *lines]
    reply = Reply(CUSTOM, "hi", look("> ", *[""] * 19))
    shown, text = 0, ""
    for end in range(20, len(document) + 1, 745):
        reply.scrolled(document[shown : end - 20])
        shown = end - 20
        text = reply.text(look(*document[shown:end]))
        assert text.split("\n") == document[1:end]
    reply.scrolled(document[shown:-10])
    assert reply.text(look(*document[-10:], "> ", cursor=(2, 10))).split("\n") == lines
    assert text


@pytest.mark.parametrize("every", [7, 5000])
def test_N34_a_very_long_reply_is_whole(every: int) -> None:
    """Rows that went long ago are kept as text: with blank lines, wrapped lines and a report block among them."""
    head = ["Welcome", "to the", "program"]
    rules = rules_of("codex")
    block = ["• Called Coder.coder_report_task", '  └ {"message": "Thanks for reporting!"}', ""]
    rows, wanted, wrapped = ["\u203a hi", ""], [], set()
    for number in range(2500):
        if number in {700, 2400}:
            rows += block
        wrapped.add(len(rows))
        rows += [f"• half {number} ", "and half", ""]
        wanted += [f"• half {number} and half", ""]
    reply = Reply(rules, "hi", look(*head, "\u203a ask", "", "  footer"))
    rows = [*head, *rows]
    wrapped = {at + len(head) for at in wrapped}
    for at in range(0, len(rows) - 10, every):
        end = min(at + every, len(rows) - 10)
        reply.scrolled(rows[at:end], [row - at for row in wrapped if at <= row < end][:every])
    seen = look(
        *rows[-10:],
        wrapped=frozenset(row - len(rows) + 10 for row in wrapped if row >= len(rows) - 10),
    )
    assert reply.text(seen).split("\n") == wanted[:-1]
    assert len(reply.hidden) == 2


def test_N34_a_redraw_is_not_counted_twice() -> None:
    """A program that clears and prints everything again adds nothing to the reply."""
    head = ["Welcome", "to the", "program", "of ours"]
    reply = Reply(CUSTOM, "hi", look(*head, "> "))
    document = [*head, "> hi", *(f"line {number}" for number in range(30))]
    reply.scrolled(document[:-10])
    whole = reply.text(look(*document[-10:]))
    assert whole.split("\n") == document[5:]
    reply.scrolled([*document[-10:], *document[:-10]])
    assert reply.text(look(*document[-10:])) == whole
    reply.scrolled(document[-10:-9])
    assert reply.text(look(*document[-9:], "more")) == f"{whole}\nmore"


def test_N34_output_that_repeats_the_screen_is_no_redraw() -> None:
    """Showing the same file again is output: without the prompt behind it, it is kept."""
    content = ["alpha", "beta", "gamma", "delta"]
    reply = Reply(CUSTOM, "cat f", look(*content, "$ "))
    rows = [*content, "$ cat f", "first", *content, "$ "]
    reply.scrolled(rows[:2])
    assert reply.text(look(*rows[2:], cursor=(2, 7))).split("\n")[:5] == ["first", *content]


def test_N34_wrapped_rows_are_joined() -> None:
    """A line that the terminal broke is one line again, on the screen and in what scrolled off."""
    assert list(joined(["abc", "def", "g"], {0: 0, 1: 1})) == ["abcdef g"]
    reply = Reply(CUSTOM, "hi", look("> "))
    reply.scrolled(["> hi", "a long li"], {1})
    seen = look("ne that wr", "apped", "next", "> ", cursor=(2, 3), wrapped=frozenset({0}))
    assert reply.text(seen) == "a long line that wrapped\nnext"


def test_D16_no_padding() -> None:
    """Rows come padded to the width; what is said has no blanks at the ends of lines."""
    reply = Reply(CUSTOM, "hi", look("> ".ljust(20)))
    rows = (line.ljust(20) for line in ("> hi", "Hello.", "", "there", "> "))
    assert reply.text(look(*rows, cursor=(2, 4))) == "Hello.\n\nthere"


def test_N34_a_second_screen_that_scrolls_is_followed() -> None:
    """On a screen that drops rows by drawing anew, what was seen before stays part of the reply."""
    lines = [f"line {number}" for number in range(60)]
    reply = Reply(CUSTOM, "hi", look("Header", "> ", alternate=True))
    text = ""
    for end in range(4, 61, 4):
        rows = ["> hi", *lines[:end]][-14:]
        text = reply.text(look("Header", *rows, alternate=True))
    assert text.split("\n") == lines
    jumped = reply.text(look("Header", "far", "away", "now", "here", alternate=True))
    assert jumped.split("\n") == [*lines, GAP, "far", "away", "now", "here"]
    back = reply.text(look("Header", *lines[-13:], "end", alternate=True))
    assert back.split("\n") == [*lines, "end"]


def test_N34_a_prompt_that_stays_on_top_is_not_the_begin_of_all() -> None:
    """Where the prompt stays in view while the reply scrolls below it, the reply is whole all the same."""
    lines = [f"line {number}" for number in range(60)]
    reply = Reply(CUSTOM, "hi", look("> ", alternate=True))
    text = ""
    for end in range(4, 61, 4):
        text = reply.text(look("> hi", "", *lines[:end][-14:], "", alternate=True))
    assert text.split("\n") == lines
    anew = reply.text(look("> hi", "", "other", "words", "now", alternate=True))
    assert anew == "other\nwords\nnow"


def test_D6_the_same_long_reply_again_on_a_second_screen() -> None:
    """A reply like the one before, in view while it comes, is whole to its last line."""
    lines = [f"line {number}" for number in range(60)]
    before = look("Header", "", *lines[-14:], "> ", alternate=True)
    reply = Reply(CUSTOM, "again", before)
    text = ""
    for end in range(0, 61, 4):
        rows = ["line 59", "> again", *lines[:end]][-14:]
        text = reply.text(
            look("Header", "", *rows, "> ", cursor=(2, 2 + len(rows)), alternate=True)
        )
    assert text.split("\n") == lines


@pytest.mark.parametrize("count", [5, 200, 9000])
def test_N34_what_is_erased_and_printed_again_counts_once(count: int) -> None:
    """A program that erases all and prints the whole conversation anew, at each step, adds only what is new."""
    history = ["Welcome", "> first", "answer one", "> hi", "an earlier hi"]
    reply = Reply(CUSTOM, "hi", look(*history, "> "))
    lines = [f"line {number}" for number in range(count)]
    for end in (1, count // 2, count):
        document = [*history, "> hi", *lines[:end], "", "> "]
        reply.erased()
        reply.scrolled(document[:-8])
        seen = look(*document[-8:], cursor=(2, min(len(document), 8) - 1))
        assert reply.text(seen).split("\n") == lines[:end]
        reply.erased()
        assert reply.text(look(*document[:3], cursor=(0, 3))).split("\n") == lines[:end]


def test_N34_the_screen_tells_that_all_was_erased() -> None:
    """Rows that scrolled off before the order to forget them are not told; those after it are."""
    screen = Screen(20, 10)
    numbered = b"\r\n".join(b"row %d" % number for number in range(12))
    fed = screen.feed(numbered + b"\x1b[2J\x1b[3J\x1b[H" + numbered + b"\r\n")
    assert fed.erased
    assert fed.scrolled == ["row 0", "row 1", "row 2"]
    assert fed.replies == b""
    assert not screen.feed(b"\x1b[2J\x1b[J").erased


def test_N34_erased_rows_of_a_long_history_are_not_taken_for_the_reply() -> None:
    """Thousands of rows of earlier turns come before the prompt each time; none of them is said again."""
    history = [f"old {number}" for number in range(6000)]
    reply = Reply(CUSTOM, "hi", look(*history[-5:], "> "))
    document = [*history, "> hi", "short", "> "]
    reply.erased()
    for at in range(0, len(document) - 5, 700):
        reply.scrolled(document[at : min(at + 700, len(document) - 5)])
    assert reply.text(look(*document[-5:], cursor=(2, 4))) == "short"


@given(
    rows=st.lists(st.text(alphabet=" ab>│\u276f") | st.just(BORDER), max_size=12),
    prompt=st.text(alphabet="ab >", max_size=5),
    cursor=st.tuples(st.integers(0, 30), st.integers(0, 14)),
)
def test_A27_any_screen_gives_a_text(rows: list[str], prompt: str, cursor: tuple[int, int]) -> None:
    """Whatever is drawn, cleaning ends, has no blank lines at its ends, and says it again the same."""
    for kind in ("claude", "codex", "opencode", "amp", "custom"):
        reply = Reply(rules_of(kind), prompt, look("> "))
        text = reply.text(look(*rows, cursor=cursor))
        assert trimmed(text.split("\n")) == ([] if not text else text.split("\n"))
        assert reply.text(look(*rows, cursor=cursor)) == text


@pytest.mark.parametrize("turn", turns(), ids=lambda turn: f"{turn.kind}-{turn.screen}")
def test_A25_N35_recorded_turns(turn: Turn) -> None:
    """What each real program showed becomes what it said."""
    reply = Reply(rules_of(turn.kind), turn.user, recorded(turn.kind, turn.before).look)
    if turn.typed:
        reply.typed(recorded(turn.kind, turn.typed).look)
    assert reply.text(recorded(turn.kind, turn.screen).look) == turn.text
    assert len(reply.hidden) == turn.hidden


@pytest.mark.parametrize("turn", turns(), ids=lambda turn: f"{turn.kind}-{turn.screen}")
def test_A26_A27_recorded_turns_by_the_plain_rules(turn: Turn) -> None:
    """The plain composition of the rules, without positions, finds the same text."""
    rules = rules_of(turn.kind)
    old, new = (
        "\n".join(rules.rows(recorded(turn.kind, name).text)) for name in (turn.before, turn.screen)
    )
    assert rules.clean(diff(old, new), turn.user) == turn.text
