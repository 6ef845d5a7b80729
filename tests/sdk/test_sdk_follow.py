"""Logs that are followed come whole and once, over connections that break as over those that do not."""

import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.sync.server import ServerConnection, serve

from taskyard.sdk import AnswerInvalid, ApiError, Unreachable
from taskyard.sdk.following import TAKE_UP_PAUSES_S, Patience
from tests.sdk.conftest import Ask
from tests.sdk.peer import answer, peer

BUILD = "00000000-0000-0000-0000-000000000001"
SOURCE = "00000000-0000-0000-0000-000000000002"
NORMAL, GOING_AWAY, CRASHED = 1000, 1001, 1011


def line(line_id: int) -> dict[str, object]:
    return {
        "id": line_id,
        "created_at": "2026-01-01T00:00:00Z",
        "log_source": "provisioner",
        "log_level": "info",
        "stage": "s",
        "output": f"line {line_id}",
    }


def agent_line(line_id: int) -> dict[str, object]:
    both = {"id": line_id, "created_at": "2026-01-01T00:00:00Z", "output": "o"}
    return {**both, "level": "info", "source_id": SOURCE}


@dataclass(slots=True)
class Log:
    """A log's server: what each connection sends and how it ends, and what each asked for."""

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def log_server(*parts: tuple[Sequence[object], int]) -> Iterator[Log]:
    left = iter(parts)

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        found.asked.append(connection.request.path)
        messages, code = next(left, ([], NORMAL))
        for message in messages:
            connection.send(json.dumps(message))
        connection.close(code)

    with serve(talk, "127.0.0.1", 0) as server:
        found = Log(f"http://127.0.0.1:{server.socket.getsockname()[1]}")
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield found
        finally:
            server.shutdown()
            serving.join()


def ids(lines: list[Any]) -> list[int]:
    return [found.id for found in lines]


def afters(log: Log) -> list[str | None]:
    found = (re.search(r"after=(\d+)", path) for path in log.asked)
    return [match[1] if match else None for match in found]


def test_a_log_comes_to_its_end(ask: Ask) -> None:
    """Every line comes in order, and the end is where the server says that it is."""
    with log_server(([line(1), line(2), line(5)], NORMAL)) as log:
        found = ask(lambda c: c.follow_workspace_build_logs(BUILD), log.url, "t")
    assert ids(found) == [1, 2, 5]
    assert found[0].output == "line 1"
    assert re.fullmatch(rf"/api/v2/workspacebuilds/{BUILD}/logs\?follow=", log.asked[0])


def test_a_broken_log_is_taken_up(ask: Ask) -> None:
    """After a break the rest is asked for from the last line on; none is missed, none comes twice."""
    parts: tuple[tuple[list[object], int], ...] = (
        ([line(1), line(2)], CRASHED),
        ([line(2), line(3)], GOING_AWAY),
        ([], CRASHED),
        ([line(4)], NORMAL),
    )
    with log_server(*parts) as log:
        found = ask(lambda c: c.follow_template_version_logs(BUILD), log.url, "t")
    assert ids(found) == [1, 2, 3, 4]
    assert afters(log) == [None, "2", "3", "3"]


def test_patience_ends() -> None:
    """A log that never began is given up at once, one that began after some tries; a line renews them all."""
    patience = Patience()
    assert patience.next_s() is None
    patience.began()
    for _ in range(2):
        assert tuple(iter(patience.next_s, None)) == TAKE_UP_PAUSES_S
        patience.began()
        assert patience.next_s() is None
        patience.went_on()


@pytest.mark.parametrize("after", [0, 2])
def test_after_leaves_out_what_was_seen(ask: Ask, after: int) -> None:
    """Lines up to the given id do not come, whatever the server sends; 0 is an id too."""
    with log_server(([line(n) for n in (0, 1, 2, 3)], NORMAL)) as log:
        found = ask(lambda c: c.follow_workspace_build_logs(BUILD, after=after), log.url, "t")
    assert ids(found) == [n for n in (0, 1, 2, 3) if n > after]
    assert afters(log) == [str(after)]


def test_agents_send_lines_in_bundles(ask: Ask) -> None:
    """A message of an agent's log is a list; its lines come one by one."""
    with log_server(([[agent_line(1), agent_line(2)], [], [agent_line(3)]], NORMAL)) as log:
        found = ask(lambda c: c.follow_workspace_agent_logs(BUILD), log.url, "t")
    assert ids(found) == [1, 2, 3]


def test_a_log_that_makes_no_sense(ask: Ask) -> None:
    """A message that is no line is an error of its own, not taken up again."""
    with log_server((["nonsense"], NORMAL)) as log, pytest.raises(AnswerInvalid):
        ask(lambda c: c.follow_workspace_build_logs(BUILD), log.url, "t")
    assert len(log.asked) == 1


def test_a_log_that_may_not_be_read(ask: Ask) -> None:
    """A refusal instead of a WebSocket says the same as any refusal."""
    refusal = answer(b'{"message":"Not there."}', "404 Not Found", "X-Taskyard-Reason: nope\r\n")
    with peer([refusal]) as server, pytest.raises(ApiError) as caught:
        ask(lambda c: c.follow_workspace_build_logs(BUILD), server.url, "t")
    assert (caught.value.status, caught.value.reason) == (404, "nope")
    assert caught.value.message == "Not there."


def test_a_log_where_nobody_listens(ask: Ask) -> None:
    """A server that is not there is said to be away at once."""
    with pytest.raises(Unreachable, match="nothing listens"):
        ask(lambda c: c.follow_workspace_build_logs(BUILD), "http://127.0.0.1:1", "t")
