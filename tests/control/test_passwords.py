"""Passwords: wrong ones take as long as right ones, whoever asks."""

import pytest

from taskyard.control.passwords import _DUMMY, hash_password, password_matches

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
