"""Handlers: what a task did to its repository."""

from taskyard.control import repository
from taskyard.server.call import Call, Handler
from taskyard.server.deps import task_param
from taskyard.wire import repository as wire


async def get_task_diff(call: Call) -> object:
    """What changed, committed or not."""
    return await repository.task_diff(call.services, task_param(call))


async def push_task(call: Call) -> object:
    """The work branch, pushed."""
    task = task_param(call)
    body = await call.body(wire.PushTaskRequest)
    return await repository.push_task(call.services, call.actor, task, body, now=call.now)


HANDLERS: dict[str, Handler] = {handler.__name__: handler for handler in (get_task_diff, push_task)}
