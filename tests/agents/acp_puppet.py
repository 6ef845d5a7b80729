"""A coding agent that does what its prompt says, one line a step; standard library only.

updates N | big BYTES | stderr BYTES | raw LINE | unknown | ask KIND,KIND… [TOOL_KIND] | call METHOD | die CODE |
status WORD | error [CODE] | wait (for session/cancel) | mute (never answers) | stop REASON | echo (the prompt) |
show (how its session was opened) | update JSON | request METHOD JSON | askmany N | meta JSON (end_turn with it) |
pause SECONDS | cancelerror | late (updates after session/cancel) | pid

Its own words: resume, noload, lose (restoring fails), auth (new sessions need a login), modes (those of Codex), v7, deaf.
"""

import json
import os
import sys
import time


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


def say_pid(_rest: str) -> None:
    say(str(os.getpid()))


def show(_rest: str) -> None:
    say(json.dumps(SEEN) + "\n")


def request(rest: str) -> None:
    method, _, params = rest.partition(" ")
    answer = call(method, json.loads(params))
    say(json.dumps(answer.get("result", answer.get("error"))) + "\n")


def ask_many(rest: str) -> None:
    options = [{"optionId": "yes", "name": "Yes", "kind": "allow_once"}]
    wanted = {f"q-{number}" for number in range(int(rest))}
    for name in sorted(wanted):
        tool = {"toolCallId": name, "title": f"Tool {name}", "kind": "execute"}
        params = {"sessionId": "s", "toolCall": tool, "options": options}
        method = "session/request_permission"
        send({"jsonrpc": "2.0", "id": name, "method": method, "params": params})
    while wanted:
        message = receive()
        if message.get("id") in wanted:
            wanted.discard(str(message["id"]))
            say(json.dumps({str(message["id"]): message["result"]}) + "\n")


def die(rest: str) -> None:
    sys.stderr.write("about to die\n")
    sys.stderr.flush()
    os._exit(int(rest))


SEEN: dict[str, object] = {"mode_env": os.environ.get("INITIAL_AGENT_MODE"), "argv": sys.argv[1:]}

STEPS = {
    "show": show,
    "pid": say_pid,
    "update": lambda rest: update(json.loads(rest)),
    "request": request,
    "askmany": ask_many,
    "updates": say_updates,
    "big": lambda rest: say("x" * int(rest)),
    "stderr": write_errors,
    "raw": write_raw,
    "unknown": say_unknown,
    "ask": ask,
    "call": lambda rest: say(json.dumps(call(rest, {})["error"])),
    "die": die,
    "pause": lambda rest: time.sleep(float(rest)),
    "status": say_status,
}


def end(word: str, rest: str) -> dict[str, object]:
    match word:
        case "error":
            code = int(rest or -32603)
            return {"error": {"code": code, "message": "the model said no", "data": {"k": 1}}}
        case "meta":
            return {"result": {"stopReason": "end_turn", "_meta": json.loads(rest)}}
        case "cancelerror" | "late":
            while receive().get("method") != "session/cancel":
                pass
            if word == "late":
                say("late news")
                return {"result": {"stopReason": "cancelled"}}
            return {"error": {"code": -32800, "message": "Request cancelled"}}
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


def initialize(params: dict[str, object]) -> dict[str, object]:
    SEEN["client"] = params.get("clientCapabilities")
    sessions: dict[str, object] = {"resume": {}} if "resume" in sys.argv else {}
    capabilities = {
        "loadSession": "noload" not in sys.argv,
        "sessionCapabilities": sessions,
        "mcpCapabilities": {"http": True, "sse": False},
    }
    version = 7 if "v7" in sys.argv else params["protocolVersion"]
    methods = [{"id": "key", "name": "Use a key", "description": "Set PUPPET_KEY"}]
    return {
        "result": {
            "protocolVersion": version,
            "agentCapabilities": capabilities,
            "authMethods": methods,
        }
    }


def open_session(method: str, params: dict[str, object]) -> dict[str, object]:
    SEEN["opened"] = {"method": method} | params
    if "auth" in sys.argv:
        return {"error": {"code": -32000, "message": "Authentication required"}}
    if method != "session/new" and "lose" in sys.argv:
        return {"error": {"code": -32002, "message": "Resource not found"}}
    if method == "session/load":
        for number in range(3):
            piece = {"type": "text", "text": f"old {number}"}
            update({"sessionUpdate": "user_message_chunk", "content": piece})
            say(f"old {number}")
        update({"sessionUpdate": "tool_call", "toolCallId": "old", "status": "in_progress"})
    names = ["ask"]
    if "modes" in sys.argv:
        names = ["agent", "read-only", "workspace-write", "agent-full-access"]
    offered = [{"id": name, "name": name.title()} for name in names]
    modes = {"currentModeId": names[0], "availableModes": offered}
    result = None if method == "session/load" else {"sessionId": "s", "modes": modes}
    return {"result": result}


def answer(message: dict[str, object]) -> dict[str, object]:
    params = message.get("params")
    assert isinstance(params, dict)
    match message["method"]:
        case "initialize":
            return initialize(params)
        case "session/new" | "session/load" | "session/resume":
            return open_session(str(message["method"]), params)
        case "session/set_mode":
            SEEN["set_mode"] = params["modeId"]
            return {"result": {}}
        case "session/prompt":
            blocks = [block.get("text", "") for block in params["prompt"]]
            if blocks[-1] == "echo":
                say(json.dumps(blocks))
                return {"result": {"stopReason": "end_turn"}}
            return prompt("\n".join(text for text in blocks if not text.startswith("[Taskyard")))
        case _:
            return {"result": {}}


def main() -> None:
    if "deaf" in sys.argv:
        os._exit(3)
    while True:
        message = receive()
        if "id" in message and "method" in message:
            send({"jsonrpc": "2.0", "id": message["id"]} | answer(message))
            if message["method"] == "session/load" and "lose" not in sys.argv:
                say("new")


if __name__ == "__main__":
    main()
