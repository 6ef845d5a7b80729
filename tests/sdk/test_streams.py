"""Streams of events come whole and once, over connections that break anywhere, until they are over."""

import random
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any
from uuid import UUID

import pytest

from taskyard.sdk import AnswerInvalid, ApiError, Client, SdkError, Unreachable
from taskyard.sdk.event_text import AGAIN_S, EventText
from taskyard.wire.enums import TaskStatus
from taskyard.wire.transcript import OF_TASK, TaskDeleted, TaskItem, TasksReset, TaskStanding
from tests.sdk.conftest import Ask

TASK = "00000000-0000-0000-0000-000000000001"

AT = '"2026-01-01T00:00:00Z"'

DELETED = f'event: deleted\nid: 9.9\ndata: {{"at":{AT}}}\n\n'


def item(number: int) -> str:
    return (
        f'event: item\nid: {number}.0\ndata: {{"number":{number},"kind":"thought","turn":1,"time":{AT},'
        f'"stored_at":{AT},"data":{{"text":"\u20ac {number}"}}}}\n\n'
    )


STATUS = f'event: status\nid: 3.1\ndata: {{"status":"active","current_state":null,"at":{AT}}}\n\n'


@dataclass(slots=True)
class Told:
    """A server of streams: what each connection sends, and what each asked for."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)


Part = str | int
"""What a connection gets: a text, cut off at its end, or a status that is a refusal."""


@contextmanager
def stream_server(*parts: Part, whole: bool = False) -> Iterator[Told]:
    left = iter(parts)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers.get("Last-Event-ID", "")))
            part = next(left, 404)
            self.send_response(part if isinstance(part, int) else 200)
            if isinstance(part, int):
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            raw = part.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(raw), raw) if raw else b"")
            self.wfile.write(b"0\r\n\r\n" if whole else b"")
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base has it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Told(f"http://127.0.0.1:{server.server_address[1]}")
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield found
        finally:
            server.shutdown()
            serving.join()


def follow(**given: Any) -> Callable[[Any], Any]:
    return lambda client: client.follow_task("me", TASK, **given)


def numbers(told: Sequence[Any]) -> list[int]:
    return [one.news.number for one in told if isinstance(one.news, TaskItem)]


def test_a_stream_comes_to_its_end(ask: Ask) -> None:
    """Items, what the task becomes, and its deletion, each as its type with the id to go on by."""
    text = (
        ": hello\n\n" + item(1) + "event: later\nid: 1.5\ndata: ?\n\n" + STATUS + DELETED + item(7)
    )
    with stream_server(text) as server:
        one, status, deleted = ask(follow(), server.url, "t")
    assert (one.id, bytes(one.news.data)) == ("1.0", '{"text":"\u20ac 1"}'.encode())
    assert isinstance(status.news, TaskStanding)
    assert (status.news.status, status.id) == (TaskStatus.ACTIVE, "3.1")
    assert isinstance(deleted.news, TaskDeleted)
    assert server.asked == [(f"/api/v2/tasks/me/{TASK}/events", "")]


@pytest.mark.parametrize("whole", [True, False])
def test_what_broke_off_is_taken_up(ask: Ask, whole: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Cut within an event, between two, ended by the server, or refused for now: each event comes once, in order."""
    noted: list[SdkError] = []
    parts: list[Part] = [
        item(1) + item(2)[:40],
        503,
        item(2) + item(3),
        "",
        item(4) + DELETED,
    ]
    with stream_server(*parts, whole=whole) as server:
        told = ask(follow(tail=3, lost=noted.append), server.url, "t")
    assert numbers(told) == [1, 2, 3, 4]
    assert [after for _, after in server.asked] == ["", "1.0", "1.0", "3.0", "3.0"]
    assert [("tail" in path) for path, _ in server.asked] == [True] + [False] * 4
    assert len(noted) == 4


def test_every_cut_of_a_text() -> None:
    """However a text is cut into pieces, the same events are read from it."""
    whole = (": x\n\n" + "".join(item(n) for n in range(1, 30)) + STATUS).encode()
    chance = random.Random(2)
    for _ in range(200):
        cuts = sorted(chance.sample(range(len(whole)), 12))
        text = EventText(OF_TASK)
        pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        told = [one for piece in pieces for one in text.take(piece, "x", "y")]
        assert numbers(told) == list(range(1, 30))
        assert text.last_id == "3.1"


def test_refusals_are_the_answer(ask: Ask) -> None:
    """Who may not follow learns it at once, also in the middle; what makes no sense is said too."""
    with stream_server(404) as server, pytest.raises(ApiError) as refused:
        ask(follow(), server.url, "t")
    assert refused.value.status == 404
    with stream_server(item(1), 401) as server, pytest.raises(ApiError) as refused:
        ask(follow(), server.url, "t")
    assert refused.value.status == 401
    with (
        stream_server("event: item\nid: 1.0\ndata: {}\n\n") as server,
        pytest.raises(AnswerInvalid),
    ):
        ask(follow(), server.url, "t")


def test_a_server_that_never_answers_is_not_asked_again(ask: Ask) -> None:
    """A stream that never began is given up at once; one that did is tried for more than a minute."""
    with stream_server(503, item(1)) as server, pytest.raises(ApiError):
        ask(follow(), server.url, "t")
    assert len(server.asked) == 1
    with pytest.raises(Unreachable):
        ask(follow(), "http://127.0.0.1:1", "t")
    assert sum(AGAIN_S) > 60


def test_following_all_begins_with_the_list() -> None:
    """A new follower is told to read the list; one that was here goes on where it was."""
    reset = "event: reset\nid: 5\ndata: {}\n\n"
    with stream_server(reset, reset) as server, Client(server.url, "t") as client:
        [first] = islice(client.follow_tasks(), 1)
        assert isinstance(first.news, TasksReset)
        next(client.follow_tasks(after=first.id))
    assert [after for _, after in server.asked] == ["", "5"]


def test_a_name_is_followed_by_its_id(ask: Ask) -> None:
    """A task that is named is asked for its id first: later another one may have the name."""
    body = f'{{"id":"{TASK}","name":"x","owner_name":"a","organization_id":"{UUID(int=2)}"}}'
    with stream_server(body, DELETED, whole=True) as server:
        assert len(ask(lambda client: client.follow_task("me", "x"), server.url, "t")) == 1
    assert [re.sub(r".*/me/", "", path) for path, _ in server.asked] == ["x", f"{TASK}/events"]


def test_an_export_is_whole_or_an_error(ask: Ask) -> None:
    """A transcript that breaks off in the middle is never taken for all of it."""

    def export(client: Any) -> Any:
        return client.export_task_transcript("me", TASK)

    with stream_server("one\ntwo\n", whole=True) as server:
        assert b"".join(ask(export, server.url, "t")) == b"one\ntwo\n"
    assert server.asked[0][0].endswith("?format=jsonl")
    with stream_server("one\n") as server, pytest.raises(Unreachable):
        ask(export, server.url, "t")
