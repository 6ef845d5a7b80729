"""Holds an answer against the OpenAPI document: its status is named there, and its body is of the shape it names."""

import json
from functools import cache
from typing import Any

import jsonschema_rs

from taskyard.wire.openapi import openapi_file
from taskyard.wire.routes import ROUTES, Route

Json = Any
"""A part of the document, which is looked into key by key."""

EVERYWHERE = {"404", "405", "415", "421", "431"}
"""Statuses of the edge, which no operation is asked for: unknown paths, methods and hosts, heads that are too long."""

EMPTY = {"application/octet-stream", "application/x-ndjson"}
"""Media types whose bodies may be empty."""


def hold(route: Route, status: int, media_type: str, body: bytes) -> None:
    """Fails unless the route may answer so."""
    answers = _document()["paths"][route.path][route.method.lower()]["responses"]
    code = str(status)
    if code in EVERYWHERE and code not in answers:
        return
    assert code in answers or (code[0] == "5" and "5XX" in answers), (
        f"{route.operation} answered {status}, which wire/openapi_failures.py does not name"
    )
    content = _resolved(answers.get(code) or answers["5XX"]).get("content", {})
    kind = media_type.partition(";")[0]
    may_be_empty = not EMPTY.isdisjoint(content)
    assert may_be_empty or bool(content) == bool(body), (
        f"{route.operation} answered {status} with {body[:80]!r}"
    )
    assert not body or kind in content, f"{route.operation} answered {status} with {kind}"
    if body and "schema" in content[kind]:
        _validator(json.dumps(content[kind]["schema"])).validate(json.loads(body))


@cache
def _document() -> Json:
    """The document as the code makes it now, whatever file was checked in."""
    return json.loads(openapi_file(ROUTES))


def _resolved(answer: Json) -> Json:
    name = answer.get("$ref", "").rpartition("/")[2]
    return _document()["components"]["responses"][name] if name else answer


@cache
def _validator(schema: str) -> Any:
    components = {"components": _document()["components"]}
    return jsonschema_rs.Draft202012Validator({**json.loads(schema), **components})
