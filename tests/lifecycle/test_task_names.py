"""Names made from prompts, and the rules for given ones."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard.lifecycle.names import (
    ADJECTIVES,
    SURNAMES,
    NameRule,
    display_name_violation,
    explain,
    generate_display_name,
    generate_name,
    name_problem,
    name_violation,
)


def made(prompt: str) -> str:
    return generate_name(prompt, suffix="0a9f", fallback="calm-curie")


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("Fix the login page", "fix-the-login-page-0a9f"),
        ("Fix\tthe\n\nlogin   page", "fix-the-login-page-0a9f"),
        ("Count and rank all the words of the tree", "count-and-rank-all-the-0a9f"),
        ("Count and rank all these if you can", "count-and-rank-all-these-if-0a9f"),
        ("x" * 40, "x" * 27 + "-0a9f"),
        ("-- Ünïcode & co. --", "ncode-co-0a9f"),
        ("日本語", "calm-curie-0a9f"),
        ("", "calm-curie-0a9f"),
        ("new", "new-0a9f"),
    ],
)
def test_a_name_is_made_of_the_first_whole_words(prompt: str, name: str) -> None:
    """Section 8.2, steps 1-4: cut at 27, hyphens for blanks, nothing left means two words."""
    assert made(prompt) == name


@given(st.text())
def test_every_made_name_is_a_good_name(prompt: str) -> None:
    """T27: the pattern, at most 32 characters, for any prompt at all."""
    name = made(prompt)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{4}", name)
    assert name_violation(name) is None


def test_every_pair_of_fallback_words_fits() -> None:
    """The caller may pick any two."""
    for adjective in ADJECTIVES:
        for surname in SURNAMES:
            fallback = f"{adjective}-{surname}"
            assert generate_name("", suffix="0000", fallback=fallback) == f"{fallback}-0000"


@pytest.mark.parametrize(
    ("suffix", "fallback"),
    [("0A9F", "a-b"), ("123", "a-b"), ("0a9f", ""), ("0a9f", "a_b"), ("0a9f", "x" * 28)],
)
def test_chance_of_the_wrong_shape_is_a_mistake_of_the_caller(suffix: str, fallback: str) -> None:
    """Four lower-case digits and a name of at most 27 characters."""
    with pytest.raises(ValueError, match="is"):
        generate_name("x", suffix=suffix, fallback=fallback)


@pytest.mark.parametrize(
    ("prompt", "shown"),
    [
        ("fix the login page", "Fix the login page"),
        ("  fix\n\nthe page ", "Fix the page"),
        ("été", "Été"),
        ("ßig", "ßig"),
        (" \n", "Calm curie 0a9f"),
        ("a" * 64, "A" + "a" * 63),
        ("a" * 65, "A" + "a" * 62 + "…"),
        ("word " * 13, "Word" + " word" * 12),
        ("word " * 14, "Word" + " word" * 11 + "…"),
    ],
)
def test_a_display_name_is_the_start_of_the_prompt(prompt: str, shown: str) -> None:
    """T29: whole words, at most 64 characters, a capital first."""
    assert generate_display_name(prompt, "calm-curie-0a9f") == shown


@given(st.text())
def test_every_made_display_name_fits(prompt: str) -> None:
    """At most 64 characters, never empty, no blanks around it."""
    shown = generate_display_name(prompt, "calm-curie-0a9f")
    assert 0 < len(shown) <= 64
    assert shown == shown.strip()


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("a_b", NameRule.MALFORMED),
        ("-a", NameRule.MALFORMED),
        ("a-", NameRule.MALFORMED),
        ("a--b", NameRule.MALFORMED),
        ("a b", NameRule.MALFORMED),
        ("", NameRule.MALFORMED),
        ("name\n", NameRule.MALFORMED),
        ("é", NameRule.MALFORMED),
        ("x" * 33, NameRule.TOO_LONG),
        ("_" * 33, NameRule.TOO_LONG),
        ("new", NameRule.RESERVED),
        ("create", NameRule.RESERVED),
        ("Abc-1", None),
        ("x" * 32, None),
        ("newer", None),
        ("0123456789abcdef0123456789abcdef", None),
    ],
)
def test_a_given_name_breaks_the_first_rule_that_applies(name: str, rule: NameRule | None) -> None:
    """T25, T26, T42: length, then reserved words, then the pattern; upper case is fine."""
    assert name_violation(name) is rule
    assert (name_problem(name) is None) is (rule is None)


def test_a_display_name_is_measured_in_bytes_without_its_blanks() -> None:
    """T30: 64 and blanks around it pass, 65 do not."""
    assert display_name_violation("  " + "x" * 64 + "\n") is None
    assert display_name_violation("x" * 65) is NameRule.DISPLAY_TOO_LONG
    assert display_name_violation("é" * 33) is NameRule.DISPLAY_TOO_LONG


def test_every_rule_has_a_sentence() -> None:
    """A refusal says what a good name looks like."""
    assert len({explain(rule, "x" * 40) for rule in NameRule}) == len(NameRule)
