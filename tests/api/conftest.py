"""The whole HTTP edge over a real socket: uvicorn in the test's own loop, a client, a seeded database."""

import asyncio
import contextlib
import importlib
import pkgutil
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
import uvicorn
from starlette.types import ASGIApp

import taskyard.server
from taskyard.control.services import Services
from taskyard.server.app import build_app
from taskyard.server.call import Handler, SocketHandler
from taskyard.wire.routes import ROUTES
from tests.api.seed import Api, connected
from tests.compatibility import noted


class _Server(uvicorn.Server):
    """A server that leaves the signals of the process to the test runner, and stops without waiting for a tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends as uvicorn does, less the tenth of a second that it always waits."""
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1):
                while self.server_state.connections or self.server_state.tasks:
                    await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def handlers() -> tuple[dict[str, Handler], dict[str, SocketHandler]]:
    """Every handler that the modules of the edge export."""
    found: dict[str, Handler] = {}
    sockets: dict[str, SocketHandler] = {}
    for info in pkgutil.iter_modules(taskyard.server.__path__):
        if info.name == "handlers":
            continue
        module = importlib.import_module(f"taskyard.server.{info.name}")
        found |= getattr(module, "HANDLERS", {})
        sockets |= getattr(module, "SOCKETS", {})
    return found, sockets


@contextlib.asynccontextmanager
async def serving(services: Services) -> AsyncIterator[str]:
    """The address of a server with all routes that have a handler."""
    found, sockets = handlers()
    routes = [r for r in ROUTES if r.operation in found or r.operation in sockets]
    async with running(noted(build_app(services, routes, found, sockets))) as port:
        yield f"http://127.0.0.1:{port}"


@contextlib.asynccontextmanager
async def running(app: ASGIApp) -> AsyncIterator[int]:
    """The port on which an application is served."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        ws="websockets-sansio",
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        served = group.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.002)
        try:
            yield listening.getsockname()[1]
        finally:
            # It must close its sockets itself: uvloop hangs at its end where a test that failed left some.
            server.stopping.set()
            await asyncio.wait({served})


@pytest.fixture
async def api(services: Services) -> AsyncIterator[Api]:
    """A running server without workers, its owner, and ways to put things into it.

    Whatever a test did, each task is found by the status that it has.
    """
    async with serving(services) as url, connected(services, url) as connection:
        yield connection
        other = "select count(*) from task_facts where status is distinct from noted_status"
        assert await connection.value(other) == 0
