"""`python -m bench.served URL`: the API on a database, and nothing else; prints its port.

`/floor` is what a read cannot be cheaper than: one round trip to Postgres behind a handler that does nothing.
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from uuid import uuid4

import structlog
import uvloop
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from taskyard.config import Settings
from taskyard.control.links import Links
from taskyard.control.services import Services
from taskyard.daemon.listen import Listener, listen_tcp
from taskyard.db.pool import Database, Doorbell
from taskyard.server.app import build_app
from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.wire.routes import ROUTES


class _WithFloor:
    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/floor":
            await self._app(scope, receive, send)
            return
        async with self._database.connection() as conn:
            await conn.fetchrow("select 1")
        await Response(b"1")(scope, receive, send)


async def _main(url: str) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
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
    )
    app = _WithFloor(build_app(services, ROUTES, HANDLERS, SOCKETS), database)
    listening = listen_tcp("127.0.0.1", 0)
    print(listening.getsockname()[1], flush=True)
    await Listener(app).serve([listening])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(sys.argv[1]))
