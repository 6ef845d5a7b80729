"""What apps answer that no cache may keep, or that no server may send, and what tickets by the dozen leave."""

import logging
from datetime import timedelta

import pytest
from websockets.exceptions import InvalidStatus

from tests.api.apps_kit import said, yard
from tests.api.seed import Api

pytestmark = pytest.mark.anyio

MORE = """
insert into app_visits (id, workspace_id, generation, slug, key_id, ticket_hash, created_at, expires_at)
select gen_random_uuid(), workspace_id, generation, slug, key_id, sha256(n::text::bytea),
    created_at + n * interval '1 second', expires_at
from app_visits, generate_series(1, 30) n where key_id = $1 and workspace_id = $2
"""
"""Thirty more visits than the one that a key has at a workspace's app, later ones."""

EMPTY = b"Content-Length: 0\r\n\r\n"

CACHED = (
    (b"", "private, no-cache"),
    (
        b"Cache-Control: public, max-age=600, s-maxage=600, immutable\r\n",
        "private, max-age=600, immutable",
    ),
    (b"Cache-Control: PUBLIC\r\nCache-Control: Max-Age=5, max-age=x\r\n", "private, max-age=5"),
    (b'Cache-Control: private="x, public", no-cache="set-cookie"\r\n', "private"),
    (b"Cache-Control: no-store\r\n", "private, no-store"),
    (b"CDN-Cache-Control: public, max-age=9\r\nX-Accel-Expires: 9\r\n", "private, no-cache"),
    (
        b"Surrogate-Control: max-age=9\r\nExample-CDN-Cache-Control: max-age=9\r\n",
        "private, no-cache",
    ),
)
"""What an app says of caches, and what a browser hears of a private app."""

UNHEARD = ("cdn-cache-control", "example-cdn-cache-control", "surrogate-control", "x-accel-expires")


@pytest.mark.attack(
    "a visitor who is given what a cache kept of somebody else's visit",
    wall="what a private app answers is for its reader's own cache only",
)
async def test_no_cache_between_keeps_a_private_app(api: Api) -> None:
    """Whatever a private app says, what it answers is for one browser; a public app says what it likes."""
    async with yard(api) as place, place.browser() as browser:
        for told, heard in CACHED:
            place.app.answer = b"HTTP/1.1 200 OK\r\n" + told + EMPTY
            answer = await browser.get()
            assert answer.headers.get_list("cache-control") == [heard], told
            assert [name for name in UNHEARD if name in answer.headers] == []
        await place.share("public")
        place.app.answer = (
            b"HTTP/1.1 200 OK\r\nCache-Control: public\r\nSurrogate-Control: x\r\n" + EMPTY
        )
        answer = await browser.get()
        assert (answer.headers["cache-control"], answer.headers["surrogate-control"]) == (
            "public",
            "x",
        )


@pytest.mark.attack(
    "an app that tells the proxy in front to serve a file of its machine",
    wall="such headers are taken out of answers",
)
async def test_apps_command_no_proxy(api: Api) -> None:
    """No answer tells a proxy in front to serve a file of its own machine."""
    async with yard(api) as place, place.browser() as browser:
        await place.share("public")
        place.app.answer = (
            b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: /x\r\nX-Sendfile: /etc/passwd\r\n" + EMPTY
        )
        answer = await browser.get()
        assert answer.status_code == 200
        assert not {"x-accel-redirect", "x-sendfile"} & answer.headers.keys()


async def test_answers_that_no_server_may_send(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """A status that is none is the app's failure; one without a body has none, whatever length is told."""
    caplog.set_level(logging.ERROR)
    async with yard(api) as place, place.browser() as browser:
        for status in (b"600 No", b"999 No", b"101 Switching Protocols"):
            place.app.answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nhi"
            assert said(await browser.get()) == (502, "app_failed"), status
        for status in (b"204 No Content", b"304 Not Modified"):
            place.app.answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\nETag: x\r\n\r\n"
            answer = await browser.get()
            assert (answer.status_code, answer.content) == (int(status[:3]), b"")
            assert answer.headers["etag"] == "x"
        place.app.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        assert (await browser.send("HEAD", "/", None)).headers["content-length"] == "5"
    assert [line.getMessage() for line in caplog.records] == []


async def test_sockets_that_an_app_does_not_take(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """An app that sends a WebSocket elsewhere, or answers it by nonsense, has refused it."""
    caplog.set_level(logging.ERROR)
    async with yard(api) as place, place.browser() as browser:
        for answer in (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:3284/login\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: /there\r\n",
            b"HTTP/1.1 302 Found\r\nLocation: http://[x/\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n",
            b"HTTP/1.1 999 No\r\n",
        ):
            place.app.answer = answer + EMPTY
            with pytest.raises(InvalidStatus) as refused:
                await browser.socket()
            assert refused.value.response.status_code == 502, answer
    assert [line for line in caplog.records if line.exc_info] == []


async def test_a_ticket_of_too_many_fields_is_refused(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    """Who has no ticket and asks by a hundred fields is told that it is not good."""
    caplog.set_level(logging.ERROR)
    async with yard(api) as place, place.browser(enters=False) as browser:
        for query in ("a=1&" * 100, "ticket=%ff%00&path=%00", "ticket"):
            url = f"{place.origin}/.taskyard/enter?{query}"
            assert said(await browser.open(url)) == (401, "ticket_refused"), query
    assert [line.getMessage() for line in caplog.records] == []


@pytest.mark.attack(
    "tickets without end, to fill the database", wall="a key keeps 32 visits at each app"
)
async def test_visits_of_a_key_are_few(api: Api) -> None:
    """Tickets by the dozen end the oldest visits of their key at that app, and nobody else's."""
    async with yard(api) as place, yard(api) as other, other.browser() as elsewhere:
        mate = await api.person("mate")
        await place.share("organization")
        async with place.browser(by=mate) as mates, place.browser() as first:
            key, at = api.owner.token.partition("-")[0], place.host.workspace_id
            await api.execute("update app_visits set created_at = $1", api.now - timedelta(hours=1))
            await api.execute(MORE, key, at)
            last = await place.url()
            assert (await first.get()).status_code == 200
            await place.url()
            assert said(await first.get()) == (401, "app_closed")
            for browser in (mates, elsewhere):
                assert (await browser.get()).status_code == 200
            count = "select count(*) from app_visits where key_id = $1 and workspace_id = $2"
            assert await api.value(count, key, at) == 32
            assert (await first.open(last)).status_code == 303
