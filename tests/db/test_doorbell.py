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


@pytest.mark.anyio
async def test_rings_are_heard_again_after_the_connection_was_lost(services: Services) -> None:
    """Whoever waits is rung once for what it may have missed, then for each ring as before."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    listening = "select pid from pg_stat_activity where query like 'LISTEN%' and datname = current_database()"

    async with (
        asyncio.timeout(10),
        asyncio.TaskGroup() as group,
        services.doorbell.on("topic", heard.put_nowait),
    ):
        running = group.create_task(services.doorbell.run())
        assert await heard.get() == ""
        async with services.db.connection() as conn:
            await conn.execute(f"select pg_terminate_backend(pid) from ({listening}) as one")
            assert await heard.get() == ""
            for subject in ("one", "two"):
                await ring(conn, "topic", subject)
                assert await heard.get() == subject
                services.doorbell.ring_soon("topic", f"{subject} soon")
                assert await heard.get() == f"{subject} soon"
        running.cancel()
