"""A whole server as a process of its own, with an owner, for tests that ask it as people do."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from taskyard.wire.identity import CreateFirstUserRequest, LoginRequest

OWNER = "ada"
EMAIL = "ada@example.com"
PASSWORD = "a throw-away password"


@dataclass(frozen=True, slots=True)
class Yard:
    """A running server and its owner's token."""

    url: str
    token: str


@contextmanager
def running(postgres_url: str, *options: str) -> Iterator[Yard]:
    """A server on a database of its own; stopped, and its data taken away, at the end."""
    name = f"yard_{uuid4().hex}"
    home = Path(tempfile.mkdtemp(prefix="taskyard-yard-"))
    home.chmod(0o711)
    try:
        asyncio.run(_execute(postgres_url, f'create database "{name}"'))
        url = urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        server = LocalServer(home / "data", options=["--postgres-url", url, *options])
        with server:
            yield Yard(server.url, _first_user(server.url))
    finally:
        asyncio.run(_execute(postgres_url, f'drop database if exists "{name}" with (force)'))
        shutil.rmtree(home, ignore_errors=os.geteuid() != 0)


async def _execute(url: str, sql: str) -> None:
    # In a loop of its own: a fixture of the whole run would make all tests share theirs.
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(sql)
    finally:
        await conn.close()


def _first_user(url: str) -> str:
    request = CreateFirstUserRequest(username=OWNER, email=EMAIL, password=PASSWORD)
    with Client(url) as nobody:
        nobody.create_first_user(request)
        return nobody.login(LoginRequest(email=EMAIL, password=PASSWORD)).session_token
