"""Memory for bodies of requests that are on their way: slow senders of large ones share what there is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from taskyard.errors import ServerBusy

SMALL_BYTES = 64 * 1024
"""Bytes of each body that are always taken, so that whoever sends large ones keeps nobody from usual requests."""

ALL_BYTES = 512 * 1024 * 1024
"""Bytes of all bodies together beyond those: five of the largest archives."""

_held_bytes = 0


@contextmanager
def room_for_body() -> Iterator[Callable[[int], None]]:
    """A function to call with the size of a body so far, which raises ServerBusy when there is no room for it."""
    mine = 0

    def hold(size: int) -> None:
        nonlocal mine
        global _held_bytes  # noqa: PLW0603 - memory is of the process, whatever applications run in it
        wanted = max(0, size - SMALL_BYTES)
        if _held_bytes + wanted - mine > ALL_BYTES:
            raise ServerBusy
        _held_bytes += wanted - mine
        mine = wanted

    try:
        yield hold
    finally:
        hold(0)
