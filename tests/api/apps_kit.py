"""An app of a workspace that records what it is asked, the door to it, and browsers that knock there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx2
from starlette.types import ASGIApp
from websockets.asyncio.client import connect

from taskyard.control.previews import AppHost
from taskyard.server.apps import AppsDoor
from taskyard.server.reach import Reach
from tests.api.agent_seat import AgentSeat, started
from tests.api.edge_kit import listening
from tests.api.link_kit import running
from tests.api.seed import Api, Json, Person
from tests.waiting import DEADLINE_S

INSIDE = 3284
"""The port that the seeded app's URL names."""


@dataclass
class App:
    """A program in a workspace that answers as it was told: one raw answer for every request."""

    answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    heard: list[bytes] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: its head is kept, its body echoed where the answer has none."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heard.append(head)
            if head.startswith(b"POST /echo"):
                await self._echo(head, reader, writer)
            elif head.startswith(b"GET /slow"):
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
                )
                await self.hold.wait()
                writer.write(b"data: 2\n\n")
            else:
                writer.write(self.answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def _echo(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        lines = dict(
            line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
        )
        body = await reader.readexactly(int(lines[b"content-length"]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the last request, as the app got them."""
        lines = self.heard[-1].decode("latin-1").split("\r\n")[1:]
        return dict(line.lower().split(": ", 1) for line in lines if ": " in line)

    @property
    def line(self) -> str:
        """The first line of the last request."""
        return self.heard[-1].decode("latin-1").split("\r\n", 1)[0]


@dataclass
class Yard:
    """A running app of a task, the door to it, and its task's seat."""

    api: Api
    seat: AgentSeat
    app: App
    port: int
    ports: dict[int, int]

    @property
    def host(self) -> AppHost:
        """The app's own name."""
        return AppHost(UUID(self.seat.task["workspace_id"]), "shell")

    @property
    def origin(self) -> str:
        """The app's origin."""
        return self.api.services.previews.origin(self.host)

    async def ticket(
        self, *, by: Person | None = None, slug: str = "shell", **body: str
    ) -> httpx2.Response:
        """The answer to who asks for a ticket."""
        path = f"/api/v2/workspaces/{self.seat.task['workspace_id']}/apps/{slug}/ticket"
        return await self.api.post(path, body, by=by)

    async def url(self, *, by: Person | None = None, path: str = "") -> str:
        """The address of a good ticket."""
        answer = await self.ticket(by=by, path=path)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    @asynccontextmanager
    async def browser(
        self, *, by: Person | None = None, enters: bool = True
    ) -> AsyncIterator["Browser"]:
        """A browser, which has been let in unless told."""
        url = f"http://127.0.0.1:{self.port}"
        async with httpx2.AsyncClient(base_url=url, timeout=DEADLINE_S) as client:
            found = Browser(self, client)
            if enters:
                assert (await found.open(await self.url(by=by))).status_code == 303
            yield found

    async def share(self, level: str) -> None:
        """The app is shared as far as that."""
        await self.api.execute(
            "update workspace_apps set sharing_level = $2 where agent_id = $1",
            self.seat.agent_id,
            level,
        )


class Browser:
    """Somebody's browser at the door, with the cookies of one host name."""

    def __init__(self, yard: Yard, client: httpx2.AsyncClient) -> None:
        self._yard = yard
        self._client = client
        self.cookie = ""

    async def open(self, url: str, *, host: str = "") -> httpx2.Response:
        """The answer at an address of an app; its cookie is kept."""
        parts = urlsplit(url)
        answer = await self._client.get(
            f"{parts.path}?{parts.query}", headers={"Host": host or parts.netloc}
        )
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    async def get(self, path: str = "/", **headers: str) -> httpx2.Response:
        """The answer of the app."""
        return await self.send("GET", path, None, **headers)

    def stream(self, path: str) -> AbstractAsyncContextManager[httpx2.Response]:
        """The answer of the app, as it comes."""
        return self._client.stream("GET", path, headers=self.headers)

    async def send(
        self, method: str, path: str, content: bytes | None, **headers: str
    ) -> httpx2.Response:
        """The answer of the app to a request; a header name has _ for each hyphen."""
        sent = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._client.request(method, path, content=content, headers=sent)

    @property
    def headers(self) -> dict[str, str]:
        """What this browser sends with each request."""
        host = urlsplit(self._yard.origin).netloc
        return {"Host": host} | ({"Cookie": self.cookie} if self.cookie else {})

    def socket(self, path: str = "/ws", *, origin: str | None = None) -> connect:
        """A WebSocket to be opened from a page of the app's own origin, unless told."""
        host = urlsplit(self._yard.origin).netloc
        headers = {"Cookie": self.cookie} if self.cookie else {}
        return connect(
            f"ws://{host}{path}",
            host="127.0.0.1",
            port=self._yard.port,
            additional_headers=headers | {"Origin": origin or self._yard.origin},
            proxy=None,
        )


@asynccontextmanager
async def yard(api: Api) -> AsyncIterator[Yard]:
    """A task whose workspace runs an app, and the door to it."""
    template = await api.template(f"shell-{uuid4().hex[:8]}")
    seat = await started(api, task=await api.task(template, input=" "))
    app = App()
    server = await asyncio.start_server(app.serve, "127.0.0.1", 0)
    inner: int = server.sockets[0].getsockname()[1]
    door: ASGIApp = AppsDoor(api.services, Reach(), recheck_s=0.2)
    ports = {INSIDE: inner}
    async with server, running(seat, ports=ports), listening(door) as port:
        api.services.previews.tell(f"http://*.localhost:{port}")
        try:
            yield Yard(api, seat, app, port, ports)
        finally:
            app.hold.set()


def said(answer: httpx2.Response) -> Json:
    """Status and reason of an answer."""
    return answer.status_code, answer.headers.get("X-Taskyard-Reason")
