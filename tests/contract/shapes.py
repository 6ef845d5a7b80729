"""Holds a body against shapes.toml: exactly its keys, each of its type, absent and null only where that is said."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

import httpx2
import msgspec

from taskyard.wire.base import encode
from taskyard.wire.routes import ROUTES, Body, Route
from tests.fuzz.document import hold

TABLES = tomllib.loads(Path(__file__).with_name("shapes.toml").read_text(encoding="utf-8"))

MEDIA_TYPE = "application/json; charset=utf-8"

VERSION = re.compile(r"v\d+\.\d+\.\d+")

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")
_KEY_ID = re.compile(r"[A-Za-z0-9]{10}")
_ZERO_TIME = "0001-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a shape: its type as it is written, and whether it is left out when empty."""

    name: str
    kind: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """A status of success, and what comes with it: the name of a type, `-`, `null` or `any`."""

    status: int
    kind: str


@cache
def words() -> Mapping[str, frozenset[str]]:
    """The closed lists of words by name."""
    return {name: frozenset(listed.split()) for name, listed in TABLES["words"].items()}


@cache
def shapes() -> Mapping[str, Mapping[str, Key]]:
    """Every shape by name, its keys by theirs."""
    return {name: _keys(table["keys"]) for name, table in TABLES["shapes"].items()}


@cache
def answers() -> Mapping[str, tuple[Answer, ...]]:
    """What each operation may answer when it succeeds."""
    return {name: tuple(_answers(line)) for name, line in TABLES["answers"].items()}


def _keys(text: str) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for line in text.strip().splitlines():
        names, _, kind = line.partition(": ")
        for name in names.split(", "):
            bare = name.removesuffix("?")
            assert bare not in found, f"{bare} twice"
            found[bare] = Key(bare, kind, name.endswith("?"))
    return found


def _answers(line: str) -> Iterator[Answer]:
    for one in line.split(", "):
        status, _, kind = one.partition(" ")
        yield Answer(int(status), kind)


def problems(value: object, kind: str, place: str = "body") -> Iterator[str]:
    """What is wrong with a parsed value of that type, each with its place."""
    if kind.endswith("|null"):
        if value is not None:
            yield from problems(value, kind.removesuffix("|null"), place)
    elif kind[0] in "[{":
        yield from _of_many(value, kind, place)
    elif kind in shapes():
        yield from _of_shape(value, kind, place)
    elif kind in words():
        if value not in words()[kind]:
            yield f"{place} is {value!r}, no {kind}"
    elif not _SIMPLE[kind](value):
        yield f"{place} is {value!r}, no {kind}"


def _of_many(value: object, kind: str, place: str) -> Iterator[str]:
    inner = kind[1:-1]
    if kind[0] == "[" and isinstance(value, list):
        for number, item in enumerate(value):
            yield from problems(item, inner, f"{place}[{number}]")
    elif kind[0] == "{" and isinstance(value, dict):
        for name, item in value.items():
            yield from problems(item, inner, f"{place}.{name}")
    else:
        yield f"{place} is {value!r}, no {kind}"


def _of_shape(value: object, kind: str, place: str) -> Iterator[str]:
    keys = shapes()[kind]
    if not isinstance(value, dict):
        yield f"{place} is {value!r}, no {kind}"
        return
    for name in value.keys() - keys.keys():
        yield f"{place} has {name!r}, which {kind} has not"
    for name, key in keys.items():
        if name in value:
            yield from _of_key(value[name], key, f"{place}.{name}")
        elif not key.optional:
            yield f"{place} lacks {name!r}"


def _of_key(value: object, key: Key, place: str) -> Iterator[str]:
    if key.optional and (value is None or value in ("", [], {}, _ZERO_TIME)):
        yield f"{place} is {value!r}, and should be left out"
    else:
        yield from problems(value, key.kind, place)


def _is_uuid(value: object) -> bool:
    """Whether it is a UUID in its usual form: 36 characters, small letters."""
    try:
        return isinstance(value, str) and str(UUID(value)) == value
    except ValueError:
        return False


def _matches(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


_SIMPLE: dict[str, Callable[[object], bool]] = {
    "any": lambda _: True,
    "uuid": _is_uuid,
    "time": _matches(_TIME),
    "email": _matches(_EMAIL),
    "key_id": _matches(_KEY_ID),
    "text": lambda value: isinstance(value, str),
    "int": lambda value: type(value) is int,
    "float": lambda value: type(value) in (int, float),
    "bool": lambda value: isinstance(value, bool),
    "true": lambda value: value is True,
    "null": lambda value: value is None,
}


def check(value: object, kind: str) -> None:
    """Fails unless the parsed value is of that type."""
    wrong = list(problems(value, kind))
    assert not wrong, "\n".join(wrong)


def check_answer(method: str, path: str, response: httpx2.Response) -> None:
    """Fails unless an answer of the API is one that its operation may give: status, headers, body.

    An error has the shape that all errors have. Source: T8, T9, C4, C9, S1.
    """
    if not path.startswith("/api/") or method in ("HEAD", "OPTIONS"):
        return
    assert VERSION.fullmatch(response.headers["X-Coder-Build-Version"])
    if response.status_code >= 400:
        _check_error(response)
        return
    route = route_of(method, path)
    if route is None or route.operation not in answers():
        return
    possible = {a.status: a.kind for a in answers()[route.operation]}
    assert response.status_code in possible, f"{route.operation} answers {response.status_code}"
    kind = possible[response.status_code]
    if kind == "-":
        assert response.content == b"", f"{route.operation} has a body"
    elif kind != "any" and not re.search(r"format=(text|jsonl|markdown)", str(response.url)):
        _check_body(route, kind, response)


def _check_error(response: httpx2.Response) -> None:
    assert response.headers["Content-Type"] == MEDIA_TYPE
    body = json.loads(response.content)
    check(body, "Response")
    assert body["message"]
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", response.headers["X-Taskyard-Reason"])


def _check_body(route: Route, kind: str, response: httpx2.Response) -> None:
    assert response.headers["Content-Type"] == MEDIA_TYPE, route.operation
    check(json.loads(response.content), kind)
    if route.response is not None and not isinstance(route.response, Body):
        again = encode(msgspec.json.decode(response.content, type=route.response))
        assert again == response.content, f"{route.operation} is not what its type writes"


@cache
def _patterns() -> list[tuple[re.Pattern[str], Route]]:
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), route)
        for route in ROUTES
        for path in route.paths
    ]


def route_of(method: str, path: str) -> Route | None:
    """The route that a request is for; None where there is none."""
    plain = re.sub("/+", "/", path).rstrip("/")
    for pattern, route in _patterns():
        if route.method == method and pattern.fullmatch(plain):
            return route
    return None


class CheckedClient(httpx2.AsyncClient):
    """A client that holds every answer against the contract; what is streamed goes by unchecked."""

    async def request(self, method: str, url: httpx2.URL | str, **rest: object) -> httpx2.Response:
        """The answer, checked."""
        response = await super().request(method, url, **rest)  # type: ignore[arg-type]
        sent = response.request
        check_answer(sent.method, sent.url.path, response)
        route = route_of(sent.method, sent.url.path)
        if route is not None:
            media_type = response.headers.get("Content-Type", "")
            hold(route, response.status_code, media_type, response.content)
        return response
