"""What commands decide and print, without a server."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import click
import msgspec
import pytest

from taskyard.cli.archive import pack
from taskyard.cli.failures import Failure
from taskyard.cli.output import MAX_CELL, Progress, at, one_line, plain
from taskyard.cli.task_show import search_text, settled
from taskyard.cli.task_talk import ERROR_LIMIT_S, SILENT_LIMIT_S, LogPrinter, is_ready
from taskyard.wire.base import ZERO_TIME
from taskyard.wire.enums import (
    AgentLifecycle,
    LogEntryType,
    TaskState,
    TaskStatus,
    WorkspaceStatus,
)
from taskyard.wire.tasks import Task, TaskLogEntry, TaskStateEntry
from taskyard.wire.workspaces import WorkspaceAgentHealth

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GOLDEN = Path(__file__).parents[1] / "wire" / "goldens" / "task_active.json"


def task(
    status: TaskStatus, state: TaskState | None = None, more: dict[str, object] | None = None
) -> Task:
    found = msgspec.json.decode(GOLDEN.read_bytes(), type=Task)
    entry = TaskStateEntry(timestamp=NOW, state=state, message="m", uri="") if state else None
    return msgspec.structs.replace(found, status=status, current_state=entry, **(more or {}))


def entry(entry_id: int, content: str, kind: LogEntryType = LogEntryType.OUTPUT) -> TaskLogEntry:
    return TaskLogEntry(id=entry_id, content=content, type=kind, time=NOW)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\nc\r\n", "a\tb\nc\n"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("a\x9b31mb\x07\x00\x7f", "a31mb"),
        ("over\rwritten", "overwritten"),
    ],
)
def test_nothing_reaches_the_terminal(text: str, shown: str) -> None:
    """Text from elsewhere is printed without what a terminal would obey."""
    assert plain(text) == shown


def test_cells_are_one_line() -> None:
    """A cell is one line of bounded width."""
    assert one_line(" a\n b ") == "a b"
    assert len(one_line("x" * 1000)) == MAX_CELL


def test_times() -> None:
    """Times are UTC to the second; the zero time and no time are empty."""
    assert at(NOW) == "2026-01-02 03:04:05Z"
    assert (at(ZERO_TIME), at(None), at(msgspec.UNSET)) == ("", "", "")


def test_progress_where_nobody_watches() -> None:
    """Without a terminal each change is one line, and nothing moves the cursor."""
    stream = StringIO()
    progress = Progress(stream)
    for text in ("waits", "waits", "runs"):
        progress.show(text)
    progress.line("said")
    progress.clear()
    assert stream.getvalue().splitlines() == ["waits (0 s)", "runs (0 s)", "said"]


@pytest.mark.parametrize(
    ("shows", "printed"),
    [
        (([entry(0, "a")],), "a\n"),
        (([entry(0, "a\n\n")], [entry(0, "a\nb")]), "a\nb\n"),
        (([entry(0, "ab")], [entry(0, "abc")], [entry(0, "abc")]), "abc\n"),
        (([entry(0, "ab")], [entry(0, "xy")]), "ab\n\nxy\n"),
        (([entry(0, "x\ny", LogEntryType.INPUT), entry(1, "z")],), "> x\n> y\n\nz\n"),
        (([entry(0, "a")], [entry(0, "a"), entry(1, "b")], [entry(0, "a"), entry(1, "bc")]), "a\n\nbc\n"),
        (([],), ""),
    ],
)  # fmt: skip
def test_a_log_that_grows(
    shows: Sequence[list[TaskLogEntry]], printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each message is printed once; one that grows goes on where it stopped, one that changed comes again."""
    printer = LogPrinter()
    for entries in shows:
        printer.show(entries)
    printer.end()
    printer.end()
    assert capsys.readouterr().out == printed


def test_a_log_that_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """A message that was cut when it was put away does not come a second time; a new one comes."""
    printer = LogPrinter()
    printer.show([entry(0, "long"), entry(1, "b")])
    printer.show([entry(0, "(cut) ng"), entry(1, "bc"), entry(2, "d")], kept=True)
    printer.end()
    assert capsys.readouterr().out == "long\n\nbc\n\nd\n"


