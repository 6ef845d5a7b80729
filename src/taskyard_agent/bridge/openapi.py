"""What the bridge's routes take and give, as OpenAPI and JSON Schema. Source: agentapi 1.

Imported when somebody asks for it. The schemas are made from the Structs that the routes encode.
"""

import json
from typing import Final

import msgspec

from taskyard_agent.bridge.http import PROMPT_HEADER, PROMPT_ID_CHARS
from taskyard_agent.bridge.shapes import (
    AgentError,
    ErrorModel,
    MessageRequest,
    MessageResponse,
    MessagesResponse,
    MessageUpdate,
    Shape,
    StatusChange,
    StatusResponse,
    UploadResponse,
)
from taskyard_agent.bridge.yaml_lines import yaml_lines

Schema = dict[str, object]

API_VERSION: Final = "0.12.1"
"""The release of AgentAPI whose routes these are."""

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

EVENTS: Final[dict[str, type[Shape]]] = {
    "message_update": MessageUpdate,
    "status_change": StatusChange,
    "agent_error": AgentError,
}
"""What `/events` sends, by the name of the event."""

_ROOTS: Final[list[type[Shape]]] = [
    StatusResponse,
    MessagesResponse,
    MessageRequest,
    MessageResponse,
    UploadResponse,
    ErrorModel,
    *EVENTS.values(),
]


def file_of(name: str) -> bytes:
    """The document as a file of that name: openapi.json, openapi-3.0.yaml and so on."""
    document = openapi("3.0.3" if "-3.0." in name else "3.1.0")
    if name.endswith(".yaml"):
        return "".join(f"{line}\n" for line in yaml_lines(document)).encode()
    return json.dumps(document, indent=2).encode() + b"\n"


def media_type_of(name: str) -> str:
    """The media type of such a file."""
    return f"application/vnd.oai.openapi+{name.rpartition('.')[2]}"


def schema_file_of(name: str) -> bytes | None:
    """The JSON Schema of a component, which names others by their own paths; null when there is none."""
    schema = _schemas("/schemas/{name}.json").get(name)
    return None if schema is None else json.dumps({"$schema": DIALECT} | schema).encode()


def openapi(version: str) -> Schema:
    """The document for OpenAPI 3.1.0 or 3.0.3.

    3.0 lacks null as a type, constants and media types of texts: our Structs need none of these, so that
    the two differ in how the bytes of a file are described.
    """
    if version.startswith("3.0"):
        file: Schema = {"type": "string", "format": "binary"}
    else:
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
    return {
        "openapi": version,
        "info": {
            "title": "AgentAPI",
            "version": API_VERSION,
            "description": "Talk with the coding agent of a workspace: read its status and messages, "
            "send it a message or a file, follow what it says.",
        },
        "paths": _paths(file),
        "components": {"schemas": _schemas("#/components/schemas/{name}")},
    }


def _paths(file: Schema) -> Schema:
    status = _operation(
        "get-status", "Whether the coding agent takes a message", _body(StatusResponse)
    )
    messages = _operation("get-messages", "The whole conversation", _body(MessagesResponse))
    message = _operation(
        "post-message", "Send a message, or interrupt the agent", _body(MessageResponse)
    )
    upload = _operation("post-upload", "Leave a file for the coding agent", _body(UploadResponse))
    events = _operation("subscribeEvents", "Messages, status and errors as they come", _stream())
    message |= {
        "description": "A message of type user needs the status stable. It is answered once the coding agent "
        "has taken it. Of raw keys an agent without a terminal knows Escape and Ctrl-C, which interrupt it.",
        "parameters": [_prompt_id()],
        "requestBody": {"required": True, "content": _body(MessageRequest)},
    }
    upload["requestBody"] = {"required": True, "content": _form(file)}
    events["description"] = (
        "First every message, the status and the errors so far, then each change. After a new connection "
        "begin with an empty conversation."
    )
    return {
        "/status": {"get": status},
        "/messages": {"get": messages},
        "/message": {"post": message},
        "/upload": {"post": upload},
        "/events": {"get": events},
    }


def _operation(operation_id: str, summary: str, content: Schema) -> Schema:
    code: Schema = {"description": "Why, in one word.", "schema": {"type": "string"}}
    refused: Schema = {
        "description": "The request was refused.",
        "headers": {"X-Agentapi-Code": code},
        "content": {"application/problem+json": {"schema": _ref(ErrorModel)}},
    }
    return {
        "operationId": operation_id,
        "summary": summary,
        "responses": {"200": {"description": "OK", "content": content}, "default": refused},
    }


def _body(shape: type[Shape]) -> Schema:
    return {"application/json": {"schema": _ref(shape)}}


def _form(file: Schema) -> Schema:
    schema = {"type": "object", "properties": {"file": file}, "required": ["file"]}
    return {"multipart/form-data": {"schema": schema}}


def _prompt_id() -> Schema:
    return {
        "name": PROMPT_HEADER,
        "in": "header",
        "description": "Names the message; one with the same name is not worked on again.",
        "schema": {"type": "string", "maxLength": PROMPT_ID_CHARS},
    }


def _stream() -> Schema:
    kinds: list[Schema] = [
        {
            "type": "object",
            "properties": {"event": {"type": "string", "enum": [event]}, "data": _ref(shape)},
            "required": ["event", "data"],
        }
        for event, shape in EVENTS.items()
    ]
    return {"text/event-stream": {"schema": {"type": "array", "items": {"oneOf": kinds}}}}


def _ref(shape: type[Shape]) -> Schema:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _schemas(reference: str) -> dict[str, Schema]:
    """The schema of each component by its name; `reference` says how one leads to another."""
    _, found = msgspec.json.schema_components(_ROOTS, ref_template=reference)
    return {name: _polished(found[name]) for name in sorted(found)}


def _polished(schema: Schema) -> Schema:
    """With the type of each list of words, and without defaults: a key that is left out means nothing else."""
    properties = schema["properties"]
    assert isinstance(properties, dict)
    return schema | {"properties": {name: _typed(item) for name, item in properties.items()}}


def _typed(schema: Schema) -> Schema:
    words = {"type": "string"} if "enum" in schema and "type" not in schema else {}
    return words | {key: value for key, value in schema.items() if key != "default"}
