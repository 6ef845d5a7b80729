"""Every handler, by operation: what build_app serves."""

from taskyard.server import (
    agents,
    app_tickets,
    attaching,
    audit,
    builds,
    health,
    identity,
    link,
    meta,
    network,
    organizations,
    repository,
    secrets,
    task_streams,
    tasks,
    template_versions,
    templates,
    terminal,
    users,
    watching,
    workspaces,
)
from taskyard.server.call import Handler, SocketHandler

HANDLERS: dict[str, Handler] = {
    **meta.HANDLERS,
    **health.HANDLERS,
    **identity.HANDLERS,
    **users.HANDLERS,
    **organizations.HANDLERS,
    **templates.HANDLERS,
    **template_versions.HANDLERS,
    **tasks.HANDLERS,
    **task_streams.HANDLERS,
    **repository.HANDLERS,
    **network.HANDLERS,
    **secrets.HANDLERS,
    **workspaces.HANDLERS,
    **app_tickets.HANDLERS,
    **watching.HANDLERS,
    **builds.HANDLERS,
    **agents.HANDLERS,
    **audit.HANDLERS,
}

SOCKETS: dict[str, SocketHandler] = {
    **link.SOCKETS,
    **attaching.SOCKETS,
    **terminal.SOCKETS,
    **builds.SOCKETS,
    **watching.SOCKETS,
    **template_versions.SOCKETS,
}
