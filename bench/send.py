"""How long a message takes from a client to the coding agent, and its answer back to a client."""

import json
import time
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from bench.bridge import bare_turn
from bench.bridged import Stream, piped
from bench.fresh import first_token, fresh_server, pushed_version, wait
from bench.measure import Figure, figure, interleave
from taskyard.sdk import Client
from taskyard.wire.enums import TaskStatus
from taskyard.wire.tasks import CreateTaskRequest

QUESTION = (
    "How long from POST send to the message at the coding agent, and from there to its answer at a client that follows "
    "the task's events, beside a bare pipe to the same program? Queued: of a message that finds the task idle."
)

FLOOR = ("bare pipe: to the coding agent", "bare pipe: its answer back")

TEMPLATE = """
[task]
app = "agent"
[agent]
type = "custom"
transport = "acp"
command = ["python", "/opt/template/peer.py", "acp"]
"""


class _Data(msgspec.Struct):
    text: str = ""
    state: str = ""


class _Item(msgspec.Struct):
    kind: str
    data: _Data


def measure(*, quick: bool) -> list[Figure]:
    """Times of messages to one idle task, one at a time."""
    with fresh_server() as server, piped() as (to_fd, from_fd):
        return _Run(server.url, to_fd, from_fd).measure(10 if quick else 300)


class _Run:
    def __init__(self, url: str, to_fd: int, from_fd: int) -> None:
        self._fds = (to_fd, from_fd)
        self._times: dict[str, list[float]] = {}
        self._token = first_token(url)
        with Client(url, self._token) as client:
            self._path = f"/api/v2/tasks/me/{_task(client)}"
        host, port = urlsplit(url).hostname, urlsplit(url).port
        assert port is not None
        self._line = HTTPConnection(host or "", port, timeout=60)
        self._events = Stream(port, f"{self._path}/events?coder_session_token={self._token}")
        self._until_idle()

    def measure(self, rounds: int) -> list[Figure]:
        ways = (("send", None), ("queued", "queue"))
        interleave(rounds, self._bare, *(partial(self._turn, *way) for way in ways))
        floors = [(name, self._times[name]) for name in FLOOR]
        found = [figure(name, times) for name, times in floors]
        for name, _ in ways:
            for what, floor in zip(("to the coding agent", "its answer back"), floors, strict=True):
                row = f"{name}: {what}"
                found.append(figure(row, self._times[row], floor))
        return found

    def _bare(self) -> None:
        came_s, whole_s = bare_turn(*self._fds)
        for name, seconds in zip(FLOOR, (came_s, whole_s - came_s), strict=True):
            self._times.setdefault(name, []).append(seconds)

    def _turn(self, name: str, when: str | None) -> None:
        body = {"input": "stamp"} | ({} if when is None else {"when": when})
        began_ns = time.monotonic_ns()
        headers = {"Coder-Session-Token": self._token}
        self._line.request("POST", f"{self._path}/send", json.dumps(body), headers)
        answer = self._line.getresponse()
        answer.read()
        if answer.status not in (202, 204):
            raise RuntimeError(f"the server answered {answer.status}")
        came_ns, ended_ns = self._until_answered()
        self._note(f"{name}: to the coding agent", came_ns - began_ns)
        self._note(f"{name}: its answer back", ended_ns - came_ns)
        self._until_idle()

    def _note(self, name: str, ns: int) -> None:
        self._times.setdefault(name, []).append(ns / 1e9)

    def _until_answered(self) -> tuple[int, int]:
        """When the coding agent had the message, by itself, and when its answer was here."""
        while True:
            item = self._item()
            if item.kind in ("agent_text", "agent_message") and item.data.text:
                return int(item.data.text), time.monotonic_ns()

    def _until_idle(self) -> None:
        while not ((item := self._item()).kind == "state" and item.data.state == "idle"):
            pass

    def _item(self) -> _Item:
        while (event := next(self._events)).name != "item":
            pass
        return msgspec.json.decode(event.data, type=_Item)


def _task(client: Client) -> UUID:
    """An active task of a template whose coding agent tells when a message came."""
    peer = Path(__file__).with_name("bridge_peers.py").read_text(encoding="utf-8")
    version = pushed_version(client, "stamp", {"taskyard.toml": TEMPLATE, "peer.py": peer})
    task = client.create_task("me", CreateTaskRequest(template_version_id=version, input=""))
    wait(lambda: client.get_task("me", task.id).status is TaskStatus.ACTIVE)
    return task.id
