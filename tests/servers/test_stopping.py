"""A server that is told to stop in the middle of everything: what it answered stands, what it could not is said so."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import httpx2
import pytest

import taskyard.starters
from taskyard.sdk import ApiError, Client
from taskyard.sdk.errors import SdkError
from taskyard.sdk.local import LocalServer
from taskyard.wire.tasks import CreateTaskRequest, TaskSendRequest
from tests.servers.kit import Yard, joined
from tests.system.kit import World, pushed, steady_port
from tests.waiting import until

pytestmark = pytest.mark.all_tier

STARTER = Path(taskyard.starters.__path__[0]) / "custom"
"""A template with an app of its own."""

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


def test_nothing_answered_is_lost(shared_yard: Yard) -> None:
    """SIGTERM and a new start under load, of the server that only answers, then of the one that holds the links.

    There is no answer but 503 for what was not done, and all that was done is there, each message once.
    """
    works = shared_yard.started("works", "--max-running", "3", "--port", str(steady_port()))
    world = shared_yard.world(works)
    front = shared_yard.started("front", *joined("api"), "--port", str(steady_port()))
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
        said = Counter(world.text(task.id, client=client).splitlines())
        assert [name for name in load.sent if said[f"echo {name}"] != 1] == []
        assert [
            line for line, times in said.items() if line.startswith("echo ") and times > 1
        ] == []
        for made in known - {task.id}:
            with suppress(ApiError):
                client.delete_task("me", made)


def test_a_message_that_was_cut_off_is_not_sent_again(shared_yard: Yard) -> None:
    """SIGTERM of the server that holds the link, while a slow app takes a message: it got it once, and keeps it so.

    Who sent it is told that it may have arrived, also when they send it again under its key.
    """
    works = shared_yard.started("works")
    front = shared_yard.started("front", *joined("api"))
    world = shared_yard.world(works)
    # It takes a message at once, and says so only after a long while, as a slow terminal does.
    server = (STARTER / "server.py").read_text()
    slow = server.replace(
        '            self._send(200, {"ok": True})', "            time.sleep(3600)"
    )
    assert slow != server
    version = pushed(
        world,
        "slow",
        {"taskyard.toml": (STARTER / "taskyard.toml").read_text(), "server.py": slow},
    )
    request = CreateTaskRequest(template_version_id=version.id, input="")
    task = world.owner.create_task("me", request)
    world.active(task.id)
    until("the app", lambda: answers(world.owner, task.id))
    with ThreadPoolExecutor(1) as people:
        sent = people.submit(send, front, world, task.id)
        world.says(task.id, "You said: ONCE")
        works.stop(by_hand=False)
        assert sent.result() == (503, "cut_off")
        works.start()
        assert send(front, world, task.id) == (409, "idempotency_unknown")
    client = shared_yard.client(world, front)
    until("the app", lambda: answers(client, task.id))
    assert world.text(task.id, client=client).splitlines().count("ONCE") == 1


def answers(client: Client, task_id: UUID) -> bool | None:
    """Whether the app of a task can be asked."""
    try:
        client.get_task_logs("me", task_id)
    except ApiError:
        return None
    return True


def send(server: LocalServer, world: World, task_id: UUID) -> tuple[int, str]:
    """Status and reason of the answer to a message that is sent under one key."""
    headers = {"Coder-Session-Token": world.token, "Idempotency-Key": "the-same"}
    url = f"{server.url}/api/v2/tasks/me/{task_id}/send"
    answer = httpx2.post(url, json={"input": "ONCE"}, headers=headers, timeout=60)
    return answer.status_code, answer.headers.get("X-Taskyard-Reason", "")


def restarted_under(load: Load, server: LocalServer) -> None:
    """Returns once the server was stopped and started again, at its old address, and people go on at both."""
    assert server.stop(by_hand=False) == 0
    before = len(load.created)
    until("the other to go on", lambda: len(load.created) > before or None)
    server.start()
    sent = len(load.sent)
    until("messages again", lambda: len(load.sent) > sent or None)
