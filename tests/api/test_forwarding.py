"""A request that another server has to do goes there once, unless nothing of it can have been done."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from taskyard.errors import HeldElsewhere
from taskyard.server.app import build_app
from taskyard.server.call import Call
from taskyard.server.forwarding import MOST_AT_ONCE, Forwarder
from taskyard.server.peer_mark import PeerKey
from taskyard.wire.routes import BY_OPERATION
from tests.api.edge_kit import Reply, ask, listening
from tests.api.seed import Api
from tests.waiting import DEADLINE_S

pytestmark = pytest.mark.anyio

OPERATIONS = ("interrupt_task", "send_task_input", "get_task_logs", "get_task_diff")
TASK = f"/api/v2/tasks/me/{uuid4()}"
SENT = b'{"input":"x"}'

HANGS_UP = b""
"""What a server answers that is killed."""


def answer(status: int, reason: str = "", body: bytes = b'{"message":"x"}') -> bytes:
    """An answer as it goes over the wire."""
    head = (
        f"HTTP/1.1 {status} X\r\nX-Taskyard-Reason: {reason}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Peer:
    """Another server, of raw bytes: what it answers to its first request, its second, and so on; then the last again."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.heads: list[bytes] = []
        self.go = asyncio.Event()
        self.go.set()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heads.append(head)
                reply = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                if b"100-continue" in head and b"stopping" not in reply:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    size = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                    await reader.readexactly(int(size))
                await self.go.wait()
                if not reply:
                    return
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def front(api: Api, peer: Peer) -> AsyncIterator[int]:
    """The port of a server all of whose requests need a link that the peer holds."""

    async def handler(call: Call) -> object:
        if call.route.request is not None:
            await call.raw(1000)
        raise HeldElsewhere(uuid4(), uuid4(), peer.url)

    listening_peer = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.url = f"http://127.0.0.1:{listening_peer.sockets[0].getsockname()[1]}"
    forwarder = Forwarder(PeerKey(b"k" * 32))
    routes = [BY_OPERATION[name] for name in OPERATIONS]
    app = build_app(
        api.services, routes, dict.fromkeys(OPERATIONS, handler), {}, forwarder=forwarder
    )
    try:
        async with listening(app) as port:
            yield port
    finally:
        await forwarder.close()
        listening_peer.close()


async def asked(
    api: Api, port: int, method: str, what: str, *, body: bytes = b"", token: str = ""
) -> Reply:
    """The front's answer."""
    headers = {"Coder-Session-Token": token or api.owner.token}
    if body:
        headers["Content-Type"] = "application/json"
    return await ask(port, method, f"{TASK}/{what}", headers, body)


@pytest.mark.parametrize("last", [HANGS_UP, answer(503, "cut_off")], ids=["dies", "stops"])
async def test_what_may_have_been_done_is_not_sent_again(api: Api, last: bytes) -> None:
    """The server there dies, or stops, in the middle of an interrupt or a message: it gets each once."""
    peer = Peer(last)
    async with front(api, peer) as port:
        for what, body in (("interrupt", b""), ("interrupt", b"{}"), ("send", SENT)):
            peer.heads.clear()
            reply = await asked(api, port, "POST", what, body=body)
            expected = (503, "cut_off") if last else (502, "agent_unreachable")
            assert reply.reason == expected
            assert len(peer.heads) == 1


@pytest.mark.parametrize("first", [HANGS_UP, answer(503, "stopping")], ids=["dies", "stops"])
async def test_what_only_reads_is_sent_again(api: Api, first: bytes) -> None:
    """The same for a log: it is asked for again, and given."""
    peer = Peer(first, answer(200))
    async with front(api, peer) as port:
        assert (await asked(api, port, "GET", "logs")).status == 200
    assert len(peer.heads) == 2


async def test_what_was_not_begun_is_sent_again(api: Api) -> None:
    """A server that begins nothing any more has not done it."""
    peer = Peer(answer(503, "stopping"), answer(204, body=b""))
    async with front(api, peer) as port:
        assert (await asked(api, port, "POST", "interrupt")).status == 204
        assert len(peer.heads) == 2


async def test_slow_requests_of_one_user_hold_up_nobody_else(api: Api) -> None:
    """As many as one user may have at once are under way, more wait; another user's goes at once."""
    ada = await api.person("ada")
    peer = Peer(answer(200))
    peer.go.clear()
    async with front(api, peer) as port, asyncio.TaskGroup() as group:
        many = [group.create_task(asked(api, port, "GET", "logs")) for _ in range(MOST_AT_ONCE + 4)]
        await eventually(lambda: len(peer.heads) == MOST_AT_ONCE)
        other = group.create_task(asked(api, port, "GET", "diff", token=ada.token))
        await eventually(lambda: len(peer.heads) == MOST_AT_ONCE + 1)
        assert b"/diff" in peer.heads[-1]
        peer.go.set()
    assert {reply.result().status for reply in (*many, other)} == {200}


async def test_a_websocket_waits_for_a_server_that_comes_back(api: Api) -> None:
    """It is another one by now, it stops, it does not listen: then it lets the caller in."""
    refusals = ["peer_unknown", "stopping"]

    async def handler(call: Call, socket: WebSocket) -> None:
        del call, socket
        raise HeldElsewhere(
            uuid4(), uuid4(), f"http://127.0.0.1:{places.pop() if places else port}"
        )

    async def refuse(_: ServerConnection, __: Request) -> Response | None:
        if not refusals:
            return None
        headers = Headers({"X-Taskyard-Reason": refusals.pop(), "Content-Length": "0"})
        return Response(503, "X", headers)

    async def greet(connection: ServerConnection) -> None:
        await connection.send("hello")

    routes = [BY_OPERATION["attach_task"]]
    forwarder = Forwarder(PeerKey(b"k" * 32))
    app = build_app(api.services, routes, {}, {"attach_task": handler}, forwarder=forwarder)
    places = [1]  # a port on which nobody listens
    async with serve(greet, "127.0.0.1", 0, process_request=refuse) as peer:
        port = peer.sockets[0].getsockname()[1]
        async with listening(app) as front_port:
            headers = {"Coder-Session-Token": api.owner.token}
            url = f"ws://127.0.0.1:{front_port}{TASK}/attach"
            async with connect(url, additional_headers=headers, proxy=None) as socket:
                assert await socket.recv() == "hello"
    assert (refusals, places) == ([], [])


async def eventually(holds: Callable[[], bool]) -> None:
    """Returns once it holds."""
    async with asyncio.timeout(DEADLINE_S):
        while not holds():
            await asyncio.sleep(0.01)
