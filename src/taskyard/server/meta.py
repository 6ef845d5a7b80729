"""Handlers: what the server says of itself."""

from functools import cache

from taskyard.server.call import Answer, Call, Handler
from taskyard.wire.base import Response, encode
from taskyard.wire.identity import BuildInfo
from taskyard.wire.openapi import openapi
from taskyard.wire.routes import ROUTES

COMPATIBLE_VERSION = "v2.34.0"
"""The version clients are told: the last line that had the Tasks API."""


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
    )


async def get_openapi(_call: Call) -> object:
    """The OpenAPI document of every route, whether or not this server mounts it."""
    return Answer(_document(), media_type="application/json; charset=utf-8")


async def list_experiments(_call: Call) -> object:
    """No experiments are on."""
    return []


@cache
def _document() -> bytes:
    """The document as JSON, made on first use: it takes some 30 ms, which most servers never spend."""
    return encode(openapi(ROUTES))


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (health, api_root, get_build_info, get_openapi, list_experiments)
}
