"""Handlers: what the server says of itself."""

from collections.abc import Awaitable, Callable
from html import escape

from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import HTMLResponse

from taskyard.control.services import Services
from taskyard.server import docs_page
from taskyard.server.call import Answer, Call, Handler
from taskyard.server.edge import COMPATIBLE_VERSION
from taskyard.wire.base import Response
from taskyard.wire.identity import BuildInfo
from taskyard_agent import __version__

_FRONT = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Taskyard</title>
<h1>Taskyard</h1>
<p>This is a Taskyard server, release {release}. It runs coding agents as background tasks.
{warning}{note}<p>Programs call its API below <code>{url}/api/v2</code>; <a href="/api/docs">this page</a> describes it.
<p>People use the command line:
<pre>taskyard login {url}</pre>
</html>
"""


_OPEN = """\
<p><strong>WARNING: this server runs its workspaces WITHOUT WALLS</strong> (<code>--allow-unconfined</code>): what an agent
runs has all rights of the server, its files and the network.
"""


def front_page(services: Services, note: str = "") -> Callable[[Request], Awaitable[HTMLResponse]]:
    """What answers whoever opens the address of a server without a page: some words, also where there are no walls.

    note is HTML that stands among them.
    """
    warning = _OPEN if services.unconfined else ""

    async def page(request: Request) -> HTMLResponse:
        url = escape(str(request.base_url).rstrip("/"))
        told = _FRONT.format(release=escape(__version__), url=url, warning=warning, note=note)
        return HTMLResponse(told)

    return page


async def health(_call: Call) -> object:
    """The server answers."""
    return Answer(b"OK", media_type="text/plain; charset=utf-8")


async def api_root(_call: Call) -> object:
    """A greeting for whoever looks for the API."""
    return Response(message="This is the API of a Taskyard server.")


async def get_build_info(call: Call) -> object:
    """Versions, as clients compare them."""
    url = call.services.settings.access_url or str(call.connection.base_url).rstrip("/")
    return BuildInfo(
        external_url="",
        version=COMPATIBLE_VERSION,
        dashboard_url=url,
        telemetry=False,
        workspace_proxy=False,
        agent_api_version="2.0",
        provisioner_api_version="1.0",
        upgrade_message="",
        deployment_id=str(call.services.deployment_id),
        confined=False if call.services.unconfined else UNSET,
    )


async def get_openapi(_call: Call) -> object:
    """The OpenAPI document of every route, whether or not this server mounts it."""
    return Answer(docs_page.document_file(), media_type="application/json; charset=utf-8")


async def get_api_docs(_call: Call) -> object:
    """The same document as a page, which runs nothing and fetches nothing."""
    return Answer(
        docs_page.page(), headers=docs_page.HEADERS, media_type="text/html; charset=utf-8"
    )


async def list_experiments(_call: Call) -> object:
    """No experiments are on."""
    return []


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (health, api_root, get_build_info, get_openapi, get_api_docs, list_experiments)
}
