"""How the page for people is served: types, caches, policies, and that nothing of the API's is taken for it."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskyard.control.services import Services
from taskyard.daemon.reach import reach_of
from taskyard.server.app import build_app
from taskyard.server.handlers import HANDLERS, SOCKETS
from taskyard.server.page import TYPES, Site, load_files
from taskyard.wire.routes import ROUTES
from tests.api.edge_kit import ask, listening

pytestmark = pytest.mark.anyio

INDEX = b'<!doctype html><title>Taskyard</title><script src="/assets/app-1.js"></script>'
SCRIPT = b"console.log(1);" * 100
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
PAGES = (
    "/",
    "/tasks",
    "/tasks/ada/fix-login",
    "/login",
    "/setup",
    "/templates/shell",
    "/admin/x/",
    "/account/tokens",
)


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A folder as the build leaves it."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    for name, body in {
        "index.html": INDEX,
        "built-from": b"0123",
        "favicon.svg": b"<svg/>",
        ".hidden.js": b"1",
        "assets/app-1.js": SCRIPT,
        "assets/app-1.js.gz": gzip.compress(SCRIPT),
        "assets/app-1.js.br": b"packed by brotli",
        "assets/app-1.css": b"a{}",
    }.items():
        (folder / name).write_bytes(body)
    return folder


@asynccontextmanager
async def shown(services: Services, folder: Path) -> AsyncIterator[int]:
    """The port of a server with the page of this folder."""
    site = Site(services, load_files(folder))
    reach = reach_of(services.settings)
    async with listening(
        build_app(services, ROUTES, HANDLERS, SOCKETS, reach=reach, site=site)
    ) as port:
        yield port


@pytest.mark.parametrize("path", PAGES)
async def test_addresses_of_the_page(services: Services, static: Path, path: str) -> None:
    """At each the one document, whoever asks, asked for again each time; what it may do is said beside it."""
    services.previews.tell("https://*.apps.example.net:8443")
    async with shown(services, static) as port:
        page, head = await ask(port, "GET", path), await ask(port, "HEAD", path)
        again = await ask(port, "GET", path, {"If-None-Match": f"W/{page.headers['etag']}"})
    assert (page.status, page.body) == (200, INDEX)
    assert (head.status, head.body) == (200, b"")
    assert (again.status, again.body) == (304, b"")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "font-src 'none'; frame-src https://*.apps.example.net:8443; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )
    assert page.headers["referrer-policy"] == "same-origin"
    assert "camera=()" in page.headers["permissions-policy"]
    assert (page.headers["x-content-type-options"], page.headers["x-frame-options"]) == (
        "nosniff",
        "DENY",
    )
    for name in ("content-type", "content-length", "etag", "content-security-policy"):
        assert head.headers[name] == page.headers[name]


async def test_no_apps_no_frames(services: Services, static: Path) -> None:
    """A server that shows no apps lets the page frame nothing."""
    async with shown(services, static) as port:
        page = await ask(port, "GET", "/")
    assert "frame-src 'none';" in page.headers["content-security-policy"]


async def test_files_of_the_page(services: Services, static: Path) -> None:
    """Each has its type and is kept for a year; it comes packed as the client takes it."""
    async with shown(services, static) as port:
        script = "/assets/app-1.js"
        for accepted, encoding, body in (
            ("", None, SCRIPT),
            ("gzip, deflate, br, zstd", "br", b"packed by brotli"),
            ("br;q=0, gzip;q=0.5", "gzip", gzip.compress(SCRIPT)),
            ("GZIP", "gzip", gzip.compress(SCRIPT)),
            ("identity, br;q=0.000", None, SCRIPT),
        ):
            found = await ask(port, "GET", script, {"Accept-Encoding": accepted})
            assert (found.status, found.headers.get("content-encoding")) == (200, encoding)
            unpacked = gzip.decompress(found.body) if encoding == "gzip" else found.body
            assert unpacked == (SCRIPT if encoding == "gzip" else body)
            assert found.headers["content-type"] == "text/javascript; charset=utf-8"
            assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert found.headers["vary"] == "Accept-Encoding"
            known = {"If-None-Match": f'"x", {found.headers["etag"]}', "Accept-Encoding": accepted}
            assert (await ask(port, "GET", script, known)).status == 304
        style = await ask(port, "GET", "/assets/app-1.css", {"Accept-Encoding": "br"})
        icon = await ask(port, "GET", "/favicon.svg")
        head = await ask(port, "HEAD", script)
    assert (style.headers["content-type"], style.body) == (TYPES[".css"], b"a{}")
    assert (icon.headers["content-type"], icon.headers["cache-control"]) == (
        "image/svg+xml",
        "no-cache",
    )
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(SCRIPT)))


@pytest.mark.attack(
    "a path that leaves the folder of the page", wall="only files read at the start have one"
)
async def test_nothing_else_is_a_file(services: Services, static: Path) -> None:
    """No list of a folder, no file beside or above it, no packed copy by its own name: 404, also for browsers."""
    (static.parent / "secret.js").write_text("1")
    async with shown(services, static) as port:
        for path in (
            "/assets",
            "/assets/",
            "/assets/gone-1.js",
            "/assets/gone",
            "/assets/../../secret.js",
            "/assets/%2e%2e/%2e%2e/secret.js",
            "/assets/..%2f..%2fsecret.js",
            "/..%2fsecret.js",
            "/tasks/../../secret",
            "/tasks/..%2f.ssh",
            "/assets/app-1.js/x",
            "/assets/app-1.js.gz",
            "/assets/app-1.js%00",
            "/assets\\app-1.js",
            "/index.html",
            "/built-from",
            "/.hidden.js",
            "/.env",
            "/.well-known/x",
            "/robots.txt",
        ):
            refused = await ask(port, "GET", path)
            assert refused.reason == (404, "no_route"), path
            if path != "/built-from":
                assert (await ask(port, "GET", path, BROWSER)).reason == (404, "no_route"), path


async def test_programs_get_no_page(services: Services, static: Path) -> None:
    """What is below /api is never HTML; at any other wrong address a page comes only to who asks for one."""
    async with shown(services, static) as port:
        for path in ("/api", "/api/v3", "/api/v2/nothing", "/@ada/w/apps/x", "/metrics", "/assets"):
            assert (await ask(port, "GET", path, BROWSER)).reason == (404, "no_route"), path
        assert (await ask(port, "GET", "/api/v2/tasks", BROWSER)).status == 401
        assert (await ask(port, "GET", "/v2/tasks", {"Accept": "*/*"})).reason == (404, "no_route")
        assert (await ask(port, "GET", "/v2/tasks", BROWSER)).body == INDEX
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert (await ask(port, method, "/tasks/ada/x", BROWSER)).reason == (404, "no_route")
        assert (await ask(port, "POST", "/", BROWSER)).reason == (405, "no_method")
        rebound = await ask(port, "GET", "/tasks", {**BROWSER, "Host": "rebound.example.com"})
        assert rebound.reason == (421, "unknown_host")


async def test_a_page_that_was_not_built(services: Services, tmp_path: Path) -> None:
    """Its addresses say so and how to build it; `/` still says what else is here. Neither runs anything."""
    async with shown(services, tmp_path / "nothing") as port:
        front, deep = await ask(port, "GET", "/"), await ask(port, "GET", "/tasks/ada/x")
        assert (await ask(port, "GET", "/assets/app-1.js")).reason == (404, "no_route")
    assert (front.status, deep.status) == (200, 503)
    for page in (front, deep):
        assert b"./yard page" in page.body
        assert b"taskyard login" in page.body
        assert b"<script" not in page.body
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.headers["cache-control"] == "no-store"


async def test_log_of_the_page(services: Services, static: Path) -> None:
    """One line for each look at the page, without its address; its files are logged for debugging only."""
    with capture_logs() as lines:
        async with shown(services, static) as port:
            for path in ("/tasks/ada/hunter2", "/assets/app-1.js"):
                await ask(port, "GET", path)
    found = [
        (line["route"], line["log_level"]) for line in lines if line["event"] == "request.served"
    ]
    assert found == [("/{page}", "info"), ("/assets/{file}", "debug")]
    assert "hunter2" not in str(lines)
