"""Both clients over connections that break, hang, lie or are fine."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from taskyard.sdk import AnswerInvalid, ApiError, AsyncClient, Client, Unreachable
from taskyard.sdk.calls import parse_address
from taskyard.sdk.transport import is_over
from taskyard.wire.identity import LoginRequest
from tests.sdk.conftest import Ask
from tests.sdk.peer import HANG_UP, SAY_NOTHING, answer, peer
from tests.waiting import until

GREETING = answer(b'{"message":"hello"}')
SESSION = answer(b'{"session_token":"t"}', "201 Created")
LOGIN = LoginRequest(email="a@example.com", password="p")


def test_a_read_is_tried_again(ask: Ask) -> None:
    """A read whose connection broke before an answer came is sent again on a new one."""
    with peer([HANG_UP, HANG_UP, GREETING]) as server:
        assert ask(lambda c: c.api_root(), server.url).message == "hello"
    assert server.lines == ["GET /api/v2 HTTP/1.1"] * 3


def test_a_read_is_not_tried_for_ever(ask: Ask) -> None:
    """After two more tries the caller hears of it, with the address."""
    with peer([HANG_UP] * 9) as server, pytest.raises(Unreachable) as caught:
        ask(lambda c: c.api_root(), server.url)
    assert len(server.asked) == 3
    assert server.url in str(caught.value)


def test_a_post_is_sent_once_more_with_its_key(ask: Ask) -> None:
    """A POST whose connection broke is sent again, once, as it was: by its key the server knows what was done."""
    with peer([HANG_UP, SESSION]) as server:
        assert ask(lambda c: c.login(LOGIN), server.url).session_token == "t"
    first, second = (request for _, request in server.asked)
    assert first == second
    assert re.search(rb"(?i)\r\nidempotency-key: [0-9a-f]{32}\r\n", first)
    with peer([HANG_UP] * 9) as server, pytest.raises(Unreachable):
        ask(lambda c: c.login(LOGIN), server.url)
    assert len(server.asked) == 2


def test_each_post_has_a_key_of_its_own(ask: Ask) -> None:
    """Two calls of the same are two requests."""
    with peer([SESSION, SESSION]) as server:
        for _ in range(2):
            ask(lambda c: c.login(LOGIN), server.url)
    first, second = (request for _, request in server.asked)
    assert first != second


def stops(reason: str) -> bytes:
    """What a server answers that is about to stop."""
    headers = f"x-taskyard-reason: {reason}\r\nretry-after: 0\r\n"
    return answer(b'{"message":"stops"}', "503 Service Unavailable", headers)


@pytest.mark.parametrize("reason", ["stopping", "cut_off"])
def test_a_server_that_stops_is_asked_again(ask: Ask, reason: str) -> None:
    """Reads, and POSTs under the same key, for some seconds; what has no key is not, and no other 503."""
    with peer([stops(reason), stops(reason), GREETING]) as server:
        assert ask(lambda c: c.api_root(), server.url).message == "hello"
    with peer([stops(reason), SESSION]) as server:
        assert ask(lambda c: c.login(LOGIN), server.url).session_token == "t"
    first, second = (request for _, request in server.asked)
    assert first == second
    for answers, tries, call in (
        ([stops(reason)] * 9, 6, lambda c: c.api_root()),
        ([stops(reason)] * 9, 1, lambda c: c.delete_task("me", "t")),
        ([stops("busy")] * 9, 1, lambda c: c.api_root()),
    ):
        with peer(answers) as server, pytest.raises(ApiError) as caught:
            ask(call, server.url)
        assert caught.value.status == 503
        assert len(server.asked) == tries


def test_a_deletion_is_sent_once(ask: Ask) -> None:
    """Also what would do no harm twice: a second answer would say that nothing was there."""
    with peer([HANG_UP] * 9) as server, pytest.raises(Unreachable, match="without an answer"):
        ask(lambda c: c.delete_task("me", "t"), server.url)
    assert len(server.asked) == 1


def test_silence_ends(ask: Ask) -> None:
    """A server that takes a request and says nothing is given up after the timeout, without another try."""
    with peer([SAY_NOTHING] * 9) as server:
        with pytest.raises(Unreachable, match="in time"):
            ask(lambda c: c.api_root(), server.url, timeout_s=1)
        until("the request", lambda: server.asked or None)
    assert len(server.asked) == 1


def test_nobody_there(ask: Ask) -> None:
    """A port where nothing listens is said to be one."""
    with pytest.raises(Unreachable, match="nothing listens"):
        ask(
            lambda c: c.login(LOGIN), "http://127.0.0.1:1"
        )  # of others nobody knows who gets them next


@pytest.mark.parametrize(
    ("written", "host"),
    [("B\u00fccher.example", "xn--bcher-kva.example"), ("[::1]", "::1"), ("10.0.0.1", "10.0.0.1")],
)
def test_a_host_is_asked_by_its_name_in_ascii(written: str, host: str) -> None:
    """That is how it is looked up, and how it stands in requests and certificates."""
    assert parse_address(f"http://{written}:7080").host == host


@pytest.mark.parametrize("label", ["a" * 64, "\u00f6" * 64, "a..b"])
def test_no_host_can_have_that_name(ask: Ask, label: str) -> None:
    """Nothing is asked anywhere."""
    with pytest.raises(ValueError, match="host name that cannot be"):
        ask(lambda c: c.api_root(), f"http://{label}.invalid")


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (
            "transfer-encoding: chunked\r\n",
            b'9\r\n{"message\r\n9\r\n":"hello"\r\n1\r\n}\r\n0\r\n\r\n',
        ),
        ("connection: close\r\n", b'{"message":"hello"}'),
        ("content-length: 19\r\nconnection: close\r\n", b'{"message":"hello"}'),
    ],
    ids=["chunks", "to the end of the connection", "of a length"],
)
def test_bodies_come_whole(ask: Ask, head: str, body: bytes) -> None:
    """However an answer tells where its body ends, and also behind one that only announces it."""
    early = b"HTTP/1.1 103 Early Hints\r\nlink: </style>\r\n\r\n"
    reply = f"HTTP/1.1 200 OK\r\n{head}\r\n".encode() + body
    with peer([early + reply, reply], ends_idle=True) as server:
        assert ask(lambda c: c.api_root(), server.url).message == "hello"
        assert ask(lambda c: c.api_root(), server.url).message == "hello"


@pytest.mark.parametrize("head", ["transfer-encoding: chunked", "content-length: 99"])
def test_a_part_is_not_the_whole(ask: Ask, head: str) -> None:
    """A body that breaks off is no answer."""
    part = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\n".encode()
    with (
        peer([part] * 3, ends_idle=True) as server,
        pytest.raises(Unreachable),
    ):
        ask(lambda c: c.api_root(), server.url)
    assert len(server.asked) == 3


def test_what_is_no_http(ask: Ask) -> None:
    """A server of something else is said to be one that cannot be reached."""
    with peer([b"220 mail.example.com ESMTP\r\n"] * 3) as server, pytest.raises(Unreachable):
        ask(lambda c: c.api_root(), server.url)


def test_a_token_with_a_line_end(ask: Ask) -> None:
    """Nothing is sent that would be taken for another header."""
    with peer([GREETING]) as server, pytest.raises(ValueError, match="header"):
        ask(lambda c: c.api_root(), server.url, "a\r\nX-Other: b")
    assert server.asked == []


def test_connections_are_kept() -> None:
    """Calls one after another share one connection."""
    with peer([GREETING] * 3) as server, Client(server.url) as client:
        for _ in range(3):
            client.api_root()
    assert [number for number, _ in server.asked] == [1, 1, 1]


async def test_connections_are_kept_by_asyncio() -> None:
    """The same for the client of asyncio."""
    with peer([GREETING] * 3) as server:
        async with AsyncClient(server.url) as client:
            for _ in range(3):
                await client.api_root()
    assert [number for number, _ in server.asked] == [1, 1, 1]


def test_a_kept_connection_may_have_ended() -> None:
    """A write after the server ended the idle connection goes over a new one, and is sent once."""
    with peer([SESSION] * 3, ends_idle=True) as server, Client(server.url) as client:
        idle = client._transport._idle
        for turn in range(3):
            assert client.login(LOGIN).session_token == "t"
            until("the end of the connection", lambda: is_over(idle[0].sock) or None)
            assert len(server.asked) == turn + 1


def test_threads_share_a_client() -> None:
    """Many threads may use one client at once; each gets its own answer."""
    with (
        peer([GREETING] * 32) as server,
        Client(server.url) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        found = list(pool.map(lambda _: client.api_root().message, range(32)))
    assert found == ["hello"] * 32


def test_refusals_carry_what_the_server_said(ask: Ask) -> None:
    """Status, message, detail, fields, reason and request id are all there, and the call they are about."""
    body = b'{"message":"No.","detail":"Because.","validations":[{"field":"email","detail":"bad"}]}'
    headers = "X-Taskyard-Reason: invalid\r\nX-Taskyard-Request-Id: r1\r\n"
    refusal = answer(body, "400 Bad Request", headers)
    with peer([refusal]) as server, pytest.raises(ApiError) as caught:
        ask(lambda c: c.login(LOGIN), server.url)
    error = caught.value
    assert (error.status, error.message, error.detail) == (400, "No.", "Because.")
    assert error.validations == (("email", "bad"),)
    assert (error.reason, error.request_id) == ("invalid", "r1")
    assert (error.method, error.url) == ("POST", f"{server.url}/api/v2/users/login")
    assert all(word in str(error) for word in ("No. Because.", "email: bad", "400", server.url))


@pytest.mark.parametrize("body", [b"<html>bad gateway</html>", b"", b'{"a":1}', b"\xff"])
def test_refusals_of_something_else(ask: Ask, body: bytes) -> None:
    """A refusal by a proxy, which is no JSON of ours, still says its status."""
    with peer([answer(body, "502 Bad Gateway")]) as server, pytest.raises(ApiError) as caught:
        ask(lambda c: c.api_root(), server.url)
    assert caught.value.status == 502
    assert "502" in caught.value.message


@pytest.mark.parametrize("body", [b"<html>hi</html>", b"", b"{}", b'{"message":1}', b"\xff"])
def test_answers_that_make_no_sense(ask: Ask, body: bytes) -> None:
    """A good status with the wrong body is an error of its own that names the operation."""
    with peer([answer(body)]) as server, pytest.raises(AnswerInvalid, match="api_root"):
        ask(lambda c: c.api_root(), server.url)


def test_redirects_are_not_followed(ask: Ask) -> None:
    """A token is never carried elsewhere: a redirect is a refusal."""
    redirect = answer(b"", "302 Found", "Location: http://example.com/\r\n")
    with peer([redirect]) as server, pytest.raises(ApiError) as caught:
        ask(lambda c: c.api_root(), server.url, "secret")
    assert caught.value.status == 302


def test_a_socket_of_the_file_system(ask: Ask, tmp_path: Path) -> None:
    """unix:// reaches a server that listens on a path."""
    with peer([GREETING], path=tmp_path / "s") as server:
        assert ask(lambda c: c.api_root(), server.url).message == "hello"


