"""The bridge's OpenAPI document, and whether a running bridge answers as it says."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from taskyard_agent.bridge import openapi as written
from taskyard_agent.bridge.http import DOCUMENTS
from tests.agents.bridge_kit import FORM, bridge, event, form, say, stable
from tests.agents.yaml_reader import read_yaml

pytestmark = pytest.mark.anyio

Schema = dict[str, object]

OPERATIONS = {
    "get-status": ("GET", "/status"),
    "get-messages": ("GET", "/messages"),
    "post-message": ("POST", "/message"),
    "post-upload": ("POST", "/upload"),
    "subscribeEvents": ("GET", "/events"),
}

FIELDS = {
    "StatusResponse": {"status", "agent_type", "transport"},
    "MessagesResponse": {"messages"},
    "Message": {"id", "content", "role", "time"},
    "MessageRequest": {"content", "type"},
    "MessageResponse": {"ok"},
    "UploadResponse": {"ok", "filePath"},
    "MessageUpdate": {"id", "role", "message", "time"},
    "StatusChange": {"status", "agent_type"},
    "AgentError": {"message", "level", "time"},
}
"""The fields of each object, all of them required. Source: agentapi 1.1."""

ENUMS = {
    ("StatusResponse", "status"): {"running", "stable"},
    ("StatusResponse", "transport"): {"acp", "pty"},
    ("StatusChange", "status"): {"running", "stable"},
    ("Message", "role"): {"agent", "user"},
    ("MessageUpdate", "role"): {"agent", "user"},
    ("MessageRequest", "type"): {"user", "raw"},
    ("AgentError", "level"): {"warning", "error"},
}
"""The words that a field may have. Source: agentapi 1.1."""

BODIES = {
    "get-status": (None, "StatusResponse"),
    "get-messages": (None, "MessagesResponse"),
    "post-message": ("MessageRequest", "MessageResponse"),
    "post-upload": (None, "UploadResponse"),
}
"""What goes in and what comes out with 200, as JSON. Source: agentapi 1."""

REQUEST: Schema = {"content": "updates 2", "type": "user"}

NOT_IN_3_0 = {"const", "examples", "contentMediaType", "contentEncoding", "prefixItems"}
"""Words of JSON Schema that OpenAPI 3.0 does not know."""

TYPES: dict[object, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
}


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on the standard loop."""
    return "asyncio"


def at(value: object, *path: str) -> Schema:
    """The object at the end of these keys."""
    for key in path:
        assert isinstance(value, dict)
        value = value[key]
    assert isinstance(value, dict)
    return value


def components() -> dict[str, Schema]:
    schemas = at(written.openapi("3.1.0"), "components", "schemas")
    return {name: at(schema) for name, schema in schemas.items()}


def objects(value: object) -> Iterator[Schema]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from objects(inner)


def wrongs(value: object, schema: Schema, where: str = "") -> Iterator[str]:
    """What does not fit a schema; knows the words that ours use, and no others."""
    if (reference := schema.get("$ref")) is not None:
        name = str(reference).removeprefix("#/components/schemas/")
        yield from wrongs(value, components()[name], f"{where}<{name}>")
        return
    known = {"title", "description", "type", "properties", "required", "additionalProperties"}
    assert schema.keys() <= known | {"enum", "items", "format"}
    if "type" in schema and not isinstance(value, TYPES[schema["type"]]):
        yield f"{where}: {value!r} is no {schema['type']}"
        return
    words = schema.get("enum")
    if isinstance(words, list) and value not in words:
        yield f"{where}: {value!r} is none of {words}"
    yield from format_wrongs(value, schema.get("format"), where)
    if isinstance(value, dict):
        yield from object_wrongs(value, schema, where)
    if isinstance(value, list) and "items" in schema:
        for item in value:
            yield from wrongs(item, at(schema, "items"), f"{where}[]")


def format_wrongs(value: object, form: object, where: str) -> Iterator[str]:
    if form == "date-time" and datetime.fromisoformat(str(value)).tzinfo is None:
        yield f"{where}: {value} has no zone"
    if form == "uri" and not urlsplit(str(value)).scheme:
        yield f"{where}: {value} is no URL"
    assert form in {None, "date-time", "uri", "int64"}


