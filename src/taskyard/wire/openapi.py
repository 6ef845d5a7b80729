"""The OpenAPI 3.1 document, made from the table of routes and the Structs it names: pure, the same each time."""

import inspect
import re
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType
from typing import Final, Self

import msgspec
from msgspec import UNSET, UnsetType

from taskyard.wire.base import Response, encode
from taskyard.wire.openapi_document import (
    Answer,
    Components,
    Document,
    Header,
    Info,
    MediaType,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
    Tag,
)
from taskyard.wire.routes import Auth, Body, Route

ALIAS_SUFFIX: Final = "_alias"
"""Ends the operationId of a route's second path, since such an id may stand once only."""

_SCHEMAS: Final = "#/components/schemas/"
_RESPONSES: Final = "#/components/responses/"


@dataclass(frozen=True, slots=True)
class _Segment:
    """A parameter of a path: what may stand there, and whether it must be a UUID."""

    description: str
    uuid: bool = False


_SEGMENTS: Final[Mapping[str, _Segment]] = MappingProxyType(
    {
        "agent": _Segment("The id of a workspace agent.", uuid=True),
        "build": _Segment("The id of a build.", uuid=True),
        "file": _Segment("The id of a stored file.", uuid=True),
        "keyid": _Segment("The id of a key: what stands before its dash."),
        "keyname": _Segment("The name of a token."),
        "name": _Segment("The name of what the path leads to."),
        "organization": _Segment("The id or the name of an organization, or `default`."),
        "organizationname": _Segment("The name of an organization."),
        "task": _Segment("The id or the name of a task."),
        "template": _Segment("The id of a template.", uuid=True),
        "user": _Segment("The id or the name of a user, or `me`."),
        "version": _Segment("The id of a template version.", uuid=True),
        "workspace": _Segment("The id of a workspace.", uuid=True),
        "upload_task_log_snapshot.task": _Segment("The id of the agent's own task.", uuid=True),
        "get_organization_template_version.version": _Segment("The name of a template version."),
    }
)
"""Parameters of paths by their name, or by operation and name where one route differs."""

_SECURITY: Final[Mapping[Auth, list[str]]] = MappingProxyType(
    {
        Auth.NONE: [],
        Auth.SESSION: ["sessionHeader", "sessionBearer", "sessionCookie"],
        Auth.AGENT: ["agentToken"],
    }
)
"""Ways to show who asks, each good by itself."""

_ANY_OBJECT: Final = dict[str, object]
"""A body that is an object of no shape of ours; msgspec has no schema for it."""

_TEXT: Final[Schema] = {"type": "string"}

_INFO: Final = Info(
    title="Taskyard",
    version="2",
    description=(
        "The HTTP interface of a Taskyard server, made from its table of routes. Routes of logs, of lists "
        "and of files may read query keys that are not listed here; docs/reference/wire.md leads to them. "
        "Clients must not mind keys of answers that they do not know."
    ),
)

_SCHEMES: Final = {
    "sessionHeader": SecurityScheme(
        type="apiKey",
        place="header",
        name="Coder-Session-Token",
        description="An API key or the token of a session.",
    ),
    "sessionBearer": SecurityScheme(
        type="http", scheme="bearer", description="The same token as a bearer token."
    ),
    "sessionCookie": SecurityScheme(
        type="apiKey",
        place="cookie",
        name="coder_session_token",
        description="The same token as a cookie; it counts before all others.",
    ),
    "agentToken": SecurityScheme(
        type="apiKey",
        place="header",
        name="Coder-Session-Token",
        description="The token of a workspace agent, a UUID; a bearer token will do as well.",
    ),
}

_NEXT_PAGE: Final = Header("The page_token of the next page; absent on the last one.", _TEXT)
_REASON: Final = Header("Why, in one word for programs; the sentences may change.", _TEXT)

_SUCCESS_HEADERS: Final[Mapping[str, dict[str, Header]]] = MappingProxyType(
    {"list_tasks": {"X-Taskyard-Next-Page": _NEXT_PAGE}}
)
"""Headers of a good answer that a client goes on by, by operation."""

_OTHER_SUCCESS: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {"upload_file": (200, "The same bytes were stored before.")}
)
"""A second good status with the body of the first, by operation. Source: U9."""


def openapi(routes: Iterable[Route]) -> Document:
    """The document of these routes, ready to be encoded; raises KeyError for an unknown path parameter."""
    table = tuple(routes)
    shapes = _Shapes.of(table)
    paths: dict[str, dict[str, Operation]] = {}
    for route in table:
        for path in route.paths:
            paths.setdefault(path, {})[route.method.lower()] = _operation(route, path, shapes)
    tags = dict.fromkeys(tag for route in table for tag in route.tags)
    return Document(
        openapi="3.1.0",
        info=_INFO,
        tags=[Tag(tag) for tag in tags],
        paths=paths,
        components=Components(
            schemas=shapes.components, responses=_errors(shapes), security_schemes=_SCHEMES
        ),
    )