def test_a_path_before_the_api(ask: Ask) -> None:
    """A server behind a proxy may have a path of its own in front."""
    with peer([GREETING]) as server:
        ask(lambda c: c.api_root(), f"{server.url}/yard/")
    assert server.lines == ["GET /yard/api/v2 HTTP/1.1"]


def test_what_is_sent(ask: Ask) -> None:
    """The token goes in its header, names are quoted, and keys that were not set stay away."""
    with peer([answer(b'{"tasks":[],"count":0}')] * 2) as server:
        ask(lambda c: c.list_tasks('owner:"me"'), server.url, "secret")
        ask(lambda c: c.list_tasks(), server.url, "secret")
    assert server.lines[0] == "GET /api/v2/tasks?q=owner%3A%22me%22 HTTP/1.1"
    assert server.lines[1] == "GET /api/v2/tasks HTTP/1.1"
    assert b"Coder-Session-Token: secret\r\n" in server.asked[0][1]


def test_odd_names_stay_in_their_place(ask: Ask) -> None:
    """A name with a slash or a question mark cannot become another path."""
    with peer([answer(b"", "202 Accepted")]) as server:
        ask(lambda c: c.delete_task("me", "a/b?c=d"), server.url)
    assert server.lines == ["DELETE /api/v2/tasks/me/a%2Fb%3Fc%3Dd HTTP/1.1"]


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_names_that_would_change_the_path(ask: Ask, name: str) -> None:
    """A name that is no path part is refused before anything is sent."""
    with peer([]) as server, pytest.raises(ValueError, match="task"):
        ask(lambda c: c.delete_task("me", name), server.url)
    assert server.asked == []


