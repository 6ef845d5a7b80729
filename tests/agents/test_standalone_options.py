"""The command line of the bridge: flags, environment, defaults, and what is refused."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from taskyard_agent.standalone.command_line import BridgeCommand, read_command
from taskyard_agent.standalone.flags import FLAGS, UsageError
from taskyard_agent.standalone.pidfile import AlreadyRunning, holding
from taskyard_agent.standalone.piped import MAX_BYTES, piped
from taskyard_agent.standalone.state_file import (
    State,
    StateMessage,
    StateUnreadable,
    load,
    save,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def options(*arguments: str, **env: str) -> BridgeCommand:
    return read_command(arguments, env)


def refused(*arguments: str, **env: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_command(arguments, env)
    return str(caught.value)


def test_flag_before_environment_before_default() -> None:
    """A value comes from the flag, else from the environment, else from the table."""
    assert options("claude").number("term-width") == 80
    assert options("claude", AGENTAPI_TERM_WIDTH="90").number("term-width") == 90
    assert options("-W", "100", "claude", AGENTAPI_TERM_WIDTH="90").number("term-width") == 100
    assert options("--term-width=110", "claude").number("term-width") == 110


def test_every_flag_has_its_variable() -> None:
    """Each flag can be set in the environment under AGENTAPI_ and its name."""
    samples = {
        "listen": "127.0.0.1:1",
        "transport": "pty",
        "permissions": "ask",
        "on-interrupted": "continue",
        "on-exit": "hold",
        "acp-inline-tools": "off",
        "type": "codex",
        "allowed-origins": "http://a.example",
        "ready-pattern": "> $",
    }
    for flag in FLAGS:
        if flag.name == "token-file":
            continue  # it is read at once
        text = samples.get(flag.name, "true" if flag.is_switch else "12")
        env = {flag.variable: text, "AGENTAPI_STATE_FILE": "/x/state.json"}
        found = read_command(["claude"], env).values[flag.name]
        assert found != flag.default or flag.name == "state-file", flag.name


def test_words_behind_the_dashes_are_the_agents() -> None:
    """Everything behind -- belongs to the coding agent, flags too; without -- flags are ours."""
    made = options("-p", "1", "--", "claude", "--resume", "-p")
    assert made.argv == ("claude", "--resume", "-p")
    assert made.port == 1
    assert options("claude", "--port", "5", "more").argv == ("claude", "more")


def test_switches_take_no_word() -> None:
    """A switch does not eat the word behind it, and can be switched off by =."""
    made = options("--experimental-acp", "claude")
    assert (made.transport, made.argv) == ("acp", ("claude",))
    assert options("--experimental-acp=false", "claude").transport == "auto"
    assert options("-P", "claude").switch("print-openapi")


def test_lists_repeat_and_separate() -> None:
    """A list is separated by commas and may be given again; in the environment by blanks."""
    made = options("-a", "a,b", "-a", "c", "x")
    assert made.entries("allowed-hosts") == ("a", "b", "c")
    made = options("x", AGENTAPI_ALLOWED_HOSTS="a  b")
    assert made.entries("allowed-hosts") == ("a", "b")


@pytest.mark.parametrize(
    ("entries", "part"),
    [
        ("", "empty"),
        ("http://a", "URL"),
        ("a:1", "port"),
        ("a b", "blank"),
        ("::1", "port"),
    ],
)
def test_A2_allowed_hosts_are_checked(entries: str, part: str) -> None:
    """An allowed host is a name without scheme, port or blanks; anything else ends the start."""
    assert part in refused(f"--allowed-hosts={entries}", "x")
    assert options("--allowed-hosts=*,http://odd", "x").argv == ("x",)


def test_D13_an_origin_needs_a_scheme() -> None:
    """An origin without a scheme could never match: the start ends."""
    assert "scheme" in refused("--allowed-origins=a.example", "x")


def test_types_and_their_spellings() -> None:
    """A type is known by its spellings; an unknown type is refused, an unknown command is custom."""
    assert options("-t", "q", "x").agent_type == "amazonq"
    assert options("cursor-agent").agent_type == "cursor"
    assert options("some-program").agent_type == "custom"
    assert "llama" in refused("-t", "llama", "x")


def test_D12_the_base_name_tells_the_type() -> None:
    """A command with a path is guessed by its last part."""
    assert options("--", "/usr/bin/claude").agent_type == "claude"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ((), "--"),
        (("--no-such", "x"), "--no-such"),
        (("-Z", "x"), "-Z"),
        (("--prot", "1", "x"), "--port"),
        (("-p",), "-p"),
        (("-W", "9", "x"), "at least 10"),
        (("-H", "9", "x"), "at least 10"),
        (("-p", "70000", "x"), "65535"),
        (("--load-state", "x"), "--state-file"),
        (("--save-state", "x"), "--state-file"),
        (("--grace", "soon", "x"), "seconds"),
        (("--transport", "tmux", "x"), "pty"),
        (("--listen", "here", "x"), "--listen"),
        (("--token", "a", "--token-file", "/b", "x"), "not both"),
        (("--token-file", "/no/such/file", "x"), "/no/such/file"),
        (("--load-state=perhaps", "x"), "true or false"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], part: str) -> None:
    """What cannot be is refused with a sentence that names it."""
    assert part in refused(*arguments)


def test_N7_loopback_or_a_token(tmp_path: Path) -> None:
    """The default is the loopback; any other address needs a token, unless one insists."""
    assert options("x").host == "127.0.0.1"
    assert "--token-file" in refused("--listen", "0.0.0.0:1", "x")
    assert "--token-file" in refused("--listen", "[::]:1", "x")
    assert options("--listen", "0.0.0.0:1", "--insecure", "x").token is None
    file = tmp_path / "token"
    file.write_text("secret\n")
    assert options("--listen", "0.0.0.0:1", "--token-file", str(file), "x").token == "secret"
    assert options("--listen", "[::1]:1", "x").host == "::1"


def test_state_switches() -> None:
    """State is loaded and saved when a file is named, and each can be switched off."""
    made = options("-s", "/x/s.json", "c")
    assert (made.loads_state, made.saves_state) == (True, True)
    made = options("-s", "/x/s.json", "--load-state=false", "c")
    assert (made.loads_state, made.saves_state) == (False, True)
    made = options("c")
    assert (made.loads_state, made.saves_state) == (False, False)


# the pid file


def test_A52_pid_file_is_ours_while_we_run(tmp_path: Path) -> None:
    """The file holds our number, readable by its owner alone, and goes at the end."""
    path = tmp_path / "run" / "bridge.pid"
    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.exists()


def test_A52_a_living_one_refuses(tmp_path: Path) -> None:
    """A number of a living process ends the start, and its file stays."""
    path = tmp_path / "bridge.pid"
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        path.write_text(f"{other.pid}\n")
        with pytest.raises(AlreadyRunning, match=str(other.pid)), holding(path):
            pass
        assert path.read_text() == f"{other.pid}\n"
    finally:
        other.communicate(b"\n")
    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_A52_one_that_was_killed_does_not_refuse(tmp_path: Path) -> None:
    """A process that has ended does not live, even while nobody has asked how it ended."""
    path = tmp_path / "bridge.pid"
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        path.write_text(f"{other.pid}\n")
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        with holding(path):
            assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("text", ["", "no number", "-1", "99999999999999999999", "\xff"])
def test_A52_nonsense_is_overwritten(tmp_path: Path, text: str) -> None:
    """What is no number of a process does not stop a start."""
    path = tmp_path / "bridge.pid"
    path.write_text(text, encoding="latin-1")
    with holding(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_A52_a_taken_over_file_stays(tmp_path: Path) -> None:
    """A file that holds somebody else's number at the end is left alone."""
    path = tmp_path / "bridge.pid"
    with holding(path):
        path.write_text("1\n")
    assert path.read_text() == "1\n"


