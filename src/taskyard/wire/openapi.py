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

from taskyard.wire import openapi_failures as failures
from taskyard.wire import openapi_parts as parts
from taskyard.wire.base import Response, encode
from taskyard.wire.openapi_document import (
    Answer,
    Components,
    Document,
    MediaType,
    Operation,
    Parameter,
    RequestBody,
    Schema,
    Tag,
)
from taskyard.wire.openapi_examples import REQUESTS
from taskyard.wire.routes import Body, Route

ALIAS_SUFFIX: Final = "_alias"
"""Ends the operationId of a route's second path, since such an id may stand once only."""

Examples = Mapping[str, object]
"""Bodies of good answers that were really seen, by operation."""

_SCHEMAS: Final = "#/components/schemas/"
_RESPONSES: Final = "#/components/responses/"

_ANY_OBJECT: Final = dict[str, object]
"""A body that is an object of no shape of ours; msgspec has no schema for it."""

_NO_EXAMPLES: Final[Examples] = MappingProxyType({})


def openapi(routes: Iterable[Route], examples: Examples = _NO_EXAMPLES) -> Document:
    """The document of these routes, ready to be encoded; raises KeyError for an unknown path parameter or tag."""
    table = tuple(routes)
    shapes = _Shapes.of(table)
    paths: dict[str, dict[str, Operation]] = {}
    for route in table:
        for path in route.paths:
            operation = _operation(route, path, shapes, examples)
            paths.setdefault(path, {})[route.method.lower()] = operation
    tags = dict.fromkeys(tag for route in table for tag in route.tags)
    codes = {code for route in table for code in failures.codes_of(route)}
    return Document(
        openapi="3.1.0",
        info=parts.INFO,
        tags=[Tag(tag, parts.TAGS[tag]) for tag in tags],
        paths=paths,
        components=Components(
            schemas=shapes.components,
            responses=failures.components(codes, shapes.schemas[Response]),
            security_schemes=parts.SCHEMES,
        ),
    )


def openapi_file(routes: Iterable[Route], examples: Examples = _NO_EXAMPLES) -> bytes:
    """The same as a file for people and their tools: indented JSON that ends its last line."""
    return msgspec.json.format(encode(openapi(routes, examples)), indent=2) + b"\n"


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The schema of every type that a route names, and the components these point to, by name."""

    schemas: dict[type, Schema]
    components: dict[str, Schema]

    @classmethod
    def of(cls, routes: tuple[Route, ...]) -> Self:
        """The shapes of all bodies and queries; those of queries are no components."""
        bodies = [kind for route in routes for kind in (route.request, *_good(route))]
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
        asked = [
            found[route.request] for route in routes if not isinstance(route.request, Body | None)
        ]
        requests = _reached(asked, kept)
        closed = {n: s if n in requests else _closed(s) for n, s in kept.items()}
        return cls(found, closed)


def _good(route: Route) -> list[type | Body | None]:
    """The bodies of a route's good answers."""
    other = parts.OTHER_BODY.get(route.operation)
    return [route.response] if other is None else [route.response, other]


def _reached(schemas: Iterable[Schema], components: Mapping[str, Schema]) -> set[str]:
    """The names of the components that these schemas lead to."""
    found: set[str] = set()
    waiting = list(schemas)
    while waiting:
        names = re.findall(rf'"{_SCHEMAS}(\w+)"', encode(waiting.pop()).decode())
        waiting += [components[name] for name in names if name not in found]
        found.update(names)
    return found


def _closed(schema: Schema) -> Schema:
    """The schema of an answer: an object has the listed keys and no others."""
    if "properties" not in schema:
        return schema
    return {**schema, "additionalProperties": False}


def _operation(route: Route, path: str, shapes: _Shapes, examples: Examples) -> Operation:
    is_alias = path != route.path
    query = [] if route.query is None else _query_parameters(shapes.schemas[route.query])
    return Operation(
        operation_id=route.operation + (ALIAS_SUFFIX if is_alias else ""),
        summary=route.summary,
        description=_description(route, path, shapes),
        tags=list(route.tags),
        security=[{name: []} for name in parts.SECURITY[route.auth]],
        parameters=_path_parameters(route) + query + _header_parameters(route),
        request_body=_request_body(route, shapes),
        responses=_responses(route, shapes, examples.get(route.operation, UNSET)),
    )


