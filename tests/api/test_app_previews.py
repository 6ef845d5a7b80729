"""Apps of workspaces as browsers see them: in over a ticket, through a real link, to a real program."""

from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.api.apps_kit import INSIDE, said, yard
from tests.api.seed import Api

pytestmark = pytest.mark.anyio


async def test_a_ticket_becomes_a_cookie_and_leads_in(api: Api) -> None:
    """The address of a ticket shows the app at the path that was asked for, and tells nobody where it came from."""
    async with yard(api) as place, place.browser(enters=False) as browser:
        made = await place.ticket(path="/docs?page=1")
        deed = "select action || ' ' || resource_type from audit_logs where request_id = $1"
        request_id = made.headers["X-Taskyard-Request-Id"]
        assert await api.value(deed, request_id) == "attach workspace"
        answer = await browser.open(made.json()["url"])
        assert answer.status_code == 303
        assert answer.headers["location"] == "/docs?page=1"
        assert "HttpOnly" in answer.headers["set-cookie"]
        assert "samesite=lax" in answer.headers["set-cookie"].lower()
        assert "domain" not in answer.headers["set-cookie"].lower()
        shown = await browser.get("/docs?page=1")
        assert (shown.status_code, shown.text) == (200, "hi")
        assert place.app.line == "GET /docs?page=1 HTTP/1.1"
        assert place.app.headers["host"] == f"127.0.0.1:{INSIDE}"
        assert place.app.headers["x-forwarded-host"] == urlsplit(place.origin).netloc


async def test_bodies_go_both_ways_whole(api: Api) -> None:
    """Three megabytes come back as they went, over a stream with a window of a quarter of one."""
    async with yard(api) as place, place.browser() as browser:
        body = bytes(range(256)) * 12288
        answer = await browser.send("POST", "/echo", body)
        assert answer.content == body


async def test_answers_come_as_they_are_made(api: Api) -> None:
    """The first event of a stream is there while the app still works on the second."""
    async with yard(api) as place, place.browser() as browser, browser.stream("/slow") as answer:
        pieces = answer.aiter_bytes()
        assert await anext(pieces) == b"data: 1\n\n"
        place.app.hold.set()
        assert b"".join([piece async for piece in pieces]) == b"data: 2\n\n"


async def test_web_sockets_go_through(api: Api) -> None:
    """Texts and bytes go both ways, under the word that both sides speak, and the app hears of its own origin."""

    async def echo(socket: ServerConnection) -> None:
        assert socket.request is not None
        await socket.send(socket.request.headers["Origin"])
        async for message in socket:
            await socket.send(message)

    async with (
        yard(api) as place,
        place.browser() as browser,
        serve(echo, "127.0.0.1", 0) as server,
    ):
        place.ports[INSIDE] = server.sockets[0].getsockname()[1]
        async with browser.socket() as socket:
            assert await socket.recv() == f"http://127.0.0.1:{INSIDE}"
            await socket.send("text")
            await socket.send(b"bytes" * 20000)
            assert [await socket.recv(), await socket.recv()] == ["text", b"bytes" * 20000]


async def test_redirects_stay_on_the_app_s_host(api: Api) -> None:
    """Where the app sends a browser to its own loopback, the browser stays; elsewhere it is sent as it was."""
    async with yard(api) as place, place.browser() as browser:
        for sent, arrives in [
            (f"http://127.0.0.1:{INSIDE}/login?next=/", "/login?next=/"),
            (f"http://localhost:{INSIDE}//evil.example", "/evil.example"),
            ("/plain", "/plain"),
            ("https://example.com/x", "https://example.com/x"),
        ]:
            place.app.answer = (
                f"HTTP/1.1 302 Found\r\nLocation: {sent}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            assert (await browser.get()).headers["location"] == arrives


async def test_what_fails_is_told(api: Api) -> None:
    """Who hangs up, speaks no HTTP, or is not there is told as just that."""
    async with yard(api) as place, place.browser() as browser:
        for answer in (b"", b"SSH-2.0-nothing\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"x" * 70000):
            place.app.answer = answer
            assert said(await browser.get()) == (502, "app_failed")
        place.ports[INSIDE] = 1
        found = await browser.get("/", Accept="text/html")
        assert said(found) == (502, "app_failed")
        assert found.headers["content-security-policy"].startswith("default-src 'none'")
        assert f"port {INSIDE}" in found.text


@pytest.mark.parametrize(
    ("level", "owner", "mate", "stranger", "anybody"),
    [
        ("owner", 201, 404, 404, 401),
        ("organization", 201, 201, 404, 401),
        ("authenticated", 201, 201, 201, 401),
        ("public", 201, 201, 201, 200),
    ],
)
async def test_who_may_open_an_app(
    api: Api, level: str, owner: int, mate: int, stranger: int, anybody: int
) -> None:
    """The share level decides who gets a ticket, and that nobody needs one for a public app."""
    there = await api.organization("elsewhere")
    one, other = await api.person("mate"), await api.person("stranger", organization=there)
    async with yard(api) as place, place.browser(enters=False) as browser:
        await place.share(level)
        found = [(await place.ticket(by=who)).status_code for who in (api.owner, one, other)]
        assert found == [owner, mate, stranger]
        assert (await browser.get()).status_code == anybody


async def test_visits_end_with_what_they_rest_on(api: Api) -> None:
    """A visit ends with its key, its owner's right, its time, the workspace's generation."""
    async with yard(api) as place:
        mate = await api.person("mate")
        await place.share("organization")
        workspace = place.seat.task["workspace_id"]
        for undo in (
            ("delete from organization_members where user_id = $1", mate.id),
            ("update users set status = 'suspended' where id = $1", mate.id),
            ("delete from api_keys where user_id = $1", mate.id),
        ):
            async with place.browser(by=mate) as browser:
                assert (await browser.get()).status_code == 200
                await api.execute(*undo)
                assert said(await browser.get()) == (401, "app_closed")
            await api.execute("update users set status = 'active' where id = $1", mate.id)
            if "api_keys" not in undo[0]:
                await api.execute(
                    "insert into organization_members (organization_id, user_id, roles, created_at, updated_at) "
                    "values ($1, $2, '{}', now(), now()) on conflict do nothing",
                    api.organization_id,
                    mate.id,
                )
        async with place.browser() as browser:
            await api.execute("update app_visits set expires_at = $1", api.now - timedelta(hours=1))
            assert said(await browser.get()) == (401, "app_closed")
        async with place.browser() as browser:
            await api.execute(
                "update workspaces set generation = generation + 1 where id = $1", workspace
            )
            await api.execute("update workspace_agents set generation = generation + 1")
            assert said(await browser.get()) == (401, "app_closed")


async def test_streams_end_with_the_right_to_see_them(api: Api) -> None:
    """Who is signed out while an answer still comes sees no more of it, within seconds."""
    async with yard(api) as place, place.browser() as browser, browser.stream("/slow") as answer:
        pieces = answer.aiter_raw()
        await anext(pieces)
        await api.execute("delete from app_visits")
        with pytest.raises(httpx2.RemoteProtocolError):
            await anext(pieces)


async def test_a_server_without_a_place_for_apps_says_so(api: Api) -> None:
    """No ticket is made that leads nowhere."""
    async with yard(api) as place:
        api.services.previews.suffix = ""
        assert said(await place.ticket()) == (400, "no_previews")
