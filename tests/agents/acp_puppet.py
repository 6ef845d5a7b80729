"""A coding agent that does what its prompt says, one line a step; standard library only.

updates N | big BYTES | stderr BYTES | raw LINE | unknown | ask KIND,KIND… [TOOL_KIND] | call METHOD | die CODE |
status WORD | error | wait (for session/cancel) | mute (never answers) | stop REASON
"""

import json
import os
import sys


def send(message: object) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


def update(body: dict[str, object]) -> None:
    send(
        {"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": body}}
    )


def say(text: str) -> None:
    update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})


def receive() -> dict[str, object]:
    line = sys.stdin.buffer.readline()
    if not line:
        os._exit(0)
    message = json.loads(line)
    assert isinstance(message, dict)
    return message


def call(method: str, params: dict[str, object]) -> dict[str, object]:
    send({"jsonrpc": "2.0", "id": "q-1", "method": method, "params": params})
    while True:
        message = receive()
        if message.get("id") == "q-1":
            return message


def ask(rest: str) -> None:
    kinds, _, tool_kind = rest.partition(" ")
    options = [
        {"optionId": f"o{n}", "name": kind, "kind": kind} for n, kind in enumerate(kinds.split(","))
    ]
    tool = {"toolCallId": "t", "title": None, "kind": tool_kind or None}
    answer = call(
        "session/request_permission", {"sessionId": "s", "toolCall": tool, "options": options}
    )
    say(json.dumps(answer["result"]))


def write_raw(rest: str) -> None:
    line = rest.encode("latin-1").decode("unicode_escape").encode("latin-1")
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def write_errors(rest: str) -> None:
    sys.stderr.write(("y" * 99 + "\n") * (int(rest) // 100))
    sys.stderr.flush()


def say_unknown(_rest: str) -> None:
    update({"sessionUpdate": "from_the_future", "data": {"x": [1, 2]}})
    send({"jsonrpc": "2.0", "method": "_vendor/thing", "params": {"y": 1}})


def say_updates(rest: str) -> None:
    for number in range(int(rest)):
        say(str(number))


def say_status(rest: str) -> None:
    meta = {"codex": {"threadStatus": {"type": rest}}}
    update({"sessionUpdate": "session_info_update", "_meta": meta})


def die(rest: str) -> None:
    sys.stderr.write("about to die\n")
    sys.stderr.flush()
    os._exit(int(rest))


STEPS = {
    "updates": say_updates,
    "big": lambda rest: say("x" * int(rest)),
    "stderr": write_errors,
    "raw": write_raw,
    "unknown": say_unknown,
    "ask": ask,
    "call": lambda rest: say(json.dumps(call(rest, {})["error"])),
    "die": die,
    "status": say_status,
}


def end(word: str, rest: str) -> dict[str, object]:
    match word:
        case "error":
            return {"error": {"code": -32603, "message": "the model said no", "data": {"k": 1}}}
        case "wait":
            while receive().get("method") != "session/cancel":
                pass
            return {"result": {"stopReason": "cancelled"}}
        case "mute":
            while True:
                receive()
    usage = {"totalTokens": 3, "inputTokens": 1, "outputTokens": 2}
    return {"result": {"stopReason": rest, "usage": usage, "_meta": {"m": 1}}}


def prompt(text: str) -> dict[str, object]:
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word not in STEPS:
            return end(word, rest)
        STEPS[word](rest)
    return {"result": {"stopReason": "end_turn"}}


def answer(message: dict[str, object]) -> dict[str, object]:
    params = message.get("params")
    assert isinstance(params, dict)
    match message["method"]:
        case "initialize":
            sessions: dict[str, object] = {"resume": {}} if "resume" in sys.argv else {}
            capabilities = {"loadSession": True, "sessionCapabilities": sessions}
            version = 7 if "v7" in sys.argv else params["protocolVersion"]
            return {"result": {"protocolVersion": version, "agentCapabilities": capabilities}}
        case "session/new":
            modes = {"currentModeId": "ask", "availableModes": [{"id": "ask", "name": "Ask"}]}
            return {"result": {"sessionId": "s", "modes": modes}}
        case "session/load":
            for number in range(3):
                say(f"old {number}")
            return {"result": None}
        case "session/prompt":
            return prompt("\n".join(block["text"] for block in params["prompt"]))
        case _:
            return {"result": {}}


def main() -> None:
    if "deaf" in sys.argv:
        os._exit(3)
    while True:
        message = receive()
        if "id" in message and "method" in message:
            send({"jsonrpc": "2.0", "id": message["id"]} | answer(message))
            if message["method"] == "session/load":
                say("new")


if __name__ == "__main__":
    main()
