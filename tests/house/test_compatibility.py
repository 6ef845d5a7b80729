"""That the page about compatibility is whole: each route, statement and client with its state, no empty cell."""

import re

import pytest

from scripts.write_compatibility import PAGE, declared, page, statements
from taskyard.wire.routes import BY_OPERATION, ROUTES
from tests.house.tree import modules

STATES = {"works", "differs on purpose", "left out", "not shown yet"}


@pytest.fixture(scope="module")
def rows() -> list[list[str]]:
    """The cells of each row of each table."""
    lines = page().decode().splitlines()
    found = [line for line in lines if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found]


def test_the_page_is_fresh() -> None:
    """It is as routes, statements and tests are now; mend with ./yard docs."""
    assert PAGE.read_bytes() == page(), "docs/reference/compatibility.md is stale: ./yard docs"


def test_no_cell_is_empty(rows: list[list[str]]) -> None:
    """Every cell says something."""
    assert not [row for row in rows if not all(row)]


def test_everything_has_its_row(rows: list[list[str]]) -> None:
    """Each route, statement and client stands there once."""
    first = [row[0] for row in rows]
    wanted = [f"`{route.method} {route.path}`" for route in ROUTES]
    wanted += [statement.id for statement in statements()]
    wanted += [client.name for client in declared().client]
    assert [name for name in wanted if name not in first] == []
    assert {first.count(name) for name in wanted if name[0] == "`"} == {1}


def test_what_differs_says_why() -> None:
    """What is declared names a state, a route and a statement that exist, and a client that has tests."""
    said = declared()
    assert {note.operation for note in said.route} <= BY_OPERATION.keys()
    assert {note.id for note in said.statement} <= {statement.id for statement in statements()}
    assert {c.state for c in said.call} | {note.state for note in said.route} <= STATES - {
        "not shown yet"
    }
    names = {client.name for client in said.client}
    assert {call.client for call in said.call} <= names
    marked = {
        name
        for module in modules("tests")
        for name in re.findall(r'pytest\.mark\.client\("([^"]+)"\)', module.text)
    }
    assert marked == names


def test_statements_of_the_contract_have_tests(rows: list[list[str]]) -> None:
    """Each statement is shown by a test of its own, as it stands or as ours differs."""
    loose = [row[0] for row in rows if row[2] == "not shown yet"]
    assert loose == []
