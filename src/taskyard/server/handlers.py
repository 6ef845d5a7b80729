"""Every handler, by operation: what build_app serves."""

from taskyard.server import (
    agents,
    attaching,
    audit,
    builds,
    identity,
    link,
    meta,
    organizations,
    repository,
    secrets,
    task_streams,
    tasks,
    template_versions,
    templates,
    users,
    watching,
    workspaces,
)
from taskyard.server.call import Handler, SocketHandler

HANDLERS: dict[str, Handler] = {
    **meta.HANDLERS,
    **identity.HANDLERS,
    **users.HANDLERS,
    **organizations.HANDLERS,
    **templates.HANDLERS,
    **template_versions.HANDLERS,
    **tasks.HANDLERS,
    **task_streams.HANDLERS,
    **repository.HANDLERS,
    **secrets.HANDLERS,
    **workspaces.HANDLERS,
    **watching.HANDLERS,
    **builds.HANDLERS,
    **agents.HANDLERS,
    **audit.HANDLERS,
}

SOCKETS: dict[str, SocketHandler] = {
    **link.SOCKETS,
    **attaching.SOCKETS,
    **builds.SOCKETS,
    **watching.SOCKETS,
    **template_versions.SOCKETS,
}
