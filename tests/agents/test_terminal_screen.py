"""The emulator behind its few words: what programs write is what is seen, however it comes. Source: agentapi 13."""

import random
import subprocess
import time
from collections.abc import Callable

import pytest

from taskyard_agent.terminal.queries import HELD_CHARS, Scanner
from taskyard_agent.terminal.screen import Screen

SEED = 20_261_122
FUZZ_S = 1.0
"""Seconds of fuzzing in every run."""

FUZZ_CHUNKS = 200_000
"""Chunks of five sequences in the long run: a million."""

PROMPT_BOX = (
    "\x1b[?2004h\x1b[?25l\x1b[2J\x1b[H\x1b[1;36m✻ Welcome\x1b[0m\r\n"
    "╭──────────────────╮\r\n│ \x1b[7m>\x1b[27m try “edit x.py” │\r\n╰──────────────────╯\r\n"
    "\x1b[2m  ? for shortcuts\x1b[22m\x1b[3A\x1b[5G\x1b[?25h"
).encode()
"""A composer as drawn by a full-screen program."""

SPINNER = b"".join(
    b"\x1b[?2026h\x1b[2K\x1b[1G\x1b[38;5;174m%s Thinking\xe2\x80\xa6 (%ds \xc2\xb7 esc to interrupt)\x1b[39m\x1b[?2026l"
    % (glyph.encode(), count)
    for count, glyph in enumerate("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" * 4)
)
"""A line that is drawn over and over."""

EDITOR = (
    b"\x1b[?1049h\x1b[1;10r\x1b[H"
    + b"".join(b"\x1b[32mdef\x1b[m f%d():\x1b[K\r\n" % n for n in range(30))
    + b"\x1b[5;1H\x1b[3L\x1b[2M\x1b[r\x1b[10;1H\x1b[7m-- INSERT --\x1b[m\x1b[4;9H\x1b[3P\x1b[2@xy"
)
"""A scrolling region with rows put in and taken out."""

WIDE = "日本語のテキスト 完了 ✅ 🇪🇺 ❤️ 👨‍👩‍👧‍👦 été — ✓ ü\r\n".encode() * 20
LISTING = "".join(f"\x1b[01;34mfolder-{n}\x1b[0m {'x' * (n % 97)}\r\n" for n in range(400)).encode()
ASKING = b"\x1b]0;title \xe2\x9c\xb3\x07ab\x1b[6n\x1b]9;4;1;30\x1b\\cd\x1b[5n\x1b[c\x07e\x1bP1$r0m\x1b\\f\x1b[>4;2m"

RECORDINGS = {
    "box": PROMPT_BOX,
    "spinner": SPINNER,
    "editor": EDITOR,
    "wide": WIDE,
    "listing": LISTING,
    "asking": ASKING,
    "all": PROMPT_BOX + SPINNER + WIDE + LISTING + EDITOR + ASKING,
}


def fed(screen: Screen, data: bytes, size: int) -> tuple[list[str], bytes]:
    """Rows that scrolled off, and answers, of data in pieces of a size."""
    scrolled: list[str] = []
    replies = b""
    for start in range(0, len(data), size):
        done = screen.feed(data[start : start + size])
        scrolled += done.scrolled
        replies += done.replies
    return scrolled, replies


@pytest.mark.parametrize("name", RECORDINGS)
def test_N22_N23_pieces_of_any_size_show_the_same(name: str) -> None:
    """The same output in pieces of 1, 7 and 4,096 bytes gives the same rows, cursor, answers and modes."""
    seen = []
    for size in (1, 7, 4096):
        screen = Screen(40, 12)
        told = fed(screen, RECORDINGS[name], size)
        seen.append((told, screen.view(), screen.cursor(), screen.shown(), screen.modes))
    assert seen[0] == seen[1] == seen[2]


def test_N22_a_real_program_is_drawn_the_same_in_any_pieces() -> None:
    """What a real pager of colours writes does not depend on how it is cut."""
    data = subprocess.run(
        ["ls", "-la", "--color=always", "/usr/bin", "/etc"], capture_output=True, check=False
    ).stdout.replace(b"\n", b"\r\n")[:60_000]
    screens = [Screen(80, 24) for _ in range(3)]
    told = [fed(one, data, size) for one, size in zip(screens, (1, 7, 4096), strict=True)]
    assert told[0] == told[1] == told[2]
    assert screens[0].view() == screens[1].view() == screens[2].view()


@pytest.mark.parametrize(
    "text",
    [
        "Done ❤️ all tests pass",
        "👨‍👩‍👧‍👦 family",
        "日本語 と 한국어 と 中文",
        "a\u200bb zero width",
        "नमस्ते दुनिया",
        "ภาษาไทย",
        "🇪🇺 flag, 👍🏽 tone",
        "ﷺ שלום",
        "“quotes” — … ✓ ✗",
        "café e\u0301te\u0301",
    ],
)
def test_N22_no_character_is_lost(text: str) -> None:
    """Whatever people write, all of it is on the screen, and what follows it too."""
    screen = Screen(80, 10)
    screen.feed(text.encode() + b"|end\r\n")
    assert screen.rows()[0].replace("e\u0301", "é") == text.replace("e\u0301", "é") + "|end"


