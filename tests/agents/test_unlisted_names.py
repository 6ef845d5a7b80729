"""Names that are not listed, on their way from a workspace to its server."""

import asyncio

import pytest

from taskyard_agent.unlisted import KNOWN, PAUSE_S, WAITING, Unlisted
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio


async def test_each_is_told_once_and_none_too_fast() -> None:
    """The first at once, the next after a pause; strange letters are marked, the root is no name."""
    told: list[tuple[str, float]] = []
    clock = asyncio.get_running_loop().time

    async def ask(name: str) -> None:
        told.append((name, clock()))

    names = Unlisted(ask)
    for name in ("a.example", "", "a.example", "b c\r\n\xff"):
        names.add(name)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(names.run())
        async with asyncio.timeout(DEADLINE_S):
            while len(told) < 2:
                await asyncio.sleep(0.01)
        running.cancel()
    assert [name for name, _ in told] == ["a.example", "b?c???"]
    assert told[1][1] - told[0][1] >= PAUSE_S


async def test_a_flood_keeps_nothing_but_its_bounds() -> None:
    """Beyond those that wait none is kept; one that did not fit may come again."""

    async def ask(_: str) -> None:
        raise AssertionError

    names = Unlisted(ask)
    for number in range(2 * KNOWN):
        names.add(f"{number}.example")
    assert names._waiting.qsize() == WAITING
    assert len(names._known) == WAITING
