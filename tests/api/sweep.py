"""Every way in that asks for a token, from the table of routes: what test_unauthenticated.py knocks at."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.wire.base import NIL_UUID
from taskyard.wire.routes import ROUTES, Auth, Route

OPEN = frozenset(
    {
        "api_root",
        "create_first_user",
        "get_api_docs",
        "get_auth_methods",
        "get_build_info",
        "get_first_user",
        "get_openapi",
        "health",
        "login",
    }
)
"""Operations that anybody may call. Who adds one here says that a stranger may have it."""

HEADER = "Coder-Session-Token"


@dataclass(frozen=True, slots=True)
class Door:
    """One path of one route, as plain HTTP or as a WebSocket."""

    operation: str
    auth: Auth
    method: str
    path: str
    is_socket: bool

    @property
    def target(self) -> str:
        """The path with an id of nothing for each parameter."""
        return re.sub(r"\{\w+\}", str(NIL_UUID), self.path)

    def __str__(self) -> str:
        return f"{'SOCKET' if self.is_socket else self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said; header names are matched whatever their case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def doors_of(route: Route) -> list[Door]:
    """Every door of a route that has a handler for it."""
    kinds = [
        *([False] if route.operation in HANDLERS else []),
        *([True] if route.operation in SOCKETS else []),
    ]
    return [
        Door(route.operation, route.auth, route.method, path, is_socket)
        for path in route.paths
        for is_socket in kinds
    ]


DOORS = [door for route in ROUTES if route.auth is not Auth.NONE for door in doors_of(route)]
"""All of them."""


async def knock(client: httpx2.AsyncClient, door: Door, token: str | None) -> Reply:
    """The answer at a door of the server that the client is for."""
    headers = {HEADER: token} if token else {}
    if door.is_socket:
        return await _knock_at_socket(str(client.base_url), door, headers)
    answer = await client.request(door.method, door.target, headers=headers)
    return Reply(answer.status_code, answer.headers, answer.content)


async def _knock_at_socket(url: str, door: Door, headers: dict[str, str]) -> Reply:
    address = f"ws{url.removeprefix('http').rstrip('/')}{door.target}"
    try:
        async with connect(address, additional_headers=headers, proxy=None) as socket:
            return Reply(101, dict(socket.response.headers if socket.response else {}), b"")
    except InvalidStatus as refused:
        answer = refused.response
        return Reply(answer.status_code, answer.headers, bytes(answer.body or b""))
