"""Patterns of templates: the syntax of RE2, and time that no pattern and no value can waste."""

import time

import pytest

from taskyard.lifecycle.parameter import MAX_REGEX_CHARS
from taskyard.lifecycle.pattern import PatternInvalid, check_pattern, found_in

SLOW_S = 1.0
"""Seconds that no match takes, on a machine that does much else; an engine that backtracks takes days."""


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        (r"^\d+$", "12", True),
        (r"(?i)^MAIN$", "main", True),
        ("^[[:alpha:]]+$", "abc", True),
        (r"^\p{L}+$", "größe", True),
        (r"^.$", "\N{SNOWMAN}", True),
        ("", "", True),
    ],
)
def test_a_pattern_is_searched_for(*, pattern: str, text: str, expected: bool) -> None:
    """Anywhere in the text unless it is anchored, letters and not bytes. Source: S12."""
    assert found_in(pattern, text) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "(?=a)",
        r"(a)\1",
        "a{1001}",
        "((a{100}){100}){100}",
        "((a?){500}){3}b",
        "x" * 1001,
        "[\ud800]",
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    """What RE2 lacks, what is too long, and what becomes too large."""
    with pytest.raises(PatternInvalid) as caught:
        check_pattern(pattern)
    assert str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "^(a+)+$",
        "^(a|aa)+$",
        "(.*)(.*)(.*)(.*)(.*)[^a]$",
        "(a?){450}b",
        "((((a{1,30}){1,10}){1,3})y)|z$",
        r"\pL*[ab]{0,40}c",
    ],
)
def test_no_pattern_takes_long(pattern: str) -> None:
    """The longest value that is tried, of what makes other engines think for ever."""
    text = "a" * (MAX_REGEX_CHARS - 1) + "!"
    began = time.perf_counter()
    found_in(pattern, text)
    assert time.perf_counter() - began < SLOW_S