def object_wrongs(value: dict[str, object], schema: Schema, where: str) -> Iterator[str]:
    properties, required = at(schema, "properties"), schema["required"]
    assert isinstance(required, list)
    assert schema["additionalProperties"] is False
    yield from (f"{where}: {name} is missing" for name in required if name not in value)
    yield from (f"{where}: {name} is not described" for name in value if name not in properties)
    for name in value.keys() & properties.keys():
        yield from wrongs(value[name], at(properties, name), f"{where}.{name}")


async def test_four_files(tmp_path: Path) -> None:
    """Both versions are there in both notations, which say the same."""
    async with bridge(tmp_path) as client:
        found: dict[str, Schema] = {}
        for name in DOCUMENTS:
            answer = await client.get(f"/{name}")
            assert answer.status == 200
            notation = name.rpartition(".")[2]
            assert answer.content_type == f"application/vnd.oai.openapi+{notation}"
            text = await answer.text()
            found[name] = at(json.loads(text) if notation == "json" else read_yaml(text))
    assert found["openapi.json"] == found["openapi.yaml"] == written.openapi("3.1.0")
    assert found["openapi-3.0.json"] == found["openapi-3.0.yaml"] == written.openapi("3.0.3")
    assert found["openapi.json"]["openapi"] == "3.1.0"
    assert found["openapi-3.0.json"]["openapi"] == "3.0.3"


def test_operations() -> None:
    """The document has the operations of AgentAPI under their names, and no others."""
    document = written.openapi("3.1.0")
    assert at(document, "info")["title"] == "AgentAPI"
    found = {
        at(item, verb)["operationId"]: (verb.upper(), path)
        for path, item in at(document, "paths").items()
        for verb in at(item)
    }
    assert found == OPERATIONS


def test_shapes() -> None:
    """Fields, which of them are needed, and their words are those of AgentAPI; nothing else may be there."""
    for name, fields in FIELDS.items():
        schema = components()[name]
        required = schema["required"]
        assert isinstance(required, list)
        assert set(required) - {"$schema"} == fields, name
        assert at(schema, "properties").keys() - {"$schema"} == fields, name
        assert schema["additionalProperties"] is False
    for (name, field), words in ENUMS.items():
        listed = at(components()[name], "properties", field)["enum"]
        assert isinstance(listed, list)
        assert set(listed) == words, (name, field)
    assert at(components()["Message"], "properties", "id")["format"] == "int64"
    assert at(components()["Message"], "properties", "time")["format"] == "date-time"
    for name in ("MessageResponse", "UploadResponse"):
        assert at(components()[name], "properties", "ok")["enum"] == [True]


def test_what_goes_in_and_out() -> None:
    """Each operation takes and gives the object of AgentAPI."""
    paths = written.openapi("3.1.0")["paths"]
    for operation, (asked, answered) in BODIES.items():
        verb, path = OPERATIONS[operation]
        found = at(paths, path, verb.lower())
        json_of = ("content", "application/json", "schema")
        given = at(found, "responses", "200", *json_of)["$ref"]
        assert given == f"#/components/schemas/{answered}"
        if asked is not None:
            taken = at(found, "requestBody", *json_of)["$ref"]
            assert taken == f"#/components/schemas/{asked}"
    upload = at(paths, "/upload", "post", "requestBody", "content")
    assert at(upload, "multipart/form-data", "schema")["required"] == ["file"]


def test_references() -> None:
    """Each reference leads to a component, each component is referred to, and all are closed."""
    document = written.openapi("3.1.0")
    found = {item["$ref"] for item in objects(document) if "$ref" in item}
    assert found == {f"#/components/schemas/{name}" for name in components()}
    assert all(schema["additionalProperties"] is False for schema in components().values())


def test_older_version() -> None:
    """The 3.0 document uses nothing that 3.0 lacks, and differs in the version and the file only."""
    newer, older = written.openapi("3.1.0"), written.openapi("3.0.3")
    for item in objects(older):
        assert not item.keys() & NOT_IN_3_0
        assert item.get("type") != "null"
        assert not isinstance(item.get("type"), list)
        assert "$ref" not in item or item.keys() == {"$ref"}
    file = ("paths", "/upload", "post", "requestBody", "content", "multipart/form-data")
    properties = at(older, *file, "schema", "properties")
    assert properties["file"] == {"type": "string", "format": "binary"}
    properties["file"] = at(newer, *file, "schema", "properties")["file"]
    assert newer | {"openapi": ""} == older | {"openapi": ""}


