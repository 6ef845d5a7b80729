"""A coding agent for pages: it plays parts that are given to it, as real ones do theirs; standard library only.

parts.json beside it holds lists of steps by a word of the prompt that they answer; "" answers all others. A step is an
object with one name: say, think, plan (pairs of words and status), tool (of a tool call), update (kind, and the rest as the
protocol has it), ask (a title, a kind, optionally a diff's path, old, new; and what follows: allowed, refused), run (in bash, in the
home), pause (seconds), wait (until it is interrupted), error (a sentence), stop (a reason). Its prompt is seen as it is.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTS: dict[str, list[dict[str, Any]]] = json.loads(
    Path(__file__).with_name("parts.json").read_text(encoding="utf-8")
)
OPTIONS = [
    {"optionId": "allow", "name": "Allow", "kind": "allow_once"},
    {"optionId": "always", "name": "Always allow", "kind": "allow_always"},
    {"optionId": "reject", "name": "Reject", "kind": "reject_once"},
]


class Over(Exception):
    """The turn is over; what is answered to the prompt."""

    def __init__(self, answer: dict[str, object]) -> None:
        super().__init__()
        self.answer = answer


def send(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
    sys.stdout.flush()


def receive() -> dict[str, Any]:
    line = sys.stdin.readline()
    if not line:
        os._exit(0)
    message = json.loads(line)
    assert isinstance(message, dict)
    return message


def update(kind: str, /, **body: object) -> None:
    told = {"sessionId": "s", "update": {"sessionUpdate": kind} | body}
    send({"method": "session/update", "params": told})


def say(text: str, kind: str = "agent_message_chunk") -> None:
    for line in text.splitlines(keepends=True):
        update(kind, content={"type": "text", "text": line})


def ask(wanted: dict[str, Any]) -> None:
    call = {"toolCallId": wanted["title"], "title": wanted["title"], "kind": wanted.get("kind")}
    if "path" in wanted:
        diff = {"type": "diff", "path": wanted["path"]}
        call["content"] = [diff | {"oldText": wanted["old"], "newText": wanted["new"]}]
    update("tool_call", **call, status="pending")
    params = {"sessionId": "s", "toolCall": call, "options": OPTIONS}
    send({"id": "ask", "method": "session/request_permission", "params": params})
    message = receive()
    while message.get("id") != "ask":
        message = receive()
    outcome = message["result"]["outcome"]
    if outcome["outcome"] == "cancelled":
        raise Over({"result": {"stopReason": "cancelled"}})
    allowed = outcome["optionId"] != "reject"
    status = "completed" if allowed else "failed"
    update("tool_call_update", toolCallId=wanted["title"], status=status)
    play(wanted.get("allowed" if allowed else "refused", []))


def plan(entries: list[list[str]]) -> None:
    told = [{"content": c, "status": s, "priority": "medium"} for c, s in entries]
    update("plan", entries=told)


def run(script: str) -> None:
    subprocess.run(["bash", "-c", script], check=True, stdout=subprocess.DEVNULL)


def wait(_given: object) -> None:
    while receive().get("method") != "session/cancel":
        pass
    raise Over({"result": {"stopReason": "cancelled"}})


def fail(sentence: str) -> None:
    raise Over({"error": {"code": -32603, "message": sentence}})


def stop(reason: str) -> None:
    raise Over({"result": {"stopReason": reason}})


STEPS: dict[str, Callable[[Any], None]] = {
    "ask": ask,
    "error": fail,
    "pause": time.sleep,
    "plan": plan,
    "run": run,
    "say": say,
    "stop": stop,
    "think": lambda given: say(given, "agent_thought_chunk"),
    "tool": lambda given: update("tool_call", **given),
    "update": lambda given: update(
        given["kind"], **{k: v for k, v in given.items() if k != "kind"}
    ),
    "wait": wait,
}


def play(steps: list[dict[str, Any]]) -> None:
    for each in steps:
        for name, given in each.items():
            STEPS[name](given)


def answer(message: dict[str, Any]) -> dict[str, object]:
    match message["method"]:
        case "initialize":
            version = message["params"]["protocolVersion"]
            can = {"loadSession": True, "sessionCapabilities": {"resume": {}}}
            return {"result": {"protocolVersion": version, "agentCapabilities": can}}
        case "session/new":
            return {"result": {"sessionId": "s"}}
        case "session/prompt":
            text = "\n".join(block.get("text", "") for block in message["params"]["prompt"])
            part = next((w for w in PARTS if w and w in text), "")
            try:
                play(PARTS.get(part, [{"say": "There is nothing to do."}]))
            except Over as over:
                return over.answer
            return {"result": {"stopReason": "end_turn"}}
        case _:
            return {"result": {}}


def main() -> None:
    while True:
        message = receive()
        if "id" in message and "method" in message:
            send({"id": message["id"]} | answer(message))


if __name__ == "__main__":
    main()
