"""`taskyard task send --queue`, `task queue` and `task interrupt`: what they ask for, and what they say."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Program
from tests.sdk.peer import Peer, answer, peer

GOLDENS = Path(__file__).parents[1] / "wire" / "goldens"

TASK = (GOLDENS / "task_active.json").read_bytes()
"""A task of ada's."""

PROMPT = json.loads((GOLDENS / "task_prompt.json").read_bytes())
TWO = [
    PROMPT,
    PROMPT | {"id": "00000018-1111-4222-8333-444455556666", "position": 2, "input": "\x1b[31mb"},
]
DONE = answer(b"", "204 No Content")
WALLS = answer((GOLDENS / "build_info.json").read_bytes())
NO_WALLS = answer((GOLDENS / "build_info_unconfined.json").read_bytes())
PAUSED = json.dumps({**json.loads(TASK), "status": "paused"}).encode()
WORKSPACE = (GOLDENS / "workspace.json").read_bytes()
PLACE = (GOLDENS / "queued_prompt_paused.json").read_bytes()


def listed(*prompts: dict[str, object], waits_for: str | None = None) -> bytes:
    """An answer with these prompts."""
    return answer(json.dumps({"prompts": prompts, "waits_for": waits_for}).encode())


def ask(tmp_path: Path, answers: Sequence[bytes], *words: str) -> tuple[Ended, Peer]:
    """How a command ends against a server that gives these answers after the task itself."""
    with peer([answer(TASK), *answers]) as server:
        program = Program(tmp_path, TASKYARD_URL=server.url, TASKYARD_SESSION_TOKEN="t" * 10)
        return program("task", *words), server


def last(server: Peer) -> tuple[str, dict[str, object]]:
    """Method and body of the last request."""
    head, _, body = server.asked[-1][1].rpartition(b"\r\n\r\n")
    return head.split(b" ")[0].decode(), json.loads(body or b"{}")


def test_a_prompt_that_waits(tmp_path: Path) -> None:
    """It is left with the server, whose place is told, with what has to happen first."""
    answers = [WALLS, answer(PLACE, "202 Accepted")]
    ended, server = ask(tmp_path, answers, "send", "fix", "--queue", "next")
    assert (ended.status, last(server)) == (0, ("POST", {"input": "next", "when": "queue"}))
    assert "at place 2" in ended.out
    assert "stays paused" in ended.err
    assert "WITHOUT WALLS" not in ended.err


@pytest.mark.parametrize(
    ("command", "known"),
    [
        (("task", "send", "fix", "next"), TASK),
        (("task", "resume", "fix", "-y"), PAUSED),
        (("restart", "fix", "-y"), WORKSPACE),
        (("show", "fix"), WORKSPACE),
    ],
)
def test_a_server_without_walls_is_warned_of(
    tmp_path: Path, command: tuple[str, ...], known: bytes
) -> None:
    """Whoever looks at a workspace, or lets something run in one, is told that there are no walls."""
    refused = answer(b'{"message":"Not now."}', "409 Conflict")
    with peer([answer(known), NO_WALLS, refused]) as server:
        program = Program(tmp_path, TASKYARD_URL=server.url, TASKYARD_SESSION_TOKEN="t" * 10)
        assert "WITHOUT WALLS" in program(*command).err


def test_the_queue(tmp_path: Path) -> None:
    """Prompts come in their order, without what a terminal would obey; below it stands what they wait for."""
    ended, _ = ask(tmp_path, [listed(*TWO, waits_for="turn")], "queue", "fix")
    assert [line.split()[1] for line in ended.out.splitlines()[1:]] == ["1", "2"]
    assert "\x1b" not in ended.out
    assert "turn that runs" in ended.err


@pytest.mark.parametrize(
    ("words", "method", "body"),
    [
        (("--drop", "00000017"), "DELETE", {}),
        (("--move", "00000017", "2"), "PATCH", {"position": 2}),
        (("--edit", "00000017", "other"), "PATCH", {"input": "other"}),
    ],
)
def test_a_change(
    tmp_path: Path, words: tuple[str, ...], method: str, body: dict[str, object]
) -> None:
    """The beginning of an id is enough, and only what is given is changed."""
    good = DONE if method == "DELETE" else answer(json.dumps(PROMPT).encode())
    ended, server = ask(tmp_path, [listed(*TWO), good], "queue", "fix", *words)
    assert (ended.status, last(server)[0]) == (0, method)
    sent = last(server)[1]
    assert {key: value for key, value in sent.items() if value is not None} == body


@pytest.mark.parametrize("wanted", ["000000", "f", ""])
def test_an_id_that_is_not_one(tmp_path: Path, wanted: str) -> None:
    """Nothing is changed, and what waits is listed with its ids."""
    ended, server = ask(tmp_path, [listed(*TWO)], "queue", "fix", "--drop", wanted)
    assert (ended.status, last(server)[0]) == (1, "GET")
    assert PROMPT["id"] in ended.err


def test_an_interrupt(tmp_path: Path) -> None:
    """The turn is ended, and whoever has prompts waiting is told that they come next."""
    ended, server = ask(tmp_path, [DONE, listed(*TWO)], "interrupt", "fix")
    assert ended.status == 0
    assert "--drop" in ended.err
    assert len(server.asked) == 3


def test_a_busy_task(tmp_path: Path) -> None:
    """Whoever sends to a task that is busy after all learns of the queue."""
    idle = json.loads(TASK)
    del idle["waiting_for"]
    idle["current_state"]["state"] = "idle"
    busy = answer(b'{"message":"busy"}', "409 Conflict")
    state = answer(json.dumps(idle).encode())
    ended, _ = ask(tmp_path, [WALLS, state, busy], "send", "fix", "next")
    assert ended.status == 1
    assert "--queue" in ended.err
