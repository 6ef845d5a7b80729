"""The templates that a new server brings: they parse, and what they ship works."""

import http.client
import importlib.util
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import ModuleType

import pytest

import taskyard
from taskyard.lifecycle.template import AgentType, Template, parse_template, validate_parameters
from tests.waiting import DEADLINE_S, until

STARTERS = Path(taskyard.__file__).parent / "starters"
Ask = Callable[..., tuple[int, dict[str, object]]]


def files(name: str) -> dict[str, bytes]:
    root = STARTERS / name
    found = [path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def starter(name: str) -> Template:
    return parse_template(files(name))


@pytest.mark.parametrize("name", ["shell", "custom"])
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


def run_setup(home: Path) -> None:
    template = STARTERS / "shell"
    env = {"PATH": os.environ["PATH"], "TASKYARD_TEMPLATE_DIR": str(template)}
    subprocess.run([template / "setup.sh"], cwd=home, env=env, check=True)


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