def test_a_message_that_waits(ask: Ask) -> None:
    """202 instead of 204 tells the place of a message in the queue."""
    place = f'{{"id":"{uuid4()}","position":2}}'.encode()
    with peer([answer(place, "202 Accepted"), answer(b"", "204 No Content")]) as server:
        from_queue = ask(lambda c: c.send_task_input("me", "t", LOGIN), server.url)
        at_once = ask(lambda c: c.send_task_input("me", "t", LOGIN), server.url)
    assert from_queue.position == 2
    assert at_once is None


def test_lists_are_read_page_by_page(ask: Ask) -> None:
    """All tasks come, however many pages it takes; each page is asked for with the token of the one before."""
    empty = b'{"tasks":[],"count":0}'
    pages = [answer(empty, headers="X-Taskyard-Next-Page: p2\r\n"), answer(empty)]
    with peer(pages) as server:
        assert ask(lambda c: c.iterate_tasks(), server.url) == []
    assert [line.partition("?")[2].split()[0] for line in server.lines] == [
        "page_size=100",
        "page_size=100&page_token=p2",
    ]


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:7080", "ftp://x", "http://", "unix://", "http:///x"]
)
def test_addresses_that_are_none(url: str) -> None:
    """What is no URL of a server is refused with a sentence that shows one."""
    with pytest.raises(ValueError, match=r"http://127\.0\.0\.1:7080"):
        parse_address(url)
