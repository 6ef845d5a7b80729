"""`python -m bench.served URL`: the API on a database, and nothing else; prints its port.

`/floor/one` and `/floor/list` are the statements of a read without what is around them. `/emit` stores an item as an
agent's would be; `/fan?NAME` is a stream that does nothing but tell when `/fan-out?NAME` is called.
"""

import asyncio
import base64
import logging
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import asyncpg
import structlog
import uvloop
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.floors import Floors
from taskyard.config import Settings
from taskyard.control.actors import AgentActor
from taskyard.control.links import Links
from taskyard.control.services import Services
from taskyard.control.transcript import store_items
from taskyard.control.vault import Vault
from taskyard.daemon.guard import raise_file_limit
from taskyard.daemon.listen import Listener, listen_tcp
from taskyard.db.pool import Database, Doorbell
from taskyard.server.app import build_app
from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.server.page import Site, load_files
from taskyard.wire.link import ItemKind, SentItem
from taskyard.wire.routes import ROUTES

EVENT = b'event: item\nid: 1.1\ndata: {"number":1,"kind":"thought","data":{"text":"something"}}\n\n'


class _WithFloor:
    def __init__(self, app: ASGIApp, services: Services, floors: Floors) -> None:
        self._app = app
        self._floors = floors
        self._services = services
        self._fanned: dict[bytes, asyncio.Event] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["path"]:
            case "/floor":
                async with self._services.db.connection() as conn:
                    await conn.fetchrow("select 1")
                await Response(b"1")(scope, receive, send)
            case "/floor/one" | "/floor/list" as path:
                floor = self._floors.one if path == "/floor/one" else self._floors.list
                await Response(await floor(_key(scope), scope["query_string"]))(
                    scope, receive, send
                )
            case "/emit":
                await self._emit(UUID(parse_qs(scope["query_string"].decode())["task"][0]))
                await Response(b"1")(scope, receive, send)
            case "/fan-out":
                self._fanned.pop(scope["query_string"], asyncio.Event()).set()
                await Response(b"1")(scope, receive, send)
            case "/fan":
                await self._fan(scope["query_string"], send)
            case _:
                await self._app(scope, receive, send)

    async def _fan(self, name: bytes, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        part = b": hello\n\n"
        while True:
            await send({"type": "http.response.body", "body": part, "more_body": True})
            await self._fanned.setdefault(name, asyncio.Event()).wait()
            part = EVENT

    async def _emit(self, task_id: UUID) -> None:
        services = self._services
        async with services.db.connection() as conn:
            row = await conn.fetchrow(
                "select w.id, w.generation, w.acked_seq from tasks t join workspaces w on w.id = t.workspace_id"
                " where t.id = $1",
                task_id,
            )
        assert row is not None
        actor = AgentActor(uuid4(), row["id"], uuid4(), row["generation"], task_id)
        now = services.now()
        item = SentItem(row["acked_seq"] + 1, now, 1, ItemKind.THOUGHT, b'{"text":"something"}')
        await store_items(services, actor, [item], now)


def _key(scope: Scope) -> str:
    """The token that a request came with."""
    found: bytes = dict(scope["headers"])[b"coder-session-token"]
    return found.decode()


def _vault(folder: str) -> Vault:
    """A vault with a key of no importance, for answers that are kept sealed."""
    path = Path(folder) / "secrets.key"
    path.write_bytes(base64.b64encode(bytes(32)))
    return Vault(path)


async def _main(url: str, folder: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    raise_file_limit()
    database = Database(url)
    await database.open()
    services = Services(
        settings=Settings(data_dir="/nonexistent"),
        db=database,
        doorbell=Doorbell(url),
        links=Links(),
        server_id=uuid4(),
        deployment_id=uuid4(),
        now=lambda: datetime.now(UTC),
        vault=_vault(folder),
    )
    site = Site(services, load_files())
    pool = await asyncpg.create_pool(url)
    app = _WithFloor(
        build_app(services, ROUTES, HANDLERS, SOCKETS, site=site), services, Floors(pool)
    )
    listening = listen_tcp("127.0.0.1", 0)
    print(listening.getsockname()[1], flush=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(services.doorbell.run())
        await Listener(app).serve([listening])


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as home,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(_main(sys.argv[1], home))
