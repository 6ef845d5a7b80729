"""`taskyard task permissions` and `answer`, and what `status` and `list` say of a task that waits."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.conftest import Ended, Program
from tests.sdk.peer import Peer, answer, peer

GOLDENS = Path(__file__).parents[1] / "wire" / "goldens"
WALLS = answer((GOLDENS / "build_info.json").read_bytes())
NO_TROUBLE = answer(b'{"message":"No transcript."}', "404 Not Found")

TASK = (GOLDENS / "task_active.json").read_bytes()
"""A task of ada's that waits for `Run make`, permission p-1."""

PHASES = answer((GOLDENS / "task_phases.json").read_bytes())

RICH = [
    {"option_id": "always", "name": "Always", "kind": "allow_always"},
    {"option_id": "once", "name": "Just once", "kind": "allow_once"},
    {"option_id": "no", "name": "No", "kind": "reject_once"},
]


def permission(
    name: str, title: str, options: Sequence[dict[str, str]] = RICH
) -> dict[str, object]:
    """An open request."""
    return {
        "id": name,
        "title": title,
        "options": list(options),
        "asked_at": "2026-03-01T09:00:05Z",
        "expires_at": None,
        "answer": None,
    }


def listed(*found: dict[str, object]) -> bytes:
    """An answer with these requests."""
    return answer(json.dumps({"permissions": found}).encode())


ONE = listed(permission("p-1", "Run make"))
TWO = listed(permission("p-1", "Run make"), permission("p-2", "Run \x1b[31mtests"))
DONE = answer(b"", "204 No Content")


def ask(tmp_path: Path, answers: Sequence[bytes], *words: str) -> tuple[Ended, Peer]:
    """How a command ends against a server that gives these answers after the task itself."""
    with peer([answer(TASK), *answers]) as server:
        program = Program(tmp_path, TASKYARD_URL=server.url, TASKYARD_SESSION_TOKEN="t" * 10)
        return program("task", *words), server


def sent(server: Peer) -> dict[str, str]:
    """The body of the last request."""
    body: dict[str, str] = json.loads(server.asked[-1][1].rpartition(b"\r\n\r\n")[2])
    return body


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("--allow",), {"option_id": "once"}),
        (("--deny",), {"option_id": "no"}),
        (("--option", "always"), {"option_id": "always"}),
        (("p-1", "--allow"), {"option_id": "once"}),
    ],
)
def test_an_answer(tmp_path: Path, words: tuple[str, ...], body: dict[str, str]) -> None:
    """One open request needs no id; allowing is once, and the answer that was given is named."""
    ended, server = ask(tmp_path, [ONE, DONE], "answer", "fix-bug", *words)
    assert ended.status == 0, ended
    assert ended.out.startswith("Answered ada/fix-bug: ")
    assert server.lines[-1].startswith("POST ")
    assert server.lines[-1].split()[1].endswith("/permissions/p-1")
    assert {key: value for key, value in sent(server).items() if value} == body


def test_the_one_of_two(tmp_path: Path) -> None:
    """With two open requests an id says which, by its beginning if that is of one only; else both are listed."""
    ended, _ = ask(tmp_path, [TWO], "answer", "fix-bug", "--allow")
    assert ended.status == 1
    assert "p-1  Run make" in ended.err
    assert "p-2  Run tests" in ended.err
    ended, server = ask(tmp_path, [TWO, DONE], "answer", "fix-bug", "p-2", "--deny")
    assert (ended.status, server.lines[-1].split()[1].endswith("p-2")) == (0, True)
    for wrong in ("p", "q"):
        ended, _ = ask(tmp_path, [TWO], "answer", "fix-bug", wrong, "--deny")
        assert ended.status == 1


def test_answers_that_cannot_be(tmp_path: Path) -> None:
    """No request, another option, permitting for ever where only that is offered, and nobody to be asked."""
    ended, _ = ask(tmp_path, [listed()], "answer", "fix-bug", "--allow")
    assert (ended.status, "waits for no answer" in ended.err) == (1, True)
    ended, _ = ask(tmp_path, [ONE], "answer", "fix-bug", "--option", "perhaps")
    assert (ended.status, "always" in ended.err) == (1, True)
    forever = listed(permission("p-1", "Run make", RICH[:1]))
    ended, _ = ask(tmp_path, [forever], "answer", "fix-bug", "--allow")
    assert (ended.status, "--option" in ended.err) == (1, True)
    ended, server = ask(tmp_path, [forever, DONE], "answer", "fix-bug", "--deny")
    assert (ended.status, sent(server)["outcome"]) == (0, "cancelled")
    ended, _ = ask(tmp_path, [ONE], "answer", "fix-bug")
    assert (ended.status, "--allow" in ended.err) == (2, True)
    ended, _ = ask(tmp_path, [ONE], "answer", "fix-bug", "--allow", "--deny")
    assert ended.status == 2