def test_N23_decomposed_letters_are_one_cell() -> None:
    """A letter with a mark behind it takes the cell of the letter alone."""
    screen = Screen(20, 10)
    screen.feed("e\u0301te\u0301|".encode())
    assert (screen.rows()[0], screen.cursor()[0]) == ("été|", 4)


def test_N23_bytes_that_are_no_text_are_replaced() -> None:
    """Bad bytes show as a mark, also when a piece ends inside a character."""
    screen = Screen(20, 10)
    screen.feed(b"a\xffb\xe2\x9c")
    screen.feed(b"\x93c\xe2\x9c")
    screen.feed(b"d")
    assert screen.rows()[0] == "a\ufffdb✓c\ufffdd"


def test_N23_the_second_screen_is_the_one_that_is_read() -> None:
    """While a program shows its second screen, that one is seen; then the first one is back."""
    screen = Screen(20, 10)
    screen.feed(b"shell\r\n\x1b[?1049h\x1b[Heditor")
    assert (screen.alternate, screen.rows()[0]) == (True, "editor")
    screen.feed(b"\x1b[?1049l")
    assert (screen.alternate, screen.rows()[0]) == (False, "shell")


@pytest.mark.parametrize(("asked", "size"), [((1, 1), (10, 10)), ((9_999, 9_999), (500, 2_000))])
def test_N23_a_screen_has_a_sensible_size(asked: tuple[int, int], size: tuple[int, int]) -> None:
    """Never so small that the emulator fails, never so large that it takes all memory."""
    screen = Screen(*asked)
    assert (screen.size, len(screen.view())) == (size, size[1])
    screen.resize(*asked)
    assert (screen.size, len(screen.view()[0])) == (size, size[0])


class _Broken:
    """Stands where the emulator does, and panics as that does."""

    class PanicError(BaseException):
        pass

    def feed_str(self, text: str) -> None:
        raise self.PanicError(text)

    def resize(self, cols: int, rows: int) -> None:
        raise self.PanicError(cols, rows)


def test_N23_a_panic_costs_the_screen_only() -> None:
    """What breaks the emulator is counted as lost; the next output is drawn on a new screen."""
    screen = Screen(20, 10)
    screen.feed(b"old\x1b[?2026h")
    object.__setattr__(screen, "_vt", _Broken())
    assert (screen.feed(b"12345").lost, screen.synchronized) == (5, False)
    assert (screen.feed(b"new").lost, screen.rows()[0]) == (0, "new")
    object.__setattr__(screen, "_vt", _Broken())
    screen.resize(30, 10)
    assert len(screen.view()[0]) == 30


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (b"\x1b[5n", b"\x1b[0n"),
        (b"ab\r\ncd\x1b[6n\r\nef", b"\x1b[2;3R"),
        (b"ab\x1b[?6n", b"\x1b[?1;3R"),
        (b"x" * 20 + b"\x1b[6n", b"\x1b[1;20R"),
        (b"\x1b[c", b"\x1b[?1;2c"),
        (b"\x1b[>c", b"\x1b[>0;10;1c"),
        (b"\x1b[>q", b"\x1bP>|taskyard\x1b\\"),
        (b"\x1b]10;?\x07", b"\x1b]10;rgb:ffff/ffff/ffff\x07"),
        (b"\x1b]11;?\x1b\\", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
        (b"\x1b[?u", b"\x1b[?0u"),
        (b"\x1b[?2026$p", b"\x1b[?2026;0$y"),
        (b"\x1b[20$p", b"\x1b[20;0$y"),
        (b"\x1b[H\x1b[6n\x1b[5;5H\x1b[6n", b"\x1b[1;1R\x1b[5;5R"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 4096])
def test_A17_N24_questions_are_answered(asked: bytes, answer: bytes, size: int) -> None:
    """Each question of a program gets its answer, with the cursor where it stood when asked."""
    assert fed(Screen(20, 10), asked, size)[1] == answer


def test_N24_what_is_no_question_gets_no_answer() -> None:
    """Keyboard modes of other terminals are neither answered nor taken for cursor movements."""
    screen = Screen(20, 10)
    assert fed(screen, b"abc\x1b[>1u\x1b[<u\x1b[=0;1u\x1b[1nxyz\x1b[u", 4096)[1] == b""
    assert screen.rows()[0].startswith("abcxyz")


def test_N24_modes_title_progress_and_bell() -> None:
    """What a program tells its terminal is known, and a full reset takes the modes back."""
    screen = Screen(20, 10)
    screen.feed("\x1b[?2004;1049h\x1b[?2026h\x1b]2;✳ Claude\x1b\\\x07\x1b]9;4;1;50\x07".encode())
    assert (screen.bracketed_paste, screen.alternate, screen.synchronized) == (True, True, True)
    assert (screen.title, screen.progress, screen.modes.bells) == ("✳ Claude", "1;50", 1)
    screen.feed(b"\x1b[?2026l\x1b]9;4;0;\x07\x1bc")
    assert (screen.bracketed_paste, screen.alternate, screen.synchronized) == (False, False, False)
    assert (screen.title, screen.progress) == ("✳ Claude", "")


