"""The templates that a new server brings: they parse, and what they ship works."""

import http.client
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

import taskyard
from taskyard.lifecycle.template import AgentType, Template, parse_template, validate_parameters
from taskyard.lifecycle.template_model import SCREEN_ONLY
from taskyard_agent.agent_types import TYPES
from tests.waiting import DEADLINE_S, until

STARTERS = Path(taskyard.__file__).parent / "starters"
Ask = Callable[..., tuple[int, dict[str, object]]]


def files(name: str) -> dict[str, bytes]:
    root = STARTERS / name
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def starter(name: str) -> Template:
    return parse_template(files(name))


AGENTS = ("claude", "codex", "opencode", "gemini", "copilot", "aider")
"""Starters that are called as the coding agent is."""

ANSWERS = {
    "TASKYARD_PARAMETER_MODEL": "some/model",
    "TASKYARD_PARAMETER_BASE_URL": "http://127.0.0.1:99/v1",
    "TASKYARD_PARAMETER_EFFORT": "low",
}


@pytest.mark.parametrize("name", ["shell", "custom", *AGENTS])
def test_each_starter_runs_tasks_as_it_stands(name: str) -> None:
    """No problem, no warning, no value that somebody has to give, and a page that explains it."""
    template = starter(name)
    assert template.has_ai_task
    assert template.warnings == []
    assert isinstance(validate_parameters(template.parameters, {}), dict)
    assert files(name)["README.md"]


def test_the_shell_starter_needs_no_model() -> None:
    """Its coding agent is ours."""
    agent = starter("shell").agent
    assert agent is not None
    assert agent.type is AgentType.SHELL


def test_the_shell_starter_ships_words_to_count() -> None:
    """A dozen files in three folders, fifteen hundred words: enough to rank."""
    texts = {name: text for name, text in files("shell").items() if name.startswith("words/")}
    assert len({name.split("/")[1] for name in texts}) == 3
    assert len(texts) == 12
    assert 1400 < sum(len(text.split()) for text in texts.values()) < 1600


def test_its_start_script_copies_the_words_once(tmp_path: Path) -> None:
    """A resumed task keeps what it made of them; a copy that was cut off is made again."""
    (tmp_path / "words.new").mkdir()
    run_setup(tmp_path)
    page = tmp_path / "words" / "weather" / "fog.txt"
    assert page.read_bytes() == files("shell")["words/weather/fog.txt"]
    page.write_text("mine")
    run_setup(tmp_path)
    assert page.read_text() == "mine"
    assert not (tmp_path / "words.new").exists()


def run_setup(home: Path, name: str = "shell", **answers: str) -> None:
    """Runs a start script as the workspace agent does."""
    template = STARTERS / name
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TASKYARD_PYTHON": sys.executable,
        "TASKYARD_TEMPLATE_DIR": str(template),
        **answers,
    }
    subprocess.run(["bash", template / "setup.sh"], cwd=home, env=env, check=True)


@pytest.mark.parametrize("name", AGENTS)
def test_the_starter_of_a_coding_agent_says_what_it_needs(name: str) -> None:
    """Its program, a key that must be set, where that is used, a choice of presets, and how to get all that."""
    template = starter(name)
    kind = TYPES[name]
    assert template.agent is not None
    assert template.agent.type == name
    assert template.agent.command == []
    entry = template.requires_env[0]
    accepted = set(entry.split("|"))
    assert accepted <= set(kind.needs_env) or not kind.needs_env
    assert template.workspace.egress
    assert [preset.default for preset in template.presets].count(True) == 1
    readme = files(name)["README.md"].decode()
    assert f"taskyard secrets set {next(n for n in entry.split('|') if n in readme)}" in readme
    package = re.search(r"install (?:-g )?(\S+)", kind.install)
    assert package is not None
    assert package[1] in readme
    assert 8 <= len(readme.splitlines()) <= 16


@pytest.mark.parametrize("name", [name for name in AGENTS if name != "copilot"])
def test_the_start_script_of_a_coding_agent_passes_the_answers_on(
    name: str, tmp_path: Path
) -> None:
    """Model and address are in a file of the program, or none is there; a second start changes nothing."""
    run_setup(tmp_path, name, **ANSWERS)
    once = written(tmp_path)
    assert any("some/model" in text for text in once.values())
    assert any("http://127.0.0.1:99/v1" in text for text in once.values())
    run_setup(tmp_path, name, **ANSWERS)
    assert written(tmp_path) == once
    run_setup(tmp_path, name, **(dict.fromkeys(ANSWERS, "") | {"TASKYARD_PARAMETER_EFFORT": "low"}))
    assert not any("some/model" in text or ":99" in text for text in written(tmp_path).values())


def written(home: Path) -> dict[str, str]:
    """The files of a home directory."""
    found = [path for path in home.rglob("*") if path.is_file()]
    return {str(path.relative_to(home)): path.read_text() for path in found}