# the state file

STATE = State(
    1, [StateMessage(0, "hello", "agent", NOW), StateMessage(1, "hi", "user", NOW)], "hi", True
)


def test_A42_state_is_replaced_whole(tmp_path: Path) -> None:
    """A state comes back as it was saved, from a file that only its owner reads."""
    path = tmp_path / "deep" / "state.json"
    save(path, State(1))
    save(path, STATE)
    assert load(path) == STATE
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["state.json"]


def test_A43_missing_is_silent(tmp_path: Path) -> None:
    """Without a file there is no state, and nothing to say."""
    assert load(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"version": 2, "messages": []}',
        '{"messages": []}',
        '{"version": 1, "messages": [{}]}',
    ],
)
def test_A43_unreadable_says_so(tmp_path: Path, text: str) -> None:
    """A file that makes no sense is reported by its name."""
    path = tmp_path / "state.json"
    path.write_text(text)
    with pytest.raises(StateUnreadable, match=r"state\.json"):
        load(path)


# standard input


def test_A40_a_pipe_is_the_first_prompt() -> None:
    """All that a pipe holds, trimmed, is the prompt."""
    reader, writer = os.pipe()
    os.write(writer, b"  build it \n")
    os.close(writer)
    assert (piped(reader).text, piped(reader).warning) == ("build it", "")
    os.close(reader)


def test_N43_a_silent_pipe_is_left() -> None:
    """A pipe that nobody writes to or closes is given up, with a warning. Fixes D11."""
    reader, writer = os.pipe()
    os.write(writer, b"half a prompt")
    found = piped(reader, silence_s=0.01)
    assert found.text == ""
    assert "Standard input" in found.warning
    os.close(writer)
    os.close(reader)


def test_D11_only_pipes_and_files_are_read(tmp_path: Path) -> None:
    """A terminal, or no standard input at all, is not waited for."""
    with Path("/dev/null").open("rb") as nothing:
        assert piped(nothing.fileno()).text == ""
    file = tmp_path / "prompt"
    file.write_text("from a file")
    with file.open("rb") as opened:
        assert piped(opened.fileno()).text == "from a file"
    here, there = socket.socketpair()
    there.close()
    assert piped(here.fileno()).text == ""
    here.close()


def test_N43_a_prompt_has_a_limit(tmp_path: Path) -> None:
    """More than a mebibyte is no prompt, and that is said."""
    file = tmp_path / "prompt"
    file.write_bytes(b"x" * (MAX_BYTES + 1))
    with file.open("rb") as opened:
        found = piped(opened.fileno())
    assert (found.text, str(MAX_BYTES) in found.warning) == ("", True)
