"""The scripted model server: what it answers to each API, and when."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest

from tests.agents.model.binding import bound
from tests.agents.model.script import Failure, Shell, Step, Tool, Write, human, script_of
from tests.agents.model.server import TITLE, Model, serving_model
from tests.agents.model.talk import Offered, Schema
from tests.waiting import DEADLINE_S

BASH = {"name": "Bash", "input_schema": {"properties": {"command": {"type": "string"}}}}
EXEC = {"type": "function", "name": "exec_command", "parameters": {"properties": {"cmd": {}}}}
REPORT = {
    "type": "namespace",
    "name": "mcp__taskyard",
    "tools": [{"type": "function", "name": "report"}],
}
CHAT = {"type": "function", "function": {"name": "bash", "parameters": {}}}


@pytest.fixture
def model() -> Iterator[Model]:
    with serving_model() as model:
        yield model


def ask(model: Model, path: str, body: Mapping[str, object] | None, method: str = "POST") -> bytes:
    """The body of an answer, whatever its status."""
    connection = http.client.HTTPConnection(model.address, timeout=DEADLINE_S)
    connection.request(method, path, None if body is None else json.dumps(body))
    answer = connection.getresponse().read()
    connection.close()
    return answer


def messages(model: Model, *said: Mapping[str, object], **more: object) -> Any:
    """The answer to a conversation by the Messages API, as JSON."""
    body = {"model": "m", "messages": said, "tools": [BASH], **more}
    return json.loads(ask(model, "/v1/messages", body))


def user(text: str) -> dict[str, object]:
    return {"role": "user", "content": text}


def called(result: str) -> list[dict[str, object]]:
    """A call and what it gave, as the Messages API has them."""
    use = {"type": "tool_use", "id": "t", "name": "Bash", "input": {}}
    given = {"type": "tool_result", "tool_use_id": "t", "content": result}
    return [{"role": "assistant", "content": [use]}, {"role": "user", "content": [given]}]


def events(stream: bytes) -> list[Any]:
    """The data of server-sent events, as JSON."""
    lines = [line[6:] for line in stream.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


def test_a_script_is_cut_into_steps() -> None:
    """A call ends a step; words, pauses, gates and errors belong to the step that they stand before."""
    prompt = 'do it\nsay: first\nsay: this\nshell: ls\ndelay: 0.5\ngate: g\nwrite: a b\\n\nerror: 529 2\ntool: r {"x": 1}'
    assert script_of(prompt) == (
        Step("first this", Shell("ls")),
        Step("", Write("a", "b\n"), delay_s=0.5, gate="g"),
        Step("", Tool("r", {"x": 1}), failure=Failure(529, 2)),
        Step("Done."),
    )
    assert script_of("no directive") == (Step("Done."),)


def test_what_programs_add_is_not_a_persons() -> None:
    """Blocks in tags are left away."""
    assert human("<system-reminder>\nsay: x\n</system-reminder>\nsay: y\n") == "say: y"


def test_calls_take_the_names_of_the_programs_tools() -> None:
    """By the tool that runs lines or writes files; what else it insists on is filled in."""
    wanted = {"cmd": {"type": "array"}, "n": {"enum": ["a"]}, "b": {"type": "boolean"}}
    written = json.dumps({"properties": wanted, "required": ["cmd", "n", "b"]})
    schema = msgspec.json.decode(written, type=Schema)
    use = bound(Shell("ls"), [Offered("shell", schema)])
    assert use is not None
    assert use.arguments == {"cmd": ["bash", "-c", "ls"], "n": "a", "b": False}
    file = bound(Write("f", "x\n"), [Offered("exec_command", Schema())])
    assert file is not None
    assert file.arguments == {"command": "cat > 'f' <<'EOT'\nx\nEOT"}
    assert bound(Tool("t", {}), [Offered("mcp__s__t", Schema())]) is not None
    assert bound(Shell("ls"), [Offered("other", Schema())]) is None


def test_the_step_follows_from_the_conversation(model: Model) -> None:
    """Asked again the answer is the same; after a result comes the next; a new prompt begins anew."""
    prompt = user("say: now\nshell: ls\nsay: ready")
    for _ in range(2):
        first = messages(model, prompt)
        assert first["stop_reason"] == "tool_use"
        assert [block["type"] for block in first["content"]] == ["text", "tool_use"]
    last = messages(model, prompt, *called("a b"))
    assert last["stop_reason"] == "end_turn"
    assert last["content"] == [{"type": "text", "text": "ready"}]
    again = messages(model, prompt, *called("a b"), user("shell: pwd"))
    assert again["stop_reason"] == "tool_use"
    assert [(r.step, r.steps) for r in model.journal] == [(0, 2), (0, 2), (1, 2), (0, 2)]
    assert model.journal[2].results == ["a b"]


def test_claude_codes_own_messages_are_left_away(model: Model) -> None:
    """Messages of the system between the others, and two prompts that came merged into one."""
    system = {"role": "system", "content": "say: not this"}
    merged = {
        "role": "user",
        "content": [
            {"type": "text", "text": "say: old"},
            {"type": "text", "text": "<system-reminder>say: no</system-reminder>"},
            {"type": "text", "text": "say: new"},
        ],
    }
    answer = messages(model, merged, system)
    assert answer["content"] == [{"type": "text", "text": "new"}]


def test_messages_are_streamed(model: Model) -> None:
    """The events of an answer with words and a call, in the order that clients want."""
    body = {"model": "m", "messages": [user("say: a b\nshell: ls")], "tools": [BASH]}
    found = events(ask(model, "/v1/messages", body | {"stream": True}))
    block = ["content_block_start", "content_block_delta"]
    assert [event["type"] for event in found] == [
        *("message_start", *block, "content_block_delta", "content_block_stop"),
        *(*block, "content_block_stop", "message_delta", "message_stop"),
    ]


def test_responses_are_streamed_with_the_namespace_of_mcp_tools(model: Model) -> None:
    """Codex takes a call of an MCP tool only so."""
    told = {"role": "user", "content": [{"type": "input_text", "text": 'tool: report {"a": 1}'}]}
    body = {"model": "m", "input": [told], "tools": [EXEC, REPORT], "stream": True}
    found = events(ask(model, "/v1/responses", body))
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert found[-1]["type"] == "response.completed"
    (item,) = found[-1]["response"]["output"]
    assert (item["name"], item["namespace"]) == ("report", "mcp__taskyard")
    assert json.loads(item["arguments"]) == {"a": 1}


def test_responses_go_on_after_a_call(model: Model) -> None:
    """The result of a call leads to the next step, also in an answer that is not streamed."""
    told = {"type": "message", "role": "user", "content": "shell: ls\nsay: ready"}
    call = {"type": "function_call", "call_id": "c", "name": "exec_command", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "x y"}
    body = {"model": "m", "input": [told, call, result], "tools": [EXEC]}
    (item,) = json.loads(ask(model, "/v1/responses", body))["output"]
    assert item["content"][0]["text"] == "ready"
    assert model.journal[-1].results == ["x y"]


def test_chat_completions(model: Model) -> None:
    """A call, and then the end, streamed and whole."""
    told = user("shell: ls\nsay: all is done")
    body = {"model": "m", "messages": [told], "tools": [CHAT]}
    whole = json.loads(ask(model, "/v1/chat/completions", body))
    assert whole["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "bash"
    call = {"role": "assistant", "tool_calls": [{}]}
    body["messages"] = [told, call, {"role": "tool", "content": "x"}]
    found = events(ask(model, "/v1/chat/completions", body | {"stream": True}))
    deltas = [event["choices"][0]["delta"] for event in found if event["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "all is done"


def test_an_error_comes_so_many_times(model: Model) -> None:
    """Then the step itself; without a number it never ends."""
    for kinds in ("error", "error", "message"):
        assert messages(model, user("error: 529 2\nsay: x"))["type"] == kinds
    assert [request.status for request in model.journal] == [529, 529, 200]
    for _ in range(3):
        assert messages(model, user("error: 400"))["type"] == "error"


def test_a_gate_holds_an_answer(model: Model) -> None:
    """Until the test opens it; one that is open holds nothing."""
    answers: list[dict[str, object]] = []
    asking = threading.Thread(
        target=lambda: answers.append(messages(model, user("gate: g\nsay: x")))
    )
    asking.start()
    model.held("g")
    assert answers == []
    model.open("g")
    asking.join(DEADLINE_S)
    assert len(answers) == 1
    assert messages(model, user("gate: g\nsay: y"))["type"] == "message"


def test_a_request_without_tools_takes_no_step(model: Model) -> None:
    """A program that wants a name for a scripted conversation gets one; a plain answer is given."""
    titled = messages(model, user("error: 400\nshell: ls"), tools=[])
    assert titled["content"] == [{"type": "text", "text": TITLE}]
    assert messages(model, user("say: hi"), tools=[])["content"] == [{"type": "text", "text": "hi"}]


def test_a_tool_that_is_not_there_is_said(model: Model) -> None:
    """So that a script which a program cannot follow shows why."""
    answer = messages(model, user("tool: nothing {}"))
    assert "There is no tool" in str(answer["content"])


def test_small_questions_are_answered(model: Model) -> None:
    """Whether anybody is there, which models, how many tokens; the rest is 404 and noted."""
    assert ask(model, "/", None, "HEAD") == b""
    assert json.loads(ask(model, "/v1/models", None, "GET"))["data"][0]["id"] == "scripted"
    assert json.loads(ask(model, "/v1/messages/count_tokens?beta=true", {}))["input_tokens"] == 0
    assert b"error" in ask(model, "/nothing", {})
    assert b"error" in ask(model, "/v1/messages", {})
    assert [line.partition(":")[0] for line in model.unknown] == ["POST /nothing", "/v1/messages"]