def on_screen(state: str) -> bytes:
    """The task, with a dialog on its screen, or idle once that is answered."""
    task = json.loads(TASK)
    task["waiting_for"] = {"kind": "dialog", "id": "", "title": "Trust this folder?"}
    if state == "idle":
        del task["waiting_for"]
    task["current_state"] = {**task["current_state"], "state": state}
    return answer(json.dumps(task).encode())


def test_a_dialog_is_answered_on_its_screen(tmp_path: Path) -> None:
    """A task with a dialog on its screen is not answered by `answer`, which names the command that does it."""
    with peer([on_screen("working"), listed()]) as server:
        program = Program(tmp_path, TASKYARD_URL=server.url, TASKYARD_SESSION_TOKEN="t" * 10)
        ended = program("task", "answer", "fix-bug", "--allow")
    assert (ended.status, "on its screen" in ended.err) == (1, True)
    assert "taskyard task attach ada/fix-bug" in ended.err


def test_a_message_to_a_task_that_asks(tmp_path: Path) -> None:
    """`send` says what the task asks, how to answer, and that the message waits; then it is sent."""
    answers = [on_screen("working"), WALLS, on_screen("working"), on_screen("idle"), DONE]
    with peer(answers) as server:
        program = Program(tmp_path, TASKYARD_URL=server.url, TASKYARD_SESSION_TOKEN="t" * 10)
        ended = program("task", "send", "fix-bug", "hello")
    assert (ended.status, ended.out) == (0, "Sent to ada/fix-bug.\n")
    for said in ("Trust this folder?", "taskyard task attach ada/fix-bug", "once that is answered"):
        assert ended.err.count(said) == 1


def test_somebody_was_quicker(tmp_path: Path) -> None:
    """The server's word on who answered is passed on."""
    said = {"message": "This request was answered already.", "detail": "eve answered it."}
    taken = answer(json.dumps(said).encode(), "409 Conflict")
    ended, _ = ask(tmp_path, [ONE, taken], "answer", "fix-bug", "--allow")
    assert (ended.status, "eve answered it." in ended.err) == (1, True)


def test_the_list(tmp_path: Path) -> None:
    """Open requests with their options; on demand answered ones with whose answer it was."""
    ended, _ = ask(tmp_path, [TWO], "permissions", "fix-bug")
    assert ended.out.splitlines()[0].split() == ["ID", "TITLE", "OPTIONS", "ASKED", "AT"]
    assert "always, once, no" in ended.out
    golden = answer((GOLDENS / "task_permissions.json").read_bytes())
    ended, server = ask(tmp_path, [golden], "permissions", "fix-bug", "--all")
    assert "all=true" in server.lines[-1]
    assert "Allow once by ada" in ended.out
    assert "waits for you" in ended.out
    ended, _ = ask(tmp_path, [listed()], "permissions", "fix-bug")
    assert (ended.out, "is not asking for a permission" in ended.err) == ("", True)


def test_a_task_that_waits_says_so(tmp_path: Path) -> None:
    """`status` shows what it waits for in place of its message, and how to answer; `list` shows it too."""
    ended, _ = ask(tmp_path, [PHASES, NO_TROUBLE, WALLS], "status", "fix-bug")
    assert "waiting for you: Run make" in ended.out
    assert "taskyard task answer ada/fix-bug" in ended.err
    tasks = b'{"tasks": [%s], "count": 1}' % TASK
    with peer([answer(tasks), WALLS]) as server:
        program = Program(tmp_path, TASKYARD_URL=server.url, TASKYARD_SESSION_TOKEN="t" * 10)
        assert "waiting for you: Run make" in program.good("task", "list")


def test_a_task_that_waits_for_keys_says_so(tmp_path: Path) -> None:
    """A question on a screen is shown by what it asks; no option answers it, so one is told to attach."""
    task = json.loads(TASK)
    task["waiting_for"] = {"kind": "dialog", "id": "", "title": "Do you trust this folder?"}
    with peer([answer(json.dumps(task).encode()), PHASES, NO_TROUBLE, WALLS]) as server:
        program = Program(tmp_path, TASKYARD_URL=server.url, TASKYARD_SESSION_TOKEN="t" * 10)
        ended = program("task", "status", "fix-bug")
    assert ended.status == 0
    assert "waiting for you: Do you trust this folder?" in ended.out
    assert "taskyard task attach ada/fix-bug" in ended.err
    assert "task answer" not in ended.err
