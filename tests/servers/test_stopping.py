"""A server that is told to stop in the middle of everything: what it answered stands, what it could not is said so."""

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from uuid import UUID

import pytest

from taskyard.sdk import ApiError, Client
from taskyard.sdk.errors import SdkError
from taskyard.sdk.local import LocalServer
from taskyard.wire.tasks import CreateTaskRequest, TaskSendRequest
from tests.servers.kit import Yard, joined
from tests.waiting import until

pytestmark = pytest.mark.all_tier

FINE = {409, 503}
"""Refusals under load: the coding agent is busy, or the server says to come back."""

AWAY = "agent_unreachable"
"""The one other refusal: on a busy machine a server may take longer to come back than a request waits for its links."""


class Load:
    """People who create tasks and send messages, at whichever of two servers answers."""

    def __init__(self, urls: list[str], token: str, version_id: UUID, busy: UUID) -> None:
        self._urls, self._token = urls, token
        self._version_id, self._busy = version_id, busy
        self.created: list[UUID] = []
        self.sent: list[str] = []
        self.odd: list[str] = []
        self.over = threading.Event()

    def creates(self, name: str) -> None:
        """Creates one task after the other."""
        self._until_over(name, self._create)

    def sends(self, name: str) -> None:
        """Sends one message after the other."""
        self._until_over(name, self._send)

    def _until_over(self, name: str, act: Callable[[Client, str], None]) -> None:
        n = 0
        while not self.over.is_set():
            n += 1
            with Client(self._urls[n % 2], self._token) as client:
                try:
                    act(client, f"{name}-{n}")
                except ApiError as error:
                    if error.status not in FINE and error.reason != AWAY:
                        self.odd.append(str(error))
                except SdkError:
                    pass  # refused, or cut: asked again at the other one

    def _create(self, client: Client, name: str) -> None:
        request = CreateTaskRequest(template_version_id=self._version_id, input="", name=name)
        self.created.append(client.create_task("me", request).id)

    def _send(self, client: Client, name: str) -> None:
        client.send_task_input("me", self._busy, TaskSendRequest(input=f"echo {name}"))
        self.sent.append(name)


def free_port() -> str:
    """A port that nobody listens on, as a server's next life has the address of its first."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return str(sock.getsockname()[1])


def test_nothing_answered_is_lost(shared_yard: Yard) -> None:
    """SIGTERM and a new start under load, of the server that only answers, then of the one that holds the links.

    There is no answer but 503 for what was not done, and all that was done is there.
    """
    works = shared_yard.started("works", "--max-running", "3", "--port", free_port())
    world = shared_yard.world(works)
    front = shared_yard.started("front", *joined("api"), "--port", free_port())
    task = world.create("echo ready")
    world.says(task.id, "ready")
    load = Load([works.url, front.url], world.token, world.version_id, task.id)
    with ThreadPoolExecutor(3) as people:
        for n, act in enumerate((load.creates, load.sends, load.creates)):
            people.submit(act, f"p{n}")
        try:
            until("some load", lambda: (load.created and load.sent) or None)
            for stopped in (front, works):
                restarted_under(load, stopped)
        finally:
            load.over.set()
    assert load.odd == []
    with Client(front.url, world.token) as client:
        known = {found.id for found in client.list_tasks().tasks}
        assert set(load.created) <= known
        world.says(task.id, load.sent[-1], client=client)
        text = world.text(task.id, client=client)
        assert [name for name in load.sent if f"echo {name}" not in text] == []
        for made in known - {task.id}:
            with suppress(ApiError):
                client.delete_task("me", made)


def restarted_under(load: Load, server: LocalServer) -> None:
    """Returns once the server was stopped and started again, at its old address, and people go on at both."""
    assert server.stop(by_hand=False) == 0
    before = len(load.created)
    until("the other to go on", lambda: len(load.created) > before or None)
    server.start()
    sent = len(load.sent)
    until("messages again", lambda: len(load.sent) > sent or None)
