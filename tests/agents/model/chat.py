"""The Chat Completions API: what most other coding agents speak."""

from collections.abc import Iterator

import msgspec

from tests.agents.model.responses import Text, failure
from tests.agents.model.script import human
from tests.agents.model.talk import Offered, Part, Reply, Said, Schema, Talk, event, number

__all__ = ["failure", "read", "stream", "whole"]

USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}


class Message(msgspec.Struct):
    """One message."""

    role: str
    content: str | list[Text] | None = None
    tool_calls: list[msgspec.Raw] | None = None


class Function(msgspec.Struct):
    """What a tool is."""

    name: str
    parameters: Schema = Schema()


class Definition(msgspec.Struct):
    """A tool."""

    function: Function


class Request(msgspec.Struct):
    """What is read of a request."""

    model: str
    messages: list[Message]
    tools: list[Definition] = []
    stream: bool = False


def read(body: bytes) -> Talk:
    """The conversation of a request; raises msgspec.DecodeError."""
    asked = msgspec.json.decode(body, type=Request)
    said = [piece for message in asked.messages for piece in _said(message)]
    tools = [Offered(tool.function.name, tool.function.parameters) for tool in asked.tools]
    return Talk(asked.model, asked.stream, said, tools)


def _said(message: Message) -> Iterator[Said]:
    content = message.content
    text = "\n".join(p.text for p in content) if isinstance(content, list) else content or ""
    match message.role:
        case "assistant":
            yield Said(Part.CALL if message.tool_calls else Part.ANSWER)
        case "tool":
            yield Said(Part.RESULT, text)
        case "user" if words := human(text):
            yield Said(Part.HUMAN, words)


def whole(reply: Reply, model: str) -> dict[str, object]:
    """The answer to a request that wants it at once."""
    message: dict[str, object] = {"role": "assistant", "content": reply.text or None}
    if reply.use is not None:
        message["tool_calls"] = [_call(reply)]
    choice = {"index": 0, "message": message, "finish_reason": _reason(reply)}
    return _head("chat.completion", model) | {"choices": [choice], "usage": USAGE}


def stream(reply: Reply, model: str) -> Iterator[bytes]:
    """The answer as events."""
    head = _head("chat.completion.chunk", model)
    deltas: list[dict[str, object]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in reply.pieces()]
    if reply.use is not None:
        deltas.append({"tool_calls": [{"index": 0, **_call(reply)}]})
    for delta in deltas:
        yield event(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    last = {"index": 0, "delta": {}, "finish_reason": _reason(reply)}
    yield event(head | {"choices": [last]})
    yield event(head | {"choices": [], "usage": USAGE})
    yield b"data: [DONE]\n\n"


def _head(kind: str, model: str) -> dict[str, object]:
    return {"id": number("chatcmpl"), "object": kind, "created": 1_790_000_000, "model": model}


def _reason(reply: Reply) -> str:
    return "stop" if reply.use is None else "tool_calls"


def _call(reply: Reply) -> dict[str, object]:
    assert reply.use is not None
    written = msgspec.json.encode(reply.use.arguments).decode()
    function = {"name": reply.use.tool.name, "arguments": written}
    return {"id": number("call"), "type": "function", "function": function}
