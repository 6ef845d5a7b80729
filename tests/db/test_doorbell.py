"""NOTIFY as a doorbell: in the transaction, or soon after."""

import asyncio
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

import pytest

from taskyard.control.services import Services
from taskyard.db.pool import Doorbell, ring
from tests.waiting import DEADLINE_S


@pytest.mark.anyio
async def test_rings_are_heard_when_they_should_be(services: Services) -> None:
    """A ring of a transaction comes with its commit, one of a rollback never, and many soon ones as one."""
    heard: list[str] = []
    anything = asyncio.Event()

    def rung(subject: str) -> None:
        heard.append(subject)
        anything.set()

    async def until(subject: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
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
        asyncio.timeout(DEADLINE_S),
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


LAST_WORDS = b"SFATAL\0VFATAL\0C57P01\0Mit ends\0\0"
"""Fields of what Postgres says to each connection when it ends."""


class Between:
    """A socket in front of Postgres, from where it may say its last words without hanging up."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._clients: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Passes on what both sides say."""
        with suppress(OSError):
            answers, asks = await asyncio.open_unix_connection(self._socket)
            self._clients.append(writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, asks))
                group.create_task(self._pass(answers, writer))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await source.read(4096):
                target.write(piece)
        target.close()

    def say_last_words(self) -> None:
        """To everybody who is connected."""
        for client in self._clients:
            client.write(b"E" + (len(LAST_WORDS) + 4).to_bytes(4) + LAST_WORDS)


@pytest.mark.anyio
async def test_a_ring_while_the_connection_ends(services: Services, tmp_path: Path) -> None:
    """Postgres said that it ends and has not hung up: what is to be rung then is rung on the next connection."""
    address = urlsplit(services.db.url)
    folder = dict(parse_qsl(address.query))["host"]
    between = Between(f"{folder}/.s.PGSQL.5432")
    heard: asyncio.Queue[str] = asyncio.Queue()
    server = await asyncio.start_unix_server(between.serve, tmp_path / ".s.PGSQL.5432")
    bell = Doorbell(services.db.url.replace(quote(folder, safe=""), quote(str(tmp_path), safe="")))
    async with (
        asyncio.timeout(DEADLINE_S),
        asyncio.TaskGroup() as group,
        bell.on("topic", heard.put_nowait),
    ):
        running = group.create_task(bell.run())
        assert await heard.get() == ""
        between.say_last_words()
        bell.ring_soon("topic", "late")
        assert await heard.get() == ""
        assert await heard.get() == "late"
        running.cancel()
    server.close()
