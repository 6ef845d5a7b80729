"""The Responses API: what Codex speaks.

Codex offers the tools of an MCP server as one of type `namespace`, and takes a call of one of them
only with that namespace.
"""

from collections.abc import Iterator

import msgspec

from tests.agents.model.script import human
from tests.agents.model.talk import Offered, Part, Reply, Said, Schema, Talk, event, number

USAGE = {
    "input_tokens": 100,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 120,
}


class Text(msgspec.Struct):
    """A piece of a message, or of a tool's result."""

    text: str = ""


class Item(msgspec.Struct):
    """A message, a call, the result of one, or something that is not looked at."""

    type: str = "message"
    role: str = ""
    content: str | list[Text] | None = None
    output: str | list[Text] | None = None


class Definition(msgspec.Struct):
    """A tool, or a namespace with tools in it."""

    type: str = ""
    name: str = ""
    parameters: Schema | None = None
    tools: "list[Definition]" = []


class Request(msgspec.Struct):
    """What is read of a request."""

    model: str
    input: str | list[Item]
    tools: list[Definition] = []
    stream: bool = False


def read(body: bytes) -> Talk:
    """The conversation of a request; raises msgspec.DecodeError."""
    asked = msgspec.json.decode(body, type=Request)
    given = asked.input
    items = [Item(role="user", content=given)] if isinstance(given, str) else given
    said = [piece for item in items for piece in _said(item)]
    return Talk(asked.model, asked.stream, said, list(_offered(asked.tools, None)))


def _said(item: Item) -> Iterator[Said]:
    if item.type == "message":
        words = human(_text(item.content))
        if item.role == "assistant":
            yield Said(Part.ANSWER)
        elif item.role == "user" and words:
            yield Said(Part.HUMAN, words)
    elif item.type.endswith("_call"):
        yield Said(Part.CALL)
    elif item.type.endswith("_output"):
        yield Said(Part.RESULT, _text(item.output))


def _text(content: str | list[Text] | None) -> str:
    if isinstance(content, list):
        return "\n".join(part.text for part in content)
    return content or ""


def _offered(tools: list[Definition], namespace: str | None) -> Iterator[Offered]:
    for tool in tools:
        if tool.type == "namespace":
            yield from _offered(tool.tools, tool.name)
        else:
            yield Offered(tool.name or tool.type, tool.parameters or Schema(), namespace)


def whole(reply: Reply, model: str) -> dict[str, object]:
    """The answer to a request that wants it at once."""
    return {
        "id": number("resp"),
        "object": "response",
        "created_at": 1_790_000_000,
        "status": "completed",
        "model": model,
        "output": _output(reply),
        "parallel_tool_calls": False,
        "usage": USAGE,
    }


def _output(reply: Reply) -> list[dict[str, object]]:
    items: list[dict[str, object]] = []
    if reply.text:
        part = {"type": "output_text", "text": reply.text, "annotations": []}
        items.append(
            {
                "id": number("msg"),
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            }
        )
    if reply.use is not None:
        tool = reply.use.tool
        named = {} if tool.namespace is None else {"namespace": tool.namespace}
        items.append(
            {
                "id": number("fc"),
                "type": "function_call",
                "status": "completed",
                "call_id": number("call"),
                "name": tool.name,
                "arguments": msgspec.json.encode(reply.use.arguments).decode(),
                **named,
            }
        )
    return items


def stream(reply: Reply, model: str) -> Iterator[bytes]:
    """The answer as events, each with its number."""
    for place, (name, data) in enumerate(_events(reply, whole(reply, model))):
        yield event({"type": name, "sequence_number": place, **data}, name)


def _events(reply: Reply, done: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    started = done | {"status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"response": started}
    items = done["output"]
    assert isinstance(items, list)
    for index, item in enumerate(items):
        place = {"output_index": index}
        bare: dict[str, object] = (
            {"content": []} if item["type"] == "message" else {"arguments": ""}
        )
        begun = item | bare | {"status": "in_progress"}
        yield "response.output_item.added", {**place, "item": begun}
        within = {**place, "item_id": item["id"]}
        yield from _message(reply, within) if item["type"] == "message" else _use(item, within)
        yield "response.output_item.done", {**place, "item": item}
    yield "response.completed", {"response": done}


def _message(reply: Reply, within: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    place = within | {"content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    yield "response.content_part.added", {**place, "part": part}
    for piece in reply.pieces():
        yield "response.output_text.delta", {**place, "delta": piece}
    yield "response.output_text.done", {**place, "text": reply.text}
    yield "response.content_part.done", {**place, "part": part | {"text": reply.text}}


def _use(
    item: dict[str, object], within: dict[str, object]
) -> Iterator[tuple[str, dict[str, object]]]:
    arguments = item["arguments"]
    yield "response.function_call_arguments.delta", {**within, "delta": arguments}
    yield "response.function_call_arguments.done", {**within, "arguments": arguments}


def failure(status: int) -> dict[str, object]:
    """The body of an error."""
    said = f"the script says status {status}"
    return {"error": {"message": said, "type": "server_error", "code": str(status)}}
