"""That the OpenAPI document is what the table of routes makes, sound, and shown as a page that runs nothing."""

import hashlib
import inspect
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from taskyard.server import deps, docs_page
from taskyard.wire.base import Request
from taskyard.wire.openapi import ALIAS_SUFFIX, openapi_file
from taskyard.wire.openapi_examples import REQUESTS
from taskyard.wire.openapi_parts import TAGS
from taskyard.wire.routes import BY_OPERATION, ROUTES, Auth, Body
from tests.house.tree import ROOT

FILE = ROOT / "src" / "taskyard" / "server" / "openapi.json"

Json = Any
"""A part of the document, which is looked into key by key."""

METHODS = {"get", "post", "put", "patch", "delete"}
TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}
ERROR = {"$ref": "#/components/schemas/Response"}


@cache
def document() -> Json:
    """The checked-in document."""
    return json.loads(FILE.read_bytes())


def operations() -> Iterator[tuple[str, str, Json]]:
    """Every operation with its path and method."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def nodes(part: Json) -> Iterator[Json]:
    """Every object in a part of the document, itself included."""
    if isinstance(part, dict):
        yield part
    for inner in part.values() if isinstance(part, dict) else part:
        if isinstance(inner, dict | list):
            yield from nodes(inner)


def resolved(part: Json) -> Json:
    """What a reference of this document leads to, or the part itself; raises KeyError for a dead one."""
    if "$ref" not in part:
        return part
    start, *names = part["$ref"].split("/")
    assert start == "#", part
    found = document()
    for name in names:
        found = found[name.replace("~1", "/").replace("~0", "~")]
    return found


def test_the_document_is_the_same_each_time() -> None:
    """It depends on the table of routes only; that the file is fresh is held by test_docs.py."""
    assert openapi_file(ROUTES) == openapi_file(ROUTES)


def test_the_document_has_its_parts() -> None:
    """Version, title and paths are there, each tag that is used is declared, and no part is unknown."""
    found = document()
    assert set(found) == {"openapi", "info", "tags", "paths", "components"}
    assert found["openapi"].startswith("3.1.")
    assert all(found["info"][key] for key in ("title", "version", "description"))
    declared = [tag["name"] for tag in found["tags"]]
    assert all(tag["description"] for tag in found["tags"])
    assert set(TAGS) == set(declared)
    assert len(declared) == len(set(declared))
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == set(declared)


def test_every_route_is_there() -> None:
    """Each path and method of the table is one operation, named for it, an alias with its suffix; no other is there."""
    wanted = {
        (path, route.method.lower()): route.operation + (ALIAS_SUFFIX if path != route.path else "")
        for route in ROUTES
        for path in route.paths
    }
    assert {
        (path, method): operation["operationId"] for path, method, operation in operations()
    } == wanted
    assert len(set(wanted.values())) == len(wanted)
    assert {method for _, method in wanted} <= METHODS


def test_no_two_paths_are_alike() -> None:
    """Paths differ by more than the names of their parameters."""
    forms = [re.sub(r"\{\w+\}", "{}", path) for path in document()["paths"]]
    assert len(forms) == len(set(forms))
    assert all(form.startswith("/") for form in forms)


def test_references_lead_somewhere() -> None:
    """Every $ref finds its component, and every component is pointed to."""
    used = {node["$ref"] for node in nodes(document()) if "$ref" in node}
    for reference in used:
        assert resolved({"$ref": reference})
    for kind in ("schemas", "responses"):
        names = {f"#/components/{kind}/{name}" for name in document()["components"][kind]}
        assert names == {reference for reference in used if f"/{kind}/" in reference}


def test_parameters_are_declared() -> None:
    """Each parameter of a path is declared as required, and nothing else is; no name stands twice in a place.

    Of headers there is the key that every POST takes, which none needs.
    """
    for path, method, operation in operations():
        declared = operation.get("parameters", [])
        in_path = [p["name"] for p in declared if p["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", path), (method, path)
        assert all(p["required"] and p["description"] for p in declared if p["in"] == "path")
        assert all(p["in"] in ("path", "query", "header") and p["schema"] for p in declared)
        headers = [p["name"] for p in declared if p["in"] == "header" and not p.get("required")]
        assert headers == (["Idempotency-Key"] if method == "post" else []), (method, path)
        assert len({(p["name"], p["in"]) for p in declared}) == len(declared)


def test_queries_are_declared() -> None:
    """A query Struct of the table is spread into parameters, none of which may be null."""
    for route in ROUTES:
        for path in route.paths:
            declared = document()["paths"][path][route.method.lower()].get("parameters", [])
            query = [p for p in declared if p["in"] == "query"]
            names = inspect.signature(route.query).parameters if route.query else ()
            assert [p["name"] for p in query] == list(names)
            assert '"null"' not in json.dumps(query)


def test_responses_are_whole() -> None:
    """Each operation tells its success and each status by which it fails, which is one model for all."""
    for path, method, operation in operations():
        route = BY_OPERATION[operation["operationId"].removesuffix(ALIAS_SUFFIX)]
        answers = {code: resolved(answer) for code, answer in operation["responses"].items()}
        assert {str(route.status), "5XX"} <= set(answers), (method, path)
        assert "401" in answers or route.auth is Auth.NONE
        for code, answer in answers.items():
            assert re.fullmatch(r"[1-5]\d\d|5XX", code)
            assert answer["description"]
            if code >= "400":
                assert answer["content"]["application/json"]["schema"] == ERROR
                assert "X-Taskyard-Reason" in answer["headers"]


def test_bodies_are_where_they_belong() -> None:
    """A request or a success has a body exactly where the table says so."""
    for _, _, operation in operations():
        route = BY_OPERATION[operation["operationId"].removesuffix(ALIAS_SUFFIX)]
        assert ("requestBody" in operation) == (route.request is not None)
        answer = operation["responses"][str(route.status)]
        assert ("content" in answer) == (route.response not in (None, Body.WEBSOCKET))
        assert operation["summary"] == route.summary


def test_security_is_declared() -> None:
    """Every way to authenticate exists and reads what the server reads; open routes have none."""
    schemes = document()["components"]["securitySchemes"]
    used = set()
    for _, _, operation in operations():
        route = BY_OPERATION[operation["operationId"].removesuffix(ALIAS_SUFFIX)]
        names = [name for way in operation["security"] for name in way]
        assert bool(names) == (route.auth is not Auth.NONE)
        assert ("agentToken" in names) == (route.auth is Auth.AGENT)
        used |= set(names)
    assert used == set(schemes)
    assert {schemes["sessionHeader"]["name"], schemes["agentToken"]["name"]} == {deps.HEADER}
    assert schemes["sessionCookie"]["name"] == deps.COOKIE


def test_sockets_and_aliases_are_told() -> None:
    """A reader sees which paths speak WebSocket, and that a second path is the alias of a first."""
    for path, _, operation in operations():
        route = BY_OPERATION[operation["operationId"].removesuffix(ALIAS_SUFFIX)]
        text = operation.get("description", "")
        assert ("WebSocket" in text) == route.websocket
        assert ("alias" in text and route.path in text) == (path != route.path)
        assert all(alias in text for alias in route.paths[1:] if path == route.path)
        assert "deprecated" not in operation


def test_schemas_are_sound() -> None:
    """Types are those of JSON Schema, required keys are properties, and prose holds no source of our code."""
    for node in nodes(document()["components"]["schemas"]):
        if isinstance(node.get("type"), str):
            assert node["type"] in TYPES
        if isinstance(node.get("properties"), dict) and isinstance(node.get("required"), list):
            assert set(node["required"]) <= set(node["properties"])
        if isinstance(node.get("description"), str):
            assert not re.search(r"So" r"urce:|\n ", node["description"])


def test_answers_are_closed_and_requests_are_not() -> None:
    """An object that only answers hold lists its keys and takes no others; what a request holds may have more."""
    asked = {r.request.__name__ for r in ROUTES if isinstance(r.request, type)}
    for name, schema in document()["components"]["schemas"].items():
        if name in asked:
            assert "additionalProperties" not in schema, name
    closed = {n for n, s in document()["components"]["schemas"].items() if not open_object(s)}
    for route in ROUTES:
        kind = route.response
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            assert kind.__name__ in closed
            assert not issubclass(kind, Request)


def open_object(schema: Json) -> bool:
    """Whether further keys are allowed."""
    return "properties" in schema and schema.get("additionalProperties") is not False


def test_examples_are_right() -> None:
    """Each example of a request is read as its type, and each example of an answer is one by its schema."""
    assert set(REQUESTS) == {r.operation for r in ROUTES if isinstance(r.request, type)}
    for name, example in REQUESTS.items():
        kind = BY_OPERATION[name].request
        assert isinstance(kind, type)
        msgspec.json.decode(msgspec.json.encode(example), type=kind)
    components = {"components": document()["components"]}
    seen = 0
    for _, _, operation in operations():
        parts = [operation.get("requestBody", {}), *map(resolved, operation["responses"].values())]
        for media in (m for part in parts for m in part.get("content", {}).values()):
            if "example" in media:
                seen += 1
                jsonschema_rs.validate({**media["schema"], **components}, media["example"])
    assert seen > 100


class Page(HTMLParser):
    """What the page of the API holds: tags that are open, ids, and where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name not in ("src", "style"), name
            self.ids += [value or ""] if name == "id" else []
            self.links += [value or ""] if name == "href" else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page() -> Page:
    """The page, read."""
    found = Page()
    found.feed(docs_page.page().decode())
    return found


def test_the_page_is_sound(page: Page) -> None:
    """Each tag is closed, each id stands once, and each link leads to a place in the page or to the document."""
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    anchors = {link.removeprefix("#") for link in page.links if link.startswith("#")}
    assert anchors <= set(page.ids)
    others = {link for link in page.links if not link.startswith("#")}
    assert others == {"/api/openapi.json", "data:,"}


def test_the_page_shows_everything(page: Page) -> None:
    """Each operation and each schema has its place, and examples of requests are commands to copy."""
    wanted = {route.operation for route in ROUTES}
    wanted |= {f"schema-{name}" for name in document()["components"]["schemas"]}
    assert wanted <= set(page.ids)
    text = docs_page.page().decode()
    assert "curl -X POST" in text
    assert all(f"{route.path}</span>" in text for route in ROUTES)


def test_the_page_runs_nothing(page: Page) -> None:
    """There is no script, form or frame in it, and its policy lets a browser use its own style only."""
    assert page.tags.isdisjoint({"script", "form", "iframe", "img", "object", "embed"})
    policy = docs_page.HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    style = docs_page.page().decode().partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
