"""`taskyard server forget-secrets`, and a server that finds another key than its database knows."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

from tests.cli.conftest import DEADLINE_S, Program


@dataclass(frozen=True)
class Spot:
    """Where a server keeps everything."""

    data: Path
    url: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The options that say so."""
        return ("--data-dir", str(self.data), "--postgres-url", self.url)


@pytest.fixture
def spot(postgres_url: str) -> Iterator[Spot]:
    """A data directory and a database of this test's own."""
    name = f"forget_{uuid4().hex}"
    home = Path(tempfile.mkdtemp(prefix="taskyard-forget-"))
    home.chmod(0o711)
    asyncio.run(_execute(postgres_url, f'create database "{name}"'))
    try:
        yield Spot(home / "data", urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}")))
    finally:
        asyncio.run(_execute(postgres_url, f'drop database "{name}" with (force)'))
        shutil.rmtree(home, ignore_errors=os.geteuid() != 0)


async def _execute(url: str, sql: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(sql)
    finally:
        await conn.close()


def test_a_lost_key_is_told_of_and_given_up(stranger: Program, spot: Spot) -> None:
    """A server with another key ends with the file's name; forget-secrets, which asks first, lets it begin anew."""
    assert stranger("server", "create-admin", *spot.flags).status == 0
    known = "insert into secret_key (key_id, claimed_at) values ('0123456789abcdef', now())"
    asyncio.run(_execute(spot.url, known))
    key = spot.data / "secrets.key"
    missing = stranger("server", *spot.flags, "--port", "0")
    assert (missing.status, missing.out) == (1, "")
    assert str(key) in missing.err
    assert "forget-secrets" in missing.err
    assert not key.exists()
    assert stranger("server", "forget-secrets", *spot.flags, stdin="n\n").status != 0
    assert "secrets removed: 0" in stranger.good("server", "forget-secrets", *spot.flags, "--yes")
    with stranger.started("server", *spot.flags, "--port", "0", "--roles", "api") as running:
        assert running.stdout is not None
        assert running.stdout.readline().startswith("ready ")
        assert key.stat().st_mode & 0o777 == 0o600
        running.terminate()
        assert running.wait(DEADLINE_S) == 0
