"""Passwords: wrong ones take as long as right ones, whoever asks."""

import pytest

from taskyard.control.passwords import (
    _DUMMY,
    hash_password,
    password_matches,
    password_problem,
)

pytestmark = pytest.mark.anyio


async def test_only_the_password_matches() -> None:
    """A hash is matched by its own password and by nothing else."""
    hashed = await hash_password("correct horse")
    assert await password_matches(hashed, "correct horse")
    assert not await password_matches(hashed, "correct house")


async def test_nobody_has_no_password() -> None:
    """Where there is no user nothing matches, and the work is that of any other check."""
    assert not await password_matches(None, "no user has this password")
    made = await hash_password("a password")
    assert _DUMMY.split("$")[:4] == made.split("$")[:4]


@pytest.mark.parametrize(
    "guess",
    [
        *(
            "short",
            "x" * 129,
            "aaaaaaaa",
            "abababab",
            "12345678",
            "1234567890",
            "87654321",
            "abcdefgh",
        ),
        *(
            "password",
            "Password1!",
            "qwerty123",
            "12welcome34",
            "ada-lovelace",
            "AdaLovelace1815",
            "ada.love1",
        ),
        "ada.love@example.com",
    ],
)
async def test_what_is_guessed_first_is_refused(guess: str) -> None:
    """Too short, too long, runs and repeats, common words and one's own names with digits around them."""
    assert password_problem(guess, username="ada-lovelace", email="ada.love@example.com")


@pytest.mark.parametrize(
    "good",
    ["correct horse 1", "a throw-away password", "Zm9vYmFyYmF6", "14159265", "пароль-и-соль"],
)
async def test_what_a_person_makes_up_is_taken(good: str) -> None:
    """Length counts, not which kinds of characters there are."""
    assert password_problem(good, username="ada-lovelace", email="ada.love@example.com") is None
