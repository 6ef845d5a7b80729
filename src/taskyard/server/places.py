"""How much one person follows at once: each log and each workspace is asked for again all the time."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from taskyard.errors import TooManyFollowed

MOST_FOLLOWED = 128
"""Sockets and event streams of one user at once: pages and editors follow a few workspaces, a script some dozens."""

_followed: Counter[UUID] = Counter()


def check_place(user_id: UUID) -> None:
    """Nothing while the user may follow one thing more; else raises TooManyFollowed."""
    if _followed[user_id] >= MOST_FOLLOWED:
        raise TooManyFollowed(MOST_FOLLOWED)


@contextmanager
def place_for(user_id: UUID) -> Iterator[None]:
    """One more thing that the user follows, while it lasts; raises TooManyFollowed."""
    check_place(user_id)
    _followed[user_id] += 1
    try:
        yield
    finally:
        _followed[user_id] -= 1
        if not _followed[user_id]:
            del _followed[user_id]
