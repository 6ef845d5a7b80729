"""NOTIFY as a doorbell: in the transaction, or soon after."""

import asyncio
from contextlib import suppress

import pytest

from taskyard.control.services import Services
from taskyard.db.pool import ring


@pytest.mark.anyio
async def test_rings_are_heard_when_they_should_be(services: Services) -> None:
    """A ring of a transaction comes with its commit, one of a rollback never, and many soon ones as one."""
    heard: list[str] = []
    anything = asyncio.Event()

    def rung(subject: str) -> None:
        heard.append(subject)
        anything.set()

    async def until(subject: str) -> None:
        async with asyncio.timeout(10):
            while subject not in heard:
                anything.clear()
                await anything.wait()

    async with asyncio.TaskGroup() as group, services.doorbell.on("topic", rung):
        running = group.create_task(services.doorbell.run())
        await until("")  # it listens now
        with suppress(ZeroDivisionError):
            async with services.db.transaction() as conn:
                await ring(conn, "topic", "rolled back")
                raise ZeroDivisionError
        async with services.db.transaction() as conn:
            await ring(conn, "topic", "committed")
            assert "committed" not in heard
        await until("committed")
        for _ in range(50):
            services.doorbell.ring_soon("topic", "often")
        services.doorbell.ring_soon("topic", "last")
        await until("last")
        running.cancel()
    assert heard.count("often") == 1
    assert "rolled back" not in heard
