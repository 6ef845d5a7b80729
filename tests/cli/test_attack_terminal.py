"""What a hostile program in a workspace writes to the terminal of whoever is attached to it."""

import re

import pytest

from taskyard.cli.terminal import HELD_BYTES, Filter

COPY = b"52;c;c2VjcmV0"

ATTACKS = (
    # The clipboard, in all the ways to say so.
    b"\x1b]" + COPY + b"\x07", b"\x1b]0" + COPY + b"\x1b\\", b"\x1b]\x00" + COPY + b"\x07", b"\x1b]5\x002;c;?\x07",
    b"\xc2\x9d" + COPY + b"\x07", b"\x1b]" + COPY + b"\xc2\x9c\x07", b"\x1b]1337;Copy=:c2VjcmV0\x07",
    # Put together from what is left when something else is taken out.
    b"\x1b]\x1b[c" + COPY + b"\x07", b"\x1b\x1b[c]" + COPY + b"\x07", b"\x1b]\x1b]\x1b[c\x1b[c" + COPY + b"\x07",
    b"\x1b\xc2\x9d]" + COPY + b"\x07", b"\xc2\xc2\x9d\x9d" + COPY + b"\x07", b"\xc2\x1b[c\x9d" + COPY + b"\x07",
    b"\x1b]0;x\x18\xc2\x9d" + COPY + b"\x07",
    # Answers that would be typed: identity, cursor, modes, checksums, titles, colours, fonts, settings, graphics.
    b"\x1b[6\nn", b"\x1b[0c", b"\x1b[=c", b"\x1b[21t", b"\x1b[021t", b"\x1b[x", b"\x1b[1;1;1;1;1;1*y", b"\x1b[?1;1;0S",
    b"\x1b[?4m", b"\x1b[1$w", b"\x1b[&u", b"\x1bZ", b"\x05", b"\x1b]4;1;?;2;?\x07", b"\x1b]50;?\x07", b"\x1bP$qm\x1b\\",
    b"\x1b_Ga=q,i=1,s=1,v=1;AAAA\x1b\\", b"\x1bP1000p\x1b\\", b"\xc2\x9b6n", b"\xc2\x90$qm\xc2\x9c", b"\x1b]60\x07",
    # Printers, sizes of windows, messages on the desktop, other character sets, other multiplexers.
    b"\x1b[5i", b"\x1b[i", b"\x1b[8;1;1t", b"\x1b[3;0;0t", b"\x1b]9;hello\x07", b"\x1b]777;notify;a;b\x07", b"\x1b%@",
    b"\x1b G", b"\x1bPtmux;\x1b\x1b]" + COPY + b"\x07\x1b\\",
)  # fmt: skip

HARMLESS = (
    b"plain \xe2\x9c\xb3 \xc2\xa0\xc2\xbf \xf0\x9f\x98\x80\r\n\t\x07\x08",
    b"\x1b[1;31m\x1b[38:2::1:2:3m\x1b[0m\x1b[4:3m\x1b[2J\x1b[H\x1b[3;4r\x1b[10G\x1b[1K\x1b[2L\x1b[5X\x1b[3b\x1b[2S",
    b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1003;1006h\x1b[?2026h\x1b[>1u\x1b[<u\x1b[=1;1u\x1b[>4;2m\x1b[2 q\x1b[!p",
    b"\x1b7\x1b8\x1b=\x1b>\x1bM\x1bD\x1bE\x1bc\x1b(B\x1b)0\x1b#8\x1b[22;0t\x1b[23;0t\x1b[s\x1b[u\x1b[1$x",
    b"".join(
        (
            b"\x1b]0;\xe2\x9c\xb3 title\x07\x1b]2;t\x1b\\\x1b]8;id=1;https://x\x1b\\link\x1b]8;;\x07\x1b]9;4;1;50\x07",
            b"\x1b]4;1;rgb:00/00/00\x07\x1b]11;#000000\x07\x1b]104\x07\x1b]111\x07\x1b]133;A\x07",
        )
    ),
)


def shown(stream: bytes, size: int) -> bytes:
    """What comes through when the stream comes in pieces of this size."""
    questions = Filter()
    starts = range(0, len(stream), size)
    return b"".join(questions.feed(stream[start : start + size]) for start in starts)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_answered_copied_or_printed(attack: bytes) -> None:
    """No sequence is left of it, however it is spelled or cut: at most text that means nothing."""
    for size in (1, 2, 3, 5, 8, 1000):
        left = shown(b"a" + attack + b"b", size)
        assert left[:1] + left[-1:] == b"ab"
        assert not re.search(rb"\x1b(?!\\)|\x05|\xc2[\x80-\x9f]", left)


@pytest.mark.parametrize("drawing", HARMLESS)
def test_what_draws_is_untouched(drawing: bytes) -> None:
    """Whatever coding agents draw with comes through byte by byte."""
    for size in (1, 2, 3, 5, 8, 1000):
        assert shown(drawing, size) == drawing


def test_a_flood_of_beginnings_is_bounded() -> None:
    """Sequences that never end, one after the other, are neither kept nor looked at again and again."""
    questions = Filter()
    for _ in range(50):
        questions.feed(b"\x1b]0;" * 4000)
        questions.feed(b"\x1bP" + b"x" * HELD_BYTES)
    assert questions.feed(b"\x1b\\ok").endswith(b"ok")