async def test_schemas(tmp_path: Path) -> None:
    """Each component is a JSON Schema at a path of its own, and leads to others by theirs."""
    async with bridge(tmp_path) as client:
        for name, schema in components().items():
            answer = await client.get(f"/schemas/{name}.json")
            assert (answer.status, answer.content_type) == (200, "application/json")
            text = await answer.text()
            assert json.loads(text)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
            for item in objects(json.loads(text)):
                if "$ref" in item:
                    async with client.get(str(item["$ref"])) as other:
                        assert other.status == 200
            text = text.replace("/schemas/", "#/components/schemas/").replace('.json"}', '"}')
            assert json.loads(text) == {"$schema": written.DIALECT} | schema
        for name in ("Nothing", "status", "..%2f..%2fopenapi", "ScreenUpdate", ""):
            answer = await client.get(f"/schemas/{name}.json")
            assert (answer.status, await answer.text()) == (404, "404 page not found")


async def answers(client: aiohttp.ClientSession) -> list[tuple[str, object]]:
    """What a running bridge says, under the names of the components."""
    found: list[tuple[str, object]] = []

    async def add(name: str, answer: aiohttp.ClientResponse) -> None:
        body = json.loads(await answer.text())
        assert answer.headers["Link"] == f'</schemas/{name}.json>; rel="describedBy"'
        assert urlsplit(body["$schema"]).path == f"/schemas/{name}.json"
        found.append((name, body))

    await add("StatusResponse", await client.get("/status"))
    await add("MessagesResponse", await client.get("/messages"))
    await add("MessageResponse", await client.post("/message", json=REQUEST))
    await add("StatusResponse", await client.get("/status"))
    await stable(client)
    await say(client, "stop refusal")
    await stable(client)
    await add("MessagesResponse", await client.get("/messages"))
    upload = form(("file", "a", b"x"))
    await add("UploadResponse", await client.post("/upload", data=upload, headers=FORM))
    for bad in ({}, REQUEST | {"type": "no"}, REQUEST | {"content": ""}, [1]):
        await add("ErrorModel", await client.post("/message", json=bad))
    await add("ErrorModel", await client.post("/message"))
    await add("ErrorModel", await client.post("/upload"))
    async with client.get("/events") as stream:
        kinds: set[str] = set()
        while kinds != written.EVENTS.keys():
            name, data = await event(stream)
            kinds.add(name)
            found.append((written.EVENTS[name].__name__, data))
    return found


async def test_answers_are_as_described(tmp_path: Path) -> None:
    """Every answer and event fits its schema, and every key of every schema is really sent."""
    async with bridge(tmp_path) as client:
        found = await answers(client)
    sent: dict[str, set[str]] = defaultdict(set)
    for name, body in found:
        assert not list(wrongs(body, components()[name], name)), body
        sent[name] |= at(body).keys()
        for item in objects(body):
            for inner, schema in (("messages", "Message"), ("errors", "ErrorDetail")):
                listed = item.get(inner, [])
                assert isinstance(listed, list)
                sent[schema].update(*listed)
    described = {name: set(at(schema, "properties")) for name, schema in components().items()}
    assert sent == {name: keys for name, keys in described.items() if name != "MessageRequest"}


async def test_requests_are_as_described(tmp_path: Path) -> None:
    """What the schema of a message allows is taken, and what it forbids is a 422."""
    schema = components()["MessageRequest"]
    kinds = at(schema, "properties", "type")["enum"]
    assert isinstance(kinds, list)
    fine: list[Schema] = [{"content": "\x1b", "type": kind} for kind in kinds]
    fine += [REQUEST | {"$schema": "http://127.0.0.1/schemas/MessageRequest.json"}]
    bad: list[Schema] = [REQUEST | {name: 1} for name in at(schema, "properties") if name[0] != "$"]
    bad += [{name: REQUEST[name] for name in REQUEST if name != left} for left in REQUEST]
    bad += [REQUEST | {"type": "no"}, REQUEST | {"more": 1}]
    async with bridge(tmp_path) as client:
        for status, bodies in ((200, fine), (422, bad)):
            for body in bodies:
                assert (not list(wrongs(body, schema))) is (status == 200)
                answer = await client.post("/message", json=body)
                assert answer.status == status, await answer.text()
                await stable(client)


def test_an_idle_bridge_does_without() -> None:
    """Serving the other routes does not load the document."""
    program = (
        "import sys, taskyard_agent.bridge.serving; "
        "print([name for name in sys.modules if 'openapi' in name or 'yaml_lines' in name])"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout == "[]\n"
