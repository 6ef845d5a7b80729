"""The Messages API: what Claude Code speaks.

Claude Code puts messages of the role `system` between the others, and blocks of its own between a
person's words; after a turn that failed two messages of a person come as two blocks of one.
"""

from collections.abc import Iterator

import msgspec

from tests.agents.model.script import human
from tests.agents.model.talk import Offered, Part, Reply, Said, Schema, Talk, event, number

USAGE = {"input_tokens": 100, "output_tokens": 20}
CACHED = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


class Block(msgspec.Struct):
    """A piece of a message; content is that of a tool's result."""

    type: str = ""
    text: str = ""
    content: "str | list[Block] | None" = None


class Message(msgspec.Struct):
    """One message."""

    role: str
    content: str | list[Block]

    def blocks(self) -> list[Block]:
        """Its pieces, a text being one."""
        if isinstance(self.content, str):
            return [Block("text", self.content)]
        return self.content


class Definition(msgspec.Struct):
    """A tool; those that the vendor runs have no schema."""

    name: str
    input_schema: Schema = Schema()


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
    tools = [Offered(tool.name, tool.input_schema) for tool in asked.tools]
    return Talk(asked.model, asked.stream, said, tools)


def _said(message: Message) -> Iterator[Said]:
    kinds = [block.type for block in message.blocks()]
    match message.role:
        case "assistant":
            yield Said(Part.CALL if "tool_use" in kinds else Part.ANSWER)
        case "user":
            for block in message.blocks():
                if block.type == "tool_result":
                    yield Said(Part.RESULT, _text(block.content))
                elif block.type == "text" and (words := human(block.text)):
                    yield Said(Part.HUMAN, words)


def _text(content: str | list[Block] | None) -> str:
    if isinstance(content, list):
        return "\n".join(block.text for block in content)
    return content or ""


def whole(reply: Reply, model: str) -> dict[str, object]:
    """The answer to a request that wants it at once."""
    return {
        "id": number("msg"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _blocks(reply),
        "stop_reason": "end_turn" if reply.use is None else "tool_use",
        "stop_sequence": None,
        "usage": USAGE | CACHED,
    }


def _blocks(reply: Reply) -> list[dict[str, object]]:
    blocks: list[dict[str, object]] = []
    if reply.text:
        blocks.append({"type": "text", "text": reply.text})
    if reply.use is not None:
        name, arguments = reply.use.tool.name, reply.use.arguments
        blocks.append({"type": "tool_use", "id": number("toolu"), "name": name, "input": arguments})
    return blocks


def stream(reply: Reply, model: str) -> Iterator[bytes]:
    """The answer as events."""
    message = whole(reply, model)
    started = message | {"content": [], "stop_reason": None}
    yield _event("message_start", message=started)
    for index, block in enumerate(_blocks(reply)):
        yield from _block(index, block, reply)
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield _event("message_delta", delta=stop, usage=USAGE)
    yield _event("message_stop")


def _block(index: int, block: dict[str, object], reply: Reply) -> Iterator[bytes]:
    if block["type"] == "text":
        empty: dict[str, object] = {"text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in reply.pieces()]
    else:
        empty = {"input": {}}
        written = msgspec.json.encode(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": written}]
    yield _event("content_block_start", index=index, content_block=block | empty)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _event(name: str, **data: object) -> bytes:
    return event({"type": name, **data}, name)


def failure(status: int) -> dict[str, object]:
    """The body of an error."""
    kind = {400: "invalid_request_error", 529: "overloaded_error"}.get(status, "api_error")
    said = f"the script says status {status}"
    return {"type": "error", "error": {"type": kind, "message": said}}
