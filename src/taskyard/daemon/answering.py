"""Everything that a server listens on, and the order in which it stops: people first, their workspaces after them."""

import asyncio
import os
import socket
from collections.abc import Coroutine
from typing import Final

import structlog

from taskyard.control.admission import limits
from taskyard.control.servers import Presence
from taskyard.control.services import Services
from taskyard.daemon.listen import DRAIN_S, Listener
from taskyard.daemon.reach import Sockets, reach_of
from taskyard.daemon.relay import Relay
from taskyard.daemon.tls import Certificate
from taskyard.db.servers import Server
from taskyard.server.app import build_app
from taskyard.server.apps import AppsDoor
from taskyard.server.draining import Drain
from taskyard.server.forwarding import Forwarder
from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.server.page import Site, load_files
from taskyard.server.peer_mark import PeerDoor, PeerKey
from taskyard.wire.routes import ROUTES, Auth
from taskyard_agent import __version__

log = structlog.get_logger()

ANSWER_S: Final = DRAIN_S - 0.5
"""Seconds that requests of people may go on when the server stops; half a second is for saying that they may not."""

AGENTS_DRAIN_S: Final = 1
"""Seconds that requests of workspaces may take after that; those that are cut off are made again."""


class Answering:
    """The listeners of a server that has its data directory to itself, and its place among other servers."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        services: Services,
        sockets: Sockets,
        peer_key: bytes,
        *,
        place: str,
    ) -> None:
        self._group = group
        self._services = services
        self._sockets = sockets
        self._key = PeerKey(peer_key)
        self._forwarder = Forwarder(self._key)
        self._drain, self._agents_drain = Drain(), Drain()
        self._loops: list[asyncio.Task[None]] = []
        self._people: list[tuple[Listener, asyncio.Task[None]]] = []
        self._agents: list[tuple[Listener, asyncio.Task[None]]] = []
        server = Server(
            id=services.server_id,
            host_id=services.host_id,
            name=os.uname().nodename,
            url=sockets.peer_url,
            roles=sorted(services.settings.roles),
            version=__version__,
            place=place,
        )
        self._presence = Presence(services, server)

    async def start(self, tls: Certificate | None) -> None:
        """Returns once people, workspaces, other servers and whoever reads figures are answered."""
        services, sockets = self._services, self._sockets
        await self._presence.arrive()
        self._loop(self._presence.run())
        self._loop(services.waiting.run(services.db, limits(services.settings)))
        inside = [r for r in ROUTES if r.auth is Auth.AGENT or r.operation == "get_build_info"]
        agents = build_app(services, inside, HANDLERS, SOCKETS, drain=self._agents_drain)
        listener = Listener(agents, drain_s=AGENTS_DRAIN_S)
        await self._listen(self._agents, listener, [sockets.agents])
        self._loop(Relay(services).run(sockets.relay))
        peers = build_app(services, ROUTES, HANDLERS, SOCKETS, drain=self._drain)
        door = PeerDoor(peers, self._key, services.server_id)
        await self._listen(self._people, Listener(door, public=True), [sockets.peers])
        await self._serve_people(tls)

    async def _serve_people(self, tls: Certificate | None) -> None:
        services, sockets = self._services, self._sockets
        reach = reach_of(services.settings)
        public = build_app(
            services,
            ROUTES,
            HANDLERS,
            SOCKETS,
            reach=reach,
            forwarder=self._forwarder,
            drain=self._drain,
            site=Site(services, load_files()) if services.settings.page else None,
        )
        context = tls.context if tls is not None else None
        await self._listen(self._people, Listener(public, tls=context, public=True), sockets.tcp)
        await self._listen(self._people, Listener(public, public=True), sockets.unix)
        if sockets.apps is not None:
            services.previews.tell(sockets.apps_url)
            apps = AppsDoor(services, reach, self._drain)
            await self._listen(
                self._people, Listener(apps, tls=context, public=True), [sockets.apps]
            )
        if sockets.metrics is not None:
            # Imported on use: it takes a tenth of a second, and most servers are not measured.
            from taskyard.daemon.metrics import metrics_app

            figures = Listener(metrics_app(services, reach), public=True)
            await self._listen(self._people, figures, [sockets.metrics])
        if tls is not None:
            self._loop(tls.run())

    async def stop(self) -> None:
        """Returns once nobody is answered any more; workspaces are left last, as people's requests need them."""
        self._drain.begin(ANSWER_S)
        await _ended(self._people)
        await self._forwarder.close()
        self._agents_drain.begin(AGENTS_DRAIN_S / 2)
        await _ended(self._agents)
        for loop in self._loops:
            loop.cancel()
        await asyncio.wait(self._loops)
        await self._presence.leave()

    def _loop(self, work: Coroutine[None, None, None]) -> None:
        self._loops.append(self._group.create_task(work))

    async def _listen(
        self,
        listeners: list[tuple[Listener, asyncio.Task[None]]],
        listener: Listener,
        sockets: list[socket.socket],
    ) -> None:
        """Returns once these sockets, if there are any, are answered."""
        if not sockets:
            return
        listeners.append((listener, self._group.create_task(listener.serve(sockets))))
        await listener.ready.wait()


async def _ended(listeners: list[tuple[Listener, asyncio.Task[None]]]) -> None:
    for listener, _ in listeners:
        listener.should_exit = True
    if listeners:
        await asyncio.wait([task for _, task in listeners])