def test_a_message_that_goes_on_after_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A message that was thought to be over and then got more lines is not torn."""
    printer = LogPrinter()
    printer.show([entry(0, "a")])
    printer.end()
    printer.show([entry(0, "a\nb")])
    printer.end()
    assert capsys.readouterr().out == "a\nb\n"


@pytest.mark.parametrize(
    ("found", "for_s", "ready"),
    [
        (task(TaskStatus.ACTIVE, TaskState.IDLE), 0, True),
        (task(TaskStatus.ACTIVE, TaskState.COMPLETE), 0, True),
        (task(TaskStatus.ACTIVE, TaskState.FAILED), 0, True),
        (task(TaskStatus.ACTIVE, TaskState.WORKING), 10**6, False),
        (task(TaskStatus.ACTIVE), SILENT_LIMIT_S - 1, False),
        (task(TaskStatus.ACTIVE), SILENT_LIMIT_S, True),
        (task(TaskStatus.PENDING), 10**6, False),
        (task(TaskStatus.INITIALIZING), 10**6, False),
        (task(TaskStatus.ERROR), ERROR_LIMIT_S - 1, False),
        (task(TaskStatus.ERROR), ERROR_LIMIT_S, None),
        (task(TaskStatus.PAUSED), 0, None),
        (task(TaskStatus.UNKNOWN), 0, None),
    ],
)
def test_when_a_message_goes_out(found: Task, for_s: float, *, ready: bool | None) -> None:
    """Sending waits for work, start and short errors, and gives up on what will not come."""
    if ready is None:
        with pytest.raises(Failure, match="nothing was sent"):
            is_ready(found, for_s)
    else:
        assert is_ready(found, for_s) is ready


WELL = {
    "workspace_status": WorkspaceStatus.RUNNING,
    "workspace_agent_lifecycle": AgentLifecycle.READY,
    "workspace_agent_health": WorkspaceAgentHealth(healthy=True),
}


@pytest.mark.parametrize(
    ("found", "over"),
    [
        (task(TaskStatus.ACTIVE, TaskState.IDLE, WELL), True),
        (task(TaskStatus.ACTIVE, None, WELL), True),
        (task(TaskStatus.ACTIVE, TaskState.WORKING, WELL), False),
        (
            task(
                TaskStatus.INITIALIZING,
                more={**WELL, "workspace_agent_lifecycle": AgentLifecycle.STARTING},
            ),
            False,
        ),
        (task(TaskStatus.ERROR, more={**WELL, "workspace_agent_health": None}), False),
        (
            task(TaskStatus.ERROR, more={**WELL, "workspace_status": WorkspaceStatus.FAILED}),
            True,
        ),
        (
            task(TaskStatus.PAUSED, more={**WELL, "workspace_status": WorkspaceStatus.STOPPED}),
            True,
        ),
    ],
)
def test_when_watching_ends(found: Task, *, over: bool) -> None:
    """Watching a task ends when nothing more is to be expected by itself."""
    assert settled(found) is over


def test_search_texts() -> None:
    """What narrows a list is quoted, and what cannot be quoted is refused."""
    assert search_text(None, None) == ""
    assert search_text("me", "active") == 'owner:"me" status:"active"'
    with pytest.raises(click.UsageError):
        search_text('a"b', None)


def test_the_same_folder_is_the_same_archive(tmp_path: Path) -> None:
    """Times and owners do not count, modes and names do, and what is no part of a template stays out."""
    for name in ("a", "b"):
        folder = tmp_path / name
        (folder / ".git").mkdir(parents=True)
        (folder / "d").mkdir()
        (folder / "d" / "run").write_text("x")
        os.utime(folder / "d" / "run", (ord(name), ord(name)))
        (folder / "link").symlink_to("d/run")
    assert pack(tmp_path / "a") == pack(tmp_path / "b")
    assert b".git" not in pack(tmp_path / "a")
    (tmp_path / "b" / "d" / "run").chmod(0o755)
    assert pack(tmp_path / "a") != pack(tmp_path / "b")


def test_odd_things_stay_out_of_archives(tmp_path: Path) -> None:
    """A pipe in a folder is named, not waited for."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Failure, match="pipe"):
        pack(tmp_path)


class Terminal(StringIO):
    """A stream that says that somebody watches."""

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal() -> None:
    """On a terminal one line changes in place, never longer than the terminal, and is gone at the end."""
    stream = Terminal()
    progress = Progress(stream)
    progress.show("x" * 1000)
    progress.show("runs")
    progress.line("said")
    progress.show("runs on")
    progress.clear()
    *drawn, said, after = stream.getvalue().replace("said\n", "\nsaid\n").split("\n")
    assert all(len(part) < 100 for part in "".join(drawn).split("\r\x1b[2K"))
    assert (said, after) == ("said", "\r\x1b[2Kruns on (0 s)\r\x1b[2K")
