"""Programs behind a terminal that do not remember, that were cut off, or that leave something running."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from taskyard_agent.bridge.life import CONTINUE
from taskyard_agent.protocol import ItemKind
from tests.agents.fake_server import until
from tests.agents.standalone_kit import alone
from tests.agents.terminal_kit import (
    FAKE,
    SHORT_S,
    STEADY_S,
    Made,
    Script,
    script,
    step,
    terminal,
    written,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def typed(log: Path) -> str:
    """All that the program has read."""
    return bytes.fromhex(log.read_text().replace("\n", "")).decode() if log.exists() else ""


def told(made: Made) -> list[str]:
    return [error["message"] for error in made.data(ItemKind.ERROR) if error["level"] == "warning"]


async def one_turn(home: Path, **more: Any) -> None:
    async with terminal(home, script(step("hello", "hi")), **more) as made:
        await made.turn("hello")
        assert told(made) == []


async def test_N17_a_program_without_memory_is_told(tmp_path: Path) -> None:
    """A warning, a line in the log, and the conversation before the next prompt, and before no later one."""
    await one_turn(tmp_path)
    log = tmp_path / "read"
    again = script(step("*", "ok"), step("more", "fine"), log=str(log))
    async with terminal(tmp_path, again) as made:
        assert await made.turn("go on") == "ok"
        assert await made.turn("more") == "fine"
        assert (await made.messages())[3] == ("user", "go on")
        [warning] = told(made)
        assert warning in made.logs
    assert "could not be restored" in warning
    assert "The user wrote:\nhello" in typed(log)
    assert "You answered:\nhi" in typed(log)
    assert typed(log).count("memory of this conversation") == 1


async def test_N17_a_program_that_dies_is_told_in_the_same_run(tmp_path: Path) -> None:
    """The next one of the same bridge gets the conversation too."""
    log = tmp_path / "read"
    async with terminal(tmp_path, script(step("*", "hi"), log=str(log))) as made:
        await made.turn("hello")
        os.kill(made.data(ItemKind.SESSION_INFO)[-1]["pid"], signal.SIGKILL)
        await until(lambda: len(made.data(ItemKind.SESSION_INFO)) == 2)
        await made.turn("go on")
    assert "The user wrote:\nhello" in typed(log)


async def test_N17_without_pastes_the_conversation_is_in_a_file(tmp_path: Path) -> None:
    """A program that does not tell pastes from keys would take each line for a prompt."""
    await one_turn(tmp_path)
    log = tmp_path / "read"
    async with terminal(
        tmp_path, {**script(step("*", "ok"), log=str(log)), "paste": False}
    ) as made:
        await made.turn("go on")
        [path] = re.findall(r"Read the file (\S+)", typed(log))
        text = Path(path).read_text()
        assert "The user wrote:\nhello" in text
        assert text.endswith("\n\ngo on")


async def test_N17_a_shell_is_told_nothing(tmp_path: Path) -> None:
    """It would run the conversation once more; the warning is there all the same."""
    shell: dict[str, Any] = {
        "kind": "shell",
        "command": ["bash", "--norc"],
        "ready_pattern": re.compile("[#$]"),
    }
    async with terminal(tmp_path, None, **shell) as made:
        await made.turn("echo one | tee -a said")
        await until(lambda: written(tmp_path / "said") == "one\n")
    async with terminal(tmp_path, None, **shell) as made:
        await made.turn("echo two | tee -a said")
        assert "could not be restored" in told(made)[-1]
        await until(lambda: written(tmp_path / "said") == "one\ntwo\n")


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"kind": "codex"}, "another coding agent"), ({"cwd": "elsewhere"}, "another folder")],
)
async def test_N17_a_session_of_something_else(
    tmp_path: Path, changes: dict[str, str], why: str
) -> None:
    """Another coding agent or another folder does not go on with it, and says so."""
    await one_turn(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    if "cwd" in changes:
        changes = {"cwd": str(tmp_path / "elsewhere")}
    async with terminal(tmp_path, script(step("*", "ok")), **changes) as made:  # type: ignore[arg-type]  # of several
        await made.state("idle")
        assert why in told(made)[-1]
        assert made.session.inline.context is not None


def claude(folder: Path, words: Path) -> list[str]:
    """A program of that name that writes down the words it was started with."""
    path = folder / "claude"
    path.write_text(
        f'#!/bin/sh\necho "$1" >> {words}\nexec {sys.executable} {FAKE} {folder}/script.json\n'
    )
    path.chmod(0o755)
    return [str(path)]


async def test_N17_a_session_file_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that the program has deleted is not asked for: it starts afresh, with the conversation."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    rules, words = tmp_path / "rules.toml", tmp_path / "words"
    rules.write_text("[composer]\npattern = '^>(?P<text>.*)\\Z'\n")
    script_file(tmp_path, script(step("*", "hi")))
    for number in range(2):
        options: dict[str, Any] = {
            "kind": "claude",
            "command": claude(tmp_path, words),
            "rules": rules,
        }
        async with terminal(tmp_path, None, **options) as made:
            await made.stable()
            assert (made.session.inline.context is not None) == bool(number)
            assert len(told(made)) == number
            await made.turn("hello")
    assert words.read_text().split() == ["--session-id"] * 2


def script_file(folder: Path, played: Script) -> None:
    (folder / "script.json").write_text(json.dumps(played))


# turns that were cut off


@pytest.mark.parametrize("wish", ["continue", "wait"])
async def test_N19_a_turn_cut_off_by_a_stop(tmp_path: Path, wish: str) -> None:
    """With `continue` the program is asked to go on, once; without it, nobody writes to it."""
    async with terminal(tmp_path, script(step("work", "never", blank=60, busy="working"))) as made:
        await made.stable()
        await made.say("work")
    for _ in range(2):
        async with terminal(tmp_path, script(step("*", "went on")), on_interrupted=wish) as made:
            await made.stable()
            said = [text for role, text in await made.messages() if role == "user"]
            assert said == (["work", CONTINUE] if wish == "continue" else ["work"])
            assert made.session.file.session.initial_prompt is None


# what is left running


LEAVES = """
import os, pathlib, subprocess, sys, time, tty
tty.setraw(0)
os.write(1, b"\\r\\n> ")
while os.read(0, 1000).find(b"\\r") < 0:
    pass
