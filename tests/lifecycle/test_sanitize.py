"""What is left of a status message before it is shown."""

import pytest

from taskyard.lifecycle.sanitize import cut_to_bytes, sanitize_message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>hi</b>\n there ", "hi there"),
        ("plain", "plain"),
        ("", ""),
        (" \t\r\n ", ""),
        ("a\n\n\tb\u2003c", "a b c"),
        ("a\0b\x07c\u200bd", "abcd"),
        ("naïve 字 \U0001f600", "naïve 字 \U0001f600"),
    ],
)
def test_T148_one_clean_line(text: str, shown: str) -> None:
    """Tags and unprintable characters go, every run of whitespace becomes one blank, both ends are trimmed."""
    assert sanitize_message(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (r"a\nb\tc", "a b c"),
        (r"say \"hi\" \\ there", 'say "hi" \\ there'),
        (r"\u00e9\U0001F600\x41\101", "é\U0001f600AA"),
        (r"\xc3\xa9", "é"),
        (r"\x1b[31mred\x1b[0m", "red"),
        (r"\u003cb\u003ebold\u003c/b\u003e", "bold"),
        (r"a\\nb", r"a\nb"),
    ],
)
def test_T148_escapes_are_resolved_first(text: str, shown: str) -> None:
    """A text that could stand between double quotes has its escapes resolved, before anything else."""
    assert sanitize_message(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        r"C:\users\new",
        r"a\qb",
        r"\ud800",
        r"\U00110000",
        r"\x4",
        r"\400",
        "tail\\",
        r'a\nb"c',
    ],
)
def test_T148_what_is_no_quoted_text_keeps_its_backslashes(text: str) -> None:
    """One wrong escape or a bare quote, and every backslash means itself."""
    assert sanitize_message(text) == text


def test_T148_a_line_end_keeps_its_backslashes() -> None:
    """A text of two lines cannot stand between quotes, so nothing of it is an escape."""
    assert sanitize_message("a\\tb\nc") == r"a\tb c"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<p class='x'>a</p>", "a"),
        ("a<br/>b", "ab"),
        ("<script>alert(1)</script>ok", "ok"),
        ("<STYLE type=x>p {}\n</style >ok", "ok"),
        ("x<iframe src=y>inside", "x"),
        ("a<!-- no\n -->b<!-- open", "ab"),
        ("<!doctype html><?xml x?>a", "a"),
        ("1 < 2 && 3 > 2", "1 < 2 && 3 > 2"),
        ("a & b 'c'", "a & b 'c'"),
        ("x <- y", "x <- y"),
        ("<3", "<3"),
    ],
)
def test_T148_tags(text: str, shown: str) -> None:
    """Tags and comments go, script, style and iframe with what is in them; signs that mean themselves stay."""
    assert sanitize_message(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[1;31mred\x1b[0m",
        "\x1b]0;title\x07red",
        "\x1b]8;;http://x\x1b\\red\x1b]8;;\x1b\\",
        "\x1bPq#0\x1b\\ red",
        "\x1b(Bred\x1b=",
        "\x1b[?25lred\x1b[K",
    ],
)
def test_T148_control_sequences(text: str) -> None:
    """What a terminal would obey is not shown."""
    assert sanitize_message(text) == "red"


@pytest.mark.parametrize(
    ("size", "kept"), [(0, ""), (1, ""), (2, ""), (3, "€"), (5, "€"), (6, "€€"), (9, "€€")]
)
def test_texts_are_cut_between_characters(size: int, kept: str) -> None:
    """A limit in bytes never leaves half a character."""
    assert cut_to_bytes("€€", size) == kept