def _description(route: Route, path: str, shapes: _Shapes) -> str:
    """What the summary leaves out: the other path, the WebSocket, the query."""
    said: list[str] = []
    if path != route.path:
        said.append(
            f"An alias of `{route.method} {route.path}`, for clients that know only this path."
        )
    else:
        said += [f"Also served as `{route.method} {alias}`." for alias in route.paths[1:]]
    if route.response is Body.WEBSOCKET:
        said.append("This is a WebSocket; a plain request finds nothing here.")
    elif route.websocket:
        said.append("Also a WebSocket, which sends what is there and then what comes.")
    if route.query is not None:
        said.append(str(shapes.schemas[route.query].get("description", "")))
    return "\n\n".join(said)


def _path_parameters(route: Route) -> list[Parameter]:
    names = [name for _, name, _, _ in string.Formatter().parse(route.path) if name]
    parameters = []
    for name in names:
        own = parts.SEGMENTS.get(f"{route.operation}.{name}")
        segment = own or parts.SEGMENTS[name]
        parameters.append(Parameter(name, "path", segment.schema, True, segment.description))
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


def _header_parameters(route: Route) -> list[Parameter]:
    """What a request may say of itself beside its token."""
    return [parts.IDEMPOTENCY_KEY] if route.method == "POST" else []


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
    content = _content(route, route.request, shapes)
    return RequestBody(True, _with_example(content, REQUESTS.get(route.operation, UNSET)))


def _responses(route: Route, shapes: _Shapes, example: object) -> dict[str, Answer]:
    """The good answers, then those of requests that fail."""
    content = _with_example(_content(route, route.response, shapes), example)
    content |= {name: MediaType() for name in parts.MEDIA_TOO.get(route.operation, ())}
    headers = parts.SUCCESS_HEADERS.get(route.operation, {})
    good = {route.status: f"{HTTPStatus(route.status).phrase}."}
    if route.operation in parts.OTHER_SUCCESS:
        good |= dict([parts.OTHER_SUCCESS[route.operation]])
    answers = {
        str(status): Answer(
            description=text, headers=headers, content={} if status == 204 else content
        )
        for status, text in good.items()
    }
    if route.operation in parts.OTHER_BODY:
        status, text = parts.OTHER_SUCCESS[route.operation]
        content = _content(route, parts.OTHER_BODY[route.operation], shapes)
        answers[str(status)] = Answer(description=text, content=content)
    for code in failures.codes_of(route):
        answers[code] = Answer(reference=_RESPONSES + failures.name_of(code))
    return answers


def _with_example(content: dict[str, MediaType], example: object) -> dict[str, MediaType]:
    """The same content, its JSON with an example unless that is UNSET."""
    if example is UNSET:
        return content
    return {
        name: msgspec.structs.replace(media, example=example) for name, media in content.items()
    }


def _content(route: Route, kind: type | Body | None, shapes: _Shapes) -> dict[str, MediaType]:
    """The body of a request or of a good answer, by media type; empty where there is none."""
    match kind:
        case None | Body.WEBSOCKET:
            return {}
        case Body.BYTES:
            return {name: MediaType() for name in parts.MEDIA.get(route.operation, ("*/*",))}
        case Body.EVENTS:
            return {"text/event-stream": MediaType()}
        case Body.NULL:
            return {"application/json": MediaType({"type": "null"})}
        case _:
            return {"application/json": MediaType(shapes.schemas[kind])}


def _polished(schema: Schema) -> Schema:
    """The schema with its docstring as flowing paragraphs, without the sources, which are for our code."""
    text = inspect.cleandoc(str(schema.get("description", "")))
    text = re.sub(r"\s*Source: .*?\.(?=\s|$)", "", text)
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    return schema | {"description": text} if text else schema
