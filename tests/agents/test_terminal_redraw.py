"""Claude Code's screen drawn anew: what it words otherwise, puts back or leaves out is no answer."""

from taskyard_agent.terminal.reply import Look, Reply
from taskyard_agent.terminal.rules import rules_of


def look(*rows: str, cursor: tuple[int, int]) -> Look:
    return Look(rows, (*cursor, True))


def claude(*said: str, typed: str = "") -> Look:
    """A screen of that program: what was said, the composer, the row below."""
    rows = [*said, "─" * 80, f"\u276f {typed}", "─" * 80, "  ? for shortcuts"]
    return look(*rows, cursor=(2, len(rows) - 3))


def test_N34_a_row_that_reads_otherwise_when_drawn_anew_is_not_new() -> None:
    """What tells how long a turn took has another verb each time; only what follows it is the reply."""
    told = ["\u276f first", "", "● one", "", "✻ {} for 0s", ""]
    before = claude(*(row.format("Brewed") for row in told))
    reply = Reply(rules_of("claude"), "second", before)
    now = [*(row.format("Churned") for row in told), "\u276f second", "", "● two", ""]
    assert reply.text(claude(*now)) == "● two"
    gone = Reply(rules_of("claude"), "second", before)
    gone.scrolled([*(row.format("Cooked") for row in told), *before.rows[-4:]])
    assert gone.text(claude(*now)) == "● two"


def test_N35_a_prompt_that_was_put_back_is_no_reply() -> None:
    """After an interrupt the composer holds the prompt again: nothing was said."""
    told = ["\u276f first", "", "● one", ""]
    before = claude(*told)
    reply = Reply(rules_of("claude"), "delay: 60\nsay: never", before)
    rows = [
        *told,
        "─" * 80,
        "\u276f delay: 60",
        "  say: never",
        "─" * 80,
        "   ctrl+g to edit in Vim",
    ]
    assert reply.text(look(*rows, cursor=(12, 6))) == ""


def test_A38_a_prompt_whose_middle_is_left_out() -> None:
    """What follows the line that stands for the middle is still the echo, up to the prompt's end."""
    lines = [f"line number {count} of it" for count in range(100)]
    reply = Reply(rules_of("claude"), "\n".join(lines), claude())
    rows = [f"\u276f {lines[0]}", *(f"  {line}" for line in lines[1:5])]
    rows += [
        "  ──── (90 lines hidden) " + "─" * 50,
        "   of it",
        *(f"  {line}" for line in lines[96:]),
    ]
    assert reply.text(claude(*rows, "", "● answered", "")) == "● answered"
    assert reply.text(claude(*rows[:-1], "", "● answered", "")) != ""
