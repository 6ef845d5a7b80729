"""What somebody is shown who is attached to a hostile workspace."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import msgspec
import pytest

from taskyard.control.attach import items_of
from tests.effort import costs_at_most

pytestmark = pytest.mark.anyio

ITEM = b'{"seq":1}'
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    """The data in pieces of one size."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def items(data: bytes, size: int) -> list[bytes]:
    """The items that come out."""
    return [bytes(item) async for item in items_of(pieces(data, size))]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
async def test_events_in_any_pieces(end: bytes) -> None:
    """Comments, other fields and items of several lines, with either line end, cut anywhere."""
    lines = [b":", b"id: 1", b"data: " + ITEM, b"", b'data: {"seq":', b"data:2}", b"", b""]
    for size in (1, 2, 3, 1000):
        found = [msgspec.json.decode(item) for item in await items(end.join(lines) + end, size)]
        assert found == [{"seq": 1}, {"seq": 2}]


@pytest.mark.parametrize("bad", [DEEP, b'{"a":"\xff"}', b"[]", b"{", b'"', b"\x00"])
async def test_what_is_no_item_is_passed_over(bad: bytes) -> None:
    """Nests too deep, is no text, is no object: nobody is shown it, and what comes after is."""
    events = b"data: " + bad + b"\n\ndata: " + ITEM + b"\n\n"
    assert await items(events, 65536) == [ITEM]


@pytest.mark.parametrize("drop", [b"a", b"\r\n:", b"data:\n"])
def test_small_pieces_cost_little(drop: bytes) -> None:
    """However a workspace cuts an event that does not end, each byte is looked at once."""

    def cut(count: int) -> None:
        asyncio.run(items(drop * count, len(drop)))

    costs_at_most(40, partial(cut, 100_000), partial(cut, 10_000))  # looked at again it is 100
