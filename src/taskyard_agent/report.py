"""The report tool: `python -m taskyard_agent.report` is an MCP server on standard input and output.

A coding agent starts it, and says by its one tool what it is doing or how its work ended. Each
report goes to the bridge that TASKYARD_BRIDGE_URL names; TASKYARD_BRIDGE_TOKEN is sent with it when
it is set. Only the standard library, and little of it: every session starts one.
"""

import json
import os
import sys
from typing import Final

BRIDGE_URL: Final = "TASKYARD_BRIDGE_URL"
BRIDGE_TOKEN: Final = "TASKYARD_BRIDGE_TOKEN"  # noqa: S105 - the name, not the token

SUMMARY_CHARS: Final = 160
"""Characters of the longest summary: what fits on a line of a list of tasks."""

LINK_CHARS: Final = 2_000
"""Characters of the longest link: what browsers and proxies take."""

TIMEOUT_S: Final = 10.0
"""Seconds that the bridge may take: it answers from memory, within milliseconds."""

OUTCOMES: Final = ("working", "complete", "failure")

VERSIONS: Final = ("2025-06-18", "2025-03-26", "2024-11-05")
"""Versions of MCP that this speaks, newest first; they do not differ in what is used here."""

PARSE_ERROR, INVALID_REQUEST, NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602

NAME: Final = "report_task"

TOOL: Final[dict[str, object]] = {
    "name": NAME,
    "title": "Report on the task",
    "description": (
        "Tells the person who gave you this task how it stands. Call it when you begin something "
        "new (outcome working), when all that was asked for is done (complete), and when you "
        "cannot go on (failure)."
    ),
    "inputSchema": {
        "type": "object",
        "properties": {
            "summary": {
                "type": "string",
                "minLength": 1,
                "maxLength": SUMMARY_CHARS,
                "description": "One line on what you are doing, or on what came of it.",
            },
            "outcome": {
                "type": "string",
                "enum": list(OUTCOMES),
                "description": "How the task stands.",
            },
            "link": {
                "type": "string",
                "maxLength": LINK_CHARS,
                "description": "Address of what came of it, such as a pull request.",
            },
        },
        "required": ["summary", "outcome"],
        "additionalProperties": False,
    },
    "annotations": {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False},
}


class Invalid(Exception):
    """The tool cannot be called like that; str() says what to do instead."""


def checked(arguments: object) -> dict[str, str | None]:
    """The body of a report. Raises Invalid."""
    if not isinstance(arguments, dict):
        raise Invalid("The arguments must be an object with summary and outcome.")
    strange = sorted(set(arguments) - {"summary", "outcome", "link"})
    if strange:
        raise Invalid(f"There is no argument {strange[0]!r}. Give summary, outcome and link.")
    summary, outcome = arguments.get("summary"), arguments.get("outcome")
    if not isinstance(summary, str) or not summary.strip():
        raise Invalid("summary is missing: one line on how the task stands.")
    summary = " ".join(summary.split())
    if len(summary) > SUMMARY_CHARS:
        raise Invalid(
            f"summary has {len(summary)} characters, and {SUMMARY_CHARS} at most are shown. Shorten it."
        )
    if outcome not in OUTCOMES:
        raise Invalid(f"outcome must be one of {', '.join(OUTCOMES)}, not {outcome!r}.")
    return {"summary": summary, "outcome": outcome, "link": _link(arguments.get("link"))}


def _link(link: object) -> str | None:
    if link is None or link == "":
        return None
    if not isinstance(link, str) or not link.startswith(("http://", "https://")):
        raise Invalid("link must be an address that begins with http:// or https://.")
    if len(link) > LINK_CHARS:
        raise Invalid(f"link has {len(link)} characters, and {LINK_CHARS} at most are taken.")
    return link


def post(report: dict[str, str | None]) -> None:
    """The bridge has the report. Raises Invalid when it has not."""
    # Imported here: every session starts this program, and most never report anything.
    import http.client

    # Imported here: as above.
    from urllib.parse import urlsplit

    url = os.environ.get(BRIDGE_URL, "")
    target = urlsplit(url)
    if target.hostname is None:
        raise Invalid(f"The report goes nowhere: {BRIDGE_URL} is not set. Go on without it.")
    headers = {"Content-Type": "application/json"}
    token = os.environ.get(BRIDGE_TOKEN)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = http.client.HTTPConnection(target.hostname, target.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", "/v2/report", json.dumps(report), headers)
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise Invalid(f"The report did not arrive ({error}). Go on with the task.") from error
    finally:
        connection.close()
    if answer.status >= 300:
        raise Invalid(f"The report was refused with status {answer.status}: {said[:500]}")


def call(params: object) -> dict[str, object]:
    """The result of a tool's call, which may be an error that the model is to read. Raises Unknown."""
    if not isinstance(params, dict) or params.get("name") != NAME:
        raise Unknown(f"There is one tool here: {NAME}.")
    try:
        report = checked(params.get("arguments"))
        post(report)
    except Invalid as error:
        return _said(str(error), failed=True)
    return _said("The report is shown on the task.", failed=False)


class Unknown(Exception):
    """There is no such tool."""


def _said(text: str, *, failed: bool) -> dict[str, object]:
    return {"content": [{"type": "text", "text": text}], "isError": failed}


def result_of(method: str, params: object) -> dict[str, object] | None:
    """What a request comes to; None for a method that is not known. Raises Unknown."""
    match method:
        case "initialize":
            asked = params.get("protocolVersion") if isinstance(params, dict) else None
            return {
                "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "taskyard", "version": "1"},
                "instructions": f"Call {NAME} when you begin, and when you have finished or are stuck.",
            }
        case "tools/list":
            return {"tools": [TOOL]}
        case "tools/call":
            return call(params)
        case "ping":
            return {}
        case _:
            return None


def answer(line: str) -> dict[str, object] | None:
    """The answer to one line; None when it wants none."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return _error(None, PARSE_ERROR, "This is not JSON.")
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        is_answer = isinstance(message, dict) and ("result" in message or "error" in message)
        return None if is_answer else _error(None, INVALID_REQUEST, "This is no request.")
    if message.get("id") is None:
        return None  # a notification
    number, method = message["id"], message["method"]
    try:
        result = result_of(method, message.get("params"))
    except Unknown as unknown:
        return _error(number, INVALID_PARAMS, str(unknown))
    if result is None:
        return _error(number, NOT_FOUND, f"There is no method {method}.")
    return {"jsonrpc": "2.0", "id": number, "result": result}


def _error(number: object, code: int, message: str) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}


def main() -> None:
    """Serves until standard input ends."""
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        said = answer(line.decode(errors="replace"))
        if said is not None:
            sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