def test_N24_an_endless_title_holds_nothing_up() -> None:
    """A sequence that never ends is not kept for ever, and answers cannot pile up."""
    scanner = Scanner()
    drawn = sum(len(piece) for _ in range(20) for piece, _ in scanner.scan("\x1b]0;" + "x" * 4096))
    assert drawn >= 20 * 4100 - HELD_CHARS
    assert len(Screen(20, 10).feed(b"\x1b[6n" * 50_000).replies) < 5_000


def test_N22_rows_that_scroll_off_and_rows_that_go_on() -> None:
    """Nothing that leaves the top is lost, and it is known which rows are one line."""
    screen = Screen(10, 10)
    done = screen.feed(b"0123456789abc\r\nq\r\n" * 6)
    assert done.scrolled == ["0123456789", "abc", "q"] * 3
    assert done.wrapped == {0, 3, 6}
    assert screen.shown()[1] == {0, 3, 6}
    assert [screen.wrapped(row) for row in range(3)] == [True, False, False]


def test_N34_lines_are_whole_again() -> None:
    """Rows that one line was broken into give that line: with its blanks, without those of the screen."""
    screen = Screen(10, 10)
    screen.feed("word word word\r\n123456789日本\r\n".encode())
    rows, wrapped = screen.shown()
    assert ["".join(rows[:2]), "".join(rows[2:4])] == ["word word word", "123456789日本"]
    assert wrapped == {0, 2}


@pytest.mark.parametrize(("text", "goes_on"), [("x" * 9 + "⏎", False), ("x" * 9 + "⏎y", True)])
def test_N22_a_row_that_ends_in_a_return_sign_goes_on_only_if_it_does(
    text: str,
    *,
    goes_on: bool,
) -> None:
    """A character that looks like the mark of a wrapped row is not taken for one."""
    screen = Screen(10, 10)
    screen.feed(text.encode())
    assert screen.wrapped(0) is goes_on


def random_sequence(chance: random.Random) -> bytes:
    """One thing that a program, or a broken one, may write."""
    number = chance.randrange(0, 70_000) if chance.random() < 0.1 else chance.randrange(0, 100)
    match chance.randrange(6):
        case 0:
            final = chr(chance.randrange(0x40, 0x7F))
            private = chance.choice(["", "?", ">", "=", "<", "!"])
            return f"\x1b[{private}{number};{chance.randrange(100)}{final}".encode()
        case 1:
            return b"\x1b" + bytes([chance.randrange(0x20, 0x7F)])
        case 2:
            return f"\x1b]{chance.choice(['0', '2', '9', '10', '52'])};{number}".encode() + (
                chance.choice([b"\x07", b"\x1b\\", b""])
            )
        case 3:
            return chance.randbytes(chance.randrange(1, 12))
        case 4:
            text = "".join(chr(chance.choice([chance.randrange(32, 0xD7FF), 0x1F468, 0x200D])) for _ in range(6))  # fmt: skip
            return text.encode()
        case _:
            return bytes([chance.randrange(0, 32)])


def fuzz(seed: int, chunks: int, seconds: float) -> int:
    """Chunks that were fed until either ran out; the screen holds what it promises after each."""
    chance = random.Random(seed)
    screen = Screen(80, 24)
    until = time.monotonic() + seconds
    count = 0
    while count < chunks and time.monotonic() < until:
        count += 1
        done = screen.feed(b"".join(random_sequence(chance) for _ in range(5)))
        column, row, _ = screen.cursor()
        assert 0 <= column < screen.size[0]
        assert 0 <= row < screen.size[1]
        assert done.lost == 0
        if count % 50 == 0:
            screen.resize(chance.randrange(1, 200), chance.randrange(1, 100))
            assert len(screen.view()) == screen.size[1]
    return count


def test_N23_fuzz(figure: Callable[[str], None]) -> None:
    """Random sequences never break the screen; the count and the seed are printed."""
    figure(f"{fuzz(SEED, FUZZ_CHUNKS, FUZZ_S)} chunks of 5 sequences, seed {SEED}")


@pytest.mark.all_tier
def test_N23_long_fuzz(figure: Callable[[str], None]) -> None:
    """A million random sequences never break the screen."""
    seed = random.randrange(1 << 32)
    figure(f"seed {seed}")
    assert fuzz(seed, FUZZ_CHUNKS, 600.0) == FUZZ_CHUNKS


def test_N23_resize_storm() -> None:
    """Five hundred changes of the size, with output between them, leave a screen that works."""
    chance = random.Random(SEED)
    screen = Screen(80, 24)
    for _ in range(500):
        screen.resize(chance.randrange(1, 300), chance.randrange(1, 120))
        assert screen.feed(WIDE[:200] + b"\r\n" + LISTING[:500]).lost == 0
        assert len(screen.view()) == screen.size[1]
    screen.feed(b"\x1b[2J\x1b[Hfine")
    assert screen.rows()[0] == "fine"
