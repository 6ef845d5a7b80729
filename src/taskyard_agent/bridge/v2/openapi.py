"""What `/v2` takes and gives, as OpenAPI. The schemas are made from the Structs that the routes use."""

import json
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec

from taskyard_agent import __version__
from taskyard_agent.bridge.shapes import V2Problem
from taskyard_agent.bridge.v2 import shapes as v2

Schema = dict[str, object]

TEXT: Final = "text/plain"
BYTES: Final = "application/octet-stream"
EVENTS: Final = "text/event-stream"
"""Answers that are no JSON."""

INTEGER: Final[Schema] = {"type": "integer", "minimum": 0}
STRING: Final[Schema] = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. query: what may stand behind the path, and its meaning. answer: a shape, or a media type."""

    method: str
    path: str
    name: str
    summary: str
    answer: type | str
    status: int = 200
    body: type | None = None
    query: dict[str, tuple[Schema, str]] = field(default_factory=dict)
    codes: tuple[str, ...] = ()


_AFTER: Final = {"after": (INTEGER, "Number of the last item that is known.")}

OPERATIONS: Final = (
    Operation("GET", "/v2/session", "session", "The session as it is", v2.SessionResponse),
    Operation(
        "GET",
        "/v2/transcript",
        "transcript",
        "Items of the transcript, about 1 MiB of them at once",
        v2.TranscriptResponse,
        query=_AFTER
        | {
            "limit": (INTEGER | {"minimum": 1, "maximum": 1000}, "Items at most."),
            "kinds": (STRING, "Kinds of items, with commas between them; without it, all."),
        },
    ),
    Operation(
        "GET",
        "/v2/events",
        "events",
        "Items as they come, each with its number as id: Last-Event-ID goes on where a stream broke off",
        EVENTS,
        query=_AFTER,
        codes=("queue_full",),
    ),
    Operation(
        "POST",
        "/v2/prompts",
        "post-prompt",
        "Send a prompt; with the same id again it is the same prompt",
        v2.PromptResponse,
        status=202,
        body=v2.PromptRequest,
        codes=(
            *("busy", "empty", "not_ready", "dialog_open", "agent_exited", "timeout", "queue_full"),
            *("queue_elsewhere", "text_only", "lost", "shutting_down"),
        ),
    ),
    Operation(
        "GET", "/v2/prompts/{id}", "prompt", "What became of a prompt", v2.PromptShape,
        codes=("unknown",),
    ),
    Operation(
        "DELETE", "/v2/prompts/{id}", "drop-prompt", "Take a prompt out of the queue", v2.PromptShape,
        codes=("unknown", "sent"),
    ),
    Operation(
        "POST", "/v2/cancel", "cancel", "Ask the turn that runs to end", v2.Done, status=202,
        query={"turn": (INTEGER, "Number of the one that is meant; without it, whichever runs.")},
        codes=("nothing_runs",),
    ),
    Operation(
        "GET", "/v2/permissions", "permissions", "Requests for permission that wait",
        v2.PermissionsResponse,
    ),
    Operation(
        "POST",
        "/v2/permissions/{id}",
        "answer-permission",
        "Answer a request for permission",
        v2.Done,
        body=v2.PermissionAnswer,
        codes=("unknown", "answered", "no_such_option"),
    ),
    Operation(
        "GET", "/v2/screen", "screen",
        "The screen; over ACP the newest message. If-None-Match with its ETag saves the rest", TEXT,
    ),
    Operation(
        "POST", "/v2/terminal/input", "type", "Type into the terminal", v2.Done,
        body=v2.InputRequest, codes=("no_terminal", "agent_exited"),
    ),
    Operation(
        "POST", "/v2/terminal/resize", "resize", "Give the terminal another size", v2.Done,
        body=v2.ResizeRequest, codes=("no_terminal",),
    ),
    Operation(
        "GET",
        "/v2/terminal/log",
        "terminal-log",
        "The bytes that the program wrote; X-Log-Offset is the offset of the first one",
        BYTES,
        query={
            "offset": (INTEGER, "Offset of the first byte."),
            "follow": (STRING | {"enum": ["1", "true", "yes"]}, "Go on with what comes."),
        },
        codes=("no_terminal", "queue_full"),
    ),
    Operation(
        "GET", "/v2/snapshot", "snapshot", "The newest messages that fit into so many bytes",
        "application/json",
        query={"max_bytes": (INTEGER | {"minimum": 1024, "default": 65536}, "Bytes of JSON.")},
    ),
    Operation(
        "POST", "/v2/checkpoint", "checkpoint", "Bring everything to stable storage",
        v2.CheckpointResponse,
    ),
    Operation(
        "POST", "/v2/report", "report", "What the coding agent says of its own work", v2.Done,
        body=v2.ReportRequest, codes=("not_stored",),
    ),
    Operation(
        "POST", "/v2/hook", "hook", "What the coding agent with a terminal has just begun or ended",
        v2.Done, body=v2.HookRequest, codes=("no_terminal",),
    ),
    Operation("GET", "/healthz", "healthz", "Whether the bridge answers", TEXT),
    Operation("GET", "/readyz", "readyz", "Whether the coding agent is up; 503 when not", TEXT),
    Operation("GET", "/metrics", "metrics", "Figures, as Prometheus reads them", TEXT),
)  # fmt: skip


def document_file() -> bytes:
    """The document as a file."""
    return json.dumps(document(), indent=2).encode() + b"\n"


def document() -> Schema:
    """OpenAPI 3.1.0."""
    paths: dict[str, Schema] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    bearer = {"type": "http", "scheme": "bearer", "description": "Where the bridge has a token."}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Taskyard bridge",
            "version": __version__,
            "description": "The whole session of a coding agent: its transcript item by item, prompts that "
            "wait, permissions, its terminal. What AgentAPI has is told by `/openapi.json`.",
        },
        "security": [{"bearer": []}, {}],
        "paths": paths,
        "components": {"schemas": schemas(), "securitySchemes": {"bearer": bearer}},
    }


def schemas() -> dict[str, Schema]:
    """The schema of each shape by its name."""
    roots = [*{shape for op in OPERATIONS for shape in (op.answer, op.body) if _is_shape(shape)}]
    _, found = msgspec.json.schema_components(
        [*roots, V2Problem, v2.Gap],
        ref_template="#/components/schemas/{name}",
        schema_hook=_anything,
    )
    return {name: found[name] for name in sorted(found)}


def _anything(_: type) -> Schema:
    """The schema of an `object`, which is any JSON value."""
    return {"description": "Any JSON value."}  # msgspec takes an empty one for none


def _is_shape(answer: type | str | None) -> bool:
    return isinstance(answer, type)


def _operation(operation: Operation) -> Schema:
    answer = operation.answer
    content = (
        {"application/json": {"schema": _ref(answer)}}
        if isinstance(answer, type)
        else {answer: {"schema": {"type": "object"} if answer.endswith("json") else STRING}}
    )
    phrase = HTTPStatus(operation.status).phrase
    codes = f" Codes: {', '.join(operation.codes)}." if operation.codes else ""
    refused = {
        "description": f"The request was refused.{codes}",
        "content": {"application/problem+json": {"schema": _ref(V2Problem)}},
    }
    told: Schema = {
        "operationId": operation.name,
        "summary": operation.summary,
        "responses": {
            str(operation.status): {"description": phrase, "content": content},
            "default": refused,
        },
    }
    if parameters := _parameters(operation):
        told["parameters"] = parameters
    if operation.body is not None:
        body = {"application/json": {"schema": _ref(operation.body)}}
        told["requestBody"] = {"required": True, "content": body}
    return told


def _parameters(operation: Operation) -> list[Schema]:
    found: list[Schema] = []
    if "{id}" in operation.path:
        found.append({"name": "id", "in": "path", "required": True, "schema": STRING})
    found += [
        {"name": name, "in": "query", "description": told, "schema": schema}
        for name, (schema, told) in operation.query.items()
    ]
    return found


def _ref(shape: type) -> Schema:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}
