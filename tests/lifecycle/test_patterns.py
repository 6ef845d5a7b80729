"""Patterns of templates: the syntax of RE2, and time that no pattern and no value can waste."""

from collections import deque
from functools import partial

import pytest

from taskyard.lifecycle.parameter import MAX_REGEX_CHARS
from taskyard.lifecycle.pattern import MAX_PATTERN_STEPS, PatternInvalid, check_pattern, found_in
from tests.effort import costs_at_most

MOST_TIMES = 4
"""What a match costs at most, in loops of as many rounds as the pattern may have steps for each character of the
text; the dearest costs two thirds of one."""

LENGTHS = (20, 26, 64, 256, MAX_REGEX_CHARS)
"""Characters of the texts: an engine that backtracks fails at one of the short ones, and not days later."""


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
    """Up to the longest value that is tried, of what makes other engines think for ever: time grows as the value."""
    for length in LENGTHS:
        text = "a" * (length - 1) + "!"
        rounds = range(length * MAX_PATTERN_STEPS)
        costs_at_most(MOST_TIMES, partial(found_in, pattern, text), partial(deque, rounds, 0))
