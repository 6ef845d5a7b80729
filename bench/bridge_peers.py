"""`python -m bench.bridge_peers acp|terminal`: coding agents that do nothing but what is measured.

acp: `stamp` answers with the moment at which the prompt's first byte came; `tools N` makes N tool calls.
terminal: says it is ready, and writes so many bytes when a line of digits is typed.
"""

import json
import os
import sys
import time
import tty

SESSION = "bench"

LINE = b"\x1b[32mok\x1b[0m  compiled module %06d of the tree in a few milliseconds, nothing to say about it\r\n"


def _send(message: dict[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps({"jsonrpc": "2.0"} | message).encode() + b"\n")


def _update(update: dict[str, object]) -> None:
    params = {"sessionId": SESSION, "update": update}
    _send({"method": "session/update", "params": params})


def _chunk(text: str) -> None:
    _update({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})


def _tools(count: int) -> None:
    for number in range(count):
        _update(
            {
                "sessionUpdate": "tool_call",
                "toolCallId": f"call-{number}",
                "title": f"Read file {number}",
                "kind": "read",
                "status": "completed",
            }
        )


def _answer(method: str, params: dict[str, object], came_ns: int) -> dict[str, object]:
    if method == "initialize":
        return {"protocolVersion": 1, "agentCapabilities": {}}
    if method == "session/new":
        return {"sessionId": SESSION}
    if method != "session/prompt":
        return {}
    prompt = params["prompt"]
    assert isinstance(prompt, list)
    word, _, count = str(prompt[-1]["text"]).partition(" ")
    if word == "tools":
        _tools(int(count))
    else:
        _chunk(str(came_ns))
    return {"stopReason": "end_turn"}


def acp() -> None:
    """Serves until the input ends."""
    rest = b""
    while data := os.read(0, 65536):
        came_ns = time.monotonic_ns()
        *lines, rest = (rest + data).split(b"\n")
        for line in filter(None, lines):
            message = json.loads(line)
            if "id" in message and "method" in message:
                result = _answer(message["method"], message.get("params") or {}, came_ns)
                _send({"id": message["id"], "result": result})
        sys.stdout.buffer.flush()


def terminal() -> None:
    """Shows a prompt until the input ends."""
    tty.setraw(0)
    os.write(1, b"ready\r\n> ")
    typed = b""
    while data := os.read(0, 4096):
        typed += data.replace(b"\x1b[200~", b"").replace(b"\x1b[201~", b"")
        if b"\r" not in typed:
            continue
        digits = bytes(byte for byte in typed if 48 <= byte <= 57)
        typed = b""
        written = number = 0
        while written < int(digits or b"0"):
            number += 1
            written += _write_all(LINE % number)
        _write_all(b"\r\nEND OF OUTPUT\r\n> ")


def _write_all(data: bytes) -> int:
    rest = data
    while rest:
        rest = rest[os.write(1, rest) :]
    return len(data)


if __name__ == "__main__":
    {"acp": acp, "terminal": terminal}[sys.argv[1]]()
