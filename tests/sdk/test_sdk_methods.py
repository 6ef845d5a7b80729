"""Both clients have a method for every route, and it takes and gives what the table says."""

import inspect
import string
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, get_args, get_origin

import pytest

from taskyard.sdk.aio import caller as async_caller
from taskyard.sdk.aio.client import AsyncClient
from taskyard.sdk.caller import Caller
from taskyard.sdk.client import Client
from taskyard.sdk.event_text import Followed
from taskyard.wire import tasks, templates, transcript, workspaces
from taskyard.wire.routes import BY_OPERATION, ROUTES, Body, Route

OPERATIONS = [route.operation for route in ROUTES]

GIVES_MORE = {
    "get_previous_template_version": templates.TemplateVersion | None,
    "send_task_input": tasks.QueuedPrompt | None,
}
"""Operations with a second good answer, which the table does not tell."""


EVENTS: dict[str, object] = {
    "watch_workspace": workspaces.Workspace,
    "follow_task": Followed[transcript.TaskStreamed],
    "follow_tasks": Followed[transcript.TasksStreamed],
}
"""What comes again and again from the operations whose answer does not end."""


def shape(client: type, name: str) -> inspect.Signature:
    method: Callable[..., Any] = getattr(client, name)
    names = {"ClientConnection": object}
    return inspect.signature(method, eval_str=True, locals=names)


def given(route: Route) -> object:
    if route.operation in GIVES_MORE:
        return GIVES_MORE[route.operation]
    match route.response:
        case None | Body.NULL:
            return None
        case Body.BYTES:
            return bytes
        case Body.EVENTS:
            return EVENTS[route.operation]
        case Body.WEBSOCKET:
            return object
        case kind:
            return kind


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_route_has_a_method(client: type, operation: str) -> None:
    """The method bears the operation's name, takes the path's parameters in order, then the body, and gives the response."""
    route = BY_OPERATION[operation]
    signature = shape(client, operation)
    names = [name for _, name, _, _ in string.Formatter().parse(route.path) if name]
    taken = list(signature.parameters)[1:]
    assert taken[: len(names)] == names
    if isinstance(route.request, type):
        assert signature.parameters["request"].annotation is route.request
    found = signature.return_annotation
    if route.response is Body.EVENTS:
        assert get_origin(found) is (Iterator if client is Client else AsyncIterator)
        [found] = get_args(found)
    assert found == given(route)


@pytest.mark.parametrize("name", [n for n in dir(Client) if not n.startswith("_")])
def test_both_clients_have_the_same_methods(name: str) -> None:
    """What one client can do, the other does with the same arguments."""
    if not callable(getattr(Client, name)):
        return
    ours, theirs = shape(Client, name), shape(AsyncClient, name)
    # As text, because each module has a type variable of its own.
    assert str(ours.parameters) == str(theirs.parameters)
    if get_origin(ours.return_annotation) is Iterator:
        assert get_origin(theirs.return_annotation) is AsyncIterator
        assert str(get_args(ours.return_annotation)) == str(get_args(theirs.return_annotation))
    else:
        assert str(ours.return_annotation) == str(theirs.return_annotation)


def test_no_method_is_left_over() -> None:
    """Every public name is an operation, a way to follow or list one, or what all calls go through."""
    extra = {"iterate_tasks", "export_task_transcript"} | {
        n for n in dir(Client) if n.startswith("follow_")
    }
    shared = {n for n in dir(Caller) if not n.startswith("_")}
    public = {n for n in dir(Client) if not n.startswith("_")}
    assert public - (extra - set(OPERATIONS)) - shared == set(OPERATIONS)
    assert shared == {n for n in dir(async_caller.AsyncCaller) if not n.startswith("_")}
