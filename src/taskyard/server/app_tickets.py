"""Handlers: the way from the API to an app's own address."""

from taskyard.control import apps
from taskyard.control.previews import AppHost
from taskyard.server.call import Call, Handler
from taskyard.wire.apps import AppTicketRequest


async def create_app_ticket(call: Call) -> object:
    """An address that shows the app to the browser that opens it first."""
    host = AppHost(call.uuid("workspace"), call.path("app"))
    body = await call.body(AppTicketRequest)
    return await apps.make_ticket(call.services, call.actor, host, body, now=call.now)


HANDLERS: dict[str, Handler] = {"create_app_ticket": create_app_ticket}