def test_codex_is_unconfined_only_where_the_workspace_is_confined(tmp_path: Path) -> None:
    """Its own sandbox stays on without ours, and a file that somebody made their own stays as it is."""
    config = tmp_path / ".codex" / "config.toml"
    run_setup(tmp_path, "codex", **ANSWERS)
    assert tomllib.loads(config.read_text())["sandbox_mode"] == "workspace-write"
    run_setup(tmp_path, "codex", **ANSWERS, TASKYARD_CONFINED="1")
    found = tomllib.loads(config.read_text())
    assert found["sandbox_mode"] == "danger-full-access"
    assert found["features"] == {"daemon_auto_start": False}
    config.write_text("model = 'mine'\n")
    run_setup(tmp_path, "codex", **ANSWERS)
    assert config.read_text() == "model = 'mine'\n"


def test_claude_code_keeps_settings_of_its_user(tmp_path: Path) -> None:
    """The script changes its own keys only, and what the screen would ask at first is answered."""
    folder = tmp_path / ".claude"
    folder.mkdir()
    (folder / "settings.json").write_text('{"theme": "dark", "env": {"A": "b"}}')
    run_setup(tmp_path, "claude", **ANSWERS, ANTHROPIC_API_KEY="k" * 30)
    settings = json.loads((folder / "settings.json").read_text())
    assert (settings["theme"], settings["env"]["A"]) == ("dark", "b")
    state = json.loads((tmp_path / ".claude.json").read_text())
    assert state["customApiKeyResponses"]["approved"] == ["k" * 20]
    assert state["projects"][str(tmp_path)] == {"hasTrustDialogAccepted": True}


def test_the_types_of_templates_are_those_that_the_agent_knows() -> None:
    """A type more needs its word in both; those with a screen only are the same."""
    assert {str(word) for word in AgentType} == set(TYPES)
    assert {str(word) for word in SCREEN_ONLY} == {
        name for name, kind in TYPES.items() if kind.acp is None and name != "custom"
    }


def test_the_custom_starter_is_a_server_of_the_users_own() -> None:
    """The bridge stays out of it; the app's command runs what the parameter says."""
    template = starter("custom")
    assert template.bridge_slug is None
    (app,) = template.apps
    assert app.slug == template.task_app
    assert app.command is not None
    assert "$TASKYARD_PARAMETER_COMMAND" in app.command


@pytest.fixture
def ask(tmp_path: Path) -> Iterator[Ask]:
    """Asks the demo server, which runs on a free port and answers at once."""
    module = load_server()
    module.Handler.conversation = module.Conversation(tmp_path / "messages", thinking_s=0)
    with ThreadingHTTPServer(("127.0.0.1", 0), module.Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield asker(server.server_address[1])
        server.shutdown()
        thread.join()


def load_server() -> ModuleType:
    spec = importlib.util.spec_from_file_location("demo_server", STARTERS / "custom/server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asker(port: int) -> Ask:
    def ask(method: str, path: str, body: object = None) -> tuple[int, dict[str, object]]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        connection.request(method, path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        assert response.headers["Content-Type"] == "application/json"
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer

    return ask


def test_the_demo_server_answers_every_message(ask: Ask) -> None:
    """The three calls that a task app must serve, in the shapes that a task app must have."""
    assert ask("GET", "/messages") == (200, {"messages": []})
    assert ask("POST", "/message", {"type": "user", "content": " hi "}) == (200, {"ok": True})
    until("the answer", lambda: ask("GET", "/status")[1]["status"] == "stable" or None)
    messages = ask("GET", "/messages")[1]["messages"]
    assert isinstance(messages, list)
    assert [(each["id"], each["role"], each["content"]) for each in messages] == [
        (0, "user", "hi"),
        (1, "agent", "You said: hi"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing", None, 404),
        ("POST", "/nothing", {}, 404),
        ("POST", "/message", None, 422),
        ("POST", "/message", {"type": "raw", "content": "x"}, 422),
        ("POST", "/message", {"type": "user", "content": " "}, 422),
    ],
)
def test_the_demo_server_refuses_what_it_cannot_do(
    ask: Ask, method: str, path: str, body: object, status: int
) -> None:
    """An error says why, and the conversation stays as it was."""
    found, answer = ask(method, path, body)
    assert found == status
    assert answer["detail"]
    assert ask("GET", "/messages") == (200, {"messages": []})


def test_the_demo_server_keeps_the_conversation(tmp_path: Path) -> None:
    """It is there after a restart, without the line that a kill cut off."""
    module = load_server()
    whole = json.dumps({"id": 0, "role": "user", "content": "hi", "time": "2026-11-01T12:00:00Z"})
    file = tmp_path / "messages"
    file.write_text(f'{whole}\n{{"id": 1, "ro')
    assert [each["content"] for each in module.Conversation(file).messages()] == ["hi"]
    assert [each["content"] for each in module.Conversation(file).messages()] == ["hi"]
