"""Handlers: tasks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from taskyard.control import inbox, phases_view, task_app, task_permissions, tasks
from taskyard.control.interrupt import interrupt_task as interrupt
from taskyard.control.task_create import create_task as create
from taskyard.control.task_list import list_tasks as list_page
from taskyard.control.task_queue import queue_places
from taskyard.control.task_rename import rename_task
from taskyard.control.task_show import show_task
from taskyard.control.tasks_view import task_view
from taskyard.server.call import Answer, Call, Handler
from taskyard.server.deps import task_param, user_param
from taskyard.server.following import still_signed_in
from taskyard.server.streamed import Parts
from taskyard.wire import phases
from taskyard.wire import tasks as wire
from taskyard.wire.base import encode


async def list_tasks(call: Call) -> object:
    """The tasks that the caller may see, newest first; by pages for those who ask. Source: T13, T44."""
    page = await list_page(
        call.services, still_signed_in(call), call.query(wire.ListTasksQuery), call.now
    )
    if page.rest is not None:
        return Answer(Parts(_parts(page.tasks, page.rest)))
    headers = {"X-Taskyard-Next-Page": page.next_token} if page.next_token else {}
    return Answer(wire.TasksListResponse(tasks=page.tasks, count=len(page.tasks)), headers=headers)


async def _parts(
    tasks: list[wire.Task], rest: AsyncGenerator[list[wire.Task], None]
) -> AsyncGenerator[bytes, None]:
    """The JSON of a TasksListResponse that is never in memory as a whole."""
    count = len(tasks)
    async with aclosing(rest):
        yield b'{"tasks":' + encode(tasks)[:-1]
        async for more in rest:
            count += len(more)
            yield b"," + encode(more)[1:-1]
    yield b'],"count":%d}' % count


async def create_task(call: Call) -> object:
    """A new task. Source: T20-T37."""
    owner = await user_param(call)
    body = await call.body(wire.CreateTaskRequest)
    row = await create(call.services, call.actor, owner, body, now=call.now)
    places = await queue_places(call.services, [row])
    return task_view(row, call.now, queue=places.get(row.workspace_id))


async def get_task(call: Call) -> object:
    """One task. Source: T40-T43."""
    return await show_task(call.services, task_param(call), call.now)


async def delete_task(call: Call) -> object:
    """Takes the task away and its workspace with it. Source: T130-T136."""
    task, query = task_param(call), call.query(wire.ForceQuery)
    await tasks.delete_task(call.services, call.actor, task, call.now, force=query.force)
    return None


async def update_task(call: Call) -> object:
    """Another display name."""
    task = task_param(call)
    body = await call.body(wire.UpdateTaskRequest)
    renamed = await rename_task(call.services, call.actor, task, body.display_name, now=call.now)
    return await show_task(call.services, renamed, call.now)


async def update_task_input(call: Call) -> object:
    """Another input for the next start. Source: T90-T92."""
    task = task_param(call)
    body = await call.body(wire.UpdateTaskInputRequest)
    await tasks.update_input(call.services, call.actor, task, body.input, now=call.now)
    return None


async def send_task_input(call: Call) -> object:
    """A message for the coding agent, now or when its turn comes. Source: T93-T99."""
    task = task_param(call)
    body = await call.body(wire.TaskSendRequest)
    if body.when is not None:
        place = await inbox.queue_prompt(call.services, call.actor, task, body.input, now=call.now)
        return Answer(place, status=202)
    await task_app.send_input(call.services, call.actor, task, body, now=call.now)
    return None


async def get_task_logs(call: Call) -> object:
    """The conversation. Source: T100-T106."""
    return await task_app.get_logs(call.services, task_param(call))


async def list_task_permissions(call: Call) -> object:
    """What the coding agent asks. Source: N11."""
    task = task_param(call)
    query = call.query(wire.ListTaskPermissionsQuery)
    found = await task_permissions.list_permissions(call.services, task, answered=query.all)
    return wire.TaskPermissionsResponse(permissions=found)


async def get_task_phases(call: Call) -> object:
    """What a start of the task went through."""
    task, query = task_param(call), call.query(phases.TaskPhasesQuery)
    return await phases_view.task_phases(call.services, task, query.build, call.now)


async def answer_task_permission(call: Call) -> object:
    """A person's answer to what the coding agent asks. Source: N11."""
    task, permission = task_param(call), call.path("permission")
    body = await call.body(wire.AnswerTaskPermissionRequest)
    await task_permissions.answer_permission(
        call.services, call.actor, task, permission, request=body
    )
    return None


async def list_task_prompts(call: Call) -> object:
    """What waits for its turn, and what became of what did."""
    return await inbox.list_prompts(call.services, task_param(call))


async def update_task_prompt(call: Call) -> object:
    """Another place or text for a prompt that waits."""
    task, prompt_id = task_param(call), call.uuid("prompt")
    body = await call.body(wire.UpdateTaskPromptRequest)
    return await inbox.update_prompt(
        call.services, call.actor, task, prompt_id, request=body, now=call.now
    )


async def delete_task_prompt(call: Call) -> object:
    """Takes back a prompt that waits."""
    task, prompt_id = task_param(call), call.uuid("prompt")
    await inbox.take_back(call.services, call.actor, task, prompt_id, now=call.now)
    return None


async def interrupt_task(call: Call) -> object:
    """Ends the turn that runs."""
    await interrupt(call.services, call.actor, task_param(call), call.now)
    return None


async def pause_task(call: Call) -> object:
    """Stops the workspace. Source: T110-T112."""
    task, query = task_param(call), call.query(wire.ForceQuery)
    build = await tasks.pause_task(call.services, call.actor, task, call.now, force=query.force)
    return wire.PauseTaskResponse(workspace_build=build)


async def resume_task(call: Call) -> object:
    """Starts the workspace again. Source: T113-T117."""
    task = task_param(call)
    build = await tasks.resume_task(call.services, call.actor, task, call.now)
    return wire.ResumeTaskResponse(workspace_build=build)


async def retry_task(call: Call) -> object:
    """Does again what the newest build failed at."""
    task = task_param(call)
    build = await tasks.retry_task(call.services, call.actor, task, call.now)
    return wire.RetryTaskResponse(workspace_build=build)


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        list_tasks,
        create_task,
        get_task,
        delete_task,
        update_task,
        update_task_input,
        send_task_input,
        get_task_logs,
        list_task_permissions,
        get_task_phases,
        answer_task_permission,
        list_task_prompts,
        update_task_prompt,
        delete_task_prompt,
        interrupt_task,
        pause_task,
        resume_task,
        retry_task,
    )
}
