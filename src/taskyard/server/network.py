"""Handlers: what workspaces tried to reach."""

from taskyard.control.network_view import task_network
from taskyard.server.call import Call, Handler
from taskyard.server.deps import task_param


async def get_task_network(call: Call) -> object:
    """What the task's workspace tried to reach, and what became of it."""
    return await task_network(call.services, task_param(call))


HANDLERS: dict[str, Handler] = {get_task_network.__name__: get_task_network}
