"""A database that nobody has used, and a folder for the servers on it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.servers.kit import Yard, yard_of
from tests.system.kit import open_folder


@pytest.fixture
def shared_database(postgres_url: str) -> Iterator[str]:
    """The address of a database for several servers."""
    name = f"servers_{uuid4().hex}"

    async def run(statement: str) -> None:
        conn = await asyncpg.connect(postgres_url)
        try:
            await conn.execute(statement)
        finally:
            await conn.close()

    asyncio.run(run(f'create database "{name}"'))
    try:
        yield urlsplit(postgres_url)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(run(f'drop database "{name}" with (force)'))


@pytest.fixture
def servers_home() -> Iterator[Path]:
    """Where the servers keep everything; all that has to do with it must have ended."""
    with open_folder() as home:
        yield home


@pytest.fixture
def shared_yard(servers_home: Path, shared_database: str) -> Iterator[Yard]:
    """Servers of this test's own."""
    with yard_of(servers_home, shared_database, {}) as yard:
        yield yard