def openapi_file(routes: Iterable[Route]) -> bytes:
    """The same as a file for people and their tools: indented JSON that ends its last line."""
    return msgspec.json.format(encode(openapi(routes)), indent=2) + b"\n"


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The schema of every type that a route names, and the components these point to, by name."""

    schemas: dict[type, Schema]
    components: dict[str, Schema]

    @classmethod
    def of(cls, routes: tuple[Route, ...]) -> Self:
        """The shapes of all bodies and queries; those of queries are no components."""
        bodies = [kind for route in routes for kind in (route.request, route.response)]
        found: dict[type, Schema] = {_ANY_OBJECT: {"type": "object"}}
        queries = {route.query: None for route in routes if route.query is not None}
        kinds = [Response, *queries]
        kinds += [kind for kind in bodies if not isinstance(kind, Body | None)]
        kinds = [kind for kind in dict.fromkeys(kinds) if kind not in found]
        schemas, components = msgspec.json.schema_components(
            kinds, ref_template=_SCHEMAS + "{name}"
        )
        kept = {name: _polished(schema) for name, schema in sorted(components.items())}
        found |= dict(zip(kinds, schemas, strict=True))
        for kind in queries:
            found[kind] = kept.pop(str(found[kind]["$ref"]).removeprefix(_SCHEMAS))
        return cls(found, kept)


def _operation(route: Route, path: str, shapes: _Shapes) -> Operation:
    is_alias = path != route.path
    query = [] if route.query is None else _query_parameters(shapes.schemas[route.query])
    return Operation(
        operation_id=route.operation + (ALIAS_SUFFIX if is_alias else ""),
        summary=route.summary,
        description=_description(route, path, shapes),
        tags=list(route.tags),
        security=[{name: []} for name in _SECURITY[route.auth]],
        parameters=_path_parameters(route) + query,
        request_body=_request_body(route, shapes),
        responses=_responses(route, shapes),
    )


def _description(route: Route, path: str, shapes: _Shapes) -> str:
    """What the summary leaves out: the other path, the WebSocket, the query."""
    parts: list[str] = []
    if path != route.path:
        parts.append(
            f"An alias of `{route.method} {route.path}`, for clients that know only this path."
        )
    else:
        parts += [f"Also served as `{route.method} {alias}`." for alias in route.paths[1:]]
    if route.response is Body.WEBSOCKET:
        parts.append("This is a WebSocket; a plain request finds nothing here.")
    elif route.websocket:
        parts.append("Also a WebSocket, which sends what is there and then what comes.")
    if route.query is not None:
        parts.append(str(shapes.schemas[route.query].get("description", "")))
    return "\n\n".join(parts)


def _path_parameters(route: Route) -> list[Parameter]:
    names = [name for _, name, _, _ in string.Formatter().parse(route.path) if name]
    parameters = []
    for name in names:
        segment = _SEGMENTS.get(f"{route.operation}.{name}") or _SEGMENTS[name]
        schema = {**_TEXT, "format": "uuid"} if segment.uuid else _TEXT
        parameters.append(Parameter(name, "path", schema, True, segment.description))
    return parameters


def _query_parameters(schema: Schema) -> list[Parameter]:
    """A parameter for each field of a query; a key is left out rather than null."""
    properties, required = schema["properties"], schema["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    return [
        Parameter(name, "query", _without_null(field), name in required)
        for name, field in properties.items()
    ]


def _without_null(schema: Schema) -> Schema:
    options = schema.get("anyOf")
    if not isinstance(options, list):
        return schema
    real = [option for option in options if option != {"type": "null"}]
    kept = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    return kept | (real[0] if len(real) == 1 else {"anyOf": real})


def _request_body(route: Route, shapes: _Shapes) -> RequestBody | UnsetType:
    if route.request is None:
        return UNSET
    return RequestBody(required=True, content=_content(route.request, shapes))


def _responses(route: Route, shapes: _Shapes) -> dict[str, Answer | Reference]:
    """The good answers, then the errors that the route's form leads to, then all others."""
    content = _content(route.response, shapes)
    headers = _SUCCESS_HEADERS.get(route.operation, {})
    good = {route.status: f"{HTTPStatus(route.status).phrase}."}
    good |= dict([_OTHER_SUCCESS[route.operation]] if route.operation in _OTHER_SUCCESS else [])
    answers: dict[str, Answer | Reference] = {
        str(status): Answer(text, headers, content) for status, text in good.items()
    }
    if route.request is not None or route.query is not None:
        answers["400"] = Reference(_RESPONSES + "BadRequest")
    if route.auth is not Auth.NONE:
        answers["401"] = Reference(_RESPONSES + "Unauthenticated")
    if "{" in route.path:
        answers["404"] = Reference(_RESPONSES + "NotFound")
    answers["default"] = Reference(_RESPONSES + "Error")
    return answers


def _content(kind: type | Body | None, shapes: _Shapes) -> dict[str, MediaType]:
    """The body of a request or of a good answer, by media type; empty where there is none."""
    match kind:
        case None | Body.WEBSOCKET:
            return {}
        case Body.BYTES:
            return {"*/*": MediaType()}
        case Body.NULL:
            return {"application/json": MediaType({"type": "null"})}
        case _:
            return {"application/json": MediaType(shapes.schemas[kind])}


def _errors(shapes: _Shapes) -> dict[str, Answer]:
    """The answers of requests that fail: one model, by what went wrong. Source: T9."""
    headers = {"X-Taskyard-Reason": _REASON}
    content = {"application/json": MediaType(shapes.schemas[Response])}
    return {
        "BadRequest": Answer(
            "The request is not right; validations name fields.", headers, content
        ),
        "Error": Answer(
            "The request failed; the status and the message say why.", headers, content
        ),
        "NotFound": Answer("This does not exist, or the caller may not see it.", headers, content),
        "Unauthenticated": Answer(
            "The token is missing, wrong, past its time, or of the other kind.",
            {"WWW-Authenticate": Header("How to authenticate.", _TEXT), **headers},
            content,
        ),
    }


def _polished(schema: Schema) -> Schema:
    """The schema with its docstring as flowing paragraphs, without the sources, which are for our code."""
    text = inspect.cleandoc(str(schema.get("description", "")))
    text = re.sub(r"\s*Source: .*?\.(?=\s|$)", "", text)
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return schema | {"description": text} if text else schema
