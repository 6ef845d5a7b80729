"""That a scenario fails where it must: what the browser sees is judged whatever the scenario looks at."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ui.page_kit import Browser, open_browser

pytestmark = pytest.mark.all_tier

POLICY = "default-src 'none'; script-src 'self'; connect-src *; img-src 'self' data:"
HEAD = '<!doctype html><html lang="en"><title>A page</title><link rel="icon" href="data:,"><main><h1>A page</h1>'
LOOK = "export default async ({ page }) => { await page.goto('/'); await page.waitForLoadState('networkidle') }"
AXE = "export default async ({ page, axe }) => { await page.goto('/'); await axe(page) }"
FITS = "export default async ({ page, fits }) => { await page.goto('/'); await fits(page) }"
LOST = "export default async ({ page }) => { await page.goto('/'); throw new Error('lost the thread') }"
ALLOWED = LOOK.replace("{ page }", "{ page, allow }").replace(
    "{ await", "{ allow(/seven/); await", 1
)

KEEPS = """\
export default async ({ address, visitor, downloaded, copied, CLIPBOARD }) => {
  const page = await visitor({ permissions: CLIPBOARD })
  await page.goto('/')
  const { name, text } = await downloaded(page, () => page.getByText('Keep').click())
  if (name !== 'a.txt' || text !== 'words') throw new Error(`${name}: ${text}`)
  await page.evaluate(() => navigator.clipboard.writeText('seven'))
  if (await copied(page) !== 'seven') throw new Error('not copied')
}
"""


@pytest.fixture(scope="session")
def browser() -> Browser:
    """The browser without a page of ours."""
    return open_browser()


@contextmanager
def served(html: str, script: str) -> Iterator[str]:
    """The address of a page with this script."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_script, is_api = self.path == "/a.js", self.path.startswith("/api/")
            body = script if is_script else HEAD + html + '<script src="/a.js"></script>'
            self.send_response(401 if is_api else 200)
            self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("html", "script", "scenario"),
    [
        pytest.param("", "console.log('fine')", LOOK, id="nothing"),
        pytest.param("", "fetch('/api/v2/users/me')", LOOK, id="a refusal of the API"),
        pytest.param("<p>Words", "", AXE, id="nothing for axe"),
        pytest.param("", "console.error('seven')", ALLOWED, id="what is allowed"),
    ],
)
def test_what_is_fine(
    browser: Browser, tmp_path: Path, html: str, script: str, scenario: str
) -> None:
    """A page that does nothing wrong passes; so does one whose fault the scenario expects."""
    file = tmp_path / "scenario.mjs"
    file.write_text(scenario)
    with served(html, script) as address:
        browser.plays(file, tmp_path, address=address)


@pytest.mark.parametrize(
    ("html", "script", "scenario", "why"),
    [
        pytest.param("", "console.error('seven')", LOOK, "error: seven", id="console"),
        pytest.param("", "nothing.there()", LOOK, "nothing is not defined", id="error"),
        pytest.param("", "Promise.reject(new Error('seven'))", LOOK, "seven", id="rejection"),
        pytest.param("<p style='color: red'>x", "", LOOK, "policy: style-src-attr", id="style"),
        pytest.param("", "eval('1')", LOOK, "policy: script-src", id="eval"),
        pytest.param(
            "",
            "fetch('/gone').then(r => fetch('http://localhost:9/')).catch(() => 0)",
            LOOK,
            "another origin: http://localhost:9/",
            id="origin",
        ),
        pytest.param(
            "",
            "new WebSocket('ws://127.0.0.1:9/')",
            LOOK,
            "another origin: ws://127.0.0.1:9/",
            id="socket",
        ),
        pytest.param("<button></button>", "", AXE, "button-name", id="axe"),
        pytest.param(
            "<style></style><pre>" + "x" * 1000 + "</pre>", "", FITS, "px wide", id="wide"
        ),
        pytest.param("<p>words of the page", "", LOST, "lost the thread", id="scenario"),
    ],
)
def test_what_fails(
    browser: Browser, tmp_path: Path, html: str, script: str, scenario: str, why: str
) -> None:
    """Each fault of a page fails its scenario, which says why, what the page showed, and where its picture is."""
    file = tmp_path / "scenario.mjs"
    file.write_text(scenario)
    with served(html, script) as address, pytest.raises(AssertionError) as failed:
        browser.plays(file, tmp_path, address=address)
    assert why in str(failed.value)
    assert "A page" in str(failed.value)
    assert (tmp_path / "page-0.png").stat().st_size > 0


def test_backstage(browser: Browser, tmp_path: Path) -> None:
    """A scenario has something done by its test and is told what that came to; what goes wrong there fails it."""
    file = tmp_path / "scenario.mjs"
    double = "if (await backstage('double', { number: 4 }) !== 8) throw new Error('not doubled')"
    file.write_text(f"export default async ({{ backstage }}) => {{ {double} }}")
    with served("", "") as address:
        browser.having(double=lambda number: number * 2).plays(file, tmp_path, address=address)
        with pytest.raises(AssertionError, match="KeyError: 'double'"):
            browser.plays(file, tmp_path, address=address)


def test_what_is_kept_and_copied(browser: Browser, tmp_path: Path) -> None:
    """Scenarios see what a page gives as a file, and what it puts on the clipboard."""
    file = tmp_path / "scenario.mjs"
    file.write_text(KEEPS)
    with served("<a download=a.txt href=data:text/plain,words>Keep</a>", "") as address:
        browser.plays(file, tmp_path, address=address)
