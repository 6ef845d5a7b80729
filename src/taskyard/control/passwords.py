"""Passwords: what is accepted, how they are hashed and checked without holding up anybody."""

from functools import partial
from itertools import pairwise

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from taskyard.errors import LoginsBusy

MIN_LENGTH = 8
"""Characters; NIST SP 800-63B's floor for passwords that people choose."""

MAX_LENGTH = 128
"""Characters; longer input only makes work for the hash."""

_COMMON = """
abc access admin administrator asdfghjkl baseball changeme charlie computer default dragon flower football freedom
guest hello iloveyou letmein login master michael monkey passphrase passw password princess qwerty qwertyuiop
qwertz root secret shadow starwars sunshine superman temp test trustno user welcome whatever zxcvbnm
"""
COMMON = frozenset(_COMMON.split())
"""Words that guessers begin with; nothing but digits and signs around one makes it no better."""

HASH_SLOTS = 2
"""Hashes at once: one takes 64 MiB and a quarter of a second of one core."""

MAX_WAITING = 64
"""Sign-ins that wait for a slot at most, which is some eight seconds; who guesses by the thousand waits longer."""

_HASHER = PasswordHasher(parallelism=1)
_LIMITER: list[anyio.CapacityLimiter] = []


def password_problem(password: str, *, username: str, email: str) -> str | None:
    """Why a password is refused, as a sentence; None when it is good."""
    lowered = password.lower()
    if len(password) < MIN_LENGTH:
        return f"use at least {MIN_LENGTH} characters"
    if len(password) > MAX_LENGTH:
        return f"use at most {MAX_LENGTH} characters"
    word = "".join(filter(str.isalpha, lowered))
    names = {username.lower(), email.lower(), email.lower().partition("@")[0]}
    if word in COMMON or lowered in names or _only_letters(names) & {word}:
        return "this is one of the first that anybody would guess"
    if len(set(lowered)) < 3 or _is_run(lowered):
        return "use characters that do not just follow or repeat each other"
    return None


def _only_letters(names: set[str]) -> set[str]:
    """The letters of each name, where it has any."""
    return {word for name in names if (word := "".join(filter(str.isalpha, name)))}


def _is_run(text: str) -> bool:
    """Whether each character follows the one before it, up or down: 12345678 or hgfedcba; 90 counts as 9 and 10."""
    steps = {
        (ord(b) - ord(a)) % 10 if (a + b).isdigit() else ord(b) - ord(a) for a, b in pairwise(text)
    }
    return steps in ({1}, {-1}, {9})


async def hash_password(password: str) -> str:
    """The argon2id hash of a password, in its usual text form."""
    return await anyio.to_thread.run_sync(_HASHER.hash, password, limiter=_limiter())


async def password_matches(password_hash: str | None, password: str) -> bool:
    """Whether the password is right; None is checked as long as any other, so that time tells nothing.

    Raises LoginsBusy when too many are waiting for their turn.
    """
    if _limiter().statistics().tasks_waiting >= MAX_WAITING:
        raise LoginsBusy
    check = partial(_matches, password_hash or _DUMMY, password)
    return await anyio.to_thread.run_sync(check, limiter=_limiter()) and password_hash is not None


def _matches(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except VerificationError:
        return False


def _limiter() -> anyio.CapacityLimiter:
    # A limiter belongs to an event loop, so it is made inside the first one that needs it.
    if not _LIMITER:
        _LIMITER.append(anyio.CapacityLimiter(HASH_SLOTS))
    return _LIMITER[0]


_DUMMY = (
    "$argon2id$v=19$m=65536,t=3,p=1$"
    "8pJntEvy/Y2DYWvYbIpqKg$kx6uN81+slEev9kzuUMJhnm3d9eYgG/PHmeHstJtQpo"
)
"""A hash of what nobody types, of our parameters. Written down, for making it takes as long as a login."""
