"""Handlers: how the server and all that it works with are."""

from taskyard.control.health import read_health
from taskyard.server.call import Call, Handler


async def get_health(call: Call) -> object:
    """Figures, and what is wrong."""
    return await read_health(call.services, call.actor, call.now)


HANDLERS: dict[str, Handler] = {"get_health": get_health}
