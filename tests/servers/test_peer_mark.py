"""The mark of a request that one server sends on to another: proven, for this request, this server and this minute."""

import time
from collections.abc import Callable
from uuid import UUID, uuid4

import msgspec
import pytest
from starlette.types import Message, Receive, Scope, Send

from taskyard.errors import NotFound
from taskyard.server.forwarding import _address
from taskyard.server.peer_mark import GOOD_S, HEADER, Mark, PeerDoor, PeerKey

pytestmark = pytest.mark.anyio

KEY = PeerKey(bytes(range(32)))
HERE = uuid4()


def scope(text: str, method: str = "POST", path: str = "/api/v2/tasks/me/x/send") -> Scope:
    """A request with this mark."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"a=1",
        "headers": [(HEADER.lower().encode(), text.encode("latin-1"))],
        "client": ("10.0.0.9", 4000),
        "scheme": "http",
    }


def mark(**changes: object) -> Mark:
    """What the server that got the request says of it."""
    made = Mark(
        to=HERE,
        at=time.time(),
        method="POST",
        target="/api/v2/tasks/me/x/send?a=1",
        client="192.0.2.7",
        scheme="https",
        request_id="abc",
        claim=UUID(int=7),
    )
    return msgspec.structs.replace(made, **changes)


async def let_in(request: Scope) -> Scope | int:
    """What the application behind the door gets; else the status that the caller got."""
    got: list[Scope] = []
    statuses: list[int] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        got.append(scope)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        if "status" in message:
            statuses.append(message["status"])

    await PeerDoor(app, KEY, HERE)(request, receive, send)
    return got[0] if got else statuses[0]


async def test_who_asked_is_who_the_first_server_says() -> None:
    """Client, scheme, request id and the claim of its Idempotency-Key are those that it had there."""
    found = await let_in(scope(KEY.written(mark())))
    assert isinstance(found, dict)
    assert found["client"] == ("192.0.2.7", 0)
    assert found["scheme"] == "https"
    assert found["state"] == {"request_id": "abc", "claim": UUID(int=7)}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda: "", id="none"),
        pytest.param(lambda: "é.é", id="no ascii"),
        pytest.param(lambda: KEY.written(mark())[:-1] + "x", id="no hex"),
        pytest.param(lambda: PeerKey(bytes(32)).written(mark()), id="another key"),
        pytest.param(lambda: KEY.written(mark(to=uuid4())), id="another server"),
        pytest.param(lambda: KEY.written(mark(method="GET")), id="another method"),
        pytest.param(lambda: KEY.written(mark(target="/api/v2/users")), id="another path"),
        pytest.param(lambda: KEY.written(mark(at=time.time() - GOOD_S - 1)), id="too old"),
        pytest.param(lambda: KEY.written(mark(at=time.time() + GOOD_S + 9)), id="of the future"),
    ],
)
async def test_nothing_else_is_believed(wrong: Callable[[], str]) -> None:
    """A mark that is missing, forged, of another request or out of time is 403."""
    assert await let_in(scope(wrong())) == 403


@pytest.mark.parametrize(
    "path", ["@elsewhere/x", ".elsewhere/x", ":80/x", "", "*", "/a b", "/a\r\nHost: x"]
)
def test_no_path_leads_to_another_server(path: str) -> None:
    """What would change the address of the server that is asked is not sent on, whatever let it in."""
    with pytest.raises(NotFound):
        _address("http://peer:1", {**scope("", path=path), "raw_path": path.encode() or b"?"})
    assert str(_address("http://peer:1", scope("", path="//x/y"))) == "http://peer:1//x/y?a=1"
