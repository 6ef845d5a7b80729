"""Several real servers on one real Postgres, each with a data directory of its own."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg

from taskyard.sdk import Client
from taskyard.sdk.local import LocalServer
from tests.system.kit import World

QUICK = {
    "TASKYARD_RECONCILE_S": "0.2",
    "TASKYARD_STOP_GRACE_S": "2",
    "TASKYARD_STARTER_TEMPLATES": "true",
}
"""Settings of all servers here."""

SHORT_LEASE = {"TASKYARD_AGENT_LEASE_S": "15"}
"""Seconds after which agents of a host that is gone end by themselves, and their tasks say so."""


class Yard:
    """Servers of one database, and its rows."""

    def __init__(self, home: Path, url: str, environment: Mapping[str, str]) -> None:
        self.home = home
        self.url = url
        self.environment = {**QUICK, **environment}
        self._stack = ExitStack()

    def server(self, name: str, *options: str) -> LocalServer:
        """A server of that name, not started."""
        given = [
            "--postgres-url",
            self.url,
            "--secrets-key-file",
            str(self.home / "shared.key"),
            *options,
        ]
        return LocalServer(
            self.home / name,
            options=given,
            log=self.home / f"{name}.log",
            environment=self.environment,
        )

    def started(self, name: str, *options: str) -> LocalServer:
        """The same, which answers; stopped by hand at the end."""
        server = self.server(name, *options)
        server.start()
        self._stack.callback(server.stop)
        return server

    def world(self, server: LocalServer) -> World:
        """What people do by this server, the first of the database."""
        world = World(server)
        self._stack.callback(world.close)
        return world

    def client(self, world: World, server: LocalServer) -> Client:
        """The same person at another server."""
        return self._stack.enter_context(Client(server.url, world.token))

    def host_id(self, name: str) -> str:
        """The id of a server's data directory."""
        return (self.home / name / "deployment_id").read_text().strip()

    def close(self) -> None:
        """Stops all, the last started first, and shows what they logged."""
        try:
            self._stack.close()
        finally:
            for log in sorted(self.home.glob("*.log")):
                print(f"--- {log.name}\n{log.read_text(errors='replace')}")

    async def rows(self, sql: str, *values: object) -> list[asyncpg.Record]:
        """Rows of the database."""
        conn = await asyncpg.connect(self.url)
        try:
            return await conn.fetch(sql, *values)
        finally:
            await conn.close()


@contextmanager
def yard_of(home: Path, url: str, environment: Mapping[str, str]) -> Iterator[Yard]:
    """Servers that end with the block."""
    yard = Yard(home, url, environment)
    try:
        yield yard
    finally:
        yard.close()


def joined(*roles: str) -> Sequence[str]:
    """Options of a server that is one more of a database."""
    return ["--join", *(["--roles", ",".join(roles)] if roles else [])]
