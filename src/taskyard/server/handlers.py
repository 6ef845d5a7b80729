"""Every handler, by operation: what build_app serves."""

from taskyard.server import agents, identity, link, meta, tasks, templates, workspaces
from taskyard.server.call import Handler, SocketHandler

HANDLERS: dict[str, Handler] = {
    **meta.HANDLERS,
    **identity.HANDLERS,
    **templates.HANDLERS,
    **tasks.HANDLERS,
    **workspaces.HANDLERS,
    **agents.HANDLERS,
}

SOCKETS: dict[str, SocketHandler] = {**link.SOCKETS, **workspaces.SOCKETS, **templates.SOCKETS}