left = subprocess.Popen(["setsid", "sleep", "600"])
os.write(1, b"\\r\\nleft\\r\\n> ")
time.sleep(0.1)
pathlib.Path(sys.argv[1]).write_text(str(left.pid))
while True:
    os.read(0, 1000)
"""


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_D14_N20_nothing_of_its_own_session_is_left(tmp_path: Path, how: str) -> None:
    """What the program put into another session ends with it, however that ends."""
    note = tmp_path / "left"
    command = [sys.executable, "-c", LEAVES, str(note)]
    async with terminal(tmp_path, None, command=command, echo_s=SHORT_S) as made:
        await made.stable()
        await made.say("go")
        await until(lambda: written(note))
        left = int(note.read_text())
        assert Path(f"/proc/{left}").exists()
        if how == "kill":
            os.kill(made.data(ItemKind.SESSION_INFO)[-1]["pid"], signal.SIGKILL)
            await until(lambda: len(made.data(ItemKind.SESSION_INFO)) == 2)
            assert ended(left)
    assert ended(left)


WORKS = """
import os, pathlib, select, subprocess, sys, tty
tty.setraw(0)
os.write(1, b"\\r\\n> ")
while os.read(0, 1000).find(b"\\r") < 0:
    pass
left = subprocess.Popen(["setsid", "sleep", "600"])
pathlib.Path(sys.argv[1]).write_text(str(left.pid))
count = 0
while not select.select([0], [], [], 0.02)[0]:
    count += 1
    os.write(1, b"\\rworking %d" % count)
os.write(1, b"\\r\\nstopped\\r\\n> ")
while True:
    os.read(0, 1000)
"""


async def test_D14_N13_a_cancelled_turn_leaves_nothing(tmp_path: Path) -> None:
    """What a turn put into another session ends when the turn is cancelled; the program goes on."""
    note = tmp_path / "left"
    command = [sys.executable, "-c", WORKS, str(note)]
    waits: dict[str, Any] = {"stable_after_s": STEADY_S, "echo_s": SHORT_S}
    async with terminal(tmp_path, None, command=command, **waits) as made:
        await made.stable()
        await made.say("go")
        await until(lambda: written(note))
        await made.session.cancel()
        await until(lambda: bool(made.data(ItemKind.TURN_END)))
        assert made.data(ItemKind.TURN_END)[0]["reason"] == "cancelled"
        await until(lambda: ended(int(note.read_text())))
        assert not ended(made.data(ItemKind.SESSION_INFO)[-1]["pid"])


async def test_D14_a_killed_bridge_leaves_nothing_for_the_next(tmp_path: Path) -> None:
    """The next bridge ends what the one that was killed could not, before it starts its program."""
    note = tmp_path / "left"
    state = ("--state-dir", str(tmp_path / "state"), "--transport", "pty", "--stable-after", "0.15")
    command = ("--", sys.executable, "-c", LEAVES, str(note))
    async with alone(tmp_path, *state, *command) as made:
        await made.stable()
        await made.say("go")
        await until(lambda: written(note))
        made.process.kill()
        await made.wait()
    assert not ended(int(note.read_text()))
    async with alone(tmp_path, *state, "--", "cat") as made:
        await made.stable()
        assert ended(int(note.read_text()))


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie of somebody else."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True
