"""What hostile pages, hostile apps and people without a right try with apps of workspaces. Real sockets throughout."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from taskyard.control.services import Services
from taskyard.sdk import ApiError
from taskyard.server.apps import MOST_AT_ONCE
from taskyard.wire.apps import AppTicketRequest
from tests.api.apps_kit import INSIDE, said, yard
from tests.api.conftest import serving
from tests.api.edge_kit import say
from tests.api.seed import Api, connected
from tests.security.hostile import HostileWorld

pytestmark = pytest.mark.anyio

CLOSED = (401, "app_closed")
REFUSED = (401, "ticket_refused")
FOREIGN = (403, "foreign_page")
AMBIGUOUS = (
    b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: %(n)d\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: %(n)d\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: %(n)d\r\nTransfer-Encoding: xchunked\r\n\r\n",
    b"X: a\nContent-Length: %(n)d\r\n\r\n",
)
"""Ends of heads behind which one reader sees a body of n bytes, and another one the next request."""


@pytest.fixture
async def api(services: Services) -> AsyncIterator[Api]:
    """A running server without workers."""
    async with serving(services) as url, connected(services, url) as connection:
        yield connection


@pytest.mark.attack(
    "a ticket used twice, or found in a history", wall="a ticket opens once, within a minute"
)
async def test_tickets_are_good_once_and_soon(api: Api) -> None:
    """The first browser gets in; the second one, and whoever comes late, does not."""
    async with yard(api) as place, place.browser(enters=False) as one:
        url = await place.url()
        async with asyncio.TaskGroup() as group:
            both = [group.create_task(one.open(url)) for _ in range(2)]
        assert sorted(opened.result().status_code for opened in both) == [303, 401]
        late = await place.url()
        await api.execute("update app_visits set expires_at = $1", api.now - timedelta(seconds=1))
        assert said(await one.open(late)) == REFUSED
        assert said(await one.open(late.replace("ticket=", "ticket=x"))) == REFUSED
        assert place.app.heard == []


@pytest.mark.attack(
    "a ticket or cookie shown to another app, or after the workspace was started again",
    wall="both are for one app in one generation of its workspace",
)
async def test_tickets_and_cookies_are_for_one_app(api: Api) -> None:
    """What opens one's own app opens nobody else's, nor the same app after another start."""
    mallory = await api.person("mallory")
    async with yard(api) as victim, yard(api) as own, own.browser() as browser:
        assert (await own.ticket(by=mallory)).status_code == 404
        host = urlsplit(victim.origin).netloc
        assert said(await browser.open(await own.url(), host=host)) == REFUSED
        assert said(await browser.get("/", Host=host)) == CLOSED
        assert (await browser.get()).status_code == 200  # while it is good where it belongs
        late = await own.url()
        await api.execute("update workspaces set generation = generation + 1")
        await api.execute("update workspace_agents set generation = generation + 1")
        assert said(await browser.get()) == CLOSED
        await browser.open(late)
        assert said(await browser.get()) == CLOSED
        assert victim.app.heard == []


@pytest.mark.attack(
    "a session's token shown to the apps' address, or an API route asked there",
    wall="the apps' listener knows no session and no route",
)
async def test_sessions_open_no_app(api: Api) -> None:
    """The token of the owner is nothing here, wherever it stands; and what the API does is not done here."""
    async with yard(api) as place, place.browser(enters=False) as browser:
        token = api.owner.token
        for headers in (
            {"Cookie": f"coder_session_token={token}"},
            {"Coder_Session_Token": token},
            {"Authorization": f"Bearer {token}"},
        ):
            assert said(await browser.get(f"/?coder_session_token={token}", **headers)) == CLOSED
            assert said(await browser.get("/api/v2/users/me", **headers)) == CLOSED
        assert said(await browser.get("/api/v2/users/me", Host="127.0.0.1")) == (421, "no_app")


@pytest.mark.attack(
    "a page of another app, or of the web, that uses an app with its visitor's cookie",
    wall="Origin and Sec-Fetch-Site are checked for every request but one that leads the reader there",
)
async def test_foreign_pages_use_no_app(api: Api) -> None:
    """Neither fetch, form, script tag nor WebSocket gets through; a link does."""
    async with yard(api) as place, place.browser() as browser:
        sibling = place.origin.replace("shell--", "other--")
        for origin in (sibling, "https://evil.example", "null", api.url):
            for method in ("GET", "POST"):
                assert said(await browser.send(method, "/", b"", Origin=origin)) == FOREIGN
            with pytest.raises(InvalidStatus) as refused:
                await browser.socket(origin=origin)
            assert refused.value.response.status_code == 403
        for site in ("same-site", "cross-site"):
            marks = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "no-cors"}
            assert said(await browser.get("/data.js", **marks)) == FOREIGN
            marks["Sec_Fetch_Mode"] = "navigate"
            assert said(await browser.send("POST", "/", b"", **marks)) == FOREIGN
            assert place.app.heard == []
            assert (await browser.get("/", **marks)).status_code == 200
            place.app.heard.clear()
        assert (await browser.send("POST", "/", b"", Origin=place.origin)).status_code == 200


@pytest.mark.attack(
    "an app that reads its visitor's tokens out of what it is asked",
    wall="cookies, tokens and marks of ours are left out on the way",
)
async def test_apps_hear_no_token(api: Api) -> None:
    """What would let an app act as its visitor does not reach it; its own cookies do."""
    async with yard(api) as place, place.browser() as browser:
        token = api.owner.token
        await browser.get(
            f"/?a=1&coder_session_token={token}&b=2",
            Cookie=f"{browser.cookie}; Coder_Session_Token={token}; own=mine; coder_session_token={token}",
            Authorization=f"Bearer {token}",
            Coder_Session_Token=token,
            X_Taskyard_Peer="mark",
            X_Forwarded_For="1.2.3.4",
            X_Forwarded_Host="evil.example",
            Connection="close, X-Hop",
            X_Hop="of this connection",
            Referer=f"{place.origin}/.taskyard/enter?ticket=x",
        )
        heard = place.app.heard[-1].decode()
        assert place.app.line == "GET /?a=1&b=2 HTTP/1.1"
        assert token not in heard
        assert browser.cookie.partition("=")[2] not in heard
        assert place.app.headers["cookie"] == "own=mine"
        assert place.app.headers["x-forwarded-for"] == "127.0.0.1"
        assert "evil.example" not in heard
        for name in ("x-hop", "x-taskyard-peer", "authorization", "coder-session-token"):
            assert name not in place.app.headers


@pytest.mark.attack(
    "an app that sets or clears cookies of the server, or speaks for its whole domain",
    wall="such headers are taken out of answers",
)
async def test_apps_speak_for_themselves_only(api: Api) -> None:
    """Cookies lose their domain, ours are not set, and nobody is signed out by Clear-Site-Data."""
    async with yard(api) as place, place.browser() as browser:
        place.app.answer = (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
            b"Set-Cookie: coder_session_token=fixed; Domain=localhost; Path=/\r\n"
            b"Set-Cookie: taskyard_app=fixed\r\nSet-Cookie: __Host-taskyard_app=fixed; Secure\r\n"
            b"Set-Cookie: =coder_session_token=fixed\r\nSet-Cookie: coder_session_token\r\n"
            b"Set-Cookie: a=b; Domain=example.net; HttpOnly\r\n"
            b'Clear-Site-Data: "*"\r\nStrict-Transport-Security: max-age=1; includeSubDomains\r\n'
            b"Alt-Svc: h3=evil.example\r\nCross-Origin-Resource-Policy: cross-origin\r\n"
            b"X-Taskyard-Reason: fooled\r\nConnection: X-Hop\r\nX-Hop: 1\r\n\r\n"
        )
        answer = await browser.get()
        assert answer.headers.get_list("set-cookie") == ["a=b; HttpOnly"]
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        for name in ("clear-site-data", "strict-transport-security", "alt-svc", "x-hop"):
            assert name not in answer.headers
        assert "x-taskyard-reason" not in answer.headers


@pytest.mark.attack(
    "a host name that stands for another app, or for two", wall="a host name has one spelling"
)
async def test_host_names_have_one_spelling(api: Api) -> None:
    """What is not exactly the name of an app is none."""
    async with yard(api) as place, place.browser() as browser:
        host = urlsplit(place.origin).netloc
        label, _, rest = host.partition(".")
        wrong = [
            f"x.{host}",
            f"{label}x.{rest}",
            f"{label[:-1]}z.{rest}",
            f"shell.{rest}",
            f"../{host}",
            f"{label}.evil.example",
            "localhost",
            "127.0.0.1",
        ]
        for name in wrong:
            assert said(await browser.get("/", Host=name)) == (421, "no_app"), name
        assert place.app.heard == []


@pytest.mark.attack(
    "one request that reaches the app as two", wall="requests are parsed, and written anew"
)
async def test_requests_are_not_smuggled(api: Api) -> None:
    """One request is heard once, and two in a row are two; of one whose end can be seen in two places, and of what
    stands behind it, the app hears nothing.
    """
    async with yard(api) as place, place.browser() as browser:
        own = "".join(f"{name}: {value}\r\n" for name, value in browser.headers.items()).encode()
        begin = b"POST /one HTTP/1.1\r\n" + own
        inner = b"GET /smuggled HTTP/1.1\r\n" + own + b"Connection: close\r\n\r\n"
        for good, lines in (
            (inner, ["GET /smuggled"]),
            (begin + b"Content-Length: 0\r\n\r\n" + inner, ["POST /one", "GET /smuggled"]),
            (
                begin + b"Content-Length: %d\r\n\r\n" % len(inner) + inner + inner,
                ["POST /one", "GET /smuggled"],
            ),
        ):
            answer = await say(place.port, good)
            assert answer is not None
            assert answer.status == 200
            heard = [head.decode().partition(" HTTP/1.1")[0] for head in place.app.heard]
            assert heard == lines
            place.app.heard.clear()
        for framing in AMBIGUOUS:
            answer = await say(place.port, begin + framing % {b"n": len(inner)} + inner)
            assert answer is not None, framing
            assert answer.status == 400, framing
            assert place.app.heard == [], framing


@pytest.mark.attack(
    "a ticket that leads its reader elsewhere", wall="a ticket leads to a path of its app's host"
)
async def test_tickets_lead_nowhere_else(api: Api) -> None:
    """No path of a ticket names another host, or writes a header; nor does one that was changed on the way."""
    async with yard(api) as place, place.browser(enters=False) as browser:
        for path in (
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a\r\nSet-Cookie: x=1",
            "x",
        ):
            assert said(await place.ticket(path=path)) == (400, "invalid_path"), path
        for path in ("//evil.example", "/%0d%0aSet-Cookie:x", "/%5cevil.example"):
            url = (await place.url()).partition("&path=")[0]
            assert said(await browser.open(f"{url}&path={path}")) == REFUSED, path


@pytest.mark.attack(
    "visitors of an app who take every way to its workspace",
    wall="apps have a quarter of a link's streams",
)
async def test_visitors_do_not_lock_the_owner_out(api: Api) -> None:
    """More than so many at once are told to wait, and places are free again when somebody leaves."""
    async with yard(api) as place, place.browser() as browser, AsyncExitStack() as stack:
        limits = httpx2.Limits(max_connections=MOST_AT_ONCE + 1)
        url = f"http://127.0.0.1:{place.port}"
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=url, limits=limits, timeout=60)
        )
        async with AsyncExitStack() as waiting:
            for _ in range(MOST_AT_ONCE):
                slow = client.stream("GET", "/slow", headers=browser.headers)
                assert (await waiting.enter_async_context(slow)).status_code == 200
            assert said(await browser.get()) == (503, "app_busy")
            mux = await api.services.links.get(place.seat.agent_id)
            async with await mux.open_stream(INSIDE):  # the owner's way is free
                pass
        async with asyncio.timeout(60):
            while (await browser.get()).status_code != 200:
                await asyncio.sleep(0.02)


@pytest.mark.attack(
    "an app of a real workspace asked by whoever finds its port", wall="its host name, and a visit"
)
@pytest.mark.all_tier
def test_a_real_app_is_seen_by_its_owner_only(hostile_world: HostileWorld) -> None:
    """Through a whole server: the victim's ticket shows the victim's app; the attacker gets none."""
    hostile = hostile_world
    task = hostile.victim.get_task("me", hostile.victims.id)
    assert task.workspace_id is not None
    with pytest.raises(ApiError) as refused:
        hostile.attacker.create_app_ticket(task.workspace_id, "agent", AppTicketRequest())
    assert refused.value.status == 404
    ticket = hostile.victim.create_app_ticket(
        task.workspace_id, "agent", AppTicketRequest(path="/status")
    )
    parts = urlsplit(ticket.url)
    with httpx2.Client(base_url=f"http://127.0.0.1:{parts.port}", timeout=60) as client:
        host = {"Host": parts.netloc}
        assert client.get("/status", headers=host).status_code == 401
        entered = client.get(f"{parts.path}?{parts.query}", headers=host)
        cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
        shown = client.get(entered.headers["location"], headers=host | cookie)
        assert shown.json()["status"] in ("stable", "running")
