"""That the tables of answers, by which every body of a test is checked, say what the wire pages say, and miss nothing."""

import re

import pytest

from taskyard.wire.routes import ROUTES
from tests.contract.shapes import TABLES, Key, answers, shapes, words
from tests.house.test_sources import page, sections, troubles
from tests.wire.test_wire_goldens import ALL, Golden

SCHEMA = re.compile(r"(?m)^### (S\d+) [^\n]+\n(.*?)(?=^### |^## |\Z)", re.DOTALL)
"""A schema of the supporting page: its number and its text."""

OF_TASK = re.compile(r"(?m)^\| ((?:`\w+`(?:, )?)+) \| [^|]+ \| ([^|]+) \|")
"""A row of the table of a task's keys: the keys, and how each looks when empty."""

PARTS = sorted(name for name in shapes() if TABLES["shapes"][name]["source"].startswith("S"))
"""The shapes that are schemas, or parts of one."""


def test_tables_hold_together() -> None:
    """Each type that a key or an answer names is a simple one, a list of words, or a shape."""
    known = {"uuid", "time", "text", "int", "float", "bool", "true", "email", "key_id"}
    known |= {"-", "null", "any"} | words().keys() | shapes().keys()
    kinds = [key.kind for keys in shapes().values() for key in keys.values()]
    kinds += [answer.kind for found in answers().values() for answer in found]
    assert {re.sub(r"[\[\]{}]|\|null$", "", kind) for kind in kinds} <= known


@pytest.mark.parametrize("name", shapes())
def test_tables_have_sources(name: str) -> None:
    """What a shape rests on is a statement or a section of the pages."""
    assert not list(troubles(TABLES["shapes"][name]["source"] + "."))


@pytest.mark.parametrize("golden", ALL, ids=lambda golden: golden.name)
def test_goldens_have_sources(golden: Golden) -> None:
    """What a kept body shows is a statement or a section of the pages, or it is ours."""
    assert golden.source == "ours" or not list(troubles(golden.source + "."))


def test_every_answer_is_in_the_table() -> None:
    """The table says of each route that is not a socket what it answers, and of no other."""
    assert answers().keys() == {route.operation for route in ROUTES if route.status != 101}


def test_the_table_and_the_routes_agree_on_success() -> None:
    """The first status in the table is that of the route, where the clients' contract wants it to be exact. Source: C4."""
    differing = {
        route.operation
        for route in ROUTES
        if route.operation in answers() and answers()[route.operation][0].status != route.status
    }
    assert not differing


def marked(key: Key) -> str:
    """A key as the pages write it."""
    return f"`{key.name}{'?' if key.optional else '|null' if key.kind.endswith('|null') else ''}`"


@pytest.mark.parametrize("name", PARTS)
def test_schemas_are_those_of_the_page(name: str) -> None:
    """Each key of a schema stands in its section of the page, marked where it may be left out or null."""
    schemas = dict(SCHEMA.findall(page("supporting-api")))
    text = "".join(
        schemas[number] for number in re.findall(r"S\d+", TABLES["shapes"][name]["source"])
    )
    absent = [marked(key) for key in shapes()[name].values() if marked(key) not in text]
    assert not [mark for mark in absent if (name, mark) not in ELSEWHERE]


ELSEWHERE = {
    ("APIKey", "`username?`"),
    ("ValidationItem", "`field`"),
    ("ValidationItem", "`detail`"),
    ("TransitionStats", "`P50|null`"),
    ("TransitionStats", "`P95|null`"),
    *(("BuildTimeStats", f"`{word}`") for word in ("start", "stop", "delete")),
}
"""Keys whose marks the page puts into words: `in lists also`, `int or null`, `by transition`."""


def test_a_task_is_that_of_the_page() -> None:
    """The table of a task's keys on the page and ours name the same keys, and agree on what is left out or null."""
    found = {
        name: ("left out" in empty, empty.strip() == "null")
        for names, empty in OF_TASK.findall(sections("tasks-api")["4.1"])
        for name in re.findall(r"`(\w+)`", names)
    }
    keys = shapes()["Task"].values()
    assert found == {key.name: (key.optional, key.kind.endswith("|null")) for key in keys}
